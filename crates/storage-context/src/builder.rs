use std::collections::HashSet;
use std::sync::{Arc, Mutex, RwLock};

use docstore::KvDocumentStore;
use fs_backends::IntoPlace;
use graphstore::{GraphStore, PropertyGraphStore, SimpleGraphStore};
use indexmap::IndexMap;
use indexstore::KvIndexStore;
use persist::ReadOptions;
use vectorstore::{VectorStore, VectorStoreLoader, VectorStoreRegistry};
use vectorstore_simple::SimpleVectorStore;

use crate::context::Inner;
use crate::open::open;
use crate::origin::{Origins, Role};
use crate::{DEFAULT_NAMESPACE, FileNames, IMAGE_NAMESPACE, OpenOptions, OpenReport, Result, StorageContext};

/// Puts a storage context together. Parts that are given win; the others come from the place that is opened, or are
/// made empty.
///
/// ```
/// use std::sync::Arc;
/// use docstore::KvDocumentStore;
/// use kv_core::SimpleKvStore;
/// use storage_context::StorageContext;
/// use vectorstore_simple::SimpleVectorStore;
///
/// let ctx = StorageContext::builder()
///     .docstore(KvDocumentStore::new(SimpleKvStore::new()).with_namespace("team"))
///     .named_vector_store("reviews", Arc::new(SimpleVectorStore::new()))
///     .build();
/// assert_eq!(ctx.namespaces(), ["reviews", "default", "image"]);
/// ```
#[derive(Debug, Clone)]
pub struct StorageContextBuilder {
    pub(crate) docstore: Option<KvDocumentStore>,
    pub(crate) index_store: Option<KvIndexStore>,
    pub(crate) graph_store: Option<Arc<dyn GraphStore>>,
    pub(crate) property_graph_store: Option<Arc<dyn PropertyGraphStore>>,
    pub(crate) vector_stores: IndexMap<String, Arc<dyn VectorStore>>,
    pub(crate) file_names: FileNames,
    pub(crate) registry: VectorStoreRegistry,
    pub(crate) open_options: OpenOptions,
}

impl Default for StorageContextBuilder {
    fn default() -> Self {
        Self {
            docstore: None,
            index_store: None,
            graph_store: None,
            property_graph_store: None,
            vector_stores: IndexMap::new(),
            file_names: FileNames::default(),
            registry: VectorStoreRegistry::new().with(SimpleVectorStore::loader()),
            open_options: OpenOptions::default(),
        }
    }
}

impl StorageContextBuilder {
    /// The document store.
    #[must_use]
    pub fn docstore(mut self, store: KvDocumentStore) -> Self {
        self.docstore = Some(store);
        self
    }

    /// The index store.
    #[must_use]
    pub fn index_store(mut self, store: KvIndexStore) -> Self {
        self.index_store = Some(store);
        self
    }

    /// The graph store.
    #[must_use]
    pub fn graph_store(mut self, store: Arc<dyn GraphStore>) -> Self {
        self.graph_store = Some(store);
        self
    }

    /// The property graph store.
    #[must_use]
    pub fn property_graph_store(mut self, store: Arc<dyn PropertyGraphStore>) -> Self {
        self.property_graph_store = Some(store);
        self
    }

    /// The vector store that indexes use, of the namespace `default`.
    #[must_use]
    pub fn vector_store(self, store: Arc<dyn VectorStore>) -> Self {
        self.named_vector_store(DEFAULT_NAMESPACE, store)
    }

    /// The vector store for images, of the namespace `image`.
    #[must_use]
    pub fn image_store(self, store: Arc<dyn VectorStore>) -> Self {
        self.named_vector_store(IMAGE_NAMESPACE, store)
    }

    /// The vector store of a namespace. A namespace's file is not read if its store is given.
    #[must_use]
    pub fn named_vector_store(mut self, namespace: impl Into<String>, store: Arc<dyn VectorStore>) -> Self {
        self.vector_stores.insert(namespace.into(), store);
        self
    }

    /// The names of the files that are opened, and persisted unless that says otherwise. Default: LlamaIndex's.
    #[must_use]
    pub fn file_names(mut self, names: FileNames) -> Self {
        self.file_names = names;
        self
    }

    /// Another kind of vector store file that is recognised on opening.
    #[must_use]
    pub fn vector_store_loader(mut self, loader: impl VectorStoreLoader) -> Self {
        self.registry = self.registry.with(loader);
        self
    }

    /// How a place is opened.
    #[must_use]
    pub fn open_options(mut self, options: OpenOptions) -> Self {
        self.open_options = options;
        self
    }

    /// A context in memory: what was not given is empty, and there are vector stores `default` and `image`.
    pub fn build(self) -> StorageContext {
        self.with_default_vector_stores().finish(Origins::default(), None)
    }

    pub(crate) fn with_default_vector_stores(mut self) -> Self {
        for namespace in [DEFAULT_NAMESPACE, IMAGE_NAMESPACE] {
            let make = || Arc::new(SimpleVectorStore::new()) as Arc<dyn VectorStore>;
            self.vector_stores.entry(namespace.to_owned()).or_insert_with(make);
        }
        self
    }

    /// Opens what was not given from a place. Nothing is written.
    ///
    /// # Errors
    /// As [`StorageContext::open`].
    pub async fn open(self, place: impl IntoPlace) -> Result<StorageContext> {
        open(self, place.into_place()?, false).await
    }

    /// Opens what was not given from a place, or makes it empty if there is nothing there.
    ///
    /// # Errors
    /// As [`StorageContext::open_or_create`].
    pub async fn open_or_create(self, place: impl IntoPlace) -> Result<StorageContext> {
        open(self, place.into_place()?, true).await
    }

    pub(crate) fn read_options(&self) -> ReadOptions {
        let OpenOptions { verify, limits, ref progress, .. } = self.open_options;
        ReadOptions { verify, limits, progress: progress.clone() }
    }

    /// The parts that were given so far.
    pub(crate) fn given(&self) -> HashSet<Role> {
        let parts = [
            (self.docstore.is_some(), Role::Docstore),
            (self.index_store.is_some(), Role::IndexStore),
            (self.graph_store.is_some(), Role::GraphStore),
            (self.property_graph_store.is_some(), Role::PropertyGraphStore),
        ];
        let given = parts.into_iter().filter(|(is_given, _)| *is_given).map(|(_, role)| role);
        given.chain(self.vector_stores.keys().cloned().map(Role::VectorStore)).collect()
    }

    /// The context of all parts; what is missing is empty.
    pub(crate) fn finish(self, origins: Origins, opened: Option<OpenReport>) -> StorageContext {
        let inner = Inner {
            docstore: self.docstore.unwrap_or_else(KvDocumentStore::in_memory),
            index_store: self.index_store.unwrap_or_else(KvIndexStore::in_memory),
            graph_store: self.graph_store.unwrap_or_else(|| Arc::new(SimpleGraphStore::new())),
            property_graph_store: self.property_graph_store,
            vector_stores: RwLock::new(self.vector_stores),
            origins: Mutex::new(origins),
            file_names: self.file_names,
            registry: self.registry,
            open_options: self.open_options,
            opened,
            persisting: futures_util::lock::Mutex::new(()),
        };
        StorageContext { inner: Arc::new(inner) }
    }
}
