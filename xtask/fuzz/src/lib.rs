//! What is fuzzed: everything that reads texts from elsewhere. `cargo xtask fuzz` builds and runs it.
//!
//! A target takes any bytes and must neither panic nor run forever. What it accepts, it must be able to use, to write,
//! and to read again as the same.

use std::fmt::Debug;

use colca::graphstore::{NodeFilter, RelMapOptions, TripletFilter};
use colca::indices::{JsonNodeParser, MarkdownNodeParser, SentenceSplitter, TokenTextSplitter, sentences};
use colca::persist::MemoryFs;
use colca::prelude::*;
use colca::raw_json::{Dialect, RawJson, Text, py_repr, to_json};
use colca::schema::MetadataMode;
use colca::vectorstore::Filter;
use pollster::block_on;

/// JSON texts, in any encoding.
pub fn values(data: &[u8]) {
    let Some(raw) = parse(data) else { return };
    let value = raw.value();
    assert_eq!(again(&to_json(&value, Dialect::Ascii)), value);
    // Of a key that stands twice, the value that counts may be the shallower one.
    assert!(raw.depth() >= value.depth());
    let _ = (value.to_string(), py_repr(&value));
    let compact = RawJson::compact(&value);
    assert_eq!(RawJson::compact(&compact.value()), compact);
}

/// Single nodes, of any version.
pub fn node(data: &[u8]) {
    let Some(raw) = parse(data) else { return };
    let Ok(node) = Node::from_raw(&raw, &"key".into()) else { return };
    read_node(&node);
    let again = Node::from_value(&node.to_value(), &node.id).expect("what is written can be read");
    assert_eq!(again.to_value(), node.to_value());
}

fn read_node(node: &Node) {
    for mode in [MetadataMode::All, MetadataMode::Embed, MetadataMode::Llm, MetadataMode::None] {
        let _ = node.get_content(mode);
    }
    let _ = (node.hash(), node.ref_doc_id(), node.children());
}

/// `docstore.json`.
pub fn docstore(data: &[u8]) {
    context("docstore.json", data, async |ctx| {
        let store = ctx.docstore();
        let _ = store.docs().await;
        let _ = store.get_all_ref_doc_info().await;
        let _ = store.get_all_document_hashes().await;
        for id in store.node_ids().await.unwrap_or_default() {
            if let Ok(Some(node)) = store.get_document(&id).await {
                read_node(&node);
                let _ = store.delete_document(&id).await;
            }
        }
        let _ = store.add_documents(&[Node::text("t").with_id("n").with_source("d")]).await;
        let _ = store.delete_ref_doc("d").await;
    });
}

/// `index_store.json`.
pub fn index_store(data: &[u8]) {
    context("index_store.json", data, async |ctx| {
        for found in ctx.index_store().index_structs().await.unwrap_or_default() {
            let _ = found.node_ids();
        }
        let _ = load_indices_from_storage(ctx, None).await;
    });
}

/// `graph_store.json`.
pub fn graph_store(data: &[u8]) {
    context("graph_store.json", data, async |ctx| {
        let graph = ctx.graph_store();
        let _ = graph.get_rel_map(None, 3, 100).await;
        let ends = ["a", "b"].map(PyString::from);
        graph.upsert_triplet(&ends[0], &"r".into(), &ends[1]).await.expect("a store in memory takes every triplet");
        assert!(graph.delete(&ends[0], &"r".into(), &ends[1]).await.expect("it was just added"));
    });
}

