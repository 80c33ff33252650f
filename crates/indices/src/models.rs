//! Models, as far as indexes need them. Nothing here constructs one.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt, once};

/// What a model reports when it fails.
pub type ModelError = Box<dyn std::error::Error + Send + Sync>;

/// Makes embeddings of texts.
#[async_trait]
pub trait Embedder: Debug + Send + Sync + 'static {
    /// The model's name. It is recorded with an index, so that another model's embeddings never get mixed in.
    fn model_name(&self) -> &str;

    /// How many numbers its embeddings have, if that is known before it is asked.
    fn dimensions(&self) -> Option<usize>;

    /// Embeds texts to be found, one embedding for each, in order.
    ///
    /// # Errors
    /// If the model fails. No text is left out.
    async fn embed_texts(&self, texts: &[String]) -> Result<Vec<Vec<f64>>, ModelError>;

    /// Embeds one text to be found.
    ///
    /// # Errors
    /// As [`embed_texts`](Self::embed_texts).
    async fn embed_text(&self, text: &str) -> Result<Vec<f64>, ModelError> {
        let embeddings = self.embed_texts(&[text.to_owned()]).await?;
        embeddings.into_iter().next().ok_or_else(|| "the model returned no embedding".into())
    }

    /// Embeds a question. Some models embed questions in another way than what is to be found.
    ///
    /// # Errors
    /// As [`embed_texts`](Self::embed_texts).
    async fn embed_query(&self, query: &str) -> Result<Vec<f64>, ModelError> {
        self.embed_text(query).await
    }
}

#[async_trait]
impl<E: Embedder + ?Sized> Embedder for Arc<E> {
    fn model_name(&self) -> &str {
        (**self).model_name()
    }

    fn dimensions(&self) -> Option<usize> {
        (**self).dimensions()
    }

    async fn embed_texts(&self, texts: &[String]) -> Result<Vec<Vec<f64>>, ModelError> {
        (**self).embed_texts(texts).await
    }

    async fn embed_text(&self, text: &str) -> Result<Vec<f64>, ModelError> {
        (**self).embed_text(text).await
    }

    async fn embed_query(&self, query: &str) -> Result<Vec<f64>, ModelError> {
        (**self).embed_query(query).await
    }
}

/// A language model.
#[async_trait]
pub trait Llm: Debug + Send + Sync + 'static {
    /// The model's name, for messages.
    fn model_name(&self) -> &str;

    /// How long a prompt may be, in bytes, without the answer; 12,000 by default. A token is three or four bytes in
    /// most models and languages. Prompts for answers and summaries are never longer. Those that have one whole node in
    /// them, to find what is in it or where it belongs, may be: nodes are as long as their splitter makes them.
    fn context_window(&self) -> usize {
        12_000
    }

    /// Completes a prompt.
    ///
    /// # Errors
    /// If the model fails.
    async fn complete(&self, prompt: &str) -> Result<String, ModelError>;

    /// Completes a prompt piece by piece. By default there is one piece.
    ///
    /// # Errors
    /// If the model fails, before the first piece or, within the stream, later.
    async fn stream_complete(
        &self,
        prompt: &str,
    ) -> Result<BoxStream<'static, Result<String, ModelError>>, ModelError> {
        let whole = self.complete(prompt).await?;
        Ok(once(async { Ok(whole) }).boxed())
    }
}

#[async_trait]
impl<L: Llm + ?Sized> Llm for Arc<L> {
    fn model_name(&self) -> &str {
        (**self).model_name()
    }

    fn context_window(&self) -> usize {
        (**self).context_window()
    }

    async fn complete(&self, prompt: &str) -> Result<String, ModelError> {
        (**self).complete(prompt).await
    }

    async fn stream_complete(
        &self,
        prompt: &str,
    ) -> Result<BoxStream<'static, Result<String, ModelError>>, ModelError> {
        (**self).stream_complete(prompt).await
    }
}
