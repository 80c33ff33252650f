//! Queries: which nodes are looked at, and what each mode does with them.

use vectorstore::{Error, Learner, Result, VectorStoreQuery, VectorStoreQueryMode, VectorStoreQueryResult};

use crate::learner::{self, Fit};
use crate::matrix::Probe;
use crate::mmr::Mmr;
use crate::state::State;
use crate::topk::TopK;

/// How much nearness to the query counts in MMR if nothing else is said.
const DEFAULT_MMR_THRESHOLD: f64 = 0.5;

impl State {
    pub(crate) fn query(&self, query: &VectorStoreQuery) -> Result<VectorStoreQueryResult> {
        let fit = fit(query)?;
        let cutoff = finite("similarity_cutoff", query.similarity_cutoff)?;
        let threshold = finite("mmr_threshold", query.mmr_threshold)?.unwrap_or(DEFAULT_MMR_THRESHOLD);
        if query.selection.filters.is_some() && !self.vectors.is_empty() {
            self.check_has_metadata()?;
        }
        let candidates = self.selected(&query.selection)?;
        let Some(&first) = candidates.first() else { return Ok(VectorStoreQueryResult::default()) };
        let embedding = query.query_embedding.as_deref().ok_or(Error::MissingQueryEmbedding)?;
        self.check_lengths(&candidates, first, embedding.len())?;
        let limit = limit(query.similarity_top_k);
        let found = match (query.mode, fit) {
            (_, Some(fit)) => {
                self.learned(&candidates, embedding, slice(query.similarity_top_k, candidates.len()), fit)
            }
            (VectorStoreQueryMode::Mmr, None) => {
                Mmr { threshold, penalty: query.mmr_penalty }.pick(self, &candidates, embedding, limit)
            }
            (_, None) => self.nearest(&candidates, embedding, limit),
        };
        let similar = |(_, similarity): &(usize, f64)| cutoff.is_none_or(|cutoff| *similarity >= cutoff);
        let found = found.into_iter().filter(similar);
        Ok(found.map(|(at, similarity)| (self.vectors.id_at(at).clone(), similarity)).collect())
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

    /// The candidates most similar to the query.
    fn nearest(&self, candidates: &[usize], embedding: &[f64], limit: usize) -> Vec<(usize, f64)> {
        let probe = Probe::new(embedding);
        let mut best = TopK::new(limit);
        for &at in candidates {
            if let Some(floor) = best.floor()
                && let Some(about) = self.vectors.approximation(at, &probe, self.similarity)
                && about.value + about.error < floor
            {
                continue;
            }
            best.offer(self.vectors.id_at(at), at, self.vectors.similarity(at, &probe, self.similarity));
        }
        best.finish().collect()
    }

    /// The candidates that a learner takes most for the query. Those that have no direction, or are too long for it,
    /// come last.
    fn learned(&self, candidates: &[usize], embedding: &[f64], limit: usize, fit: Fit) -> Vec<(usize, f64)> {
        let numbers = |at: &usize| self.vectors.numbers_at(*at).filter(|row| learner::takes(row));
        let (places, rows): (Vec<usize>, Vec<Vec<f64>>) =
            candidates.iter().enumerate().filter_map(|(i, at)| Some((i, numbers(at)?))).unzip();
        let mut found: Vec<(usize, f64)> = candidates.iter().map(|&at| (at, f64::NAN)).collect();
        for ((place, row), score) in places.into_iter().zip(&rows).zip(learner::scores(fit, embedding, &rows)) {
            if score.is_finite() && row.iter().any(|x| *x != 0.0) {
                found[place].1 = score;
            }
        }
        found.sort_by(|(_, a), (_, b)| b.partial_cmp(a).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())));
        found.truncate(limit);
        found
    }
}

/// What a mode fits, if anything.
fn fit(query: &VectorStoreQuery) -> Result<Option<Fit>> {
    let named = |fit| if query.learner == Learner::AlwaysSvm { Fit::Svm } else { fit };
    match query.mode {
        VectorStoreQueryMode::Default | VectorStoreQueryMode::Mmr => Ok(None),
        VectorStoreQueryMode::Svm => Ok(Some(Fit::Svm)),
        VectorStoreQueryMode::LinearRegression => Ok(Some(named(Fit::Linear))),
        VectorStoreQueryMode::LogisticRegression => Ok(Some(named(Fit::Logistic))),
        mode => Err(Error::UnsupportedMode { store: "SimpleVectorStore".to_owned(), mode }),
    }
}

fn finite(name: &'static str, number: Option<f64>) -> Result<Option<f64>> {
    match number {
        Some(value) if !value.is_finite() => Err(Error::QueryNumber { name, value }),
        number => Ok(number),
    }
}

/// How many results there are at most: none for a negative number, all for zero.
fn limit(top_k: Option<i64>) -> usize {
    match top_k {
        None | Some(0) => usize::MAX,
        Some(top_k) if top_k < 0 => 0,
        Some(top_k) => usize::try_from(top_k).unwrap_or(usize::MAX),
    }
}

/// The same where LlamaIndex takes a slice: none for zero, and a negative number counts from the end.
fn slice(top_k: Option<i64>, len: usize) -> usize {
    match top_k {
        None => len,
        Some(top_k) if top_k < 0 => len.saturating_sub(usize::try_from(top_k.unsigned_abs()).unwrap_or(usize::MAX)),
        Some(top_k) => usize::try_from(top_k).unwrap_or(usize::MAX),
    }
}
