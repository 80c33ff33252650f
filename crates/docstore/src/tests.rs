//! The document store's rules, as the specification of LlamaIndex's states them, and what is different here on purpose.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use kv_core::{KvStore, KvStoreExt, SimpleKvStore};
use pollster::block_on;
use proptest::prelude::*;
use raw_json::{PyString, RawJson, Text, Value};
use schema::Node;

use crate::{AddOptions, Deleted, Error, KvDocumentStore};

fn load(text: &str) -> KvDocumentStore {
    KvDocumentStore::new(SimpleKvStore::from_text(&Text::from(text)).unwrap())
}

fn node(id: &str, source: Option<&str>, metadata: &[(&str, i64)]) -> Node {
    let node = Node::text(format!("text of {id}")).with_id(id);
    let node = metadata.iter().fold(node, |node, (key, value)| node.with_metadata(*key, *value));
    source.into_iter().fold(node, Node::with_source)
}

/// The record of a document as JSON.
fn info(store: &KvDocumentStore, id: &str) -> Option<String> {
    let raw = block_on(store.kv().get("docstore/ref_doc_info", id)).unwrap();
    raw.map(|raw| raw.value().to_string())
}

fn record(store: &KvDocumentStore, id: &str) -> Option<Value> {
    block_on(store.kv().get("docstore/metadata", id)).unwrap().map(|raw| raw.value())
}

