use raw_json::PyString;

/// The result of an operation on a document store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a document store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such node.
    #[error("node '{id}' not found in collection '{collection}'")]
    NotFound {
        /// The collection of nodes.
        collection: String,
        /// The node.
        id: PyString,
    },
    /// A node with this id is there, and updates were not allowed.
    #[error("node '{id}' is already in collection '{collection}'; allow updates to replace it")]
    AlreadyExists {
        /// The collection of nodes.
        collection: String,
        /// The node.
        id: PyString,
    },
    /// A node that cannot be read or written.
    #[error("in collection '{collection}': {source}")]
    Node {
        /// The collection of nodes.
        collection: String,
        /// What is wrong with the node.
        source: schema::Error,
    },
    /// A record beside the nodes that is not what it should be.
    #[error("'{key}' in collection '{collection}' is damaged: {problem}")]
    Damaged {
        /// The collection.
        collection: String,
        /// The record's key.
        key: PyString,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Other writers kept changing the same documents.
    #[error("gave up after {tries} tries: other writers keep changing the same documents; try again later")]
    Contended {
        /// How often it was tried.
        tries: usize,
    },
    /// The key-value store beneath failed.
    #[error(transparent)]
    Kv(#[from] kv_core::Error),
}

impl Error {
    /// Whether something was not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}
