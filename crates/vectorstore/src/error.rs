use raw_json::PyString;

use crate::VectorStoreQueryMode;

/// The result of an operation on a vector store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a vector store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A node to be added has no embedding, or an empty one.
    #[error("node '{id}' has no embedding; embed it before it is added")]
    MissingEmbedding {
        /// The node.
        id: PyString,
    },
    /// A node to be added has an embedding that is no direction in space.
    #[error("node '{id}': number {index} of its embedding is {value}; a vector store takes finite numbers only")]
    NotFinite {
        /// The node.
        id: PyString,
        /// Which number, from 0.
        index: usize,
        /// The number.
        value: f64,
    },
    /// A node to be added has an embedding of another length than those before it.
    #[error(
        "node '{id}' has an embedding of {found} numbers, the store has {expected}; embed all nodes with the same model"
    )]
    Dimension {
        /// The node.
        id: PyString,
        /// How long embeddings are in the store.
        expected: usize,
        /// How long this one is.
        found: usize,
    },
    /// A query has no embedding, and its mode needs one.
    #[error("the query has no embedding; give it one")]
    MissingQueryEmbedding,
    /// A query's embedding has another length than those in the store.
    #[error(
        "the query's embedding has {query} numbers, that of node '{id}' has {stored}; \
         ask with the model that embedded the nodes"
    )]
    QueryDimension {
        /// A node that the query reaches.
        id: PyString,
        /// How long that node's embedding is.
        stored: usize,
        /// How long the query's is.
        query: usize,
    },
    /// A query reaches embeddings of different lengths.
    #[error(
        "the embedding of node '{first}' has {first_len} numbers, that of node '{other}' has \
         {other_len}; delete one kind, or restrict the query's node ids"
    )]
    Ragged {
        /// The first node that the query reaches.
        first: PyString,
        /// The length of its embedding.
        first_len: usize,
        /// A later node.
        other: PyString,
        /// The length of its embedding.
        other_len: usize,
    },
    /// What stands in the store as a node's embedding is no list of numbers.
    #[error("the embedding of node '{id}' is no list of numbers; add the node again, or delete it")]
    Unreadable {
        /// The node.
        id: PyString,
    },
    /// The store cannot answer queries of this mode.
    #[error("{store} does not support queries in mode '{mode}'")]
    UnsupportedMode {
        /// The store.
        store: String,
        /// The mode.
        mode: VectorStoreQueryMode,
    },
    /// A node cannot be stored as it is.
    #[error(transparent)]
    Node(#[from] schema::Error),
    /// The text is not a vector store's.
    #[error("not a vector store: {source}")]
    Damaged {
        /// What is wrong, and where.
        #[from]
        source: raw_json::Error,
    },
    /// No loader recognises a file.
    #[error("not a file of {known}, it seems to be {seems}: {advice}")]
    Unrecognised {
        /// The stores whose files are recognised.
        known: String,
        /// What the file seems to be.
        seems: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// The database beneath failed.
    #[error("{store}: cannot {operation}")]
    Backend {
        /// The store, with enough of its address to find it.
        store: String,
        /// What was being done, as a verb.
        operation: &'static str,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
