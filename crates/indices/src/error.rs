use raw_json::PyString;

/// The result of working with an index.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an index could not be loaded or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The context has no index at all.
    #[error("there is no index in this storage context; check the place it was opened from")]
    NoIndex,
    /// One index was wanted and there are several.
    #[error("there are {} indexes here, name one of them: {}", .known.len(), list(.known))]
    SeveralIndices {
        /// The ids that there are.
        known: Vec<PyString>,
    },
    /// There is no index with this id.
    #[error("index '{id}' not found; there are: {}", list(.known))]
    NotFound {
        /// The id that was asked for.
        id: PyString,
        /// The ids that there are.
        known: Vec<PyString>,
    },
    /// The index is of another kind than was asked for.
    #[error("index '{id}' is a {found}, not a {expected}")]
    WrongKind {
        /// The index.
        id: PyString,
        /// The class that was asked for.
        expected: &'static str,
        /// The class it is.
        found: &'static str,
    },
    /// The index's struct cannot be read, so its nodes are unknown.
    #[error("the nodes of index '{id}' of the kind '{kind}' are unknown{}", .problem.as_ref().map(|p| format!(": {p}")).unwrap_or_default())]
    UnknownNodes {
        /// The index.
        id: PyString,
        /// Its kind.
        kind: PyString,
        /// What is wrong with its struct, if it is damaged.
        problem: Option<String>,
    },
    /// The index names nodes that the document store does not have.
    #[error("index '{id}' names {} nodes that are not in the document store, '{}' first", .missing.len(), .missing[0])]
    MissingNodes {
        /// The index.
        id: PyString,
        /// The missing nodes; at least one.
        missing: Vec<PyString>,
    },
    /// The document store failed.
    #[error(transparent)]
    Docstore(#[from] docstore::Error),
    /// The index store failed.
    #[error(transparent)]
    IndexStore(#[from] indexstore::Error),
    /// The property graph store failed.
    #[error(transparent)]
    Graph(#[from] graphstore::Error),
}

impl Error {
    /// Whether there is no such index.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::NoIndex | Self::NotFound { .. } => true,
            Self::IndexStore(e) => e.is_not_found(),
            _ => false,
        }
    }
}

fn list(ids: &[PyString]) -> String {
    if ids.is_empty() {
        return "none".to_owned();
    }
    ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ")
}
