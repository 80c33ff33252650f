//! From a file's bytes to UTF-8 text, by the rules of Python's `json.load`.

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::raw::RawJson;

/// The encoding a JSON file was found to be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8. The text shares the file's bytes.
    Utf8,
    /// UTF-8 with a byte order mark, which is not part of the text.
    Utf8Bom,
    /// UTF-8 in which lone surrogates stand as three raw bytes each; the text has them as `\ud800` escapes.
    Utf8Surrogates,
    /// UTF-16, little-endian.
    Utf16Le,
    /// UTF-16, big-endian.
    Utf16Be,
    /// UTF-32, little-endian.
    Utf32Le,
    /// UTF-32, big-endian.
    Utf32Be,
}

impl Encoding {
    /// Whether the file's bytes are valid UTF-8, so that its text shares them.
    pub fn is_utf8(self) -> bool {
        matches!(self, Self::Utf8 | Self::Utf8Bom)
    }
}

/// The text of a JSON file: UTF-8 without a byte order mark, not yet looked at as JSON.
///
/// Cloning and slicing share the file's bytes.
#[derive(Debug, Clone)]
pub struct Text {
    /// Always valid UTF-8.
    bytes: Bytes,
    encoding: Encoding,
}

impl Text {
    /// Finds the encoding from the file's first bytes, as Python's `json.load` does.
    ///
    /// UTF-8 is checked and shared, everything else is transcoded; raw lone surrogates, which Python lets pass in
    /// every encoding, become `\uXXXX` escapes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidEncoding`] with the place in the file (for UTF-16 and UTF-32 the line is 1 and only the
    /// offset counts).
    pub fn decode(file: impl Into<Bytes>) -> Result<Self> {
        let file = file.into();
        let (encoding, bom) = detect(&file);
        let body = file.slice(bom..);
        let text = match encoding {
            Encoding::Utf8 | Encoding::Utf8Bom | Encoding::Utf8Surrogates => match std::str::from_utf8(&body) {
                Ok(_) => return Ok(Self { bytes: body, encoding }),
                Err(e) => {
                    let text = escape_raw_surrogates(&body)
                        .ok_or_else(|| Error::at(ErrorKind::InvalidEncoding("UTF-8"), &file, bom + e.valid_up_to()))?;
                    return Ok(Self { bytes: text.into(), encoding: Encoding::Utf8Surrogates });
                }
            },
            Encoding::Utf16Le => utf16(&body, u16::from_le_bytes),
            Encoding::Utf16Be => utf16(&body, u16::from_be_bytes),
            Encoding::Utf32Le => utf32(&body, u32::from_le_bytes),
            Encoding::Utf32Be => utf32(&body, u32::from_be_bytes),
        };
        let text = text.map_err(|(name, at)| Error {
            kind: ErrorKind::InvalidEncoding(name),
            line: 1,
            column: at + 1,
            offset: bom + at,
        })?;
        Ok(Self { bytes: text.into(), encoding })
    }

    /// Takes bytes that are known to be valid UTF-8.
    pub(crate) fn from_utf8(bytes: Bytes) -> Self {
        debug_assert!(std::str::from_utf8(&bytes).is_ok());
        Self { bytes, encoding: Encoding::Utf8 }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // SAFETY: every way to make a `Text` takes or makes valid UTF-8 only.
        unsafe { std::str::from_utf8_unchecked(&self.bytes) }
    }

    /// The text's bytes, shared with the file where it was UTF-8.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Moves an error within `part`, which was sliced out of this text, to its place in the whole.
    pub fn locate(&self, part: &RawJson, error: Error) -> Error {
        let start = part.bytes().as_ptr().addr().saturating_sub(self.bytes.as_ptr().addr());
        let Some(before) = self.as_str().get(..start) else { return error };
        let in_line = before.rsplit('\n').next().unwrap_or_default().chars().count();
        Error {
            line: error.line + before.matches('\n').count(),
            column: error.column + if error.line == 1 { in_line } else { 0 },
            offset: error.offset + start,
            kind: error.kind,
        }
    }

