//! Answers over more text than a model reads at once.

use std::collections::VecDeque;

use crate::{Error, Llm, ModelError, Result};

/// How many bytes of text a prompt must have room for at least.
const ROOM_MIN: usize = 100;

/// What stands between texts in a prompt.
const BETWEEN: &str = "\n\n";

/// The last question to a model, after all others have been answered.
#[derive(Debug)]
pub(crate) struct LastPrompt {
    pub(crate) prompt: String,
    /// The answer so far, which stands if the model has none.
    pub(crate) before: Option<String>,
}

/// Answers a question from texts by [`tree`]; an empty answer if there is nothing to read.
pub(crate) async fn summarize(llm: &dyn Llm, question: &str, texts: Vec<String>) -> Result<String> {
    match tree(llm, question, texts).await? {
        Some(last) => complete(llm, &last.prompt).await,
        None => Ok(String::new()),
    }
}

/// Goes through the texts and asks for a better answer with each. Texts are `packed` into as few prompts as they fit,
/// or have prompts of their own. `None` if there is nothing to read.
pub(crate) async fn refine(
    llm: &dyn Llm,
    question: &str,
    texts: &[String],
    packed: bool,
) -> Result<Option<LastPrompt>> {
    let mut texts: VecDeque<&str> = filled(texts);
    let mut before: Option<String> = None;
    while !texts.is_empty() {
        let ask = |text: &str| match &before {
            None => answer_prompt(question, text),
            Some(before) => refine_prompt(question, before, text),
        };
        let text = take(&mut texts, room(llm, &ask(""))?, packed);
        let prompt = ask(&text);
        if texts.is_empty() {
            return Ok(Some(LastPrompt { prompt, before }));
        }
        let answer = complete(llm, &prompt).await?;
        if !answer.is_empty() {
            before = Some(answer);
        }
    }
    Ok(None)
}

/// Packs the texts into as few prompts as they fit, answers from each, and takes the answers for the texts, until there
/// is one prompt. `None` if there is nothing to read.
pub(crate) async fn tree(llm: &dyn Llm, question: &str, mut texts: Vec<String>) -> Result<Option<LastPrompt>> {
    let room = room(llm, &answer_prompt(question, ""))?;
    let mut before = usize::MAX;
    loop {
        let mut rest = filled(&texts);
        let mut packs = Vec::new();
        while !rest.is_empty() {
            packs.push(take(&mut rest, room, true));
        }
        if packs.len() <= 1 {
            let last = packs.pop().map(|text| LastPrompt { prompt: answer_prompt(question, &text), before: None });
            return Ok(last);
        }
        if packs.len() >= before {
            return Err(failed(llm, "its answers are no shorter than what it reads".into()));
        }
        before = packs.len();
        let mut answers = Vec::with_capacity(packs.len());
        for text in packs {
            answers.push(complete(llm, &answer_prompt(question, &text)).await?);
        }
        texts = answers;
    }
}

fn answer_prompt(question: &str, text: &str) -> String {
    format!(
        "Here is what is known:\n\n{text}\n\nAnswer from that alone, and from nothing you know otherwise.\n\
         Question: {question}\nAnswer:"
    )
}

fn refine_prompt(question: &str, answer: &str, text: &str) -> String {
    format!(
        "Here is more of what is known:\n\n{text}\n\nThis was answered from what came before:\n\n{answer}\n\n\
         Improve the answer from that alone, and from nothing you know otherwise. If nothing in it has to do with the \
         question, repeat the answer.\nQuestion: {question}\nAnswer:"
    )
}

pub(crate) async fn complete(llm: &dyn Llm, prompt: &str) -> Result<String> {
    let answer = llm.complete(prompt).await.map_err(|source| failed(llm, source))?;
    Ok(answer.trim().to_owned())
}

pub(crate) fn failed(llm: &dyn Llm, source: ModelError) -> Error {
    Error::Model { model: llm.model_name().to_owned(), purpose: "to answer".to_owned(), source }
}

/// Cuts a text into as few pieces as fit a prompt that has none yet; at least one.
pub(crate) fn pieces<'a>(llm: &dyn Llm, prompt: &str, text: &'a str) -> Result<Vec<&'a str>> {
    if prompt.len() + text.len() <= llm.context_window() {
        return Ok(vec![text]);
    }
    let room = room(llm, prompt)?;
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while rest.len() > room {
        let (piece, after) = rest.split_at(fitting(rest, room));
        pieces.push(piece);
        rest = after.trim_start();
    }
    pieces.push(rest);
    Ok(pieces)
}

/// How many bytes of text fit a prompt that has none yet.
pub(crate) fn room(llm: &dyn Llm, prompt: &str) -> Result<usize> {
    let window = llm.context_window();
    match window.checked_sub(prompt.len()) {
        Some(room) if room >= ROOM_MIN => Ok(room),
        _ => Err(Error::NoRoom { model: llm.model_name().to_owned(), window, taken: prompt.len() }),
    }
}

/// The texts in which there is something.
fn filled(texts: &[String]) -> VecDeque<&str> {
    texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).collect()
}

/// Takes the first text, and the next ones too as far as they fit if they are `packed`. Of a text that is too long by
/// itself the rest stays.
fn take(texts: &mut VecDeque<&str>, room: usize, packed: bool) -> String {
    let mut taken = String::new();
    while let Some(text) = texts.pop_front() {
        if taken.is_empty() {
            let (fits, rest) = text.split_at(fitting(text, room));
            taken.push_str(fits);
            let rest = rest.trim_start();
            if !rest.is_empty() {
                texts.push_front(rest);
                break;
            }
        } else if packed && taken.len() + BETWEEN.len() + text.len() <= room {
            taken.push_str(BETWEEN);
            taken.push_str(text);
        } else {
            texts.push_front(text);
            break;
        }
    }
    taken
}

/// How many bytes of a text fit: all of it, or up to the last space, unless that is far from the end.
pub(crate) fn fitting(text: &str, room: usize) -> usize {
    if text.len() <= room {
        return text.len();
    }
    let mut end = room;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let space = text[..end].rfind(char::is_whitespace);
    space.filter(|space| *space > end / 2).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packs(texts: &[&str], room: usize, packed: bool) -> Vec<String> {
        let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
        let mut rest = filled(&texts);
        std::iter::from_fn(|| (!rest.is_empty()).then(|| take(&mut rest, room, packed))).collect()
    }

    fn check(texts: &[&str], packed: bool, expected: &[&str]) {
        assert_eq!(packs(texts, 10, packed), expected, "{texts:?}");
    }

    #[test]
    fn texts_are_packed_as_they_fit() {
        check(&["ab", " cd ", "efgh", "ij"], true, &["ab\n\ncd", "efgh\n\nij"]);
        check(&["ab", "cd"], false, &["ab", "cd"]);
        check(&["", " \n", "ab", "\t"], true, &["ab"]);
        check(&[], true, &[]);
    }

    #[test]
    fn what_is_too_long_is_split_and_not_cut() {
        check(&["ab", "0123456789abcde"], true, &["ab", "0123456789", "abcde"]);
        check(&["0123456 89abc", "x"], true, &["0123456", "89abc\n\nx"]);
        check(&["0123456 89abc", "x"], false, &["0123456", "89abc", "x"]);
        check(&["a 23456789abc"], true, &["a 23456789", "abc"]);
        check(&["ééééééé"], true, &["ééééé", "éé"]);
        let long = "día tras día ".repeat(999);
        let all = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(all(&packs(&[&long], 100, true).concat()), all(&long));
    }
}
