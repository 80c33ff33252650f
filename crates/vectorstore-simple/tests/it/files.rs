//! Small files, and what becomes of them.

use super::*;
use bytes::Bytes;
use vectorstore::{Error, VectorStoreRegistry};

const FILE: &str = concat!(
    r#"{"embedding_dict": {"n1": [0.1, 0.25], "n2": [1.0, -0.0]}, "#,
    r#""text_id_to_ref_doc_id": {"n1": "doc-1", "n2": "None"}, "#,
    r#""metadata_dict": {"n1": {"author": "A", "_node_type": "TextNode", "#,
    r#""document_id": "doc-1", "doc_id": "doc-1", "ref_doc_id": "doc-1"}, "#,
    r#""n2": {"_node_type": "TextNode", "document_id": "None", "doc_id": "None", "ref_doc_id": "None"}}}"#
);

/// What becomes of a file when a node is added and deleted again.
fn touched(text: &str) -> String {
    let store = load(text);
    let before = revision(&store);
    block_on(store.add(&[node("t", &[1.0, 2.0])])).unwrap();
    assert_eq!(block_on(store.delete_nodes(&these(&["t".into()]))).unwrap(), 1);
    assert_ne!(revision(&store), before);
    dump(&store)
}

#[test]
fn pythons_file_is_written_byte_for_byte() {
    assert_eq!(dump(&load(FILE)), FILE);
    assert_eq!(touched(FILE), FILE);
    let empty = r#"{"embedding_dict": {}, "text_id_to_ref_doc_id": {}, "metadata_dict": {}}"#;
    assert_eq!(dump(&SimpleVectorStore::new()), empty);
}

#[test]
fn what_changes_nothing_leaves_the_file_unchanged() {
    let store = load(FILE);
    let before = revision(&store);
    let n1 = node("n1", &[0.1, 0.25]).with_metadata("author", "A").with_source("doc-1");
    block_on(store.add(&[n1.clone(), node("n2", &[1.0, -0.0])])).unwrap();
    block_on(store.add(&[])).unwrap();
    block_on(store.delete(&"doc-9".into())).unwrap();
    block_on(store.delete_nodes(&these(&["n9".into()]))).unwrap();
    block_on(load("{}").clear()).unwrap();
    assert_eq!(revision(&store), before);
    for different in [n1.clone().with_metadata("author", "B"), n1.with_source("d"), node("n2", &[1.0, 0.0])] {
        let store = load(FILE);
        let before = revision(&store);
        block_on(store.add(&[different])).unwrap();
        assert_ne!(revision(&store), before);
    }
}

#[test]
fn metadata_in_another_order_is_a_change() {
    let add = |store: &SimpleVectorStore, keys: [&str; 2]| {
        let node = keys.into_iter().fold(node("n", &[1.0]), |node, key| node.with_metadata(key, 1));
        block_on(store.add(&[node])).unwrap();
        dump(store)
    };
    let (again, once) = (SimpleVectorStore::new(), SimpleVectorStore::new());
    add(&again, ["a", "b"]);
    assert_eq!(add(&again, ["b", "a"]), add(&once, ["b", "a"]));
}

