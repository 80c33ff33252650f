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
}
