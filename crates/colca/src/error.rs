/// The result of anything in this workspace, for callers who do not care which part failed.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error of this workspace, for callers who do not care which part failed. Each crate has its own, finer one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A storage context could not be opened, persisted or converted.
    #[error(transparent)]
    StorageContext(#[from] storage_context::Error),
    /// An index could not be loaded or used.
    #[error(transparent)]
    Index(#[from] indices::Error),
    /// A document store failed.
    #[error(transparent)]
    Docstore(#[from] docstore::Error),
    /// An index store failed.
    #[error(transparent)]
    IndexStore(#[from] indexstore::Error),
    /// A vector store failed.
    #[error(transparent)]
    VectorStore(#[from] vectorstore::Error),
    /// A graph store failed.
    #[error(transparent)]
    GraphStore(#[from] graphstore::Error),
    /// A chat store failed.
    #[error(transparent)]
    ChatStore(#[from] chatstore::Error),
    /// A key-value store failed.
    #[error(transparent)]
    Kv(#[from] kv_core::Error),
    /// A node cannot be read or hashed.
    #[error(transparent)]
    Node(#[from] schema::Error),
    /// A place cannot be made of what was given.
    #[error(transparent)]
    Place(#[from] fs_backends::Error),
    /// A place failed.
    #[error(transparent)]
    Persist(#[from] persist::Error),
    /// A text is not JSON.
    #[error(transparent)]
    Json(#[from] raw_json::Error),
    /// A blocking call was made on a thread that must not block.
    #[error(
        "a blocking call inside an async runtime would block it: use the async API here (also within `spawn_blocking`), or a thread of its own"
    )]
    InsideRuntime,
}

impl Error {
    /// Whether something was not there.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::StorageContext(e) => e.is_not_found(),
            Self::Index(e) => e.is_not_found(),
            Self::Docstore(e) => e.is_not_found(),
            Self::IndexStore(e) => e.is_not_found(),
            Self::Persist(e) => e.is_not_found(),
            _ => false,
        }
    }

    /// Whether the same may succeed at another time, because the network or a service failed, or another writer was at
    /// work.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::StorageContext(e) => e.is_retryable(),
            Self::Persist(e) => e.is_retryable(),
            _ => false,
        }
    }

    /// Whether a place holds something else than was expected there, so that nothing was written.
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::StorageContext(e) => e.is_conflict(),
            Self::Persist(e) => matches!(e, persist::Error::Conflict { .. }),
            _ => false,
        }
    }
}