#[test]
fn a_file_without_metadata_gets_the_part_and_null_stays() {
    let store = load(r#"{"embedding_dict": {"n1": [1.0, 0.0]}, "text_id_to_ref_doc_id": {"n1": "d"}}"#);
    let today = r#"{"embedding_dict": {"n1": [1.0, 0.0]}, "text_id_to_ref_doc_id": {"n1": "d"}, "metadata_dict": {}}"#;
    assert_eq!(dump(&store), today);
    block_on(store.add(&[node("n1", &[0.5, 0.0]).with_source("d")])).unwrap();
    assert!(dump(&store).contains(r#""metadata_dict": {"n1": {"_node_type": "TextNode""#));

    let null = r#"{"embedding_dict": {}, "text_id_to_ref_doc_id": {}, "metadata_dict": null}"#;
    assert_eq!(dump(&load(null)), null);
}

#[test]
fn documents_of_0_6_0_are_found_under_their_old_name() {
    let store = load(r#"{"embedding_dict": {"n1": [1.0], "n2": [2.0]}, "text_id_to_doc_id": {"n1": "d", "n2": null}}"#);
    assert_eq!(block_on(store.delete(&"d".into())).unwrap(), 1);
    let rest = r#"{"embedding_dict": {"n2": [2.0]}, "text_id_to_ref_doc_id": {"n2": "None"}, "metadata_dict": {}}"#;
    assert_eq!(dump(&store), rest);

    let both = concat!(
        r#"{"embedding_dict": {}, "text_id_to_ref_doc_id": {"a": "new"}, "metadata_dict": {}, "#,
        r#""text_id_to_doc_id": {"a": "old"}}"#
    );
    assert_eq!(dump(&load(both)), both);
}

#[test]
fn documents_are_read_as_python_reads_them() {
    let store = load(r#"{"text_id_to_ref_doc_id": {"a": null, "b": 5, "c": 1.50, "d": true, "e": ["x"]}}"#);
    let expected = r#"{"a": "None", "b": "5", "c": "1.5", "d": "True", "e": "['x']"}"#;
    assert_eq!(store.to_dict().get("text_id_to_ref_doc_id"), Some(&parse(expected)));
}

#[test]
fn unknown_keys_and_lonely_entries_survive() {
    let file = concat!(
        r#"{"embedding_dict": {"a": [1.0, 2.0]}, "text_id_to_ref_doc_id": {"lonely": "d", "a": "d"}, "#,
        r#""metadata_dict": {"a": {"x":1.50, "big": 123456789012345678901234567890}, "b": NaN}, "new": {"x" : 1E5}}"#
    );
    assert_eq!(touched(file), file);
    let store = load(file);
    assert_eq!(block_on(store.delete(&"d".into())).unwrap(), 2);
    let rest =
        r#"{"embedding_dict": {}, "text_id_to_ref_doc_id": {}, "metadata_dict": {"b": NaN}, "new": {"x" : 1E5}}"#;
    assert_eq!(dump(&store), rest);
    block_on(store.clear()).unwrap();
    assert_eq!(dump(&store).matches("NaN").count(), 0);
    assert!(dump(&store).ends_with(r#""new": {"x" : 1E5}}"#));
}

#[test]
fn numbers_are_converted_as_in_python() {
    let store = load(r#"{"embedding_dict": {"a": [1, true, " 2.5 ", -0, 1e-2, false]}}"#);
    assert_eq!(get(&store, "a"), Some(vec![1.0, 1.0, 2.5, 0.0, 0.01, 0.0]));
    assert!(dump(&store).starts_with(r#"{"embedding_dict": {"a": [1.0, 1.0, 2.5, 0.0, 0.01, 0.0]}"#));
}

#[test]
fn what_does_not_fit_is_kept_as_it_was_written() {
    let rows = concat!(
        r#""a": [1.0, 2.0], "short": [1.50], "none": null, "hole": [1, null], "inf": [1e400, 2], "#,
        r#""word": ["x", 2], "deep": [[1.0], 2.0], "empty": [], "text": "12", "nan": [NaN, 1.0], "b": [2.0, 1.0]"#
    );
    let store = load(&format!(r#"{{"embedding_dict": {{{rows}}}}}"#));
    let expected = format!(r#"{{"embedding_dict": {{{rows}}}, "text_id_to_ref_doc_id": {{}}, "metadata_dict": {{}}}}"#);
    assert_eq!(dump(&store), expected);
    assert_eq!(store.dimension(), Some(2));
    assert_eq!(get(&store, "short"), Some(vec![1.5]));
    assert_eq!(get(&store, "empty"), Some(vec![]));
    assert_eq!(get(&store, "inf"), Some(vec![f64::INFINITY, 2.0]));
    for id in ["none", "hole", "word", "deep", "text"] {
        let failed = block_on(store.get(&id.into())).unwrap_err();
        assert!(matches!(&failed, Error::Unreadable { id: named } if *named == id), "{failed}");
    }
}

#[test]
fn only_queries_that_reach_what_does_not_fit_fail() {
    let store = load(
        r#"{"embedding_dict": {"a": [1.0, 2.0], "short": [2.0], "none": null, "nan": [NaN, 1.0], "b": [2.0, 1.0]}}"#,
    );
    let query = |ids: &[&str], embedding: &[f64]| {
        let query = VectorStoreQuery::new(embedding).with_top_k(0).with_node_ids(ids.iter().copied());
        block_on(store.query(&query)).map(|r| r.ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
    };
    assert_eq!(query(&["a", "b", "nan"], &[1.0, 0.0]).unwrap(), "b,a,nan");
    assert_eq!(query(&["short"], &[1.0]).unwrap(), "short");
    assert!(matches!(query(&["none"], &[1.0]), Err(Error::Unreadable { .. })));
    let ragged = query(&["short", "a", "b"], &[1.0, 0.0]).unwrap_err();
    assert_eq!(
        ragged.to_string(),
        "the embedding of node 'a' has 2 numbers, that of node 'short' has 1; \
         delete one kind, or restrict the query's node ids"
    );
    let wrong = query(&["short"], &[1.0, 2.0]).unwrap_err();
    assert!(matches!(&wrong, Error::QueryDimension { id, stored: 1, query: 2 } if *id == "short"), "{wrong}");
    // One is added under an id that had none.
    block_on(store.add(&[node("none", &[3.0, 0.0]), node("short", &[0.0, 1.0])])).unwrap();
    assert_eq!(query(&["a", "none", "short"], &[1.0, 0.0]).unwrap(), "none,a,short");
    let start = r#"{"embedding_dict": {"a": [1.0, 2.0], "short": [0.0, 1.0], "none": [3.0, 0.0], "nan": [NaN, 1.0]"#;
    assert!(dump(&store).starts_with(start));
}

#[test]
fn of_duplicate_keys_the_last_counts_at_the_place_of_the_first() {
    let store = load(
        r#"{"embedding_dict": {"old": [9.0]},
            "embedding_dict": {"a": [1.0], "b": [2.0], "c": null, "a": null, "c": [3.50], "b": [4.0, 5.0]}}"#,
    );
    assert!(dump(&store).starts_with(r#"{"embedding_dict": {"a": null, "b": [4.0, 5.0], "c": [3.5]}"#));
    assert_eq!(store.dimension(), Some(1));
    let store = load(r#"{"embedding_dict": {"a": [1.0], "a": null}}"#);
    assert_eq!(store.dimension(), None);
    block_on(store.add(&[node("b", &[1.0, 2.0])])).unwrap();
}

#[test]
fn the_dimension_is_that_of_what_is_there() {
    let store = load(r#"{"embedding_dict": {"e": [], "n": null, "a": [NaN, 1.0, 2.0]}}"#);
    assert_eq!(store.dimension(), Some(3));
    let failed = block_on(store.add(&[node("b", &[1.0])])).unwrap_err();
    assert!(matches!(failed, Error::Dimension { expected: 3, found: 1, .. }));
    block_on(store.delete_nodes(&these(&["a".into()]))).unwrap();
    block_on(store.add(&[node("b", &[1.0])])).unwrap();
    assert_eq!(store.dimension(), Some(1));
}

#[test]
fn what_is_no_store_is_refused_with_the_place() {
    let refused = |text: &str| SimpleVectorStore::from_text(&Text::from(text)).unwrap_err().to_string();
    assert_eq!(
        refused("{\"embedding_dict\":\n {\"a\": [1.0, }}"),
        "not a vector store: expected a value at line 2 column 14 (byte 32)"
    );
    assert_eq!(
        refused(r#"{"metadata_dict": [1]}"#),
        "not a vector store: expected an object, found a list at line 1 column 19 (byte 18)"
    );
    for text in ["", "[]", "null", "{} {}", r#"{"embedding_dict": 5}"#, r#"{"text_id_to_ref_doc_id": "x"}"#] {
        assert!(refused(text).starts_with("not a vector store: "), "{text}");
    }
    assert_eq!(load(r#"{"embedding_dict": null, "text_id_to_ref_doc_id": null}"#).dimension(), None);
}

#[test]
fn the_loader_takes_objects_in_every_encoding_and_nothing_else() {
    let registry = VectorStoreRegistry::new().with(SimpleVectorStore::loader());
    let text = r#" {"embedding_dict": {"é": [1.0]}}"#;
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let utf32: Vec<u8> = text.chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
    for file in [text.as_bytes(), &[b"\xEF\xBB\xBF", text.as_bytes()].concat(), &utf16, &utf32, b"{}"] {
        let store = registry.load(Bytes::copy_from_slice(file)).unwrap();
        assert_eq!(store.to_dict().unwrap().get("text_id_to_ref_doc_id"), Some(&parse("{}")));
    }
    for (file, seems) in [
        (&b"IxF2\x08\0\0\0"[..], "a FAISS index"),
        (b"", "an empty file"),
        (b"\x1F\x8B\x08", "gzip data"),
        (b"{\"embeddingDict\": {}}", "a vector store of LlamaIndexTS"),
        (b"[]", "a JSON list"),
        (b"?", "something unknown"),
    ] {
        let refused = registry.load(Bytes::copy_from_slice(file)).unwrap_err().to_string();
        assert!(refused.starts_with("not a file of SimpleVectorStore") && refused.contains(seems), "{refused}");
    }
    assert!(matches!(registry.load(Bytes::from_static(b"{\"a\": ")), Err(Error::Damaged { .. })));
}

#[test]
fn dicts_round_trip() {
    let store = load(FILE);
    let dict = store.to_dict();
    assert_eq!(dict, parse(FILE));
    let again = SimpleVectorStore::from_dict(dict.as_object().unwrap()).unwrap();
    assert_eq!(dump(&again), FILE);
}

#[test]
fn clones_share_and_files_are_snapshots() {
    let store = load(FILE);
    let file = store.store_file().content;
    let other = store.clone();
    block_on(other.clear()).unwrap();
    assert_eq!(block_on(store.count()).unwrap(), Some(0));
    assert_eq!(format!("{store:?}"), "SimpleVectorStore { nodes: 0, dimension: None, .. }");
    let mut out = Vec::new();
    file.write_to(&mut out).unwrap();
    assert_eq!(out, FILE.as_bytes());
}

#[test]
fn the_nodes_without_a_document_are_those_of_the_document_none() {
    let store = load(FILE);
    assert_eq!(block_on(store.delete(&"None".into())).unwrap(), 1);
    assert_eq!(get(&store, "n2"), None);
}
