use std::collections::HashSet;

use async_trait::async_trait;
use indexmap::IndexMap;
use indexstore::IndexStructData;
use raw_json::PyString;
use schema::{Node, NodeContent};
use storage_context::DEFAULT_NAMESPACE;
use vectorstore::{
    Learner, MetadataFilters, Mismatch, MmrPenalty, VectorStore, VectorStoreQuery, VectorStoreQueryMode,
    VectorStoreQueryResult,
};

use crate::retriever::{NodeWithScore, QueryBundle, Retriever};
use crate::{Error, IndexHandle, Result};

/// Finds the nodes of a [`VectorStoreIndex`](crate::VectorStoreIndex) that are nearest to a question.
///
/// Only nodes of the index are found, also where several indexes share a vector store. Over a store that keeps texts
/// that cannot be told, and all nodes of the store are looked at.
#[derive(Debug, Clone)]
pub struct VectorIndexRetriever {
    index: IndexHandle,
    query: VectorStoreQuery,
    namespace: &'static str,
}

impl VectorIndexRetriever {
    pub(crate) fn new(index: IndexHandle) -> Self {
        Self { index, query: VectorStoreQuery::default().with_top_k(2), namespace: DEFAULT_NAMESPACE }
    }

    pub(crate) fn in_namespace(self, namespace: &'static str) -> Self {
        Self { namespace, ..self }
    }

    /// Takes all settings from a query: how many, filters, mode, and whatever else there is. Its embedding is used for
    /// questions that have none.
    #[must_use]
    pub fn query(mut self, query: VectorStoreQuery) -> Self {
        self.query = query;
        self
    }

    /// How many nodes; 2 by default.
    #[must_use]
    pub fn top_k(mut self, top_k: impl Into<Option<i64>>) -> Self {
        self.query = self.query.with_top_k(top_k);
        self
    }

    /// Only nodes whose metadata passes.
    #[must_use]
    pub fn filters(mut self, filters: impl Into<MetadataFilters>) -> Self {
        self.query = self.query.with_filters(filters);
        self
    }

    /// What becomes of a node whose metadata a filter cannot be applied to.
    #[must_use]
    pub fn mismatch(mut self, mismatch: Mismatch) -> Self {
        self.query = self.query.with_mismatch(mismatch);
        self
    }

    /// How nodes are found.
    #[must_use]
    pub fn mode(mut self, mode: VectorStoreQueryMode) -> Self {
        self.query = self.query.with_mode(mode);
        self
    }

    /// How much embeddings count in mode [`Hybrid`](VectorStoreQueryMode::Hybrid), from 0 to 1, for stores that have it.
    #[must_use]
    pub fn alpha(mut self, alpha: impl Into<Option<f64>>) -> Self {
        self.query = self.query.with_alpha(alpha);
        self
    }

    /// How much nearness counts in mode [`Mmr`](VectorStoreQueryMode::Mmr), from 0 to 1.
    #[must_use]
    pub fn mmr_threshold(mut self, threshold: impl Into<Option<f64>>) -> Self {
        self.query = self.query.with_mmr_threshold(threshold);
        self
    }

    /// What a result must be far from in mode [`Mmr`](VectorStoreQueryMode::Mmr).
    #[must_use]
    pub fn mmr_penalty(mut self, penalty: MmrPenalty) -> Self {
        self.query = self.query.with_mmr_penalty(penalty);
        self
    }

    /// What the modes named after regressions fit.
    #[must_use]
    pub fn learner(mut self, learner: Learner) -> Self {
        self.query = self.query.with_learner(learner);
        self
    }

    /// Only nodes of these documents.
    #[must_use]
    pub fn doc_ids(mut self, ids: impl IntoIterator<Item = impl Into<PyString>>) -> Self {
        self.query = self.query.with_doc_ids(ids);
        self
    }

    /// Only these nodes, as far as they are the index's.
    #[must_use]
    pub fn node_ids(mut self, ids: impl IntoIterator<Item = impl Into<PyString>>) -> Self {
        self.query = self.query.with_node_ids(ids);
        self
    }

