//! Building, changing and dropping indexes.

use std::sync::Arc;

use docstore::KvDocumentStore;
use indexstore::KvIndexStore;
use indices::{
    DeleteOptions, Deleted, DocstoreDelete, EmptyIndex, Error, ModelError, QueryBundle, RetrieverExt, SummaryIndex,
    Transformation, VectorStoreIndex, WholeDocuments, load_index_from_storage,
};
use kv_core::{KvStoreExt, SimpleKvStore};
use persist::MemoryFs;
use pollster::block_on;
use raw_json::{PyString, RawJson, Value};
use schema::Node;
use storage_context::StorageContext;

use crate::models::{self, TestEmbedder};
use crate::tree::Words;

fn document(id: &str, text: &str) -> Node {
    Node::document(text).with_id(id).with_metadata("title", id)
}

fn essays() -> Vec<Node> {
    vec![
        document("stores", "The colca is a storehouse on the slope."),
        document("llamas", "Llamas carry maize over the pass."),
        document("cords", "Knots in cords count the sacks."),
    ]
}

async fn vectors(ctx: &StorageContext, id: &str) -> VectorStoreIndex {
    let builder = VectorStoreIndex::builder(ctx).id(id).embedder(TestEmbedder::new("m", 64));
    builder.from_documents(essays()).await.unwrap()
}

async fn texts(index: &VectorStoreIndex, query: &str, top_k: i64) -> Vec<String> {
    let found = index.as_retriever().top_k(top_k).retrieve(query).await.unwrap();
    found.iter().map(|found| found.node.text_content().to_string()).collect()
}

async fn rows(ctx: &StorageContext) -> usize {
    ctx.vector_store().unwrap().count().await.unwrap().unwrap()
}

#[test]
fn what_was_built_is_persisted_loaded_and_asked_without_embedding_it_again() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let embedder = TestEmbedder::new("m", 64);
        let builder = VectorStoreIndex::builder(&ctx).id("essays").summary("of storage").embedder(embedder.clone());
        let index = builder.from_documents(essays()).await.unwrap();
        assert_eq!(embedder.texts(), 4, "three nodes and the sentence that is remembered");
        let before = index.as_retriever().retrieve("Where do they store maize?").await.unwrap();
        let place = MemoryFs::new();
        ctx.persist(place.clone()).await.unwrap();

        let again = TestEmbedder::new("m", 64);
        let ctx = StorageContext::open(place).await.unwrap();
        let index = load_index_from_storage(&ctx, None).await.unwrap();
        assert_eq!((index.index_id(), index.summary()), ("essays".into(), Some("of storage".into())));
        let after = index.retriever(again.clone()).top_k(2).retrieve("Where do they store maize?").await.unwrap();
        assert_eq!(after, before);
        assert_eq!(again.texts(), 1);
        assert_eq!(index.ref_doc_info().await.unwrap().len(), 3);
    });
}

#[test]
fn an_id_that_is_taken_is_refused() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        vectors(&ctx, "x").await;
        let again = SummaryIndex::builder(&ctx).id("x").from_nodes(vec![Node::text("n").with_id("n")]).await;
        assert!(again.unwrap_err().to_string().contains("already"));
        assert!(!ctx.docstore().document_exists("n").await.unwrap());
    });
}

#[test]
fn deleting_spares_what_others_need() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = vectors(&ctx, "v").await;
        let list = SummaryIndex::builder(&ctx).id("l").from_nodes(index.nodes().await.unwrap()).await.unwrap();
        let deleted = index.delete_ref_doc("llamas").await.unwrap();
        assert_eq!(deleted, Deleted { entries: 1, vectors: 1, nodes: 0, ref_docs: 0 });
        assert_eq!(list.as_retriever().retrieve("").await.unwrap().len(), 3);
        assert_eq!(texts(&index, "llamas", 5).await.len(), 2);
        assert_eq!(index.delete_ref_doc("llamas").await.unwrap(), Deleted::default());

        let deleted = list.delete_ref_doc("llamas").await.unwrap();
        assert_eq!(deleted, Deleted { entries: 1, vectors: 0, nodes: 1, ref_docs: 1 });
        assert_eq!(ctx.docstore().get_document_hash("llamas").await.unwrap(), None);
        assert_eq!(list.delete_ref_doc("unknown").await.unwrap(), Deleted::default());
    });
}

