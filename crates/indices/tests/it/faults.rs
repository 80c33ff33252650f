//! Models and stores that fail at the nth call, for every n.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use docstore::KvDocumentStore;
use futures_util::stream::BoxStream;
use indexstore::KvIndexStore;
use indices::{RetrieverExt, VectorStoreIndex, load_index_from_storage};
use kv_core::{Applied, Atomicity, KvStore, Page, SimpleKvStore, WriteBatch};
use pollster::block_on;
use raw_json::{PyString, RawJson, Value};
use schema::Node;
use storage_context::StorageContext;
use vectorstore::{NodeSelection, VectorStore, VectorStoreQuery, VectorStoreQueryResult};
use vectorstore_simple::SimpleVectorStore;

use crate::models::TestEmbedder;

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
            true => Err(vectorstore::Error::MissingQueryEmbedding),
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

    async fn index(&self) -> VectorStoreIndex {
        let builder = VectorStoreIndex::builder(&self.ctx).id("v").embedder(TestEmbedder::new("m", 16));
        builder.from_documents(vec![version("a", 1), version("b", 1)]).await.unwrap()
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
    Node::document(format!("{id} version {n}")).with_id(id)
}

#[test]
fn an_update_that_fails_loses_no_version_and_can_be_repeated() {
    block_on(async {
        for n in 0.. {
            let stores = Stores::new();
            let index = stores.index().await;
            stores.fault.arm(n);
            let failed = index.update_ref_doc(version("a", 2)).await.is_err();
            stores.fault.arm(usize::MAX);
            let found = stores.found().await;
            assert!(
                found == ["a version 1", "b version 1"] || found == ["a version 2", "b version 1"],
                "write {n}: {found:?}"
            );
            index.update_ref_doc(version("a", 2)).await.unwrap();
            assert_eq!(stores.found().await, ["a version 2", "b version 1"], "write {n}");
            assert_eq!(stores.counts().await, (2, 2), "write {n}");
            if !failed {
                assert!(n >= 5, "fewer writes than there are stores");
                break;
            }
        }
    });
}

#[test]
fn a_deletion_that_fails_dangles_nowhere_and_can_be_repeated() {
    block_on(async {
        for n in 0.. {
            let stores = Stores::new();
            let index = stores.index().await;
            stores.fault.arm(n);
            let failed = index.delete_ref_doc("a").await.is_err();
            stores.fault.arm(usize::MAX);
            let found = stores.found().await;
            assert!(found == ["a version 1", "b version 1"] || found == ["b version 1"], "write {n}: {found:?}");
            index.delete_ref_doc("a").await.unwrap();
            assert_eq!((stores.found().await, stores.counts().await), (vec!["b version 1".to_owned()], (1, 1)));
            if !failed {
                assert_eq!(n, 3, "struct, vectors, document store");
                break;
            }
        }
    });
}

#[test]
fn dropping_that_fails_can_be_repeated() {
    block_on(async {
        for n in 0.. {
            let stores = Stores::new();
            let index = stores.index().await;
            stores.fault.arm(n);
            let failed = index.drop_index().await.is_err();
            stores.fault.arm(usize::MAX);
            index.drop_index().await.unwrap();
            assert_eq!(stores.counts().await, (0, 0), "write {n}");
            if !failed {
                break;
            }
        }
    });
}

#[test]
fn a_model_that_fails_changes_nothing() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = VectorStoreIndex::builder(&ctx).id("v").embedder(TestEmbedder::new("m", 16));
        let index = index.from_documents(vec![version("a", 1), version("b", 1)]).await.unwrap();
        let before = ctx.to_dict().unwrap();
        let failing = || TestEmbedder { fails_at: 0, ..TestEmbedder::new("m", 16) };
        let index = || index.clone().with_embedder(failing());
        assert!(index().insert(version("c", 1)).await.is_err());
        assert!(index().update_ref_doc(version("a", 2)).await.is_err());
        assert!(index().refresh_ref_docs(vec![version("a", 1), version("b", 2)]).await.is_err());
        for n in 0..2 {
            let embedder = TestEmbedder { fails_at: n, ..TestEmbedder::new("m", 16) };
            let built = VectorStoreIndex::builder(&ctx).id("w").embedder(embedder);
            assert!(built.from_documents(vec![version("d", 1)]).await.is_err(), "call {n}");
        }
        assert_eq!(ctx.to_dict().unwrap(), before);
    });
}

#[test]
fn nodes_of_another_dimension_change_nothing() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let node = |id: &str, embedding: &[f64]| Node::text(id).with_id(id).with_embedding(embedding);
        let built = VectorStoreIndex::builder(&ctx).from_nodes(vec![node("a", &[1.0, 2.0])]).await.unwrap();
        let before = ctx.to_dict().unwrap();
        assert!(built.insert_nodes(vec![node("b", &[1.0, 2.0]), node("c", &[1.0])]).await.is_err());
        assert_eq!(ctx.to_dict().unwrap(), before);
    });
}
