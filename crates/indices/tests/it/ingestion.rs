//! Ingestion pipelines: what has changed is worked on, and nothing else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use docstore::KvDocumentStore;
use indices::{
    DocstoreStrategy, EmbedNodes, Error, Ingested, IngestionCache, IngestionPipeline, IngestionProgress, ModelError,
    SentenceSplitter, Transformation, WholeDocuments,
};
use kv_core::SimpleKvStore;
use persist::MemoryFs;
use pollster::block_on;
use raw_json::PyString;
use schema::Node;
use vectorstore::{VectorStore, VectorStoreQuery};
use vectorstore_simple::SimpleVectorStore;

use crate::faults::{FailingKv, FailingVectors, Fault, is_cut};
use crate::models::TestEmbedder;

/// Counts its calls, and fails at one of them.
#[derive(Debug, Clone)]
struct Counting(Arc<AtomicUsize>, usize);

#[async_trait]
impl Transformation for Counting {
    async fn transform(&self, nodes: Vec<Node>) -> Result<Vec<Node>, ModelError> {
        match self.0.fetch_add(1, Ordering::SeqCst) == self.1 {
            true => Err("out of order".into()),
            false => Ok(nodes),
        }
    }
}

struct Run {
    kv: SimpleKvStore,
    docstore: KvDocumentStore,
    vectors: SimpleVectorStore,
    calls: Arc<AtomicUsize>,
}

impl Run {
    fn new() -> Self {
        let kv = SimpleKvStore::new();
        let docstore = KvDocumentStore::new(kv.clone());
        Self { kv, docstore, vectors: SimpleVectorStore::new(), calls: Arc::default() }
    }

    fn pipeline(&self, fails_at: usize) -> IngestionPipeline {
        IngestionPipeline::new()
            .transformation(Counting(Arc::clone(&self.calls), fails_at))
            .transformation(WholeDocuments)
            .transformation(EmbedNodes::new(TestEmbedder::new("m", 16)))
            .docstore(self.docstore.clone())
            .vector_store(Arc::new(self.vectors.clone()))
            .cache(None)
            .batch_size(2)
    }

    async fn run(&self, strategy: DocstoreStrategy, documents: &[(&str, &str)]) -> Ingested {
        self.pipeline(usize::MAX).docstore_strategy(strategy).run(inputs(documents)).await.unwrap()
    }

    /// The documents that vectors come from, each once for each vector.
    async fn sources(&self) -> Vec<String> {
        let rows = self.vectors.to_dict();
        let rows = rows.get("text_id_to_ref_doc_id").and_then(|rows| rows.as_object().cloned()).unwrap_or_default();
        let mut sources: Vec<String> = rows.values().map(|id| id.as_str().unwrap().to_string()).collect();
        sources.sort();
        sources
    }
}

fn inputs(documents: &[(&str, &str)]) -> Vec<Node> {
    documents.iter().map(|(id, text)| Node::document(*text).with_id(*id)).collect()
}

fn counts(ingested: &Ingested) -> [usize; 4] {
    [ingested.inserted, ingested.updated, ingested.unchanged, ingested.deleted]
}

#[test]
fn documents_are_known_by_their_ids() {
    block_on(async {
        let run = Run::new();
        let upserts = DocstoreStrategy::Upserts;
        // Equal texts do not hide each other.
        let first = run.run(upserts, &[("a", "same"), ("b", "same"), ("c", "other")]).await;
        assert_eq!((counts(&first), first.nodes.len()), ([3, 0, 0, 0], 3));
        let second = run.run(upserts, &[("a", "same"), ("b", "new"), ("d", "same")]).await;
        assert_eq!(counts(&second), [1, 1, 1, 0]);
        assert_eq!(run.calls.load(Ordering::SeqCst), 5);
        assert_eq!(run.sources().await, ["a", "b", "c", "d"]);
        let query = VectorStoreQuery::new(vec![1.0; 16]).with_top_k(9).with_doc_ids(["b"]);
        assert_eq!(run.vectors.query(&query).await.unwrap().ids, [second.nodes[0].id.clone()]);
    });
}

#[test]
fn duplicates_are_left_out_if_that_is_wanted() {
    block_on(async {
        let run = Run::new();
        let told = run.run(DocstoreStrategy::DuplicatesOnly, &[("a", "same"), ("b", "same"), ("c", "other")]).await;
        assert_eq!(counts(&told), [2, 0, 1, 0]);
        let told = run.run(DocstoreStrategy::DuplicatesOnly, &[("z", "other"), ("y", "new")]).await;
        assert_eq!((counts(&told), run.sources().await.len()), ([1, 0, 1, 0], 3));
    });
}

#[test]
fn what_is_not_among_the_inputs_goes_if_that_is_wanted() {
    block_on(async {
        let run = Run::new();
        run.run(DocstoreStrategy::Upserts, &[("a", "same"), ("b", "same"), ("c", "other")]).await;
        let told = run.run(DocstoreStrategy::UpsertsAndDelete, &[("b", "same"), ("c", "new")]).await;
        assert_eq!((counts(&told), run.sources().await), ([0, 1, 1, 1], vec!["b".to_owned(), "c".to_owned()]));
        let known: Vec<PyString> = run.docstore.get_all_document_hashes().await.unwrap().into_keys().collect();
        assert_eq!(known, ["b", "c"]);
    });
}

