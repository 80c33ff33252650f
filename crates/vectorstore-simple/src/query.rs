//! The nodes nearest to an embedding.

use std::collections::HashSet;

use raw_json::PyString;
use vectorstore::{Error, Result, VectorStoreQuery, VectorStoreQueryMode, VectorStoreQueryResult};

use crate::matrix::Probe;
use crate::state::State;
use crate::topk::TopK;

impl State {
    pub(crate) fn query(&self, query: &VectorStoreQuery) -> Result<VectorStoreQueryResult> {
        if query.mode != VectorStoreQueryMode::Default {
            return Err(Error::UnsupportedMode { store: "SimpleVectorStore".to_owned(), mode: query.mode });
        }
        let candidates = self.candidates(query);
        let Some(&first) = candidates.first() else { return Ok(VectorStoreQueryResult::default()) };
        let embedding = query.query_embedding.as_deref().ok_or(Error::MissingQueryEmbedding)?;
        self.check_lengths(&candidates, first, embedding.len())?;
        let limit = match query.similarity_top_k {
            None | Some(0) => usize::MAX,
            Some(top_k) => match usize::try_from(top_k) {
                Ok(limit) => limit,
                Err(_) if top_k < 0 => return Ok(VectorStoreQueryResult::default()),
                Err(_) => usize::MAX,
            },
        };
        let best = self.nearest(&candidates, embedding, limit);
        Ok(best.finish().map(|(id, score)| (id.clone(), score)).collect())
    }

    /// The places of the nodes that the query's restrictions let through, in order.
    fn candidates(&self, query: &VectorStoreQuery) -> Vec<usize> {
        let mut places: Vec<usize> = match &query.node_ids {
            None => (0..self.vectors.len()).collect(),
            Some(ids) => ids.iter().filter_map(|id| self.vectors.place_of(id)).collect(),
        };
        if query.node_ids.is_some() {
            places.sort_unstable();
            places.dedup();
        }
        if let Some(doc_ids) = &query.doc_ids {
            let doc_ids: HashSet<&PyString> = doc_ids.iter().collect();
            let of_document = |at: &usize| {
                let ref_doc_id = self.ref_doc_ids.get(self.vectors.id_at(*at));
                ref_doc_id.is_some_and(|id| doc_ids.contains(id))
            };
            places.retain(of_document);
        }
        places
    }

    /// All candidates and the query must have as many numbers.
    fn check_lengths(&self, candidates: &[usize], first: usize, query: usize) -> Result<()> {
        let length = |at: usize| {
            let id = self.vectors.id_at(at);
            self.vectors.dim_at(at).ok_or_else(|| Error::Unreadable { id: id.clone() })
        };
        let stored = length(first)?;
        let first = self.vectors.id_at(first);
        for &at in candidates {
            let other_len = length(at)?;
            if other_len != stored {
                let other = self.vectors.id_at(at).clone();
                return Err(Error::Ragged { first: first.clone(), first_len: stored, other, other_len });
            }
        }
        if stored != query {
            return Err(Error::QueryDimension { id: first.clone(), stored, query });
        }
        Ok(())
    }

    fn nearest(&self, candidates: &[usize], embedding: &[f64], limit: usize) -> TopK<'_> {
        let probe = Probe::new(embedding);
        let mut best = TopK::new(limit);
        for &at in candidates {
            if let Some(floor) = best.floor()
                && let Some(bound) = self.vectors.cosine_bound(at, &probe)
                && bound < floor
            {
                continue;
            }
            best.offer(self.vectors.id_at(at), self.vectors.cosine(at, &probe));
        }
        best
    }
}
