//! Loading indexes of every kind, and what can be asked of each.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod ask;
mod change;
mod faults;
mod graph_faults;
mod graphs;
mod ingestion;
mod kinds;
mod knowledge_graph;
mod model;
mod models;
mod objects;
#[cfg(feature = "openai")]
mod openai;
mod property_graph;
mod query;
mod reading;
#[cfg(feature = "openai")]
mod server;
#[cfg(feature = "static-embeddings")]
mod static_embedder;
mod texts;
mod tree;

use indexstore::{DocumentSummary, IndexDict, IndexStruct, IndexStructData, KeywordTable};
use indices::{
    Error, Index, SummaryIndex, VectorStoreIndex, load_graph_from_storage, load_index_from_storage,
    load_indices_from_storage,
};
use persist::MemoryFs;
use pollster::block_on;
use raw_json::PyString;
use schema::Node;
use storage_context::StorageContext;

fn context(structs: &[IndexStruct]) -> StorageContext {
    let ctx = StorageContext::in_memory();
    let nodes = ["a", "b", "c"].map(|id| Node::text(id).with_id(id).with_source("doc"));
    block_on(ctx.docstore().add_documents(&nodes)).unwrap();
    for index_struct in structs {
        block_on(ctx.index_store().add_index_struct(index_struct)).unwrap();
    }
    ctx
}

fn list(id: &str, nodes: &[&str]) -> IndexStruct {
    IndexStruct::new(id, IndexStructData::List { nodes: nodes.iter().copied().map(PyString::from).collect() })
}

fn index_store(json: &str) -> StorageContext {
    let place = MemoryFs::new();
    place.put("docstore.json", "{}");
    place.put("index_store.json", json.to_owned());
    block_on(StorageContext::open(place)).unwrap()
}

/// The message of an error and those of all its causes.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn message<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn one_index_is_loaded_by_its_id_or_because_it_is_the_only_one() {
    let ctx = context(&[list("essays", &["b", "a", "b"])]);
    for id in [None, Some("essays")] {
        let index = block_on(load_index_from_storage(&ctx, id)).unwrap();
        assert_eq!((index.class_name(), index.index_id().to_string().as_str()), ("SummaryIndex", "essays"));
        let ids: Vec<String> = block_on(index.nodes()).unwrap().iter().map(|node| node.id.to_string()).collect();
        assert_eq!(ids, ["b", "a"]);
        assert_eq!(
            block_on(index.ref_doc_info()).unwrap().keys().map(ToString::to_string).collect::<Vec<_>>(),
            ["doc"]
        );
    }
}

#[test]
fn errors_list_the_ids_there_are() {
    let none = context(&[]);
    let one = block_on(load_index_from_storage(&none, None));
    assert_eq!(message(one), "there is no index in this storage context; check the place it was opened from");
    assert_eq!(message(block_on(load_index_from_storage(&none, Some("x")))), "index 'x' not found; there are: none");
    let two = context(&[list("x", &[]), list("y", &[])]);
    assert_eq!(
        message(block_on(load_index_from_storage(&two, None))),
        "there are 2 indexes here, name one of them: 'x', 'y'"
    );
    let missing = block_on(load_indices_from_storage(&two, Some(&["x", "z"])));
    assert_eq!(message(missing), "index 'z' not found; there are: 'x', 'y'");
    assert!(block_on(load_graph_from_storage(&two, "z")).unwrap_err().is_not_found());
}

#[test]
fn several_indexes_are_loaded_in_order() {
    let ctx = context(&[list("x", &[]), list("y", &[]), list("z", &[])]);
    let ids = |indices: Vec<Index>| indices.iter().map(|index| index.index_id().to_string()).collect::<Vec<_>>();
    assert_eq!(ids(block_on(load_indices_from_storage(&ctx, None)).unwrap()), ["x", "y", "z"]);
    assert_eq!(ids(block_on(load_indices_from_storage(&ctx, Some(&["z", "x", "z"]))).unwrap()), ["z", "x", "z"]);
    assert!(block_on(load_indices_from_storage(&ctx, Some(&[]))).unwrap().is_empty());
    let graph = block_on(load_graph_from_storage(&ctx, "y")).unwrap();
    assert_eq!((graph.root_index().class_name(), graph.all_indices().len()), ("SummaryIndex", 3));
    assert!(graph.get_index("x").is_some() && graph.get_index("w").is_none());
}

