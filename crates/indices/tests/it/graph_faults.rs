//! Graph indexes whose stores, models and extractors fail at the nth call, for every n.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use docstore::KvDocumentStore;
use graphstore::{
    Deleted, GraphStore, LabelledNode, LabelledTriplet, NodeFilter, PropertyGraphStore, RelMap, RelMapOptions,
    Relation, SimpleGraphStore, SimplePropertyGraphStore, Triplet, TripletFilter,
};
use indexstore::KvIndexStore;
use indices::{
    Extraction, Index, IndexHandle, KgExtractor, KnowledgeGraphIndex, ModelError, PropertyGraphIndex, Result,
    Transformation, TripletExtractor,
};
use kv_core::SimpleKvStore;
use pollster::block_on;
use raw_json::{PyString, Value};
use schema::Node;
use storage_context::StorageContext;
use vectorstore_simple::SimpleVectorStore;

use crate::faults::{FailingKv, FailingVectors, Fault, is_cut};
use crate::knowledge_graph::by_bars;
use crate::models::{SumEmbedder, TestEmbedder};
use crate::property_graph::ByWords;
use crate::with_causes;

#[derive(Debug)]
struct FailingTriplets(SimpleGraphStore, Fault);

impl FailingTriplets {
    fn check(&self) -> graphstore::Result<()> {
        if self.1.strikes() { Err(cut()) } else { Ok(()) }
    }
}

fn cut() -> graphstore::Error {
    graphstore::Error::Backend {
        store: "a failing store".to_owned(),
        operation: "write",
        source: "the line is cut".into(),
    }
}

#[async_trait]
impl GraphStore for FailingTriplets {
    async fn get(&self, subj: &PyString) -> graphstore::Result<Vec<(PyString, PyString)>> {
        Ok(self.0.get(subj))
    }

    async fn get_rel_map(&self, subjs: Option<&[PyString]>, depth: usize, limit: usize) -> graphstore::Result<RelMap> {
        self.0.get_rel_map(subjs, depth, limit)
    }

    async fn upsert_triplet(&self, subj: &PyString, rel: &PyString, obj: &PyString) -> graphstore::Result<()> {
        self.check()?;
        self.0.upsert_triplet(subj, rel, obj);
        Ok(())
    }

    async fn delete(&self, subj: &PyString, rel: &PyString, obj: &PyString) -> graphstore::Result<bool> {
        self.check()?;
        Ok(self.0.delete(subj, rel, obj))
    }
}

#[derive(Debug)]
struct FailingGraph(SimplePropertyGraphStore, Fault);

impl FailingGraph {
    fn check(&self) -> graphstore::Result<()> {
        if self.1.strikes() { Err(cut()) } else { Ok(()) }
    }
}

#[async_trait]
impl PropertyGraphStore for FailingGraph {
    async fn get(&self, filter: &NodeFilter) -> graphstore::Result<Vec<LabelledNode>> {
        Ok(self.0.get(filter))
    }

    async fn get_triplets(&self, filter: &TripletFilter) -> graphstore::Result<Vec<LabelledTriplet>> {
        Ok(self.0.get_triplets(filter))
    }

    async fn get_rel_map(&self, ids: &[PyString], options: &RelMapOptions) -> graphstore::Result<Vec<LabelledTriplet>> {
        Ok(self.0.get_rel_map(ids, options))
    }

    async fn upsert_nodes(&self, nodes: Vec<LabelledNode>) -> graphstore::Result<()> {
        self.check()?;
        self.0.upsert_nodes(nodes)
    }

    async fn upsert_relations(&self, relations: Vec<Relation>) -> graphstore::Result<()> {
        self.check()?;
        self.0.upsert_relations(relations)
    }

    async fn delete(&self, filter: &TripletFilter) -> graphstore::Result<Deleted> {
        self.check()?;
        Ok(self.0.delete(filter))
    }

    async fn delete_triplets(&self, triplets: &[Triplet]) -> graphstore::Result<Deleted> {
        self.check()?;
        Ok(self.0.delete_triplets(triplets))
    }
}

struct Stores {
    ctx: StorageContext,
    vectors: SimpleVectorStore,
    triplets: SimpleGraphStore,
    graph: SimplePropertyGraphStore,
    fault: Fault,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    KnowledgeGraph,
    PropertyGraph,
}

const KINDS: [Kind; 2] = [Kind::KnowledgeGraph, Kind::PropertyGraph];

impl Stores {
    fn new() -> Self {
        let fault = Fault::new();
        let (vectors, triplets, graph) =
            (SimpleVectorStore::new(), SimpleGraphStore::new(), SimplePropertyGraphStore::new());
        let ctx = StorageContext::builder()
            .docstore(KvDocumentStore::new(FailingKv(SimpleKvStore::new(), fault.clone())))
            .index_store(KvIndexStore::new(FailingKv(SimpleKvStore::new(), fault.clone())))
            .vector_store(Arc::new(FailingVectors(vectors.clone(), fault.clone())))
            .graph_store(Arc::new(FailingTriplets(triplets.clone(), fault.clone())))
            .property_graph_store(Arc::new(FailingGraph(graph.clone(), fault.clone())))
            .build();
        Self { ctx, vectors, triplets, graph, fault }
    }

