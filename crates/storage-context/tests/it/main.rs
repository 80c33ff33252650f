//! A context opened and persisted, as a whole.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod commits;
mod following;
mod hostile;
mod in_turn;
mod legacy;
mod opening;
mod past;
mod persisting;
mod progress;

use persist::{Folder, MemoryFs, PersistFs};
use pollster::block_on;
use raw_json::{RawJson, Text, Value};
use schema::Node;
use storage_context::{PersistOptions, PersistReport, StorageContext};

/// A place with these files.
fn place(files: &[(&str, &str)]) -> MemoryFs {
    let place = MemoryFs::new();
    files.iter().for_each(|(name, text)| place.put(name, text.to_string()));
    place
}

/// A place with the least that opens, and these files besides.
fn place_with(files: &[(&str, &str)]) -> MemoryFs {
    let place = place(&[("docstore.json", "{}"), ("index_store.json", "{}")]);
    files.iter().for_each(|(name, text)| place.put(name, text.to_string()));
    place
}

fn open(place: &MemoryFs) -> StorageContext {
    block_on(StorageContext::open(place.clone())).unwrap()
}

fn persist(ctx: &StorageContext, place: &MemoryFs) -> PersistReport {
    block_on(ctx.persist(place.clone())).unwrap()
}

/// Persists whatever is there.
fn overwrite(ctx: &StorageContext, place: &MemoryFs) -> PersistReport {
    block_on(ctx.persist_with(place.clone(), &PersistOptions::overwrite())).unwrap()
}

/// A file's text.
fn text(place: &MemoryFs, name: &str) -> Option<String> {
    let bytes = block_on(place.read(name, u64::MAX)).unwrap();
    bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

/// A file's value.
fn value(place: &MemoryFs, name: &str) -> Value {
    RawJson::parse(&Text::from(text(place, name).unwrap())).unwrap().value()
}

fn names(place: &MemoryFs) -> Vec<String> {
    block_on(place.list(Folder::Published)).unwrap().into_iter().map(|file| file.name).collect()
}

/// What was done about each file: `docstore.json written`.
fn actions(report: &PersistReport) -> Vec<String> {
    report.files.iter().map(|file| format!("{} {}", file.name, file.action)).collect()
}

/// Returns true if it failed because of a name that no file may have.
fn is_invalid_name<T>(done: storage_context::Result<T>) -> bool {
    matches!(done, Err(storage_context::Error::Persist(persist::Error::InvalidName { .. })))
}

fn add_node(ctx: &StorageContext, id: &str) {
    block_on(ctx.docstore().add_documents(&[Node::text("text").with_id(id)])).unwrap();
}

/// A vector store's file, spelled as no writer of ours spells it.
const VECTORS: &str = r#"{"embedding_dict":{"a":[1,2.50]},"text_id_to_ref_doc_id":{"a":"d"},"metadata_dict":{"a":{"k":1E5}},"more":[1.0]}"#;
