//! Texts of bytes.

use encoding_rs::{Decoder, DecoderResult, Encoding};

use super::ReadError;

/// What becomes of bytes that are not in a text's encoding: the `errors` of Python's `decode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeErrors {
    /// They are left out.
    #[default]
    Ignore,
    /// The file is an error.
    Strict,
    /// U+FFFD takes their place.
    Replace,
}

/// An encoding of texts.
#[derive(Debug, Clone, Copy)]
pub(super) enum TextEncoding {
    Utf8 {
        /// Whether a byte order mark is left out.
        without_bom: bool,
    },
    Ascii,
    Latin1,
    /// UTF-16 in the order that its byte order mark tells, or with the low byte first.
    Utf16,
    Other(&'static Encoding),
}

impl TextEncoding {
    /// The encoding of a name that Python or the web knows.
    pub(super) fn of(name: &str) -> Result<Self, ReadError> {
        let unknown = || ReadError::UnknownEncoding { encoding: name.to_owned() };
        let normal = name.trim().to_ascii_lowercase().replace(['_', ' '], "-");
        Ok(match normal.as_str() {
            "utf-8" | "utf8" | "u8" | "utf" | "cp65001" => Self::Utf8 { without_bom: false },
            "utf-8-sig" | "utf8-sig" => Self::Utf8 { without_bom: true },
            "ascii" | "us-ascii" | "646" => Self::Ascii,
            // To the web these are names of windows-1252.
            "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "8859" | "cp819" | "latin" | "l1" => Self::Latin1,
            "utf-16" | "utf16" | "u16" => Self::Utf16,
            "utf-16-le" => Self::Other(encoding_rs::UTF_16LE),
            "utf-16-be" => Self::Other(encoding_rs::UTF_16BE),
            _ => {
                let known = match normal.as_str() {
                    "mac-roman" => "macintosh",
                    "mac-cyrillic" => "x-mac-cyrillic",
                    "latin9" | "l9" => "iso-8859-15",
                    "cp932" | "ms932" => "shift_jis",
                    "iso2022-jp" => "iso-2022-jp",
                    other => other,
                };
                let windows = known.strip_prefix("cp").map(|number| format!("windows-{number}"));
                let names = [Some(known.to_owned()), Some(known.replace('-', "_")), windows];
                let found =
                    names.into_iter().flatten().find_map(|name| Encoding::for_label_no_replacement(name.as_bytes()));
                Self::Other(found.ok_or_else(unknown)?)
            }
        })
    }

    /// The text of bytes. In `Err` is where the first wrong byte is.
    pub(super) fn decode(self, bytes: &[u8], errors: DecodeErrors) -> Result<String, usize> {
        let mut text = Lenient { text: String::with_capacity(bytes.len()), errors };
        match self {
            Self::Utf8 { without_bom } => {
                let rest = if without_bom { bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes) } else { bytes };
                let mut at = bytes.len() - rest.len();
                for chunk in rest.utf8_chunks() {
                    text.text.push_str(chunk.valid());
                    at += chunk.valid().len();
                    if !chunk.invalid().is_empty() {
                        text.wrong(at)?;
                        at += chunk.invalid().len();
                    }
                }
            }
            Self::Ascii => {
                for (at, byte) in bytes.iter().enumerate() {
                    if byte.is_ascii() { text.text.push(char::from(*byte)) } else { text.wrong(at)? }
                }
            }
            Self::Latin1 => text.text.extend(bytes.iter().copied().map(char::from)),
            Self::Utf16 => {
                let (encoding, rest) = match bytes {
                    [0xff, 0xfe, rest @ ..] => (encoding_rs::UTF_16LE, rest),
                    [0xfe, 0xff, rest @ ..] => (encoding_rs::UTF_16BE, rest),
                    rest => (encoding_rs::UTF_16LE, rest),
                };
                text.decode(encoding.new_decoder_without_bom_handling(), rest)
                    .map_err(|at| at + bytes.len() - rest.len())?;
            }
            Self::Other(encoding) => text.decode(encoding.new_decoder_without_bom_handling(), bytes)?,
        }
        Ok(text.text)
    }
}

/// A text that grows, and what becomes of what is wrong.
struct Lenient {
    text: String,
    errors: DecodeErrors,
}

