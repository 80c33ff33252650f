use std::fmt::Debug;

use async_trait::async_trait;
use persist::StoreFile;
use raw_json::{PyString, Value};
use schema::Node;

use crate::{NodeSelection, Result, VectorStoreQuery, VectorStoreQueryResult};

/// Embeddings of nodes, each under its node's id.
///
/// Handles are shared (`Arc<dyn VectorStore>`), and every method may be called from several tasks at once.
#[async_trait]
pub trait VectorStore: Debug + Send + Sync + 'static {
    /// Adds nodes by their embeddings and returns their ids. A node whose id is there already replaces it, in its
    /// place.
    ///
    /// Every node is checked before anything changes: it must have an embedding of finite numbers, as many as the
    /// store's others have.
    ///
    /// # Errors
    /// [`MissingEmbedding`](crate::Error::MissingEmbedding), [`NotFinite`](crate::Error::NotFinite),
    /// [`Dimension`](crate::Error::Dimension) and [`Node`](crate::Error::Node), and then nothing has changed; otherwise
    /// what the store beneath reports.
    async fn add(&self, nodes: &[Node]) -> Result<Vec<PyString>>;

    /// Deletes the nodes of a document and returns how many there were.
    ///
    /// Nodes without a document count as nodes of a document called `None`: LlamaIndex records them so.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn delete(&self, ref_doc_id: &PyString) -> Result<usize>;

    /// Deletes the nodes that are meant and returns how many there were. A selection that
    /// [asks for nothing](NodeSelection::is_unrestricted) deletes nothing; [`clear`](Self::clear) deletes all.
    ///
    /// # Errors
    /// [`FilterMismatch`](crate::Error::FilterMismatch), [`NoMetadata`](crate::Error::NoMetadata) and
    /// [`NodeWithoutMetadata`](crate::Error::NodeWithoutMetadata), and then nothing is deleted; otherwise what the store
    /// beneath reports.
    async fn delete_nodes(&self, selection: &NodeSelection) -> Result<usize>;

    /// Deletes all nodes.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn clear(&self) -> Result<()>;

    /// A node's embedding, or `None` if there is no such node.
    ///
    /// # Errors
    /// [`Unreadable`](crate::Error::Unreadable), or if the store beneath fails.
    async fn get(&self, node_id: &PyString) -> Result<Option<Vec<f64>>>;

    /// The nodes that are nearest to a query, nearest first.
    ///
    /// # Errors
    /// [`UnsupportedMode`](crate::Error::UnsupportedMode) and [`QueryNumber`](crate::Error::QueryNumber); of filters,
    /// [`FilterMismatch`](crate::Error::FilterMismatch), [`NoMetadata`](crate::Error::NoMetadata) and
    /// [`NodeWithoutMetadata`](crate::Error::NodeWithoutMetadata); if the store has embeddings the query cannot be
    /// compared with, [`QueryDimension`](crate::Error::QueryDimension), [`Ragged`](crate::Error::Ragged) or
    /// [`Unreadable`](crate::Error::Unreadable); otherwise what the store beneath reports.
    async fn query(&self, query: &VectorStoreQuery) -> Result<VectorStoreQueryResult>;

    /// How many nodes there are; `None` if the store cannot tell cheaply.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn count(&self) -> Result<Option<usize>> {
        Ok(None)
    }

    /// Whether the store keeps the nodes' texts too, so that no document store is needed beside it.
    fn stores_text(&self) -> bool;

    /// For a store in memory: its state as a file. `None` if the store keeps itself.
    fn to_file(&self) -> Option<StoreFile> {
        None
    }

    /// For a store in memory: what today's LlamaIndex will not understand of its file, in words.
    fn python_problem(&self) -> Option<String> {
        None
    }

    /// For a store in memory: its content, LlamaIndex's `to_dict`. `None` if the store keeps itself.
    fn to_dict(&self) -> Option<Value> {
        None
    }
}
