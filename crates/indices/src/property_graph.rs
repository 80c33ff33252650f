use std::collections::HashSet;
use std::sync::Arc;

use graphstore::{LabelledNode, Relation, TRIPLET_SOURCE_KEY};
use raw_json::{PyString, Value};
use schema::{MetadataMode, Node};
use storage_context::DEFAULT_NAMESPACE;

use crate::extracted::{Extracted, Known, graph_of};
use crate::graph_change::GraphChange;
use crate::insertion::{Insertion, ids};
use crate::kg_extractor::{Extraction, take_given};
use crate::{
    Error, ImplicitPathExtractor, IndexBuilder, IndexHandle, IndexKind, KgExtractor, PropertyGraphIndex, Result,
    SimpleLlmPathExtractor,
};

/// Nodes are kept in the graph as chunks, with the entities and relations that are found in them. `replaced` are the
/// nodes that these take the place of.
pub(crate) async fn plan(index: &IndexHandle, nodes: &[Node], replaced: HashSet<PyString>) -> Result<Insertion> {
    let graph = graph_of(index)?;
    let mut extracted = Extracted { replaced, ..Extracted::default() };
    let extractors = extractors(index, nodes)?;
    for node in nodes {
        let mut chunk = node.clone();
        let mut found = vec![take_given(&mut chunk)?];
        for extractor in &extractors {
            let told = extractor.extract(&chunk).await;
            found.push(told.map_err(|source| Error::Model {
                model: format!("{extractor:?}"),
                purpose: "to find entities and relations".to_owned(),
                source,
            })?);
        }
        for Extraction { entities, relations } in found {
            for mut entity in entities {
                entity.properties.insert(TRIPLET_SOURCE_KEY.into(), Value::from(&node.id));
                // Of several with one id the last counts, in the place of the first.
                extracted.entities.insert(entity.id().clone(), entity);
            }
            let found_here = |relation: Relation| relation.with_property(TRIPLET_SOURCE_KEY, &node.id);
            extracted.relations.extend(relations.into_iter().map(found_here));
        }
        extracted.chunks.push(chunk);
    }
    let chunks = ids(&extracted.chunks);
    extracted.entities.retain(|id, _| !chunks.contains(id));
    check(&extracted)?;
    let mut identity = None;
    if index.settings.embed_kg_nodes {
        let known = extracted.known(&**graph).await?;
        identity = embed(index, &mut extracted, &known).await?;
        if extracted.entities.values().any(|entity| entity.embedding.is_some()) && !graph.supports_vector_queries() {
            index.vector_store(DEFAULT_NAMESPACE)?;
        }
    }
    Ok(Insertion {
        rows: Vec::new(),
        documents: index.prepare(nodes, false)?,
        summaries: None,
        graph: GraphChange::Extracted(extracted),
        change: Box::new(|_, _| {}),
        identity,
        ids: ids(nodes),
    })
}

/// What was asked for; otherwise LlamaIndex's two.
fn extractors(index: &IndexHandle, nodes: &[Node]) -> Result<Vec<Arc<dyn KgExtractor>>> {
    match (&index.settings.kg_extractors, &index.settings.llm) {
        (Some(extractors), _) => Ok(extractors.clone()),
        (None, Some(llm)) => {
            Ok(vec![Arc::new(SimpleLlmPathExtractor::new(Arc::clone(llm))), Arc::new(ImplicitPathExtractor)])
        }
        (None, None) if nodes.is_empty() => Ok(Vec::new()),
        (None, None) => {
            let purpose = "to find entities with, nor any extractor".to_owned();
            Err(Error::NoModel { id: Some(index.index_id()), model: "language model", purpose })
        }
    }
}

/// Checks that a graph can keep all of it.
fn check(extracted: &Extracted) -> Result<()> {
    for chunk in &extracted.chunks {
        LabelledNode::from_llama_node(chunk).map_err(graphstore::Error::from)?.check()?;
    }
    extracted.entities.values().try_for_each(LabelledNode::check)?;
    extracted.relations.iter().try_for_each(Relation::check)?;
    Ok(())
}

/// Embeds what is new and has no embedding, all at once.
async fn embed(
    index: &IndexHandle,
    extracted: &mut Extracted,
    known: &Known,
) -> Result<Option<indexstore::EmbeddingIdentity>> {
    let mut texts = Vec::new();
    let mut slots = Vec::new();
    for chunk in extracted.chunks.iter_mut().filter(|chunk| chunk.embedding.is_none()) {
        if !known.has_chunk(chunk)? {
            texts.push(chunk.get_content(MetadataMode::Embed)?.to_string_lossy().into_owned());
            slots.push(&mut chunk.embedding);
        }
    }
    for entity in extracted.entities.values_mut().filter(|entity| entity.embedding.is_none()) {
        if !known.has_entity(entity.id()) {
            texts.push(entity.to_string());
            slots.push(&mut entity.embedding);
        }
    }
    let (embeddings, identity) = index.embed_texts(&texts, "chunks and entities").await?;
    for (slot, embedding) in slots.into_iter().zip(embeddings) {
        *slot = Some(embedding);
    }
    Ok(identity)
}

impl IndexBuilder<PropertyGraphIndex> {
    /// Adds what finds entities and relations, after those that are there. Without any, those of LlamaIndex are taken:
    /// [`SimpleLlmPathExtractor`] with the index's language model, and [`ImplicitPathExtractor`].
    #[must_use]
    pub fn kg_extractor(mut self, extractor: impl KgExtractor) -> Self {
        self.settings.kg_extractors.get_or_insert_default().push(Arc::new(extractor));
        self
    }

    /// What finds entities and relations, one after the other. With none, only what nodes have in their metadata under
    /// `nodes` and `relations` is taken, which also counts beside extractors.
    #[must_use]
    pub fn kg_extractors(mut self, extractors: Vec<Arc<dyn KgExtractor>>) -> Self {
        self.settings.kg_extractors = Some(extractors);
        self
    }

    /// Whether chunks and entities are embedded; they are by default. Those that come with an embedding keep it then.
    #[must_use]
    pub fn embed_kg_nodes(mut self, embed: bool) -> Self {
        self.settings.embed_kg_nodes = embed;
        self
    }
}

impl PropertyGraphIndex {
    /// Says what finds entities and relations, one after the other. With none, only what nodes have in their metadata
    /// under `nodes` and `relations` is taken.
    #[must_use]
    pub fn with_kg_extractors(self, extractors: Vec<Arc<dyn KgExtractor>>) -> Self {
        let mut handle = (*self).clone();
        handle.settings.kg_extractors = Some(extractors);
        Self::from_handle(handle)
    }

    /// Says whether chunks and entities are embedded; they are by default.
    #[must_use]
    pub fn with_embed_kg_nodes(self, embed: bool) -> Self {
        let mut handle = (*self).clone();
        handle.settings.embed_kg_nodes = embed;
        Self::from_handle(handle)
    }
}
