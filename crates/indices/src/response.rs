use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::stream::{BoxStream, StreamExt, iter, unfold};
use raw_json::{Object, Value};

use crate::summarize::{LastPrompt, failed};
use crate::{Llm, ModelError, NodeWithScore, Result};

/// The answer where there is nothing to answer from: LlamaIndex's.
pub(crate) const EMPTY: &str = "Empty Response";

/// An answer, and what it comes from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Response {
    /// The answer.
    pub response: String,
    /// The nodes that were found, in the order in which they were read, and behind them those that the answers among
    /// them come from.
    pub source_nodes: Vec<NodeWithScore>,
}

impl Response {
    /// The metadata of the source nodes, by node id.
    pub fn metadata(&self) -> Object {
        self.source_nodes
            .iter()
            .map(|found| (found.node.id.clone(), Value::Object(found.node.metadata.clone())))
            .collect()
    }

    /// The source nodes to be read by people: for each its id and its text, which is shortened to so many characters.
    pub fn get_formatted_sources(&self, length: usize) -> String {
        let told = self.source_nodes.iter().map(|found| {
            let text = found.node.text_content();
            let text = text.to_string_lossy();
            format!("> {}: {}", found.node.id, shortened(text.trim(), length))
        });
        told.collect::<Vec<_>>().join("\n\n")
    }
}

/// The answer alone.
impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.response)
    }
}

fn shortened(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        None => text.to_owned(),
        Some(_) => text.chars().take(length.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// An answer that comes piece by piece, as the model gives it, and what it comes from.
///
/// It is a stream of its pieces. An error is the last thing in it. Whoever drops it cancels the rest of the answer.
pub struct StreamingResponse {
    /// The source nodes, as in [`Response`].
    pub source_nodes: Vec<NodeWithScore>,
    pieces: BoxStream<'static, Result<String>>,
}

impl StreamingResponse {
    /// An answer that is known already, in one piece.
    pub fn whole(response: Response) -> Self {
        let Response { response, source_nodes } = response;
        Self { source_nodes, pieces: iter([Ok(response)]).boxed() }
    }

    /// Asks the last question.
    pub(crate) async fn ask(llm: Arc<dyn Llm>, last: LastPrompt, source_nodes: Vec<NodeWithScore>) -> Result<Self> {
        let pieces = llm.stream_complete(&last.prompt).await.map_err(|source| failed(&*llm, source))?;
        let state = Pieces { llm, pieces: Some(pieces), answered: false, before: last.before };
        Ok(Self { source_nodes, pieces: unfold(state, Pieces::next).fuse().boxed() })
    }

    /// The next piece, or `None` after the last, however often it is asked for.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) if the model fails.
    pub async fn next(&mut self) -> Option<Result<String>> {
        self.pieces.next().await
    }

    /// Waits for all pieces and puts them together.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn into_response(mut self) -> Result<Response> {
        let mut response = String::new();
        while let Some(piece) = self.next().await {
            response.push_str(&piece?);
        }
        Ok(Response { response: response.trim().to_owned(), source_nodes: self.source_nodes })
    }
}

impl Stream for StreamingResponse {
    type Item = Result<String>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pieces.poll_next_unpin(context)
    }
}

impl fmt::Debug for StreamingResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamingResponse").field("source_nodes", &self.source_nodes).finish_non_exhaustive()
    }
}

/// What a model has still to say.
struct Pieces {
    llm: Arc<dyn Llm>,
    /// `None` at the end.
    pieces: Option<BoxStream<'static, Result<String, ModelError>>>,
    /// Whether it has said anything.
    answered: bool,
    before: Option<String>,
}

impl Pieces {
    async fn next(mut self) -> Option<(Result<String>, Self)> {
        match self.pieces.as_mut()?.next().await {
            Some(Ok(piece)) => {
                self.answered |= !piece.trim().is_empty();
                Some((Ok(piece), self))
            }
            Some(Err(source)) => {
                self.pieces = None;
                Some((Err(failed(&*self.llm, source)), self))
            }
            None if self.answered => None,
            None => {
                self.pieces = None;
                Some((Ok(or_before(String::new(), self.before.take())), self))
            }
        }
    }
}

/// The answer, or the one before if there is none.
pub(crate) fn or_before(answer: String, before: Option<String>) -> String {
    match answer.is_empty() {
        true => before.unwrap_or_else(|| EMPTY.to_owned()),
        false => answer,
    }
}
