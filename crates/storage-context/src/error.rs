/// The result of an operation on a storage context.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// Why a storage context could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The place cannot be made of what was given.
    #[error(transparent)]
    Place(#[from] fs_backends::Error),
    /// The place failed, or a name is not allowed there.
    #[error(transparent)]
    Persist(#[from] persist::Error),
    /// The context was opened to be read only.
    #[error("{place} was opened to be read only; open it without OpenOptions::read_only to persist there")]
    ReadOnly {
        /// The place.
        place: String,
    },
    /// The commit was made, and its files could not all be given their names. Contexts of ours open the new state; other
    /// programs may see old files beside new ones until the next persist there, which finishes this one first.
    #[error("{place} holds generation {generation} now, but not all of its files are published; persist again")]
    Unpublished {
        /// The place.
        place: String,
        /// The generation.
        generation: u64,
        /// What kept it from being published.
        source: persist::Error,
    },
    /// The location has changed, and the context that follows it has changes that the location does not hold.
    #[error(
        "{place} has changed, and this context holds changes that were not persisted there: {}; open it again and repeat \
         them, or replace what is there with PersistOptions::overwrite", .stores.join(", ")
    )]
    Unpersisted {
        /// The location.
        place: String,
        /// The stores with these changes.
        stores: Vec<String>,
    },
    /// There is no location that a context could follow.
    #[error("this context was neither opened from a location nor persisted to one, so there is none to follow")]
    NoLocation,
    /// The location is not one that the context could follow.
    #[error("this context was neither opened from {place} nor persisted there; open it with StorageContext::open")]
    UnknownLocation {
        /// The location.
        place: String,
    },
    /// A file that must be there is not.
    #[error("{file} not found in {place}{}", explain(.present, .hint.as_deref()))]
    MissingFile {
        /// The place.
        place: String,
        /// The file.
        file: String,
        /// The files that are there.
        present: Vec<String>,
        /// What the files that are there seem to be.
        hint: Option<String>,
    },
    /// A file is not what its name says.
    #[error("{place}/{file} cannot be read{}", .seems.map(|what| format!(": it seems to be {what}")).unwrap_or_default())]
    Damaged {
        /// The place.
        place: String,
        /// The file.
        file: String,
        /// What its first bytes look like, if that is something known.
        seems: Option<&'static str>,
        /// What is wrong, and where.
        source: BoxedError,
    },
    /// The value is not what `to_dict` gives.
    #[error("not a storage context's dict: {problem}")]
    Dict {
        /// What is wrong with it.
        problem: String,
    },
    /// Only contexts whose stores are all in memory have a dict.
    #[error("the {store} keeps itself; only a context with all stores in memory becomes a dict")]
    NotInMemory {
        /// The store.
        store: String,
    },
    /// A store failed.
    #[error("the {store} failed")]
    Store {
        /// Which one.
        store: String,
        /// The cause.
        source: BoxedError,
    },
}

impl Error {
    /// Whether a file was not there.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::MissingFile { .. } => true,
            Self::Persist(e) => e.is_not_found(),
            _ => false,
        }
    }

    /// Whether the location holds something else than was expected there, so that nothing was written or opened again.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Persist(persist::Error::Conflict { .. }) | Self::Unpersisted { .. })
    }

    /// Whether the same may succeed at another time, because the network or the service failed, or another writer was at
    /// work.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Persist(e) | Self::Unpublished { source: e, .. } => e.is_retryable(),
            _ => false,
        }
    }

    /// Whether a writer came between, so that a reader should begin again.
    pub(crate) fn restarts(&self) -> bool {
        matches!(self, Self::Persist(e) if persist::restarts(e))
    }

    pub(crate) fn store(store: impl Into<String>, source: impl Into<BoxedError>) -> Self {
        Self::Store { store: store.into(), source: source.into() }
    }
}

fn explain(present: &[String], hint: Option<&str>) -> String {
    match (hint, present) {
        (Some(hint), _) => format!("; {hint}"),
        (None, []) => ": there are no files there".to_owned(),
        (None, present) => format!("; there are: {}", present.join(", ")),
    }
}
