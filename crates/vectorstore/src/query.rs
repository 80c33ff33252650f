use std::fmt;

use raw_json::PyString;

/// What to look for in a vector store.
///
/// ```
/// use vectorstore::VectorStoreQuery;
///
/// let query = VectorStoreQuery::new([0.5, -1.0]).with_top_k(10).with_node_ids(["n1", "n2"]);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VectorStoreQuery {
    /// The embedding that results are compared with.
    pub query_embedding: Option<Vec<f64>>,
    /// How many results; 1 by default. As in LlamaIndex, `None` and 0 stand for all, and a negative number for none.
    pub similarity_top_k: Option<i64>,
    /// How results are found.
    pub mode: VectorStoreQueryMode,
    /// Only these nodes, if given; none of them, if it is empty. Ids that are not there are passed over.
    pub node_ids: Option<Vec<PyString>>,
    /// Only nodes of these documents, if given; none, if it is empty. Nodes without a document are found under `None`.
    pub doc_ids: Option<Vec<PyString>>,
}

impl VectorStoreQuery {
    /// Looks for the one node nearest to an embedding.
    pub fn new(query_embedding: impl Into<Vec<f64>>) -> Self {
        Self { query_embedding: Some(query_embedding.into()), ..Self::default() }
    }

    /// Sets how many results; `None` and 0 stand for all.
    #[must_use]
    pub fn with_top_k(mut self, similarity_top_k: impl Into<Option<i64>>) -> Self {
        self.similarity_top_k = similarity_top_k.into();
        self
    }

    /// Sets how results are found.
    #[must_use]
    pub fn with_mode(mut self, mode: VectorStoreQueryMode) -> Self {
        self.mode = mode;
        self
    }

    /// Looks at these nodes only.
    #[must_use]
    pub fn with_node_ids(mut self, node_ids: impl IntoIterator<Item = impl Into<PyString>>) -> Self {
        self.node_ids = Some(node_ids.into_iter().map(Into::into).collect());
        self
    }

    /// Looks at nodes of these documents only.
    #[must_use]
    pub fn with_doc_ids(mut self, doc_ids: impl IntoIterator<Item = impl Into<PyString>>) -> Self {
        self.doc_ids = Some(doc_ids.into_iter().map(Into::into).collect());
        self
    }
}

impl Default for VectorStoreQuery {
    fn default() -> Self {
        Self {
            query_embedding: None,
            similarity_top_k: Some(1),
            mode: VectorStoreQueryMode::Default,
            node_ids: None,
            doc_ids: None,
        }
    }
}

/// How a query's results are found. No store supports every mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VectorStoreQueryMode {
    /// By similarity of embeddings.
    #[default]
    Default,
    /// By similarity of sparse vectors, which count words.
    Sparse,
    /// By both, mixed.
    Hybrid,
    /// By a search in the texts.
    TextSearch,
    /// By embeddings and texts, re-ranked by the service.
    SemanticHybrid,
    /// By a support vector machine that is fitted to tell the query from the nodes.
    Svm,
    /// By a logistic regression.
    LogisticRegression,
    /// By a linear regression.
    LinearRegression,
    /// By maximal marginal relevance: near to the query, but not to each other.
    Mmr,
}

impl VectorStoreQueryMode {
    /// LlamaIndex's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Sparse => "sparse",
            Self::Hybrid => "hybrid",
            Self::TextSearch => "text_search",
            Self::SemanticHybrid => "semantic_hybrid",
            Self::Svm => "svm",
            Self::LogisticRegression => "logistic_regression",
            Self::LinearRegression => "linear_regression",
            Self::Mmr => "mmr",
        }
    }
}

/// LlamaIndex's name.
impl fmt::Display for VectorStoreQueryMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a query has found, best first.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct VectorStoreQueryResult {
    /// The nodes' ids.
    pub ids: Vec<PyString>,
    /// How similar each of them is to the query. Greater is closer.
    pub similarities: Vec<f64>,
}

impl FromIterator<(PyString, f64)> for VectorStoreQueryResult {
    fn from_iter<T: IntoIterator<Item = (PyString, f64)>>(hits: T) -> Self {
        let (ids, similarities) = hits.into_iter().unzip();
        Self { ids, similarities }
    }
}
