use async_trait::async_trait;
use graphstore::{DEFAULT_DEPTH, DEFAULT_LIMIT, GraphStore, RelMap, SimpleGraphStore, Triplet};
use indexmap::{IndexMap, IndexSet};
use indexstore::{IndexStructData, KnowledgeGraph};
use raw_json::{Object, PyString, Value};
use schema::Node;
use vectorstore::{VectorStore, VectorStoreQuery};
use vectorstore_simple::SimpleVectorStore;

use crate::capitalize::capitalize;
use crate::keyword_table::extract;
use crate::knowledge_graph::old_triplets;
use crate::retriever::{NodeWithScore, QueryBundle, Retriever};
use crate::triplet_text::{list, read_tuple};
use crate::{Error, IndexHandle, KnowledgeGraphIndex, Result};

/// The score of everything that is found. It says nothing but that no cutoff should remove it.
const SCORE: f64 = 1000.0;

/// How many nodes are taken for a keyword.
const NODES_PER_KEYWORD: usize = 3;

/// How many triplets the mode `Hybrid` tells.
const TEXTS_MAX: usize = 30;

/// How a [`KnowledgeGraphIndex`] finds triplets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KgRetrieverMode {
    /// By the question's keywords.
    Keyword,
    /// By the embeddings of triplets.
    Embedding,
    /// In both ways. At most 30 triplets are told, the longest first; those that were found in both ways are told in
    /// both spellings, as a list and as a tuple.
    Hybrid,
}

impl KnowledgeGraphIndex {
    /// Finds triplets and the nodes they come from: by keywords, and also by embeddings if triplets are embedded.
    pub fn as_retriever(&self) -> KgTableRetriever {
        let index_struct = self.index_struct();
        let is_embedded =
            matches!(&index_struct.data, IndexStructData::KnowledgeGraph(known) if !known.embedding_dict.is_empty());
        KgTableRetriever {
            index: (**self).clone(),
            mode: if is_embedded { KgRetrieverMode::Hybrid } else { KgRetrieverMode::Keyword },
            include_text: true,
            max_keywords: 10,
            chunks: 10,
            top_k: 2,
            depth: DEFAULT_DEPTH,
        }
    }
}

/// Finds the triplets of a [`KnowledgeGraphIndex`] that have to do with a question, LlamaIndex's `KGTableRetriever`.
///
/// The results are nodes, and behind them one text with all the triplets, which are in its metadata too: as texts under
/// `kg_rel_texts`, by keyword under `kg_rel_map`. The nodes are those of the keywords, up to three each, and those of
/// the ends of the triplets nearest to the question; what occurs more often comes first. Triplets on the way from a
/// keyword bring no nodes. All have the score 1000. If nothing is found, that is told by a text with the score 1.
///
/// A keyword that no node is found under is taken with a capital letter at its beginning, which is how language models'
/// triplets are kept.
#[derive(Debug, Clone)]
pub struct KgTableRetriever {
    index: IndexHandle,
    mode: KgRetrieverMode,
    include_text: bool,
    max_keywords: usize,
    chunks: usize,
    top_k: i64,
    depth: usize,
}

impl KgTableRetriever {
    /// How triplets are found.
    #[must_use]
    pub fn mode(mut self, mode: KgRetrieverMode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether nodes are found too; they are by default.
    #[must_use]
    pub fn include_text(mut self, include: bool) -> Self {
        self.include_text = include;
        self
    }

    /// How many keywords of the question are looked up; 10 by default.
    #[must_use]
    pub fn max_keywords(mut self, max: usize) -> Self {
        self.max_keywords = max;
        self
    }

    /// How many nodes; 10 by default.
    #[must_use]
    pub fn chunks(mut self, chunks: usize) -> Self {
        self.chunks = chunks;
        self
    }

    /// How many triplets are found by embedding; 2 by default, and 0 for all.
    #[must_use]
    pub fn top_k(mut self, top_k: i64) -> Self {
        self.top_k = top_k;
        self
    }

    /// How many steps are taken from a keyword; 2 by default.
    #[must_use]
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }
}

/// A triplet as a text.
struct Told {
    text: PyString,
    /// What stands there, if it was found by its embedding and is a tuple.
    nearest: Option<Triplet>,
}

