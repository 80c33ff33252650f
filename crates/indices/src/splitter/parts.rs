use std::ops::Range;

use regex::Regex;

use super::chunk::Piece;
use super::sentences::{is_python_whitespace, sentences};
use super::{SplitError, Tokenizer};

/// A way to take a text apart.
#[derive(Debug, Clone)]
pub(crate) enum Cut {
    /// Before each separator.
    Separator(String),
    /// Between sentences.
    Sentences,
    /// Into all matches.
    Regex(Regex),
    /// Into characters.
    Chars,
}

impl Cut {
    /// The parts of a text that lies at `offset`; none of them is empty.
    fn parts(&self, text: &str, offset: usize) -> Result<Vec<Range<usize>>, SplitError> {
        let parts: Vec<Range<usize>> = match self {
            Self::Separator(separator) if separator.is_empty() => return Err(SplitError::EmptySeparator),
            Self::Separator(separator) => between(text, text.match_indices(separator).map(|(at, _)| at)),
            Self::Sentences if text.trim_matches(is_python_whitespace).is_empty() => Vec::new(),
            // The first one may begin with whitespace; it is of that sentence.
            Self::Sentences => between(text, sentences(text).into_iter().skip(1).map(|sentence| sentence.start)),
            Self::Regex(regex) => regex.find_iter(text).map(|found| found.range()).collect(),
            Self::Chars => text.char_indices().map(|(at, c)| at..at + c.len_utf8()).collect(),
        };
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        Ok(parts.map(|part| part.start + offset..part.end + offset).collect())
    }
}

/// A text cut at these places.
fn between(text: &str, cuts: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = 0;
    for cut in cuts.chain([text.len()]) {
        parts.push(start..cut);
        start = cut;
    }
    parts
}

/// Takes a text apart until no piece has more tokens than `size`, as far as that is possible: each part that has more
/// is cut by the first of the cuts that makes several parts of it.
pub(crate) fn pieces(
    text: &str,
    size: usize,
    cuts: &[Cut],
    tokenizer: &dyn Tokenizer,
) -> Result<Vec<Piece>, SplitError> {
    let mut pieces = Vec::new();
    let whole = 0..text.len();
    let mut open = vec![Piece { tokens: tokenizer.count(text), range: whole }];
    while let Some(part) = open.pop() {
        if part.tokens <= size {
            pieces.push(part);
            continue;
        }
        let mut parts = Vec::new();
        for cut in cuts {
            parts = cut.parts(&text[part.range.clone()], part.range.start)?;
            if parts.len() > 1 {
                break;
            }
        }
        let counted =
            parts.iter().map(|range| Piece { tokens: tokenizer.count(&text[range.clone()]), range: range.clone() });
        if parts.len() > 1 {
            open.extend(counted.rev());
        } else {
            // It is too large, and all there is.
            pieces.extend(counted);
        }
    }
    Ok(pieces)
}
