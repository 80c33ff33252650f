use async_trait::async_trait;
use indexmap::IndexMap;
use indexstore::IndexStructData;
use raw_json::PyString;
use schema::Node;

use crate::identity::cosine;
use crate::retriever::{NodeWithScore, QueryBundle, Retriever, best_first, unscored};
use crate::{IndexHandle, Result, TreeIndex};

impl TreeIndex {
    /// Finds all nodes, summaries too, in the order of their indices: LlamaIndex's `all_leaf`.
    pub fn all_leaf_retriever(&self) -> TreeRetriever {
        TreeRetriever { index: (**self).clone(), part: Part::All }
    }

    /// Finds the nodes at the top.
    pub fn root_retriever(&self) -> TreeRetriever {
        TreeRetriever { index: (**self).clone(), part: Part::Root }
    }

    /// Goes down from the top, each time to the nodes nearest to a question, and finds the leaves it comes to.
    pub fn select_leaf_embedding_retriever(&self) -> TreeSelectLeafRetriever {
        TreeSelectLeafRetriever { index: (**self).clone(), child_branch_factor: 1 }
    }
}

/// Finds one part of a [`TreeIndex`], without scores.
#[derive(Debug, Clone)]
pub struct TreeRetriever {
    index: IndexHandle,
    part: Part,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    All,
    Root,
}

#[async_trait]
impl Retriever for TreeRetriever {
    async fn retrieve_bundle(&self, query: &QueryBundle) -> Result<Vec<NodeWithScore>> {
        let index_struct = self.index.index_struct();
        let IndexStructData::Tree(graph) = &index_struct.data else { return Ok(Vec::new()) };
        let ids = match self.part {
            Part::All => in_order(graph.all_nodes.iter()),
            Part::Root => in_order(graph.root_nodes.iter()),
        };
        let nodes = self.index.fetch(&ids).await?;
        self.index.finish(query, unscored(nodes)).await
    }
}

/// Finds leaves of a [`TreeIndex`] by going down from the top to what is nearest to a question. Nodes that are stored
/// without an embedding are embedded for it.
#[derive(Debug, Clone)]
pub struct TreeSelectLeafRetriever {
    index: IndexHandle,
    child_branch_factor: usize,
}

impl TreeSelectLeafRetriever {
    /// To how many nodes of each level it goes; 1 by default.
    #[must_use]
    pub fn child_branch_factor(mut self, factor: usize) -> Self {
        self.child_branch_factor = factor;
        self
    }
}

#[async_trait]
impl Retriever for TreeSelectLeafRetriever {
    async fn retrieve_bundle(&self, query: &QueryBundle) -> Result<Vec<NodeWithScore>> {
        let index_struct = self.index.index_struct();
        let IndexStructData::Tree(graph) = &index_struct.data else { return Ok(Vec::new()) };
        let places: IndexMap<&PyString, i64> = graph.all_nodes.iter().map(|(at, id)| (id, *at)).collect();
        let mut level = in_order(graph.root_nodes.iter());
        let mut embedding = None;
        // A damaged struct may have a circle in it.
        for _ in 0..=graph.all_nodes.len() {
            let mut nodes = self.index.fetch(&level).await?;
            if nodes.len() > self.child_branch_factor {
                let embedding = match &embedding {
                    Some(known) => known,
                    None => embedding.insert(query.embedding_for(&self.index).await?),
                };
                nodes = self.select(embedding, nodes).await?;
            }
            let below = |node: &Node| graph.node_id_to_children_ids.get(&node.id).filter(|below| !below.is_empty());
            if nodes.iter().all(|node| below(node).is_none()) {
                return self.index.finish(query, unscored(nodes)).await;
            }
            // A leaf that was chosen beside summaries stays where it is. LlamaIndex drops it.
            let next = nodes.iter().flat_map(|node| match below(node) {
                Some(below) => below.iter().collect(),
                None => vec![&node.id],
            });
            let next: Vec<(i64, &PyString)> = next.filter_map(|id| places.get(id).map(|at| (*at, id))).collect();
            level = in_order(next.iter().map(|(at, id)| (at, *id)));
        }
        Ok(Vec::new())
    }
}

impl TreeSelectLeafRetriever {
    /// The nodes nearest to the question. Equally near ones keep their order.
    async fn select(&self, embedding: &[f64], nodes: Vec<Node>) -> Result<Vec<Node>> {
        let embeddings = self.index.embeddings_of(&nodes, embedding).await?;
        let similarities = embeddings.iter().map(|of_node| cosine(embedding, of_node));
        let mut ranked: Vec<(f64, Node)> = similarities.zip(nodes).collect();
        ranked.sort_by(|(a, _), (b, _)| best_first(*a, *b));
        Ok(ranked.into_iter().take(self.child_branch_factor).map(|(_, node)| node).collect())
    }
}

/// Node ids in the order of their indices.
fn in_order<'a>(nodes: impl Iterator<Item = (&'a i64, &'a PyString)>) -> Vec<PyString> {
    let mut nodes: Vec<_> = nodes.collect();
    nodes.sort_by_key(|(at, _)| **at);
    nodes.into_iter().map(|(_, id)| id.clone()).collect()
}
