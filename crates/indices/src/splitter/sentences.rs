//! Where sentences end, by the rules of NLTK 3.10.4. Everything is linear in the length of the text, and ranges are in
//! bytes.

use std::iter::Peekable;
use std::ops::Range;
use std::str::CharIndices;
use std::sync::LazyLock;

use regex::Regex;

/// The sentences of a text in bytes, without the whitespace between them: those of NLTK's Punkt tokenizer without training
/// data, which [`SentenceSplitter`](crate::SentenceSplitter) cuts between.
///
/// No abbreviation is known, so that "Dr. Smith" is two sentences. Takes time in proportion to the length of the text.
///
/// ```
/// let text = "The colca is a storehouse. \"Llamas carry grain.\" Who counts?";
/// let sentences: Vec<&str> = indices::sentences(text).into_iter().map(|sentence| &text[sentence]).collect();
/// assert_eq!(sentences, ["The colca is a storehouse.", "\"Llamas carry grain.\"", "Who counts?"]);
/// ```
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    realigned(text, &slices(text))
}

/// Cuts a text behind each character that ends a sentence.
fn slices(text: &str) -> Vec<Range<usize>> {
    let mut slices = Vec::new();
    let mut last = 0;
    for end in ends(text) {
        slices.push(last..end.at + 1);
        last = end.next.unwrap_or(end.at + 1);
    }
    slices.push(last..text.trim_end_matches(is_python_whitespace).len().max(last));
    slices
}

/// A character that may end a sentence.
#[derive(Debug, Clone)]
struct Candidate {
    /// Where it is.
    at: usize,
    /// Where what comes after it ends, as far as it is looked at.
    after: usize,
    /// Where the next word begins, if whitespace is between.
    next: Option<usize>,
}

fn candidates(text: &str) -> impl Iterator<Item = Candidate> {
    text.match_indices(['.', '?', '!']).filter_map(|(at, _)| {
        let rest = &text[at + 1..];
        let first = rest.chars().next()?;
        if is_no_word(first) {
            return Some(Candidate { at, after: at + 1 + first.len_utf8(), next: None });
        }
        let word = rest.trim_start();
        if word.len() == rest.len() || word.is_empty() {
            return None;
        }
        let next = text.len() - word.len();
        let len = word.find(char::is_whitespace).unwrap_or(word.len());
        Some(Candidate { at, after: next + len, next: Some(next) })
    })
}

/// The candidates that end a sentence. Each is judged by the words from the whitespace before it on. One without
/// whitespace between it and its successor leaves the judgement to that.
fn ends(text: &str) -> Vec<Candidate> {
    let is_ascii_whitespace = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
    let mut ends = Vec::new();
    let mut previous: Option<Candidate> = None;
    let mut word = 0..0;
    for candidate in candidates(text) {
        let between = &text[word.end..candidate.at];
        let start = match between.rfind(is_ascii_whitespace) {
            // Punkt takes the first place for none.
            Some(at) if at > 0 => word.end + at + 1,
            _ => word.start,
        };
        if let Some(previous) = previous.take().filter(|_| word.end <= start)
            && ends_sentence(&text[word.start..previous.after])
        {
            ends.push(previous);
        }
        word = start..candidate.at;
        previous = Some(candidate);
    }
    ends.extend(previous.filter(|last| ends_sentence(&text[word.start..last.after])));
    ends
}

/// Whether a word of this context ends a sentence, given the one after it.
fn ends_sentence(context: &str) -> bool {
    let lines = context.split('\n').filter(|line| !line.trim_matches(is_python_whitespace).is_empty());
    let words: Vec<&str> = lines.flat_map(words).collect();
    words.windows(2).any(|pair| ends_before(pair[0], pair[1]))
}

/// Whether a sentence ends with a word, given the one after it.
fn ends_before(word: &str, next: &str) -> bool {
    if matches!(word, "." | "?" | "!") {
        return true;
    }
    if !word.ends_with('.') || word.ends_with("..") {
        return false;
    }
    let goes_on = matches!(next, ";" | ":" | "," | "." | "!" | "?");
    let first = next.chars().next().unwrap_or_default();
    if INITIAL.is_match(word) {
        return !(goes_on || first.is_lowercase() || first.is_uppercase());
    }
    if NUMBER.is_match(word) {
        return !(goes_on || first.is_lowercase());
    }
    true
}

static INITIAL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[^\W\d]\.$").expect("it is a valid expression"));

