//! What every [`GraphStore`] and every [`PropertyGraphStore`] does, as functions to run against one.
//!
//! ```
//! # mod tests {
//! mod triplets {
//!     graphstore::graph_store_behavior!(pollster::block_on, async { graphstore::SimpleGraphStore::new() });
//! }
//! mod properties {
//!     graphstore::property_graph_store_behavior!(pollster::block_on, async {
//!         graphstore::SimplePropertyGraphStore::new()
//!     });
//! }
//! # }
//! ```
//!
//! The store must be empty. A property graph need not keep an order; the numbers of its embeddings are such that 32
//! bits hold them exactly, and properties are scalars or lists of strings, since some databases take no others.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test suite fails by panicking")]

use std::sync::Arc;

use raw_json::{Object, PyString, Value};
use schema::{MediaContent, MediaResource, Node, NodeContent};
use vectorstore::{MetadataError, VectorStoreQuery};

use crate::{
    Deleted, Error, GraphStore, LabelledNode, LabelledTriplet, NodeFilter, PropertyGraphStore, RelMap, RelMapOptions,
    Relation, SkippedNode, TRIPLET_SOURCE_KEY, Triplet, TripletFilter,
};

/// Makes one test of each behaviour: `graph_store_behavior!(block_on, future that makes an empty store)`.
#[macro_export]
macro_rules! graph_store_behavior {
    ($block_on:path, $make:expr) => {
        $crate::graph_store_behavior!(@ GraphStore, $block_on, $make;
            triplets_are_kept_in_order
            a_triplet_is_there_once
            many_triplets_are_added_in_order
            deleting_a_triplet_deletes_that_one
            a_subject_goes_with_its_last_triplet
            rel_maps_go_depth_first
            rel_maps_are_cut_at_the_limit
            rel_maps_of_cycles_end
            any_string_is_a_name
            triplets_are_counted_by_relation
            queries_are_answered_or_refused);
    };
    (@ $store:ident, $block_on:path, $make:expr; $($case:ident)*) => {
        $(#[test]
        fn $case() {
            $block_on(async {
                let store: std::sync::Arc<dyn $crate::$store> = std::sync::Arc::new($make.await);
                $crate::behavior::$case(store).await;
            });
        })*
    };
}

/// Makes one test of each behaviour: `property_graph_store_behavior!(block_on, future that makes an empty store)`.
#[macro_export]
macro_rules! property_graph_store_behavior {
    ($block_on:path, $make:expr) => {
        $crate::graph_store_behavior!(@ PropertyGraphStore, $block_on, $make;
            nodes_come_back_as_they_were
            a_node_replaces_the_one_with_its_id
            nodes_are_found_by_id_and_property
            relations_make_their_ends
            a_relation_replaces_the_one_between_its_ends
            ids_that_spell_alike_are_kept_apart
            triplets_are_found_by_everything
            rel_maps_go_level_by_level
            deleting_nodes_takes_their_triplets_and_no_neighbours
            deleting_relations_leaves_the_nodes
            deleting_triplets_takes_those_alone
            what_asks_for_nothing_deletes_nothing
            what_cannot_be_kept_changes_nothing
            llama_nodes_come_back
            no_ids_are_no_llama_nodes
            what_is_no_llama_node_is_told
            llama_nodes_are_deleted_with_what_came_from_them
            documents_are_deleted_with_their_chunks
            deleting_no_llama_nodes_deletes_nothing
            the_schema_tells_labels_properties_and_joints
            structured_queries_are_answered_or_refused
            vector_queries_are_answered_or_refused);
    };
}

fn strings(strings: &[&str]) -> Vec<PyString> {
    strings.iter().map(|string| PyString::from(*string)).collect()
}

async fn put(store: &dyn GraphStore, triplets: &[[&str; 3]]) {
    for [subj, rel, obj] in triplets {
        store.upsert_triplet(&(*subj).into(), &(*rel).into(), &(*obj).into()).await.unwrap();
    }
}

async fn pairs(store: &dyn GraphStore, subj: &str) -> String {
    let pairs = store.get(&subj.into()).await.unwrap();
    pairs.iter().map(|(rel, obj)| format!("{rel}-{obj}")).collect::<Vec<_>>().join(" ")
}

