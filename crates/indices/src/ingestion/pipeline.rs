use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use docstore::{AddOptions, KvDocumentStore};
use fs_backends::IntoPlace;
use futures_util::stream::{StreamExt, TryStreamExt, iter};
use persist::{PersistFile, ReadOptions, commit, read_files};
use raw_json::{PyString, Text};
use schema::Node;
use vectorstore::{NodeSelection, VectorStore, VectorStoreQuery};

use super::cache::{self, IngestionCache};
use super::plan::{Plan, Todo, plan};
use crate::{Error, Result, Transformation};

/// What is known of documents that come again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DocstoreStrategy {
    /// New documents are worked on, and changed ones in place of their old versions.
    #[default]
    Upserts,
    /// Documents whose hash is known are left out, whatever their ids.
    DuplicatesOnly,
    /// As [`Upserts`](Self::Upserts), and documents that are not among the inputs go.
    UpsertsAndDelete,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestionProgress {
    /// How many documents are done and stored.
    pub done: usize,
    /// How many there are to do.
    pub total: usize,
}

/// What a run has done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ingested {
    /// The nodes that were made, in the order of their documents.
    pub nodes: Vec<Node>,
    /// How many inputs were new.
    pub inserted: usize,
    /// How many took the place of an old version.
    pub updated: usize,
    /// How many were as they were, and left alone.
    pub unchanged: usize,
    /// How many documents went because they were not among the inputs.
    pub deleted: usize,
    /// How many results of transformations came from the cache.
    pub cached: usize,
}

/// Makes nodes of documents and stores them, without doing twice what has not changed: LlamaIndex's
/// `IngestionPipeline`.
///
/// Documents are worked on in batches, and each batch is stored before the next: its vectors, then what is known of its
/// documents. A run that was interrupted goes on where it was when it is run again. The vectors of a document's old
/// version go after those of the new one have come.
///
/// ```
/// use docstore::KvDocumentStore;
/// use indices::{IngestionPipeline, SentenceSplitter};
/// use schema::Node;
///
/// # pollster::block_on(async {
/// let pipeline = IngestionPipeline::new()
///     .transformation(SentenceSplitter::default())
///     .docstore(KvDocumentStore::in_memory());
/// let documents = || vec![Node::document("The colca is a storehouse.").with_id("stores")];
/// assert_eq!(pipeline.run(documents()).await?.nodes.len(), 1);
/// assert_eq!(pipeline.run(documents()).await?.unchanged, 1);
/// # Ok::<(), indices::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct IngestionPipeline {
    transformations: Vec<Arc<dyn Transformation>>,
    docstore: Option<KvDocumentStore>,
    vector_store: Option<Arc<dyn VectorStore>>,
    strategy: DocstoreStrategy,
    cache: Option<IngestionCache>,
    store_doc_text: bool,
    batch_size: usize,
    workers: usize,
    on_progress: Option<Arc<OnProgress>>,
}

type OnProgress = dyn Fn(IngestionProgress) + Send + Sync;

impl fmt::Debug for IngestionPipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IngestionPipeline")
            .field("transformations", &self.transformations)
            .field("strategy", &self.strategy)
            .field("batch_size", &self.batch_size)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

impl Default for IngestionPipeline {
    fn default() -> Self {
        Self::new()
    }
}

/// LlamaIndex's name of the document store's file.
const DOCSTORE_FILE: &str = "docstore.json";

impl IngestionPipeline {
    /// A pipeline that does nothing yet, with a cache in memory.
    pub fn new() -> Self {
        Self {
            transformations: Vec::new(),
            docstore: None,
            vector_store: None,
            strategy: DocstoreStrategy::default(),
            cache: Some(IngestionCache::default()),
            store_doc_text: true,
            batch_size: 32,
            workers: 4,
            on_progress: None,
        }
    }

    /// Adds a transformation behind those there are.
    #[must_use]
    pub fn transformation(mut self, transformation: impl Transformation) -> Self {
        self.transformations.push(Arc::new(transformation));
        self
    }

    /// What knows the documents. Without it every run does everything.
    #[must_use]
    pub fn docstore(mut self, store: KvDocumentStore) -> Self {
        self.docstore = Some(store);
        self
    }

