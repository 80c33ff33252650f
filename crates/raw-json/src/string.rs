use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A string as Python and JSON can hold it: Unicode code points, lone surrogates included.
///
/// LlamaIndex stores whatever a Python `str` may contain, in texts, metadata, keys and ids, and some of it is not valid
/// Unicode (`"\ud83d"`). The content is kept as *generalized UTF-8*: UTF-8 in which a lone surrogate takes three bytes
/// too. Comparing bytes therefore compares code points, as Python does. Nearly every string is valid Unicode, and
/// [`to_str`](Self::to_str) is then free.
///
/// A clone shares the content.
///
/// ```
/// use raw_json::PyString;
///
/// let plain = PyString::from("naïve");
/// assert_eq!(plain.to_str(), Some("naïve"));
/// assert!(plain == "naïve");
///
/// let lone = PyString::from_code_points([0x61, 0xD83D]);
/// assert_eq!(lone.to_str(), None);
/// assert_eq!(lone.to_string(), "a\u{FFFD}");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PyString(Arc<[u8]>);

impl PyString {
    /// Takes bytes that are generalized UTF-8.
    pub(crate) fn from_generalized_utf8(bytes: &[u8]) -> Self {
        debug_assert!(lossy(bytes).len() >= bytes.len());
        Self(Arc::from(bytes))
    }

    /// Builds a string from code points, surrogates allowed. Numbers above U+10FFFF become U+FFFD.
    pub fn from_code_points(points: impl IntoIterator<Item = u32>) -> Self {
        let mut bytes = Vec::new();
        for point in points {
            push_code_point(&mut bytes, point);
        }
        Self(bytes.into())
    }

    /// Builds a string from UTF-16 code units; pairs are joined, lone surrogates kept.
    pub fn from_utf16(units: &[u16]) -> Self {
        Self::from_code_points(char::decode_utf16(units.iter().copied()).map(|unit| match unit {
            Ok(c) => c as u32,
            Err(lone) => u32::from(lone.unpaired_surrogate()),
        }))
    }

    /// The text, or `None` if it has lone surrogates.
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The text, with U+FFFD in place of each lone surrogate.
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        lossy(&self.0)
    }

    /// The content as generalized UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The length of [`as_bytes`](Self::as_bytes).
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The code points, surrogates included.
    pub fn code_points(&self) -> impl Iterator<Item = u32> + '_ {
        CodePoints(&self.0)
    }

    /// Appends the parts one after the other. Surrogates that meet are not joined, as in Python.
    pub fn concat<'a>(parts: impl IntoIterator<Item = &'a PyString>) -> Self {
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&part.0);
        }
        Self(bytes.into())
    }

    /// The part between two places in [`as_bytes`](Self::as_bytes); `None` if one of them is beyond the end or within a
    /// character.
    pub fn slice(&self, range: Range<usize>) -> Option<Self> {
        let is_boundary = |at: usize| self.0.get(at).is_none_or(|byte| byte & 0xc0 != 0x80);
        let part = self.0.get(range.clone())?;
        (is_boundary(range.start) && is_boundary(range.end)).then(|| Self::from_generalized_utf8(part))
    }

    /// Whether `part` occurs in it, Python's `in`. Takes time in proportion to both.
    pub fn contains(&self, part: &Self) -> bool {
        memchr::memmem::find(&self.0, &part.0).is_some()
    }

    /// Python's `lower`: the whole of Unicode, with a final sigma, and lone surrogates as they are.
    pub fn to_lowercase(&self) -> Self {
        let mut lower = Vec::with_capacity(self.len());
        for chunk in self.0.utf8_chunks() {
            lower.extend_from_slice(chunk.valid().to_lowercase().as_bytes());
            lower.extend_from_slice(chunk.invalid());
        }
        Self(lower.into())
    }
}

/// Decodes generalized UTF-8 that is known to be well-formed.
struct CodePoints<'a>(&'a [u8]);

