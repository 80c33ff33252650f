//! LlamaIndex and ours persist to the same location in turn: each opens what the other wrote last, ours reports it, and a
//! context from before does not replace it.

use anyhow::{Context, Result, ensure};
use colca::persist::Finding;
use colca::prelude::*;

use super::location::{Location, block_on};
use super::python::Python;
use super::values::object;

/// Carries it out at a location that is empty. Counts the comparisons.
pub(super) fn check(python: &mut Python, location: &Location) -> Result<usize> {
    take_turns(python, location).with_context(|| format!("what is in {}", location.place.location()))
}

fn take_turns(python: &mut Python, location: &Location) -> Result<usize> {
    let storage = || location.place.clone();
    let before = StorageContext::in_memory();
    add(&before, "ours-1")?;
    block_on(before.persist(storage()))?;
    // LlamaIndex opens generation 1, and writes over it, as it writes: file by file.
    location.open_in_python(python, "same")?;
    ensure!(theirs(python)? == ["ours-1"], "LlamaIndex does not find what ours persisted");
    let node = Node::text("Llamas carry grain.").with_id("theirs").to_value();
    let operation = object([("op", "docstore.add".into()), ("nodes", vec![node].into())]);
    python.ask("apply", [("ctx", "same".into()), ("ops", vec![operation].into())])?;
    location.persist_in_python(python, "same")?;

    let opened = block_on(StorageContext::open(storage()))?;
    let report = opened.open_report().context("it was opened")?;
    ensure!(report.generation == Some(1), "{report}");
    ensure!(report.findings.contains(&Finding::Foreign { name: "docstore.json".into() }), "{report}");
    ensure!(ours(&opened)? == ["ours-1", "theirs"], "ours does not find what LlamaIndex persisted");
    add(&before, "ours-2")?;
    let error = block_on(before.persist(storage())).err().context("what LlamaIndex wrote was replaced in silence")?;
    ensure!(error.is_conflict() && error.to_string().contains("docstore.json"), "{error}");

    add(&opened, "ours-3")?;
    ensure!(block_on(opened.persist(storage()))?.generation == Some(2), "it knows what LlamaIndex wrote");
    location.open_in_python(python, "same")?;
    let all = ["ours-1", "theirs", "ours-3"];
    ensure!(theirs(python)? == all, "LlamaIndex does not find what ours persisted beside its own");
    let again = block_on(StorageContext::open(storage()))?;
    let report = again.open_report().context("it was opened")?;
    ensure!(report.findings.is_empty() && ours(&again)? == all, "{report}");
    Ok(7)
}

fn add(ctx: &StorageContext, id: &str) -> Result<()> {
    Ok(block_on(ctx.docstore().add_documents(&[Node::text("The colca is a storehouse.").with_id(id)]))?)
}

fn ours(ctx: &StorageContext) -> Result<Vec<String>> {
    Ok(block_on(ctx.docstore().node_ids())?.iter().map(ToString::to_string).collect())
}

fn theirs(python: &mut Python) -> Result<Vec<String>> {
    let question = object([("op", "docstore.ids".into())]);
    let told = python.ask("ask", [("ctx", "same".into()), ("questions", vec![question].into())])?;
    let ids = told.as_array().and_then(|answers| answers.first()?.get("ok")?.as_array());
    let ids = ids.with_context(|| format!("no list of ids: {told}"))?;
    Ok(ids.iter().filter_map(|id| id.as_str().map(ToString::to_string)).collect())
}
