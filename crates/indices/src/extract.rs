//! Answers that are quoted. See [`ResponseMode::Extractive`](crate::ResponseMode::Extractive).

use std::collections::{BTreeSet, HashMap, HashSet};

use unicode_segmentation::UnicodeSegmentation;

use crate::NodeWithScore;
use crate::keywords::is_stop_word;

/// How many sentences are quoted at most.
const SENTENCES_MAX: usize = 3;

/// What part of the best sentence's score another one needs.
const SHARE_MIN: f64 = 0.5;

/// What ends a sentence when a space follows.
const ENDS: &str = ".!?…؟۔।॥։።။៕";

/// What ends a sentence whatever follows.
const WIDE_ENDS: &str = "。！？｡";

/// What may stand between the end of a sentence and the space.
const CLOSING: &str = "\"'”’»›)]}」』）】〉》";

/// The sentences that fit the question best; empty if the nodes have no text.
pub(crate) fn answer(question: &str, found: &[NodeWithScore]) -> String {
    let texts: Vec<String> =
        found.iter().map(|found| found.node.text_content().to_string_lossy().into_owned()).collect();
    let passages: Vec<&str> = texts.iter().map(String::as_str).collect();
    quote(question, &passages).join("\n")
}

/// A sentence that may be quoted.
struct Candidate<'a> {
    sentence: &'a str,
    /// Which of the passages it is from.
    rank: usize,
    /// The words of the question that it has.
    words: BTreeSet<String>,
}

fn quote<'a>(question: &str, passages: &[&'a str]) -> Vec<&'a str> {
    let candidates = candidates(question, passages);
    let mut occurrences: HashMap<&str, f64> = HashMap::new();
    for word in candidates.iter().flat_map(|candidate| &candidate.words) {
        *occurrences.entry(word).or_default() += 1.0;
    }
    let weight = |word: &String| (1.0 + candidates.len() as f64 / occurrences[word.as_str()]).ln();
    let score = |candidate: &Candidate<'_>| {
        let by_rank = 1.0 + 1.0 / (2.0 + candidate.rank as f64);
        candidate.words.iter().map(weight).sum::<f64>() * by_rank
    };
    let mut scored: Vec<(f64, usize)> =
        candidates.iter().map(score).zip(0..).filter(|(score, _)| *score > 0.0).collect();
    // Stable: among equals the earlier one comes first.
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let least = scored.first().map_or(0.0, |(best, _)| best * SHARE_MIN);
    let best = scored.iter().take(SENTENCES_MAX).filter(|(score, _)| *score >= least);
    let mut chosen: Vec<usize> = best.map(|(_, at)| *at).collect();
    if chosen.is_empty() {
        return candidates.first().map(|first| first.sentence).into_iter().collect();
    }
    chosen.sort_unstable();
    chosen.into_iter().map(|at| candidates[at].sentence).collect()
}

fn candidates<'a>(question: &str, passages: &[&'a str]) -> Vec<Candidate<'a>> {
    let asked: HashSet<String> = words(question).filter(|word| !is_stop_word(word)).collect();
    // Chunks overlap, so a sentence may have been found twice.
    let mut seen = HashSet::new();
    let mut candidates = Vec::new();
    for (rank, passage) in passages.iter().enumerate() {
        for sentence in sentences(passage).filter(|sentence| seen.insert(*sentence)) {
            let words = words(sentence).filter(|word| asked.contains(word)).collect();
            candidates.push(Candidate { sentence, rank, words });
        }
    }
    candidates
}

/// The words of a text (Unicode Standard Annex #29), in lower case.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.unicode_words().map(|word| word.to_lowercase().replace('’', "'"))
}

/// Where the reader of a text is.
#[derive(Clone, Copy)]
enum At {
    Within,
    /// After what ends a sentence. `wide` if no space has to follow.
    End {
        wide: bool,
    },
    /// In the space between sentences.
    Between,
}