impl Lenient {
    fn wrong(&mut self, at: usize) -> Result<(), usize> {
        match self.errors {
            DecodeErrors::Strict => return Err(at),
            DecodeErrors::Replace => self.text.push('\u{fffd}'),
            DecodeErrors::Ignore => {}
        }
        Ok(())
    }

    fn decode(&mut self, mut decoder: Decoder, bytes: &[u8]) -> Result<(), usize> {
        let mut at = 0;
        loop {
            let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len() - at);
            // Room is asked for in steps, so that many wrong bytes do not ask for the whole rest each time.
            self.text.reserve(room.unwrap_or(STEP).min(STEP));
            let (result, read) = decoder.decode_to_string_without_replacement(&bytes[at..], &mut self.text, true);
            at += read;
            match result {
                DecoderResult::InputEmpty => return Ok(()),
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(len, behind) => {
                    self.wrong(at.saturating_sub(usize::from(len) + usize::from(behind)))?;
                }
            }
        }
    }
}

const STEP: usize = 1 << 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(encoding: &str, errors: DecodeErrors, bytes: &[u8], expected: Result<&str, usize>) {
        let told = TextEncoding::of(encoding).unwrap().decode(bytes, errors);
        assert_eq!(told.as_deref().map_err(|at| *at), expected, "{encoding} {errors:?} {bytes:?}");
    }

    #[test]
    fn wrong_bytes_are_ignored_replaced_or_errors() {
        use DecodeErrors::{Ignore, Replace, Strict};
        for (encoding, bytes, ignored, replaced, at) in [
            ("utf-8", &b"caf\xe9 x"[..], "caf x", "caf\u{fffd} x", 3),
            ("utf8", b"\xe2\x82x\xff\xff", "x", "\u{fffd}x\u{fffd}\u{fffd}", 0),
            ("UTF-8-SIG", b"\xef\xbb\xbfa\xff", "a", "a\u{fffd}", 4),
            ("ascii", b"a\x80b", "ab", "a\u{fffd}b", 1),
            ("utf-16", b"\xff\xfea\x00\x00\xd8b\x00", "ab", "a\u{fffd}b", 4),
            ("utf-16-be", b"\x00a\x00", "a", "a\u{fffd}", 2),
            ("shift_jis", b"\x82\xa0\xff", "あ", "あ\u{fffd}", 2),
        ] {
            check(encoding, Ignore, bytes, Ok(ignored));
            check(encoding, Replace, bytes, Ok(replaced));
            check(encoding, Strict, bytes, Err(at));
        }
    }

    #[test]
    fn encodings_have_the_names_that_python_gives_them() {
        let check = |encoding, bytes, expected| check(encoding, DecodeErrors::Strict, bytes, Ok(expected));
        check("utf-8", b"\xef\xbb\xbfa\r\n\0", "\u{feff}a\r\n\0");
        check("latin-1", b"\x80\xe9", "\u{80}é");
        check("iso8859_1", b"\x80", "\u{80}");
        check("cp1252", b"\x80", "€");
        check("windows-1252", b"\x80", "€");
        check("cp866", b"\x80", "А");
        check("koi8_r", b"\xc1", "а");
        check("gbk", b"\xc4\xe3", "你");
        check("euc_jp", b"\xa4\xa2", "あ");
        check("UTF_16", b"\xfe\xff\x00a", "a");
        check("utf-16-le", b"\xff\xfea\x00", "\u{feff}a");
        check("big5", b"\xa7\x41", "你");
        check("mac_roman", b"\x8e", "é");
        check("cp932", b"\x82\xa0", "あ");
        for unknown in ["klingon", "utf-7", "hz", "iso-2022-kr", ""] {
            assert!(matches!(TextEncoding::of(unknown), Err(ReadError::UnknownEncoding { .. })), "{unknown}");
        }
    }

    #[test]
    fn long_texts_are_decoded_in_steps() {
        let bytes = [b"\x82\xa0".repeat(10_000), b"\xff".repeat(10_000)].concat();
        check("shift_jis", DecodeErrors::Ignore, &bytes, Ok(&"あ".repeat(10_000)));
    }
}
