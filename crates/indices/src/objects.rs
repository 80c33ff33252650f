//! Live things behind index nodes.

use std::collections::HashSet;
use std::sync::Arc;

use raw_json::PyString;
use schema::{Node, NodeContent};

use crate::retriever::{NodeWithScore, QueryBundle};
use crate::{
    ComposableGraphQueryEngine, Error, IndexBuilder, IndexHandle, QueryEngine, Result, Retriever, RetrieverQueryEngine,
};

/// What may stand behind an index node, and takes its place wherever a retriever finds it. It is never stored.
///
/// Nodes and retrievers become one by [`Into`], and so do the query engines of this crate; others do as
/// `Arc<dyn QueryEngine>`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RetrievedObject {
    /// The node, with the index node's score, or 1 if that is 0 or missing.
    Node(Node),
    /// The node with its own score.
    NodeWithScore(NodeWithScore),
    /// What it finds for the same question.
    Retriever(Arc<dyn Retriever>),
    /// A text node with its answer, the index node's score, and the metadata of the answer's sources by id.
    QueryEngine(Arc<dyn QueryEngine>),
}

impl From<Node> for RetrievedObject {
    fn from(node: Node) -> Self {
        Self::Node(node)
    }
}

impl From<NodeWithScore> for RetrievedObject {
    fn from(found: NodeWithScore) -> Self {
        Self::NodeWithScore(found)
    }
}

impl<R: Retriever> From<R> for RetrievedObject {
    fn from(retriever: R) -> Self {
        Self::Retriever(Arc::new(retriever))
    }
}

impl From<Arc<dyn QueryEngine>> for RetrievedObject {
    fn from(engine: Arc<dyn QueryEngine>) -> Self {
        Self::QueryEngine(engine)
    }
}

impl From<RetrieverQueryEngine> for RetrievedObject {
    fn from(engine: RetrieverQueryEngine) -> Self {
        Self::QueryEngine(Arc::new(engine))
    }
}

impl From<ComposableGraphQueryEngine> for RetrievedObject {
    fn from(engine: ComposableGraphQueryEngine) -> Self {
        Self::QueryEngine(Arc::new(engine))
    }
}

impl RetrievedObject {
    async fn retrieve(&self, query: &QueryBundle, score: f64) -> Result<Vec<NodeWithScore>> {
        let score = Some(score);
        Ok(match self {
            Self::Node(node) => vec![NodeWithScore { node: node.clone(), score }],
            Self::NodeWithScore(found) => vec![found.clone()],
            Self::Retriever(retriever) => retriever.retrieve_bundle(query).await?,
            Self::QueryEngine(engine) => {
                let response = engine.query_bundle(query).await?;
                let node = Node { metadata: response.metadata(), ..Node::text(response.response) };
                vec![NodeWithScore { node, score }]
            }
        })
    }
}

impl<T> IndexBuilder<T> {
    /// Adds an index node behind which an object stands, in place of what the node carries in `obj`. It goes behind the
    /// other nodes. The node is stored and the object is not: see `with_objects` of the index types.
    #[must_use]
    pub fn object(mut self, mut node: Node, object: impl Into<RetrievedObject>) -> Self {
        if let NodeContent::Index(_, index) = &mut node.content {
            index.obj = None;
            let objects = Arc::make_mut(&mut self.settings.objects);
            objects.insert(index.index_id.clone(), object.into());
        }
        self.object_nodes.push(node);
        self
    }

    /// Behind nodes of other kinds an object would never be found.
    pub(crate) fn check_objects(&self) -> Result<()> {
        match self.object_nodes.iter().find(|node| !matches!(node.content, NodeContent::Index(..))) {
            Some(node) => Err(Error::NoIndexNode { node: node.id.clone(), class: node.class_name() }),
            None => Ok(()),
        }
    }
}

impl IndexHandle {
    /// What every retriever does at the end: index nodes give way to what stands behind them, and of results with the
    /// same id the first stays.
    pub(crate) async fn finish(&self, query: &QueryBundle, found: Vec<NodeWithScore>) -> Result<Vec<NodeWithScore>> {
        let mut results = Vec::with_capacity(found.len());
        for found in found {
            // As in LlamaIndex, no score and a score of 0 count as 1.
            let score = found.score.filter(|score| *score != 0.0).unwrap_or(1.0);
            if let Some(node) = found.node.obj_node() {
                results.push(NodeWithScore { node, score: Some(score) });
            } else if let Some((id, object)) = self.object(&found.node) {
                results.extend(object.retrieve(&query.enter(id, query.depth())?, score).await?);
            } else {
                results.push(found);
            }
        }
        let mut seen: HashSet<PyString> = HashSet::new();
        results.retain(|found| seen.insert(found.node.id.clone()));
        Ok(results)
    }

    fn object<'a>(&'a self, node: &'a Node) -> Option<(&'a PyString, &'a RetrievedObject)> {
        let NodeContent::Index(_, index) = &node.content else { return None };
        Some((&index.index_id, self.settings.objects.get(&index.index_id)?))
    }
}