    async fn build(&self, kind: Kind) -> Result<Index> {
        let documents = vec![version("x", 1), version("y", 1)];
        let same_ids: Vec<Arc<dyn Transformation>> = vec![Arc::new(SameIds)];
        Ok(match kind {
            Kind::KnowledgeGraph => {
                let builder = KnowledgeGraphIndex::builder(&self.ctx).triplet_extractor(by_bars());
                let builder = builder.include_embeddings(true).embedder(SumEmbedder).transformations(same_ids);
                builder.id("i").from_documents(documents).await?.into()
            }
            Kind::PropertyGraph => {
                let builder = PropertyGraphIndex::builder(&self.ctx).kg_extractor(ByWords);
                let builder = builder.embedder(SumEmbedder).transformations(same_ids);
                builder.id("i").from_documents(documents).await?.into()
            }
        })
    }

    /// Everything there is, in an order of its own.
    async fn state(&self) -> Vec<String> {
        let mut told: Vec<String> = self.triplets.triplets().map(|triplet| triplet.to_string()).collect();
        told.extend(self.graph.get(&NodeFilter::default()).iter().map(|node| format!("{node:?}")));
        told.extend(self.graph.triplets().iter().map(|triplet| format!("{triplet:?}")));
        told.extend(self.vectors().iter().map(|id| format!("vector {id}")));
        for id in self.ctx.docstore().node_ids().await.unwrap() {
            told.push(format!("node {id}"));
        }
        for (id, info) in self.ctx.docstore().get_all_ref_doc_info().await.unwrap() {
            told.push(format!("document {id}: {:?}", info.node_ids));
        }
        for index_struct in self.ctx.index_store().index_structs().await.unwrap() {
            told.extend(index_struct.node_ids().into_iter().flatten().map(|id| format!("listed {id}")));
        }
        told.sort();
        told
    }

    fn vectors(&self) -> BTreeSet<PyString> {
        let rows = self.vectors.to_dict();
        let rows = rows.get("embedding_dict").and_then(Value::as_object).cloned().unwrap_or_default();
        rows.into_iter().map(|(id, _)| id).collect()
    }

    /// Nothing is listed that is not there, and no vector is nobody's.
    async fn check(&self, index: Option<&IndexHandle>, place: &str) {
        if let Some(index) = index {
            index.nodes().await.unwrap_or_else(|e| panic!("{place}: {e}"));
        }
        let entities: BTreeSet<PyString> =
            self.graph.get(&NodeFilter::default()).iter().map(|node| node.id().clone()).collect();
        assert!(self.vectors().is_subset(&entities), "{place}: {:?}", self.vectors());
        assert!(self.graph.dangling_triplets().is_empty(), "{place}");
    }
}

/// Lines that both extractors understand: the words have bars between them, and these are words too.
fn version(id: &str, n: usize) -> Node {
    let text = format!("{id} | knows | Bob\n{id} | saw{n} | {id}{n}");
    Node::document(text).with_id(id)
}

/// Makes of each document one node, with the same id if it has the same text.
#[derive(Debug)]
struct SameIds;

#[async_trait]
impl Transformation for SameIds {
    async fn transform(&self, nodes: Vec<Node>) -> std::result::Result<Vec<Node>, ModelError> {
        let node = |document: Node| {
            let text = document.text_content();
            Node::text(&text).with_id(&text).with_source(document.id)
        };
        Ok(nodes.into_iter().map(node).collect())
    }
}

/// Fails an operation at every write, does it again, and expects what comes of it if nothing fails.
async fn at_every_write(kind: Kind, fewest: usize, operation: impl AsyncFn(&Index) -> Result<()>) {
    let whole = Stores::new();
    operation(&whole.build(kind).await.unwrap()).await.unwrap();
    let expected = whole.state().await;
    for n in 0.. {
        let place = format!("{kind:?}, write {n}");
        let stores = Stores::new();
        let index = stores.build(kind).await.unwrap();
        stores.fault.arm(n);
        let failed = is_cut(operation(&index).await);
        stores.fault.arm(usize::MAX);
        let is_there = stores.ctx.index_store().get_index_struct("i").await.unwrap().is_some();
        stores.check(is_there.then_some(&*index), &place).await;
        operation(&index).await.unwrap_or_else(|e| panic!("{place}: {e}"));
        assert_eq!(stores.state().await, expected, "{place}");
        if !failed {
            assert!(n >= fewest, "{kind:?}: only {n} writes");
            break;
        }
    }
}