async fn rel_map(store: &dyn GraphStore, subjs: Option<&[&str]>, depth: usize, limit: usize) -> String {
    let subjs = subjs.map(strings);
    let found: RelMap = store.get_rel_map(subjs.as_deref(), depth, limit).await.unwrap();
    let line = |triplets: &[Triplet]| triplets.iter().map(short).collect::<Vec<_>>().join(" ");
    found.iter().map(|(subj, triplets)| format!("{subj}: {}", line(triplets))).collect::<Vec<_>>().join(", ")
}

fn short(triplet: &Triplet) -> String {
    format!("{}-{}-{}", triplet.subject, triplet.relation, triplet.object)
}

/// What stands under a subject is in the order of insertion; what is not there is empty.
pub async fn triplets_are_kept_in_order(store: Arc<dyn GraphStore>) {
    put(&*store, &[["a", "r", "z"], ["b", "r", "c"], ["a", "r", "y"], ["a", "q", "z"]]).await;
    assert_eq!(pairs(&*store, "a").await, "r-z r-y q-z");
    assert_eq!(pairs(&*store, "b").await, "r-c");
    assert_eq!(pairs(&*store, "c").await, "");
}

/// Adding a triplet again changes nothing, its place included.
pub async fn a_triplet_is_there_once(store: Arc<dyn GraphStore>) {
    put(&*store, &[["a", "r", "b"], ["a", "r", "c"], ["a", "r", "b"]]).await;
    assert_eq!(pairs(&*store, "a").await, "r-b r-c");
}

/// As one by one.
pub async fn many_triplets_are_added_in_order(store: Arc<dyn GraphStore>) {
    put(&*store, &[["a", "r", "b"]]).await;
    let many = [["a", "r", "c"], ["b", "r", "c"], ["a", "r", "b"], ["a", "q", "b"], ["a", "r", "c"]];
    store.upsert_triplets(&many.map(|[subj, rel, obj]| Triplet::new(subj, rel, obj))).await.unwrap();
    assert_eq!(rel_map(&*store, None, 1, 30).await, "a: a-r-b a-r-c a-q-b, b: b-r-c");
    store.upsert_triplets(&[]).await.unwrap();
}

/// A triplet is deleted once, and no other with it.
pub async fn deleting_a_triplet_deletes_that_one(store: Arc<dyn GraphStore>) {
    put(&*store, &[["a", "r", "b"], ["a", "r", "c"], ["b", "r", "a"]]).await;
    let [a, b, r, s] = ["a", "b", "r", "s"].map(PyString::from);
    assert!(!store.delete(&a, &s, &b).await.unwrap());
    assert!(!store.delete(&r, &a, &b).await.unwrap());
    assert!(store.delete(&a, &r, &b).await.unwrap());
    assert!(!store.delete(&a, &r, &b).await.unwrap());
    assert_eq!((pairs(&*store, "a").await, pairs(&*store, "b").await), ("r-c".to_owned(), "r-a".to_owned()));
}

/// No empty subjects are left, and one that comes again comes last.
pub async fn a_subject_goes_with_its_last_triplet(store: Arc<dyn GraphStore>) {
    put(&*store, &[["a", "r", "b"], ["b", "r", "c"]]).await;
    assert!(store.delete(&"a".into(), &"r".into(), &"b".into()).await.unwrap());
    assert_eq!(rel_map(&*store, None, 1, 30).await, "b: b-r-c");
    put(&*store, &[["a", "r", "b"]]).await;
    assert_eq!(rel_map(&*store, None, 1, 30).await, "b: b-r-c, a: a-r-b");
}

/// Each triplet is followed by those of its object, as deep as asked.
pub async fn rel_maps_go_depth_first(store: Arc<dyn GraphStore>) {
    put(&*store, &[["a", "r1", "b"], ["a", "r2", "c"], ["b", "r3", "d"], ["c", "r", "a"]]).await;
    assert_eq!(rel_map(&*store, Some(&["a"]), 2, 30).await, "a: a-r1-b b-r3-d a-r2-c c-r-a");
    assert_eq!(rel_map(&*store, Some(&["a"]), 1, 30).await, "a: a-r1-b a-r2-c");
    assert_eq!(rel_map(&*store, Some(&["a", "b"]), 0, 30).await, "a: , b: ");
    assert_eq!(rel_map(&*store, Some(&["b", "x", "b", "c"]), 1, 30).await, "b: b-r3-d, x: , c: c-r-a");
    assert_eq!(rel_map(&*store, Some(&[]), 2, 30).await, "");
}

