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
    /// A number of a query is `NaN` or infinite.
    #[error("the query's {name} is {value}; give a finite number")]
    QueryNumber {
        /// The field.
        name: &'static str,
        /// The number.
        value: f64,
    },
    /// Something that should be LlamaIndex's JSON of filters is not.
    #[error("cannot read a filter: {place} {problem}")]
    Filter {
        /// The field, with the path to it.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A filter cannot be applied to what a node has under its key.
    #[error(
        "node '{id}': filter `{filter}` cannot be applied to {found}; correct the filter or the node's metadata, or ask \
         with Mismatch::NoMatch, which passes over such nodes"
    )]
    FilterMismatch {
        /// The node.
        id: PyString,
        /// The filter.
        filter: String,
        /// The type of the node's value.
        found: &'static str,
    },
    /// A query filters by metadata, and the store was persisted without any.
    #[error("the store was persisted without metadata, so nothing can be filtered by it; add the nodes again")]
    NoMetadata,
    /// A query filters by metadata, and the store has none of this node.
    #[error("the store has no metadata of node '{id}' to filter by; add the node again, or delete it")]
    NodeWithoutMetadata {
        /// The node.
        id: PyString,
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
