//! What every [`VectorStore`] does, as functions to run against one.
//!
//! The store must be empty, take embeddings of 4 numbers, and compare by cosine or by anything that orders directions
//! alike. Numbers are such that 32 bits hold them exactly; ids look like UUIDs, since some databases take no others.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test suite fails by panicking")]

mod filters;

use std::sync::Arc;

use raw_json::PyString;
use schema::Node;

use crate::{Error, MetadataFilters, NodeSelection, VectorStore, VectorStoreQuery, VectorStoreQueryResult};

pub use filters::{
    TRUTH_TABLE, filters_choose_what_is_deleted, filters_do_what_the_table_says, filters_join_other_restrictions,
    groups_of_filters_combine,
};

/// Makes one test of each behaviour: `vector_store_behavior!(block_on, future that makes an empty store)`.
#[macro_export]
macro_rules! vector_store_behavior {
    ($block_on:path, $make:expr) => {
        $crate::vector_store_behavior!(@ $block_on, $make;
            what_is_added_is_there
            adding_again_replaces
            nodes_that_cannot_be_stored_change_nothing
            documents_are_deleted_with_all_their_nodes
            deleting_nodes_counts_what_was_there
            clearing_leaves_nothing
            the_nearest_come_first
            how_many_results
            node_ids_restrict
            doc_ids_restrict
            filters_do_what_the_table_says
            groups_of_filters_combine
            filters_join_other_restrictions
            filters_choose_what_is_deleted
            dissimilar_results_are_cut_off
            an_empty_store_answers
            queries_that_do_not_fit_are_refused);
    };
    (@ $block_on:path, $make:expr; $($case:ident)*) => {
        $(#[test]
        fn $case() {
            $block_on(async {
                let store: std::sync::Arc<dyn $crate::VectorStore> = std::sync::Arc::new($make.await);
                $crate::behavior::$case(store).await;
            });
        })*
    };
}

fn id(n: u32) -> PyString {
    format!("00000000-0000-4000-8000-{n:012}").into()
}

fn ids(numbers: &[u32]) -> Vec<PyString> {
    numbers.iter().map(|&n| id(n)).collect()
}

fn node(n: u32, embedding: [f64; 4]) -> Node {
    Node::text("text").with_id(id(n)).with_embedding(embedding)
}

/// Four nodes of which the first is nearest to [`NORTH`] and the last farthest; 1 and 2 are of document 101, 3 of 102,
/// 4 of none.
fn four() -> Vec<Node> {
    vec![
        node(1, [1.0, 0.25, 0.0, 0.0]).with_source(id(101)),
        node(2, [1.0, 0.5, 0.0, 0.0]).with_source(id(101)),
        node(3, [0.0, 1.0, 0.0, 0.0]).with_source(id(102)),
        node(4, [-1.0, 0.0, 0.0, 0.5]),
    ]
}

const NORTH: [f64; 4] = [1.0, 0.0, 0.0, 0.0];

async fn found(store: &dyn VectorStore, query: VectorStoreQuery) -> Vec<PyString> {
    let VectorStoreQueryResult { ids, similarities, .. } = store.query(&query).await.unwrap();
    assert_eq!(ids.len(), similarities.len());
    assert!(similarities.is_sorted_by(|a, b| a >= b), "{similarities:?}");
    ids
}

async fn all(store: &dyn VectorStore) -> Vec<PyString> {
    found(store, VectorStoreQuery::new(NORTH).with_top_k(0)).await
}

/// `add` returns the ids, and an embedding is found under its node's id.
pub async fn what_is_added_is_there(store: Arc<dyn VectorStore>) {
    assert_eq!(store.add(&four()).await.unwrap(), ids(&[1, 2, 3, 4]));
    assert_eq!(store.get(&id(2)).await.unwrap(), Some(vec![1.0, 0.5, 0.0, 0.0]));
    assert_eq!(store.get(&id(9)).await.unwrap(), None);
    assert!(matches!(store.count().await.unwrap(), None | Some(4)));
    assert!(store.add(&[]).await.unwrap().is_empty());
    assert_eq!(all(&*store).await.len(), 4);
}

