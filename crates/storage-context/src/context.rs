use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use docstore::KvDocumentStore;
use fs_backends::IntoPlace;
use graphstore::{GraphStore, PropertyGraphStore};
use indexmap::IndexMap;
use indexstore::KvIndexStore;
use persist::StoreFile;
use vectorstore::{VectorStore, VectorStoreRegistry};

use crate::origin::{Origins, Role};
use crate::{DEFAULT_NAMESPACE, FileNames, OpenOptions, OpenReport, Result, StorageContextBuilder};

/// The stores of one application. A clone is another handle on the same ones.
#[derive(Debug, Clone)]
pub struct StorageContext {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) docstore: KvDocumentStore,
    pub(crate) index_store: KvIndexStore,
    pub(crate) graph_store: Arc<dyn GraphStore>,
    pub(crate) property_graph_store: Option<Arc<dyn PropertyGraphStore>>,
    pub(crate) vector_stores: RwLock<IndexMap<String, Arc<dyn VectorStore>>>,
    pub(crate) origins: Mutex<Origins>,
    /// What the files are called where nothing else is said.
    pub(crate) file_names: FileNames,
    /// The kinds of vector store files that are recognised when the context is opened again.
    pub(crate) registry: VectorStoreRegistry,
    /// How the context was opened.
    pub(crate) open_options: OpenOptions,
    /// What was found where the context was opened.
    pub(crate) opened: Option<OpenReport>,
    /// Held while the context is persisted: one persist after the other, so that none undoes a later one.
    pub(crate) persisting: futures_util::lock::Mutex<()>,
}

impl StorageContext {
    /// An empty context in memory, with LlamaIndex's vector stores `default` and `image`.
    pub fn in_memory() -> Self {
        Self::builder().build()
    }

    /// Puts a context together from parts.
    pub fn builder() -> StorageContextBuilder {
        StorageContextBuilder::default()
    }

    /// Opens the context at a place: a path, a URI or a place of your own. Nothing is written.
    ///
    /// What is opened is one generation of the place, whole, whichever writer is at work or was killed there; and what
    /// other programs have written since, which [`open_report`](Self::open_report) tells.
    ///
    /// `docstore.json` and `index_store.json` must be there; every `{namespace}__vector_store.json` is a vector store,
    /// and one called `vector_store.json`, as older versions wrote it, the one of the namespace `default`.
    ///
    /// # Errors
    /// [`Error::MissingFile`](crate::Error::MissingFile), [`Error::Damaged`](crate::Error::Damaged) with the
    /// file and the place in it, and what the place reports.
    pub async fn open(place: impl IntoPlace) -> Result<Self> {
        Self::builder().open(place).await
    }

    /// As [`open`](Self::open), with options.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(place: impl IntoPlace, options: &OpenOptions) -> Result<Self> {
        Self::builder().open_options(options.clone()).open(place).await
    }

    /// Opens the context at a place, or makes an empty one if there is nothing there. Nothing is written until it is
    /// persisted.
    ///
    /// # Errors
    /// As [`open`](Self::open); a place with only some of a context's files is an error, not an empty context.
    pub async fn open_or_create(place: impl IntoPlace) -> Result<Self> {
        Self::builder().open_or_create(place).await
    }

    /// What was found at the place that the context was opened from: its generation, and what other programs have done to
    /// it. `None` if the context was not opened.
    pub fn open_report(&self) -> Option<&OpenReport> {
        self.inner.opened.as_ref()
    }

    /// The document store.
    pub fn docstore(&self) -> &KvDocumentStore {
        &self.inner.docstore
    }

    /// The index store.
    pub fn index_store(&self) -> &KvIndexStore {
        &self.inner.index_store
    }

    /// The graph store.
    pub fn graph_store(&self) -> &Arc<dyn GraphStore> {
        &self.inner.graph_store
    }

    /// The property graph store, if the context has one.
    pub fn property_graph_store(&self) -> Option<&Arc<dyn PropertyGraphStore>> {
        self.inner.property_graph_store.as_ref()
    }

    /// The vector store that indexes use, of the namespace `default`, if there is one.
    pub fn vector_store(&self) -> Option<Arc<dyn VectorStore>> {
        self.vector_store_of(DEFAULT_NAMESPACE)
    }

    /// The vector store of a namespace, if there is one.
    pub fn vector_store_of(&self, namespace: &str) -> Option<Arc<dyn VectorStore>> {
        self.inner.vector_stores.read().unwrap_or_else(PoisonError::into_inner).get(namespace).cloned()
    }

    /// The namespaces of the vector stores, in order.
    pub fn namespaces(&self) -> Vec<String> {
        self.vector_stores().into_keys().collect()
    }

    /// All vector stores by namespace, in order.
    pub fn vector_stores(&self) -> IndexMap<String, Arc<dyn VectorStore>> {
        self.inner.vector_stores.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a vector store into a namespace, in place of the one that is there.
    ///
    /// # Errors
    /// [`persist::Error::InvalidName`] if no file could be named after the namespace.
    pub fn add_vector_store(&self, namespace: impl Into<String>, store: Arc<dyn VectorStore>) -> Result<()> {
        let namespace = namespace.into();
        persist::check_name(&self.inner.file_names.vector_store(&namespace))?;
        self.inner.vector_stores.write().unwrap_or_else(PoisonError::into_inner).insert(namespace, store);
        Ok(())
    }

    /// Takes a vector store out of the context. Where it was opened from or persisted to, the next persist deletes its
    /// file.
    pub fn remove_vector_store(&self, namespace: &str) -> Option<Arc<dyn VectorStore>> {
        self.inner.vector_stores.write().unwrap_or_else(PoisonError::into_inner).shift_remove(namespace)
    }

    /// The stores of the context, in LlamaIndex's order.
    pub(crate) fn roles(&self) -> Vec<Role> {
        let mut roles = vec![Role::Docstore, Role::IndexStore, Role::GraphStore];
        roles.extend(self.property_graph_store().map(|_| Role::PropertyGraphStore));
        roles.extend(self.namespaces().into_iter().map(Role::VectorStore));
        roles
    }

    /// The state of a store as a file, which is `None` if the store keeps itself; `None` if there is no such store.
    pub(crate) fn file_of(&self, role: &Role) -> Option<Option<StoreFile>> {
        match role {
            Role::Docstore => Some(self.docstore().kv().to_file()),
            Role::IndexStore => Some(self.index_store().kv().to_file()),
            Role::GraphStore => Some(self.graph_store().to_file()),
            Role::PropertyGraphStore => self.property_graph_store().map(|graph| graph.to_file()),
            Role::VectorStore(namespace) => self.vector_store_of(namespace).map(|store| store.to_file()),
        }
    }

    pub(crate) fn has_store(&self, role: &Role) -> bool {
        match role {
            Role::Docstore | Role::IndexStore | Role::GraphStore => true,
            Role::PropertyGraphStore => self.property_graph_store().is_some(),
            Role::VectorStore(namespace) => self.vector_store_of(namespace).is_some(),
        }
    }

    pub(crate) fn origins(&self) -> MutexGuard<'_, Origins> {
        self.inner.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
