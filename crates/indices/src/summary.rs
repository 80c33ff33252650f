use async_trait::async_trait;
use indexstore::IndexStructData;
use raw_json::PyString;
use schema::Node;
use vectorstore::{VectorStore, VectorStoreQuery};
use vectorstore_simple::SimpleVectorStore;

use crate::graph_change::GraphChange;
use crate::insertion::{Insertion, ids};
use crate::retriever::{NodeWithScore, QueryBundle, Retriever, unscored};
use crate::{IndexHandle, Result, SummaryIndex};

/// Nodes are put at the end of the row.
pub(crate) fn plan(index: &IndexHandle, nodes: &[Node]) -> Result<Insertion> {
    let row: Vec<PyString> = nodes.iter().map(|node| node.id.clone()).collect();
    Ok(Insertion {
        rows: Vec::new(),
        documents: index.prepare(nodes, false)?,
        summaries: None,
        change: Box::new(move |data, _| {
            if let IndexStructData::List { nodes } = data {
                nodes.extend(row.iter().cloned());
            }
        }),
        identity: None,
        graph: GraphChange::None,
        ids: ids(nodes),
    })
}

impl SummaryIndex {
    /// Finds all nodes, in their order, without scores.
    pub fn as_retriever(&self) -> SummaryIndexRetriever {
        SummaryIndexRetriever { index: (**self).clone() }
    }

    /// Finds the nodes nearest to a question. Nodes that are stored without an embedding are embedded for it.
    pub fn embedding_retriever(&self) -> SummaryIndexEmbeddingRetriever {
        SummaryIndexEmbeddingRetriever { index: (**self).clone(), top_k: Some(1) }
    }
}

/// Finds all nodes of a [`SummaryIndex`].
#[derive(Debug, Clone)]
pub struct SummaryIndexRetriever {
    pub(crate) index: IndexHandle,
}

#[async_trait]
impl Retriever for SummaryIndexRetriever {
    async fn retrieve_bundle(&self, query: &QueryBundle) -> Result<Vec<NodeWithScore>> {
        let nodes = self.index.nodes().await?;
        self.index.finish(query, unscored(nodes)).await
    }
}

/// Finds the nodes of a [`SummaryIndex`] that are nearest to a question.
#[derive(Debug, Clone)]
pub struct SummaryIndexEmbeddingRetriever {
    pub(crate) index: IndexHandle,
    pub(crate) top_k: Option<i64>,
}

impl SummaryIndexEmbeddingRetriever {
    /// How many nodes; 1 by default, and `None` for all.
    #[must_use]
    pub fn top_k(mut self, top_k: impl Into<Option<i64>>) -> Self {
        self.top_k = top_k.into();
        self
    }
}

#[async_trait]
impl Retriever for SummaryIndexEmbeddingRetriever {
    async fn retrieve_bundle(&self, query: &QueryBundle) -> Result<Vec<NodeWithScore>> {
        let IndexStructData::List { nodes: row } = &self.index.index_struct().data else { return Ok(Vec::new()) };
        if row.is_empty() {
            return Ok(Vec::new());
        }
        let embedding = query.embedding_for(&self.index).await?;
        let nodes = self.index.fetch(row).await?;
        let ranked = rank(&self.index, nodes, embedding, self.top_k).await?;
        self.index.finish(query, ranked).await
    }
}

/// The nodes nearest to an embedding; among equally near ones those further back in the row come first, as in
/// LlamaIndex. Nodes without an embedding are embedded, and the embeddings forgotten.
async fn rank(
    index: &IndexHandle,
    nodes: Vec<Node>,
    embedding: Vec<f64>,
    top_k: Option<i64>,
) -> Result<Vec<NodeWithScore>> {
    let embeddings = index.embeddings_of(&nodes, &embedding).await?;
    let row = |(at, mut row): (usize, Vec<f64>)| {
        // What is not finite has no direction, and no store takes it. Zeros have none either.
        if row.iter().any(|x| !x.is_finite()) {
            row.fill(0.0);
        }
        Node::text("").with_id(position(at)).with_embedding(row)
    };
    let rows: Vec<Node> = embeddings.into_iter().enumerate().map(row).collect();
    let store = SimpleVectorStore::new();
    store.add(&rows).await?;
    let found = store.query(&VectorStoreQuery::new(embedding).with_top_k(top_k)).await?;
    let mut nodes: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    let at = |id: &PyString| id.to_str().and_then(|id| id.parse::<usize>().ok());
    let found = found.ids.iter().zip(found.similarities);
    Ok(found
        .filter_map(|(id, score)| {
            let node = nodes.get_mut(at(id)?)?.take()?;
            Some(NodeWithScore { node, score: Some(score) })
        })
        .collect())
}

/// A position as an id that is in the same order.
fn position(at: usize) -> String {
    format!("{at:020}")
}
