use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use indexstore::IndexStructData;
use raw_json::PyString;
use schema::{MetadataMode, Node};

use crate::graph_change::GraphChange;
use crate::insertion::{Insertion, ids};
use crate::retriever::{NodeWithScore, QueryBundle, Retriever, unscored};
use crate::{Error, IndexBuilder, IndexHandle, KeywordExtractor, KeywordTableIndex, Result};

/// How many keywords a node has at most.
const KEYWORDS_PER_NODE: usize = 10;

/// Nodes are found under their keywords, which are taken from what language models see of them.
pub(crate) async fn plan(index: &IndexHandle, nodes: &[Node]) -> Result<Insertion> {
    let mut entries: Vec<(PyString, PyString)> = Vec::new();
    for node in nodes {
        let text = node.get_content(MetadataMode::Llm)?;
        let keywords = extract(index, &text.to_string_lossy(), KEYWORDS_PER_NODE).await?;
        entries.extend(keywords.into_iter().map(|keyword| (keyword.into(), node.id.clone())));
    }
    Ok(Insertion {
        rows: Vec::new(),
        documents: index.prepare(nodes, false)?,
        summaries: None,
        change: Box::new(move |data, _| {
            if let IndexStructData::KeywordTable(keywords) = data {
                for (keyword, id) in &entries {
                    keywords.table.entry(keyword.clone()).or_default().insert(id.clone());
                }
            }
        }),
        identity: None,
        graph: GraphChange::None,
        ids: ids(nodes),
    })
}

/// The keywords of a text, by the index's extractor.
pub(crate) async fn extract(index: &IndexHandle, text: &str, max: usize) -> Result<Vec<String>> {
    let extracted = index.settings.keywords.extract(text, max).await;
    extracted.map_err(|source| Error::Model {
        model: format!("{:?}", index.settings.keywords),
        purpose: "to find keywords".to_owned(),
        source,
    })
}

impl IndexBuilder<KeywordTableIndex> {
    /// What finds the keywords of nodes and questions; [`SimpleKeywords`](crate::SimpleKeywords) by default.
    #[must_use]
    pub fn keyword_extractor(mut self, extractor: impl KeywordExtractor) -> Self {
        self.settings.keywords = Arc::new(extractor);
        self
    }
}

impl KeywordTableIndex {
    /// Says what finds the keywords of nodes and questions; [`SimpleKeywords`](crate::SimpleKeywords) by default. That
    /// is not stored: LlamaIndex's tables of all kinds of keywords look alike.
    #[must_use]
    pub fn with_keyword_extractor(self, extractor: impl KeywordExtractor) -> Self {
        let mut handle = (*self).clone();
        handle.settings.keywords = Arc::new(extractor);
        crate::IndexKind::from_handle(handle)
    }

    /// Finds the nodes that have the most of a question's keywords.
    pub fn as_retriever(&self) -> KeywordTableRetriever {
        KeywordTableRetriever { index: (**self).clone(), max_keywords: 10, top_k: 10 }
    }
}

/// Finds the nodes of a [`KeywordTableIndex`] that have the most of a question's keywords. Among those that have equally
/// many, the node of an earlier keyword comes first. They have no scores.
#[derive(Debug, Clone)]
pub struct KeywordTableRetriever {
    index: IndexHandle,
    max_keywords: usize,
    top_k: usize,
}

impl KeywordTableRetriever {
    /// How many keywords of the question are looked up; 10 by default.
    #[must_use]
    pub fn max_keywords(mut self, max: usize) -> Self {
        self.max_keywords = max;
        self
    }

    /// How many nodes; 10 by default.
    #[must_use]
    pub fn top_k(mut self, top_k: usize) -> Self {
        self.top_k = top_k;
        self
    }
}

#[async_trait]
impl Retriever for KeywordTableRetriever {
    async fn retrieve_bundle(&self, query: &QueryBundle) -> Result<Vec<NodeWithScore>> {
        let index_struct = self.index.index_struct();
        let IndexStructData::KeywordTable(keywords) = &index_struct.data else { return Ok(Vec::new()) };
        let asked = extract(&self.index, &query.query_str, self.max_keywords).await?;
        let mut counts: IndexMap<&PyString, usize> = IndexMap::new();
        for id in asked.iter().filter_map(|keyword| keywords.table.get(keyword.as_bytes())).flatten() {
            *counts.entry(id).or_default() += 1;
        }
        counts.sort_by(|_, a, _, b| b.cmp(a));
        let ids: Vec<PyString> = counts.into_keys().take(self.top_k).cloned().collect();
        let nodes = self.index.fetch(&ids).await?;
        self.index.finish(query, unscored(nodes)).await
    }
}
