use std::collections::HashSet;
use std::sync::Arc;

use graphstore::Triplet;
use indexmap::IndexSet;
use indexstore::{IndexStructData, KnowledgeGraph};
use raw_json::{PyString, Value};
use schema::{MetadataMode, Node};

use crate::graph_change::GraphChange;
use crate::insertion::{Insertion, ids};
use crate::triplet_text::tuple;
use crate::{
    Error, IndexBuilder, IndexHandle, IndexKind, KeywordExtractor, KnowledgeGraphIndex, LlmTripletExtractor, Result,
    TripletExtractor,
};

/// Triplets are found in what language models see of a node, and the node is found under both ends of each.
pub(crate) async fn plan(index: &IndexHandle, nodes: &[Node]) -> Result<Insertion> {
    let mut triplets = Vec::new();
    let mut entries = Vec::new();
    for node in nodes {
        let text = node.get_content(MetadataMode::Llm)?;
        for triplet in extract(index, &text.to_string_lossy()).await? {
            entries.extend([&triplet.subject, &triplet.object].map(|end| (end.clone(), node.id.clone())));
            triplets.push(triplet);
        }
    }
    prepare(index, nodes, triplets, entries).await
}

async fn extract(index: &IndexHandle, text: &str) -> Result<Vec<Triplet>> {
    let extractor: Arc<dyn TripletExtractor> = match (&index.settings.triplets, &index.settings.llm) {
        (Some(extractor), _) => Arc::clone(extractor),
        (None, Some(llm)) => Arc::new(LlmTripletExtractor::new(Arc::clone(llm))),
        (None, None) => {
            let purpose = "to find triplets with, nor anything else for that".to_owned();
            return Err(Error::NoModel { id: Some(index.index_id()), model: "language model", purpose });
        }
    };
    extractor.extract(text).await.map_err(|source| Error::Model {
        model: format!("{extractor:?}"),
        purpose: "to find triplets".to_owned(),
        source,
    })
}

/// Prepares nodes with their triplets, and the keywords that each node is found under.
async fn prepare(
    index: &IndexHandle,
    nodes: &[Node],
    triplets: Vec<Triplet>,
    entries: Vec<(PyString, PyString)>,
) -> Result<Insertion> {
    let index_struct = index.index_struct();
    let mut texts = IndexSet::new();
    if index.settings.include_embeddings {
        texts.extend(triplets.iter().map(tuple));
        if let IndexStructData::KnowledgeGraph(known) = &index_struct.data {
            texts.retain(|text| !known.embedding_dict.contains_key(text));
        }
    }
    let to_embed: Vec<String> = texts.iter().map(ToString::to_string).collect();
    let (embeddings, identity) = index.embed_texts(&to_embed, "triplets").await?;
    let embeddings: Vec<(PyString, Value)> = texts.into_iter().zip(embeddings.into_iter().map(Value::from)).collect();
    // As soon as the graph store has triplets, LlamaIndex does not look at those in the struct any more.
    let mut stored = match &index_struct.data {
        IndexStructData::KnowledgeGraph(known) => old_triplets(index, known)?,
        _ => Vec::new(),
    };
    stored.extend(triplets);
    Ok(Insertion {
        rows: Vec::new(),
        documents: index.prepare(nodes, false)?,
        summaries: None,
        graph: GraphChange::Triplets(stored),
        change: Box::new(move |data, _| {
            if let IndexStructData::KnowledgeGraph(known) = data {
                known.rel_map.clear();
                for (keyword, id) in &entries {
                    known.table.entry(keyword.clone()).or_default().insert(id.clone());
                }
                known.embedding_dict.extend(embeddings.iter().cloned());
            }
        }),
        identity,
        ids: ids(nodes),
    })
}

/// The triplets that 0.6.2x and before kept in the struct.
pub(crate) fn old_triplets(index: &IndexHandle, known: &KnowledgeGraph) -> Result<Vec<Triplet>> {
    let triplets = known.rel_map_triplets();
    let triplets = triplets.map_err(|subject| Error::DamagedTriplets { id: index.index_id(), subject })?;
    Ok(triplets.into_iter().map(|[subject, relation, object]| Triplet { subject, relation, object }).collect())
}

