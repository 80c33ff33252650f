//! What the example `persist_and_load` writes, opened by LlamaIndex: it finds the same passages.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use colca::prelude::*;
use support::process::probe;

use super::apply::Ours;
use super::compare::{ours, same_answers, theirs};
use super::python::Python;
use super::values::object;

const QUESTIONS: [&str; 4] = [
    "What was done if the knots of the two keepers did not agree?",
    "How much does a llama carry?",
    "Where do storehouses stand, and why there?",
    "grain",
];

/// Runs the example in a folder and asks both sides. Counts the comparisons.
pub(super) fn check(python: &mut Python, folder: &Path) -> Result<usize> {
    fs::create_dir_all(folder)?;
    let example = std::env::current_exe()?.with_file_name("examples").join("persist_and_load");
    probe(Command::new(&example).current_dir(folder)).with_context(|| format!("{} does not run", example.display()))?;
    let storage = folder.join("storage");
    let compared = ask(python, &storage).with_context(|| format!("what is in {}", storage.display()))?;
    fs::remove_dir_all(folder)?;
    Ok(compared)
}

fn ask(python: &mut Python, storage: &Path) -> Result<usize> {
    let own = Ours::open(storage)?;
    python.ask("open", [("ctx", "example".into()), ("dir", storage.to_string_lossy().into_owned().into())])?;
    let mut both = |questions: &[Value]| {
        let told = python.ask("ask", [("ctx", "example".into()), ("questions", questions.to_vec().into())])?;
        let (expected, actual) = (theirs(told), ours(own.run(questions)));
        same_answers(questions, expected, actual.clone())?;
        Ok::<_, anyhow::Error>(actual)
    };
    let questions = QUESTIONS.iter().map(|question| question_of(question)).collect::<Result<Vec<_>>>()?;
    let answers = both(&questions)?;
    let ids = answers.iter().filter_map(|answer| answer.get("ok")?.get("ids")?.as_array()).flatten();
    let passages: Vec<Value> = ids.map(|id| object([("op", "docstore.get_doc".into()), ("id", id.clone())])).collect();
    ensure!(passages.len() == 3 * questions.len(), "three passages were asked for");
    both(&passages)?;
    Ok(questions.len() + passages.len())
}

/// Python gets the embedding of the question, so that it needs no embedder.
fn question_of(question: &str) -> Result<Value> {
    let embedding = pollster::block_on(HashEmbedder::default().embed_query(question));
    let embedding = embedding.map_err(|error| anyhow::anyhow!("the embedder fails: {error}"))?;
    Ok(object([
        ("op", "indexes.retrieve".into()),
        ("id", "texts".into()),
        ("query", question.into()),
        ("embedding", embedding.into()),
        ("options", object([("similarity_top_k", 3.into())])),
    ]))
}
