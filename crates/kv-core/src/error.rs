use raw_json::PyString;

/// The result of an operation on a key-value store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a key-value store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A condition of a batch did not hold, so nothing of the batch was done. Read again and retry.
    #[error("'{key}' in collection '{collection}' is not as the batch requires: another writer changed it")]
    PreconditionFailed {
        /// The collection.
        collection: String,
        /// The key.
        key: PyString,
    },
    /// What stands in a collection's place is no collection.
    #[error("'{collection}' is no collection here but {found}; nothing can be read from it or put into it")]
    NotACollection {
        /// The collection.
        collection: String,
        /// What is there, for example `"a list"`.
        found: &'static str,
    },
    /// A value nested so deeply that no reader would take the file with it.
    #[error("'{key}' in collection '{collection}' is nested {depth} deep; at most {max} can be stored")]
    TooDeep {
        /// The collection.
        collection: String,
        /// The key.
        key: PyString,
        /// How deep.
        depth: usize,
        /// The limit.
        max: usize,
    },
    /// The text is not a dumped key-value store.
    #[error("not a key-value store")]
    Damaged {
        /// What is wrong, and where.
        #[from]
        source: raw_json::Error,
    },
    /// The database beneath failed.
    #[error("{store}: cannot {operation} in collection '{collection}'")]
    Backend {
        /// The store, with enough of its address to find it.
        store: String,
        /// What was being done, as a verb.
        operation: &'static str,
        /// The collection.
        collection: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Whether trying again, after reading again, may succeed.
    pub fn is_precondition_failed(&self) -> bool {
        matches!(self, Self::PreconditionFailed { .. })
    }
}
