//! Models and stores that fail at the nth call, for every n.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use docstore::KvDocumentStore;
use futures_util::stream::BoxStream;
use graphstore::Triplet;
use indexstore::KvIndexStore;
use indices::{
    Embedder, Index, KnowledgeGraphIndex, ModelError, RetrieverExt, TripletFn, VectorStoreIndex,
    load_index_from_storage,
};
use kv_core::{Applied, Atomicity, KvStore, Page, SimpleKvStore, WriteBatch};
use pollster::block_on;
use raw_json::{PyString, RawJson, Value};
use schema::Node;
use storage_context::StorageContext;
use vectorstore::{NodeSelection, VectorStore, VectorStoreQuery, VectorStoreQueryResult};
use vectorstore_simple::SimpleVectorStore;

use crate::models::{self, KINDS, TestEmbedder};
use crate::tree::Words;
use crate::with_causes;

/// Counts the writes of all stores, and fails at one of them.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    writes: Arc<AtomicUsize>,
    at: Arc<AtomicUsize>,
}

impl Fault {
    pub(crate) fn new() -> Self {
        Self { writes: Arc::default(), at: Arc::new(AtomicUsize::new(usize::MAX)) }
    }

    pub(crate) fn strikes(&self) -> bool {
        self.writes.fetch_add(1, Ordering::SeqCst) == self.at.load(Ordering::SeqCst)
    }

    /// Fails at the nth write from now on; never for `usize::MAX`.
    pub(crate) fn arm(&self, n: usize) {
        self.writes.store(0, Ordering::SeqCst);
        self.at.store(n, Ordering::SeqCst);
    }
}

/// Returns true if it failed. Nothing but the fault makes it fail.
pub(crate) fn is_cut<T>(done: indices::Result<T>) -> bool {
    let Err(error) = done else { return false };
    let message = with_causes(&error);
    assert!(message.contains("the line is cut"), "{message}");
    true
}

#[derive(Debug)]
pub(crate) struct FailingKv(pub(crate) SimpleKvStore, pub(crate) Fault);

#[async_trait]
impl KvStore for FailingKv {
    async fn get_many(&self, collection: &str, keys: &[PyString]) -> kv_core::Result<Vec<Option<RawJson>>> {
        self.0.get_many(collection, keys).await
    }

    fn scan<'a>(&'a self, collection: &'a str, page_size: usize) -> BoxStream<'a, kv_core::Result<Page>> {
        self.0.scan(collection, page_size)
    }

    async fn apply(&self, batch: WriteBatch) -> kv_core::Result<Applied> {
        if self.1.strikes() {
            return Err(kv_core::Error::Backend {
                store: "a failing store".to_owned(),
                operation: "write",
                collection: String::new(),
                source: "the line is cut".into(),
            });
        }
        self.0.apply(batch).await
    }

    fn atomicity(&self) -> Atomicity {
        Atomicity::Batch
    }
}

#[derive(Debug)]
pub(crate) struct FailingVectors(pub(crate) SimpleVectorStore, pub(crate) Fault);

