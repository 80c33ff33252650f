use std::sync::{Arc, PoisonError, RwLock};

use docstore::RefDocInfo;
use graphstore::NodeFilter;
use indexmap::{IndexMap, IndexSet};
use indexstore::{IndexStruct, IndexStructData};
use raw_json::PyString;
use schema::Node;
use storage_context::StorageContext;
use vectorstore::VectorStore;

use crate::settings::Settings;
use crate::{Error, Llm, Result};

/// What all kinds of index have in common: a struct, the context whose stores have the nodes, and the models to work
/// with.
///
/// A clone is another handle on the same index. A handle sees the struct as it was last read or written through it or
/// its clones; every change begins with the struct as it is then, whoever else has changed it, and loses nothing.
#[derive(Debug, Clone)]
pub struct IndexHandle {
    pub(crate) ctx: StorageContext,
    pub(crate) settings: Settings,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    index_struct: RwLock<Arc<IndexStruct>>,
    /// Held by who changes the struct, so that no handle goes back to an older one.
    changing: futures_util::lock::Mutex<()>,
}

impl IndexHandle {
    pub(crate) fn new(ctx: StorageContext, index_struct: IndexStruct) -> Self {
        let index_struct = RwLock::new(Arc::new(index_struct));
        let state = State { index_struct, changing: futures_util::lock::Mutex::new(()) };
        Self { ctx, settings: Settings::default(), state: Arc::new(state) }
    }

    pub(crate) fn with_settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// The context the index lives in.
    pub fn storage_context(&self) -> &StorageContext {
        &self.ctx
    }

    /// The index's id.
    pub fn index_id(&self) -> PyString {
        self.index_struct().index_id.clone()
    }

    /// What the index is about, if someone said so.
    pub fn summary(&self) -> Option<PyString> {
        self.index_struct().summary.clone()
    }

    /// Which nodes the index has and how they hang together.
    pub fn index_struct(&self) -> Arc<IndexStruct> {
        Arc::clone(&self.state.index_struct.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the struct again, to see what other handles and processes have changed.
    ///
    /// # Errors
    /// [`indexstore::Error::NotFound`] if the index is gone.
    pub async fn reload(&self) -> Result<()> {
        let _changing = self.state.changing.lock().await;
        self.set(self.ctx.index_store().require_index_struct(self.index_id()).await?);
        Ok(())
    }

    /// The ids of the index's nodes, each once, in its order. For an index over a vector store that keeps texts they
    /// are those of images and index nodes alone; only the store knows the others.
    ///
    /// # Errors
    /// [`Error::UnknownNodes`] for a kind that is unknown or a struct that is damaged.
    pub async fn node_ids(&self) -> Result<IndexSet<PyString>> {
        let index_struct = self.index_struct();
        if let IndexStructData::Other { type_name, problem, .. } = &index_struct.data {
            let (id, kind) = (self.index_id(), type_name.clone());
            return Err(Error::UnknownNodes { id, kind, problem: problem.clone() });
        }
        match (&index_struct.data, self.ctx.property_graph_store()) {
            // Its struct names no nodes: they are the text chunks of the graph.
            (IndexStructData::PropertyGraph, Some(graph)) => {
                let nodes = graph.get(&NodeFilter::default()).await?;
                Ok(nodes.into_iter().filter(|node| node.text().is_some()).map(|node| node.id().clone()).collect())
            }
            _ => Ok(index_struct.node_ids().unwrap_or_default()),
        }
    }

    /// The index's nodes, each once, in its order.
    ///
    /// # Errors
    /// [`Error::MissingNodes`] if the document store lacks some, and those of [`node_ids`](Self::node_ids).
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        let ids: Vec<PyString> = self.node_ids().await?.into_iter().collect();
        self.fetch(&ids).await
    }

    /// Nodes of the document store, in the order of their ids.
    pub(crate) async fn fetch(&self, ids: &[PyString]) -> Result<Vec<Node>> {
        let found = self.ctx.docstore().get_nodes(ids).await?;
        let missing: Vec<PyString> =
            ids.iter().zip(&found).filter(|(_, node)| node.is_none()).map(|(id, _)| id.clone()).collect();
        if !missing.is_empty() {
            return Err(Error::MissingNodes { id: self.index_id(), missing });
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// The documents that the index's nodes come from.
    ///
    /// # Errors
    /// As [`nodes`](Self::nodes).
    pub async fn ref_doc_info(&self) -> Result<IndexMap<PyString, RefDocInfo>> {
        let mut documents = IndexSet::new();
        match &self.index_struct().data {
            // Its struct names them.
            IndexStructData::DocumentSummary(known) => documents.extend(known.doc_id_to_summary_id.keys().cloned()),
            _ => {
                for node in self.nodes().await? {
                    documents.extend(node.ref_doc_id()?.cloned());
                }
            }
        }
        let documents: Vec<PyString> = documents.into_iter().collect();
        let infos = self.ctx.docstore().get_ref_doc_infos(&documents).await?;
        Ok(documents.into_iter().zip(infos).filter_map(|(id, info)| Some((id, info?))).collect())
    }

    /// Gives the index another id, here and in the index store, where it moves to the end of the order.
    ///
    /// # Errors
    /// [`indexstore::Error::AlreadyExists`] if another index has it; nothing has changed then.
    pub async fn set_index_id(&self, index_id: impl Into<PyString>) -> Result<()> {
        let id = index_id.into();
        let _changing = self.state.changing.lock().await;
        self.ctx.index_store().rename_index_struct(self.index_id(), &id).await?;
        self.set(IndexStruct { index_id: id, ..(*self.index_struct()).clone() });
        Ok(())
    }

    /// Says what the index is about, here and in the index store.
    ///
    /// # Errors
    /// If the index is gone or the index store fails.
    pub async fn set_summary(&self, summary: impl Into<PyString>) -> Result<()> {
        let summary = summary.into();
        self.change(|index_struct| index_struct.summary = Some(summary.clone())).await
    }

    /// Changes the struct, in the index store and here, and returns what `change` did.
    pub(crate) async fn change<T>(&self, change: impl FnMut(&mut IndexStruct) -> T) -> Result<T> {
        let _changing = self.state.changing.lock().await;
        let (now, told) = self.ctx.index_store().update_index_struct(self.index_id(), change).await?;
        self.set(now);
        Ok(told)
    }

    fn set(&self, index_struct: IndexStruct) {
        *self.state.index_struct.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(index_struct);
    }

    pub(crate) fn vector_store(&self, namespace: &str) -> Result<Arc<dyn VectorStore>> {
        let found = self.ctx.vector_store_of(namespace);
        found.ok_or_else(|| Error::NoVectorStore { id: self.index_id(), namespace: namespace.to_owned() })
    }

    pub(crate) fn llm(&self, purpose: impl FnOnce() -> String) -> Result<&dyn Llm> {
        match &self.settings.llm {
            Some(llm) => Ok(&**llm),
            None => Err(Error::NoModel { id: Some(self.index_id()), model: "language model", purpose: purpose() }),
        }
    }

    pub(crate) fn class_name(&self) -> &'static str {
        crate::index::class_name(&self.index_struct().data)
    }

    pub(crate) fn unsupported(&self, operation: &'static str, reason: &'static str) -> Error {
        Error::Unsupported { id: self.index_id(), class: self.class_name(), operation, reason }
    }
}
