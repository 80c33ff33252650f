use crate::RequestFailure;

/// The result of an operation on a place.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a place could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The place, or a file that must be there, is missing.
    #[error("{name} not found in {place}")]
    NotFound {
        /// The place.
        place: String,
        /// The file.
        name: String,
    },
    /// A file name that a place does not take.
    #[error("{name:?} cannot be a file name here: {reason}")]
    InvalidName {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two files of one commit have the same name.
    #[error("two stores want to write the file {name:?}; give one of them another name")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// The place holds something else than the writer last saw there, so that writing would lose it. Nothing has
    /// changed.
    #[error("{}", conflict(.place, .ours, .theirs, .files))]
    Conflict {
        /// The place.
        place: String,
        /// The generation that the writer expected there; `None` if it expected nothing that Colca wrote.
        ours: Option<u64>,
        /// The generation that is there; `None` if Colca wrote nothing there.
        theirs: Option<u64>,
        /// The files that another program has written since, if that is the difference.
        files: Vec<String>,
    },
    /// Another writer is at work and did not finish in time.
    #[error("{place} is being written, its lock is held by {holder}; wait for it, or see that it ends")]
    Locked {
        /// The place.
        place: String,
        /// Who holds the lock, as far as it is known.
        holder: String,
    },
    /// The place cannot tell the winner of two writers.
    #[error(
        "{place} does not keep two writers apart: it cannot make a file only if it is absent; if nobody else writes \
         there, allow it with PersistOptions::allow_unconditional"
    )]
    Unconditional {
        /// The place.
        place: String,
    },
    /// The place may not be listed.
    #[error("{place} may not be listed")]
    Forbidden {
        /// The place.
        place: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file has more bytes than may be read.
    #[error("{name} in {place} has {size} bytes, and the limit is {limit}; raise it if the file is to be trusted")]
    TooLarge {
        /// The place.
        place: String,
        /// The file.
        name: String,
        /// Its size, or how much of it was read before the limit was met.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// A manifest is not what Colca writes.
    #[error("the manifest {name} in {place} cannot be trusted: {problem}")]
    Manifest {
        /// The place.
        place: String,
        /// The manifest.
        name: String,
        /// What is wrong with it, and what helps.
        problem: String,
    },
    /// A file of the newest generation is nowhere to be found: someone has deleted it.
    #[error(
        "{name} of generation {generation} is in {place} neither published nor staged; put it back from a copy, or \
         persist the whole context there again"
    )]
    Lost {
        /// The place.
        place: String,
        /// The file.
        name: String,
        /// The generation.
        generation: u64,
    },
    /// What was being read has been replaced meanwhile: reading has to start again.
    #[error("{place} was written while it was read, again and again; try again when its writers rest")]
    Superseded {
        /// The place.
        place: String,
    },
    /// The place failed.
    #[error("cannot {operation} {name:?} in {place}")]
    Failed {
        /// The place.
        place: String,
        /// The file, or what stands for the whole place.
        name: String,
        /// What was being done, as a verb.
        operation: &'static str,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// A failure of `operation` on `name`, caused by `source`.
    pub fn failed(
        place: impl Into<String>,
        operation: &'static str,
        name: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Failed { place: place.into(), name: name.into(), operation, source: source.into() }
    }

    /// Whether something was not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the same may succeed at another time, because the network or the service failed, or another writer was at
    /// work.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Locked { .. } | Self::Superseded { .. } => true,
            Self::Failed { source, .. } => {
                source.downcast_ref::<RequestFailure>().is_some_and(|failure| failure.is_retryable)
            }
            _ => false,
        }
    }
}

fn conflict(place: &str, ours: &Option<u64>, theirs: &Option<u64>, files: &[String]) -> String {
    let what = match (ours, theirs) {
        _ if !files.is_empty() => format!("{place} was written by another program: {}", files.join(", ")),
        (Some(ours), Some(theirs)) if ours == theirs => {
            format!("{place} holds another generation {theirs} than the one that is expected")
        }
        (Some(ours), Some(theirs)) => format!("{place} holds generation {theirs}, and {ours} is expected"),
        (Some(ours), None) => format!("{place} holds nothing of Colca's, and generation {ours} is expected"),
        (None, Some(theirs)) => format!("{place} holds generation {theirs}, of which the writer knows nothing"),
        (None, None) => format!("{place} holds what the writer does not know"),
    };
    format!("{what}; open it and repeat the change, or persist with PersistOptions::overwrite")
}