    /// Leaves out nodes with a lower score.
    #[must_use]
    pub fn cutoff(mut self, cutoff: impl Into<Option<f64>>) -> Self {
        self.query = self.query.with_similarity_cutoff(cutoff);
        self
    }
}

#[async_trait]
impl Retriever for VectorIndexRetriever {
    async fn retrieve_bundle(&self, bundle: &QueryBundle) -> Result<Vec<NodeWithScore>> {
        let index_struct = self.index.index_struct();
        let (IndexStructData::VectorStore(dict) | IndexStructData::Multimodal(dict)) = &index_struct.data else {
            return Ok(Vec::new());
        };
        let store = self.index.vector_store(self.namespace)?;
        if dict.nodes_dict.is_empty() && !store.stores_text() {
            return Ok(Vec::new());
        }
        let mut query = self.query.clone();
        query.query_str.get_or_insert_with(|| bundle.query_str.clone());
        if bundle.embedding.is_some() || query.query_embedding.is_none() {
            query.query_embedding = Some(bundle.embedding_for(&self.index).await?);
        }
        if store.stores_text() {
            let found = self.of_store_with_texts(&*store, &query).await?;
            return self.index.finish(bundle, found).await;
        }
        let found = query_own(&*store, query, &dict.nodes_dict).await?;
        let ids = found
            .ids
            .iter()
            .map(|id| {
                let own = dict.nodes_dict.get(id).cloned();
                own.ok_or_else(|| Error::ForeignVector { id: self.index.index_id(), vector: id.clone() })
            })
            .collect::<Result<Vec<_>>>()?;
        let nodes = self.index.fetch(&ids).await?;
        self.index.finish(bundle, scored(nodes, &found)).await
    }
}

impl VectorIndexRetriever {
    async fn of_store_with_texts(
        &self,
        store: &dyn VectorStore,
        query: &VectorStoreQuery,
    ) -> Result<Vec<NodeWithScore>> {
        let mut found = store.query(query).await?;
        let Some(mut nodes) = found.nodes.take() else {
            let nodes = self.index.fetch(&found.ids).await?;
            return Ok(scored(nodes, &found));
        };
        // The document store knows more of what is not mere text.
        let ids: Vec<PyString> = nodes.iter().filter(|node| !is_text(node)).map(|node| node.id.clone()).collect();
        let known = self.index.ctx.docstore().get_nodes(&ids).await?;
        for (node, known) in nodes.iter_mut().filter(|node| !is_text(node)).zip(known) {
            if let Some(known) = known {
                *node = known;
            }
        }
        Ok(scored(nodes, &found))
    }
}

fn is_text(node: &Node) -> bool {
    matches!(node.content, NodeContent::Text(_))
}

fn scored(nodes: Vec<Node>, found: &VectorStoreQueryResult) -> Vec<NodeWithScore> {
    let scores = found.similarities.iter().map(|score| Some(*score)).chain(std::iter::repeat(None));
    nodes.into_iter().zip(scores).map(|(node, score)| NodeWithScore { node, score }).collect()
}

/// Asks a store for vectors of the index alone.
pub(crate) async fn query_own(
    store: &dyn VectorStore,
    mut query: VectorStoreQuery,
    own: &IndexMap<PyString, PyString>,
) -> Result<VectorStoreQueryResult> {
    if let Some(asked) = query.selection.node_ids.take() {
        let asked: HashSet<PyString> = asked.into_iter().collect();
        query.selection.node_ids =
            Some(own.iter().filter(|(_, node)| asked.contains(*node)).map(|(vector, _)| vector.clone()).collect());
    } else {
        // A store as large as the index most likely has the index's vectors and no others: then there is no need to
        // hand over all their ids, which takes longer than the query.
        if query.mode == VectorStoreQueryMode::Default && store.count().await? == Some(own.len()) {
            let found = store.query(&query).await?;
            if found.ids.iter().all(|id| own.contains_key(id)) {
                return Ok(found);
            }
        }
        query.selection.node_ids = Some(own.keys().cloned().collect());
    }
    Ok(store.query(&query).await?)
}
