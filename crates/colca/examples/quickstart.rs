//! Opens a directory that LlamaIndex wrote, looks into it, changes it, persists it elsewhere and opens that again.
//!
//! `cargo run --release --example quickstart`

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use colca::prelude::*;

#[tokio::main]
async fn main() -> Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/essays");
    let ctx = StorageContext::open(&source).await?;
    println!("Opened crates/colca/examples/data/essays, which LlamaIndex 0.14.25 wrote.\n");
    print_contents(&ctx).await?;

    println!("\nThe three nodes nearest to 'storehouses-1', by their stored embeddings:");
    let vectors = ctx.vector_store().context("the directory has a default vector store")?;
    let query = vectors.get(&"storehouses-1".into()).await?.context("the node has an embedding")?;
    let before = print_hits(&ctx, &vectors, &query).await?;

    println!("\nAdding the document 'llamas' and deleting the document 'caravans' ...");
    let llama = Node::text("A llama that is tired sits down, and the caravan waits.")
        .with_id("llamas-1")
        .with_source("llamas")
        .with_metadata("title", "On llamas")
        .with_embedding(query.iter().rev().copied().collect::<Vec<_>>());
    ctx.docstore().add_documents(std::slice::from_ref(&llama)).await?;
    vectors.add(&[llama]).await?;
    let nodes = ctx.docstore().delete_ref_doc("caravans").await?.nodes;
    let rows = vectors.delete(&"caravans".into()).await?;
    println!("  {nodes} nodes and {rows} vectors are gone.");

    let target = tempfile::tempdir()?;
    println!("\n{}", ctx.persist(target.path()).await?);

    let again = StorageContext::open(target.path()).await?;
    let vectors = again.vector_store().context("it was just persisted")?;
    println!("Opened again, the same query:");
    let after = print_hits(&again, &vectors, &query).await?;
    let here = ctx.vector_store().context("it is still in memory")?;
    ensure!(after == here.query(&VectorStoreQuery::new(query).with_top_k(3)).await?, "the copy answers differently");
    ensure!(after.ids[0] == before.ids[0], "the nearest node has changed");
    println!("\nThe copy on disk answers as the context in memory does.");
    Ok(())
}

/// What is in a context, as a table.
async fn print_contents(ctx: &StorageContext) -> Result<()> {
    println!("  {:<22} {:>7}  contents", "store", "entries");
    let nodes = ctx.docstore().node_ids().await?;
    let documents = ctx.docstore().get_all_ref_doc_info().await?;
    let names: Vec<String> = documents.keys().map(ToString::to_string).collect();
    println!("  {:<22} {:>7}  nodes of {}", "document store", nodes.len(), names.join(", "));
    for index in load_indices_from_storage(ctx, None).await? {
        let title = index.summary().map(|summary| summary.to_string()).unwrap_or_default();
        println!(
            "  {:<22} {:>7}  {}: {title}",
            format!("index '{}'", index.index_id()),
            index.node_ids().await?.len(),
            index.class_name()
        );
    }
    for (namespace, store) in ctx.vector_stores() {
        let count = store.count().await?.unwrap_or_default();
        println!("  {:<22} {count:>7}  embeddings", format!("vectors '{namespace}'"));
    }
    let triplets = ctx.graph_store().get_rel_map(None, 1, 30).await?;
    println!("  {:<22} {:>7}  triplets", "graph store", triplets.values().map(Vec::len).sum::<usize>());
    Ok(())
}

/// Queries, prints each hit with its text, and returns the hits.
async fn print_hits(
    ctx: &StorageContext,
    vectors: &Arc<dyn VectorStore>,
    query: &[f64],
) -> Result<VectorStoreQueryResult> {
    let hits = vectors.query(&VectorStoreQuery::new(query).with_top_k(3)).await?;
    let nodes = ctx.docstore().get_nodes(&hits.ids).await?;
    for ((id, score), node) in hits.ids.iter().zip(&hits.similarities).zip(nodes) {
        let text = node.map(|node| node.text_content().to_string()).unwrap_or_default();
        println!("  {score:>6.3}  {id:<14} {text}");
    }
    Ok(hits)
}
