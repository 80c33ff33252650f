//! What an ingestion pipeline has left behind: its cache and its document store.

use anyhow::Result;
use colca::indices::IngestionPipeline;
use colca::prelude::*;

use super::docstore::{by_hash, ok};
use super::{Answers, Area, Case};
use crate::expected::untag;

pub(super) async fn run(case: &Case, answers: &mut Answers) -> Result<()> {
    let Some(expected) = case.expect.get("pipeline").map(untag) else { return Ok(()) };
    let get = |key: &str| expected.get(key).cloned().unwrap_or(Value::Null);
    let pipeline = IngestionPipeline::new().load(case.place.clone()).await?;
    answers.equal(Area::Pipeline, &["pipeline", "load"], &get("load"), &ok(Value::Null));
    let kept = pipeline.get_cache().and_then(|cache| cache.kv().to_dict()).unwrap_or(Value::Null);
    answers.equal(Area::Pipeline, &["pipeline", "cache"], &get("cache"), &ok(kept));
    let store = pipeline.get_docstore().cloned().unwrap_or_else(KvDocumentStore::in_memory);
    let known = store.kv().to_dict().unwrap_or(Value::Null);
    answers.equal(Area::Pipeline, &["pipeline", "docstore"], &get("docstore"), &ok(known));
    let hashes = store.get_all_document_hashes().await?;
    answers.equal(Area::Pipeline, &["pipeline", "hashes"], &get("hashes"), &ok(by_hash(&hashes)));

    // Nothing was touched, so the files are as they were.
    let again = MemoryFs::new();
    pipeline.persist(again.clone()).await?;
    for name in ["llama_cache", "docstore.json"] {
        let (before, after) = (case.place.read(name, u64::MAX).await?, again.read(name, u64::MAX).await?);
        answers.hold(Area::Repersist, &["files", name], before == after, || "the bytes changed".to_owned());
    }
    Ok(())
}
