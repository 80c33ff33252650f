use std::sync::Arc;

use indexmap::IndexMap;
use raw_json::PyString;

use crate::tree::TreeSettings;
use crate::{Embedder, KeywordExtractor, Llm, RetrievedObject, SimpleKeywords, Transformation, WholeDocuments};

/// What an index works with beside its stores. None of it is stored, and nothing here is made by itself.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) embedder: Option<Arc<dyn Embedder>>,
    pub(crate) llm: Option<Arc<dyn Llm>>,
    pub(crate) transformations: Vec<Arc<dyn Transformation>>,
    pub(crate) tree: TreeSettings,
    /// What finds keywords.
    pub(crate) keywords: Arc<dyn KeywordExtractor>,
    /// Whether the document store gets the nodes even if the vector store keeps their texts.
    pub(crate) store_nodes_override: bool,
    /// What stands behind index nodes, by their `index_id`.
    pub(crate) objects: Arc<IndexMap<PyString, RetrievedObject>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            embedder: None,
            llm: None,
            transformations: vec![Arc::new(WholeDocuments)],
            tree: TreeSettings::default(),
            keywords: Arc::new(SimpleKeywords),
            store_nodes_override: false,
            objects: Arc::default(),
        }
    }
}
