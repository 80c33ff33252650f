//! Models that the tests use.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use indices::{Embedder, HashEmbedder, KeywordExtractor, Llm, ModelError};

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

/// Embeds by a sum over the bytes of a text, as LlamaIndex was made to do when it answered what these tests expect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SumEmbedder;

#[async_trait]
impl Embedder for SumEmbedder {
    fn model_name(&self) -> &str {
        "sum"
    }

    fn dimensions(&self) -> Option<usize> {
        Some(4)
    }

    async fn embed_texts(&self, texts: &[String]) -> Result<Vec<Vec<f64>>, ModelError> {
        let number = |text: &str, j: usize| {
            let sum: usize = text.bytes().enumerate().map(|(i, byte)| usize::from(byte) * (i + 1) * (j + 3)).sum();
            (sum % 97) as f64 / 97.0 - 0.5
        };
        Ok(texts.iter().map(|text| (0..4).map(|j| number(text, j)).collect()).collect())
    }
}

/// The keywords of every text.
#[derive(Debug, Clone)]
pub(crate) struct Keywords(pub(crate) Vec<String>);

#[async_trait]
impl KeywordExtractor for Keywords {
    async fn extract(&self, _text: &str, max: usize) -> Result<Vec<String>, ModelError> {
        Ok(self.0.iter().take(max).cloned().collect())
    }
}

/// Gives one answer to everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer(pub(crate) &'static str);

#[async_trait]
impl Llm for Answer {
    fn model_name(&self) -> &str {
        "answer"
    }

    async fn complete(&self, _prompt: &str) -> Result<String, ModelError> {
        Ok(self.0.to_owned())
    }
}
