use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use indexmap::{IndexMap, IndexSet};
use regex::Regex;

use crate::splitter::sentences;
use crate::{Llm, ModelError, summarize};

/// Finds the keywords of a text.
#[async_trait]
pub trait KeywordExtractor: Debug + Send + Sync + 'static {
    /// At most `max` words or phrases, the most telling first, each once. The words of phrases may come on top.
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
        let mut counts: IndexMap<String, usize> = IndexMap::new();
        for word in words(text).map(str::to_lowercase).filter(|word| !is_stop_word(word)) {
            *counts.entry(word).or_default() += 1;
        }
        // Stable: ties stay in the order of the text.
        counts.sort_by(|_, a, _, b| b.cmp(a));
        Ok(counts.into_keys().take(max).collect())
    }
}

/// Phrases between stop words and punctuation marks, and the words in them: LlamaIndex's `rake_extract_keywords`, the
/// extractor of its `RAKEKeywordTableIndex`.
///
/// A phrase counts as much as its words together, and a word as much as the phrases it is in are long, on average.
/// Source: Rose, Engel, Cramer and Cowley, *Automatic keyword extraction from individual documents*, 2010. Where a
/// sentence ends in several marks, LlamaIndex knows some English abbreviations, and this does not.
#[derive(Debug, Clone, Copy, Default)]
pub struct RakeKeywords;

#[async_trait]
impl KeywordExtractor for RakeKeywords {
    async fn extract(&self, text: &str, max: usize) -> Result<Vec<String>, ModelError> {
        let phrases = phrases(text);
        let mut counts: HashMap<&str, (f64, f64)> = HashMap::new();
        for phrase in &phrases {
            for word in phrase {
                let (degree, frequency) = counts.entry(word).or_default();
                *degree += phrase.len() as f64;
                *frequency += 1.0;
            }
        }
        let weight = |word: &String| counts.get(word.as_str()).map_or(0.0, |(degree, frequency)| degree / frequency);
        let mut ranked: Vec<(f64, String)> =
            phrases.iter().map(|phrase| (phrase.iter().map(weight).sum(), phrase.join(" "))).collect();
        ranked.sort_by(|(a, a_phrase), (b, b_phrase)| b.total_cmp(a).then_with(|| b_phrase.cmp(a_phrase)));
        Ok(with_words(ranked.into_iter().map(|(_, phrase)| phrase).take(max)))
    }
}

/// The runs of words between stop words and single punctuation marks, in lower case. None goes over the end of a
/// sentence.
fn phrases(text: &str) -> Vec<Vec<String>> {
    let mut phrases = Vec::new();
    for sentence in sentences(text) {
        let tokens: Vec<String> = TOKEN.find_iter(&text[sentence]).map(|token| token.as_str().to_lowercase()).collect();
        let ends_phrase = |token: &String| is_stop_word(token) || is_punctuation(token);
        let found = tokens.split(ends_phrase).filter(|phrase| !phrase.is_empty());
        phrases.extend(found.map(<[String]>::to_vec));
    }
    phrases
}

/// What a language model names: LlamaIndex's `KeywordTableIndex`, which asks one. The model is to answer
/// `KEYWORDS: one, another`, and what it names is taken in lower case, with the words of phrases. Of a text that is too
/// long for the model each piece is asked about, and the best keywords of all pieces are taken.
#[derive(Debug, Clone)]
pub struct LlmKeywords(Arc<dyn Llm>);

impl LlmKeywords {
    /// Asks this model.
    pub fn new(llm: impl Llm) -> Self {
        Self(Arc::new(llm))
    }
}

/// What its answer begins with.
const ANSWER: &str = "KEYWORDS:";

