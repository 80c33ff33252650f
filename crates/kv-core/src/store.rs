use std::fmt::Debug;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use persist::StoreFile;
use raw_json::{PyString, RawJson, Value};

use crate::{Result, WriteBatch};

/// Some entries of a collection, in its order.
pub type Page = Vec<(PyString, RawJson)>;

/// Named collections of JSON values.
///
/// For implementers: the three methods without a body are all there is to write. For callers:
/// [`KvStoreExt`](crate::KvStoreExt) has the short forms. A collection that nothing was put into is the same as an
/// empty one. Handles are shared (`Arc<dyn KvStore>`), and every method may be called from several tasks at once.
#[async_trait]
pub trait KvStore: Debug + Send + Sync + 'static {
    /// The values of `keys`, each at the place of its key; `None` where there is no such key. One round trip, or a few
    /// for many keys.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn get_many(&self, collection: &str, keys: &[PyString]) -> Result<Vec<Option<RawJson>>>;

    /// All entries, in pages of at most `page_size` (at least 1). In the order of insertion where the store keeps one.
    /// What is written meanwhile may or may not be seen; the in-memory store shows the state at the call.
    fn scan<'a>(&'a self, collection: &'a str, page_size: usize) -> BoxStream<'a, Result<Page>>;

    /// Does all that the batch says, if its conditions hold.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`](crate::Error::PreconditionFailed), and then nothing has changed;
    /// otherwise what the store beneath reports, and then [`atomicity`](Self::atomicity) tells what may have changed.
    async fn apply(&self, batch: WriteBatch) -> Result<Applied>;

    /// What a batch that fails half-way leaves behind.
    fn atomicity(&self) -> Atomicity;

    /// The names that LlamaIndex's stores give their collections in this kind of database.
    fn layout(&self) -> Layout {
        Layout::default()
    }

    /// How the content outlives the process.
    fn persistence(&self) -> Persistence {
        Persistence::SelfManaged
    }

    /// For a store in memory: its state as a file. `None` if the store keeps itself.
    fn to_file(&self) -> Option<StoreFile> {
        None
    }

    /// For a store in memory: its whole content, LlamaIndex's `to_dict`.
    fn to_dict(&self) -> Option<Value> {
        None
    }
}

/// What a batch did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// How many of the keys to be deleted were there.
    pub deleted: usize,
}

/// What a failing batch may leave behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Atomicity {
    /// Nothing: batches happen as a whole.
    Batch,
    /// The first changes of the batch, each complete.
    Key,
}

/// How a store's content outlives the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It has to be persisted.
    InMemory,
    /// The store keeps itself, in a database for example.
    SelfManaged,
}

/// What LlamaIndex appends to a namespace to name a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The document store's nodes.
    pub nodes: &'static str,
    /// The document store's hashes.
    pub metadata: &'static str,
    /// Which nodes each document has.
    pub ref_doc_info: &'static str,
    /// The index structs.
    pub index_structs: &'static str,
}

impl Default for Layout {
    fn default() -> Self {
        Self { nodes: "/data", metadata: "/metadata", ref_doc_info: "/ref_doc_info", index_structs: "/data" }
    }
}
