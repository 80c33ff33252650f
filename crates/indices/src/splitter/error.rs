use raw_json::PyString;

/// Why a text could not be split. The messages are LlamaIndex's, with the document in front where there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// Chunks would overlap by more than they are long.
    #[error("Got a larger chunk overlap ({chunk_overlap}) than chunk size ({chunk_size}), should be smaller.")]
    Overlap {
        /// The overlap in tokens.
        chunk_overlap: usize,
        /// The size in tokens.
        chunk_size: usize,
    },
    /// Chunks of no tokens.
    #[error("chunk_size must be greater than 0")]
    NoSize,
    /// A separator of no characters.
    #[error("empty separator")]
    EmptySeparator,
    /// An expression that is none.
    #[error("this is no regular expression: {problem}")]
    Regex {
        /// What is wrong with it.
        problem: String,
    },
    /// The metadata leave no room for text.
    #[error(
        "Metadata length ({tokens}) is longer than chunk size ({chunk_size}). Consider increasing the chunk size or \
         decreasing the size of your metadata to avoid this."
    )]
    Metadata {
        /// How many tokens they are.
        tokens: usize,
        /// How many a chunk may have.
        chunk_size: usize,
    },
    /// A single character has more tokens than a chunk may have.
    #[error("Single token exceeded chunk size")]
    SingleToken,
    /// A JSON text that is neither an object nor a list.
    #[error("JSON is invalid")]
    Json,
    /// A node of several media cannot be split.
    #[error("node '{id}' is of the class Node, which cannot be split; make it a document")]
    UnknownKind {
        /// The node.
        id: PyString,
    },
    /// A document that cannot be read.
    #[error("{0}")]
    Node(String),
}

impl From<schema::Error> for SplitError {
    fn from(e: schema::Error) -> Self {
        Self::Node(e.to_string())
    }
}
