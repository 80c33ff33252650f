use raw_json::PyString;

/// The result of an operation on an index store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an index store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such index.
    #[error("index '{id}' not found in collection '{collection}'; there are: {}", list(.known))]
    NotFound {
        /// The collection of structs.
        collection: String,
        /// The index.
        id: PyString,
        /// The ids that there are.
        known: Vec<PyString>,
    },
    /// An index with this id is there already.
    #[error("index '{id}' is already in collection '{collection}'; choose another id or delete it first")]
    AlreadyExists {
        /// The collection of structs.
        collection: String,
        /// The index.
        id: PyString,
    },
    /// Other writers changed the struct again and again.
    #[error("index '{id}' in collection '{collection}' was changed by others {tries} times in a row; try again later")]
    Contended {
        /// The collection of structs.
        collection: String,
        /// The index.
        id: PyString,
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

fn list(ids: &[PyString]) -> String {
    if ids.is_empty() {
        return "none".to_owned();
    }
    ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ")
}
