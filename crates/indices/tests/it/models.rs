//! Models that the tests use, and indexes of all kinds that use them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt, iter};
use indices::{
    DocumentSummaryIndex, Embedder, HashEmbedder, Index, KeywordExtractor, KeywordTableIndex, Llm, ModelError,
    MultiModalVectorStoreIndex, Result, SummaryIndex, TreeIndex, VectorStoreIndex,
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

/// A language model that keeps the prompts it gets, answers by a script, streams word by word, and fails at one call.
#[derive(Debug, Clone)]
pub(crate) struct TestLlm {
    answer: fn(usize, &str) -> String,
    window: usize,
    fails_at: usize,
    prompts: Arc<Mutex<Vec<String>>>,
    /// How many prompts were streamed.
    streamed: Arc<AtomicUsize>,
    /// Who holds a stream of it, beside itself.
    pub(crate) streams: Arc<()>,
}

impl TestLlm {
    /// Answers `answer 0`, `answer 1` and so on.
    pub(crate) fn counting() -> Self {
        Self::new(|n, _| format!(" answer {n}\n"))
    }

    /// Answers with the number of the call and the prompt.
    pub(crate) fn new(answer: fn(usize, &str) -> String) -> Self {
        let (prompts, streamed, streams) = Default::default();
        Self { answer, window: 12_000, fails_at: usize::MAX, prompts, streamed, streams }
    }

    pub(crate) fn window(self, window: usize) -> Self {
        Self { window, ..self }
    }

    pub(crate) fn failing_at(self, fails_at: usize) -> Self {
        Self { fails_at, ..self }
    }

    pub(crate) fn prompts(&self) -> Vec<String> {
        self.prompts.lock().unwrap().clone()
    }

    pub(crate) fn streamed(&self) -> usize {
        self.streamed.load(Ordering::SeqCst)
    }

    fn answer(&self, prompt: &str) -> (String, bool) {
        assert!(prompt.len() <= self.window, "a prompt of {} bytes", prompt.len());
        let mut prompts = self.prompts.lock().unwrap();
        let n = prompts.len();
        prompts.push(prompt.to_owned());
        ((self.answer)(n, prompt), n == self.fails_at)
    }
}

#[async_trait]
impl Llm for TestLlm {
    fn model_name(&self) -> &str {
        "scripted"
    }

    fn context_window(&self) -> usize {
        self.window
    }

    async fn complete(&self, prompt: &str) -> Result<String, ModelError> {
        match self.answer(prompt) {
            (_, true) => Err("the line is cut".into()),
            (answer, false) => Ok(answer),
        }
    }

    /// Fails after the first piece.
    async fn stream_complete(
        &self,
        prompt: &str,
    ) -> Result<BoxStream<'static, Result<String, ModelError>>, ModelError> {
        self.streamed.fetch_add(1, Ordering::SeqCst);
        let (answer, fails) = self.answer(prompt);
        let mut pieces: Vec<Result<String, ModelError>> =
            answer.split_inclusive(' ').map(|piece| Ok(piece.to_owned())).collect();
        if fails {
            pieces.insert(1.min(pieces.len()), Err("the line is cut".into()));
        }
        let held = Arc::clone(&self.streams);
        Ok(iter(pieces)
            .map(move |piece| {
                let _ = &held;
                piece
            })
            .boxed())
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
