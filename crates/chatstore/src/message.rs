use raw_json::{Object, PyString, Value};

/// One message of a conversation.
///
/// What a file has beside the known fields stays in [`extra`](Self::extra).
#[derive(Debug, Clone, PartialEq)]
pub struct ChatMessage {
    /// Who said it: `system`, `developer`, `user`, `assistant`, `function`, `tool`, `chatbot` or `model`. Other roles
    /// are kept, though Python does not read them.
    pub role: PyString,
    /// What was said, piece by piece.
    pub blocks: Vec<ContentBlock>,
    /// Whatever else a model gives or takes with it, such as tool calls.
    pub additional_kwargs: Object,
    /// The fields of its JSON that LlamaIndex does not know.
    pub extra: Object,
}

impl ChatMessage {
    /// A message without content.
    pub fn new(role: impl Into<PyString>) -> Self {
        Self { role: role.into(), blocks: Vec::new(), additional_kwargs: Object::new(), extra: Object::new() }
    }

    /// A text from the user.
    pub fn user(text: impl Into<PyString>) -> Self {
        Self::new("user").with_block(ContentBlock::text(text))
    }

    /// A text from the model.
    pub fn assistant(text: impl Into<PyString>) -> Self {
        Self::new("assistant").with_block(ContentBlock::text(text))
    }

    /// A text that instructs the model.
    pub fn system(text: impl Into<PyString>) -> Self {
        Self::new("system").with_block(ContentBlock::text(text))
    }

    /// Appends a block.
    pub fn with_block(mut self, block: ContentBlock) -> Self {
        self.blocks.push(block);
        self
    }

    /// Sets one of the [`additional_kwargs`](Self::additional_kwargs).
    pub fn with_kwarg(mut self, key: impl Into<PyString>, value: impl Into<Value>) -> Self {
        self.additional_kwargs.insert(key.into(), value.into());
        self
    }

    /// The texts of its text blocks, one a line; `None` if it has none.
    pub fn content(&self) -> Option<PyString> {
        let line_end = PyString::from("\n");
        let mut parts = Vec::new();
        for text in self.blocks.iter().filter_map(ContentBlock::as_text) {
            parts.extend([&line_end, text]);
        }
        // The first part is the line end before the first text.
        (!parts.is_empty()).then(|| PyString::concat(parts.into_iter().skip(1)))
    }
}

/// One piece of a message: an object with a `block_type`, which says what else it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentBlock(Object);

impl ContentBlock {
    /// A piece of text.
    pub fn text(text: impl Into<PyString>) -> Self {
        let fields = [("block_type", Value::from("text")), ("text", Value::from(text.into()))];
        Self(fields.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// The `block_type`: `text`, `image`, `audio`, `document`, …
    pub fn kind(&self) -> Option<&PyString> {
        self.0.get(b"block_type".as_slice())?.as_str()
    }

    /// The text, if it is a piece of text.
    pub fn as_text(&self) -> Option<&PyString> {
        let is_text = self.kind().is_some_and(|kind| *kind == "text");
        self.0.get(b"text".as_slice())?.as_str().filter(|_| is_text)
    }

    /// All fields.
    pub fn fields(&self) -> &Object {
        &self.0
    }

    /// All fields, taken out.
    pub fn into_fields(self) -> Object {
        self.0
    }
}

/// A block of any kind, from its fields.
impl From<Object> for ContentBlock {
    fn from(fields: Object) -> Self {
        Self(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(texts: &[&str], expected: Option<&str>) {
        let image = [("block_type", "image"), ("text", "no text")];
        let image: Object = image.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        let message = ChatMessage::new("user").with_block(image.into());
        let message = texts.iter().fold(message, |message, text| message.with_block(ContentBlock::text(*text)));
        assert_eq!(message.content(), expected.map(PyString::from), "{texts:?}");
    }

    #[test]
    fn content_is_the_texts_line_by_line() {
        check(&[], None);
        check(&[""], Some(""));
        check(&["a"], Some("a"));
        check(&["a", "", "b"], Some("a\n\nb"));
        check(&["", ""], Some("\n"));
    }
}