/// The sentences of a text, without the space around them.
///
/// A sentence ends with the line, or after a full stop and the like if a space follows. What goes on with a small
/// letter has not ended. (LlamaIndex's sentences, in `sentences.rs`, know no lines and no marks of other scripts. The
/// boundaries of Unicode Standard Annex #29 are nearly these, but seeking them with `unicode-segmentation` takes
/// quadratic time where many spaces follow a full stop.)
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut bounds = vec![0];
    let mut reader = At::Within;
    for (at, c) in text.char_indices() {
        reader = match reader {
            At::End { .. } | At::Between if c.is_whitespace() => At::Between,
            At::Within if c == '\n' => At::Between,
            At::End { wide } if ENDS.contains(c) || CLOSING.contains(c) => At::End { wide },
            before => {
                let begins = match before {
                    At::Between => !c.is_lowercase(),
                    At::End { wide } => wide && !WIDE_ENDS.contains(c),
                    At::Within => false,
                };
                if begins {
                    bounds.push(at);
                }
                match c {
                    _ if WIDE_ENDS.contains(c) => At::End { wide: true },
                    _ if ENDS.contains(c) => At::End { wide: false },
                    _ => At::Within,
                }
            }
        };
    }
    bounds.push(text.len());
    let pieces: Vec<&str> = bounds.windows(2).map(|pair| text[pair[0]..pair[1]].trim()).collect();
    pieces.into_iter().filter(|piece| !piece.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_sentences(text: &str, expected: &[&str]) {
        assert_eq!(sentences(text).collect::<Vec<_>>(), expected, "{text:?}");
    }

    #[test]
    fn sentences_end_where_people_see_it() {
        check_sentences("One.  Two! Three?", &["One.", "Two!", "Three?"]);
        check_sentences(
            "He said: \"Stop.\" (Then he left.) 3.5 sacks, e.g. of maize.",
            &["He said: \"Stop.\"", "(Then he left.)", "3.5 sacks, e.g. of maize."],
        );
        check_sentences(
            "A title\n\nA line that is\nwrapped.\r\n- An item\n",
            &["A title", "A line that is\nwrapped.", "- An item"],
        );
        check_sentences("倉です。「高い。」丘に立つ！", &["倉です。", "「高い。」", "丘に立つ！"]);
        check_sentences("क्या? हाँ।", &["क्या?", "हाँ।"]);
        check_sentences("what?!... Never", &["what?!...", "Never"]);
        check_sentences(" \n ", &[]);
        check_sentences("", &[]);
    }

    fn check(question: &str, passages: &[&str], expected: &[&str]) {
        assert_eq!(quote(question, passages), expected, "{question}");
    }

    const PASSAGES: [&str; 3] = [
        "The colca is a storehouse. It stands on the slope, where the wind is cold.",
        "Llamas carry maize to the storehouse. The wind is cold.",
        "Knots in cords count the sacks. Nobody reads them any more.",
    ];

    #[test]
    fn sentences_with_the_question_s_words_are_quoted() {
        check("What is a colca?", &PASSAGES, &["The colca is a storehouse."]);
        check("COUNT the sacks!", &PASSAGES, &["Knots in cords count the sacks."]);
        check("Who reads knots?", &PASSAGES, &["Knots in cords count the sacks.", "Nobody reads them any more."]);
    }

    #[test]
    fn rare_words_count_more_and_early_passages_too() {
        check("Is maize in the storehouse?", &PASSAGES, &["Llamas carry maize to the storehouse."]);
        check("wind", &PASSAGES, &["It stands on the slope, where the wind is cold.", "The wind is cold."]);
        let sacks = ["No.", "Sack one.", "Sack two.", "Sack three.", "Sack four."];
        check("sack", &sacks, &["Sack one.", "Sack two.", "Sack three."]);
        let maize = "Maize one. Maize two. Maize three.";
        check("maize or wool", &[maize, "Wool one. Wool two."], &["Maize one.", "Wool one.", "Wool two."]);
        let far = [maize, "", "", "", "", "", "", "", "Wool one. Wool two."];
        check("maize or wool", &far, &["Maize one.", "Maize two.", "Maize three."]);
    }

    #[test]
    fn quotes_are_in_the_order_of_the_passages() {
        check(
            "colca storehouse wind cold slope",
            &PASSAGES,
            &["The colca is a storehouse.", "It stands on the slope, where the wind is cold.", "The wind is cold."],
        );
    }

    #[test]
    fn a_question_without_known_words_gets_the_first_sentence() {
        for question in ["zebra", "what is the", "", "?!"] {
            check(question, &PASSAGES, &["The colca is a storehouse."]);
            check(question, &["", " \n"], &[]);
        }
    }

    #[test]
    fn what_overlaps_is_quoted_once() {
        check("cold", &["Cold wind. Warm sun.", "Cold wind. Cold rain."], &["Cold wind.", "Cold rain."]);
    }

    #[test]
    fn words_are_those_of_many_languages() {
        check("倉はどこ？", &["丘に立つ。", "倉は高い。"], &["倉は高い。"]);
        check("Où est l’été ?", &["L'hiver est là.", "L'été est là."], &["L'été est là."]);
    }

    #[test]
    fn long_runs_take_linear_time() {
        let n = 1 << 18;
        for run in [" ", ".", ")", ".)", "\n", ". ", "。", "'", "\u{301}", "1"] {
            let text = format!("a.{}", run.repeat(n));
            let quoted = quote(&text, &[&text]);
            assert!(quoted.len() <= SENTENCES_MAX);
        }
    }
}