#[test]
fn llama_index_s_two_ways_of_deleting_are_there() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = vectors(&ctx, "v").await;
        let ids: Vec<PyString> = index.node_ids().await.unwrap().into_iter().collect();
        let keep = DeleteOptions::docstore(DocstoreDelete::Keep);
        let deleted = index.delete_nodes_with(&ids[..1], keep).await.unwrap();
        assert_eq!(deleted, Deleted { entries: 1, vectors: 1, ..Deleted::default() });
        assert!(ctx.docstore().document_exists(&ids[0]).await.unwrap());

        SummaryIndex::builder(&ctx).from_nodes(index.nodes().await.unwrap()).await.unwrap();
        let always = DeleteOptions::docstore(DocstoreDelete::Always);
        let deleted = index.delete_nodes_with(&ids[1..2], always).await.unwrap();
        assert_eq!(deleted, Deleted { entries: 1, vectors: 1, nodes: 1, ref_docs: 1 });
    });
}

#[test]
fn a_struct_that_cannot_be_read_needs_everything() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = vectors(&ctx, "v").await;
        let unknown: raw_json::RawJson = r#"{"__type__": "composite", "__data__": "{}"}"#.parse().unwrap();
        let kv = ctx.index_store().kv();
        kv_core::KvStoreExt::put(&**kv, ctx.index_store().collection(), "u", unknown).await.unwrap();
        let deleted = index.delete_ref_doc("cords").await.unwrap();
        assert_eq!(deleted, Deleted { entries: 1, ..Deleted::default() });
        assert_eq!(rows(&ctx).await, 3);
        assert_eq!(texts(&index, "cords", 5).await.len(), 2, "what stays in the store is not found");
    });
}

#[test]
fn an_update_leaves_nothing_of_the_old_version() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = vectors(&ctx, "v").await;
        let old = ctx.docstore().get_ref_doc_info("cords").await.unwrap().unwrap().node_ids;
        let new = document("cords", "Nobody reads knots any more.").with_metadata("title", "Knots");
        let deleted = index.update_ref_doc(new.clone()).await.unwrap();
        assert_eq!(deleted, Deleted { entries: 1, vectors: 1, nodes: 1, ref_docs: 0 });
        let info = ctx.docstore().get_ref_doc_info("cords").await.unwrap().unwrap();
        assert_eq!((info.node_ids.len(), info.metadata), (1, new.metadata.clone()));
        assert!(!ctx.docstore().document_exists(&old[0]).await.unwrap());
        assert_eq!(rows(&ctx).await, 3);
        assert_eq!(texts(&index, "knots", 1).await, ["Nobody reads knots any more."]);
        let hash = ctx.docstore().get_document_hash("cords").await.unwrap().unwrap();
        assert_eq!(hash, new.hash().unwrap().as_str());
    });
}

/// As in LlamaIndex, where what is deleted and added again comes last.
#[test]
fn an_updated_document_comes_last_if_there_were_nodes_of_it() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = SummaryIndex::builder(&ctx).from_documents(essays()).await.unwrap();
        ctx.docstore().set_document_hash("birds", "known by its hash alone").await.unwrap();
        index.update_ref_doc(document("birds", "The condor sees it all.")).await.unwrap();
        index.update_ref_doc(document("stores", "Colcas stand on slopes.")).await.unwrap();
        let hashes = ctx.docstore().get_all_document_hashes().await.unwrap();
        let named: Vec<String> = hashes.keys().map(ToString::to_string).filter(|id| id.len() < 36).collect();
        assert_eq!(named, ["llamas", "cords", "birds", "stores"]);
    });
}

#[test]
fn each_index_knows_what_is_fresh_for_it() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let (a, b) = (vectors(&ctx, "a").await, vectors(&ctx, "b").await);
        let mut documents = essays();
        documents[1] = document("llamas", "Llamas rest in the valley.");
        documents.push(document("birds", "The condor sees it all."));
        for index in [&a, &b] {
            assert_eq!(index.refresh_ref_docs(documents.clone()).await.unwrap(), [false, true, false, true]);
            assert_eq!(index.refresh_ref_docs(documents.clone()).await.unwrap(), [false; 4]);
            assert_eq!(texts(index, "llamas rest", 1).await, ["Llamas rest in the valley."]);
            assert_eq!(index.node_ids().await.unwrap().len(), 4);
        }
        assert_eq!(rows(&ctx).await, 8);
        assert_eq!(ctx.docstore().node_ids().await.unwrap().len(), 8);
        let twice = vec![document("new", "one"), document("new", "one"), document("new", "two")];
        assert_eq!(a.refresh_ref_docs(twice).await.unwrap(), [true, false, true]);
        assert_eq!(ctx.docstore().get_ref_doc_info("new").await.unwrap().unwrap().node_ids.len(), 1);
    });
}

