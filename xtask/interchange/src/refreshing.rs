//! A large index that LlamaIndex built is refreshed by us: only what has changed is embedded.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use colca::prelude::*;
use corpus::DetEmbedding;

use super::models::{Chunks, embedder};
use super::python::Python;
use super::values::object;

/// How many documents there are, each of one node, and how many of them change.
const DOCUMENTS: usize = 10_000;
const CHANGED: usize = 10;

/// Counts the texts it embeds.
#[derive(Debug, Clone)]
struct Counting(DetEmbedding, Arc<AtomicUsize>);

#[async_trait]
impl Embedder for Counting {
    fn model_name(&self) -> &str {
        self.0.model_name()
    }

    fn dimensions(&self) -> Option<usize> {
        self.0.dimensions()
    }

    async fn embed_texts(&self, texts: &[String]) -> Result<Vec<Vec<f64>>, ModelError> {
        self.1.fetch_add(texts.len(), Ordering::Relaxed);
        self.0.embed_texts(texts).await
    }
}

/// A document, changed or as it was.
fn document(at: usize, changed: bool) -> (String, String) {
    (format!("d{at}"), format!("storehouse {at}, {}", if changed { "counted anew" } else { "counted" }))
}

/// Has LlamaIndex build the index in a folder, and refreshes it. Counts what was compared.
pub(super) fn check(python: &mut Python, folder: &Path) -> Result<usize> {
    let given = (0..DOCUMENTS).map(|at| {
        let (id, text) = document(at, false);
        object([("id_", id.into()), ("text", text.into())])
    });
    let build = object([
        ("op", "indexes.build".into()),
        ("id", "large".into()),
        ("kind", "vector_store".into()),
        ("documents", Value::Array(given.collect())),
    ]);
    python.ask("begin", [("ctx", "large".into()), ("property_graph", false.into())])?;
    let told = python.ask("apply", [("ctx", "large".into()), ("ops", vec![build].into())])?;
    ensure!(told.as_array().is_some_and(|told| told[0].get("ok").is_some()), "LlamaIndex cannot build it: {told}");
    fs::create_dir_all(folder)?;
    let dir = folder.to_string_lossy().into_owned();
    python.ask("persist", [("ctx", "large".into()), ("dir", dir.as_str().into())])?;
    python.ask("forget", [])?;
    pollster::block_on(refresh(&dir)).context("refreshing a large index of LlamaIndex's")?;
    fs::remove_dir_all(folder)?;
    Ok(DOCUMENTS)
}

async fn refresh(dir: &str) -> Result<()> {
    let ctx = StorageContext::open(dir).await?;
    let texts = Arc::new(AtomicUsize::new(0));
    let index = load_index_from_storage(&ctx, Some("large")).await?;
    let index =
        index.with_embedder(Counting(embedder(), Arc::clone(&texts))).with_transformations(vec![Arc::new(Chunks)]);
    let step = DOCUMENTS / CHANGED;
    let today = (0..DOCUMENTS).map(|at| {
        let (id, text) = document(at, at % step == 0);
        Node::document(text).with_id(id)
    });
    let told = index.refresh_ref_docs(today.collect()).await?;
    for (at, told) in told.iter().enumerate() {
        ensure!(*told == (at % step == 0), "document {at}: {told}");
    }
    // One more is the sentence that the model is remembered by.
    let embedded = texts.load(Ordering::Relaxed);
    ensure!(embedded == CHANGED + 1, "{embedded} texts were embedded, and {CHANGED} documents had changed");
    let nodes = index.nodes().await?.len();
    ensure!(nodes == DOCUMENTS, "there are {nodes} nodes");
    Ok(())
}