#[test]
fn building_that_fails_can_be_repeated() {
    block_on(async {
        for kind in KINDS {
            let whole = Stores::new();
            whole.build(kind).await.unwrap();
            let expected = whole.state().await;
            for n in 0.. {
                let (place, stores) = (format!("{kind:?}, write {n}"), Stores::new());
                stores.fault.arm(n);
                let failed = is_cut(stores.build(kind).await);
                stores.fault.arm(usize::MAX);
                stores.check(None, &place).await;
                if !failed {
                    assert!(n >= 4, "fewer writes than there are stores");
                    break;
                }
                stores.build(kind).await.unwrap_or_else(|e| panic!("{place}: {e}"));
                assert_eq!(stores.state().await, expected, "{place}");
            }
        }
    });
}

#[test]
fn an_insertion_that_fails_can_be_repeated() {
    block_on(async {
        for (kind, fewest) in KINDS.into_iter().zip([4, 6]) {
            at_every_write(kind, fewest, async |index| index.insert(version("z", 1)).await).await;
        }
    });
}

#[test]
fn an_update_that_fails_can_be_repeated() {
    block_on(async {
        for (kind, fewest) in KINDS.into_iter().zip([4, 7]) {
            at_every_write(kind, fewest, async |index| index.update_ref_doc(version("x", 2)).await.map(drop)).await;
        }
    });
}

#[test]
fn a_deletion_that_fails_can_be_repeated() {
    block_on(async {
        for (kind, fewest) in KINDS.into_iter().zip([2, 3]) {
            at_every_write(kind, fewest, async |index| index.delete_ref_doc("x").await.map(drop)).await;
        }
    });
}

#[test]
fn dropping_that_fails_can_be_repeated() {
    block_on(async {
        for (kind, fewest) in KINDS.into_iter().zip([2, 4]) {
            at_every_write(kind, fewest, async |index| index.drop_index().await.map(drop)).await;
        }
    });
}

/// Fails at one call.
#[derive(Debug, Clone)]
struct Failing<T> {
    inner: T,
    calls: Arc<AtomicUsize>,
    at: usize,
}

impl<T> Failing<T> {
    fn check(&self) -> std::result::Result<(), ModelError> {
        match self.calls.fetch_add(1, Ordering::SeqCst) == self.at {
            true => Err("out of order".into()),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl<T: TripletExtractor> TripletExtractor for Failing<T> {
    async fn extract(&self, text: &str) -> std::result::Result<Vec<Triplet>, ModelError> {
        self.check()?;
        self.inner.extract(text).await
    }
}

#[async_trait]
impl KgExtractor for Failing<ByWords> {
    async fn extract(&self, node: &Node) -> std::result::Result<Extraction, ModelError> {
        self.check()?;
        self.inner.extract(node).await
    }
}

#[test]
fn models_and_extractors_that_fail_change_nothing() {
    block_on(async {
        let graph = SimplePropertyGraphStore::new();
        let ctx = StorageContext::builder().property_graph_store(Arc::new(graph)).build();
        let documents = || vec![version("x", 1), version("y", 1)];
        let changed = || vec![version("x", 2), version("y", 2), version("z", 1)];
        let failing = |at| TestEmbedder { fails_at: at, ..TestEmbedder::new("m", 8) };
        let triplets = |at| Failing { inner: by_bars(), calls: Arc::default(), at };
        let words = |at| Failing { inner: ByWords, calls: Arc::default(), at };
        let check = |done: Result<()>| assert!(with_causes(&done.unwrap_err()).ends_with("out of order"));
        let never = usize::MAX;
        let knowledge = KnowledgeGraphIndex::builder(&ctx).id("k").triplet_extractor(triplets(never));
        let knowledge = knowledge.include_embeddings(true).embedder(failing(never)).from_documents(documents()).await;
        let property = PropertyGraphIndex::builder(&ctx).id("p").kg_extractor(words(never)).embedder(failing(never));
        let (knowledge, property) = (knowledge.unwrap(), property.from_documents(documents()).await.unwrap());
        let before = ctx.to_dict().unwrap();
        for at in 0..3 {
            let index = knowledge.clone().with_triplet_extractor(triplets(at));
            check(index.refresh_ref_docs(changed()).await.map(drop));
            let index = property.clone().with_kg_extractors(vec![Arc::new(words(at))]);
            check(index.refresh_ref_docs(changed()).await.map(drop));
            assert_eq!(ctx.to_dict().unwrap(), before, "call {at}");
        }
        // Everything is embedded at once.
        let index = knowledge.clone().with_triplet_extractor(by_bars()).with_embedder(failing(0));
        check(index.refresh_ref_docs(changed()).await.map(drop));
        check(property.clone().with_embedder(failing(0)).refresh_ref_docs(changed()).await.map(drop));
        assert_eq!(ctx.to_dict().unwrap(), before);
        for at in 0..2 {
            let built = KnowledgeGraphIndex::builder(&ctx).triplet_extractor(triplets(at)).from_documents(changed());
            check(built.await.map(drop));
            let built = PropertyGraphIndex::builder(&ctx).kg_extractor(ByWords).embedder(failing(at));
            check(built.from_documents(changed()).await.map(drop));
        }
        assert!(
            knowledge.update_ref_doc(version("x", 2)).await.is_ok() && property.insert(version("z", 1)).await.is_ok()
        );
        assert!(ctx.to_dict().unwrap() != before);
    });
}