    /// What gets the nodes that have embeddings.
    #[must_use]
    pub fn vector_store(mut self, store: Arc<dyn VectorStore>) -> Self {
        self.vector_store = Some(store);
        self
    }

    /// What becomes of documents that come again; [`DocstoreStrategy::Upserts`] by default.
    #[must_use]
    pub fn docstore_strategy(mut self, strategy: DocstoreStrategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Where results of transformations are kept, or `None` to keep none; in memory by default.
    #[must_use]
    pub fn cache(mut self, cache: impl Into<Option<IngestionCache>>) -> Self {
        self.cache = cache.into();
        self
    }

    /// Whether the document store keeps the inputs' texts, and not only their hashes; it does by default.
    #[must_use]
    pub fn store_doc_text(mut self, store: bool) -> Self {
        self.store_doc_text = store;
        self
    }

    /// How many documents are stored together; 32 by default, and at least 1.
    #[must_use]
    pub fn batch_size(mut self, documents: usize) -> Self {
        self.batch_size = documents.max(1);
        self
    }

    /// How many documents are worked on at the same time; 4 by default, and at least 1.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// Is called whenever a batch has been stored.
    #[must_use]
    pub fn on_progress(mut self, call: impl Fn(IngestionProgress) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Arc::new(call));
        self
    }

    /// Where results of transformations are kept.
    pub fn get_cache(&self) -> Option<&IngestionCache> {
        self.cache.as_ref()
    }

    /// What knows the documents.
    pub fn get_docstore(&self) -> Option<&KvDocumentStore> {
        self.docstore.as_ref()
    }

    /// Works on documents or nodes, and stores what comes of them.
    ///
    /// Memory: the inputs, and all nodes that are made. Round trips: a few for each batch.
    ///
    /// # Errors
    /// [`Error::Ingestion`] if a transformation fails; what the stores report. The batches before are stored then, and
    /// another run goes on behind them.
    pub async fn run(&self, inputs: Vec<Node>) -> Result<Ingested> {
        let Plan { todo, unchanged, gone } = plan(inputs, self.docstore.as_ref(), self.strategy).await?;
        let mut ingested = Ingested { unchanged, ..Ingested::default() };
        let mut progress = IngestionProgress { done: 0, total: todo.len() };
        let mut rest = todo.into_iter().peekable();
        while rest.peek().is_some() {
            let batch: Vec<Todo> = rest.by_ref().take(self.batch_size).collect();
            let work = iter(batch.iter().map(|todo| self.transform(&todo.input)));
            let made: Vec<(Vec<Node>, usize)> = work.buffered(self.workers).try_collect().await?;
            self.store(&batch, &made).await?;
            progress.done += batch.len();
            let updated = batch.iter().filter(|todo| todo.is_update).count();
            ingested.updated += updated;
            ingested.inserted += batch.len() - updated;
            for (nodes, cached) in made {
                ingested.nodes.extend(nodes);
                ingested.cached += cached;
            }
            if let Some(call) = &self.on_progress {
                call(progress);
            }
        }
        for id in &gone {
            self.delete(id).await?;
        }
        ingested.deleted = gone.len();
        Ok(ingested)
    }

    /// What the transformations make of an input, and how many results were in the cache.
    async fn transform(&self, input: &Node) -> Result<(Vec<Node>, usize)> {
        let mut nodes = vec![input.clone()];
        let mut cached = 0;
        for transformation in &self.transformations {
            let key = match (&self.cache, transformation.cache_settings()) {
                (Some(kept), Some(settings)) => Some((kept, cache::key(&settings, &nodes)?)),
                _ => None,
            };
            if let Some((kept, key)) = &key
                && let Some(known) = kept.get(key.as_str()).await?
            {
                nodes = known;
                cached += 1;
                continue;
            }
            let failed = |source| Error::Ingestion { document: input.id.clone(), source };
            nodes = transformation.transform(nodes).await.map_err(failed)?;
            if let Some((kept, key)) = key {
                kept.put(key, &nodes).await?;
            }
        }
        Ok((nodes, cached))
    }

