//! The scanner: one pass over a text that validates it and finds where values start and end.
//!
//! It accepts and refuses what Python's `json` module does. Nothing here recurses, so depth costs one byte a level.

use std::borrow::Cow;
use std::ops::Range;

use crate::decode::Text;
use crate::error::{Error, ErrorKind, Result};
use crate::number::{BigInt, parse_f64, parse_fraction};
use crate::raw::RawJson;
use crate::string::{PyString, push_code_point};
use crate::value::{Object, Value};

/// How deep values may be nested. Python's own limit lies near 1,000.
pub const MAX_DEPTH: usize = 1024;

/// How many digits an integer may have: what Python converts without being told otherwise.
pub const MAX_INT_DIGITS: usize = 4300;

/// The type of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// An integer or a float, `NaN` and the infinities included.
    Number,
    /// A string.
    String,
    /// A list.
    Array,
    /// An object.
    Object,
}

impl Kind {
    /// The type in words, for messages: `"a list"`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "a list",
            Self::Object => "an object",
        }
    }
}

/// Walks over a text, value by value.
///
/// Each method reads the value that comes next and leaves the scanner behind it.
///
/// ```
/// use raw_json::{Scanner, Text};
///
/// let text = Text::from(r#"{"a": [1, 2.5], "b": {"deep": null}}"#);
/// let mut scanner = Scanner::new(&text);
/// let mut found = Vec::new();
/// scanner.object(|key, value| {
///     found.push((key.to_string(), value.raw()?.to_string()));
///     Ok::<_, raw_json::Error>(())
/// })?;
/// scanner.finish()?;
/// assert_eq!(found[0], ("a".to_owned(), "[1, 2.5]".to_owned()));
/// # Ok::<(), raw_json::Error>(())
/// ```
#[derive(Debug)]
pub struct Scanner<'a> {
    text: &'a Text,
    bytes: &'a [u8],
    pos: usize,
    /// The closing brackets of all values that are open.
    open: Vec<u8>,
    max_depth: usize,
}

impl<'a> Scanner<'a> {
    /// Starts at the beginning of `text`.
    pub fn new(text: &'a Text) -> Self {
        Self { text, bytes: text.as_str().as_bytes(), pos: 0, open: Vec::new(), max_depth: MAX_DEPTH }
    }

    /// For a text that was checked or written before, and so may be as deep as it is.
    pub(crate) fn of_validated(text: &'a Text) -> Self {
        Self { max_depth: usize::MAX, ..Self::new(text) }
    }

    /// The type of the next value, from its first character.
    ///
    /// # Errors
    /// If no value can start there.
    pub fn kind(&mut self) -> Result<Kind> {
        self.space();
        match self.peek() {
            b'{' => Ok(Kind::Object),
            b'[' => Ok(Kind::Array),
            b'"' => Ok(Kind::String),
            b't' | b'f' => Ok(Kind::Bool),
            b'n' => Ok(Kind::Null),
            b'-' | b'0'..=b'9' | b'N' | b'I' => Ok(Kind::Number),
            _ => Err(self.error(ErrorKind::ExpectedValue)),
        }
    }

    /// The next value must be of this type; it is not read.
    ///
    /// # Errors
    /// [`ErrorKind::WrongType`] if it is of another, and if no value can start there.
    pub fn expect(&mut self, wanted: Kind) -> Result<()> {
        let found = self.kind()?;
        if found == wanted {
            return Ok(());
        }
        Err(self.error(ErrorKind::WrongType { expected: wanted.name(), found: found.name() }))
    }

    /// Reads the next value as raw text, which shares the text's bytes.
    ///
    /// # Errors
    /// If it is not well-formed.
    pub fn raw(&mut self) -> Result<RawJson> {
        let range = self.skip()?;
        Ok(RawJson::from_validated(self.text.bytes().slice(range)))
    }

