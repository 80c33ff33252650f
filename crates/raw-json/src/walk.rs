//! Spelling out a value, whatever the spelling.

use crate::string::PyString;
use crate::value::Value;

/// How the pieces of a value are spelled.
pub(crate) trait Spelling {
    /// What stands between items, and between entries.
    fn comma(&self) -> &'static [u8];

    /// What stands between a key and its value.
    fn colon(&self) -> &'static [u8];

    /// Appends a string with its quotes.
    fn string(&self, out: &mut Vec<u8>, string: &PyString);

    /// Appends a value that is no string, list or object.
    fn scalar(&self, out: &mut Vec<u8>, value: &Value);
}

/// Appends a value without recursing.
pub(crate) fn append(out: &mut Vec<u8>, value: &Value, spelling: &impl Spelling) {
    enum Rest<'a> {
        Array(std::slice::Iter<'a, Value>),
        Object(indexmap::map::Iter<'a, PyString, Value>),
    }
    let mut stack = Vec::new();
    let mut next = Some(value);
    loop {
        match next.take() {
            None => {}
            Some(Value::String(s)) => spelling.string(out, s),
            Some(Value::Array(items)) => {
                out.push(b'[');
                stack.push((true, Rest::Array(items.iter())));
            }
            Some(Value::Object(entries)) => {
                out.push(b'{');
                stack.push((true, Rest::Object(entries.iter())));
            }
            Some(scalar) => spelling.scalar(out, scalar),
        }
        let Some((first, rest)) = stack.last_mut() else { return };
        let (key, close) = match rest {
            Rest::Array(items) => {
                next = items.next();
                (None, b']')
            }
            Rest::Object(entries) => {
                let entry = entries.next();
                next = entry.map(|(_, value)| value);
                (entry.map(|(key, _)| key), b'}')
            }
        };
        if next.is_none() {
            out.push(close);
            stack.pop();
            continue;
        }
        if !std::mem::take(first) {
            out.extend_from_slice(spelling.comma());
        }
        if let Some(key) = key {
            spelling.string(out, key);
            out.extend_from_slice(spelling.colon());
        }
    }
}