#[test]
fn every_kind_tells_its_nodes() {
    let table = |ids: &[&str]| [("k".into(), ids.iter().copied().map(PyString::from).collect())].into_iter().collect();
    let dict =
        IndexDict { nodes_dict: [("v1".into(), "a".into()), ("v2".into(), "c".into())].into(), ..IndexDict::default() };
    let summary = DocumentSummary {
        summary_id_to_node_ids: [("c".into(), vec!["a".into(), "b".into()])].into(),
        ..DocumentSummary::default()
    };
    for (data, class, nodes) in [
        (IndexStructData::VectorStore(dict.clone()), "VectorStoreIndex", &["a", "c"][..]),
        (IndexStructData::Multimodal(dict), "MultiModalVectorStoreIndex", &["a", "c"]),
        (IndexStructData::KeywordTable(KeywordTable { table: table(&["b", "a"]) }), "KeywordTableIndex", &["b", "a"]),
        (IndexStructData::DocumentSummary(summary), "DocumentSummaryIndex", &["c", "a", "b"]),
        (IndexStructData::Empty, "EmptyIndex", &[]),
        (IndexStructData::PropertyGraph, "PropertyGraphIndex", &[]),
        (IndexStructData::Pandas, "PandasIndex", &[]),
    ] {
        let ctx = context(&[IndexStruct::new("i", data)]);
        let index = block_on(load_index_from_storage(&ctx, Some("i"))).unwrap();
        assert_eq!(index.class_name(), class);
        let ids: Vec<String> = block_on(index.nodes()).unwrap().iter().map(|node| node.id.to_string()).collect();
        assert_eq!(ids, nodes, "{class}");
    }
}

#[test]
fn unknown_and_damaged_indexes_keep_no_other_from_loading() {
    let ctx = index_store(
        r#"{"index_store/data": {"odd": {"__type__": "composite", "__data__": "{}"}, "broken": {"__type__": "list", "__data__": "{"}, "good": {"__type__": "list", "__data__": "{}"}}}"#,
    );
    let all = block_on(load_indices_from_storage(&ctx, None)).unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!(message(block_on(all[0].nodes())), "the nodes of index 'odd' of the kind 'composite' are unknown");
    assert!(message(block_on(all[1].nodes())).contains("expected a key in double quotes at line 1 column 2"));
    assert!(block_on(all[2].nodes()).unwrap().is_empty());
}

#[test]
fn nodes_that_are_missing_are_told() {
    let ctx = context(&[list("x", &["a", "gone", "lost"])]);
    let index = block_on(load_index_from_storage(&ctx, None)).unwrap();
    assert_eq!(
        message(block_on(index.nodes())),
        "index 'x' names 2 nodes that are not in the document store, 'gone' first"
    );
}

#[test]
fn ids_and_summaries_change_here_and_in_the_store() {
    let ctx = context(&[list("x", &[]), list("y", &[])]);
    let index = block_on(load_index_from_storage(&ctx, Some("x"))).unwrap();
    block_on(index.set_summary("about x")).unwrap();
    block_on(index.set_index_id("z")).unwrap();
    assert_eq!(index.index_id(), "z");
    let stored = block_on(ctx.index_store().index_structs()).unwrap();
    assert_eq!(stored.iter().map(|s| s.index_id.to_string()).collect::<Vec<_>>(), ["y", "z"]);
    assert_eq!(stored[1].summary, Some("about x".into()));
    assert_eq!(
        message(block_on(index.set_index_id("y"))),
        "index 'y' is already in collection 'index_store/data'; choose another id or delete it first"
    );
    assert_eq!(index.index_id(), "z");
}

#[test]
fn an_index_is_of_one_type_only() {
    let ctx = context(&[list("x", &[])]);
    let index = block_on(load_index_from_storage(&ctx, None)).unwrap();
    assert!(SummaryIndex::try_from(index.clone()).is_ok());
    assert_eq!(message(VectorStoreIndex::try_from(index)), "index 'x' is a SummaryIndex, not a VectorStoreIndex");
}
