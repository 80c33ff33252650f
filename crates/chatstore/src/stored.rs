//! A message as it stands in the file.

use raw_json::{Error as JsonError, ErrorKind, Kind, MAX_DEPTH, Object, PyString, RawJson, Scanner, Value};

use crate::{ChatMessage, ContentBlock, Error, Result};

/// How many containers of the file are around a message.
const AROUND: usize = 3;

/// Checks that a JSON value is a message.
pub(crate) fn check(raw: &RawJson) -> Result<(), JsonError> {
    let text = raw.text();
    Scanner::new(&text).object(|key, scanner| {
        match (key.as_bytes(), scanner.kind()?) {
            (b"blocks", _) | (b"content", Kind::Array) => return scanner.array(check_block),
            (b"role", found) if found != Kind::String => return Err(wrong(scanner, Kind::String, found)),
            (b"additional_kwargs", found) if found != Kind::Object => return Err(wrong(scanner, Kind::Object, found)),
            _ => {}
        }
        scanner.skip().map(drop)
    })
}

/// A block is an object, and one of text has a text.
fn check_block(scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
    let (mut is_text, mut text) = (false, None);
    scanner.object(|key, scanner| {
        match (key.as_bytes(), scanner.kind()?) {
            (b"block_type", _) => {
                is_text = scanner.string()? == "text";
                return Ok(());
            }
            (b"text", Kind::String) => text = Some(Ok(())),
            (b"text", found) => text = Some(Err(wrong(scanner, Kind::String, found))),
            _ => {}
        }
        scanner.skip().map(drop)
    })?;
    match text {
        _ if !is_text => Ok(()),
        Some(text) => text,
        None => Err(scanner.error(ErrorKind::Expected("a field 'text' before this"))),
    }
}

fn wrong(scanner: &Scanner<'_>, expected: Kind, found: Kind) -> JsonError {
    scanner.error(ErrorKind::WrongType { expected: expected.name(), found: found.name() })
}

/// The message that passed the [`check`]. The `content` of versions up to 0.11 becomes blocks, as Python has it: a text
/// counts more than blocks, and what is neither text nor list counts nothing.
pub(crate) fn decode(raw: &RawJson) -> ChatMessage {
    let mut fields = match raw.value() {
        Value::Object(fields) => fields,
        _ => Object::new(),
    };
    let mut message = ChatMessage::new("user");
    if let Some(Value::String(role)) = fields.shift_remove(b"role".as_slice()) {
        message.role = role;
    }
    if let Some(Value::Object(kwargs)) = fields.shift_remove(b"additional_kwargs".as_slice()) {
        message.additional_kwargs = kwargs;
    }
    let blocks = fields.shift_remove(b"blocks".as_slice());
    let content = fields.shift_remove(b"content".as_slice());
    match content {
        Some(Value::String(text)) => message.blocks.push(ContentBlock::text(text)),
        Some(Value::Array(items)) => message.blocks = to_blocks(items),
        other => {
            if let Some(Value::Array(items)) = blocks {
                message.blocks = to_blocks(items);
            }
            fields.extend(other.filter(|value| !value.is_null()).map(|value| ("content".into(), value)));
        }
    }
    message.extra = fields;
    message
}

fn to_blocks(items: Vec<Value>) -> Vec<ContentBlock> {
    let objects = items.into_iter().filter_map(|item| match item {
        Value::Object(fields) => Some(ContentBlock::from(fields)),
        _ => None,
    });
    objects.collect()
}

/// Checks that the file can hold a new message for `key`, and writes it as today's Python does.
pub(crate) fn encode(key: &PyString, message: ChatMessage) -> Result<RawJson> {
    let known = |(field, value): &(&PyString, &Value)| match field.as_bytes() {
        b"role" | b"additional_kwargs" | b"blocks" => true,
        b"content" => matches!(value, Value::String(_) | Value::Array(_)),
        _ => false,
    };
    if let Some((field, _)) = message.extra.iter().find(known) {
        return Err(Error::ReservedField { key: key.clone(), field: field.clone() });
    }
    let value = to_value(message);
    let not_finite =
        |fields: &&Object| fields.iter().find(|(_, value)| !value.is_finite()).map(|(field, _)| field.clone());
    if let Some(field) = value.as_object().as_ref().and_then(not_finite) {
        return Err(Error::NotFinite { key: key.clone(), field });
    }
    if value.depth() + AROUND > MAX_DEPTH {
        return Err(Error::TooDeep { key: key.clone(), limit: MAX_DEPTH - AROUND });
    }
    let raw = RawJson::compact(&value);
    check(&raw).map_err(|source| Error::NotABlock { key: key.clone(), source })?;
    Ok(raw)
}

/// Whether a stored message is one that is written like this.
pub(crate) fn is_same(stored: &RawJson, new: &RawJson) -> bool {
    stored == new || RawJson::compact(&to_value(decode(stored))) == *new
}

/// The fields in LlamaIndex's order, then those it does not know.
fn to_value(message: ChatMessage) -> Value {
    let blocks = message.blocks.into_iter().map(|block| Value::Object(block.into_fields()));
    let mut fields = Object::new();
    fields.insert("role".into(), message.role.into());
    fields.insert("additional_kwargs".into(), message.additional_kwargs.into());
    fields.insert("blocks".into(), Value::Array(blocks.collect()));
    fields.extend(message.extra);
    fields.into()
}