/// A node that is added again, in the same call or later, is there once, as it was added last.
pub async fn adding_again_replaces(store: Arc<dyn VectorStore>) {
    store.add(&four()).await.unwrap();
    let again = [node(1, [0.0, 0.0, 1.0, 0.0]), node(1, [0.0, 0.0, 0.0, -1.0]).with_source(id(102))];
    assert_eq!(store.add(&again).await.unwrap(), ids(&[1, 1]));
    assert_eq!(store.get(&id(1)).await.unwrap(), Some(vec![0.0, 0.0, 0.0, -1.0]));
    assert_eq!(all(&*store).await.len(), 4);
    assert_eq!(store.delete(&id(102)).await.unwrap(), 2);
}

/// No embedding, a wrong length, `NaN` or an infinity: the call is refused as a whole.
pub async fn nodes_that_cannot_be_stored_change_nothing(store: Arc<dyn VectorStore>) {
    store.add(&four()[..1]).await.unwrap();
    let bad = [
        Node::text("text").with_id(id(9)),
        Node::text("text").with_id(id(9)).with_embedding([]),
        Node::text("text").with_id(id(9)).with_embedding([1.0, 2.0]),
        node(9, [1.0, f64::NAN, 0.0, 0.0]),
        node(9, [1.0, 0.0, 0.0, f64::INFINITY]),
    ];
    for bad in bad {
        let failed = store.add(&[node(1, [0.0, 0.0, 0.0, 1.0]), node(2, NORTH), bad]).await.unwrap_err();
        match &failed {
            Error::MissingEmbedding { id: named } | Error::Dimension { id: named, .. } => assert_eq!(*named, id(9)),
            Error::NotFinite { id: named, index, .. } => assert!(*named == id(9) && [1, 3].contains(index)),
            other => panic!("{other}"),
        }
    }
    assert_eq!(all(&*store).await, ids(&[1]));
    assert_eq!(store.get(&id(1)).await.unwrap(), Some(vec![1.0, 0.25, 0.0, 0.0]));
}

/// All nodes of a document go, and no others.
pub async fn documents_are_deleted_with_all_their_nodes(store: Arc<dyn VectorStore>) {
    store.add(&four()).await.unwrap();
    assert_eq!(store.delete(&id(101)).await.unwrap(), 2);
    assert_eq!(store.delete(&id(101)).await.unwrap(), 0);
    assert_eq!(store.get(&id(1)).await.unwrap(), None);
    assert_eq!(all(&*store).await, ids(&[3, 4]));
}

fn nodes(numbers: &[u32]) -> NodeSelection {
    NodeSelection::default().with_node_ids(ids(numbers))
}

/// Only what was there counts, each node once; an empty request deletes nothing.
pub async fn deleting_nodes_counts_what_was_there(store: Arc<dyn VectorStore>) {
    store.add(&four()).await.unwrap();
    for empty in
        [NodeSelection::default(), NodeSelection::default().with_filters(MetadataFilters::default()), nodes(&[])]
    {
        assert_eq!(store.delete_nodes(&empty).await.unwrap(), 0, "{empty:?}");
    }
    assert_eq!(store.delete_nodes(&nodes(&[2, 9, 2, 4])).await.unwrap(), 2);
    assert_eq!(all(&*store).await, ids(&[1, 3]));
}

/// A cleared store is an empty one and takes nodes again.
pub async fn clearing_leaves_nothing(store: Arc<dyn VectorStore>) {
    store.add(&four()).await.unwrap();
    store.clear().await.unwrap();
    assert!(all(&*store).await.is_empty());
    assert_eq!(store.get(&id(1)).await.unwrap(), None);
    store.add(&four()[..2]).await.unwrap();
    assert_eq!(all(&*store).await, ids(&[1, 2]));
}