#[async_trait]
impl Retriever for KgTableRetriever {
    async fn retrieve_bundle(&self, query: &QueryBundle) -> Result<Vec<NodeWithScore>> {
        let index_struct = self.index.index_struct();
        let IndexStructData::KnowledgeGraph(known) = &index_struct.data else { return Ok(Vec::new()) };
        let mut told = Vec::new();
        let mut counts: IndexMap<PyString, usize> = IndexMap::new();
        let mut rel_map = RelMap::new();
        if self.mode != KgRetrieverMode::Embedding {
            let old = SimpleGraphStore::new();
            old.upsert_triplets(old_triplets(&self.index, known)?);
            for keyword in extract(&self.index, &query.query_str, self.max_keywords).await? {
                let subject = as_known(known, keyword);
                let nodes = known.table.get(&subject).into_iter().flatten();
                counts.extend(nodes.take(NODES_PER_KEYWORD).map(|id| (id.clone(), 1)));
                let around = self.around(&old, subject).await?;
                told.extend(around.values().flatten().map(|triplet| Told { text: list(triplet), nearest: None }));
                rel_map.extend(around);
            }
        }
        if self.mode != KgRetrieverMode::Keyword && !known.embedding_dict.is_empty() {
            let nearest = self.nearest(known, query).await?;
            told.extend(nearest.into_iter().map(|text| Told { nearest: read_tuple(&text), text }));
        }
        if self.mode == KgRetrieverMode::Hybrid {
            told = condense(told);
        }
        for triplet in told.iter().filter_map(|told| told.nearest.as_ref()) {
            for id in [&triplet.subject, &triplet.object].into_iter().filter_map(|end| known.table.get(end)).flatten() {
                *counts.entry(id.clone()).or_default() += 1;
            }
        }
        if !self.include_text {
            counts.clear();
        }
        counts.sort_by(|_, a, _, b| b.cmp(a));
        let ids: Vec<PyString> = counts.into_keys().take(self.chunks).collect();
        let mut found: Vec<_> = self.index.fetch(&ids).await?.into_iter().map(|node| (node, SCORE)).collect();
        if !told.is_empty() {
            found.push((self.facts(told, &rel_map), SCORE));
        } else if found.is_empty() {
            found.push((Node::text("No relationships found."), 1.0));
        }
        let found = found.into_iter().map(|(node, score)| NodeWithScore { node, score: Some(score) }).collect();
        self.index.finish(query, found).await
    }
}

impl KgTableRetriever {
    /// The triplets around a subject, those that are still in the struct too.
    async fn around(&self, old: &SimpleGraphStore, subject: PyString) -> Result<RelMap> {
        let subject = [subject];
        let graph: &dyn GraphStore = &**self.index.ctx.graph_store();
        let mut around = graph.get_rel_map(Some(&subject), self.depth, DEFAULT_LIMIT).await?;
        if !old.is_empty() {
            for (subject, triplets) in old.get_rel_map(Some(&subject), self.depth, DEFAULT_LIMIT)? {
                around.entry(subject).or_default().extend(triplets);
            }
        }
        Ok(around)
    }

    /// The triplets nearest to the question, which is embedded as a text like theirs, as LlamaIndex does.
    async fn nearest(&self, known: &KnowledgeGraph, query: &QueryBundle) -> Result<Vec<PyString>> {
        let embedding = match &query.embedding {
            Some(embedding) => embedding.clone(),
            None => {
                let text = std::slice::from_ref(&query.query_str);
                let (mut embedded, _) = self.index.embed_texts(text, "questions").await?;
                embedded.pop().unwrap_or_default()
            }
        };
        let mut rows = Vec::with_capacity(known.embedding_dict.len());
        for (text, stored) in &known.embedding_dict {
            let numbers = stored.as_array().and_then(|all| all.iter().map(Value::as_f64).collect::<Option<Vec<_>>>());
            let numbers =
                numbers.ok_or_else(|| Error::DamagedEmbedding { id: self.index.index_id(), triplet: text.clone() })?;
            rows.push(Node::text("").with_id(text).with_embedding(numbers));
        }
        let store = SimpleVectorStore::new();
        store.add(&rows).await?;
        Ok(store.query(&VectorStoreQuery::new(embedding).with_top_k(self.top_k)).await?.ids)
    }

    /// One text with all triplets.
    fn facts(&self, told: Vec<Told>, rel_map: &RelMap) -> Node {
        let texts: Vec<PyString> = told.into_iter().map(|told| told.text).collect();
        let mut lines = vec![PyString::from(format!(
            "What is known, within {} steps, as (subject, relation, object):",
            self.depth
        ))];
        let line = PyString::from("\n");
        lines.extend(texts.iter().flat_map(|text| [line.clone(), text.clone()]));
        let triplet = |triplet: &Triplet| Value::from(vec![&triplet.subject, &triplet.relation, &triplet.object]);
        let rel_map: Object = rel_map
            .iter()
            .map(|(subject, triplets)| (subject.clone(), Value::Array(triplets.iter().map(triplet).collect())))
            .collect();
        let hidden: Vec<PyString> = vec!["kg_rel_map".into(), "kg_rel_texts".into()];
        let node = Node::text(PyString::concat(&lines)).with_metadata("kg_rel_texts", texts);
        Node {
            excluded_embed_metadata_keys: hidden.clone(),
            excluded_llm_metadata_keys: hidden,
            ..node.with_metadata("kg_rel_map", rel_map)
        }
    }
}

/// The form of a keyword that nodes are found under.
fn as_known(known: &KnowledgeGraph, keyword: String) -> PyString {
    let capital = PyString::from(capitalize(&keyword));
    let keyword = PyString::from(keyword);
    if !known.table.contains_key(&keyword) && known.table.contains_key(&capital) { capital } else { keyword }
}

/// Each triplet once, the longest first, without those that are part of another, and not too many.
fn condense(told: Vec<Told>) -> Vec<Told> {
    let mut seen = IndexSet::new();
    let mut told: Vec<Told> = told.into_iter().filter(|told| seen.insert(told.text.clone())).collect();
    told.sort_by_cached_key(|told| std::cmp::Reverse(told.text.code_points().count()));
    let mut kept: Vec<Told> = Vec::new();
    for told in told {
        if kept.len() == TEXTS_MAX {
            break;
        }
        if !kept.iter().any(|longer| longer.text.contains(&told.text)) {
            kept.push(told);
        }
    }
    kept
}
