use std::future::Future;
use std::sync::Arc;

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use indexmap::IndexMap;
use kv_core::{KvStore, KvStoreExt, SimpleKvStore};
use raw_json::{PyString, RawJson};
use schema::Node;

use crate::{Error, RefDocInfo, Result};

/// How many entries are read at a time when all are.
const PAGE_SIZE: usize = 1000;

/// How often a change is tried again when other writers interfere.
const TRIES_MAX: usize = 64;

/// A document store over any key-value store. A clone is another handle on the same data.
#[derive(Debug, Clone)]
pub struct KvDocumentStore {
    pub(crate) kv: Arc<dyn KvStore>,
    pub(crate) nodes: String,
    pub(crate) metadata: String,
    pub(crate) ref_doc_info: String,
}

impl KvDocumentStore {
    /// LlamaIndex's default namespace.
    pub const NAMESPACE: &'static str = "docstore";

    /// Lies over `kv`, in LlamaIndex's default namespace.
    pub fn new(kv: impl KvStore) -> Self {
        Self::from(Arc::new(kv) as Arc<dyn KvStore>)
    }

    /// An empty store in memory.
    pub fn in_memory() -> Self {
        Self::new(SimpleKvStore::new())
    }

    /// Uses collections of another namespace. Python opens a directory in the default one only.
    #[must_use]
    pub fn with_namespace(self, namespace: &str) -> Self {
        let layout = self.kv.layout();
        Self {
            nodes: format!("{namespace}{}", layout.nodes),
            metadata: format!("{namespace}{}", layout.metadata),
            ref_doc_info: format!("{namespace}{}", layout.ref_doc_info),
            kv: self.kv,
        }
    }

    /// The key-value store beneath.
    pub fn kv(&self) -> &Arc<dyn KvStore> {
        &self.kv
    }

    /// The name of the collection of nodes.
    pub fn nodes_collection(&self) -> &str {
        &self.nodes
    }

    /// A node, or `None`.
    ///
    /// # Errors
    /// [`Error::Node`] if it is there and cannot be read.
    pub async fn get_document(&self, id: impl Into<PyString>) -> Result<Option<Node>> {
        let id = id.into();
        let raw = self.kv.get(&self.nodes, &id).await?;
        raw.map(|raw| self.read_node(&id, &raw)).transpose()
    }

    /// A node that must be there.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::Node`] if it cannot be read.
    pub async fn require_document(&self, id: impl Into<PyString>) -> Result<Node> {
        let id = id.into();
        let found = self.get_document(&id).await?;
        found.ok_or_else(|| Error::NotFound { collection: self.nodes.clone(), id })
    }

    /// Several nodes, each at the place of its id; `None` where there is none. One round trip.
    ///
    /// # Errors
    /// [`Error::Node`] if one cannot be read.
    pub async fn get_nodes(&self, ids: &[PyString]) -> Result<Vec<Option<Node>>> {
        let raws = self.kv.get_many(&self.nodes, ids).await?;
        ids.iter().zip(raws).map(|(id, raw)| raw.map(|raw| self.read_node(id, &raw)).transpose()).collect()
    }