#[test]
fn dropping_takes_all_that_only_this_index_used() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let (a, b) = (vectors(&ctx, "a").await, vectors(&ctx, "b").await);
        let deleted = a.drop_index().await.unwrap();
        assert_eq!(deleted, Deleted { entries: 3, vectors: 3, nodes: 3, ref_docs: 0 });
        assert_eq!(a.drop_index().await.unwrap().vectors, 0);
        assert_eq!(texts(&b, "llamas", 1).await, ["Llamas carry maize over the pass."]);
        b.drop_index().await.unwrap();
        assert_eq!((rows(&ctx).await, ctx.docstore().node_ids().await.unwrap().len()), (0, 0));
        assert!(ctx.docstore().get_all_document_hashes().await.unwrap().is_empty());
        assert!(ctx.index_store().index_structs().await.unwrap().is_empty());
        assert_eq!(ctx.index_store().embedding_identity("a").await.unwrap(), None);
    });
}

#[test]
fn another_model_is_noticed() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = vectors(&ctx, "v").await;
        assert!(index.verify_embedder().await.unwrap());
        for other in [TestEmbedder::new("other", 64), TestEmbedder::new("m", 32)] {
            let index = index.clone().with_embedder(other);
            let asked = index.as_retriever().retrieve("x").await.unwrap_err().to_string();
            assert!(asked.contains("was embedded with 'm' (64 numbers)"), "{asked}");
            let before = ctx.to_dict().unwrap();
            assert!(matches!(index.insert(document("x", "x")).await, Err(Error::OtherModel { .. })));
            assert_eq!(ctx.to_dict().unwrap(), before);
        }
        index.set_index_id("w").await.unwrap();
        assert!(index.verify_embedder().await.unwrap());
        let mut identity = ctx.index_store().embedding_identity("w").await.unwrap().unwrap();
        identity.probe.reverse();
        ctx.index_store().set_embedding_identity("w", &identity).await.unwrap();
        let changed = index.verify_embedder().await.unwrap_err().to_string();
        assert!(changed.contains("another version of 'm'"), "{changed}");
    });
}

#[test]
fn a_missing_model_is_named_and_a_given_embedding_needs_none() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let node = |id: &str, x: f64| Node::text(id).with_id(id).with_embedding([x, 1.0]);
        let nodes = vec![node("a", 1.0), node("b", -1.0)];
        let index = VectorStoreIndex::builder(&ctx).id("v").from_nodes(nodes).await.unwrap();
        let bundle = QueryBundle::from("q").with_embedding([2.0, 1.0]);
        assert_eq!(index.as_retriever().top_k(1).retrieve(&bundle).await.unwrap()[0].node.id, "a");
        let found = index.as_retriever().node_ids(["b", "z"]).retrieve(&bundle).await.unwrap();
        assert_eq!(found.len(), 1);
        let asked = index.as_retriever().retrieve("q").await.unwrap_err().to_string();
        assert_eq!(asked, "index 'v' has no embedder to embed the question with, which has no embedding; give it one");
        let inserted = index.insert(document("d", "d")).await.unwrap_err().to_string();
        assert_eq!(inserted, "index 'v' has no embedder to embed 1 nodes with; give it one");
        assert_eq!(ctx.index_store().embedding_identity("v").await.unwrap(), None);
    });
}

#[test]
fn a_summary_index_finds_all_or_the_nearest() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = SummaryIndex::builder(&ctx).from_documents(essays()).await.unwrap();
        let all = index.as_retriever().retrieve("whatever").await.unwrap();
        assert_eq!((all.len(), all[0].score), (3, None));
        let index = index.with_embedder(TestEmbedder::new("m", 64));
        let nearest = index.embedding_retriever().retrieve("llamas carry").await.unwrap();
        assert_eq!(nearest[0].node.text_content(), "Llamas carry maize over the pass.");
        assert_eq!(nearest[0].node.embedding, None);
    });
}