/// The list that reaches the limit is cut, and the subjects behind it are left out.
pub async fn rel_maps_are_cut_at_the_limit(store: Arc<dyn GraphStore>) {
    put(&*store, &[["a", "r", "b"], ["a", "r", "c"], ["b", "r", "d"], ["c", "r", "d"]]).await;
    assert_eq!(rel_map(&*store, None, 1, 3).await, "a: a-r-b a-r-c, b: b-r-d, c: ");
    assert_eq!(rel_map(&*store, None, 1, 2).await, "a: a-r-b a-r-c, b: ");
    assert_eq!(rel_map(&*store, None, 2, 3).await, "a: a-r-b b-r-d a-r-c");
    assert_eq!(rel_map(&*store, None, 2, 0).await, "a: , b: , c: ");
}

/// Triplets repeat on a cycle, and the depth and the limit end it.
pub async fn rel_maps_of_cycles_end(store: Arc<dyn GraphStore>) {
    put(&*store, &[["a", "r", "b"], ["b", "r", "a"]]).await;
    assert_eq!(rel_map(&*store, Some(&["a"]), 3, 30).await, "a: a-r-b b-r-a a-r-b");
    let found = store.get_rel_map(None, 1000, 100).await.unwrap();
    assert_eq!(found[0].len(), 100);
}

/// Names may be empty and have any characters.
pub async fn any_string_is_a_name(store: Arc<dyn GraphStore>) {
    for name in ["", " ", "\"q\"", "line\nend", "é😀", "a_b", "'; DROP"] {
        let name = PyString::from(name);
        store.upsert_triplet(&name, &name, &name).await.unwrap();
        assert_eq!(store.get(&name).await.unwrap(), [(name.clone(), name.clone())]);
        assert!(store.delete(&name, &name, &name).await.unwrap());
    }
}

/// If the store has schemas.
pub async fn triplets_are_counted_by_relation(store: Arc<dyn GraphStore>) {
    put(&*store, &[["a", "s", "b"], ["a", "r", "b"], ["b", "s", "c"]]).await;
    match store.get_schema().await {
        Ok(schema) => {
            let found: Vec<_> = schema.relations.iter().map(|(label, count)| format!("{count} {label}")).collect();
            assert_eq!(found, ["2 s", "1 r"]);
            assert_eq!(schema.to_string(), "Relations:\n2 x s\n1 x r");
        }
        Err(Error::Unsupported { .. }) => {}
        Err(other) => panic!("{other}"),
    }
}

/// A store that has no language of its own says so.
pub async fn queries_are_answered_or_refused(store: Arc<dyn GraphStore>) {
    if let Err(Error::Unsupported { store, operation }) = store.query("?", &Object::new()).await {
        assert!(!store.is_empty() && !operation.is_empty());
    }
}

/// Entities a, b, c and d, with a and b of the property `p`; a-r-b, b-s-c with the property `w`, c-r-a and a-s-a.
async fn four(store: &dyn PropertyGraphStore) {
    let nodes = [
        LabelledNode::entity("a").with_label("A").with_property("p", 1),
        LabelledNode::entity("b").with_label("B").with_property("p", 2),
        LabelledNode::entity("c").with_label("B"),
        LabelledNode::entity("d"),
    ];
    store.upsert_nodes(nodes.to_vec()).await.unwrap();
    let relations = [
        Relation::new("r", "a", "b"),
        Relation::new("s", "b", "c").with_property("w", 1),
        Relation::new("r", "c", "a"),
        Relation::new("s", "a", "a"),
    ];
    store.upsert_relations(relations.to_vec()).await.unwrap();
}

fn all() -> TripletFilter {
    TripletFilter::default()
}

