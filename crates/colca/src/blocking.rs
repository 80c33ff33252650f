//! The API for programs that are not async.
//!
//! [`StorageContext`] and [`Index`] have the common operations; for everything else [`wait`] runs any future of this
//! workspace.
//!
//! ```
//! use colca::blocking::{Index, StorageContext, wait};
//! use colca::prelude::{HashEmbedder, Node, QueryEngineExt, RetrieverExt, VectorStoreIndex};
//!
//! # fn main() -> colca::Result<()> {
//! # let dir = tempfile::tempdir().expect("a temporary folder");
//! # let path = dir.path().join("storage");
//! let ctx = StorageContext::open_or_create(&path)?;
//! let builder = VectorStoreIndex::builder(ctx.inner()).id("essays").embedder(HashEmbedder::default());
//! let index = Index::from_documents(builder, vec![Node::document("The colca is a storehouse.").with_id("stores")])?;
//! index.insert(Node::document("Llamas carry grain.").with_id("llamas"))?;
//! ctx.persist(&path)?;
//!
//! let index = StorageContext::open(&path)?.load_index(Some("essays"))?.with_embedder(HashEmbedder::default());
//! assert_eq!(index.query("What carries grain?")?.to_string(), "Llamas carry grain.");
//!
//! let nearest = index.inner().as_retriever().top_k(1);
//! assert_eq!(wait(nearest.retrieve("What is a colca?"))?.len(), 1);
//!
//! let mut answer = wait(index.inner().as_query_engine().query_stream("What carries grain?"))?;
//! while let Some(piece) = wait(async { answer.next().await.transpose() })? {
//!     print!("{piece}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Inside an async runtime, its blocking pool included, every call fails with [`Error::InsideRuntime`] and does
//! nothing: there the async API is at hand.

use std::future::Future;
use std::sync::OnceLock;

use docstore::{Deleted, RefDocInfo};
use fs_backends::IntoPlace;
use indices::{
    Embedder, IndexBuilder, IndexKind, Llm, NodeWithScore, QueryBundle, QueryEngineExt, Response, RetrieverExt,
};
use raw_json::PyString;
use schema::Node;
use storage_context::{OpenOptions, PersistOptions, PersistReport, ReopenOptions, Reopened};
use tokio::runtime::{Builder, Handle, Runtime};
use vectorstore::{VectorStoreQuery, VectorStoreQueryResult};

use crate::{Error, Result};

/// Runs a future to its end on this thread.
///
/// # Errors
/// [`Error::InsideRuntime`] on a thread of an async runtime, and those of the future.
pub fn wait<T, E: Into<Error>>(future: impl Future<Output = Result<T, E>>) -> Result<T> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if Handle::try_current().is_ok() {
        return Err(Error::InsideRuntime);
    }
    let runtime = match RUNTIME.get() {
        Some(runtime) => runtime,
        None => {
            let made = Builder::new_multi_thread().worker_threads(1).thread_name("colca-blocking").enable_all().build();
            let made = made.map_err(|e| persist::Error::failed("this process", "start", "the blocking runtime", e))?;
            RUNTIME.get_or_init(|| made)
        }
    };
    runtime.block_on(future).map_err(Into::into)
}

/// A storage context for programs that are not async. A clone is another handle on the same stores.
#[derive(Debug, Clone)]
pub struct StorageContext {
    inner: storage_context::StorageContext,
}

impl StorageContext {
    /// An empty context in memory.
    pub fn in_memory() -> Self {
        storage_context::StorageContext::in_memory().into()
    }

    /// Opens the context at a place.
    ///
    /// # Errors
    /// As [`storage_context::StorageContext::open`].
    pub fn open(place: impl IntoPlace) -> Result<Self> {
        wait(storage_context::StorageContext::open(place)).map(Self::from)
    }

    /// Opens the context at a place, with options.
    ///
    /// # Errors
    /// As [`storage_context::StorageContext::open`].
    pub fn open_with(place: impl IntoPlace, options: &OpenOptions) -> Result<Self> {
        wait(storage_context::StorageContext::open_with(place, options)).map(Self::from)
    }

    /// Opens the context at a place, or makes an empty one if there is nothing there.
    ///
    /// # Errors
    /// As [`storage_context::StorageContext::open_or_create`].
    pub fn open_or_create(place: impl IntoPlace) -> Result<Self> {
        wait(storage_context::StorageContext::open_or_create(place)).map(Self::from)
    }

    /// Opens the context again if the location that it was opened from has changed; `None` if it has not.
    ///
    /// # Errors
    /// As [`storage_context::StorageContext::reopen_if_changed`].
    pub fn reopen_if_changed(&self) -> Result<Option<Self>> {
        Ok(wait(self.inner.reopen_if_changed())?.map(Self::from))
    }