#[test]
fn an_empty_index_stays_empty() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = EmptyIndex::builder(&ctx).id("e").from_nodes(Vec::new()).await.unwrap();
        let refused = index.insert_nodes(vec![Node::text("x")]).await.unwrap_err().to_string();
        assert!(refused.starts_with("EmptyIndex 'e' cannot take nodes"), "{refused}");
        let refused = index.delete_nodes(&["x".into()]).await.unwrap_err().to_string();
        assert_eq!(refused, "EmptyIndex 'e' cannot delete nodes: it has none");
        assert!(ctx.docstore().node_ids().await.unwrap().is_empty());
        let loaded = load_index_from_storage(&ctx, None).await.unwrap();
        assert!(loaded.as_retriever().retrieve("x").await.unwrap().is_empty());
    });
}

#[test]
fn handles_lose_nothing_to_each_other() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let one = vectors(&ctx, "v").await;
        let embedder = TestEmbedder::new("m", 64);
        let other = load_index_from_storage(&ctx, None).await.unwrap().with_embedder(embedder);
        other.insert(document("x", "From another handle.")).await.unwrap();
        one.insert(document("y", "From this one.")).await.unwrap();
        assert_eq!(one.node_ids().await.unwrap().len(), 5);
        assert_eq!(other.node_ids().await.unwrap().len(), 4);
        other.reload().await.unwrap();
        assert_eq!(other.node_ids().await.unwrap().len(), 5);
    });
}

#[test]
fn contexts_on_many_threads_lose_nothing_to_each_other() {
    let (nodes, structs) = (SimpleKvStore::new(), SimpleKvStore::new());
    let ctx = || {
        let builder = StorageContext::builder().docstore(KvDocumentStore::new(nodes.clone()));
        builder.index_store(KvIndexStore::new(structs.clone())).build()
    };
    for kind in ["summary", "keyword"] {
        let models = (TestEmbedder::new("m", 8), Words::new(false));
        block_on(models::build(&ctx(), kind, kind, models, Vec::new())).unwrap();
        let work = &async |thread: usize| {
            let index = load_index_from_storage(&ctx(), Some(kind)).await.unwrap();
            for n in 0..9 {
                let id = format!("{kind} {thread} {n}");
                index.insert(document(&id, "first")).await.unwrap();
                match n % 3 {
                    0 => drop(index.update_ref_doc(document(&id, "second")).await.unwrap()),
                    1 => drop(index.delete_ref_doc(id).await.unwrap()),
                    _ => {}
                }
            }
        };
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || block_on(work(thread)));
            }
        });
        let index = block_on(load_index_from_storage(&ctx(), Some(kind))).unwrap();
        let mut texts: Vec<String> =
            block_on(index.nodes()).unwrap().iter().map(|node| node.text_content().to_string()).collect();
        texts.sort();
        assert_eq!(texts, [["first"; 12], ["second"; 12]].concat(), "{kind}");
        block_on(index.drop_index()).unwrap();
        assert!(block_on(ctx().docstore().node_ids()).unwrap().is_empty(), "{kind}");
    }
}

#[test]
fn a_document_that_is_a_node_itself_is_replaced_and_deleted() {
    block_on(async {
        for docstore in [DocstoreDelete::Keep, DocstoreDelete::IfUnreferenced, DocstoreDelete::Always] {
            let (ctx, options) = (StorageContext::in_memory(), DeleteOptions::docstore(docstore));
            let builder = SummaryIndex::builder(&ctx).transformations(Vec::new());
            let index = builder.from_documents(vec![document("a", "one"), document("b", "one")]).await.unwrap();
            // Its own source, as `Document`s of a chunk's id are.
            index.insert_nodes(vec![document("c", "one").with_source("c")]).await.unwrap();
            let two = |id: &str| document(id, "two");
            assert_eq!(index.update_ref_doc_with(two("a"), options).await.unwrap().entries, 1);
            assert_eq!(index.update_ref_doc_with(two("c").with_source("c"), options).await.unwrap().entries, 1);
            let nodes = index.nodes().await.unwrap();
            let told: Vec<String> = nodes.iter().map(|node| format!("{} {}", node.id, node.text_content())).collect();
            assert_eq!(told, ["b one", "a two", "c two"], "{docstore:?}");
            assert_eq!(index.refresh_ref_docs_with(vec![two("a"), two("b")], options).await.unwrap(), [false, true]);
            for id in ["a", "b", "c"] {
                let deleted = index.delete_ref_doc(id).await.unwrap();
                assert_eq!((deleted.entries, deleted.nodes), (1, 1), "{docstore:?}");
            }
            assert!(ctx.docstore().node_ids().await.unwrap().is_empty());
        }
    });
}