async fn ids(store: &dyn PropertyGraphStore, filter: NodeFilter) -> String {
    let mut ids: Vec<String> = store.get(&filter).await.unwrap().iter().map(|node| node.id().to_string()).collect();
    ids.sort();
    ids.join(" ")
}

fn sorted(triplets: &[LabelledTriplet]) -> String {
    let mut texts: Vec<String> = triplets.iter().map(|triplet| short(&triplet.triplet())).collect();
    texts.sort();
    texts.join(" ")
}

async fn triplets(store: &dyn PropertyGraphStore, filter: TripletFilter) -> String {
    sorted(&store.get_triplets(&filter).await.unwrap())
}

/// All nodes and triplets there are.
async fn everything(store: &dyn PropertyGraphStore) -> (String, String) {
    let nodes = store.get(&NodeFilter::default()).await.unwrap();
    let at = all().with_ids(nodes.iter().map(LabelledNode::id));
    let found = if nodes.is_empty() { String::new() } else { triplets(store, at).await };
    (ids(store, NodeFilter::default()).await, found)
}

/// Embeddings and properties exactly, each property with its type.
pub async fn nodes_come_back_as_they_were(store: Arc<dyn PropertyGraphStore>) {
    let nodes = [
        LabelledNode::entity("a \"quoted\" name")
            .with_label("PERSON")
            .with_embedding([0.5, -1.25, 0.0, 3.0])
            .with_property("int", 1)
            .with_property("large", i64::MAX)
            .with_property("float", 1.0)
            .with_property("bool", true)
            .with_property("text", "é\n😀")
            .with_property("list", vec!["x", "y"]),
        LabelledNode::chunk("c", "a text").with_embedding([1.0, 2.0, 4.0, 8.0]),
        LabelledNode::entity(""),
    ];
    store.upsert_nodes(nodes.to_vec()).await.unwrap();
    for node in nodes {
        let filter = NodeFilter::default().with_ids([node.id()]);
        assert_eq!(store.get(&filter).await.unwrap(), [node]);
    }
    assert_eq!(ids(&*store, NodeFilter::default().with_property("int", 1)).await, "a  quoted  name");
}

/// Nothing of the old node is left, its kind included, and its triplets stay.
pub async fn a_node_replaces_the_one_with_its_id(store: Arc<dyn PropertyGraphStore>) {
    four(&*store).await;
    let again = [LabelledNode::entity("a").with_property("q", 2), LabelledNode::chunk("b", "text")];
    store.upsert_nodes(again.to_vec()).await.unwrap();
    for node in again {
        assert_eq!(store.get(&NodeFilter::default().with_ids([node.id()])).await.unwrap(), [node]);
    }
    assert_eq!(everything(&*store).await, ("a b c d".to_owned(), "a-r-b a-s-a b-s-c c-r-a".to_owned()));
}

/// Any of the properties, and one of the ids; a property that is missing equals `null`.
pub async fn nodes_are_found_by_id_and_property(store: Arc<dyn PropertyGraphStore>) {
    four(&*store).await;
    let filter = NodeFilter::default;
    assert_eq!(ids(&*store, filter()).await, "a b c d");
    assert_eq!(ids(&*store, filter().with_ids(["b", "nobody", "d", "b"])).await, "b d");
    assert_eq!(ids(&*store, filter().with_property("p", 1)).await, "a");
    assert_eq!(ids(&*store, filter().with_property("p", 2).with_property("x", 1)).await, "b");
    assert_eq!(ids(&*store, filter().with_property("p", Value::Null)).await, "c d");
    assert_eq!(ids(&*store, filter().with_property("p", 1).with_ids(["b"])).await, "");
}

/// Ends that are not there become entities, and those that are there stay what they are.
pub async fn relations_make_their_ends(store: Arc<dyn PropertyGraphStore>) {
    store.upsert_nodes(vec![LabelledNode::chunk("c", "text")]).await.unwrap();
    store.upsert_relations(vec![Relation::new("r", "c", "new"), Relation::new("r", "say \"x\"", "c")]).await.unwrap();
    let found = store.get_triplets(&all().with_ids(["c"])).await.unwrap();
    assert_eq!(sorted(&found), "c-r-new say  x -r-c");
    let nodes = store.get(&NodeFilter::default()).await.unwrap();
    let names: Vec<_> = nodes.iter().filter_map(LabelledNode::name).collect();
    assert!(nodes.len() == 3 && names.len() == 2 && names.contains(&&"new".into()), "{names:?}");
}