/// `property_graph_store.json`.
pub fn property_graph_store(data: &[u8]) {
    context("property_graph_store.json", data, async |ctx| {
        let Some(graph) = ctx.property_graph_store() else { return };
        let nodes = graph.get(&NodeFilter::default()).await.expect("a store in memory answers");
        let ids: Vec<PyString> = nodes.iter().map(|node| node.id().clone()).collect();
        let touching = TripletFilter::default().with_ids(ids.clone());
        let _ = graph.get_triplets(&touching).await;
        let _ = graph.get_rel_map(&ids, &RelMapOptions::default()).await;
        let _ = graph.get_llama_nodes(&ids).await;
        let _ = graph.get_schema().await;
        let _ = graph.upsert_nodes(nodes).await;
        if let Some(first) = ids.first() {
            let gone = TripletFilter::default().with_ids([first]);
            let _ = graph.delete(&gone).await;
            assert!(graph.get(&NodeFilter::default().with_ids([first])).await.is_ok_and(|left| left.is_empty()));
        }
    });
}

/// `default__vector_store.json`.
pub fn vector_store(data: &[u8]) {
    context("default__vector_store.json", data, async |ctx| {
        let Some(vectors) = ctx.vector_store() else { return };
        for mode in VectorStoreQueryMode::ALL {
            for dim in 1..4 {
                let query = VectorStoreQuery::new(vec![0.5; dim]).with_mode(mode).with_top_k(3);
                let filter = field("k").gt(1) | field("k").contains("a");
                let _ = vectors.query(&query.clone().with_filters(filter)).await;
                let _ = vectors.query(&query).await;
            }
        }
        let _ = vectors.add(&[Node::text("t").with_id("n").with_embedding([1.0, 2.0])]).await;
        let _ = vectors.delete(&"None".into()).await;
        let selection = NodeSelection::default().with_filters(field("k").eq(1)).with_mismatch(Mismatch::NoMatch);
        let _ = vectors.delete_nodes(&selection).await;
    });
}

/// `chat_store.json`.
pub fn chat_store(data: &[u8]) {
    let Some(text) = decode(data) else { return };
    let Ok(store) = SimpleChatStore::from_text(&text) else { return };
    for key in store.get_keys() {
        let _ = store.get_messages(&key).iter().map(|message| message.content()).count();
        let _ = store.delete_message(&key, -1);
    }
    let mut out = Vec::new();
    store.store_file().content.write_to(&mut out).expect("memory takes everything");
    let again =
        decode(&out).and_then(|text| SimpleChatStore::from_text(&text).ok()).expect("what is written can be read");
    assert_eq!(again.to_dict(), store.to_dict());
}

/// The single files of 0.5.
pub fn single_file(data: &[u8]) {
    let Some(text) = decode(data) else { return };
    if let Ok(ctx) = StorageContext::from_single_file(&text) {
        persist_and_open(&ctx);
    }
}

/// Metadata filters in JSON, and after a line break the metadata they are applied to.
pub fn filters(data: &[u8]) {
    let mut parts = data.splitn(2, |b| *b == b'\n');
    let (Some(filters), Some(metadata)) = (parts.next().and_then(parse), parts.next().and_then(parse)) else { return };
    let Ok(filters) = MetadataFilters::from_value(&filters.value()) else { return };
    assert_eq!(MetadataFilters::from_value(&filters.to_value()).expect("what is written can be read"), filters);
    let _ = filters.to_string();
    let Value::Object(metadata) = metadata.value() else { return };
    let id = PyString::from("n");
    let matches = |filters: &MetadataFilters, mismatch| filters.matches(&id, &metadata, mismatch);
    let lenient = |filters: MetadataFilters| matches(&filters, Mismatch::NoMatch).expect("nothing can fail");
    let passes = lenient(filters.clone());
    if let Ok(strict) = matches(&filters, Mismatch::Error) {
        assert_eq!(strict, passes);
    }
    if filters.is_empty() {
        assert!(passes);
        return;
    }
    let group = || Filter::Group(filters.clone());
    assert_eq!(lenient((!group()).into()), !passes);
    assert_eq!(lenient((group() & !group()).into()), false);
    assert_eq!(lenient((group() | !group()).into()), true);
}