#[test]
fn unknown_fields_survive_every_change() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = vectors(&ctx, "v").await;
        let later = || [("later".into(), 1.into())].into_iter().collect();
        let structs = ctx.index_store();
        structs.update_index_struct("v", |found| found.extra = later()).await.unwrap();
        let mut identity = structs.embedding_identity("v").await.unwrap().unwrap();
        identity.extra = later();
        structs.set_embedding_identity("v", &identity).await.unwrap();
        let docstore = ctx.docstore();
        let record = || docstore.kv().get("docstore/ref_doc_info", "cords");
        let Value::Object(mut stored) = record().await.unwrap().unwrap().value() else { panic!("no record") };
        stored.insert("later".into(), 1.into());
        docstore.kv().put("docstore/ref_doc_info", "cords", RawJson::from(Value::Object(stored))).await.unwrap();

        index.insert(document("x", "x")).await.unwrap();
        index.refresh_ref_docs(vec![document("x", "y"), document("cords", "Knots.")]).await.unwrap();
        index.delete_ref_doc("llamas").await.unwrap();
        index.set_index_id("w").await.unwrap();
        assert_eq!(index.index_struct().extra, later());
        assert_eq!(structs.require_index_struct("w").await.unwrap().extra, later());
        assert_eq!(structs.embedding_identity("w").await.unwrap().unwrap().extra, later());
        assert_eq!(record().await.unwrap().unwrap().value().get("later"), Some(&1.into()));
    });
}

#[test]
fn everything_may_be_done_on_any_thread() {
    fn check<T: Send>(_: &T) {}
    let ctx = StorageContext::in_memory();
    let build = VectorStoreIndex::builder(&ctx).from_documents(Vec::new());
    check(&build);
    let index = block_on(build).unwrap();
    check(&index.insert(Node::text("x")));
    check(&index.update_ref_doc(Node::text("x")));
    check(&index.refresh_ref_docs(Vec::new()));
    check(&index.delete_ref_doc("x"));
    check(&index.drop_index());
    check(&index.as_retriever().retrieve("x"));
}

#[test]
fn a_document_that_another_index_deleted_from_the_document_store_can_still_be_deleted() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let nodes = |of: &str| vec![Node::text(of).with_id(format!("{of}1")).with_source(of)];
        let vectors = VectorStoreIndex::builder(&ctx).id("v").embedder(TestEmbedder::new("m", 8));
        let vectors = vectors.from_nodes([nodes("a"), nodes("b")].concat()).await.unwrap();
        let others = SummaryIndex::builder(&ctx).id("s").from_nodes(nodes("a")).await.unwrap();
        others.delete_ref_doc_with("a", DeleteOptions::docstore(DocstoreDelete::Always)).await.unwrap();
        let nodes = vectors.nodes().await;
        assert!(matches!(&nodes, Err(Error::MissingNodes { missing, .. }) if *missing == ["a1"]), "{nodes:?}");
        let deleted = vectors.delete_ref_doc("a").await.unwrap();
        assert_eq!((deleted.entries, deleted.vectors, deleted.nodes), (1, 1, 0));
        assert_eq!(vectors.nodes().await.unwrap().len(), 1);
        assert_eq!(vectors.delete_ref_doc("a").await.unwrap(), Deleted::default());
        assert_eq!(ctx.vector_store().unwrap().count().await.unwrap(), Some(1));
    });
}

#[test]
fn a_document_without_nodes_is_fresh_once_it_is_known() {
    block_on(async {
        #[derive(Debug)]
        struct NoBlanks;
        #[async_trait::async_trait]
        impl Transformation for NoBlanks {
            async fn transform(&self, nodes: Vec<Node>) -> Result<Vec<Node>, ModelError> {
                let nodes = WholeDocuments.transform(nodes).await?;
                Ok(nodes.into_iter().filter(|node| !node.text_content().to_string().trim().is_empty()).collect())
            }
        }
        let ctx = StorageContext::in_memory();
        let index = SummaryIndex::builder(&ctx).transformations(vec![Arc::new(NoBlanks)]);
        let index = index.from_documents(Vec::new()).await.unwrap();
        let document = |text: &str| vec![Node::document(text).with_id("d")];
        for (text, told) in [(" ", true), (" ", false), ("x", true), ("x", false), (" ", true), (" ", false)] {
            assert_eq!(index.refresh_ref_docs(document(text)).await.unwrap(), [told], "{text:?}");
            assert_eq!(index.nodes().await.unwrap().len(), usize::from(text == "x"));
        }
    });
}