    /// Reads the next value into a tree. Of duplicate keys the last value counts, at the place of the first.
    ///
    /// # Errors
    /// If it is not well-formed.
    pub fn value(&mut self) -> Result<Value> {
        // Containers under construction; an object remembers the key that waits for its value.
        enum Building {
            Array(Vec<Value>),
            Object(Object, PyString),
        }
        let mut stack: Vec<Building> = Vec::new();
        'value: loop {
            let mut value = match self.kind()? {
                Kind::Object => {
                    self.enter(b'}')?;
                    match self.first_key()? {
                        Some(key) => {
                            stack.push(Building::Object(Object::new(), key));
                            continue 'value;
                        }
                        None => Value::Object(Object::new()),
                    }
                }
                Kind::Array => {
                    self.enter(b']')?;
                    if self.first_item() {
                        stack.push(Building::Array(Vec::new()));
                        continue 'value;
                    }
                    Value::Array(Vec::new())
                }
                Kind::String => Value::String(self.string()?),
                Kind::Number => self.number()?,
                Kind::Bool => Value::Bool(self.skip_literal()?.len() == "true".len()),
                Kind::Null => {
                    self.skip_literal()?;
                    Value::Null
                }
            };
            loop {
                match stack.pop() {
                    None => return Ok(value),
                    Some(Building::Array(mut items)) => {
                        items.push(value);
                        if self.next_item()? {
                            stack.push(Building::Array(items));
                            continue 'value;
                        }
                        value = Value::Array(items);
                    }
                    Some(Building::Object(mut entries, key)) => {
                        entries.insert(key, value);
                        if let Some(key) = self.next_key()? {
                            stack.push(Building::Object(entries, key));
                            continue 'value;
                        }
                        value = Value::Object(entries);
                    }
                }
            }
        }
    }

    /// Reads an object and calls `entry` with each key. `entry` reads the value, or leaves it and it is passed over.
    ///
    /// # Errors
    /// If it is not a well-formed object, and whatever `entry` returns.
    pub fn object<E: From<Error>>(
        &mut self,
        mut entry: impl FnMut(PyString, &mut Self) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        self.expect(Kind::Object)?;
        self.enter(b'}')?;
        let mut next = self.first_key()?;
        while let Some(key) = next {
            self.space();
            let before = self.pos;
            entry(key, self)?;
            if self.pos == before {
                self.skip()?;
            }
            next = self.next_key()?;
        }
        Ok(())
    }

    /// Reads the entries of an object under these keys, which are few. The others are passed over, their keys uncopied.
    pub(crate) fn entries(&mut self, keys: &[&PyString]) -> Result<Object> {
        let mut entries = Object::new();
        self.expect(Kind::Object)?;
        self.enter(b'}')?;
        let mut more = self.first_item_of(b'}');
        while more {
            let range = self.skip_key()?;
            let key = unescaped(&self.bytes[range.start + 1..range.end - 1]);
            if let Some(key) = keys.iter().find(|wanted| *wanted.as_bytes() == *key) {
                entries.insert(PyString::clone(key), self.value()?);
            } else {
                self.skip()?;
            }
            more = self.next_item()?;
        }
        Ok(entries)
    }

    /// Reads a list and calls `item` for each item, which reads it or leaves it to be passed over.
    ///
    /// # Errors
    /// If it is not a well-formed list, and whatever `item` returns.
    pub fn array<E: From<Error>>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        self.expect(Kind::Array)?;
        self.enter(b']')?;
        let mut more = self.first_item();
        while more {
            self.space();
            let before = self.pos;
            item(self)?;
            if self.pos == before {
                self.skip()?;
            }
            more = self.next_item()?;
        }
        Ok(())
    }

    /// Reads a string.
    ///
    /// # Errors
    /// If it is not a well-formed string.
    pub fn string(&mut self) -> Result<PyString> {
        self.expect(Kind::String)?;
        let range = self.skip_string()?;
        Ok(PyString::from_generalized_utf8(&unescaped(&self.bytes[range.start + 1..range.end - 1])))
    }

    /// Reads a number: [`Value::Int`], [`Value::BigInt`] or [`Value::Float`].
    ///
    /// # Errors
    /// If it is not a well-formed number.
    pub fn number(&mut self) -> Result<Value> {
        self.expect(Kind::Number)?;
        let (range, float) = self.skip_number()?;
        let literal = &self.text.as_str()[range];
        Ok(if float {
            Value::Float(parse_f64(literal))
        } else if let Ok(int) = literal.parse() {
            Value::Int(int)
        } else {
            Value::BigInt(BigInt::from_literal(literal))
        })
    }

    /// Reads a number as the nearest double; integers too.
    ///
    /// # Errors
    /// If it is not a well-formed number.
    pub fn f64(&mut self) -> Result<f64> {
        self.space();
        if let Some((value, len)) = parse_fraction(&self.bytes[self.pos..]) {
            self.pos += len;
            return Ok(value);
        }
        self.expect(Kind::Number)?;
        let (range, _) = self.skip_number()?;
        Ok(parse_f64(&self.text.as_str()[range]))
    }

    /// The end of the text must be here.
    ///
    /// # Errors
    /// If anything but white space follows.
    pub fn finish(mut self) -> Result<()> {
        self.space();
        if self.pos == self.bytes.len() { Ok(()) } else { Err(self.error(ErrorKind::ExtraData)) }
    }

    /// An error of `kind` at the place the scanner has reached.
    pub fn error(&self, kind: ErrorKind) -> Error {
        Error::at(kind, self.bytes, self.pos)
    }

    /// Passes over the next value, checking it, and returns where it stands.
    ///
    /// # Errors
    /// If it is not well-formed.
    pub fn skip(&mut self) -> Result<Range<usize>> {
        let outside = self.open.len();
        self.space();
        let start = self.pos;
        'value: loop {
            match self.kind()? {
                Kind::Object => {
                    self.enter(b'}')?;
                    if self.first_item_of(b'}') {
                        self.skip_key()?;
                        continue 'value;
                    }
                }
                Kind::Array => {
                    self.enter(b']')?;
                    if self.first_item() {
                        continue 'value;
                    }
                }
                Kind::String => {
                    self.skip_string()?;
                }
                Kind::Number => {
                    self.skip_number()?;
                }
                Kind::Bool | Kind::Null => {
                    self.skip_literal()?;
                }
            }
            while self.open.len() > outside {
                if !self.next_item()? {
                    continue;
                }
                if self.open.last() == Some(&b'}') {
                    self.skip_key()?;
                }
                continue 'value;
            }
            return Ok(start..self.pos);
        }
    }

    /// The next byte, or 0 at the end (a zero byte is valid nowhere outside strings).
    fn peek(&self) -> u8 {
        self.bytes.get(self.pos).copied().unwrap_or(0)
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.pos += 1;
        }
    }

    /// Steps over an opening bracket.
    fn enter(&mut self, close: u8) -> Result<()> {
        if self.open.len() >= self.max_depth {
            return Err(self.error(ErrorKind::TooDeep));
        }
        self.open.push(close);
        self.pos += 1;
        Ok(())
    }

    /// Steps over a closing bracket.
    fn leave(&mut self) {
        self.open.pop();
        self.pos += 1;
    }

    /// Behind an opening `[`: whether there is an item; if not, the list is left.
    fn first_item(&mut self) -> bool {
        self.first_item_of(b']')
    }

    /// The same of any container.
    fn first_item_of(&mut self, close: u8) -> bool {
        self.space();
        let more = self.peek() != close;
        if !more {
            self.leave();
        }
        more
    }

    /// Behind an item: whether another follows; if not, the container is left.
    fn next_item(&mut self) -> Result<bool> {
        self.space();
        let close = self.open.last().copied().unwrap_or(0);
        match self.peek() {
            b',' => {
                self.pos += 1;
                Ok(true)
            }
            b if b == close => {
                self.leave();
                Ok(false)
            }
            _ => Err(self.error(ErrorKind::Expected(if close == b'}' { "',' or '}'" } else { "',' or ']'" }))),
        }
    }

    fn first_key(&mut self) -> Result<Option<PyString>> {
        if self.first_item_of(b'}') { self.key().map(Some) } else { Ok(None) }
    }

    fn next_key(&mut self) -> Result<Option<PyString>> {
        if self.next_item()? { self.key().map(Some) } else { Ok(None) }
    }

    fn key(&mut self) -> Result<PyString> {
        self.space();
        if self.peek() != b'"' {
            return Err(self.error(ErrorKind::ExpectedKey));
        }
        let key = self.string()?;
        self.colon()?;
        Ok(key)
    }

    /// Passes over a key; the range includes the quotes.
    fn skip_key(&mut self) -> Result<Range<usize>> {
        self.space();
        if self.peek() != b'"' {
            return Err(self.error(ErrorKind::ExpectedKey));
        }
        let range = self.skip_string()?;
        self.colon()?;
        Ok(range)
    }

    fn colon(&mut self) -> Result<()> {
        self.space();
        if self.peek() != b':' {
            return Err(self.error(ErrorKind::Expected("':'")));
        }
        self.pos += 1;
        Ok(())
    }

    /// Passes over a string that starts here; the range includes the quotes.
    fn skip_string(&mut self) -> Result<Range<usize>> {
        let start = self.pos;
        self.pos += 1;
        loop {
            self.pos += plain_len(&self.bytes[self.pos..]);
            match self.bytes.get(self.pos) {
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(start..self.pos);
                }
                Some(b'\\') => self.skip_escape()?,
                Some(_) => return Err(self.error(ErrorKind::ControlCharacter)),
                None => return Err(Error::at(ErrorKind::UnterminatedString, self.bytes, start)),
            }
        }
    }

    fn skip_escape(&mut self) -> Result<()> {
        match self.bytes.get(self.pos + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.pos += 2,
            Some(b'u')
                if self.bytes.get(self.pos + 2..self.pos + 6).is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit)) =>
            {
                self.pos += 6;
            }
            _ => return Err(self.error(ErrorKind::InvalidEscape)),
        }
        Ok(())
    }

    /// Passes over a number that starts here and tells whether it is a float.
    fn skip_number(&mut self) -> Result<(Range<usize>, bool)> {
        let start = self.pos;
        for special in ["NaN", "Infinity", "-Infinity"] {
            if self.bytes[start..].starts_with(special.as_bytes()) {
                self.pos += special.len();
                return Ok((start..self.pos, true));
            }
        }
        if self.peek() == b'-' {
            self.pos += 1;
        }
        let digits_start = self.pos;
        match self.peek() {
            b'0' => self.pos += 1,
            b'1'..=b'9' => self.digits(),
            _ => return Err(Error::at(ErrorKind::ExpectedValue, self.bytes, start)),
        }
        let digits = self.pos - digits_start;
        let mut float = false;
        if self.peek() == b'.' && self.bytes.get(self.pos + 1).is_some_and(u8::is_ascii_digit) {
            float = true;
            self.pos += 1;
            self.digits();
        }
        if matches!(self.peek(), b'e' | b'E') {
            let sign = usize::from(matches!(self.bytes.get(self.pos + 1), Some(b'+' | b'-')));
            if self.bytes.get(self.pos + 1 + sign).is_some_and(u8::is_ascii_digit) {
                float = true;
                self.pos += 1 + sign;
                self.digits();
            }
        }
        if !float && digits > MAX_INT_DIGITS {
            return Err(Error::at(ErrorKind::IntegerTooLong, self.bytes, start));
        }
        Ok((start..self.pos, float))
    }

    fn digits(&mut self) {
        while self.peek().is_ascii_digit() {
            self.pos += 1;
        }
    }

    fn skip_literal(&mut self) -> Result<Range<usize>> {
        let start = self.pos;
        for literal in ["true", "false", "null"] {
            if self.bytes[start..].starts_with(literal.as_bytes()) {
                self.pos += literal.len();
                return Ok(start..self.pos);
            }
        }
        Err(self.error(ErrorKind::ExpectedValue))
    }
}