/// A relation is there once, with the properties it was added with last.
pub async fn a_relation_replaces_the_one_between_its_ends(store: Arc<dyn PropertyGraphStore>) {
    let relation = |n: i64| Relation::new("r", "a", "b").with_property("n", n);
    store.upsert_relations(vec![relation(1), relation(2)]).await.unwrap();
    store.upsert_relations(vec![Relation::new("r", "b", "a"), relation(3)]).await.unwrap();
    let found = store.get_triplets(&all().with_property("n", 3)).await.unwrap();
    assert_eq!((sorted(&found).as_str(), &found[0].relation), ("a-r-b", &relation(3)));
    assert_eq!(triplets(&*store, all().with_ids(["a"])).await, "a-r-b b-r-a");
}

/// `a_b`, `c`, `d` and `a`, `b_c`, `d` are two relations, which LlamaIndex keeps under one key.
pub async fn ids_that_spell_alike_are_kept_apart(store: Arc<dyn PropertyGraphStore>) {
    let relations = [Relation::new("c", "a_b", "d").with_property("n", 1), Relation::new("b_c", "a", "d")];
    store.upsert_relations(relations.to_vec()).await.unwrap();
    for relation in &relations {
        let found = store.get_triplets(&all().with_ids([&relation.source_id])).await.unwrap();
        assert_eq!(found.iter().map(|triplet| &triplet.relation).collect::<Vec<_>>(), [relation]);
    }
    assert_eq!(store.delete(&all().with_ids(["a_b"])).await.unwrap().relations, 1);
    assert_eq!(triplets(&*store, all().with_ids(["d"])).await, "a-b_c-d");
}

/// By ends, labels and properties, which all must hold; a filter that asks for nothing finds nothing.
pub async fn triplets_are_found_by_everything(store: Arc<dyn PropertyGraphStore>) {
    four(&*store).await;
    let check = async |filter: TripletFilter, expected: &str| {
        assert_eq!(triplets(&*store, filter.clone()).await, expected, "{filter:?}");
    };
    check(all(), "").await;
    check(all().with_ids(["b"]), "a-r-b b-s-c").await;
    check(all().with_ids(["nobody"]), "").await;
    check(all().with_entity_names(["c"]), "b-s-c c-r-a").await;
    check(all().with_ids(["b"]).with_entity_names(["c"]), "b-s-c").await;
    check(all().with_relation_names(["s"]), "a-s-a b-s-c").await;
    check(all().with_relation_names(["r"]).with_ids(["c"]), "c-r-a").await;
    check(all().with_property("w", 1), "b-s-c").await;
    check(all().with_property("p", 1), "a-r-b a-s-a c-r-a").await;
    check(all().with_property("p", 1).with_ids(["b"]), "a-r-b").await;
}

/// The triplets at the nodes, then those at their objects, those at the nodes once more; and what is to be ignored is
/// followed and left out.
pub async fn rel_maps_go_level_by_level(store: Arc<dyn PropertyGraphStore>) {
    let relations = [["a", "r", "b"], ["b", "s", "c"], ["c", "r", "d"], ["x", "r", "y"]];
    let relations = relations.map(|[source, label, target]| Relation::new(label, source, target));
    store.upsert_relations(relations.to_vec()).await.unwrap();
    let check = async |from: &[&str], options: RelMapOptions, expected: &str| {
        let found = store.get_rel_map(&strings(from), &options).await.unwrap();
        assert_eq!(sorted(&found), expected, "{options:?}");
    };
    let depth = |depth| RelMapOptions::default().with_depth(depth);
    check(&["a"], depth(0), "").await;
    check(&["a"], depth(1), "a-r-b").await;
    check(&["a"], depth(2), "a-r-b a-r-b b-s-c").await;
    check(&["a"], depth(9), "a-r-b a-r-b b-s-c c-r-d").await;
    check(&["a"], depth(3).with_ignore_rels(["r"]), "b-s-c").await;
    check(&["a", "x"], depth(1), "a-r-b x-r-y").await;
    check(&[], depth(2), "").await;
    let cut = store.get_rel_map(&strings(&["a"]), &depth(3).with_limit(2)).await.unwrap();
    assert_eq!(cut.len(), 2);
}

