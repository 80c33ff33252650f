use std::marker::PhantomData;
use std::sync::Arc;

use indexstore::{IndexStruct, IndexStructData};
use raw_json::PyString;
use schema::Node;
use storage_context::StorageContext;
use uuid::Uuid;

use crate::settings::Settings;
use crate::{Embedder, IndexHandle, Llm, Result, Transformation, kinds::Planner};

/// A kind of index that can be built.
pub trait IndexKind: Sized + private::Sealed {
    #[doc(hidden)]
    fn empty() -> IndexStructData;

    #[doc(hidden)]
    fn from_handle(handle: IndexHandle) -> Self;
}

pub(crate) mod private {
    /// Only the kinds of this crate.
    pub trait Sealed {}
}

/// Builds an index of the kind `T`.
///
/// ```
/// use indices::{HashEmbedder, RetrieverExt, VectorStoreIndex};
/// use schema::Node;
/// use storage_context::StorageContext;
///
/// # pollster::block_on(async {
/// let ctx = StorageContext::in_memory();
/// let documents = vec![Node::document("The colca is a storehouse."), Node::document("Llamas carry grain.")];
/// let index = VectorStoreIndex::builder(&ctx)
///     .id("essays")
///     .embedder(HashEmbedder::default())
///     .from_documents(documents)
///     .await?;
/// let found = index.as_retriever().top_k(1).retrieve("What is a colca?").await?;
/// assert_eq!(found[0].node.text_content(), "The colca is a storehouse.");
/// # Ok::<(), indices::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct IndexBuilder<T> {
    ctx: StorageContext,
    id: Option<PyString>,
    summary: Option<PyString>,
    pub(crate) settings: Settings,
    /// Index nodes with objects behind them.
    pub(crate) object_nodes: Vec<Node>,
    kind: PhantomData<fn() -> T>,
}

impl<T: IndexKind> IndexBuilder<T> {
    pub(crate) fn new(ctx: &StorageContext) -> Self {
        Self {
            ctx: ctx.clone(),
            id: None,
            summary: None,
            settings: Settings::default(),
            object_nodes: Vec::new(),
            kind: PhantomData,
        }
    }

    pub(crate) fn context(&self) -> &StorageContext {
        &self.ctx
    }

    /// The index's id; a random UUID by default.
    #[must_use]
    pub fn id(mut self, id: impl Into<PyString>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// What the index is about.
    #[must_use]
    pub fn summary(mut self, summary: impl Into<PyString>) -> Self {
        self.summary = Some(summary.into());
        self
    }

    /// The model for embeddings.
    #[must_use]
    pub fn embedder(mut self, embedder: impl Embedder) -> Self {
        self.settings.embedder = Some(Arc::new(embedder));
        self
    }

    /// The language model.
    #[must_use]
    pub fn llm(mut self, llm: impl Llm) -> Self {
        self.settings.llm = Some(Arc::new(llm));
        self
    }

    /// What makes nodes of documents, one after the other; a [`SentenceSplitter`](crate::SentenceSplitter) by default,
    /// LlamaIndex's.
    #[must_use]
    pub fn transformations(mut self, transformations: Vec<Arc<dyn Transformation>>) -> Self {
        self.settings.transformations = transformations;
        self
    }

    /// Whether the document store gets the nodes even if the vector store keeps their texts.
    #[must_use]
    pub fn store_nodes_override(mut self, store: bool) -> Self {
        self.settings.store_nodes_override = store;
        self
    }

    /// Builds the index from documents: remembers their hashes, transforms them into nodes and builds it from those.
    ///
    /// # Errors
    /// [`Error::Transformation`](crate::Error::Transformation), and as [`from_nodes`](Self::from_nodes).
    pub async fn from_documents(self, documents: Vec<Node>) -> Result<T> {
        let mut hashes = Vec::with_capacity(documents.len());
        for document in &documents {
            hashes.push((document.id.clone(), document.hash()?));
        }
        let handle = self.handle();
        self.check_objects()?;
        let mut nodes = handle.transform(documents).await?;
        nodes.extend(self.object_nodes);
        let ctx = handle.ctx.clone();
        let remember = async move {
            let hashes = hashes.iter().map(|(id, hash)| (id.clone(), hash.as_str()));
            Ok(ctx.docstore().set_document_hashes(hashes).await?)
        };
        build(handle, nodes, remember).await
    }

    /// Builds the index from nodes. Everything that the nodes can make fail is done before anything is stored, and the
    /// index itself is stored last.
    ///
    /// # Errors
    /// [`indexstore::Error::AlreadyExists`] if there is an index with this id,
    /// [`Error::NoIndexNode`](crate::Error::NoIndexNode) if an object was added with another node, and as
    /// [`insert_nodes`](IndexHandle::insert_nodes).
    pub async fn from_nodes(self, nodes: Vec<Node>) -> Result<T> {
        self.build_after(nodes, async { Ok(()) }).await
    }

    /// Builds the index, and does something else before anything but vectors is stored.
    pub(crate) async fn build_after(self, mut nodes: Vec<Node>, first: impl Future<Output = Result<()>>) -> Result<T> {
        let handle = self.handle();
        self.check_objects()?;
        nodes.extend(self.object_nodes);
        build(handle, nodes, first).await
    }

    /// The index without nodes, which nobody else knows so far.
    fn handle(&self) -> IndexHandle {
        let id = self.id.clone().unwrap_or_else(|| Uuid::new_v4().to_string().into());
        let index_struct = IndexStruct { summary: self.summary.clone(), ..IndexStruct::new(id, T::empty()) };
        IndexHandle::new(self.ctx.clone(), index_struct).with_settings(self.settings.clone())
    }
}

/// Builds an index. What is to be done `first` comes after all that the nodes can make fail, vectors that are refused
/// too.
async fn build<T: IndexKind>(
    handle: IndexHandle,
    nodes: Vec<Node>,
    first: impl Future<Output = Result<()>>,
) -> Result<T> {
    let store = handle.ctx.index_store();
    if store.get_index_struct(handle.index_id()).await?.is_some() {
        let collection = store.collection().to_owned();
        return Err(indexstore::Error::AlreadyExists { collection, id: handle.index_id() }.into());
    }
    let insertion = Planner::new(&handle, true).plan(nodes).await?;
    let own = async |vector_ids: Vec<PyString>| {
        let mut index_struct = (*handle.index_struct()).clone();
        (insertion.change)(&mut index_struct.data, &vector_ids);
        store.create_index_struct(&index_struct, insertion.identity.as_ref()).await?;
        Ok(index_struct)
    };
    let index_struct = insertion.store(&handle, first, own).await?;
    let IndexHandle { ctx, settings, .. } = handle;
    Ok(T::from_handle(IndexHandle::new(ctx, index_struct).with_settings(settings)))
}
