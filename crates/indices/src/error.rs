use raw_json::PyString;

use crate::{ModelError, ReadError};

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
    /// What was asked for needs a model, and the index has none.
    #[error("{} has no {model} {purpose}; give it one", owner(.id))]
    NoModel {
        /// The index, or `None` if it is a query engine without one.
        id: Option<PyString>,
        /// Which model.
        model: &'static str,
        /// What it is needed for.
        purpose: String,
    },
    /// A model failed.
    #[error("the model '{model}' failed {purpose}")]
    Model {
        /// The model's name.
        model: String,
        /// What it was to do.
        purpose: String,
        /// What it reports.
        source: ModelError,
    },
    /// A question, or an answer that is to be improved, is too long for a model.
    #[error(
        "what is asked takes {taken} of the {window} bytes that the model '{model}' reads at once, which leaves no \
         room for texts; ask a shorter question, or take a model that reads more"
    )]
    NoRoom {
        /// The model's name.
        model: String,
        /// How much it reads.
        window: usize,
        /// How much is taken.
        taken: usize,
    },
    /// A question went in a circle, or deeper than anyone means to.
    #[error("the question goes in a circle or too deep, {}; take one of them out", steps(.path))]
    Circle {
        /// The way it went: the ids of indexes of a graph, and those that index nodes with objects name.
        path: Vec<PyString>,
    },
    /// An object was to stand behind something else than an index node.
    #[error("node '{node}' is a {class}, and objects stand behind index nodes only; make it one with `Node::index`")]
    NoIndexNode {
        /// The node.
        node: PyString,
        /// Its class.
        class: &'static str,
    },
    /// A graph was to be made with another number of summaries than indexes.
    #[error("there are {summaries} summaries for {children} indexes; give each one")]
    SummaryCount {
        /// How many indexes.
        children: usize,
        /// How many summaries.
        summaries: usize,
    },
    /// A graph was to be made of an index of which nobody has said what it is about.
    #[error("index '{id}' has no summary to be found by in a graph; give it one")]
    NoSummary {
        /// The index.
        id: PyString,
    },
    /// A graph was to be made of indexes of several contexts.
    #[error("index '{id}' lives in another storage context than the root of the graph; build both in the same one")]
    OtherContext {
        /// The index.
        id: PyString,
    },
    /// A transformation of nodes failed.
    #[error("a transformation of nodes for index '{id}' failed")]
    Transformation {
        /// The index.
        id: PyString,
        /// What it reports.
        source: ModelError,
    },
    /// The index was embedded with another model.
    #[error(
        "index '{id}' was embedded with {recorded}, and {given} was given; \
         use the one it was embedded with, or build the index anew"
    )]
    OtherModel {
        /// The index.
        id: PyString,
        /// The model it was embedded with, in words.
        recorded: String,
        /// The model that was given, in words.
        given: String,
    },
    /// A kind of index cannot do this.
    #[error("{class} '{id}' cannot {operation}: {reason}")]
    Unsupported {
        /// The index.
        id: PyString,
        /// Its class.
        class: &'static str,
        /// What it was to do.
        operation: &'static str,
        /// Why it cannot, and what can be done.
        reason: &'static str,
    },
    /// The context has no vector store of a namespace that the index needs.
    #[error("index '{id}' needs a vector store of the namespace '{namespace}', and the context has none; add one")]
    NoVectorStore {
        /// The index.
        id: PyString,
        /// The namespace.
        namespace: String,
    },
    /// The context has no property graph store, and the index is one over it.
    #[error("index '{id}' needs a property graph store, and the context has none; build the context with one")]
    NoPropertyGraphStore {
        /// The index.
        id: PyString,
    },
    /// A node has something in its metadata where LlamaIndex's transformations leave entities or relations.
    #[error(
        "node '{node}' has something under '{key}' in its metadata that is no list of what was found in it; \
         rename the key"
    )]
    NothingExtracted {
        /// The node.
        node: PyString,
        /// The key.
        key: &'static str,
    },
    /// The triplets that a knowledge graph's struct of 0.6 has cannot be read.
    #[error("the triplets of '{subject}' in index '{id}' are not pairs of strings; correct them in its struct")]
    DamagedTriplets {
        /// The index.
        id: PyString,
        /// Whose triplets.
        subject: PyString,
    },
    /// A knowledge graph's struct has something else in place of an embedding.
    #[error("index '{id}' has no list of numbers as the embedding of the triplet {triplet}; delete the triplet")]
    DamagedEmbedding {
        /// The index.
        id: PyString,
        /// The triplet, as Python shows it.
        triplet: PyString,
    },
    /// A node does not come from a document, and the kind of index needs that.
    #[error("node '{node}' comes from no document, and index '{id}' summarizes documents; give it a source")]
    NoSource {
        /// The index.
        id: PyString,
        /// The node.
        node: PyString,
    },
    /// An index was to be made of a vector store alone, and that keeps no texts.
    #[error("this vector store keeps no texts, so it is no index by itself; build one in a storage context")]
    NoTexts,
    /// A vector store answered with something that the index does not have.
    #[error("the vector store answered with '{vector}', which is none of index '{id}'")]
    ForeignVector {
        /// The index.
        id: PyString,
        /// What it answered with.
        vector: PyString,
    },
    /// A transformation of an ingestion pipeline failed.
    #[error("a transformation of '{document}' failed")]
    Ingestion {
        /// The document or node.
        document: PyString,
        /// What it reports.
        source: ModelError,
    },
    /// An entry of a cache that cannot be read.
    #[error("the cache's entry '{key}' cannot be read: {problem}; clear the cache")]
    DamagedCache {
        /// Its key.
        key: PyString,
        /// What is wrong with it.
        problem: String,
    },
    /// Files could not be read as documents.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A key-value store failed.
    #[error(transparent)]
    Kv(#[from] kv_core::Error),
    /// A place that cannot be read or written.
    #[error(transparent)]
    Persist(#[from] persist::Error),
    /// What was given for a place is none.
    #[error(transparent)]
    Place(#[from] fs_backends::Error),
    /// A node that cannot be embedded or stored.
    #[error(transparent)]
    Node(#[from] schema::Error),
    /// A vector store failed, or does not take a node.
    #[error(transparent)]
    VectorStore(#[from] vectorstore::Error),
    /// The document store failed.
    #[error(transparent)]
    Docstore(#[from] docstore::Error),
    /// The index store failed.
    #[error(transparent)]
    IndexStore(#[from] indexstore::Error),
    /// A graph store failed.
    #[error(transparent)]
    Graph(#[from] graphstore::Error),
}

impl Error {
    /// Whether there is no such index.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::NoIndex | Self::NotFound { .. } => true,
            Self::IndexStore(e) => e.is_not_found(),
            Self::Read(e) => e.is_not_found(),
            _ => false,
        }
    }
}

fn owner(id: &Option<PyString>) -> String {
    id.as_ref().map_or_else(|| "the query engine".to_owned(), |id| format!("index '{id}'"))
}

fn steps(ids: &[PyString]) -> String {
    ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(" -> ")
}

fn list(ids: &[PyString]) -> String {
    if ids.is_empty() {
        return "none".to_owned();
    }
    ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ")
}