/// The nodes that are named go, with what is incident, and nothing dangles.
pub async fn deleting_nodes_takes_their_triplets_and_no_neighbours(store: Arc<dyn PropertyGraphStore>) {
    four(&*store).await;
    let deleted = store.delete(&all().with_ids(["a", "nobody"])).await.unwrap();
    assert_eq!(deleted, Deleted { nodes: 1, triplets: 3, relations: 3 });
    assert_eq!(everything(&*store).await, ("b c d".to_owned(), "b-s-c".to_owned()));
    let deleted = store.delete(&all().with_entity_names(["b"])).await.unwrap();
    assert_eq!(deleted, Deleted { nodes: 1, triplets: 1, relations: 1 });
    assert_eq!(everything(&*store).await, ("c d".to_owned(), String::new()));
}

/// A filter that names relations is about single triplets.
pub async fn deleting_relations_leaves_the_nodes(store: Arc<dyn PropertyGraphStore>) {
    four(&*store).await;
    let deleted = store.delete(&all().with_relation_names(["r"]).with_ids(["b"])).await.unwrap();
    assert_eq!(deleted, Deleted { nodes: 0, triplets: 1, relations: 1 });
    assert_eq!(everything(&*store).await, ("a b c d".to_owned(), "a-s-a b-s-c c-r-a".to_owned()));
}

/// Not those between the same ends the other way round, nor those with other labels, and no nodes.
pub async fn deleting_triplets_takes_those_alone(store: Arc<dyn PropertyGraphStore>) {
    four(&*store).await;
    let more = [Relation::new("r", "b", "a").with_property("n", 1), Relation::new("s", "a", "b")];
    store.upsert_relations(more.to_vec()).await.unwrap();
    let doomed = [Triplet::new("a", "r", "b"), Triplet::new("a", "s", "a"), Triplet::new("a", "r", "nobody")];
    let deleted = store.delete_triplets(&doomed).await.unwrap();
    assert_eq!(deleted, Deleted { nodes: 0, triplets: 2, relations: 2 });
    assert_eq!(everything(&*store).await, ("a b c d".to_owned(), "a-s-b b-r-a b-s-c c-r-a".to_owned()));
    let kept = store.get_triplets(&all().with_property("n", 1)).await.unwrap();
    assert_eq!(sorted(&kept), "b-r-a");
    assert_eq!(store.delete_triplets(&doomed).await.unwrap(), Deleted::default());
    assert_eq!(store.delete_triplets(&[]).await.unwrap(), Deleted::default());
}

/// LlamaIndex deletes everything.
pub async fn what_asks_for_nothing_deletes_nothing(store: Arc<dyn PropertyGraphStore>) {
    four(&*store).await;
    for filter in [all(), all().with_ids(["nobody"]), all().with_entity_names(["nobody"]), all().with_property("p", 9)]
    {
        assert_eq!(store.delete(&filter).await.unwrap(), Deleted::default(), "{filter:?}");
    }
    assert_eq!(everything(&*store).await, ("a b c d".to_owned(), "a-r-b a-s-a b-s-c c-r-a".to_owned()));
}

/// A call with one bad node or relation is refused as a whole.
pub async fn what_cannot_be_kept_changes_nothing(store: Arc<dyn PropertyGraphStore>) {
    let good = LabelledNode::entity("good");
    let bad = [
        LabelledNode::entity("bad").with_embedding([1.0, f64::NAN]),
        LabelledNode::entity("bad").with_property("p", f64::INFINITY),
    ];
    for bad in bad {
        let failed = store.upsert_nodes(vec![good.clone(), bad]).await.unwrap_err();
        assert!(matches!(failed, Error::NotFinite { .. }), "{failed}");
    }
    let bad = Relation::new("r", "a", "b").with_property("p", f64::NAN);
    let failed = store.upsert_relations(vec![Relation::new("r", "c", "d"), bad]).await.unwrap_err();
    assert!(matches!(failed, Error::NotFinite { .. }), "{failed}");
    assert_eq!(everything(&*store).await, (String::new(), String::new()));
}

