use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt, once, unfold};
use raw_json::{Object, PyString, Value};
use reqwest::Response;

use super::OpenAiError;
use super::connection::{Answer, Connection, error_message, json};
use super::events::Events;
use crate::{Llm, ModelError};

/// Asks a language model behind an OpenAI-compatible interface, by chat completions;
/// [`OpenAi::llm`](super::OpenAi::llm) makes it.
///
/// A prompt is sent as one message of the user. An answer is streamed as the server streams it; whoever drops the
/// stream closes the connection. A stream that ends before the model said that it has finished is an error. If the
/// model stopped for another reason than that it was done, a warning is logged. A clone is another handle on the same
/// model.
#[derive(Debug, Clone)]
pub struct OpenAiLlm {
    connection: Arc<Connection>,
    context_window: usize,
    system_prompt: Option<String>,
    fields: Object,
}

const PATH: &[&str] = &["chat", "completions"];

impl OpenAiLlm {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self { connection, context_window: 12_000, system_prompt: None, fields: Object::new() }
    }

    /// How long a prompt may be, in bytes, without the answer; 12,000 by default.
    #[must_use]
    pub fn with_context_window(mut self, bytes: usize) -> Self {
        self.context_window = bytes;
        self
    }

    /// What the model is told before each prompt.
    #[must_use]
    pub fn with_system_prompt(mut self, prompt: impl Into<String>) -> Self {
        self.system_prompt = Some(prompt.into());
        self
    }

    /// Sends another field with each request, such as `temperature` or `max_tokens`.
    #[must_use]
    pub fn with_field(mut self, name: impl Into<PyString>, value: Value) -> Self {
        self.fields.insert(name.into(), value);
        self
    }

    fn request(&self, prompt: &str, stream: bool) -> Value {
        let text = |text: &str| Value::String(text.into());
        let message = |role: &str, content: &str| {
            Value::Object(Object::from_iter([("role".into(), text(role)), ("content".into(), text(content))]))
        };
        let system = self.system_prompt.iter().map(|prompt| message("system", prompt));
        let mut request = self.fields.clone();
        request.insert("model".into(), text(&self.connection.model));
        request.insert("messages".into(), Value::Array(system.chain([message("user", prompt)]).collect()));
        request.insert("stream".into(), Value::Bool(stream));
        Value::Object(request)
    }

    /// The text of a whole answer.
    fn read(&self, answer: &Value) -> Result<String, OpenAiError> {
        let choice = answer.get("choices").and_then(Value::as_array).and_then(|choices| choices.first());
        let Some(choice) = choice else {
            return Err(self.connection.unfit(PATH, "it has no list 'choices' with something in it", b""));
        };
        self.connection.note_end(choice);
        let message = choice.get("message");
        match message.and_then(|message| message.get("content")).and_then(Value::as_str) {
            Some(text) => Ok(text.to_string_lossy().into_owned()),
            None => {
                let refusal = message.and_then(|message| message.get("refusal")).and_then(Value::as_str);
                let why = match (refusal, choice.get("finish_reason")) {
                    (Some(refusal), _) => format!("the model refuses: {refusal}"),
                    (None, Some(reason)) => format!("it has no text; the model stopped for the reason {reason}"),
                    (None, None) => "it has no text".to_owned(),
                };
                Err(self.connection.unfit(PATH, why, b""))
            }
        }
    }
}

impl Connection {
    /// Logs that an answer is not whole.
    fn note_end(&self, choice: &Value) {
        let reason = choice.get("finish_reason").and_then(Value::as_str);
        if let Some(reason) = reason.filter(|reason| **reason != *"stop") {
            tracing::warn!(model = %self.model, %reason, "the model's answer is not whole");
        }
    }
}

#[async_trait]
impl Llm for OpenAiLlm {
    fn model_name(&self) -> &str {
        &self.connection.model
    }

    fn context_window(&self) -> usize {
        self.context_window
    }

    async fn complete(&self, prompt: &str) -> Result<String, ModelError> {
        match self.connection.ask(PATH, &self.request(prompt, false)).await? {
            Answer::Whole(answer) => Ok(self.read(&answer)?),
            Answer::Events(_) => Err(self.connection.unfit(PATH, "it comes piece by piece", b"").into()),
        }
    }

    async fn stream_complete(
        &self,
        prompt: &str,
    ) -> Result<BoxStream<'static, Result<String, ModelError>>, ModelError> {
        match self.connection.ask(PATH, &self.request(prompt, true)).await? {
            Answer::Whole(answer) => {
                let whole = self.read(&answer)?;
                Ok(once(async { Ok(whole) }).boxed())
            }
            Answer::Events(response) => {
                let (events, pieces) = Default::default();
                let stream = Pieces {
                    connection: Arc::clone(&self.connection),
                    response: Some(response),
                    events,
                    pieces,
                    is_finished: false,
                };
                Ok(unfold(stream, Pieces::next).boxed())
            }
        }
    }
}

/// An answer that is on its way.
struct Pieces {
    connection: Arc<Connection>,
    /// `None` as soon as nothing more is read.
    response: Option<Response>,
    events: Events,
    /// What has come and was not handed out.
    pieces: VecDeque<Result<String, OpenAiError>>,
    /// Whether the model said that it has finished.
    is_finished: bool,
}

impl Pieces {
    async fn next(mut self) -> Option<(Result<String, ModelError>, Self)> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Some((piece.map_err(Into::into), self));
            }
            let read = self.connection.next_bytes(self.response.as_mut()?).await;
            if let Err(error) = read.and_then(|bytes| self.take(bytes)) {
                self.response = None;
                self.pieces.push_back(Err(error));
            }
        }
    }

    /// Takes the next bytes, or the end.
    fn take(&mut self, bytes: Option<Vec<u8>>) -> Result<(), OpenAiError> {
        let events = match &bytes {
            Some(bytes) => self.events.push(bytes),
            None => Some(self.events.finish().into_iter().collect()),
        };
        let events = events.ok_or_else(|| self.connection.unfit(PATH, "a piece of it never ends", b""))?;
        for event in events {
            if event.trim_ascii() == b"[DONE]" {
                self.response = None;
                return Ok(());
            }
            self.take_event(&event)?;
        }
        if bytes.is_none() {
            self.response = None;
            if !self.is_finished {
                return Err(self.connection.unfit(PATH, "it was cut off before the model had finished", b""));
            }
        }
        Ok(())
    }

    fn take_event(&mut self, event: &[u8]) -> Result<(), OpenAiError> {
        let piece = json(event.to_vec()).map_err(|problem| self.connection.unfit(PATH, problem, event))?;
        if piece.get("error").is_some_and(|error| !error.is_null()) {
            let message = error_message(&piece).unwrap_or_default();
            return Err(self.connection.unfit(PATH, "the model failed within its answer", message.as_bytes()));
        }
        // Pieces without a choice tell of other things, such as how much was used.
        let choice = piece.get("choices").and_then(Value::as_array).and_then(|choices| choices.first());
        let Some(choice) = choice else { return Ok(()) };
        if choice.get("finish_reason").is_some_and(|reason| !reason.is_null()) {
            self.connection.note_end(choice);
            self.is_finished = true;
        }
        let text = choice.get("delta").and_then(|delta| delta.get("content")).and_then(Value::as_str);
        self.pieces.extend(text.filter(|text| !text.is_empty()).map(|text| Ok(text.to_string_lossy().into_owned())));
        Ok(())
    }
}
