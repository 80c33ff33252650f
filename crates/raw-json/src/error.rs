use std::fmt;

/// The result of reading JSON.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a text is not the JSON that was asked for, and where.
///
/// Lines and columns count from 1 and columns count characters, as editors and Python do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at line {line} column {column} (byte {offset})")]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Line of the offending place, from 1.
    pub line: usize,
    /// Character within the line, from 1.
    pub column: usize,
    /// Byte offset into the text, from 0.
    pub offset: usize,
}

impl Error {
    /// An error of `kind` at byte `offset` of `text`.
    #[cold]
    pub(crate) fn at(kind: ErrorKind, text: &[u8], offset: usize) -> Self {
        let before = &text[..offset.min(text.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |i| i + 1);
        let continuation = |b: &&u8| **b & 0xC0 == 0x80;
        let in_line = &before[line_start..];
        Self {
            kind,
            line: 1 + memchr::memchr_iter(b'\n', before).count(),
            column: 1 + in_line.len() - in_line.iter().filter(continuation).count(),
            offset,
        }
    }
}

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value should start here. Also what an empty text gives.
    ExpectedValue,
    /// An object's key (a string in double quotes) should start here.
    ExpectedKey,
    /// One of these should stand here, for example `':'` or `',' or '}'`.
    Expected(&'static str),
    /// The text goes on after the value's end.
    ExtraData,
    /// A string has no closing quote.
    UnterminatedString,
    /// A raw control character (below U+0020) inside a string.
    ControlCharacter,
    /// A backslash is followed by something that is no escape.
    InvalidEscape,
    /// An integer has more digits than Python reads (4,300).
    IntegerTooLong,
    /// Values are nested deeper than [`MAX_DEPTH`](crate::MAX_DEPTH).
    TooDeep,
    /// The bytes are not text in the encoding they seem to be in.
    InvalidEncoding(&'static str),
    /// The value is well-formed but of another type than asked for.
    WrongType {
        /// What was asked for, for example `"an object"`.
        expected: &'static str,
        /// What is there, for example `"a list"`.
        found: &'static str,
    },
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExpectedValue => f.write_str("expected a value"),
            Self::ExpectedKey => f.write_str("expected a key in double quotes"),
            Self::Expected(what) => write!(f, "expected {what}"),
            Self::ExtraData => f.write_str("unexpected data after the value"),
            Self::UnterminatedString => f.write_str("string without a closing quote"),
            Self::ControlCharacter => f.write_str("unescaped control character in a string"),
            Self::InvalidEscape => f.write_str("invalid escape in a string"),
            Self::IntegerTooLong => write!(f, "integer of more than {} digits", crate::MAX_INT_DIGITS),
            Self::TooDeep => write!(f, "values nested more than {} deep", crate::MAX_DEPTH),
            Self::InvalidEncoding(encoding) => write!(f, "invalid {encoding}"),
            Self::WrongType { expected, found } => write!(f, "expected {expected}, found {found}"),
        }
    }
}