/// Chunks of the documents `doc` and `other`, a chunk of none, and what was extracted from the first.
async fn chunks(store: &dyn PropertyGraphStore) -> Vec<Node> {
    let chunk = |id: &str| Node::text(format!("text of {id}")).with_id(id).with_metadata("author", "Ada");
    let nodes = vec![chunk("n1").with_source("doc"), chunk("n2").with_source("other"), chunk("n3")];
    store.upsert_llama_nodes(&nodes).await.unwrap();
    store.upsert_nodes(vec![LabelledNode::entity("Engine").with_property(TRIPLET_SOURCE_KEY, "n1")]).await.unwrap();
    let relations = [
        Relation::new("MENTIONS", "n1", "Engine"),
        Relation::new("NEXT", "n1", "n2"),
        Relation::new("NEXT", "n2", "n3"),
        Relation::new("BUILT", "Charles", "Engine"),
    ];
    store.upsert_relations(relations.to_vec()).await.unwrap();
    nodes
}

/// Nodes of all classes are chunks with their texts, found by their documents, and come back.
pub async fn llama_nodes_come_back(store: Arc<dyn PropertyGraphStore>) {
    let picture = MediaResource { url: Some("http://e.org/x.png".into()), ..MediaResource::default() };
    let picture = MediaContent {
        text_resource: Some(MediaResource::text("caption")),
        image_resource: Some(picture),
        ..MediaContent::default()
    };
    let nodes = [
        Node::text("a text").with_id("n1").with_metadata("k", "v").with_source("doc"),
        Node::index("points there", "index").with_id("n2"),
        Node::new(NodeContent::Multimodal(picture)).with_id("n3"),
    ];
    let embedded: Vec<Node> = nodes.iter().map(|node| node.clone().with_embedding([0.5, 1.0, -2.0, 4.0])).collect();
    store.upsert_llama_nodes(&embedded).await.unwrap();
    assert_eq!(ids(&*store, NodeFilter::default().with_property("ref_doc_id", "doc")).await, "n1");
    let chunk = store.get(&NodeFilter::default().with_ids(["n1"])).await.unwrap().remove(0);
    assert_eq!((chunk.text(), chunk.embedding.as_deref()), (Some(&"a text".into()), Some(&[0.5, 1.0, -2.0, 4.0][..])));
    for node in &nodes {
        let found = store.get_llama_nodes(std::slice::from_ref(&node.id)).await.unwrap();
        assert_eq!(found.complete().unwrap(), std::slice::from_ref(node));
    }
    let found = store.get_llama_nodes(&strings(&["n3", "nobody", "n1", "n3"])).await.unwrap();
    assert_eq!((found.nodes.len(), found.skipped.len()), (2, 0));
}

/// LlamaIndex takes all nodes.
pub async fn no_ids_are_no_llama_nodes(store: Arc<dyn PropertyGraphStore>) {
    chunks(&*store).await;
    assert_eq!(store.get_llama_nodes(&[]).await.unwrap().complete().unwrap(), []);
    store.upsert_llama_nodes(&[]).await.unwrap();
}

/// LlamaIndex drops it without a word.
pub async fn what_is_no_llama_node_is_told(store: Arc<dyn PropertyGraphStore>) {
    chunks(&*store).await;
    store.upsert_nodes(vec![LabelledNode::chunk("bare", "text")]).await.unwrap();
    let found = store.get_llama_nodes(&strings(&["Engine", "n1", "bare", "nobody"])).await.unwrap();
    assert!(found.nodes.len() == 1 && found.nodes[0].id == "n1");
    let mut skipped = found.skipped.clone();
    skipped.sort_by_key(|skipped| skipped.id.to_string());
    let expected = ["Engine", "bare"].map(|id| {
        let id = PyString::from(id);
        SkippedNode { reason: MetadataError::NoContent { id: id.clone() }, id }
    });
    assert_eq!(skipped, expected);
    assert!(matches!(found.complete(), Err(Error::Metadata(MetadataError::NoContent { .. }))));
}