    /// The encoding the file was in.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::from_utf8(text.into())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// The encoding and the length of the byte order mark. Without a mark the zero bytes among the first four decide.
fn detect(b: &[u8]) -> (Encoding, usize) {
    use Encoding::*;
    for (mark, encoding) in [
        (&b"\0\0\xFE\xFF"[..], Utf32Be),
        (b"\xFF\xFE\0\0", Utf32Le),
        (b"\xFE\xFF", Utf16Be),
        (b"\xFF\xFE", Utf16Le),
        (b"\xEF\xBB\xBF", Utf8Bom),
    ] {
        if b.starts_with(mark) {
            return (encoding, mark.len());
        }
    }
    let encoding = match *b {
        [0, 0, _, _, ..] => Utf32Be,
        [0, _, _, _, ..] => Utf16Be,
        [_, 0, 0, 0, ..] => Utf32Le,
        [_, 0, _, _, ..] => Utf16Le,
        [0, _] => Utf16Be,
        [_, 0] => Utf16Le,
        _ => Utf8,
    };
    (encoding, 0)
}

/// Appends a lone surrogate as an escape; `None` behind a backslash, which makes no escape with it and would make one with ours.
fn push_escape(text: &mut String, surrogate: u16) -> Option<()> {
    use std::fmt::Write;
    let backslashes = text.bytes().rev().take_while(|&b| b == b'\\').count();
    let _ = write!(text, "\\u{surrogate:04x}");
    (backslashes % 2 == 0).then_some(())
}

fn escape_raw_surrogates(body: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(body.len() + 16);
    let mut rest = body;
    loop {
        let (valid, invalid) = match std::str::from_utf8(rest) {
            Ok(valid) => (valid, &b""[..]),
            Err(e) => {
                let (valid, invalid) = rest.split_at(e.valid_up_to());
                (std::str::from_utf8(valid).ok()?, invalid)
            }
        };
        text.push_str(valid);
        match *invalid {
            [] => return Some(text),
            [0xED, b @ 0xA0..=0xBF, c @ 0x80..=0xBF, ..] => {
                push_escape(&mut text, 0xD000 | u16::from(b & 0x3F) << 6 | u16::from(c & 0x3F))?;
                rest = &invalid[3..];
            }
            _ => return None,
        }
    }
}

type Transcoded = std::result::Result<String, (&'static str, usize)>;

fn utf16(body: &[u8], unit: fn([u8; 2]) -> u16) -> Transcoded {
    let (units, tail) = body.as_chunks::<2>();
    if !tail.is_empty() {
        return Err(("UTF-16", body.len() - tail.len()));
    }
    let mut text = String::with_capacity(units.len() + units.len() / 8);
    let mut at = 0;
    for c in char::decode_utf16(units.iter().map(|&pair| unit(pair))) {
        match &c {
            Ok(c) => text.push(*c),
            Err(lone) => push_escape(&mut text, lone.unpaired_surrogate()).ok_or(("UTF-16", at))?,
        }
        at += c.map_or(2, |c| 2 * c.len_utf16());
    }
    Ok(text)
}

fn utf32(body: &[u8], unit: fn([u8; 4]) -> u32) -> Transcoded {
    let (units, tail) = body.as_chunks::<4>();
    if !tail.is_empty() {
        return Err(("UTF-32", body.len() - tail.len()));
    }
    let mut text = String::with_capacity(units.len());
    for (i, &quad) in units.iter().enumerate() {
        let point = unit(quad);
        match (char::from_u32(point), u16::try_from(point)) {
            (Some(c), _) => text.push(c),
            (None, Ok(surrogate)) => push_escape(&mut text, surrogate).ok_or(("UTF-32", 4 * i))?,
            (None, Err(_)) => return Err(("UTF-32", 4 * i)),
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Scanner};

    fn check(file: &[u8], text: &str, encoding: Encoding) {
        let got = Text::decode(Bytes::copy_from_slice(file)).unwrap();
        assert_eq!((got.as_str(), got.encoding()), (text, encoding));
    }

    #[test]
    fn every_encoding_with_and_without_a_mark() {
        let text = r#"{"é": "😀"}"#;
        let le16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let le32: Vec<u8> = text.chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
        let be32: Vec<u8> = text.chars().flat_map(|c| (c as u32).to_be_bytes()).collect();
        check(text.as_bytes(), text, Encoding::Utf8);
        check(&[b"\xEF\xBB\xBF", text.as_bytes()].concat(), text, Encoding::Utf8Bom);
        check(&le16, text, Encoding::Utf16Le);
        check(&[b"\xFF\xFE", &le16[..]].concat(), text, Encoding::Utf16Le);
        check(&be16, text, Encoding::Utf16Be);
        check(&[b"\xFE\xFF", &be16[..]].concat(), text, Encoding::Utf16Be);
        check(&le32, text, Encoding::Utf32Le);
        check(&[b"\xFF\xFE\0\0", &le32[..]].concat(), text, Encoding::Utf32Le);
        check(&be32, text, Encoding::Utf32Be);
        check(&[b"\0\0\xFE\xFF", &be32[..]].concat(), text, Encoding::Utf32Be);
        check(b"1\0", "1", Encoding::Utf16Le);
        check(b"\x001", "1", Encoding::Utf16Be);
        check(b"", "", Encoding::Utf8);
    }

    #[test]
    fn raw_surrogates_pass_as_escapes() {
        check(b"\"\xED\xA0\xBD\"", r#""\ud83d""#, Encoding::Utf8Surrogates);
        let lone16: Vec<u8> = [0x22, 0xD83D, 0x22].into_iter().flat_map(u16::to_le_bytes).collect();
        check(&lone16, r#""\ud83d""#, Encoding::Utf16Le);
        let lone32: Vec<u8> = [0x22, 0xDC00, 0x22].into_iter().flat_map(u32::to_be_bytes).collect();
        check(&lone32, r#""\udc00""#, Encoding::Utf32Be);
    }

    #[test]
    fn errors_in_a_part_are_moved_to_their_place_in_the_whole() {
        let whole = "{\n \"é\": {\"a\":\n  5, \"b\": 6}}";
        let text = Text::from(whole);
        let mut places = Vec::new();
        let read = Scanner::new(&text).object(|_, scanner| {
            let raw = scanner.raw()?;
            let part = raw.text();
            Scanner::new(&part).object(|_, inner| {
                let error = text.locate(&raw, inner.expect(Kind::String).unwrap_err());
                places.push((error.line, error.column, &whole[error.offset..=error.offset]));
                inner.skip().map(drop)
            })
        });
        assert_eq!((read, places), (Ok(()), vec![(3, 3, "5"), (3, 11, "6")]));
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_place() {
        let bad = |file: &'static [u8]| Text::decode(file).unwrap_err();
        assert_eq!(bad(b"{\"a\":\n \"\xFF\"}").line, 2);
        assert_eq!(bad(b"{\"a\":\n \"\xFF\"}").offset, 8);
        assert_eq!(bad(b"\"\\\xED\xA0\x80\"").kind, ErrorKind::InvalidEncoding("UTF-8"));
        assert_eq!(bad(b"\xFF\xFE\"\0\\\0\x00\xD8\"\0").kind, ErrorKind::InvalidEncoding("UTF-16"));
        assert_eq!(bad(b"\xFF\xFE1").kind, ErrorKind::InvalidEncoding("UTF-16"));
        assert_eq!(bad(b"\xFF\xFE\0\0\0\0\x11\0").kind, ErrorKind::InvalidEncoding("UTF-32"));
    }
}