/// Texts of documents. Chunks are parts of the text, in order, and have no more tokens than they may.
pub fn splitters(data: &[u8]) {
    let [size, overlap, text @ ..] = data else { return };
    let (size, overlap) = (usize::from(*size) + 1, usize::from(*overlap));
    let text = String::from_utf8_lossy(text).into_owned();
    let mut end = 0;
    for sentence in sentences(&text) {
        assert!(end <= sentence.start && sentence.start <= sentence.end);
        end = sentence.end;
    }
    if let Ok(splitter) = SentenceSplitter::new(size, overlap)
        && let Ok(chunks) = splitter.split_text(text.as_str())
    {
        in_order(&text, &chunks);
    }
    if let Ok(splitter) = TokenTextSplitter::new(size, overlap) {
        in_order(&text, &splitter.split_text(text.as_str()).expect("pieces of any size are taken"));
    }
    let document = Node::document(text.as_str()).with_id("d");
    for parser in [&MarkdownNodeParser::default() as &dyn Transformation, &JsonNodeParser::default()] {
        let Ok(nodes) = block_on(parser.transform(vec![document.clone()])) else { continue };
        assert!(nodes.iter().all(|node| node.ref_doc_id().is_ok_and(|source| source == Some(&document.id))));
    }
}

/// Each chunk occurs in the text, and none before the one before it.
fn in_order(text: &str, chunks: &[PyString]) {
    let mut from = 0;
    for chunk in chunks {
        let chunk = chunk.to_str().expect("a part of a text is a text");
        from += text[from..].find(chunk).expect("a chunk is a part of the text behind the one before");
    }
}

/// Opens a place with this one file, uses it, upgrades it, and persists it elsewhere.
fn context(name: &str, data: &[u8], exercise: impl AsyncFn(&StorageContext)) {
    let place = empty_place();
    place.put(name, data.to_vec());
    let Ok(ctx) = block_on(StorageContext::open(place)) else { return };
    persist_and_open(&ctx);
    block_on(exercise(&ctx));
    persist_and_open(&ctx);
    let _ = block_on(ctx.upgrade());
    persist_and_open(&ctx);
}

/// A place with the files that every context has.
fn empty_place() -> MemoryFs {
    let place = MemoryFs::new();
    ["docstore.json", "index_store.json"].into_iter().for_each(|name| place.put(name, "{}"));
    place
}

/// Manifests. Whatever one says, nothing but the place's own files is read and written, and what opens can be replaced.
pub fn manifest(data: &[u8]) {
    let place = empty_place();
    place.put(".colca/1.json", data.to_vec());
    place.put(".colca/c-0.staged", "{}");
    let before = place.files();
    let opened = block_on(StorageContext::open(place.clone()));
    assert_eq!(place.files(), before, "opening writes nothing");
    let ctx = opened.unwrap_or_else(|_| StorageContext::in_memory());
    block_on(ctx.docstore().add_documents(&[Node::text("t").with_id("n")])).expect("the node is good");
    if block_on(ctx.persist_with(place.clone(), &PersistOptions::overwrite())).is_ok() {
        let again = block_on(StorageContext::open(place)).expect("what was persisted opens");
        assert!(block_on(again.docstore().document_exists("n")).expect("it is a document store"));
    }
}

fn persist_and_open(ctx: &StorageContext) {
    let place = MemoryFs::new();
    block_on(ctx.persist(place.clone())).expect("what opens can be persisted");
    let again = block_on(StorageContext::open(place)).expect("what was persisted opens");
    assert_same(again.to_dict(), ctx.to_dict());
}

/// Dictionaries with their keys in order.
fn assert_same(a: Result<Value, impl Debug>, b: Result<Value, impl Debug>) {
    let told = |dict: Result<Value, _>| dict.map(|dict| dict.to_string()).ok();
    assert_eq!(told(a.map_err(drop)), told(b.map_err(drop)));
}

fn decode(data: &[u8]) -> Option<Text> {
    Text::decode(data.to_vec()).ok()
}

fn parse(data: &[u8]) -> Option<RawJson> {
    RawJson::parse(&decode(data)?).ok()
}

fn again(written: &[u8]) -> Value {
    parse(written).expect("what is written can be read").value()
}
