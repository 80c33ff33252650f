use std::fmt::Debug;

use async_trait::async_trait;
use indexmap::IndexMap;
use persist::StoreFile;
use raw_json::{PyString, Value};

use crate::{
    Deleted, LabelledNode, LabelledTriplet, NodeFilter, PythonProblem, RelMapOptions, Relation, Result, Triplet,
    TripletFilter,
};

/// How many steps LlamaIndex follows from a subject if nothing else is said.
pub const DEFAULT_DEPTH: usize = 2;

/// How many triplets LlamaIndex takes if nothing else is said.
pub const DEFAULT_LIMIT: usize = 30;

/// For each subject the triplets that were found from it.
pub type RelMap = IndexMap<PyString, Vec<Triplet>>;

/// Triplets of strings.
///
/// Handles are shared (`Arc<dyn GraphStore>`), and every method may be called from several tasks at once.
#[async_trait]
pub trait GraphStore: Debug + Send + Sync + 'static {
    /// The relations and objects of a subject, in order; empty if it has none.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn get(&self, subj: &PyString) -> Result<Vec<(PyString, PyString)>>;

    /// The triplets within `depth` steps of each subject (of all subjects for `None`), `limit` altogether.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn get_rel_map(&self, subjs: Option<&[PyString]>, depth: usize, limit: usize) -> Result<RelMap>;

    /// Adds a triplet, unless it is there.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn upsert_triplet(&self, subj: &PyString, rel: &PyString, obj: &PyString) -> Result<()>;

    /// Removes a triplet and tells whether it was there.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn delete(&self, subj: &PyString, rel: &PyString, obj: &PyString) -> Result<bool>;

    /// For a store in memory: its state as a file. `None` if the store keeps itself.
    fn to_file(&self) -> Option<StoreFile> {
        None
    }

    /// For a store in memory: its content, as LlamaIndex's `to_dict`.
    fn to_dict(&self) -> Option<Value> {
        None
    }
}

/// Nodes with properties and the labelled relations between them.
///
/// Handles are shared (`Arc<dyn PropertyGraphStore>`), and every method may be called from several tasks at once.
#[async_trait]
pub trait PropertyGraphStore: Debug + Send + Sync + 'static {
    /// The nodes that match; all of them if the filter is empty.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn get(&self, filter: &NodeFilter) -> Result<Vec<LabelledNode>>;

    /// The triplets that match; none if the filter is empty.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn get_triplets(&self, filter: &TripletFilter) -> Result<Vec<LabelledTriplet>>;

    /// The triplets around some nodes.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn get_rel_map(&self, ids: &[PyString], options: &RelMapOptions) -> Result<Vec<LabelledTriplet>>;

    /// Adds nodes, each in place of the one with its id.
    ///
    /// # Errors
    /// [`Error::NotFinite`](crate::Error::NotFinite) and the like for a node that cannot be kept, and if the
    /// store beneath fails.
    async fn upsert_nodes(&self, nodes: Vec<LabelledNode>) -> Result<()>;

    /// Adds relations, each in place of the one with its ends and label. Ends that are not there become entities.
    ///
    /// # Errors
    /// [`Error::NotFinite`](crate::Error::NotFinite) and the like for a relation that cannot be kept, and if the store
    /// beneath fails.
    async fn upsert_relations(&self, relations: Vec<Relation>) -> Result<()>;

    /// Removes what matches, and nothing if the filter is empty: nodes with their triplets and relations, or single
    /// triplets if the filter names relations.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn delete(&self, filter: &TripletFilter) -> Result<Deleted>;

    /// For a store in memory: its state as a file. `None` if the store keeps itself.
    fn to_file(&self) -> Option<StoreFile> {
        None
    }

    /// For a store in memory: its content, as LlamaIndex's `to_dict`.
    fn to_dict(&self) -> Option<Value> {
        None
    }

    /// For a store in memory: the first thing that keeps today's LlamaIndex from using its file.
    fn python_problem(&self) -> Option<PythonProblem> {
        None
    }

    /// Rewrites what older versions wrote into what today's LlamaIndex reads, and tells whether anything changed.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn upgrade(&self) -> Result<bool> {
        Ok(false)
    }
}
