//! What the bytes of a text mean, and how wide they are.

use std::collections::HashMap;

use lopdf::{Dictionary, Document, Encoding, Object};

/// A font, as far as text is concerned.
pub(super) struct Font<'a> {
    meaning: Meaning<'a>,
    /// How many bytes a character has.
    code_len: usize,
    widths: HashMap<u32, f32>,
    default_width: f32,
}

/// What codes mean.
enum Meaning<'a> {
    Encoding(Encoding<'a>),
    Utf16,
    Unknown,
}

/// How much the parts of a file may unpack to, each.
pub(super) const MAX_UNPACKED: usize = 1 << 26;

/// Widths of more characters than there are codes of two bytes say nothing.
const MAX_CODE: u32 = 1 << 16;

impl<'a> Font<'a> {
    pub(super) fn new(document: &'a Document, font: &'a Dictionary) -> Self {
        let is_composite = is_composite(font);
        let mut this = Self {
            meaning: Meaning::of(document, font),
            code_len: if is_composite { 2 } else { 1 },
            widths: HashMap::new(),
            default_width: if is_composite { 1000.0 } else { 500.0 },
        };
        if is_composite {
            this.composite_widths(document, font);
        } else if let Some(first) =
            number(document, font, b"FirstChar").and_then(|first| u32::try_from(first as i64).ok())
            && let Ok(widths) = font.get_deref(b"Widths", document).and_then(Object::as_array)
        {
            this.add_widths(document, first, widths);
        }
        this
    }

    fn composite_widths(&mut self, document: &Document, font: &Dictionary) {
        let descendants = font.get_deref(b"DescendantFonts", document).and_then(Object::as_array);
        let descendant =
            descendants.ok().and_then(|fonts| fonts.first()).and_then(|font| document.dereference(font).ok());
        let Some(descendant) = descendant.and_then(|(_, font)| font.as_dict().ok()) else { return };
        self.default_width = number(document, descendant, b"DW").unwrap_or(1000.0);
        let Ok(widths) = descendant.get_deref(b"W", document).and_then(Object::as_array) else { return };
        // Each is a first code with a list of widths, or a first code, a last code and a width for all.
        let mut rest = widths.as_slice();
        while let [first, second, after @ ..] = rest {
            let Some(first) = first.as_i64().ok().and_then(|first| u32::try_from(first).ok()) else { return };
            match (document.dereference(second).map(|(_, second)| second), after) {
                (Ok(Object::Array(widths)), _) => {
                    self.add_widths(document, first, widths);
                    rest = after;
                }
                (Ok(last), [width, after @ ..]) => {
                    let last = last.as_i64().ok().and_then(|last| u32::try_from(last).ok()).unwrap_or(first);
                    if let Ok(width) = width.as_float() {
                        self.widths.extend((first..=last.min(MAX_CODE)).map(|code| (code, width)));
                    }
                    rest = after;
                }
                _ => return,
            }
        }
    }

    fn add_widths(&mut self, document: &Document, first: u32, widths: &[Object]) {
        for (code, width) in (first..MAX_CODE).zip(widths) {
            if let Ok(width) = document.dereference(width).and_then(|(_, width)| width.as_float()) {
                self.widths.insert(code, width);
            }
        }
    }

    /// The text of bytes; U+FFFD if nobody can tell it.
    pub(super) fn text(&self, bytes: &[u8]) -> String {
        let unknown = || if bytes.is_empty() { String::new() } else { "\u{fffd}".to_owned() };
        match &self.meaning {
            Meaning::Encoding(encoding) => encoding.bytes_to_string(bytes).unwrap_or_else(|_| unknown()),
            Meaning::Utf16 => encoding_rs::UTF_16BE.decode_without_bom_handling(bytes).0.into_owned(),
            Meaning::Unknown => unknown(),
        }
    }

    /// How wide each character is, as a part of the size, and whether it is a space of one byte.
    pub(super) fn widths<'b>(&'b self, bytes: &'b [u8]) -> impl Iterator<Item = (f32, bool)> + 'b {
        bytes.chunks(self.code_len).map(|code| {
            let number = code.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
            let width = self.widths.get(&number).copied().unwrap_or(self.default_width);
            (width / 1000.0, code == b" ")
        })
    }
}

impl<'a> Meaning<'a> {
    fn of(document: &'a Document, font: &'a Dictionary) -> Self {
        if let Some(encoding) = to_unicode(document, font) {
            return Self::Encoding(encoding);
        }
        let name = font.get_deref(b"Encoding", document).and_then(Object::as_name).unwrap_or_default();
        let name = String::from_utf8_lossy(name);
        if name.starts_with("Uni") && (name.contains("-UCS2-") || name.contains("-UTF16-")) {
            return Self::Utf16;
        }
        // Where an encoding is not known, that of Latin letters is taken, which no composite font has.
        if is_composite(font) {
            return Self::Unknown;
        }
        font.get_font_encoding_with_limit(document, MAX_UNPACKED).map_or(Self::Unknown, Self::Encoding)
    }
}

/// Whether a font's codes have several bytes.
fn is_composite(font: &Dictionary) -> bool {
    font.get(b"Subtype").and_then(Object::as_name).is_ok_and(|name| name == b"Type0")
}

/// What a font says itself of what its codes mean, which goes before its encoding.
fn to_unicode(document: &Document, font: &Dictionary) -> Option<Encoding<'static>> {
    let mut alone = Dictionary::new();
    alone.set("Type", Object::Name(b"Font".to_vec()));
    alone.set("ToUnicode", font.get(b"ToUnicode").ok()?.clone());
    match alone.get_font_encoding_with_limit(document, MAX_UNPACKED) {
        Ok(Encoding::UnicodeMapEncoding(map)) => Some(Encoding::UnicodeMapEncoding(map)),
        _ => None,
    }
}

fn number(document: &Document, dictionary: &Dictionary, key: &[u8]) -> Option<f32> {
    dictionary.get_deref(key, document).and_then(Object::as_float).ok()
}