static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^-?[.,]?\d[\d,.\-]*\.?$").expect("it is a valid expression"));

/// The words and marks of a line.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let len = match several(rest) {
            0 if is_no_start(first) => first.len_utf8(),
            0 => word_len(rest),
            several => several,
        };
        let (word, after) = rest.split_at(len);
        rest = after;
        Some(word)
    })
}

/// The length of the word that a text begins with: at least one character, up to what cannot be in one.
fn word_len(text: &str) -> usize {
    let ends = |at: usize| {
        let rest = &text[at..];
        rest.chars().next().is_none_or(|c| c.is_whitespace() || is_no_word(c)) || several(rest) > 0
    };
    let mut places = text.char_indices().skip(1);
    let end = places.find(|&(at, c)| ends(at) || (c == ',' && ends(at + 1)));
    end.map_or(text.len(), |(at, _)| at)
}

/// The length of the dashes or dots that a text begins with, if they are several: `--`, `..`, or `. . .`.
fn several(text: &str) -> usize {
    let run = |of: char| text.len() - text.trim_start_matches(of).len();
    let run = run('-').max(run('.'));
    if run >= 2 {
        return run;
    }
    let mut chars: Peekable<CharIndices<'_>> = text.char_indices().peekable();
    let (mut pairs, mut len) = (0, 0);
    while let Some((at, '.')) = chars.next() {
        if pairs >= 2 {
            len = at + 1;
        }
        if chars.next_if(|(_, c)| c.is_whitespace()).is_none() {
            break;
        }
        pairs += 1;
    }
    len
}

/// Puts closing quotes and brackets that begin a slice at the end of the one before.
fn realigned(text: &str, slices: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut sentences = Vec::with_capacity(slices.len());
    let mut shift = 0;
    for (i, slice) in slices.iter().enumerate() {
        let start = slice.start + shift;
        let next = slices.get(i + 1);
        match next.and_then(|next| closers(&text[next.clone()]).map(|found| (next.start, found))) {
            Some((next, (closers, whole))) => {
                sentences.push(start..next + closers);
                shift = whole;
            }
            None => {
                shift = 0;
                if start < slice.end {
                    sentences.push(start..slice.end);
                }
            }
        }
    }
    sentences
}

/// The length of the closing quotes and brackets that a slice begins with, and their length with the whitespace behind
/// them; `None` if there are none or something else follows them.
fn closers(slice: &str) -> Option<(usize, usize)> {
    let is_closer = |c: char| "\"')]}\u{2018}\u{2019}\u{201c}\u{201d}\u{ab}\u{bb}".contains(c);
    let rest = slice.trim_start_matches(is_closer);
    let closers = slice.len() - rest.len();
    let after = rest.trim_start();
    let fits = closers > 0 && (after.len() < rest.len() || rest.is_empty() || rest.starts_with("--"));
    fits.then_some((closers, slice.len() - after.len()))
}

/// Whether a character ends the word before it.
fn is_no_word(c: char) -> bool {
    ")\";}]*:@'({[?!\u{2018}\u{2019}\u{201c}\u{201d}\u{ab}\u{bb}".contains(c)
}

/// Whether a character is a word of its own where a word could begin.
fn is_no_start(c: char) -> bool {
    "(\"`{[:;&#*@)}]-,".contains(c)
}

/// Python's `str.isspace`.
pub(crate) fn is_python_whitespace(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = sentences(text).into_iter().map(|sentence| &text[sentence]).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn sentences_end_at_marks_before_whitespace() {
        check("One. Two! Three? Four", &["One.", "Two!", "Three?", "Four"]);
        check("Dr. Smith has 3.5 cats.", &["Dr.", "Smith has 3.5 cats."]);
        check("J. Smith. e.g. this", &["J. Smith.", "e.g.", "this"]);
        check("No. 7. is 8. and", &["No.", "7. is 8. and"]);
        check("Wait... what? -- No.", &["Wait... what?", "-- No."]);
        check("  ", &[]);
        check("", &[]);
        check("ab.\u{a0}cd", &["ab.", "cd"]);
        check("a. b. C", &["a. b. C"]);
    }

    #[test]
    fn closing_marks_go_with_their_sentence() {
        check("(One.) Two. \u{201c}Three.\u{201d} Four", &["(One.)", "Two.", "\u{201c}Three.\u{201d}", "Four"]);
        check("He said \"go.\" Then", &["He said \"go.\"", "Then"]);
    }
}
