use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt::Debug;
use std::future::Future;

use async_trait::async_trait;
use raw_json::PyString;
use schema::Node;

use crate::{IndexHandle, Result};

/// A question, with its embedding if that is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueryBundle {
    /// The question.
    pub query_str: String,
    /// Its embedding. With it no embedder is needed.
    pub embedding: Option<Vec<f64>>,
}

impl QueryBundle {
    /// A question with its embedding.
    #[must_use]
    pub fn with_embedding(mut self, embedding: impl Into<Vec<f64>>) -> Self {
        self.embedding = Some(embedding.into());
        self
    }

    /// The embedding, made with the index's embedder if need be.
    pub(crate) async fn embedding_for(&self, index: &IndexHandle) -> Result<Vec<f64>> {
        match &self.embedding {
            Some(embedding) => Ok(embedding.clone()),
            None => index.embed_query(&self.query_str).await,
        }
    }
}

impl From<&str> for QueryBundle {
    fn from(query: &str) -> Self {
        Self { query_str: query.to_owned(), embedding: None }
    }
}

impl From<String> for QueryBundle {
    fn from(query_str: String) -> Self {
        Self { query_str, embedding: None }
    }
}

impl From<&QueryBundle> for QueryBundle {
    fn from(query: &QueryBundle) -> Self {
        query.clone()
    }
}

/// A node that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeWithScore {
    /// The node.
    pub node: Node,
    /// How well it fits, if that was measured. Greater is better.
    pub score: Option<f64>,
}

/// Finds nodes that have to do with a question. For callers: [`RetrieverExt`] has the short form.
#[async_trait]
pub trait Retriever: Debug + Send + Sync + 'static {
    /// Finds nodes, best first.
    ///
    /// # Errors
    /// If the question has no embedding and needs one that cannot be made, and if a store fails.
    async fn retrieve_bundle(&self, query: &QueryBundle) -> Result<Vec<NodeWithScore>>;
}

#[async_trait]
impl<R: Retriever + ?Sized> Retriever for Box<R> {
    async fn retrieve_bundle(&self, query: &QueryBundle) -> Result<Vec<NodeWithScore>> {
        (**self).retrieve_bundle(query).await
    }
}

/// Short forms for every [`Retriever`].
pub trait RetrieverExt: Retriever {
    /// Finds nodes, best first. A question is a string, or a [`QueryBundle`] with an embedding.
    ///
    /// # Errors
    /// As [`Retriever::retrieve_bundle`].
    fn retrieve(&self, query: impl Into<QueryBundle>) -> impl Future<Output = Result<Vec<NodeWithScore>>> + Send {
        let query = query.into();
        async move { self.retrieve_bundle(&query).await }
    }
}

impl<R: Retriever + ?Sized> RetrieverExt for R {}

/// The order of scores, best first. What has none, because its embedding has no direction, comes last.
pub(crate) fn best_first(a: f64, b: f64) -> Ordering {
    b.partial_cmp(&a).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// What every retriever does at the end: an index node that carries a node gives way to it, and of results with the
/// same id the first stays.
pub(crate) fn finish(found: impl IntoIterator<Item = NodeWithScore>) -> Vec<NodeWithScore> {
    let mut seen: HashSet<PyString> = HashSet::new();
    let resolved = found.into_iter().map(|found| match found.node.obj_node() {
        // As in LlamaIndex, no score and a score of 0 count as 1.
        Some(node) => NodeWithScore { node, score: Some(found.score.filter(|score| *score != 0.0).unwrap_or(1.0)) },
        None => found,
    });
    resolved.filter(|found| seen.insert(found.node.id.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use raw_json::Value;
    use schema::NodeContent;

    #[test]
    fn what_has_no_score_comes_last() {
        let mut scores = [0.25, f64::NAN, -1.0, f64::NAN, 0.5];
        scores.sort_by(|a, b| best_first(*a, *b));
        assert!(scores[..3] == [0.5, 0.25, -1.0] && scores[3..].iter().all(|score| score.is_nan()), "{scores:?}");
    }

    #[test]
    fn index_nodes_give_way_and_doubles_go() {
        let inner = Node::text("inner").with_id("inner");
        let mut pointer = Node::index("pointer", "inner").with_id("pointer");
        if let NodeContent::Index(_, index) = &mut pointer.content {
            index.obj = Some(inner.to_value());
        }
        let plain = Node::index("plain", "elsewhere").with_id("plain");
        let found = |node: &Node, score| NodeWithScore { node: node.clone(), score };
        let results = finish([
            found(&pointer, None),
            found(&plain, Some(0.5)),
            found(&inner, Some(0.1)),
            found(&plain, Some(0.9)),
        ]);
        let told: Vec<_> = results.iter().map(|found| (found.node.id.to_string(), found.score)).collect();
        assert_eq!(told, [("inner".to_owned(), Some(1.0)), ("plain".to_owned(), Some(0.5))]);
        assert_eq!(Value::from(&results[0].node), Value::from(&inner));
    }
}