    /// All nodes, in the order they were added, as they come from the store. A node that cannot be read is an error in
    /// its place; the stream goes on after it.
    pub fn stream(&self) -> BoxStream<'_, Result<Node>> {
        let raws = self.stream_raw();
        raws.map(|entry| entry.and_then(|(id, raw)| self.read_node(&id, &raw))).boxed()
    }

    /// All nodes by id, LlamaIndex's `docs`.
    ///
    /// # Errors
    /// [`Error::Node`] if one cannot be read.
    pub async fn docs(&self) -> Result<IndexMap<PyString, Node>> {
        self.stream_raw()
            .map(|entry| entry.and_then(|(id, raw)| Ok((id.clone(), self.read_node(&id, &raw)?))))
            .try_collect()
            .await
    }

    /// The ids of all nodes, in the order they were added.
    ///
    /// # Errors
    /// If the store beneath fails.
    pub async fn node_ids(&self) -> Result<Vec<PyString>> {
        self.stream_raw().map_ok(|(id, _)| id).try_collect().await
    }

    /// Whether a node is stored. One whose text was not stored is not.
    ///
    /// # Errors
    /// If the store beneath fails.
    pub async fn document_exists(&self, id: impl Into<PyString>) -> Result<bool> {
        Ok(self.kv.contains(&self.nodes, id).await?)
    }

    /// Whether nodes of this document are stored.
    ///
    /// # Errors
    /// As [`get_ref_doc_info`](Self::get_ref_doc_info).
    pub async fn ref_doc_exists(&self, ref_doc_id: impl Into<PyString>) -> Result<bool> {
        Ok(self.get_ref_doc_info(ref_doc_id).await?.is_some())
    }

    /// What is known of a document, or `None`.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the record cannot be read.
    pub async fn get_ref_doc_info(&self, ref_doc_id: impl Into<PyString>) -> Result<Option<RefDocInfo>> {
        let id = ref_doc_id.into();
        let raw = self.kv.get(&self.ref_doc_info, &id).await?;
        raw.map_or(Ok(None), |raw| self.read_info(&id, &raw))
    }

    /// What is known of several documents, each at the place of its id; `None` where nothing is. One round trip.
    ///
    /// # Errors
    /// [`Error::Damaged`] if a record cannot be read.
    pub async fn get_ref_doc_infos(&self, ref_doc_ids: &[PyString]) -> Result<Vec<Option<RefDocInfo>>> {
        let raws = self.kv.get_many(&self.ref_doc_info, ref_doc_ids).await?;
        ref_doc_ids.iter().zip(raws).map(|(id, raw)| raw.map_or(Ok(None), |raw| self.read_info(id, &raw))).collect()
    }

    /// What is known of all documents, in the order they were added.
    ///
    /// # Errors
    /// [`Error::Damaged`] if a record cannot be read.
    pub async fn get_all_ref_doc_info(&self) -> Result<IndexMap<PyString, RefDocInfo>> {
        let mut all = IndexMap::new();
        for (id, raw) in self.kv.get_all(&self.ref_doc_info).await? {
            if let Some(info) = self.read_info(&id, &raw)? {
                all.insert(id, info);
            }
        }
        Ok(all)
    }

    pub(crate) fn read_node(&self, id: &PyString, raw: &RawJson) -> Result<Node> {
        Node::from_raw(raw, id).map_err(|source| self.node_error(source))
    }

    pub(crate) fn node_error(&self, source: schema::Error) -> Error {
        Error::Node { collection: self.nodes.clone(), source }
    }

    pub(crate) fn read_info(&self, id: &PyString, raw: &RawJson) -> Result<Option<RefDocInfo>> {
        RefDocInfo::from_raw(raw).map_err(|problem| Error::Damaged {
            collection: self.ref_doc_info.clone(),
            key: id.clone(),
            problem,
        })
    }

    pub(crate) fn stream_raw(&self) -> BoxStream<'_, Result<(PyString, RawJson)>> {
        let pages = self.kv.scan(&self.nodes, PAGE_SIZE).map_err(Error::from);
        pages.map_ok(|page| stream::iter(page.into_iter().map(Ok))).try_flatten().boxed()
    }

    /// Runs a read-and-write until no other writer comes between.
    pub(crate) async fn retry<T, F: Future<Output = Result<T>>>(&self, mut attempt: impl FnMut() -> F) -> Result<T> {
        for _ in 0..TRIES_MAX {
            match attempt().await {
                Err(Error::Kv(e)) if e.is_precondition_failed() => {}
                done => return done,
            }
        }
        Err(Error::Contended { tries: TRIES_MAX })
    }
}

impl From<Arc<dyn KvStore>> for KvDocumentStore {
    fn from(kv: Arc<dyn KvStore>) -> Self {
        let unnamed = Self { kv, nodes: String::new(), metadata: String::new(), ref_doc_info: String::new() };
        unnamed.with_namespace(Self::NAMESPACE)
    }
}
