use async_trait::async_trait;

use crate::retriever::{NodeWithScore, QueryBundle, Retriever};
use crate::{Embedder, Index, Result};

impl Index {
    /// Finds nodes as this kind of index does by default: a vector store index those nearest to a question, a summary
    /// index all, a keyword table those with most of its keywords, a document summary index those of the nearest
    /// summary, a tree the leaf it comes to from the top, a knowledge graph the triplets around its keywords and the
    /// nodes they come from, a property graph what is known around the nearest entities, an empty index none.
    pub fn as_retriever(&self) -> IndexRetriever {
        IndexRetriever { index: self.clone(), top_k: None }
    }

    /// The same with this embedder.
    pub fn retriever(&self, embedder: impl Embedder) -> IndexRetriever {
        self.clone().with_embedder(embedder).as_retriever()
    }
}

/// Finds nodes as an index of its kind does by default.
#[derive(Debug, Clone)]
pub struct IndexRetriever {
    index: Index,
    top_k: Option<i64>,
}

impl IndexRetriever {
    /// How many nodes are found; by a document summary index, of how many documents; by a tree, on each level; by a
    /// property graph, around how many entities. A summary index finds the nearest ones then, instead of all. Without
    /// it, there are as many as the kind finds by default.
    ///
    /// A negative number stands for none. 0 stands for all where embeddings are compared in one go, as in LlamaIndex,
    /// and for none in a keyword table, a tree and a knowledge graph. A knowledge graph tells its triplets anyway.
    #[must_use]
    pub fn top_k(mut self, top_k: i64) -> Self {
        self.top_k = Some(top_k);
        self
    }
}

#[async_trait]
impl Retriever for IndexRetriever {
    async fn retrieve_bundle(&self, query: &QueryBundle) -> Result<Vec<NodeWithScore>> {
        match (&self.index, self.top_k) {
            (Index::VectorStore(index), None) => index.as_retriever().retrieve_bundle(query).await,
            (Index::VectorStore(index), top_k) => index.as_retriever().top_k(top_k).retrieve_bundle(query).await,
            (Index::Summary(index), None) => index.as_retriever().retrieve_bundle(query).await,
            (Index::Summary(index), top_k) => index.embedding_retriever().top_k(top_k).retrieve_bundle(query).await,
            (Index::MultiModal(index), None) => index.as_retriever().retrieve_bundle(query).await,
            (Index::MultiModal(index), top_k) => index.as_retriever().top_k(top_k).retrieve_bundle(query).await,
            (Index::DocumentSummary(index), None) => index.as_retriever().retrieve_bundle(query).await,
            (Index::DocumentSummary(index), top_k) => index.as_retriever().top_k(top_k).retrieve_bundle(query).await,
            (Index::KeywordTable(index), top_k) => {
                let top_k = top_k.map_or(10, |top_k| usize::try_from(top_k).unwrap_or(0));
                index.as_retriever().top_k(top_k).retrieve_bundle(query).await
            }
            (Index::Tree(index), top_k) => {
                let factor = top_k.map_or(1, |top_k| usize::try_from(top_k).unwrap_or(0));
                index.select_leaf_embedding_retriever().child_branch_factor(factor).retrieve_bundle(query).await
            }
            (Index::PropertyGraph(index), None) => index.vector_context_retriever().retrieve_bundle(query).await,
            (Index::PropertyGraph(index), top_k) => {
                index.vector_context_retriever().top_k(top_k).retrieve_bundle(query).await
            }
            (Index::KnowledgeGraph(index), top_k) => {
                let top_k = top_k.map_or(10, |top_k| usize::try_from(top_k).unwrap_or(0));
                index.as_retriever().chunks(top_k).retrieve_bundle(query).await
            }
            (Index::Empty(_), _) => Ok(Vec::new()),
            (other, _) => Err(other.unsupported("find nodes", "ask the stores of its context")),
        }
    }
}
