use std::fmt;

use raw_json::PyString;
use schema::Node;

use crate::{MetadataFilters, Mismatch, NodeSelection};

/// What to look for in a vector store.
///
/// ```
/// use vectorstore::{VectorStoreQuery, VectorStoreQueryMode, field};
///
/// let query = VectorStoreQuery::new([0.5, -1.0])
///     .with_top_k(10)
///     .with_filters(field("year").ge(2023) & !field("lang").eq("de"))
///     .with_similarity_cutoff(0.7);
/// let diverse = query.with_mode(VectorStoreQueryMode::Mmr).with_mmr_threshold(0.3);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VectorStoreQuery {
    /// The embedding that results are compared with.
    pub query_embedding: Option<Vec<f64>>,
    /// How many results; 1 by default. As in LlamaIndex, `None` and 0 stand for all, and a negative number for none; in
    /// modes that fit a learner, 0 stands for none and a negative number for all but so many of the last.
    pub similarity_top_k: Option<i64>,
    /// How results are found.
    pub mode: VectorStoreQueryMode,
    /// Which nodes are looked at.
    pub selection: NodeSelection,
    /// Results with a lower similarity are left out, and so are those without one.
    pub similarity_cutoff: Option<f64>,
    /// For mode [`Mmr`](VectorStoreQueryMode::Mmr): how much nearness to the query counts, against being far from what
    /// was picked before. From 0 to 1; 0.5 if it is not given.
    pub mmr_threshold: Option<f64>,
    /// For mode [`Mmr`](VectorStoreQueryMode::Mmr): what was picked before.
    pub mmr_penalty: MmrPenalty,
    /// For the modes [`LinearRegression`](VectorStoreQueryMode::LinearRegression) and
    /// [`LogisticRegression`](VectorStoreQueryMode::LogisticRegression): what is fitted.
    pub learner: Learner,
    /// For stores that search texts: the question.
    pub query_str: Option<String>,
    /// For stores that search texts and embeddings: how much embeddings count, from 0 to 1.
    pub alpha: Option<f64>,
    /// For such stores: how many results of the search in texts are looked at.
    pub sparse_top_k: Option<i64>,
    /// For such stores: how many results of both searches together.
    pub hybrid_top_k: Option<i64>,
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

    /// Sets the question, for stores that search texts.
    #[must_use]
    pub fn with_query_str(mut self, query: impl Into<String>) -> Self {
        self.query_str = Some(query.into());
        self
    }

    /// Sets how much embeddings count, from 0 to 1, for stores that search texts too.
    #[must_use]
    pub fn with_alpha(mut self, alpha: impl Into<Option<f64>>) -> Self {
        self.alpha = alpha.into();
        self
    }

    /// Sets how many results of a search in texts are looked at.
    #[must_use]
    pub fn with_sparse_top_k(mut self, sparse_top_k: impl Into<Option<i64>>) -> Self {
        self.sparse_top_k = sparse_top_k.into();
        self
    }

    /// Sets how many results there are of searches in texts and in embeddings together.
    #[must_use]
    pub fn with_hybrid_top_k(mut self, hybrid_top_k: impl Into<Option<i64>>) -> Self {
        self.hybrid_top_k = hybrid_top_k.into();
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
        self.selection = self.selection.with_node_ids(node_ids);
        self
    }

    /// Looks at nodes of these documents only.
    #[must_use]
    pub fn with_doc_ids(mut self, doc_ids: impl IntoIterator<Item = impl Into<PyString>>) -> Self {
        self.selection = self.selection.with_doc_ids(doc_ids);
        self
    }

    /// Looks at nodes only whose metadata passes.
    #[must_use]
    pub fn with_filters(mut self, filters: impl Into<MetadataFilters>) -> Self {
        self.selection = self.selection.with_filters(filters);
        self
    }

    /// Sets what becomes of a node whose metadata a filter cannot be applied to.
    #[must_use]
    pub fn with_mismatch(mut self, mismatch: Mismatch) -> Self {
        self.selection = self.selection.with_mismatch(mismatch);
        self
    }

    /// Leaves out results with a lower similarity.
    #[must_use]
    pub fn with_similarity_cutoff(mut self, similarity_cutoff: impl Into<Option<f64>>) -> Self {
        self.similarity_cutoff = similarity_cutoff.into();
        self
    }

    /// Sets how much nearness to the query counts in mode [`Mmr`](VectorStoreQueryMode::Mmr), from 0 to 1.
    #[must_use]
    pub fn with_mmr_threshold(mut self, mmr_threshold: impl Into<Option<f64>>) -> Self {
        self.mmr_threshold = mmr_threshold.into();
        self
    }

    /// Sets what results must be far from in mode [`Mmr`](VectorStoreQueryMode::Mmr).
    #[must_use]
    pub fn with_mmr_penalty(mut self, mmr_penalty: MmrPenalty) -> Self {
        self.mmr_penalty = mmr_penalty;
        self
    }

    /// Sets what the two modes that are named after regressions fit.
    #[must_use]
    pub fn with_learner(mut self, learner: Learner) -> Self {
        self.learner = learner;
        self
    }
}