impl Iterator for CodePoints<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let lead = u32::from(*self.0.first()?);
        let (len, bits) = match lead {
            0..0x80 => (1, lead),
            0x80..0xE0 => (2, lead & 0x1F),
            0xE0..0xF0 => (3, lead & 0x0F),
            _ => (4, lead & 0x07),
        };
        let (point, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(point[1..].iter().fold(bits, |acc, b| acc << 6 | u32::from(b & 0x3F)))
    }
}

/// Appends a code point as generalized UTF-8.
pub(crate) fn push_code_point(bytes: &mut Vec<u8>, point: u32) {
    match char::from_u32(point) {
        Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        None if (0xD800..0xE000).contains(&point) => {
            bytes.extend_from_slice(&[0xED, 0x80 | (point >> 6 & 0x3F) as u8, 0x80 | (point & 0x3F) as u8]);
        }
        None => bytes.extend_from_slice("\u{FFFD}".as_bytes()),
    }
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            Cow::Owned(CodePoints(bytes).map(|p| char::from_u32(p).unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
        }
    }
}

impl Default for PyString {
    fn default() -> Self {
        Self::from("")
    }
}

impl From<&str> for PyString {
    fn from(text: &str) -> Self {
        Self(Arc::from(text.as_bytes()))
    }
}

impl From<String> for PyString {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl From<&String> for PyString {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&PyString> for PyString {
    fn from(text: &PyString) -> Self {
        text.clone()
    }
}

impl PartialEq<str> for PyString {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl PartialEq<&str> for PyString {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

/// Lets maps keyed by `PyString` be asked with `text.as_bytes()`.
impl std::borrow::Borrow<[u8]> for PyString {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// Lone surrogates show as U+FFFD.
impl fmt::Display for PyString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_string_lossy())
    }
}

/// As a JSON string in ASCII, which shows every code point.
impl fmt::Debug for PyString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        crate::write_string(&mut out, self, crate::Dialect::Ascii);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_points_round_trip() {
        for points in [vec![], vec![0x41, 0xE9, 0x20AC, 0x1F600], vec![0xD83D, 0xDE00], vec![0xDFFF, 0x61, 0xD800]] {
            let s = PyString::from_code_points(points.iter().copied());
            assert_eq!(s.code_points().collect::<Vec<_>>(), points);
        }
    }

    #[test]
    fn utf16_pairs_join_and_lone_units_stay() {
        let s = PyString::from_utf16(&[0xD83D, 0xDE00, 0xD83D]);
        assert_eq!(s.code_points().collect::<Vec<_>>(), [0x1F600, 0xD83D]);
    }

    #[test]
    fn order_is_by_code_point() {
        // UTF-16 order would put U+FFFF after U+1F600.
        let one = |point| PyString::from_code_points([point]);
        assert!(one(0xFFFF) < one(0x1_F600));
        assert!(one(0xDFFF) < one(0xE000));
    }

    #[test]
    fn numbers_beyond_unicode_are_replaced() {
        assert!(PyString::from_code_points([0x11_0000]) == "\u{FFFD}");
    }

    #[test]
    fn parts_are_found_by_code_point() {
        let check = |whole: &PyString, part: &PyString, expected| assert_eq!(whole.contains(part), expected);
        check(&"naïve".into(), &"ïv".into(), true);
        check(&"naïve".into(), &"".into(), true);
        check(&"".into(), &"a".into(), false);
        check(&"\u{1F600}".into(), &PyString::from_code_points([0xD83D]), false);
        check(&PyString::from_code_points([0x61, 0xD83D, 0x62]), &PyString::from_code_points([0xD83D, 0x62]), true);
    }

    #[test]
    fn lower_case_is_pythons() {
        let check = |text: &str, expected: &str| assert_eq!(PyString::from(text).to_lowercase(), expected);
        check("ÉCOLE ΣΑΣ İ ẞ Ǆ", "école σας i\u{307} ß ǆ");
        check("straße", "straße");
        let lone = PyString::from_code_points([0x3A3, 0x41, 0x3A3, 0xD83D, 0xD83D, 0x42]);
        assert_eq!(lone.to_lowercase(), PyString::from_code_points([0x3C3, 0x61, 0x3C2, 0xD83D, 0xD83D, 0x62]));
    }
}