/// The chunk and what was extracted from it, with what is incident; neighbours stay.
pub async fn llama_nodes_are_deleted_with_what_came_from_them(store: Arc<dyn PropertyGraphStore>) {
    chunks(&*store).await;
    let deleted = store.delete_llama_nodes(&strings(&["n1", "nobody", "n1"]), &[]).await.unwrap();
    assert_eq!(deleted, Deleted { nodes: 2, triplets: 3, relations: 3 });
    assert_eq!(everything(&*store).await, ("Charles n2 n3".to_owned(), "n2-NEXT-n3".to_owned()));
}

/// The chunks of a document and a node that stands for it, but not what was extracted from the chunks.
pub async fn documents_are_deleted_with_their_chunks(store: Arc<dyn PropertyGraphStore>) {
    chunks(&*store).await;
    store.upsert_relations(vec![Relation::new("SOURCE", "n2", "other")]).await.unwrap();
    let deleted = store.delete_llama_nodes(&[], &strings(&["other", "doc"])).await.unwrap();
    assert_eq!(deleted, Deleted { nodes: 3, triplets: 4, relations: 4 });
    assert_eq!(everything(&*store).await, ("Charles Engine n3".to_owned(), "Charles-BUILT-Engine".to_owned()));
}

/// LlamaIndex deletes everything.
pub async fn deleting_no_llama_nodes_deletes_nothing(store: Arc<dyn PropertyGraphStore>) {
    chunks(&*store).await;
    let before = everything(&*store).await;
    let none = strings(&["nobody", "text of n1", "Ada"]);
    for (nodes, documents) in [(&[][..], &[][..]), (&none, &[]), (&[], &none), (&none, &none)] {
        assert_eq!(store.delete_llama_nodes(nodes, documents).await.unwrap(), Deleted::default());
    }
    assert_eq!(everything(&*store).await, before);
}

/// If the store has schemas.
pub async fn the_schema_tells_labels_properties_and_joints(store: Arc<dyn PropertyGraphStore>) {
    four(&*store).await;
    let schema = match store.get_schema().await {
        Ok(schema) => schema,
        Err(Error::Unsupported { .. }) => return,
        Err(other) => panic!("{other}"),
    };
    let mut lines: Vec<String> = schema.to_string().lines().map(str::to_owned).collect();
    lines.sort();
    let expected = [
        "1 x (A)-[r]->(B)",
        "1 x (A)-[s]->(A)",
        "1 x (B)-[r]->(A)",
        "1 x (B)-[s]->(B)",
        "1 x A {p: INTEGER}",
        "1 x entity {}",
        "2 x B {p: INTEGER}",
        "2 x r {}",
        "2 x s {w: INTEGER}",
        "Nodes:",
        "Relations:",
        "Relationships:",
    ];
    assert_eq!(lines, expected);
}

/// A store that has no language of its own says so.
pub async fn structured_queries_are_answered_or_refused(store: Arc<dyn PropertyGraphStore>) {
    let answer = store.structured_query("?", &Object::new()).await;
    assert_eq!(store.supports_structured_queries(), !matches!(answer, Err(Error::Unsupported { .. })));
}

/// If the store compares embeddings, the nearest come first.
pub async fn vector_queries_are_answered_or_refused(store: Arc<dyn PropertyGraphStore>) {
    let node = |id: &str, embedding: [f64; 4]| LabelledNode::entity(id).with_embedding(embedding);
    let nodes = [node("far", [-1.0, 0.0, 0.0, 0.5]), node("near", [1.0, 0.25, 0.0, 0.0])];
    store.upsert_nodes(nodes.to_vec()).await.unwrap();
    let query = VectorStoreQuery::new([1.0, 0.0, 0.0, 0.0]).with_top_k(2);
    match store.vector_query(&query).await {
        Ok(found) => {
            let found: Vec<_> = found.iter().map(|(node, score)| (node.id().to_string(), *score)).collect();
            assert!(store.supports_vector_queries() && found[0].0 == "near" && found[1].0 == "far", "{found:?}");
            assert!(found[0].1 >= found[1].1, "{found:?}");
        }
        Err(Error::Unsupported { .. }) => assert!(!store.supports_vector_queries()),
        Err(other) => panic!("{other}"),
    }
}