    /// Stores a batch: first new vectors, then old ones go, then the documents are known.
    async fn store(&self, batch: &[Todo], made: &[(Vec<Node>, usize)]) -> Result<()> {
        if let Some(store) = &self.vector_store {
            let embedded: Vec<Node> =
                made.iter().flat_map(|(nodes, _)| nodes).filter(|node| node.embedding.is_some()).cloned().collect();
            // Also of new documents: a run that was interrupted may have left some.
            let old = match &self.docstore {
                Some(_) => old_vectors(&**store, batch, &embedded).await?,
                None => Vec::new(),
            };
            let added: HashSet<PyString> = match embedded.is_empty() {
                true => HashSet::new(),
                false => store.add(&embedded).await?.into_iter().collect(),
            };
            let old: Vec<PyString> = old.into_iter().filter(|id| !added.contains(id)).collect();
            if !old.is_empty() {
                store.delete_nodes(&NodeSelection::default().with_node_ids(old)).await?;
            }
        }
        if let Some(store) = &self.docstore {
            let inputs: Vec<Node> = batch.iter().map(|todo| todo.input.clone()).collect();
            let options = AddOptions { store_text: self.store_doc_text, ..AddOptions::default() };
            store.add_documents_with(&inputs, options).await?;
        }
        Ok(())
    }

    async fn delete(&self, document: &PyString) -> Result<()> {
        if let Some(store) = &self.vector_store {
            store.delete(document).await?;
        }
        if let Some(store) = &self.docstore {
            store.delete_ref_doc(document).await?;
            store.delete_document(document).await?;
        }
        Ok(())
    }

    /// Writes the cache, and the document store if it lives in memory, as one commit: LlamaIndex's files.
    ///
    /// # Errors
    /// What the place reports; nothing has changed then.
    pub async fn persist(&self, place: impl IntoPlace) -> Result<()> {
        let place = place.into_place()?;
        let mut files = Vec::new();
        if let Some(file) = self.cache.as_ref().and_then(|cache| cache.kv().to_file()) {
            files.push(PersistFile::new(IngestionCache::COLLECTION, file.content));
        }
        if let Some(file) = self.docstore.as_ref().and_then(|store| store.kv().to_file()) {
            files.push(PersistFile::new(DOCSTORE_FILE, file.content));
        }
        commit(&*place, files, &[]).await?;
        Ok(())
    }

    /// Takes the cache, and the document store if there is one, from where a pipeline was persisted.
    ///
    /// # Errors
    /// [`persist::Error::NotFound`] if there is no cache; what is wrong with a file.
    pub async fn load(mut self, place: impl IntoPlace) -> Result<Self> {
        let place = place.into_place()?;
        let name = IngestionCache::COLLECTION;
        let mut files = read_files(&*place, &[name, DOCSTORE_FILE], ReadOptions::default()).await?.into_iter();
        let not_found = || persist::Error::NotFound { place: place.location(), name: name.to_owned() };
        let broken = |name: &str, e| Error::from(persist::Error::failed(place.location(), "read", name.to_owned(), e));
        let cache = files.next().flatten().ok_or_else(not_found)?;
        let text = Text::decode(cache.bytes).map_err(|e| broken(name, e))?;
        self.cache = Some(IngestionCache::from_text(&text)?);
        if let Some(file) = files.next().flatten() {
            let text = Text::decode(file.bytes).map_err(|e| broken(DOCSTORE_FILE, e))?;
            self.docstore = Some(KvDocumentStore::new(kv_core::SimpleKvStore::from_text(&text)?));
        }
        Ok(self)
    }
}

/// The vectors that a store has of documents. They are asked for by one of the new embeddings: which one does not
/// matter, since all are wanted. Where there is none, nothing comes in their place, and they go at once.
async fn old_vectors(store: &dyn VectorStore, batch: &[Todo], new: &[Node]) -> Result<Vec<PyString>> {
    let Some(embedding) = new.iter().find_map(|node| node.embedding.clone()) else {
        for todo in batch {
            store.delete(&todo.input.id).await?;
        }
        return Ok(Vec::new());
    };
    let query = VectorStoreQuery::new(embedding).with_top_k(0);
    let query = query.with_doc_ids(batch.iter().map(|todo| &todo.input.id));
    Ok(store.query(&query).await?.ids)
}