    /// Opens the context again if a location has changed, with options. A new context becomes a blocking one with `from`.
    ///
    /// # Errors
    /// As [`storage_context::StorageContext::reopen_if_changed_with`].
    pub fn reopen_if_changed_with(&self, options: &ReopenOptions) -> Result<Reopened> {
        wait(self.inner.reopen_if_changed_with(options))
    }

    /// Writes the context to a place, as one commit.
    ///
    /// # Errors
    /// As [`storage_context::StorageContext::persist`].
    pub fn persist(&self, place: impl IntoPlace) -> Result<PersistReport> {
        wait(self.inner.persist(place))
    }

    /// Writes the context to a place, with options.
    ///
    /// # Errors
    /// As [`storage_context::StorageContext::persist`].
    pub fn persist_with(&self, place: impl IntoPlace, options: &PersistOptions) -> Result<PersistReport> {
        wait(self.inner.persist_with(place, options))
    }

    /// Rewrites what older versions wrote into what today's LlamaIndex reads.
    ///
    /// # Errors
    /// As [`storage_context::StorageContext::upgrade`].
    pub fn upgrade(&self) -> Result<storage_context::Upgraded> {
        wait(self.inner.upgrade())
    }

    /// A node, or `None`.
    ///
    /// # Errors
    /// As [`docstore::KvDocumentStore::get_document`].
    pub fn get_document(&self, id: impl Into<PyString>) -> Result<Option<Node>> {
        wait(self.inner.docstore().get_document(id))
    }

    /// Adds nodes or documents to the document store.
    ///
    /// # Errors
    /// As [`docstore::KvDocumentStore::add_documents`].
    pub fn add_documents(&self, nodes: &[Node]) -> Result<()> {
        wait(self.inner.docstore().add_documents(nodes))
    }

    /// Deletes a document and its nodes from the document store.
    ///
    /// # Errors
    /// As [`docstore::KvDocumentStore::delete_ref_doc`].
    pub fn delete_ref_doc(&self, ref_doc_id: impl Into<PyString>) -> Result<Deleted> {
        wait(self.inner.docstore().delete_ref_doc(ref_doc_id))
    }

    /// What is known of a document, or `None`.
    ///
    /// # Errors
    /// As [`docstore::KvDocumentStore::get_ref_doc_info`].
    pub fn get_ref_doc_info(&self, ref_doc_id: impl Into<PyString>) -> Result<Option<RefDocInfo>> {
        wait(self.inner.docstore().get_ref_doc_info(ref_doc_id))
    }

    /// Queries the vector store of a namespace; `None` if there is no such namespace.
    ///
    /// # Errors
    /// As [`vectorstore::VectorStore::query`].
    pub fn query(&self, namespace: &str, query: &VectorStoreQuery) -> Result<Option<VectorStoreQueryResult>> {
        match self.inner.vector_store_of(namespace) {
            Some(store) => wait(store.query(query)).map(Some),
            None => Ok(None),
        }
    }

    /// Loads one index: the one with this id, or the only one there is.
    ///
    /// # Errors
    /// As [`indices::load_index_from_storage`].
    pub fn load_index(&self, index_id: Option<&str>) -> Result<Index> {
        wait(indices::load_index_from_storage(&self.inner, index_id)).map(Index::from)
    }

    /// Loads all indexes, or those with the given ids.
    ///
    /// # Errors
    /// As [`indices::load_indices_from_storage`].
    pub fn load_indices(&self, index_ids: Option<&[&str]>) -> Result<Vec<Index>> {
        let loaded = wait(indices::load_indices_from_storage(&self.inner, index_ids))?;
        Ok(loaded.into_iter().map(Index::from).collect())
    }

    /// The context itself, with all that is not here. [`wait`] runs its futures.
    pub fn inner(&self) -> &storage_context::StorageContext {
        &self.inner
    }
}

impl From<storage_context::StorageContext> for StorageContext {
    fn from(inner: storage_context::StorageContext) -> Self {
        Self { inner }
    }
}

/// An index for programs that are not async.
#[derive(Debug, Clone)]
pub struct Index {
    inner: indices::Index,
}

impl Index {
    /// Builds an index from documents. Its builder is that of its kind, for example
    /// [`VectorStoreIndex::builder`](indices::VectorStoreIndex::builder).
    ///
    /// # Errors
    /// As [`IndexBuilder::from_documents`].
    pub fn from_documents<T>(builder: IndexBuilder<T>, documents: Vec<Node>) -> Result<Self>
    where
        T: IndexKind + Into<indices::Index>,
    {
        Ok(Self { inner: wait(builder.from_documents(documents))?.into() })
    }

    /// Builds an index from nodes.
    ///
    /// # Errors
    /// As [`IndexBuilder::from_nodes`].
    pub fn from_nodes<T>(builder: IndexBuilder<T>, nodes: Vec<Node>) -> Result<Self>
    where
        T: IndexKind + Into<indices::Index>,
    {
        Ok(Self { inner: wait(builder.from_nodes(nodes))?.into() })
    }

