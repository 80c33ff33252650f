//! Files, random operations against plain maps, and searches against plain arithmetic.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod files;
mod hostile;
mod model;
mod modes;
mod numbers;
mod search;
mod sharing;

use persist::Revision;
use pollster::block_on;
use raw_json::{Object, PyString, RawJson, Text, Value};
use schema::Node;
use vectorstore::{NodeSelection, VectorStore, VectorStoreQuery};
use vectorstore_simple::SimpleVectorStore;

mod behavior {
    use super::*;

    vectorstore::vector_store_behavior!(block_on, async { SimpleVectorStore::new() });
}

fn load(text: &str) -> SimpleVectorStore {
    SimpleVectorStore::from_text(&Text::from(text)).unwrap()
}

/// What is written.
fn dump(store: &SimpleVectorStore) -> String {
    let mut out = Vec::new();
    store.store_file().content.write_to(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Which state the store is in.
fn revision(store: &SimpleVectorStore) -> Revision {
    store.store_file().revision
}

fn parse(text: &str) -> Value {
    text.parse::<RawJson>().unwrap().value()
}

fn node(id: &str, embedding: &[f64]) -> Node {
    Node::text("text").with_id(id).with_embedding(embedding)
}

fn these(ids: &[PyString]) -> NodeSelection {
    NodeSelection::default().with_node_ids(ids)
}

fn get(store: &SimpleVectorStore, id: &str) -> Option<Vec<f64>> {
    block_on(store.get(&id.into())).unwrap()
}

fn search(store: &SimpleVectorStore, query: &VectorStoreQuery) -> Vec<(PyString, f64)> {
    let result = block_on(store.query(query)).unwrap();
    result.ids.into_iter().zip(result.similarities).collect()
}

/// A store's content with these embeddings, under the ids `0`, `1`, ….
fn dict_of(rows: &[Vec<f64>]) -> Object {
    let rows = rows.iter().enumerate().map(|(i, row)| (PyString::from(i.to_string()), Value::from(row.clone())));
    Object::from_iter([("embedding_dict".into(), Value::Object(rows.collect()))])
}
