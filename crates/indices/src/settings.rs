use std::sync::Arc;

use indexmap::IndexMap;
use raw_json::PyString;

use crate::tree::TreeSettings;
use crate::{
    Embedder, KeywordExtractor, KgExtractor, Llm, RetrievedObject, SentenceSplitter, SimpleKeywords, Transformation,
    TripletExtractor,
};

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
    /// What finds triplets; without it the language model is asked.
    pub(crate) triplets: Option<Arc<dyn TripletExtractor>>,
    /// Whether a knowledge graph index embeds its triplets.
    pub(crate) include_embeddings: bool,
    /// What finds entities and relations; without it the language model is asked, and relationships are taken.
    pub(crate) kg_extractors: Option<Vec<Arc<dyn KgExtractor>>>,
    /// Whether a property graph index embeds its chunks and entities.
    pub(crate) embed_kg_nodes: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            embedder: None,
            llm: None,
            transformations: vec![Arc::new(SentenceSplitter::default())],
            tree: TreeSettings::default(),
            keywords: Arc::new(SimpleKeywords),
            store_nodes_override: false,
            objects: Arc::default(),
            triplets: None,
            include_embeddings: false,
            kg_extractors: None,
            embed_kg_nodes: true,
        }
    }
}