#[test]
fn a_documents_metadata_are_those_of_its_first_nodes() {
    let store = KvDocumentStore::in_memory();
    block_on(store.add_documents(&[
        node("a1", Some("A"), &[("k", 1)]),
        node("a2", Some("A"), &[("k", 2), ("z", 1)]),
        node("b1", Some("B"), &[]),
    ]))
    .unwrap();
    assert_eq!(info(&store, "A").unwrap(), r#"{"node_ids": ["a1", "a2"], "metadata": {"k": 2, "z": 1}}"#);
    block_on(store.add_documents(&[node("a3", Some("A"), &[("k", 9)]), node("b2", Some("B"), &[("late", 1)])]))
        .unwrap();
    assert_eq!(info(&store, "A").unwrap(), r#"{"node_ids": ["a1", "a2", "a3"], "metadata": {"k": 2, "z": 1}}"#);
    assert_eq!(info(&store, "B").unwrap(), r#"{"node_ids": ["b1", "b2"], "metadata": {"late": 1}}"#);
}

#[test]
fn collections_come_in_the_order_in_which_python_touches_them() {
    let order = |nodes: &[Node]| {
        let kv = SimpleKvStore::new();
        block_on(KvDocumentStore::new(kv.clone()).add_documents(nodes)).unwrap();
        kv.collections().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(order(&[node("n", None, &[])]), ["docstore/data", "docstore/metadata"]);
    assert_eq!(order(&[node("n", Some("d"), &[])]), ["docstore/ref_doc_info", "docstore/data", "docstore/metadata"]);
}

#[test]
fn updates_can_be_forbidden_and_then_nothing_changes() {
    let store = KvDocumentStore::in_memory();
    block_on(store.add_documents(&[node("a", None, &[])])).unwrap();
    let options = AddOptions { allow_update: false, ..AddOptions::default() };
    let nodes = [node("new", Some("D"), &[]), node("a", None, &[("k", 1)])];
    let failed = block_on(store.add_documents_with(&nodes, options)).unwrap_err();
    assert!(matches!(&failed, Error::AlreadyExists { id, .. } if *id == "a"), "{failed}");
    assert_eq!(block_on(store.node_ids()).unwrap(), ["a"]);
    assert_eq!((info(&store, "D"), record(&store, "new")), (None, None));
    assert!(block_on(store.require_document("a")).unwrap().metadata.is_empty());
}

#[test]
fn nodes_without_text_are_known_by_their_hash() {
    let store = KvDocumentStore::in_memory();
    let options = AddOptions { store_text: false, ..AddOptions::default() };
    block_on(store.add_documents_with(&[node("gone", Some("C"), &[])], options)).unwrap();
    assert!(!block_on(store.document_exists("gone")).unwrap());
    assert!(block_on(store.get_document_hash("gone")).unwrap().is_some());
    assert!(block_on(store.delete_document("gone")).unwrap());
    assert_eq!((info(&store, "C"), record(&store, "gone")), (None, None));
    assert!(!block_on(store.delete_document("gone")).unwrap());
}

#[test]
fn a_source_without_an_id_is_none() {
    let store = KvDocumentStore::in_memory();
    block_on(store.add_documents(&[node("n", Some(""), &[])])).unwrap();
    assert_eq!(record(&store, "n").unwrap().get("ref_doc_id"), None);
    assert_eq!(info(&store, ""), None);
}

#[test]
fn setting_a_hash_keeps_the_rest_of_the_record() {
    let store = load(r#"{"docstore/metadata": {"n": {"doc_hash": "old", "ref_doc_id": "D", "extra": []}}}"#);
    block_on(store.set_document_hash("n", "new")).unwrap();
    block_on(store.set_document_hashes([("m".into(), "1"), ("n".into(), "newer")])).unwrap();
    assert_eq!(record(&store, "n").unwrap().to_string(), r#"{"doc_hash": "newer", "ref_doc_id": "D", "extra": []}"#);
    assert_eq!(record(&store, "m").unwrap().to_string(), r#"{"doc_hash": "1"}"#);
    let hashes = block_on(store.get_all_document_hashes()).unwrap();
    assert_eq!(hashes.iter().map(|(id, hash)| format!("{id}={hash}")).collect::<Vec<_>>(), ["n=newer", "m=1"]);
}

#[test]
fn a_deleted_node_leaves_nothing_behind() {
    let store = KvDocumentStore::in_memory();
    block_on(store.add_documents(&[node("a1", Some("A"), &[]), node("a2", Some("A"), &[])])).unwrap();
    block_on(store.add_documents(&[Node::document("the document itself").with_id("A")])).unwrap();
    assert!(block_on(store.delete_document("a1")).unwrap());
    assert_eq!(info(&store, "A").unwrap(), r#"{"node_ids": ["a2"], "metadata": {}}"#);
    // With its last node the document goes, and the node stored under its id.
    assert!(block_on(store.delete_document("a2")).unwrap());
    assert_eq!(
        store.kv().to_dict().unwrap().to_string(),
        r#"{"docstore/ref_doc_info": {}, "docstore/data": {}, "docstore/metadata": {}}"#
    );
}

#[test]
fn a_node_that_moves_belongs_to_its_new_document_only() {
    let store = KvDocumentStore::in_memory();
    block_on(store.add_documents(&[node("n", Some("D"), &[]), node("stays", Some("D"), &[])])).unwrap();
    block_on(store.add_documents(&[node("n", Some("E"), &[])])).unwrap();
    assert_eq!(info(&store, "D").unwrap(), r#"{"node_ids": ["stays"], "metadata": {}}"#);
    let deleted = block_on(store.delete_ref_doc("D")).unwrap();
    assert_eq!((deleted.nodes, deleted.ref_docs), (1, 1));
    assert!(block_on(store.document_exists("n")).unwrap());

    // A document that has lost its last node is still one, and is deleted as one.
    block_on(store.set_document_hash("E", "hash of E")).unwrap();
    block_on(store.add_documents(&[node("n", None, &[])])).unwrap();
    assert_eq!(info(&store, "E").unwrap(), r#"{"node_ids": [], "metadata": {}}"#);
    assert_eq!(block_on(store.delete_ref_doc("E")).unwrap().ref_docs, 1);
    assert_eq!((record(&store, "E"), block_on(store.node_ids()).unwrap().len()), (None, 1));
}

#[test]
fn a_node_that_python_left_on_two_lists_stays_with_its_document() {
    let store = load(
        r#"{"docstore/ref_doc_info": {"D": {"node_ids": ["n", "d"], "metadata": {}}, "E": {"node_ids": ["n"], "metadata": {}}},
            "docstore/data": {"n": {"__data__": {"text": "t"}, "__type__": "1"}, "d": {"__data__": {"text": "t"}, "__type__": "1"}},
            "docstore/metadata": {"n": {"doc_hash": "h", "ref_doc_id": "E"}, "d": {"doc_hash": "h", "ref_doc_id": "D"}}}"#,
    );
    assert_eq!(block_on(store.delete_ref_doc("D")).unwrap().nodes, 1);
    assert_eq!(block_on(store.node_ids()).unwrap(), ["n"]);
    assert_eq!((info(&store, "D").is_some(), info(&store, "E").is_some()), (false, true));
}

#[test]
fn what_is_asked_together_comes_at_the_place_of_its_id() {
    block_on(async {
        let store = KvDocumentStore::in_memory();
        let nodes = [node("a1", Some("A"), &[]), node("b1", Some("B"), &[]), node("a2", Some("A"), &[])];
        store.add_documents(&nodes).await.unwrap();
        store.set_document_hash("B", "h").await.unwrap();
        let ids = ["B", "none", "A", "B"].map(PyString::from);
        let nodes = store.ref_docs_nodes(&ids).await.unwrap();
        let expected = [Some(vec!["b1"]), None, Some(vec!["a1", "a2"]), Some(vec!["b1"])];
        assert_eq!(nodes, expected.map(|ids| ids.map(|ids| ids.into_iter().map(PyString::from).collect::<Vec<_>>())));
        let infos = store.get_ref_doc_infos(&ids).await.unwrap();
        assert_eq!(infos.iter().map(|info| info.as_ref().map_or(0, |info| info.node_ids.len())).sum::<usize>(), 4);
        let hashes = store.get_document_hashes(&ids).await.unwrap();
        assert_eq!(hashes, [Some("h".into()), None, None, Some("h".into())]);
    });
}

#[test]
fn unknown_documents_delete_nothing() {
    let store = KvDocumentStore::in_memory();
    assert_eq!(block_on(store.delete_ref_doc("nope")).unwrap(), crate::Deleted::default());
    assert_eq!(block_on(store.delete_documents(&["nope".into()])).unwrap(), crate::Deleted::default());
    assert!(block_on(store.require_document("nope")).unwrap_err().is_not_found());
}

#[test]
fn one_unreadable_node_is_an_error_for_itself_only() {
    let store = load(
        r#"{"docstore/data": {"good": {"__data__": {"text": "fine"}, "__type__": "1"}, "bad": {"__data__": {"text": null}, "__type__": "1"},
            "odd": {"__type__": "9", "__data__": {}}, "none": 7, "last": {"__data__": {"text": "fine"}, "__type__": "1"}}}"#,
    );
    let streamed: Vec<bool> = block_on(store.stream().map(|node| node.is_ok()).collect());
    assert_eq!(streamed, [true, false, false, false, true]);
    let bad = block_on(store.get_document("bad")).unwrap_err();
    assert_eq!(bad.to_string(), "in collection 'docstore/data': node 'bad': field 'text' is null, expected a string");
    let odd = block_on(store.get_document("odd")).unwrap_err();
    assert_eq!(odd.to_string(), r#"in collection 'docstore/data': node 'odd': unknown type "9""#);
    let none = block_on(store.get_document("none")).unwrap_err();
    assert_eq!(
        none.to_string(),
        "in collection 'docstore/data': node 'none': field '__data__' is a number, expected in an object"
    );
    assert_eq!(block_on(store.get_nodes(&["last".into(), "absent".into()])).unwrap().iter().flatten().count(), 1);
}

#[test]
fn old_nodes_and_records_are_upgraded_when_asked() {
    let text = r#"{"docstore/data": {"n": {"__data__": {"text": "old", "doc_id": "n", "embedding": [1.0], "doc_hash": "h", "extra_info": {"k": 1},
            "node_info": {"start": 0, "end": 3}, "relationships": {"1": "D", "5": ["c"]}}, "__type__": "1"}, "odd": {"__type__": "9", "__data__": {}}},
        "docstore/ref_doc_info": {"D": {"doc_ids": ["n"], "extra_info": {"k": 1}}}, "docstore/metadata": {"n": {"doc_hash": "h", "ref_doc_id": "D"}}}"#;
    let store = load(text);
    let before = block_on(store.require_document("n")).unwrap();
    assert_eq!((before.embedding.clone(), before.children().unwrap().len()), (Some(vec![1.0]), 1));
    let upgraded = block_on(store.upgrade()).unwrap();
    assert_eq!((upgraded.nodes, upgraded.ref_docs, upgraded.unreadable.len()), (1, 1, 1));
    assert_eq!(block_on(store.require_document("n")).unwrap(), before);
    assert_eq!(info(&store, "D").unwrap(), r#"{"node_ids": ["n"], "metadata": {"k": 1}}"#);
    assert_eq!(block_on(store.get_document_hash("n")).unwrap().unwrap(), "h");
    let again = block_on(store.upgrade()).unwrap();
    assert_eq!((again.nodes, again.ref_docs), (0, 0));
}

#[test]
fn another_namespace_is_another_store_in_the_same_file() {
    let kv = SimpleKvStore::new();
    let team = KvDocumentStore::new(kv.clone()).with_namespace("team");
    block_on(team.add_documents(&[node("n", None, &[])])).unwrap();
    assert!(block_on(KvDocumentStore::new(kv).node_ids()).unwrap().is_empty());
    assert_eq!(team.nodes_collection(), "team/data");
}

/// A store in which another writer comes between reading and writing, some times.
#[derive(Debug)]
struct Contended {
    inner: SimpleKvStore,
    interruptions: AtomicUsize,
}

#[async_trait::async_trait]
impl KvStore for Contended {
    async fn get_many(&self, collection: &str, keys: &[PyString]) -> kv_core::Result<Vec<Option<raw_json::RawJson>>> {
        self.inner.get_many(collection, keys).await
    }

    fn scan<'a>(
        &'a self,
        collection: &'a str,
        page_size: usize,
    ) -> futures_core::stream::BoxStream<'a, kv_core::Result<kv_core::Page>> {
        self.inner.scan(collection, page_size)
    }

    async fn apply(&self, batch: kv_core::WriteBatch) -> kv_core::Result<kv_core::Applied> {
        let left = self.interruptions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        if let Ok(left) = left {
            let other = KvDocumentStore::new(self.inner.clone());
            other.add_documents(&[node(&format!("other-{left}"), Some("D"), &[])]).await.unwrap();
        }
        self.inner.apply(batch).await
    }

    fn atomicity(&self) -> kv_core::Atomicity {
        kv_core::Atomicity::Batch
    }
}

#[test]
fn two_writers_lose_nothing() {
    let inner = SimpleKvStore::new();
    let kv = Contended { inner: inner.clone(), interruptions: AtomicUsize::new(3) };
    let store = KvDocumentStore::from(Arc::new(kv) as Arc<dyn KvStore>);
    block_on(store.add_documents(&[node("mine", Some("D"), &[])])).unwrap();
    let listed = block_on(store.get_ref_doc_info("D")).unwrap().unwrap().node_ids;
    assert_eq!(listed, ["other-3", "other-2", "other-1", "mine"]);
    assert!(block_on(store.delete_document("mine")).unwrap());
    assert_eq!(block_on(store.get_ref_doc_info("D")).unwrap().unwrap().node_ids.len(), 3);

    let hopeless = Contended { inner, interruptions: AtomicUsize::new(usize::MAX) };
    let store = KvDocumentStore::from(Arc::new(hopeless) as Arc<dyn KvStore>);
    assert!(matches!(block_on(store.add_documents(&[node("mine", Some("D"), &[])])), Err(Error::Contended { .. })));
}

#[derive(Debug, Clone)]
enum Step {
    Add(Vec<(u8, Option<u8>)>),
    Delete(Vec<u8>),
    DeleteRefDoc(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop::collection::vec((0..8u8, prop::option::of(0..3u8)), 1..4).prop_map(Step::Add),
        1 => prop::collection::vec(0..8u8, 0..3).prop_map(Step::Delete),
        1 => (0..3u8).prop_map(Step::DeleteRefDoc),
    ]
}

#[test]
fn documents_are_replaced_together() {
    block_on(async {
        let store = KvDocumentStore::in_memory();
        let old = [node("a1", Some("a"), &[("k", 1)]), node("b1", Some("b"), &[]), node("c1", Some("c"), &[])];
        store.add_documents(&old).await.unwrap();
        let later: RawJson = r#"{"node_ids": ["a1"], "metadata": {"k": 1}, "later": 1}"#.parse().unwrap();
        store.kv().put("docstore/ref_doc_info", "a", later).await.unwrap();
        // The new version of `b` is one node under its own id.
        let new = [node("a2", Some("a"), &[("k", 2)]), node("b", Some("b"), &[])];
        let new = store.prepare(&new, AddOptions::default()).unwrap();
        store.add_prepared(&new).await.unwrap();
        let documents = ["a", "b"].map(|id| (id.into(), format!("hash of {id}")));
        let gone = ["a1", "b1", "c1", "never there"].map(PyString::from);
        let deleted = store.replace_ref_docs(&documents, &[&new], &gone, &HashSet::new()).await.unwrap();
        assert_eq!(deleted, Deleted { nodes: 3, ref_docs: 1 });
        assert_eq!(store.node_ids().await.unwrap(), ["a2", "b"]);
        let a = store.kv().get("docstore/ref_doc_info", "a").await.unwrap().unwrap();
        assert_eq!(a.as_str(), r#"{"node_ids": ["a2"], "metadata": {"k": 2}, "later": 1}"#);
        let all = store.get_all_ref_doc_info().await.unwrap();
        assert_eq!(all.keys().collect::<Vec<_>>(), ["a", "b"]);
        let hashes = store.get_all_document_hashes().await.unwrap();
        let of = |id: &str| hashes[id.as_bytes()].to_string();
        assert_eq!((of("a").as_str(), of("b").as_str(), hashes.len()), ("hash of a", "hash of b", 3));
        // Once it was a node, now it is a document alone.
        let new = store.prepare(&[node("b2", Some("b"), &[])], AddOptions::default()).unwrap();
        store.add_prepared(&new).await.unwrap();
        store.replace_ref_docs(&documents[1..], &[&new], &["b".into()], &HashSet::new()).await.unwrap();
        assert_eq!(store.node_ids().await.unwrap(), ["a2", "b2"]);
        let record = store.kv().get("docstore/metadata", "b").await.unwrap().unwrap();
        assert_eq!(record.as_str(), r#"{"doc_hash": "hash of b"}"#);
    });
}

proptest! {
    /// Against a plain map of nodes to documents: after every step each node is listed by its document and by no other.
    #[test]
    fn random_steps_agree_with_a_map(steps in prop::collection::vec(step(), 1..30)) {
        let store = KvDocumentStore::in_memory();
        let mut model: BTreeMap<String, Option<String>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Add(nodes) => {
                    // One call names a node once: what a call does with two versions of a node is the caller's doing.
                    let nodes: BTreeMap<String, Option<String>> =
                        nodes.into_iter().map(|(n, d)| (format!("n{n}"), d.map(|d| format!("d{d}")))).collect();
                    let made: Vec<Node> = nodes.iter().map(|(id, source)| node(id, source.as_deref(), &[])).collect();
                    block_on(store.add_documents(&made)).unwrap();
                    model.extend(nodes);
                }
                Step::Delete(ids) => {
                    let ids: Vec<String> = ids.into_iter().map(|n| format!("n{n}")).collect();
                    let expected = ids.iter().collect::<std::collections::BTreeSet<_>>().iter().filter(|id| model.contains_key(**id)).count();
                    let ids: Vec<PyString> = ids.iter().map(PyString::from).collect();
                    prop_assert_eq!(block_on(store.delete_documents(&ids)).unwrap().nodes, expected);
                    model.retain(|id, _| !ids.iter().any(|gone| *gone == id.as_str()));
                }
                Step::DeleteRefDoc(d) => {
                    let source = Some(format!("d{d}"));
                    let expected = model.values().filter(|s| **s == source).count();
                    prop_assert_eq!(block_on(store.delete_ref_doc(format!("d{d}"))).unwrap().nodes, expected);
                    model.retain(|_, s| *s != source);
                }
            }
            let mut stored: Vec<String> = block_on(store.node_ids()).unwrap().iter().map(ToString::to_string).collect();
            stored.sort();
            prop_assert_eq!(stored, model.keys().cloned().collect::<Vec<_>>());
            let mut listed: Vec<(String, String)> = Vec::new();
            for (d, info) in block_on(store.get_all_ref_doc_info()).unwrap() {
                listed.extend(info.node_ids.iter().map(|n| (n.to_string(), d.to_string())));
            }
            listed.sort();
            let expected: Vec<_> = model.iter().filter_map(|(n, d)| Some((n.clone(), d.clone()?))).collect();
            prop_assert_eq!(listed, expected);
            prop_assert_eq!(block_on(store.get_all_document_hashes()).unwrap().len(), model.len());
        }
    }
}