#[test]
fn a_run_that_is_interrupted_goes_on_where_it_was() {
    block_on(async {
        let documents = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5")];
        for fails_at in 0..5 {
            let run = Run::new();
            let told = run.pipeline(fails_at).workers(1).run(inputs(&documents)).await;
            let Err(Error::Ingestion { document, .. }) = told else { panic!("{told:?}") };
            assert_eq!(document, documents[fails_at].0);
            let stored = fails_at / 2 * 2;
            assert_eq!(run.sources().await.len(), stored);
            let again = run.run(DocstoreStrategy::Upserts, &documents).await;
            assert_eq!(counts(&again), [5 - stored, 0, stored, 0]);
            assert_eq!(run.sources().await, ["a", "b", "c", "d", "e"]);
        }
    });
}

#[test]
fn a_store_that_fails_loses_no_version_and_another_run_completes_it() {
    block_on(async {
        let today = [("a", "new"), ("b", "same"), ("c", "new"), ("d", "first")];
        for n in 0.. {
            let run = Run::new();
            run.run(DocstoreStrategy::Upserts, &[("a", "old"), ("b", "same"), ("c", "old"), ("z", "last")]).await;
            let fault = Fault::new();
            let kv = run.kv.clone();
            let failing = run
                .pipeline(usize::MAX)
                .docstore_strategy(DocstoreStrategy::UpsertsAndDelete)
                .docstore(KvDocumentStore::new(FailingKv(kv, fault.clone())))
                .vector_store(Arc::new(FailingVectors(run.vectors.clone(), fault.clone())));
            fault.arm(n);
            let failed = is_cut(failing.run(inputs(&today)).await);
            fault.arm(usize::MAX);
            let sources = run.sources().await;
            for id in ["a", "b", "c"] {
                assert!(sources.iter().any(|source| source == id), "write {n}: no version of {id}");
            }
            failing.run(inputs(&today)).await.unwrap();
            assert_eq!(run.sources().await, ["a", "b", "c", "d"], "write {n}");
            let told = failing.run(inputs(&today)).await.unwrap();
            assert_eq!(counts(&told), [0, 0, 4, 0], "write {n}");
            if !failed {
                assert!(n >= 6, "fewer writes than there are");
                break;
            }
        }
    });
}

#[test]
fn progress_is_told_and_order_kept() {
    block_on(async {
        let told: Arc<Mutex<Vec<IngestionProgress>>> = Arc::default();
        let seen = Arc::clone(&told);
        let documents: Vec<Node> = (0..7).map(|i| Node::document(format!("{i}")).with_id(format!("{i}"))).collect();
        let pipeline = IngestionPipeline::new().transformation(WholeDocuments).batch_size(3);
        let pipeline = pipeline.on_progress(move |progress| seen.lock().unwrap().push(progress));
        let nodes = pipeline.run(documents).await.unwrap().nodes;
        assert_eq!(nodes.iter().map(|node| node.text_content().to_string()).collect::<String>(), "0123456");
        let told: Vec<usize> =
            told.lock().unwrap().iter().map(|progress| progress.done * 10 + progress.total).collect();
        assert_eq!(told, [37, 67, 77]);
    });
}

#[test]
fn results_are_kept_and_found_again_in_files() {
    block_on(async {
        let place = MemoryFs::new();
        let pipeline = || {
            IngestionPipeline::new()
                .transformation(SentenceSplitter::new(20, 0).unwrap())
                .transformation(EmbedNodes::new(TestEmbedder::new("m", 4)))
                .docstore(KvDocumentStore::in_memory())
        };
        let first = pipeline();
        let nodes = first.run(inputs(&[("a", "One two. Three four.")])).await.unwrap().nodes;
        first.persist(place.clone()).await.unwrap();
        let again = pipeline().load(place.clone()).await.unwrap();
        assert_eq!(again.run(inputs(&[("a", "One two. Three four.")])).await.unwrap().unchanged, 1);
        // Another document store, the same cache: the very same nodes, and nothing is embedded.
        let text =
            raw_json::Text::decode(persist::PersistFs::read(&place, "llama_cache", u64::MAX).await.unwrap().unwrap());
        let cache = IngestionCache::from_text(&text.unwrap()).unwrap();
        assert_eq!(cache.keys().await.unwrap().len(), 2);
        let fresh = pipeline().cache(cache.clone());
        let told = fresh.run(inputs(&[("a", "One two. Three four.")])).await.unwrap();
        assert_eq!((told.nodes, told.cached), (nodes, 2));
        // Other settings are another key.
        let other = IngestionPipeline::new().transformation(SentenceSplitter::new(21, 0).unwrap()).cache(cache);
        assert_eq!(other.run(inputs(&[("a", "One two. Three four.")])).await.unwrap().cached, 0);
        let missing = IngestionPipeline::new().load(MemoryFs::new()).await;
        assert!(matches!(missing, Err(Error::Persist(persist::Error::NotFound { .. }))));
    });
}
