use std::fmt;

use bytes::Bytes;

use crate::decode::Text;
use crate::error::Result;
use crate::scan::{Kind, Scanner};
use crate::string::PyString;
use crate::value::{Object, Value};
use crate::write::{Dialect, to_json};

/// One JSON value as the text it was written in, known to be well-formed.
///
/// What it means is read when someone asks; until then it is a slice of the bytes it came in, so unknown
/// fields, number spellings, key order and white space survive being loaded and written back. A clone shares the bytes.
///
/// Two are equal if their texts are; compare [`value`](Self::value)s to compare meanings.
///
/// ```
/// use raw_json::RawJson;
///
/// let raw: RawJson = r#" {"n": 1.50, "n": 2.50} "#.parse()?;
/// assert_eq!(raw.as_str(), r#"{"n": 1.50, "n": 2.50}"#);
/// assert_eq!(raw.value().to_string(), r#"{"n": 2.5}"#);
/// # Ok::<(), raw_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RawJson(Bytes);

impl RawJson {
    /// Checks that `text` is one JSON value. White space around it is dropped.
    ///
    /// # Errors
    /// If it is not well-formed, with the place.
    pub fn parse(text: &Text) -> Result<Self> {
        let mut scanner = Scanner::new(text);
        let raw = scanner.raw()?;
        scanner.finish()?;
        Ok(raw)
    }

    /// Takes a slice that the scanner has passed over, or that a writer has made.
    pub(crate) fn from_validated(bytes: Bytes) -> Self {
        debug_assert!(std::str::from_utf8(&bytes).is_ok());
        Self(bytes)
    }

    /// A value written as [`Dialect::Compact`], or as [`Dialect::Ascii`] if it has numbers in it that the former cannot hold.
    pub fn compact(value: &Value) -> Self {
        let dialect = if value.is_finite() { Dialect::Compact } else { Dialect::Ascii };
        Self(to_json(value, dialect).into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // SAFETY: the bytes are a slice of a `Text` between two ASCII characters, or were written by `JsonWriter`,
        // which emits UTF-8 only.
        unsafe { std::str::from_utf8_unchecked(&self.0) }
    }

    /// The text's bytes, shared.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The value's type, from its first character.
    pub fn kind(&self) -> Kind {
        match self.0.first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// How deep lists and objects are nested in it: 0 for anything else, 1 for `[]`.
    pub fn depth(&self) -> usize {
        let (mut depth, mut deepest) = (0_usize, 0);
        let (mut in_string, mut escaped) = (false, false);
        for b in &self.0 {
            match (in_string, b) {
                (true, _) if escaped => escaped = false,
                (true, b'\\') => escaped = true,
                (_, b'"') => in_string = !in_string,
                (false, b'[' | b'{') => depth += 1,
                (false, b']' | b'}') => depth -= 1,
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        deepest
    }

    /// The value as a tree. Of duplicate keys the last value counts, at the place of the first.
    pub fn value(&self) -> Value {
        let text = self.text();
        Scanner::of_validated(&text).value().expect("a RawJson was checked when it was made")
    }

    /// The entries of an object under these keys, which are few; none if it is no object. The others are passed over,
    /// which takes much less time than reading them.
    ///
    /// ```
    /// use raw_json::{PyString, RawJson};
    ///
    /// let raw: RawJson = r#"{"a": [1, 2], "b": {"c": 3}, "a": 4}"#.parse()?;
    /// let found = raw.entries(&[&"a".into(), &"c".into()]);
    /// assert_eq!(found.into_iter().collect::<Vec<_>>(), [(PyString::from("a"), 4.into())]);
    /// # Ok::<(), raw_json::Error>(())
    /// ```
    pub fn entries(&self, keys: &[&PyString]) -> Object {
        if self.kind() != Kind::Object {
            return Object::new();
        }
        let text = self.text();
        Scanner::of_validated(&text).entries(keys).expect("a RawJson was checked when it was made")
    }

    /// The value as a text that a [`Scanner`] can walk over.
    pub fn text(&self) -> Text {
        Text::from_utf8(self.0.clone())
    }
}

impl std::str::FromStr for RawJson {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(&Text::from(text))
    }
}

/// Written as [`Dialect::Ascii`], the way LlamaIndex writes its stores.
impl From<&Value> for RawJson {
    fn from(value: &Value) -> Self {
        Self(to_json(value, Dialect::Ascii).into())
    }
}

impl From<Value> for RawJson {
    fn from(value: Value) -> Self {
        Self::from(&value)
    }
}

impl fmt::Display for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_those_of_the_whole_value() {
        const DEPTH: usize = if cfg!(miri) { 50 } else { 1000 };
        let check = |json: &str, keys: &[&str]| {
            let raw: RawJson = json.parse().unwrap();
            let keys: Vec<PyString> = keys.iter().map(|key| PyString::from(*key)).collect();
            let mut expected = raw.value().as_object().cloned().unwrap_or_default();
            expected.retain(|key, _| keys.contains(key));
            assert_eq!(raw.entries(&keys.iter().collect::<Vec<_>>()), expected, "{json}");
        };
        check(r#"{"a": {"b": 1}, "b": [2], "a": null}"#, &["a"]);
        check(r#" { "\u0061" : 1 , "é\n": 2 } "#, &["a", "é\n"]);
        check(r#"{"": "", "a": "\"b\": 1"}"#, &["", "b"]);
        check("{}", &["a"]);
        check(r#"{"a": 1}"#, &[]);
        check(r#"["a", 1]"#, &["a"]);
        check(&format!("{}1{}", "{\"a\": ".repeat(DEPTH), "}".repeat(DEPTH)), &["a"]);
    }
}
