//! Measures how often the passage that answers a question is found, by two embedders: recall at 1, 3 and 5.
//!
//! ```text
//! cargo run --release --features static-embeddings --example recall -- ./potion-base-8M
//! ```
//!
//! Each paragraph of the examples' texts is a node. `data/questions.txt` has the questions, each with the one paragraph
//! that counts as its answer. `cargo xtask recall` runs this with a model that it downloads.

mod data;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use colca::indices::StaticEmbedder;
use colca::prelude::*;

/// Measures how often the passage that answers a question is found: among the first, the first 3 and the first 5.
#[derive(Parser)]
struct Args {
    /// The folder of a static embedding model
    model: PathBuf,
    /// Print the figures as JSON, not as a table
    #[arg(long)]
    json: bool,
}

/// Among how many passages the right one is looked for.
const AMONG: [usize; 3] = [1, 3, 5];

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<()> {
    let questions = questions()?;
    let hash = recall(HashEmbedder::default(), &questions).await?;
    let fixed = recall(StaticEmbedder::open(&args.model).await?, &questions).await?;
    let rows = [("HashEmbedder", hash), ("StaticEmbedder", fixed)];
    if args.json {
        let rows = rows.map(|(name, recall)| format!("\"{name}\": {recall:?}"));
        println!("{{\"questions\": {}, \"among\": {AMONG:?}, {}}}", questions.len(), rows.join(", "));
        return Ok(());
    }
    println!("| recall of {} passages | at 1 | at 3 | at 5 |\n|---|---|---|---|", passages().count());
    for (name, [first, three, five]) in rows {
        println!("| `{name}` | {first:.2} | {three:.2} | {five:.2} |");
    }
    Ok(())
}

/// What part of the questions has its passage among the first found, for each number in [`AMONG`].
async fn recall(embedder: impl Embedder + Clone, questions: &[(String, &str)]) -> Result<[f64; 3]> {
    let ctx = StorageContext::in_memory();
    let nodes = passages().map(|(id, text)| Node::text(text).with_id(id)).collect();
    let index = VectorStoreIndex::builder(&ctx).embedder(embedder.clone()).from_nodes(nodes).await?;
    let retriever = index.retriever(embedder).top_k(AMONG[2] as i64);
    let mut found = [0_u32; 3];
    for (id, question) in questions {
        let nodes = retriever.retrieve(*question).await?;
        let rank = nodes.iter().position(|found| found.node.id == **id);
        for (among, found) in AMONG.iter().zip(&mut found) {
            *found += u32::from(rank.is_some_and(|rank| rank < *among));
        }
    }
    Ok(found.map(|n| f64::from(n) / questions.len() as f64))
}

/// The paragraphs of all texts, called as in `crops 2`.
fn passages() -> impl Iterator<Item = (String, &'static str)> {
    data::TEXTS.into_iter().flat_map(|(name, text)| {
        text.split("\n\n").zip(1..).map(move |(paragraph, number)| (format!("{name} {number}"), paragraph.trim()))
    })
}

/// The questions, each after the name of its passage.
fn questions() -> Result<Vec<(String, &'static str)>> {
    let mut questions = Vec::new();
    let lines = include_str!("data/questions.txt").lines();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut parts = line.splitn(3, ' ');
        let [name, number] = [parts.next(), parts.next()].map(Option::unwrap_or_default);
        let question = parts.next().with_context(|| format!("'{line}' is not 'text paragraph question'"))?;
        let id = format!("{name} {number}");
        ensure!(passages().any(|(passage, _)| passage == id), "there is no passage '{id}' for '{question}'");
        questions.push((id, question));
    }
    Ok(questions)
}