/// Results are in the order of their similarity.
pub async fn the_nearest_come_first(store: Arc<dyn VectorStore>) {
    let mut nodes = four();
    nodes.reverse();
    store.add(&nodes).await.unwrap();
    assert_eq!(found(&*store, VectorStoreQuery::new(NORTH).with_top_k(3)).await, ids(&[1, 2, 3]));
    assert_eq!(found(&*store, VectorStoreQuery::new([-4.0, 1.0, 0.0, 0.0]).with_top_k(4)).await, ids(&[4, 3, 2, 1]));
}

/// One by default; `None` and 0 stand for all, a negative number for none, and more than there are for all there are.
pub async fn how_many_results(store: Arc<dyn VectorStore>) {
    store.add(&four()).await.unwrap();
    let north = || VectorStoreQuery::new(NORTH);
    assert_eq!(found(&*store, north()).await, ids(&[1]));
    for (top_k, expected) in [(None, 4), (Some(0), 4), (Some(-1), 0), (Some(2), 2), (Some(i64::MAX), 4)] {
        assert_eq!(found(&*store, north().with_top_k(top_k)).await.len(), expected, "{top_k:?}");
    }
}

/// Given node ids, only they are looked at; none of them if the list is empty.
pub async fn node_ids_restrict(store: Arc<dyn VectorStore>) {
    store.add(&four()).await.unwrap();
    let query = |nodes: &[u32]| VectorStoreQuery::new(NORTH).with_top_k(2).with_node_ids(ids(nodes));
    assert_eq!(found(&*store, query(&[4, 3, 2, 3, 9])).await, ids(&[2, 3]));
    assert!(found(&*store, query(&[9])).await.is_empty());
    assert!(found(&*store, query(&[])).await.is_empty());
}

/// Given documents, only their nodes are looked at; both restrictions hold together.
pub async fn doc_ids_restrict(store: Arc<dyn VectorStore>) {
    store.add(&four()).await.unwrap();
    let query = |docs: &[u32]| VectorStoreQuery::new(NORTH).with_top_k(0).with_doc_ids(ids(docs));
    assert_eq!(found(&*store, query(&[101])).await, ids(&[1, 2]));
    assert_eq!(found(&*store, query(&[102, 101, 109])).await, ids(&[1, 2, 3]));
    assert!(found(&*store, query(&[])).await.is_empty());
    assert_eq!(found(&*store, query(&[101]).with_node_ids(ids(&[2, 3]))).await, ids(&[2]));
}

/// Only what is at least as similar as asked for is found, however many are wanted.
pub async fn dissimilar_results_are_cut_off(store: Arc<dyn VectorStore>) {
    store.add(&four()).await.unwrap();
    let query = |cutoff: f64| VectorStoreQuery::new(NORTH).with_top_k(0).with_similarity_cutoff(cutoff);
    assert_eq!(found(&*store, query(0.9)).await, ids(&[1]));
    assert_eq!(found(&*store, query(0.5)).await, ids(&[1, 2]));
    assert!(found(&*store, query(2.0)).await.is_empty());
    let failed = store.query(&query(f64::NAN)).await.unwrap_err();
    assert!(matches!(failed, Error::QueryNumber { name: "similarity_cutoff", .. }), "{failed}");
}

/// Nothing to find is no error.
pub async fn an_empty_store_answers(store: Arc<dyn VectorStore>) {
    assert!(all(&*store).await.is_empty());
    assert_eq!(store.get(&id(1)).await.unwrap(), None);
    assert_eq!(store.delete(&id(101)).await.unwrap(), 0);
    assert_eq!(store.delete_nodes(&nodes(&[1])).await.unwrap(), 0);
    store.clear().await.unwrap();
}

/// A query of another length than the store's embeddings, and one without an embedding, are errors.
pub async fn queries_that_do_not_fit_are_refused(store: Arc<dyn VectorStore>) {
    store.add(&four()).await.unwrap();
    let failed = store.query(&VectorStoreQuery::new([1.0, 0.0])).await.unwrap_err();
    assert!(matches!(failed, Error::QueryDimension { stored: 4, query: 2, .. }), "{failed}");
    let failed = store.query(&VectorStoreQuery::default()).await.unwrap_err();
    assert!(matches!(failed, Error::MissingQueryEmbedding), "{failed}");
}