impl FailingVectors {
    fn check(&self) -> vectorstore::Result<()> {
        match self.1.strikes() {
            true => Err(vectorstore::Error::Backend {
                store: "a failing store".to_owned(),
                operation: "write",
                source: "the line is cut".into(),
            }),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl VectorStore for FailingVectors {
    async fn add(&self, nodes: &[Node]) -> vectorstore::Result<Vec<PyString>> {
        self.check()?;
        self.0.add(nodes).await
    }

    async fn delete(&self, ref_doc_id: &PyString) -> vectorstore::Result<usize> {
        self.check()?;
        self.0.delete(ref_doc_id).await
    }

    async fn delete_nodes(&self, selection: &NodeSelection) -> vectorstore::Result<usize> {
        self.check()?;
        self.0.delete_nodes(selection).await
    }

    async fn clear(&self) -> vectorstore::Result<()> {
        self.0.clear().await
    }

    async fn get(&self, node_id: &PyString) -> vectorstore::Result<Option<Vec<f64>>> {
        self.0.get(node_id).await
    }

    async fn query(&self, query: &VectorStoreQuery) -> vectorstore::Result<VectorStoreQueryResult> {
        self.0.query(query).await
    }

    async fn count(&self) -> vectorstore::Result<Option<usize>> {
        self.0.count().await
    }

    fn stores_text(&self) -> bool {
        false
    }
}

struct Stores {
    ctx: StorageContext,
    vectors: SimpleVectorStore,
    fault: Fault,
}

impl Stores {
    fn new() -> Self {
        let (fault, vectors) = (Fault::new(), SimpleVectorStore::new());
        let ctx = StorageContext::builder()
            .docstore(KvDocumentStore::new(FailingKv(SimpleKvStore::new(), fault.clone())))
            .index_store(KvIndexStore::new(FailingKv(SimpleKvStore::new(), fault.clone())))
            .vector_store(Arc::new(FailingVectors(vectors.clone(), fault.clone())))
            .build();
        Self { ctx, vectors, fault }
    }

    async fn index(&self, kind: &str) -> Index {
        let models = (TestEmbedder::new("m", 16), Words::new(false));
        models::build(&self.ctx, kind, "v", models, versions([1, 1, 1])).await.unwrap()
    }

    /// How many nodes and vectors there are.
    async fn counts(&self) -> (usize, usize) {
        let vectors = self.vectors.to_dict();
        let rows = vectors.get("embedding_dict").and_then(Value::as_object).map_or(0, |rows| rows.len());
        (self.ctx.docstore().node_ids().await.unwrap().len(), rows)
    }

    /// What another reader finds.
    async fn found(&self) -> Vec<String> {
        let index = load_index_from_storage(&self.ctx, None).await.unwrap();
        let found = index.retriever(TestEmbedder::new("m", 16)).top_k(9).retrieve("version").await.unwrap();
        let mut found: Vec<String> = found.iter().map(|found| found.node.text_content().to_string()).collect();
        found.sort();
        found
    }
}

fn version(id: &str, n: usize) -> Node {
    Node::document(format!("{id} version w{n}")).with_id(id)
}

fn versions([a, b, c]: [usize; 3]) -> Vec<Node> {
    vec![version("a", a), version("b", b), version("c", c)]
}

fn texts(versions: &[(&str, usize)]) -> Vec<String> {
    versions.iter().map(|(id, n)| format!("{id} version w{n}")).collect()
}

/// Does something to an index of each kind with a store that fails at the nth write, for every n: what is found then is
/// as it was or as it will be, and doing it again completes it.
async fn check(done: &[(&str, usize)], operation: impl AsyncFn(&Index) -> indices::Result<()>) {
    let before = texts(&[("a", 1), ("b", 1), ("c", 1)]);
    for kind in KINDS {
        let whole = Stores::new();
        operation(&whole.index(kind).await).await.unwrap();
        assert_eq!(whole.found().await, texts(done), "{kind}");
        for n in 0.. {
            let stores = Stores::new();
            let index = stores.index(kind).await;
            stores.fault.arm(n);
            let failed = is_cut(operation(&index).await);
            stores.fault.arm(usize::MAX);
            let found = stores.found().await;
            assert!(found == before || found == texts(done), "{kind}, write {n}: {found:?}");
            if failed {
                operation(&index).await.unwrap();
            }
            assert_eq!(stores.found().await, texts(done), "{kind}, write {n}");
            assert_eq!(stores.counts().await, whole.counts().await, "{kind}, write {n}");
            if !failed {
                assert!(n >= 2, "{kind}: fewer writes than there are stores");
                break;
            }
        }
    }
}

#[test]
fn an_update_that_fails_loses_no_version_and_can_be_repeated() {
    block_on(check(&[("a", 2), ("b", 1), ("c", 1)], async |index| {
        index.update_ref_doc(version("a", 2)).await.map(drop)
    }));
}

#[test]
fn a_deletion_that_fails_dangles_nowhere_and_can_be_repeated() {
    block_on(check(&[("b", 1), ("c", 1)], async |index| index.delete_ref_doc("a").await.map(drop)));
}

#[test]
fn an_insertion_that_fails_can_be_repeated() {
    block_on(check(&[("a", 1), ("b", 1), ("c", 1), ("d", 1)], async |index| {
        index.insert_nodes(vec![Node::text("d version w1").with_id("d1").with_source("d")]).await
    }));
}

#[test]
fn dropping_that_fails_can_be_repeated() {
    block_on(async {
        for kind in KINDS {
            for n in 0.. {
                let stores = Stores::new();
                let index = stores.index(kind).await;
                stores.fault.arm(n);
                let failed = is_cut(index.drop_index().await);
                stores.fault.arm(usize::MAX);
                index.drop_index().await.unwrap();
                assert_eq!(stores.counts().await, (0, 0), "{kind}, write {n}");
                if !failed {
                    break;
                }
            }
        }
    });
}

/// Something that needs the models of an index.
async fn change(index: &Index, kind: &str, models: (TestEmbedder, Words), n: usize) -> bool {
    let with_models = index.clone().with_embedder(models.0.clone()).with_llm(models.1.clone());
    let done = match n {
        0 => with_models.insert(version("d", 1)).await,
        1 => with_models.update_ref_doc(version("a", 2)).await.map(drop),
        2 => with_models.refresh_ref_docs(versions([1, 2, 2])).await.map(drop),
        3 => with_models.delete_ref_doc("c").await.map(drop),
        _ => models::build(index.storage_context(), kind, "w", models, versions([1, 2, 3])).await.map(drop),
    };
    match done {
        Ok(()) => true,
        Err(e) => {
            let message = with_causes(&e);
            assert!(message.ends_with(": the model is out of order"), "{message}");
            false
        }
    }
}

#[test]
fn a_model_that_fails_changes_nothing() {
    block_on(async {
        for kind in KINDS {
            let mut failures = 0;
            for (operation, of_llm) in (0..5).flat_map(|n| [(n, false), (n, true)]) {
                for n in 0.. {
                    let models = || (TestEmbedder::new("m", 16), Words::new(false));
                    let ctx = StorageContext::in_memory();
                    let index = models::build(&ctx, kind, "v", models(), versions([1, 1, 1])).await.unwrap();
                    let before = ctx.to_dict().unwrap();
                    let (mut embedder, mut llm) = models();
                    *(if of_llm { &mut llm.fails_at } else { &mut embedder.fails_at }) = n;
                    if change(&index, kind, (embedder, llm), operation).await {
                        break;
                    }
                    failures += 1;
                    assert_eq!(ctx.to_dict().unwrap(), before, "{kind}, operation {operation}, call {n}");
                }
            }
            assert_eq!(failures > 0, !["summary", "keyword"].contains(&kind), "{kind}: {failures} failures");
        }
    });
}

#[test]
fn nodes_of_another_dimension_change_nothing() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let node = |id: &str, embedding: &[f64]| Node::text(id).with_id(id).with_embedding(embedding);
        let built = VectorStoreIndex::builder(&ctx).from_nodes(vec![node("a", &[1.0, 2.0])]).await.unwrap();
        let before = ctx.to_dict().unwrap();
        let failed = built.insert_nodes(vec![node("b", &[1.0, 2.0]), node("c", &[1.0])]).await.unwrap_err();
        assert_eq!(
            with_causes(&failed),
            "node 'c' has an embedding of 1 numbers, the store has 2; embed all nodes with the same model"
        );
        assert_eq!(ctx.to_dict().unwrap(), before);
    });
}

