//! Builds an index of texts, or loads it if that was done before, and answers a question from it.
//!
//! ```text
//! cargo run --release --example persist_and_load
//! cargo run --release --example persist_and_load -- ./notes --question "Who has the key?"
//! cargo run --release --features static-embeddings --example persist_and_load -- --embedder static:./potion-base-8M
//! cargo run --release --features openai --example persist_and_load -- \
//!     --embedder openai:http://localhost:11434/v1,nomic-embed-text
//! ```
//!
//! Run it twice: the first run makes `./storage`, the second finds it there. Both find the same passages with the same
//! scores, and the second embeds nothing but the question. Delete `./storage` to begin anew, with other texts or
//! another model. The answer quotes the sentences that fit best; no language model is asked.

mod data;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Parser;
use colca::indices::OnError;
use colca::prelude::*;

/// Answers a question from an index of texts, which is built at the first run and loaded at the next ones.
#[derive(Parser)]
struct Args {
    /// A folder with texts (.txt and .md); without it, twelve texts about the Inca's storehouses and roads are taken
    folder: Option<PathBuf>,
    /// What makes embeddings: hash, static:FOLDER or openai:URL,MODEL (with the key OPENAI_API_KEY, if that is set)
    #[arg(long, default_value = "hash")]
    embedder: String,
    /// What to ask
    #[arg(long, default_value = "What was done if the knots of the two keepers did not agree?")]
    question: String,
    /// Where the index is kept
    #[arg(long, default_value = "./storage")]
    storage: PathBuf,
}

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
    let embedder = Counting { inner: embedder(&args.embedder).await?, texts: Arc::default() };
    let start = Instant::now();
    let index: Index = if args.storage.exists() {
        println!("Loading the index from {} ...", args.storage.display());
        let ctx = StorageContext::open(&args.storage).await?;
        load_index_from_storage(&ctx, Some("texts")).await?
    } else {
        let documents = match &args.folder {
            Some(folder) => {
                read(folder).await.with_context(|| format!("cannot read the texts in {}", folder.display()))?
            }
            None => own_texts(),
        };
        println!("Creating the index of {} texts with {} ...", documents.len(), embedder.model_name());
        let ctx = StorageContext::in_memory();
        let index = VectorStoreIndex::builder(&ctx)
            .id("texts")
            .embedder(embedder.clone())
            .transformations(vec![Arc::new(SentenceSplitter::new(80, 10)?)])
            .from_documents(documents)
            .await?;
        println!("{}", ctx.persist(&args.storage).await?);
        index.into()
    };
    println!("Ready after {:.1} ms; {} texts were embedded.", millis(start), embedder.texts());

    let before = embedder.texts();
    let start = Instant::now();
    let retriever = index.retriever(embedder.clone()).top_k(3);
    let answer = index.as_query_engine().retriever(retriever).query(args.question.as_str()).await?;
    let took = millis(start);
    println!("\n{}\n", args.question);
    for sentence in answer.response.lines() {
        println!("  {sentence}");
    }
    println!("\nThat was quoted from these passages:\n");
    for NodeWithScore { node, score } in &answer.source_nodes {
        let title = node.metadata.get(&b"title"[..]).or_else(|| node.metadata.get(&b"file_name"[..]));
        let title = title.and_then(Value::as_str).cloned().unwrap_or_default();
        let text = node.text_content().to_string();
        println!("  {:.4}  {title:<14} {}", score.unwrap_or_default(), beginning(&text));
    }
    println!("\nAnswered in {took:.2} ms; {} text, the question, was embedded.", embedder.texts() - before);
    Ok(())
}

/// The texts of this example.
fn own_texts() -> Vec<Node> {
    data::TEXTS.map(|(title, text)| document(title, text)).into()
}

/// The texts of a folder, by name. What cannot be read is told and left out.
async fn read(folder: &Path) -> Result<Vec<Node>> {
    let reader = DirectoryReader::new(folder).recursive(true).required_exts([".txt", ".md"]).filename_as_id(true);
    let reader = reader.on_error(OnError::Skip);
    let loaded = reader.load().await?;
    for skipped in &loaded.skipped {
        eprintln!("left out: {}: {}", skipped.path.display(), skipped.reason);
    }
    Ok(loaded.documents)
}

fn document(title: &str, text: &str) -> Node {
    Node::document(text).with_id(title).with_metadata("title", title)
}

/// The model that the option `--embedder` names.
async fn embedder(named: &str) -> Result<Arc<dyn Embedder>> {
    match named.split_once(':') {
        None if named == "hash" => Ok(Arc::new(HashEmbedder::default())),
        Some(("static", folder)) => static_embedder(folder).await,
        Some(("openai", place)) => match place.rsplit_once(',') {
            Some((url, model)) => openai_embedder(url, model),
            None => bail!("no model is named: give the embedder as openai:URL,MODEL"),
        },
        _ => bail!("the embedder '{named}' is none of hash, static:FOLDER and openai:URL,MODEL"),
    }
}

#[cfg(feature = "static-embeddings")]
async fn static_embedder(folder: &str) -> Result<Arc<dyn Embedder>> {
    Ok(Arc::new(colca::indices::StaticEmbedder::open(folder).await?))
}

#[cfg(not(feature = "static-embeddings"))]
async fn static_embedder(_folder: &str) -> Result<Arc<dyn Embedder>> {
    bail!("static embedding models need a feature: run it with `--features static-embeddings`")
}

#[cfg(feature = "openai")]
fn openai_embedder(url: &str, model: &str) -> Result<Arc<dyn Embedder>> {
    let key = std::env::var("OPENAI_API_KEY").unwrap_or_default();
    Ok(Arc::new(colca::indices::OpenAi::new(url).api_key(key).embedder(model)?))
}

#[cfg(not(feature = "openai"))]
fn openai_embedder(_url: &str, _model: &str) -> Result<Arc<dyn Embedder>> {
    bail!("models behind OpenAI-compatible interfaces need a feature: run it with `--features openai`")
}

/// Counts the texts that are embedded.
#[derive(Debug, Clone)]
struct Counting {
    inner: Arc<dyn Embedder>,
    texts: Arc<AtomicUsize>,
}

impl Counting {
    fn texts(&self) -> usize {
        self.texts.load(Ordering::Relaxed)
    }
}

#[async_trait::async_trait]
impl Embedder for Counting {
    fn model_name(&self) -> &str {
        self.inner.model_name()
    }

    fn dimensions(&self) -> Option<usize> {
        self.inner.dimensions()
    }

    async fn embed_texts(&self, texts: &[String]) -> Result<Vec<Vec<f64>>, ModelError> {
        self.texts.fetch_add(texts.len(), Ordering::Relaxed);
        self.inner.embed_texts(texts).await
    }
}

fn beginning(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(70) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

fn millis(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
