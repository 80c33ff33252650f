//! Files so large that both sides send and read them in several parts.

use anyhow::{Context, Result, ensure};
use colca::prelude::*;

use super::apply::Ours;
use super::compare::{ours, same_answers, theirs};
use super::location::{Location, block_on};
use super::python::Python;
use super::values::object;

/// How many nodes there are, and how long the text and the embedding of each is: files of 11 and 9 MB. Ours sends parts of
/// 8 MiB; s3fs makes uploads of parts, too.
const NODES: usize = 1_700;
const WORDS: usize = 100;
const DIMENSIONS: usize = 256;

/// Has ours persist them at a location that is empty, LlamaIndex change them, and ours follow. Counts the comparisons.
pub(super) fn check(python: &mut Python, location: &Location) -> Result<usize> {
    let nodes: Vec<Node> = (0..NODES).map(node).collect();
    let ctx = StorageContext::in_memory();
    block_on(ctx.docstore().add_documents(&nodes))?;
    block_on(ctx.vector_store().context("there is one")?.add(&nodes))?;
    block_on(ctx.persist(location.place.clone()))?;
    location.open_in_python(python, "large")?;
    let mut compared = same(python, location, &ctx).context("what ours has persisted")?;
    let added = node(NODES).to_value();
    let add = |op: &str| object([("op", op.into()), ("nodes", vec![added.clone()].into())]);
    let operations = vec![add("docstore.add"), add("vs.add")];
    let told = python.ask("apply", [("ctx", "large".into()), ("ops", operations.into())])?;
    ensure!(theirs(told).iter().all(|told| told.get("ok").is_some()), "LlamaIndex cannot add a node");
    location.persist_in_python(python, "large")?;
    let newer = block_on(ctx.reopen_if_changed())?.context("what LlamaIndex has persisted is not noticed")?;
    let count = block_on(newer.docstore().node_ids())?.len();
    ensure!(count == NODES + 1, "there are {count} nodes after LlamaIndex has added one");
    compared += same(python, location, &newer).context("what LlamaIndex has persisted")?;
    Ok(compared)
}

fn node(at: usize) -> Node {
    let text = (0..WORDS).map(|word| format!("{at}-{word} ")).collect::<String>();
    let embedding: Vec<f64> = (0..DIMENSIONS).map(|number| ((at * DIMENSIONS + number) as f64).sin()).collect();
    Node::text(text).with_id(format!("n{at}")).with_embedding(embedding)
}

/// Demands that both sides have the same nodes, and find the same ones.
fn same(python: &mut Python, location: &Location, ctx: &StorageContext) -> Result<usize> {
    let question = |at: usize| {
        object([
            ("op", "vs.query".into()),
            ("namespace", "default".into()),
            ("embedding", node(at).embedding.into()),
            ("top_k", 5.into()),
            ("mode", "default".into()),
        ])
    };
    let document = |at: usize| object([("op", "docstore.get_doc".into()), ("id", format!("n{at}").into())]);
    let all = object([("op", "docstore.get_all_hashes".into())]);
    let questions = [question(0), question(NODES), document(NODES / 2), document(NODES), all];
    let told = python.ask("ask", [("ctx", "large".into()), ("questions", questions.to_vec().into())])?;
    let own = Ours::at(location, ctx.clone())?;
    same_answers(&questions, theirs(told), ours(own.run(&questions)))
}
