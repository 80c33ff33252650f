//! Writing JSON as LlamaIndex does.

use std::io;

use bytes::Bytes;

use crate::number::{FloatStyle, PYDANTIC, PYTHON, write_float};
use crate::raw::RawJson;
use crate::string::PyString;
use crate::value::Value;
use crate::walk::{Spelling, append};

/// The spelling of a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Python's `json.dumps`: `", "` and `": "`, pure ASCII, `NaN` and `Infinity` as such. Most of LlamaIndex's files.
    Ascii,
    /// The same with `ensure_ascii=False`: characters as themselves. `_node_content` strings.
    Unicode,
    /// Pydantic's `model_dump_json`: `","` and `":"`, characters as themselves, `NaN` and infinities as `null`.
    /// `property_graph_store.json` and chat stores.
    ///
    /// Pydantic fails on a lone surrogate; here it is written as an escape, which Python reads.
    Compact,
}

impl Dialect {
    fn floats(self) -> FloatStyle {
        if self == Self::Compact { PYDANTIC } else { PYTHON }
    }
}

impl Spelling for Dialect {
    fn comma(&self) -> &'static [u8] {
        if *self == Self::Compact { b"," } else { b", " }
    }

    fn colon(&self) -> &'static [u8] {
        if *self == Self::Compact { b":" } else { b": " }
    }

    fn string(&self, out: &mut Vec<u8>, string: &PyString) {
        write_string(out, string, *self);
    }

    fn scalar(&self, out: &mut Vec<u8>, value: &Value) {
        match value {
            Value::Bool(b) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
            Value::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
            Value::BigInt(n) => out.extend_from_slice(n.as_str().as_bytes()),
            Value::Float(x) => write_float(out, *x, self.floats()),
            _ => out.extend_from_slice(b"null"),
        }
    }
}

/// A value as a text.
pub fn to_json(value: &Value, dialect: Dialect) -> Vec<u8> {
    let mut out = Vec::new();
    append(&mut out, value, &dialect);
    out
}

/// Appends a string with its quotes.
pub fn write_string(out: &mut Vec<u8>, string: &PyString, dialect: Dialect) {
    out.push(b'"');
    let mut rest = string.as_bytes();
    loop {
        let plain = rest.iter().position(|&b| needs_care(b, dialect)).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(plain);
        out.extend_from_slice(head);
        let Some(&first) = tail.first() else { break };
        let len = match first {
            0..0x80 => 1,
            0x80..0xE0 => 2,
            0xE0..0xF0 => 3,
            _ => 4,
        };
        let (point, behind) = tail.split_at(len.min(tail.len()));
        escape(out, first, point, dialect);
        rest = behind;
    }
    out.push(b'"');
}

/// Whether a character that starts with this byte may have to be escaped.
fn needs_care(b: u8, dialect: Dialect) -> bool {
    match dialect {
        Dialect::Ascii => b == b'"' || b == b'\\' || !(0x20..0x7F).contains(&b),
        // 0xED starts surrogates (and the Hangul from U+D000 on).
        Dialect::Unicode | Dialect::Compact => b == b'"' || b == b'\\' || b < 0x20 || b == 0xED,
    }
}

