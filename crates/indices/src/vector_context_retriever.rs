use std::collections::HashMap;

use async_trait::async_trait;
use graphstore::{KG_SOURCE_REL, LabelledTriplet, NodeFilter, PropertyGraphStore, RelMapOptions, VECTOR_SOURCE_KEY};
use indexmap::IndexMap;
use raw_json::{PyString, Value};
use schema::{Node, NodeContent};
use storage_context::DEFAULT_NAMESPACE;
use vectorstore::VectorStoreQuery;

use crate::extracted::{graph_of, source};
use crate::retriever::{NodeWithScore, QueryBundle, Retriever, best_first};
use crate::vector_retriever::query_own;
use crate::{IndexHandle, PropertyGraphIndex, Result};

/// What stands before the triplets of a chunk.
const PREAMBLE: &str = "Here are some facts extracted from the provided text:\n\n";

impl PropertyGraphIndex {
    /// Finds the triplets around the entities that are nearest to a question, LlamaIndex's `VectorContextRetriever`.
    pub fn vector_context_retriever(&self) -> VectorContextRetriever {
        VectorContextRetriever {
            index: (**self).clone(),
            top_k: Some(4),
            include_text: true,
            options: RelMapOptions::default().with_depth(1).with_ignore_rels([KG_SOURCE_REL]),
        }
    }
}

/// Finds the triplets around the entities of a [`PropertyGraphIndex`] that are nearest to a question.
///
/// Each triplet becomes a text, `a -> r -> b`, with the greater similarity of its ends as its score. With the texts
/// included, the chunk that a triplet was found in takes its place, with all its triplets above its text.
#[derive(Debug, Clone)]
pub struct VectorContextRetriever {
    index: IndexHandle,
    top_k: Option<i64>,
    include_text: bool,
    options: RelMapOptions,
}

impl VectorContextRetriever {
    /// How many entities; 4 by default.
    #[must_use]
    pub fn top_k(mut self, top_k: impl Into<Option<i64>>) -> Self {
        self.top_k = top_k.into();
        self
    }

    /// Whether chunks take the place of their triplets; they do by default.
    #[must_use]
    pub fn include_text(mut self, include: bool) -> Self {
        self.include_text = include;
        self
    }

    /// How many steps from the entities; 1 by default.
    #[must_use]
    pub fn path_depth(mut self, depth: usize) -> Self {
        self.options = self.options.with_depth(depth);
        self
    }

    /// How many triplets; 30 by default.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.options = self.options.with_limit(limit);
        self
    }
}

#[async_trait]
impl Retriever for VectorContextRetriever {
    async fn retrieve_bundle(&self, query: &QueryBundle) -> Result<Vec<NodeWithScore>> {
        let graph = graph_of(&self.index)?;
        let scores: IndexMap<PyString, f64> = if graph.supports_vector_queries() {
            let found = graph.vector_query(&self.asked(query).await?).await?;
            found.into_iter().map(|(node, score)| (node.id().clone(), score)).collect()
        } else {
            self.of_vector_store(&**graph, query).await?
        };
        if scores.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<PyString> = scores.keys().cloned().collect();
        let triplets = graph.get_rel_map(&ids, &self.options).await?;
        let score = |id: &PyString| scores.get(id).copied().unwrap_or(0.0);
        let mut found: Vec<NodeWithScore> = triplets
            .iter()
            .map(|triplet| NodeWithScore {
                node: told(triplet),
                score: Some(score(triplet.subject.id()).max(score(triplet.object.id()))),
            })
            .collect();
        let score = |result: &NodeWithScore| result.score.unwrap_or(f64::NAN);
        found.sort_by(|a, b| best_first(score(a), score(b)));
        if self.include_text {
            let mut sources = Vec::new();
            for result in &found {
                sources.extend(result.node.ref_doc_id()?.cloned());
            }
            found = with_texts(found, graph.get_llama_nodes(&sources).await?.nodes)?;
        }
        self.index.finish(query, found).await
    }
}

impl VectorContextRetriever {
    async fn asked(&self, query: &QueryBundle) -> Result<VectorStoreQuery> {
        Ok(VectorStoreQuery::new(query.embedding_for(&self.index).await?).with_top_k(self.top_k))
    }

    /// The nearest entities with their similarities. The vector store may have vectors of other indexes too.
    async fn of_vector_store(
        &self,
        graph: &dyn PropertyGraphStore,
        query: &QueryBundle,
    ) -> Result<IndexMap<PyString, f64>> {
        let store = self.index.vector_store(DEFAULT_NAMESPACE)?;
        let known = graph.get(&NodeFilter::default()).await?;
        let own: IndexMap<PyString, PyString> =
            known.iter().map(|node| (node.id().clone(), node.id().clone())).collect();
        if own.is_empty() {
            return Ok(IndexMap::new());
        }
        let asked = self.asked(query).await?;
        if !store.stores_text() {
            let found = query_own(&*store, asked, &own).await?;
            return Ok(found.ids.into_iter().zip(found.similarities).collect());
        }
        // There the vector's metadata tell which entity it is of.
        let found = store.query(&asked).await?;
        let meant = |node: &Node| {
            let entity = node.metadata.get(VECTOR_SOURCE_KEY.as_bytes()).and_then(Value::as_str);
            entity.unwrap_or(&node.id).clone()
        };
        let ids = found.nodes.map_or(found.ids, |nodes| nodes.iter().map(meant).collect());
        Ok(ids.into_iter().zip(found.similarities).filter(|(id, _)| own.contains_key(id)).collect())
    }
}

/// A triplet as a text that comes from the chunk it was found in.
fn told(triplet: &LabelledTriplet) -> Node {
    let arrow = PyString::from(" -> ");
    let parts = [triplet.subject.id(), &arrow, &triplet.relation.label, &arrow, triplet.object.id()];
    let node = Node::text(PyString::concat(parts));
    match source(&triplet.subject) {
        Some(source) => node.with_source(source),
        None => node,
    }
}

/// Puts chunks in the place of their triplets.
fn with_texts(found: Vec<NodeWithScore>, chunks: Vec<Node>) -> Result<Vec<NodeWithScore>> {
    let mut facts: HashMap<PyString, Vec<PyString>> = HashMap::new();
    for result in &found {
        if let Some(source) = result.node.ref_doc_id()? {
            facts.entry(source.clone()).or_default().push(result.node.text_content());
        }
    }
    let line = PyString::from("\n");
    let chunks: HashMap<PyString, Node> = chunks
        .into_iter()
        .map(|mut chunk| {
            let mut parts = vec![PyString::from(PREAMBLE)];
            for fact in facts.get(&chunk.id).into_iter().flatten() {
                parts.extend([fact.clone(), line.clone()]);
            }
            parts.extend([line.clone(), chunk.text_content()]);
            if let NodeContent::Text(text) | NodeContent::Image(text, _) | NodeContent::Index(text, _) =
                &mut chunk.content
            {
                text.text = PyString::concat(&parts);
            }
            (chunk.id.clone(), chunk)
        })
        .collect();
    found
        .into_iter()
        .map(|result| {
            let chunk = result.node.ref_doc_id()?.and_then(|source| chunks.get(source)).cloned();
            Ok(NodeWithScore { node: chunk.unwrap_or(result.node), score: result.score })
        })
        .collect()
}