/// Returns an embedding of its own for every text with a `w3` in it.
#[derive(Debug, Clone, Copy)]
struct Odd(fn() -> Vec<f64>);

#[async_trait]
impl Embedder for Odd {
    fn model_name(&self) -> &str {
        "odd"
    }

    fn dimensions(&self) -> Option<usize> {
        None
    }

    async fn embed_texts(&self, texts: &[String]) -> Result<Vec<Vec<f64>>, ModelError> {
        Ok(texts.iter().map(|text| if text.contains("w3") { self.0() } else { vec![1.0, 2.0] }).collect())
    }
}

#[test]
fn embeddings_that_are_none_change_nothing() {
    block_on(async {
        for (odd, expected) in [
            (Odd(|| vec![1.0, f64::NAN]), "it returned an embedding with the number NaN"),
            (Odd(|| vec![1.0]), "it returned embeddings of 2 numbers and of 1"),
            (Odd(Vec::new), "it returned embeddings of 2 numbers and of 0"),
        ] {
            let ctx = StorageContext::in_memory();
            let build = |id: &str| VectorStoreIndex::builder(&ctx).id(id).embedder(odd);
            let index = build("v").from_documents(versions([1, 1, 1])).await.unwrap();
            let triplets = TripletFn(|text: &str| vec![Triplet::new(text, "is", "text")]);
            let graph = KnowledgeGraphIndex::builder(&ctx).include_embeddings(true).triplet_extractor(triplets);
            let before = ctx.to_dict().unwrap();
            for error in [
                index.refresh_ref_docs(versions([2, 2, 3])).await.unwrap_err(),
                build("w").from_documents(versions([1, 2, 3])).await.unwrap_err(),
                graph.embedder(odd).from_documents(versions([1, 2, 3])).await.unwrap_err(),
            ] {
                assert_eq!(std::error::Error::source(&error).unwrap().to_string(), expected);
            }
            let given = vec![version("a", 2), version("b", 2).with_embedding([1.0])];
            let refreshed = index.refresh_ref_docs(given.clone()).await.unwrap_err();
            let built = build("w").from_documents(given).await.unwrap_err();
            for error in [refreshed, built] {
                let expected = "has an embedding of 1 numbers, the store has 2; embed all nodes with the same model";
                assert!(error.to_string().ends_with(expected), "{error}");
            }
            assert_eq!(ctx.to_dict().unwrap(), before);
        }
    });
}

#[test]
fn many_documents_are_refreshed_in_as_many_writes_as_one() {
    block_on(async {
        for kind in KINDS {
            let mut writes = Vec::new();
            for changed in [[2, 1, 1], [2, 2, 2]] {
                let stores = Stores::new();
                let index = stores.index(kind).await;
                stores.fault.arm(usize::MAX);
                index.refresh_ref_docs(versions(changed)).await.unwrap();
                writes.push(stores.fault.writes.load(Ordering::SeqCst));
            }
            assert_eq!(writes[0], writes[1], "{kind}");
        }
    });
}