fn escape(out: &mut Vec<u8>, first: u8, point: &[u8], dialect: Dialect) {
    let short = match first {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0C => b'f',
        _ => {
            match std::str::from_utf8(point) {
                Ok(text) if dialect == Dialect::Ascii || first < 0x20 => {
                    text.encode_utf16().for_each(|unit| push_hex(out, unit));
                }
                Ok(_) => out.extend_from_slice(point),
                Err(_) => {
                    let bits = point[1..].iter().fold(0, |acc, b| acc << 6 | u16::from(b & 0x3F));
                    push_hex(out, 0xD000 | bits);
                }
            }
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

fn push_hex(out: &mut Vec<u8>, unit: u16) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\u");
    out.extend([12, 8, 4, 0].map(|shift| DIGITS[usize::from(unit >> shift & 15)]));
}

/// Writes a JSON text piece by piece, mixing raw texts and new values.
///
/// ```
/// use raw_json::{Dialect, JsonWriter, RawJson};
///
/// let kept: RawJson = "[1.50]".parse()?;
/// let mut json = JsonWriter::new(Vec::new(), Dialect::Ascii);
/// json.begin_object()?;
/// json.key(&"old".into())?;
/// json.raw(&kept)?;
/// json.key(&"new".into())?;
/// json.value(&1.5.into())?;
/// json.end_object()?;
/// assert_eq!(json.finish()?, br#"{"old": [1.50], "new": 1.5}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Keeping objects and lists balanced is the caller's part.
#[derive(Debug)]
pub struct JsonWriter<W> {
    to: W,
    buffer: Vec<u8>,
    dialect: Dialect,
    /// For each open container, and at the bottom for the text itself, whether nothing was written in it yet.
    first: Vec<bool>,
    after_key: bool,
}

/// What is buffered before it is handed on.
const BUFFER: usize = 1 << 16;

impl<W: io::Write> JsonWriter<W> {
    /// Writes to `to`, in pieces of some 64 KiB.
    pub fn new(to: W, dialect: Dialect) -> Self {
        Self { to, buffer: Vec::new(), dialect, first: vec![true], after_key: false }
    }

    fn separate(&mut self) -> io::Result<()> {
        if self.buffer.len() >= BUFFER {
            self.to.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        let after_key = std::mem::take(&mut self.after_key);
        if let Some(first) = self.first.last_mut()
            && !std::mem::take(first)
            && !after_key
        {
            self.buffer.extend_from_slice(self.dialect.comma());
        }
        Ok(())
    }

    fn begin(&mut self, bracket: u8) -> io::Result<()> {
        self.separate()?;
        self.buffer.push(bracket);
        self.first.push(true);
        Ok(())
    }

    fn end(&mut self, bracket: u8) -> io::Result<()> {
        self.first.pop();
        self.buffer.push(bracket);
        Ok(())
    }

    /// Opens an object.
    ///
    /// # Errors
    /// As all methods: those of the writer beneath.
    pub fn begin_object(&mut self) -> io::Result<()> {
        self.begin(b'{')
    }

    /// Closes an object.
    ///
    /// # Errors
    /// Those of the writer beneath.
    pub fn end_object(&mut self) -> io::Result<()> {
        self.end(b'}')
    }

    /// Opens a list.
    ///
    /// # Errors
    /// Those of the writer beneath.
    pub fn begin_array(&mut self) -> io::Result<()> {
        self.begin(b'[')
    }

    /// Closes a list.
    ///
    /// # Errors
    /// Those of the writer beneath.
    pub fn end_array(&mut self) -> io::Result<()> {
        self.end(b']')
    }

    /// Writes a key; its value comes next.
    ///
    /// # Errors
    /// Those of the writer beneath.
    pub fn key(&mut self, key: &PyString) -> io::Result<()> {
        self.separate()?;
        write_string(&mut self.buffer, key, self.dialect);
        self.buffer.extend_from_slice(self.dialect.colon());
        self.after_key = true;
        Ok(())
    }

    /// Writes a value as it stands.
    ///
    /// # Errors
    /// Those of the writer beneath.
    pub fn raw(&mut self, raw: &RawJson) -> io::Result<()> {
        self.separate()?;
        self.buffer.extend_from_slice(raw.as_str().as_bytes());
        Ok(())
    }

    /// Writes a value.
    ///
    /// # Errors
    /// Those of the writer beneath.
    pub fn value(&mut self, value: &Value) -> io::Result<()> {
        self.separate()?;
        append(&mut self.buffer, value, &self.dialect);
        Ok(())
    }

    /// Writes a string.
    ///
    /// # Errors
    /// Those of the writer beneath.
    pub fn string(&mut self, string: &PyString) -> io::Result<()> {
        self.separate()?;
        write_string(&mut self.buffer, string, self.dialect);
        Ok(())
    }

    /// Writes a float.
    ///
    /// # Errors
    /// Those of the writer beneath.
    pub fn f64(&mut self, value: f64) -> io::Result<()> {
        self.separate()?;
        write_float(&mut self.buffer, value, self.dialect.floats());
        Ok(())
    }

    /// Hands on what is buffered and gives the writer back.
    ///
    /// # Errors
    /// Those of the writer beneath.
    pub fn finish(mut self) -> io::Result<W> {
        self.to.write_all(&self.buffer)?;
        Ok(self.to)
    }
}

impl JsonWriter<Vec<u8>> {
    /// What was written, as one value. Only meaningful for balanced calls.
    pub fn into_raw(self) -> RawJson {
        let text = self.finish().expect("writing to memory does not fail");
        RawJson::from_validated(Bytes::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, ascii: &str, unicode: &str, compact: &str) {
        let value = text.parse::<RawJson>().unwrap().value();
        let written = |dialect| String::from_utf8(to_json(&value, dialect)).unwrap();
        assert_eq!(written(Dialect::Ascii), ascii);
        assert_eq!(written(Dialect::Unicode), unicode);
        assert_eq!(written(Dialect::Compact), compact);
    }

    #[test]
    fn the_dialects() {
        check("[]", "[]", "[]", "[]");
        check(
            r#"{"a":[1,{}],"b":{"c":null}}"#,
            r#"{"a": [1, {}], "b": {"c": null}}"#,
            r#"{"a": [1, {}], "b": {"c": null}}"#,
            r#"{"a":[1,{}],"b":{"c":null}}"#,
        );
        check("\"é😀\u{7f}\"", r#""\u00e9\ud83d\ude00\u007f""#, "\"é😀\u{7f}\"", "\"é😀\u{7f}\"");
        check(
            r#""\u0000\u001f\b\f\n\r\t\"\\\/""#,
            r#""\u0000\u001f\b\f\n\r\t\"\\/""#,
            r#""\u0000\u001f\b\f\n\r\t\"\\/""#,
            r#""\u0000\u001f\b\f\n\r\t\"\\/""#,
        );
        check(
            r#""\ud83d \uDE00 \ud7ff""#,
            r#""\ud83d \ude00 \ud7ff""#,
            "\"\\ud83d \\ude00 \u{d7ff}\"",
            "\"\\ud83d \\ude00 \u{d7ff}\"",
        );
        check(
            "[NaN, -Infinity, 1E5, -0]",
            "[NaN, -Infinity, 100000.0, 0]",
            "[NaN, -Infinity, 100000.0, 0]",
            "[null,null,100000.0,0]",
        );
        check(
            "123456789012345678901234567890",
            "123456789012345678901234567890",
            "123456789012345678901234567890",
            "123456789012345678901234567890",
        );
    }

    #[test]
    fn long_texts_are_handed_on_whole() {
        let item: Value = "x".repeat(1000).into();
        let mut json = JsonWriter::new(Vec::new(), Dialect::Ascii);
        json.begin_array().unwrap();
        (0..500).for_each(|_| json.value(&item).unwrap());
        json.end_array().unwrap();
        let expected = to_json(&Value::Array(vec![item; 500]), Dialect::Ascii);
        assert_eq!(json.finish().unwrap(), expected);
    }
}
