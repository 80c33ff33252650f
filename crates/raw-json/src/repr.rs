//! Python's `repr` and `str` of JSON values, which node hashes are made of, and what Python calls white space.

use crate::number::{PYTHON_REPR, write_float};
use crate::printable::is_printable;
use crate::string::{PyString, push_code_point};
use crate::value::Value;
use crate::walk::{Spelling, append};

/// Python's `repr` of the value that `json.load` makes of this one. It never contains surrogates: `repr` escapes them.
///
/// ```
/// use raw_json::{RawJson, py_repr};
///
/// let raw: RawJson = r#"{"a": [1.0, null, true, NaN], "it's": "\u00e9\n"}"#.parse()?;
/// assert_eq!(py_repr(&raw.value()), r#"{'a': [1.0, None, True, nan], "it's": 'é\n'}"#);
/// # Ok::<(), raw_json::Error>(())
/// ```
pub fn py_repr(value: &Value) -> String {
    let mut out = Vec::new();
    append(&mut out, value, &Repr);
    String::from_utf8(out).expect("repr escapes what is not UTF-8")
}

/// Python's `str`: a string as it is, everything else as its `repr`.
pub fn py_str(value: &Value) -> PyString {
    match value {
        Value::String(s) => s.clone(),
        other => py_repr(other).into(),
    }
}

/// Python's `repr`.
struct Repr;

impl Spelling for Repr {
    fn comma(&self) -> &'static [u8] {
        b", "
    }

    fn colon(&self) -> &'static [u8] {
        b": "
    }

    fn string(&self, out: &mut Vec<u8>, string: &PyString) {
        append_string(out, string);
    }

    fn scalar(&self, out: &mut Vec<u8>, value: &Value) {
        match value {
            Value::Bool(b) => out.extend_from_slice(if *b { b"True" } else { b"False" }),
            Value::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
            Value::BigInt(n) => out.extend_from_slice(n.as_str().as_bytes()),
            Value::Float(x) => write_float(out, *x, PYTHON_REPR),
            _ => out.extend_from_slice(b"None"),
        }
    }
}

fn append_string(out: &mut Vec<u8>, string: &PyString) {
    let bytes = string.as_bytes();
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { b'"' } else { b'\'' };
    out.push(quote);
    for point in string.code_points() {
        match char::from_u32(point) {
            Some('\\') => out.extend_from_slice(b"\\\\"),
            Some('\n') => out.extend_from_slice(b"\\n"),
            Some('\r') => out.extend_from_slice(b"\\r"),
            Some('\t') => out.extend_from_slice(b"\\t"),
            Some('\'') if quote == b'\'' => out.extend_from_slice(b"\\'"),
            Some(_) if is_printable(point) => push_code_point(out, point),
            _ => {
                let escape = match point {
                    0..0x100 => format!("\\x{point:02x}"),
                    0x100..0x1_0000 => format!("\\u{point:04x}"),
                    _ => format!("\\U{point:08x}"),
                };
                out.extend_from_slice(escape.as_bytes());
            }
        }
    }
    out.push(quote);
}

/// Whether Python's `str.isspace` holds: what `str.strip` removes. Unlike Rust's white space it includes U+001C to
/// U+001F.
pub fn is_space(point: u32) -> bool {
    matches!(
        point,
        0x09..=0x0D
            | 0x1C..=0x20
            | 0x85
            | 0xA0
            | 0x1680
            | 0x2000..=0x200A
            | 0x2028
            | 0x2029
            | 0x202F
            | 0x205F
            | 0x3000
    )
}

/// Python's `str.strip()`.
pub fn strip(string: &PyString) -> PyString {
    let points: Vec<u32> = string.code_points().collect();
    let start = points.iter().position(|&p| !is_space(p)).unwrap_or(points.len());
    let end = points.iter().rposition(|&p| !is_space(p)).map_or(start, |i| i + 1);
    if start == 0 && end == points.len() {
        return string.clone();
    }
    PyString::from_code_points(points[start..end].iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RawJson;

    fn check(json: &str, repr: &str) {
        assert_eq!(py_repr(&json.parse::<RawJson>().unwrap().value()), repr);
    }

    #[test]
    fn values() {
        check("{}", "{}");
        check("[]", "[]");
        check(r#"{"a": 1, "b": null}"#, "{'a': 1, 'b': None}");
        check("[1, [true, false], {}]", "[1, [True, False], {}]");
        check("[NaN, Infinity, -Infinity, 1e-5, 1e16, -0.0]", "[nan, inf, -inf, 1e-05, 1e+16, -0.0]");
        check("123456789012345678901234567890", "123456789012345678901234567890");
    }

    #[test]
    fn strings() {
        check(r#""plain""#, "'plain'");
        check(r#""it's""#, r#""it's""#);
        check(r#""say \"hi\"""#, r#"'say "hi"'"#);
        check(r#""it's \"both\"""#, r#"'it\'s "both"'"#);
        check(r#""a\\b\n\r\t""#, r"'a\\b\n\r\t'");
        check(r#""\u0000\u001b\u007f\u0085\u00a0\u00ad""#, r"'\x00\x1b\x7f\x85\xa0\xad'");
        check(r#""\u200b\u2028\u3000\ue000\u0378\uffff""#, r"'\u200b\u2028\u3000\ue000\u0378\uffff'");
        check(r#""\ud83d\ude00 \udbff\udfff \ud83d""#, r"'😀 \U0010ffff \ud83d'");
        check("\"é日本\"", "'é日本'");
    }

    #[test]
    fn strip_takes_what_python_takes() {
        let strip = |s: &str| super::strip(&s.into()).to_string();
        assert_eq!(strip("\u{1c}\u{1f} a b\u{2009}\u{3000}\n"), "a b");
        assert_eq!(strip(" \t "), "");
        assert_eq!(strip("\u{200b}x"), "\u{200b}x");
        assert_eq!(strip(""), "");
    }
}
