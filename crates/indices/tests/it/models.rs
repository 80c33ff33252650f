//! Models that the tests use.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use indices::{Embedder, HashEmbedder, ModelError};

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