/// How many bytes at the start of `bytes` are neither a quote, a backslash nor a control character.
///
/// Eight at a time: `x - 0x01…` borrows into the high bit of each byte that was zero, so a byte equal to `c` shows
/// after `x ^ c`, and one below 0x20 after `x - 0x20…`. A borrow can only spoil bytes above the first hit, and
/// the first is all that is used.
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let zero_bytes = |x: u64| x.wrapping_sub(ONES) & !x;
    let (words, _) = bytes.as_chunks::<8>();
    let mut len = 0;
    for &word in words {
        let x = u64::from_le_bytes(word);
        let control = x.wrapping_sub(ONES * 0x20) & !x;
        let hits = (control | zero_bytes(x ^ (ONES * b'"' as u64)) | zero_bytes(x ^ (ONES * b'\\' as u64))) & HIGHS;
        if hits != 0 {
            return len + hits.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    let tail = &bytes[len..];
    len + tail.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20).unwrap_or(tail.len())
}

/// What stands between the quotes of a string, as generalized UTF-8.
fn unescaped(inner: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', inner).is_none() { Cow::Borrowed(inner) } else { Cow::Owned(unescape(inner)) }
}

/// Resolves the escapes of a validated string. A high and a low surrogate escape in a row make one code point.
fn unescape(mut rest: &[u8]) -> Vec<u8> {
    let hex = |s: &[u8]| s.iter().fold(0, |n, d| n << 4 | (*d as char).to_digit(16).unwrap_or(0));
    let mut out = Vec::with_capacity(rest.len());
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let escape = rest[at + 1];
        rest = &rest[at + 2..];
        match escape {
            b'u' => {
                let mut point = hex(&rest[..4]);
                rest = &rest[4..];
                if (0xD800..0xDC00).contains(&point) && rest.starts_with(b"\\u") {
                    let low = hex(&rest[2..6]);
                    if (0xDC00..0xE000).contains(&low) {
                        point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
                        rest = &rest[6..];
                    }
                }
                push_code_point(&mut out, point);
            }
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            other => out.push(other),
        }
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests;
