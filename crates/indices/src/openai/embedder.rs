use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{StreamExt, TryStreamExt, iter};
use raw_json::{Object, Value};

use super::connection::{Answer, Connection};
use super::{OpenAiError, embeddings};
use crate::{Embedder, ModelError};

/// Embeds texts with a model behind an OpenAI-compatible interface; [`OpenAi::embedder`](super::OpenAi::embedder) makes
/// it.
///
/// Texts are sent as they are, in batches, several at a time. An answer that lacks an embedding or has one too many, or
/// numbers that are none, or another number of them, is an error. If one batch fails, so does everything, and those
/// that are under way are cancelled. A clone is another handle on the same model.
#[derive(Debug, Clone)]
pub struct OpenAiEmbedder {
    connection: Arc<Connection>,
    dimensions: Option<usize>,
    as_base64: bool,
    batch_texts: usize,
    batch_bytes: usize,
}

const PATH: &[&str] = &["embeddings"];

impl OpenAiEmbedder {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self { connection, dimensions: None, as_base64: false, batch_texts: 100, batch_bytes: 256 << 10 }
    }

    /// Asks for embeddings of so many numbers, which some models can make, and refuses all others.
    #[must_use]
    pub fn with_dimensions(mut self, dimensions: usize) -> Self {
        self.dimensions = Some(dimensions);
        self
    }

    /// Asks for embeddings as base64, which is a third as long and exact; not every service can. The numbers are then
    /// those that OpenAI's own Python library, and LlamaIndex with it, has.
    #[must_use]
    pub fn with_base64(mut self) -> Self {
        self.as_base64 = true;
        self
    }

    /// How many texts, and how many bytes of them, are sent at once at most; 100 texts and 256 KiB by default. A longer
    /// text is sent alone. 0 is taken as 1.
    #[must_use]
    pub fn with_batches(mut self, texts: usize, bytes: usize) -> Self {
        (self.batch_texts, self.batch_bytes) = (texts.max(1), bytes.max(1));
        self
    }

    async fn embed_batch(&self, texts: &[String]) -> Result<Vec<Vec<f64>>, OpenAiError> {
        let text = |text: &String| Value::String(text.as_str().into());
        let mut request = Object::new();
        request.insert("model".into(), Value::String(self.connection.model.as_str().into()));
        request.insert("input".into(), Value::Array(texts.iter().map(text).collect()));
        if let Some(dimensions) = self.dimensions {
            request.insert("dimensions".into(), Value::Int(i64::try_from(dimensions).unwrap_or(i64::MAX)));
        }
        if self.as_base64 {
            request.insert("encoding_format".into(), Value::String("base64".into()));
        }
        let read = match self.connection.ask(PATH, &Value::Object(request)).await? {
            Answer::Whole(answer) => embeddings::read(&answer, texts.len(), self.dimensions),
            Answer::Events(_) => Err("it comes piece by piece".to_owned()),
        };
        read.map_err(|problem| self.connection.unfit(PATH, problem, b""))
    }
}

#[async_trait]
impl Embedder for OpenAiEmbedder {
    fn model_name(&self) -> &str {
        &self.connection.model
    }

    fn dimensions(&self) -> Option<usize> {
        self.dimensions
    }

    async fn embed_texts(&self, texts: &[String]) -> Result<Vec<Vec<f64>>, ModelError> {
        let batches = batches(texts, self.batch_texts, self.batch_bytes);
        let asked = batches.into_iter().map(|batch| self.embed_batch(&texts[batch]));
        let embedded: Vec<Vec<Vec<f64>>> = iter(asked).buffered(self.connection.concurrency).try_collect().await?;
        let embedded: Vec<Vec<f64>> = embedded.into_iter().flatten().collect();
        embeddings::check_dimensions(&embedded, self.dimensions)
            .map_err(|problem| self.connection.unfit(PATH, problem, b""))?;
        Ok(embedded)
    }
}

/// Divides texts into runs of so many texts and bytes at most, or of one text.
fn batches(texts: &[String], most: usize, most_bytes: usize) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0_usize;
    for (at, text) in texts.iter().enumerate() {
        bytes = bytes.saturating_add(text.len());
        match batches.last_mut() {
            Some(batch) if batch.len() < most && bytes <= most_bytes => batch.end = at + 1,
            _ => {
                batches.push(at..at + 1);
                bytes = text.len();
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_bounded_in_count_and_bytes() {
        let check = |lengths: &[usize], expected: &[Range<usize>]| {
            let texts: Vec<String> = lengths.iter().map(|length| "x".repeat(*length)).collect();
            assert_eq!(batches(&texts, 3, 10), expected, "{lengths:?}");
        };
        check(&[], &[]);
        check(&[1, 1, 1, 1], &[0..3, 3..4]);
        check(&[5, 5, 1], &[0..2, 2..3]);
        check(&[50, 50, 1, 9, 1], &[0..1, 1..2, 2..4, 4..5]);
        check(&[0, 0, 0, 0], &[0..3, 3..4]);
    }
}
