//! Answers over more text than a model reads at once.

use crate::{Error, Llm, Result};

/// How many characters a prompt has at most, unless a single text has more.
const PROMPT_MAX: usize = 12_000;

/// Answers a question from texts. If they are too long for one prompt, parts are answered from first, and then the
/// answers are taken for the texts.
pub(crate) async fn summarize(llm: &dyn Llm, question: &str, mut texts: Vec<String>) -> Result<String> {
    loop {
        let packs = pack(texts);
        let last = packs.len() <= 1;
        let mut answers = Vec::with_capacity(packs.len());
        for pack in packs {
            answers.push(ask(llm, question, &pack.join("\n\n")).await?);
        }
        if last {
            return Ok(answers.pop().unwrap_or_default());
        }
        texts = answers;
    }
}

async fn ask(llm: &dyn Llm, question: &str, text: &str) -> Result<String> {
    let prompt = format!(
        "Here is what is known:\n\n{text}\n\nAnswer from that alone, and from nothing you know otherwise.\n\
         Question: {question}\nAnswer:"
    );
    Ok(complete(llm, &prompt).await?.trim().to_owned())
}

/// What a model answers to a prompt.
pub(crate) async fn complete(llm: &dyn Llm, prompt: &str) -> Result<String> {
    llm.complete(prompt).await.map_err(|source| Error::Model {
        model: llm.model_name().to_owned(),
        purpose: "to answer".to_owned(),
        source,
    })
}

/// Puts texts together, in order, as many as fit a prompt and at least two, so that there are always fewer packs than
/// texts.
fn pack(texts: Vec<String>) -> Vec<Vec<String>> {
    let mut packs: Vec<Vec<String>> = Vec::new();
    let mut len = 0;
    for text in texts {
        len += text.len();
        match packs.last_mut() {
            Some(pack) if len <= PROMPT_MAX || pack.len() < 2 => pack.push(text),
            _ => {
                len = text.len();
                packs.push(vec![text]);
            }
        }
    }
    packs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_always_fewer_packs_than_texts() {
        for (n, len) in [(1, 5), (2, 5), (7, PROMPT_MAX + 1), (9, PROMPT_MAX / 2), (100, 500)] {
            let packs = pack(vec!["x".repeat(len); n]);
            assert_eq!(packs.iter().map(Vec::len).sum::<usize>(), n);
            assert!(n == 1 || packs.len() < n, "{n} texts of {len}");
        }
    }
}
