use indexmap::IndexMap;
use raw_json::PyString;

use crate::{Error, Index, Result};

/// Indexes that refer to one another: a node of one may stand for another.
///
/// Nothing in a store marks a graph. It is the indexes of a context, and an id that says where to begin.
#[derive(Debug, Clone)]
pub struct ComposableGraph {
    root_id: PyString,
    indices: IndexMap<PyString, Index>,
}

impl ComposableGraph {
    pub(crate) fn new(root_id: PyString, indices: Vec<Index>) -> Result<Self> {
        let indices: IndexMap<_, _> = indices.into_iter().map(|index| (index.index_id(), index)).collect();
        if !indices.contains_key(&root_id) {
            return Err(Error::NotFound { id: root_id, known: indices.into_keys().collect() });
        }
        Ok(Self { root_id, indices })
    }

    /// The id of the index to begin with.
    pub fn root_id(&self) -> &PyString {
        &self.root_id
    }

    /// The index to begin with.
    pub fn root_index(&self) -> &Index {
        &self.indices[&self.root_id]
    }

    /// All indexes by id, in the order of the index store.
    pub fn all_indices(&self) -> &IndexMap<PyString, Index> {
        &self.indices
    }

    /// The index with this id, or `None`.
    pub fn get_index(&self, index_id: impl Into<PyString>) -> Option<&Index> {
        self.indices.get(&index_id.into())
    }
}
