use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::LazyLock;

use async_trait::async_trait;
use indexmap::IndexMap;
use regex::Regex;

use crate::ModelError;

/// Finds the keywords of a text.
#[async_trait]
pub trait KeywordExtractor: Debug + Send + Sync + 'static {
    /// At most `max` keywords, the most telling first, each once.
    ///
    /// # Errors
    /// If it fails, for whatever reason.
    async fn extract(&self, text: &str, max: usize) -> Result<Vec<String>, ModelError>;
}

/// The words that occur most often, in lower case, without English stop words: LlamaIndex's `simple_extract_keywords`.
///
/// Of words that occur equally often the earlier one comes first. A word is a run of letters, numerals and underscores;
/// combining marks end it, as in Python.
#[derive(Debug, Clone, Copy, Default)]
pub struct SimpleKeywords;

#[async_trait]
impl KeywordExtractor for SimpleKeywords {
    async fn extract(&self, text: &str, max: usize) -> Result<Vec<String>, ModelError> {
        Ok(simple_keywords(text, max))
    }
}

fn simple_keywords(text: &str, max: usize) -> Vec<String> {
    let mut counts: IndexMap<String, usize> = IndexMap::new();
    for word in WORD.find_iter(text).map(|word| word.as_str().to_lowercase()) {
        if !STOP_WORDS.contains(word.as_str()) {
            *counts.entry(word).or_default() += 1;
        }
    }
    // Stable: ties stay in the order of the text.
    counts.sort_by(|_, a, _, b| b.cmp(a));
    counts.into_keys().take(max).collect()
}

static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[\p{L}\p{N}_]+").expect("it is a valid expression"));

/// NLTK's list for English.
pub(crate) static STOP_WORDS: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("data/stopwords-en.txt").lines().collect());

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, max: usize, expected: &[&str]) {
        assert_eq!(simple_keywords(text, max), expected, "{text}");
    }

    #[test]
    fn frequent_words_come_first_and_stop_words_not_at_all() {
        check("the Llama and the cord; a cord", 10, &["cord", "llama"]);
        check("a b_1 c c", 1, &["c"]);
        check("the a of", 10, &[]);
        check("", 10, &[]);
    }

    #[test]
    fn words_are_python_s() {
        check(
            "It's na\u{ef}ve co-op x_y 42 42 \u{c9}COLE \u{65e5}\u{672c} ok",
            10,
            &["42", "na\u{ef}ve", "co", "op", "x_y", "\u{e9}cole", "\u{65e5}\u{672c}", "ok"],
        );
        // A vowel sign of Devanagari is a mark, and ends a word.
        check("\u{915}\u{93e}\u{930}", 10, &["\u{915}", "\u{930}"]);
    }
}
