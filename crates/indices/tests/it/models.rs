//! Models that the tests use, and indexes of all kinds that use them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use indices::{
    DocumentSummaryIndex, Embedder, HashEmbedder, Index, KeywordTableIndex, ModelError, MultiModalVectorStoreIndex,
    Result, SummaryIndex, TreeIndex, VectorStoreIndex,
};
use schema::Node;
use storage_context::StorageContext;

use crate::tree::Words;

/// Counts the texts it embeds, has any name, and fails at one call.
#[derive(Debug, Clone)]
pub(crate) struct TestEmbedder {
    pub(crate) name: &'static str,
    pub(crate) inner: HashEmbedder,
    pub(crate) texts: Arc<AtomicUsize>,
    pub(crate) calls: Arc<AtomicUsize>,
    pub(crate) fails_at: usize,
}

impl TestEmbedder {
    pub(crate) fn new(name: &'static str, dimensions: usize) -> Self {
        let inner = HashEmbedder::new(dimensions);
        Self { name, inner, texts: Arc::default(), calls: Arc::default(), fails_at: usize::MAX }
    }

    pub(crate) fn texts(&self) -> usize {
        self.texts.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Embedder for TestEmbedder {
    fn model_name(&self) -> &str {
        self.name
    }

    fn dimensions(&self) -> Option<usize> {
        self.inner.dimensions()
    }

    async fn embed_texts(&self, texts: &[String]) -> Result<Vec<Vec<f64>>, ModelError> {
        if self.calls.fetch_add(1, Ordering::SeqCst) == self.fails_at {
            return Err("the model is out of order".into());
        }
        self.texts.fetch_add(texts.len(), Ordering::SeqCst);
        self.inner.embed_texts(texts).await
    }
}

/// The kinds of index that nodes are all there is to.
pub(crate) const KINDS: [&str; 6] = ["vector", "summary", "keyword", "document summary", "tree", "multi-modal"];

/// Builds an index of a kind from documents.
pub(crate) async fn build(
    ctx: &StorageContext,
    kind: &str,
    id: &str,
    (embedder, llm): (TestEmbedder, Words),
    documents: Vec<Node>,
) -> Result<Index> {
    Ok(match kind {
        "vector" => VectorStoreIndex::builder(ctx).id(id).embedder(embedder).from_documents(documents).await?.into(),
        "summary" => SummaryIndex::builder(ctx).id(id).from_documents(documents).await?.into(),
        "keyword" => KeywordTableIndex::builder(ctx).id(id).from_documents(documents).await?.into(),
        "document summary" => {
            let builder = DocumentSummaryIndex::builder(ctx).id(id).embedder(embedder).llm(llm);
            builder.from_documents(documents).await?.into()
        }
        "tree" => TreeIndex::builder(ctx).id(id).num_children(2).llm(llm).from_documents(documents).await?.into(),
        _ => {
            let builder = MultiModalVectorStoreIndex::builder(ctx).id(id).embedder(embedder);
            builder.from_documents(documents).await?.into()
        }
    })
}