#[async_trait]
impl KeywordExtractor for LlmKeywords {
    async fn extract(&self, text: &str, max: usize) -> Result<Vec<String>, ModelError> {
        let prompt = |text: &str| {
            format!(
                "Under which keywords should this text be found? Name at most {max} words or short phrases, the best \
                 first, and no words as common as 'the'.\n\n{text}\n\nWrite one line: {ANSWER} first, second, third\n"
            )
        };
        let mut ranked: Vec<(usize, String)> = Vec::new();
        for piece in summarize::pieces(&*self.0, &prompt(""), text)? {
            let answer = self.0.complete(&prompt(piece)).await?;
            let answer = answer.trim();
            let named = answer.strip_prefix(ANSWER).unwrap_or(answer).split(',');
            let named = named.map(|keyword| keyword.trim().to_lowercase()).filter(|keyword| !keyword.is_empty());
            ranked.extend((0..).zip(named));
        }
        // Stable: what is named first of each piece comes first, in the order of the pieces.
        ranked.sort_by_key(|(rank, _)| *rank);
        let named: IndexSet<String> = ranked.into_iter().map(|(_, keyword)| keyword).collect();
        Ok(with_words(named.into_iter().take(max)))
    }
}

/// Phrases, and after each of several words those that are no stop words. Each once.
fn with_words(phrases: impl Iterator<Item = String>) -> Vec<String> {
    let mut all = IndexSet::new();
    for phrase in phrases {
        let parts: Vec<String> = words(&phrase).map(str::to_owned).collect();
        all.insert(phrase);
        if parts.len() > 1 {
            all.extend(parts.into_iter().filter(|word| !is_stop_word(word)));
        }
    }
    all.into_iter().collect()
}

/// What Python's expression `\w+` finds.
fn words(text: &str) -> impl Iterator<Item = &str> {
    WORD.find_iter(text).map(|word| word.as_str())
}

pub(crate) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(word)
}

/// Whether a token is one of Python's `string.punctuation`.
fn is_punctuation(token: &str) -> bool {
    matches!(token.as_bytes(), [mark] if mark.is_ascii_punctuation())
}

static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[\p{L}\p{N}_]+").expect("it is a valid expression"));

/// A word, marks included, or a run of what is neither a word nor whitespace: as NLTK does it, other than Python.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\w+|[^\w\s]+").expect("it is a valid expression"));

/// NLTK's list for English.
static STOP_WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("data/stopwords-en.txt").lines().collect());

#[cfg(test)]
mod tests {
    use super::*;

    fn check_with(extractor: impl KeywordExtractor, text: &str, max: usize, expected: &[&str]) {
        assert_eq!(pollster::block_on(extractor.extract(text, max)).unwrap(), expected, "{text}");
    }

    fn check(text: &str, max: usize, expected: &[&str]) {
        check_with(SimpleKeywords, text, max, expected);
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

    #[test]
    fn phrases_of_rare_company_come_first() {
        // What rake-nltk ranks, and LlamaIndex makes of it.
        let text = "Red apples, are good in flavour. The systems \"of linear\" equations... Great! (Really?) Then \
                    \"go.\" And he left. 3.14 na\u{ef}ve co-op x_y.";
        check_with(
            RakeKeywords,
            text,
            5,
            &[
                "equations ... great",
                "equations",
                "great",
                "14 na\u{ef}ve co",
                "14",
                "na\u{ef}ve",
                "co",
                "red apples",
                "red",
                "apples",
                "really ?)",
                "op x_y",
                "op",
                "x_y",
            ],
        );
        check_with(RakeKeywords, "it is the of", 5, &[]);
    }

    #[derive(Debug)]
    struct Says(&'static str);

    #[async_trait]
    impl Llm for Says {
        fn model_name(&self) -> &str {
            "says"
        }

        async fn complete(&self, prompt: &str) -> Result<String, ModelError> {
            assert!(prompt.contains("a text") && prompt.contains("at most 2"), "{prompt}");
            Ok(self.0.to_owned())
        }
    }

    #[test]
    fn a_model_s_keywords_are_taken_apart() {
        let check = |answer, expected: &[&str]| check_with(LlmKeywords::new(Says(answer)), "a text", 2, expected);
        check("KEYWORDS: Red Apple, blue, sky\n", &["red apple", "red", "apple", "blue"]);
        check("a Sky of It,, a sky of it", &["a sky of it", "sky"]);
        check("", &[]);
    }
}