    /// Gives the index a model for embeddings, as [`indices::Index::with_embedder`] does.
    #[must_use]
    pub fn with_embedder(self, embedder: impl Embedder) -> Self {
        Self { inner: self.inner.with_embedder(embedder) }
    }

    /// Gives the index a language model, as [`indices::Index::with_llm`] does.
    #[must_use]
    pub fn with_llm(self, llm: impl Llm) -> Self {
        Self { inner: self.inner.with_llm(llm) }
    }

    /// Finds nodes as this kind of index does by default: see [`indices::Index::as_retriever`].
    ///
    /// # Errors
    /// As [`indices::Retriever::retrieve_bundle`].
    pub fn retrieve(&self, query: impl Into<QueryBundle>) -> Result<Vec<NodeWithScore>> {
        wait(self.inner.as_retriever().retrieve(query))
    }

    /// Answers a question from what [`retrieve`](Self::retrieve) finds: see [`indices::Index::as_query_engine`].
    ///
    /// # Errors
    /// As [`indices::QueryEngine::query_bundle`].
    pub fn query(&self, query: impl Into<QueryBundle>) -> Result<Response> {
        wait(self.inner.as_query_engine().query(query))
    }

    /// Inserts a document.
    ///
    /// # Errors
    /// As [`indices::IndexHandle::insert`].
    pub fn insert(&self, document: Node) -> Result<()> {
        wait(self.inner.insert(document))
    }

    /// Inserts documents that are new and updates those that have changed; `true` stands for these.
    ///
    /// # Errors
    /// As [`indices::IndexHandle::refresh_ref_docs`].
    pub fn refresh_ref_docs(&self, documents: Vec<Node>) -> Result<Vec<bool>> {
        wait(self.inner.refresh_ref_docs(documents))
    }

    /// Deletes a document, with its nodes as far as no other index needs them.
    ///
    /// # Errors
    /// As [`indices::IndexHandle::delete_ref_doc`].
    pub fn delete_ref_doc(&self, ref_doc_id: impl Into<PyString>) -> Result<indices::Deleted> {
        wait(self.inner.delete_ref_doc(ref_doc_id))
    }

    /// The index's id.
    pub fn index_id(&self) -> PyString {
        self.inner.index_id()
    }

    /// What the index is about, if someone said so.
    pub fn summary(&self) -> Option<PyString> {
        self.inner.summary()
    }

    /// The index's nodes, each once, in its order.
    ///
    /// # Errors
    /// As [`indices::IndexHandle::nodes`].
    pub fn nodes(&self) -> Result<Vec<Node>> {
        wait(self.inner.nodes())
    }

    /// Gives the index another id.
    ///
    /// # Errors
    /// As [`indices::IndexHandle::set_index_id`].
    pub fn set_index_id(&self, index_id: impl Into<PyString>) -> Result<()> {
        wait(self.inner.set_index_id(index_id))
    }

    /// The index itself, with all that is not here. [`wait`] runs its futures.
    pub fn inner(&self) -> &indices::Index {
        &self.inner
    }
}

impl From<indices::Index> for Index {
    fn from(inner: indices::Index) -> Self {
        Self { inner }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_a_runtime_a_call_fails_and_says_what_to_do() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let failed = runtime.block_on(async { StorageContext::open("nowhere") }).unwrap_err();
        assert!(matches!(failed, Error::InsideRuntime));
        assert!(failed.to_string().contains("use the async API"));
    }

    #[test]
    fn of_two_contexts_the_later_hears_of_the_conflict() {
        let place = persist::MemoryFs::new();
        StorageContext::in_memory().persist(place.clone()).unwrap();
        let failed = StorageContext::in_memory().persist(place).unwrap_err();
        assert!(failed.is_conflict() && !failed.is_not_found(), "{failed}");
    }

    #[test]
    fn a_location_is_followed() {
        let place = persist::MemoryFs::new();
        let writer = StorageContext::in_memory();
        writer.persist(place.clone()).unwrap();
        let ctx = StorageContext::open(place.clone()).unwrap();
        assert!(ctx.reopen_if_changed().unwrap().is_none());
        writer.add_documents(&[Node::text("x").with_id("n1")]).unwrap();
        writer.persist(place).unwrap();
        let newer = ctx.reopen_if_changed().unwrap().unwrap();
        assert!(newer.get_document("n1").unwrap().is_some());
        let reopened = newer.reopen_if_changed_with(&ReopenOptions::default()).unwrap();
        assert!(matches!(reopened, Reopened::Unchanged { listed: true }));
    }

    #[test]
    fn outside_a_runtime_calls_run_from_any_thread() {
        let ctx = StorageContext::in_memory();
        std::thread::scope(|scope| {
            for i in 0..4 {
                let ctx = ctx.clone();
                scope.spawn(move || ctx.add_documents(&[Node::text("x").with_id(format!("n{i}"))]).unwrap());
            }
        });
        assert_eq!(wait(ctx.inner().docstore().node_ids()).unwrap().len(), 4);
    }
}
