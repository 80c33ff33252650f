use std::cmp::Ordering;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use raw_json::PyString;
use schema::Node;

use crate::{Error, IndexHandle, Result};

/// A question, with its embedding if that is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueryBundle {
    /// The question.
    pub query_str: String,
    /// Its embedding. With it no embedder is needed.
    pub embedding: Option<Vec<f64>>,
    /// What is being asked already: the indexes of graphs and the objects that this question went through.
    way: Vec<PyString>,
}

/// How many indexes of graphs and objects behind index nodes a question goes through, one within the other. Each takes
/// up to 30 KB of the stack in a build that is not optimized.
const DEPTH_MAX: usize = 20;

impl QueryBundle {
    /// A question with its embedding.
    #[must_use]
    pub fn with_embedding(mut self, embedding: impl Into<Vec<f64>>) -> Self {
        self.embedding = Some(embedding.into());
        self
    }

    /// How many things the question went through.
    pub(crate) fn depth(&self) -> usize {
        self.way.len()
    }

    /// The question as it is asked within something that has an id. It must not be one of those that it went through
    /// `since` it was so deep, for then it would go on for ever.
    pub(crate) fn enter(&self, id: &PyString, since: usize) -> Result<Self> {
        let way = [self.way.as_slice(), std::slice::from_ref(id)].concat();
        if way.len() <= DEPTH_MAX && !self.way[since..].contains(id) {
            return Ok(Self { way, ..self.clone() });
        }
        // What came before the circle does not matter.
        let from = self.way.iter().rposition(|before| before == id).unwrap_or(0);
        Err(Error::Circle { path: way[from..].to_vec() })
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
        query.to_owned().into()
    }
}

impl From<String> for QueryBundle {
    fn from(query_str: String) -> Self {
        Self { query_str, ..Self::default() }
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
    /// If the question needs an embedding and has none that can be made, or one of another length than the nodes', and
    /// if a store fails.
    async fn retrieve_bundle(&self, query: &QueryBundle) -> Result<Vec<NodeWithScore>>;
}

#[async_trait]
impl<R: Retriever + ?Sized> Retriever for Box<R> {
    async fn retrieve_bundle(&self, query: &QueryBundle) -> Result<Vec<NodeWithScore>> {
        (**self).retrieve_bundle(query).await
    }
}

#[async_trait]
impl<R: Retriever + ?Sized> Retriever for Arc<R> {
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

/// Nodes that were found, and not measured.
pub(crate) fn unscored(nodes: Vec<Node>) -> Vec<NodeWithScore> {
    nodes.into_iter().map(|node| NodeWithScore { node, score: None }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_score_comes_last() {
        let mut scores = [0.25, f64::NAN, -1.0, f64::NAN, 0.5];
        scores.sort_by(|a, b| best_first(*a, *b));
        assert!(scores[..3] == [0.5, 0.25, -1.0] && scores[3..].iter().all(|score| score.is_nan()), "{scores:?}");
    }
}