impl Default for VectorStoreQuery {
    fn default() -> Self {
        Self {
            query_embedding: None,
            similarity_top_k: Some(1),
            mode: VectorStoreQueryMode::Default,
            selection: NodeSelection::default(),
            similarity_cutoff: None,
            mmr_threshold: None,
            mmr_penalty: MmrPenalty::default(),
            learner: Learner::default(),
            query_str: None,
            alpha: None,
            sparse_top_k: None,
            hybrid_top_k: None,
        }
    }
}

/// What a result must be far from in mode [`Mmr`](VectorStoreQueryMode::Mmr).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MmrPenalty {
    /// The result picked last, as in LlamaIndex: what is like an earlier one may come again.
    #[default]
    LastPick,
    /// The most similar of all results picked so far: maximal marginal relevance as Carbonell and Goldstein define it
    /// ("The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing Summaries", 1998).
    AllPicks,
}

/// What the modes [`LinearRegression`](VectorStoreQueryMode::LinearRegression) and
/// [`LogisticRegression`](VectorStoreQueryMode::LogisticRegression) fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Learner {
    /// What the mode is named after.
    #[default]
    AsNamed,
    /// A support vector machine whatever the mode, which is what LlamaIndex does.
    AlwaysSvm,
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
    /// By a linear support vector machine that is fitted to tell the query from the nodes; the similarity is a node's
    /// distance from the plane between them.
    Svm,
    /// By a logistic regression of whether it is the query; the similarity is the log-odds.
    LogisticRegression,
    /// By a linear regression, by least squares, of 1 for the query and 0 for every node. Where nodes are fewer than
    /// dimensions all of them are usually met exactly, and nothing is told apart.
    LinearRegression,
    /// By maximal marginal relevance: near to the query, but not to each other. The first result is the nearest; each
    /// next one has the greatest *t*·sim(query) − (1−*t*)·sim(picked), where *t* is
    /// [`mmr_threshold`](VectorStoreQuery::mmr_threshold) and [`MmrPenalty`] says which picked one. That is also the
    /// similarity a result is told with.
    Mmr,
}

impl VectorStoreQueryMode {
    /// Every mode.
    pub const ALL: [Self; 9] = [
        Self::Default,
        Self::Sparse,
        Self::Hybrid,
        Self::TextSearch,
        Self::SemanticHybrid,
        Self::Svm,
        Self::LogisticRegression,
        Self::LinearRegression,
        Self::Mmr,
    ];

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
    /// The nodes themselves, each at the place of its id, if the store keeps them.
    pub nodes: Option<Vec<Node>>,
}

impl VectorStoreQueryResult {
    /// Adds the nodes themselves, which a store that keeps texts does.
    #[must_use]
    pub fn with_nodes(mut self, nodes: Vec<Node>) -> Self {
        self.nodes = Some(nodes);
        self
    }
}

impl FromIterator<(PyString, f64)> for VectorStoreQueryResult {
    fn from_iter<T: IntoIterator<Item = (PyString, f64)>>(hits: T) -> Self {
        let (ids, similarities) = hits.into_iter().unzip();
        Self { ids, similarities, nodes: None }
    }
}