impl IndexBuilder<KnowledgeGraphIndex> {
    /// What finds triplets in nodes; by default the language model is asked, as
    /// [`LlmTripletExtractor`](crate::LlmTripletExtractor) does.
    #[must_use]
    pub fn triplet_extractor(mut self, extractor: impl TripletExtractor) -> Self {
        self.settings.triplets = Some(Arc::new(extractor));
        self
    }

    /// Whether triplets are embedded; they are not by default.
    #[must_use]
    pub fn include_embeddings(mut self, include: bool) -> Self {
        self.settings.include_embeddings = include;
        self
    }

    /// What finds the keywords of questions; [`SimpleKeywords`](crate::SimpleKeywords) by default.
    #[must_use]
    pub fn keyword_extractor(mut self, extractor: impl KeywordExtractor) -> Self {
        self.settings.keywords = Arc::new(extractor);
        self
    }
}

impl KnowledgeGraphIndex {
    /// Says what finds triplets in nodes; by default the language model is asked.
    #[must_use]
    pub fn with_triplet_extractor(self, extractor: impl TripletExtractor) -> Self {
        let mut handle = (*self).clone();
        handle.settings.triplets = Some(Arc::new(extractor));
        Self::from_handle(handle)
    }

    /// Says whether triplets are embedded from now on. That is not stored, though the embeddings are.
    #[must_use]
    pub fn with_include_embeddings(self, include: bool) -> Self {
        let mut handle = (*self).clone();
        handle.settings.include_embeddings = include;
        Self::from_handle(handle)
    }

    /// Says what finds the keywords of questions; [`SimpleKeywords`](crate::SimpleKeywords) by default.
    #[must_use]
    pub fn with_keyword_extractor(self, extractor: impl KeywordExtractor) -> Self {
        let mut handle = (*self).clone();
        handle.settings.keywords = Arc::new(extractor);
        Self::from_handle(handle)
    }

    /// Adds a triplet that comes from no node; embedded, if the index includes embeddings.
    ///
    /// # Errors
    /// As [`insert_nodes`](IndexHandle::insert_nodes).
    pub async fn upsert_triplet(&self, triplet: Triplet) -> Result<()> {
        let insertion = prepare(self, &[], vec![triplet], Vec::new()).await?;
        self.apply(&insertion, &HashSet::new()).await.map(drop)
    }

    /// Adds a node, to be found under these keywords.
    ///
    /// # Errors
    /// As [`insert_nodes`](IndexHandle::insert_nodes).
    pub async fn add_node(&self, keywords: impl IntoIterator<Item = impl Into<PyString>>, node: Node) -> Result<()> {
        let entries = keywords.into_iter().map(|keyword| (keyword.into(), node.id.clone())).collect();
        let insertion = prepare(self, &[node], Vec::new(), entries).await?;
        self.apply(&insertion, &HashSet::new()).await.map(drop)
    }

    /// Adds a triplet and the node it comes from, to be found under both ends; embedded, if the index includes
    /// embeddings.
    ///
    /// # Errors
    /// As [`insert_nodes`](IndexHandle::insert_nodes).
    pub async fn upsert_triplet_and_node(&self, triplet: Triplet, node: Node) -> Result<()> {
        let entries = [&triplet.subject, &triplet.object].map(|end| (end.clone(), node.id.clone())).to_vec();
        let insertion = prepare(self, &[node], vec![triplet], entries).await?;
        self.apply(&insertion, &HashSet::new()).await.map(drop)
    }

    /// Deletes a triplet, first its embedding from the index, then the triplet from the graph store, and tells whether
    /// that had it. Nodes stay, and stay under their keywords. Other indexes may have found the same triplet: the graph
    /// store has it once.
    ///
    /// # Errors
    /// What the stores report.
    pub async fn delete_triplet(&self, triplet: &Triplet) -> Result<bool> {
        // Those in the struct go to the graph store, where they can be deleted.
        let insertion = prepare(self, &[], Vec::new(), Vec::new()).await?;
        self.apply(&insertion, &HashSet::new()).await?;
        let text = tuple(triplet);
        self.change(|index_struct| {
            if let IndexStructData::KnowledgeGraph(known) = &mut index_struct.data {
                known.embedding_dict.shift_remove(&text);
            }
        })
        .await?;
        Ok(self.ctx.graph_store().delete(&triplet.subject, &triplet.relation, &triplet.object).await?)
    }
}
