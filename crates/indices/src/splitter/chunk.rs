use std::collections::VecDeque;
use std::ops::Range;

use raw_json::PyString;

use super::sentences::is_python_whitespace;

/// A part of a text, with how many tokens it has.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) range: Range<usize>,
    pub(crate) tokens: usize,
}

/// Pieces that are put together to a chunk.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    pub(crate) pieces: VecDeque<Piece>,
    pub(crate) tokens: usize,
}

impl Gathering {
    /// How many tokens there would be with another piece, whatever a tokenizer says.
    pub(crate) fn with(&self, piece: &Piece) -> usize {
        self.tokens.saturating_add(piece.tokens)
    }

    pub(crate) fn push(&mut self, piece: Piece) {
        self.tokens = self.with(&piece);
        self.pieces.push_back(piece);
    }

    /// Drops pieces from the front as long as there are any and it is so wanted, told the tokens.
    pub(crate) fn drop_front(&mut self, wanted: impl Fn(usize) -> bool) {
        while wanted(self.tokens)
            && let Some(piece) = self.pieces.pop_front()
        {
            self.tokens = self.tokens.saturating_sub(piece.tokens);
        }
    }

    /// Keeps the longest end that has no more tokens.
    pub(crate) fn keep_end(&mut self, tokens: usize) {
        let mut kept = 0;
        let fits = self.pieces.iter().rev().take_while(|piece| {
            kept = piece.tokens.saturating_add(kept);
            kept <= tokens
        });
        let n = fits.count();
        self.pieces.drain(..self.pieces.len() - n);
        self.tokens = self.pieces.iter().fold(0, |sum, piece| piece.tokens.saturating_add(sum));
    }

    pub(crate) fn chunk(&self) -> Chunk {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for piece in &self.pieces {
            match ranges.last_mut() {
                Some(last) if last.end == piece.range.start => last.end = piece.range.end,
                _ => ranges.push(piece.range.clone()),
            }
        }
        Chunk(ranges)
    }
}

/// Parts of a text, one after the other. Nearly always it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk(pub(crate) Vec<Range<usize>>);

impl Chunk {
    /// The same without Python's whitespace at both ends.
    pub(crate) fn strip(mut self, text: &str) -> Self {
        while let Some(first) = self.0.first_mut() {
            let part = &text[first.clone()];
            first.start = first.end - part.trim_start_matches(is_python_whitespace).len();
            if first.start < first.end {
                break;
            }
            self.0.remove(0);
        }
        while let Some(last) = self.0.last_mut() {
            let part = &text[last.clone()];
            last.end = last.start + part.trim_end_matches(is_python_whitespace).len();
            if last.start < last.end {
                break;
            }
            self.0.pop();
        }
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|range| range.start >= range.end)
    }

    /// The text of it, of a text whose lone surrogates were replaced by characters as long.
    pub(crate) fn of(&self, text: &PyString) -> PyString {
        let parts: Vec<PyString> = self.0.iter().filter_map(|range| text.slice(range.clone())).collect();
        match parts.as_slice() {
            [one] => one.clone(),
            several => PyString::concat(several),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SentenceSplitter, TokenTextSplitter, Tokenizer};

    #[test]
    fn lone_surrogates_stay_what_they_are() {
        let text = PyString::from_utf16(&[0x61, 0xd83d, 0x2e, 0x20, 0xde00, 0x62, 0x2e]);
        let chunks = SentenceSplitter::new(3, 0).unwrap().split_text(&text).unwrap();
        let without_spaces = |text: &PyString| text.code_points().filter(|c| *c != 0x20).collect::<Vec<u32>>();
        let joined = PyString::concat(&chunks);
        assert!(chunks.len() > 1 && without_spaces(&joined) == without_spaces(&text), "{chunks:?}");
    }

    #[derive(Debug)]
    struct Endless;

    impl Tokenizer for Endless {
        fn count(&self, text: &str) -> usize {
            if text.len() > 1 { usize::MAX } else { usize::MAX / 2 + 1 }
        }
    }

    #[test]
    fn a_tokenizer_may_count_anything() {
        let sentences = SentenceSplitter::new(usize::MAX - 1, 9).unwrap().tokenizer(Endless);
        assert_eq!(sentences.split_text("ab cd").unwrap().len(), 4);
        let words = TokenTextSplitter::new(5, 5).unwrap().tokenizer(Endless);
        assert_eq!(words.split_text("ab cd").unwrap().len(), 4);
    }
}
