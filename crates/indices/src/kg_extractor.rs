use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use graphstore::{KG_NODES_KEY, KG_RELATIONS_KEY, LabelledNode, Relation};
use raw_json::{Object, PyString, Value};
use schema::{MetadataMode, Node, NodeRelationship};

use crate::{Error, Llm, LlmTripletExtractor, ModelError, Result, TripletExtractor};

/// Finds entities and their relations in a node.
#[async_trait]
pub trait KgExtractor: Debug + Send + Sync + 'static {
    /// What is in a node. That all of it comes from this node need not be said: the index notes that.
    ///
    /// # Errors
    /// If it fails, for whatever reason.
    async fn extract(&self, node: &Node) -> Result<Extraction, ModelError>;
}

#[async_trait]
impl<E: KgExtractor + ?Sized> KgExtractor for Arc<E> {
    async fn extract(&self, node: &Node) -> Result<Extraction, ModelError> {
        (**self).extract(node).await
    }
}

/// What was found in a node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extraction {
    /// The entities.
    pub entities: Vec<LabelledNode>,
    /// The relations. Ends that are nowhere else become entities that nothing is known of.
    pub relations: Vec<Relation>,
}

/// Makes relations of what a node says of others: `SOURCE`, `PARENT`, `PREVIOUS`, `NEXT` and `CHILD`, with the node's
/// metadata as properties.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImplicitPathExtractor;

#[async_trait]
impl KgExtractor for ImplicitPathExtractor {
    async fn extract(&self, node: &Node) -> Result<Extraction, ModelError> {
        let mut relations = Vec::new();
        let mut relate = |label: &str, target: &PyString| {
            let properties = node.metadata.clone();
            relations.push(Relation { properties, ..Relation::new(label, &node.id, target) });
        };
        for (label, relationship) in [
            ("SOURCE", NodeRelationship::Source),
            ("PARENT", NodeRelationship::Parent),
            ("PREVIOUS", NodeRelationship::Previous),
            ("NEXT", NodeRelationship::Next),
        ] {
            if let Some(other) = node.related(relationship)? {
                relate(label, &other.node_id);
            }
        }
        for child in node.children()? {
            relate("CHILD", &child.node_id);
        }
        Ok(Extraction { entities: Vec::new(), relations })
    }
}

/// Asks a language model for triplets, as [`LlmTripletExtractor`] does, and makes entities of their ends and relations
/// of them, with the node's metadata as properties.
///
/// If the model fails, so does the insertion. LlamaIndex takes some failures for an answer without triplets.
#[derive(Debug, Clone)]
pub struct SimpleLlmPathExtractor(LlmTripletExtractor);

impl SimpleLlmPathExtractor {
    /// Asks this model, for 10 triplets a node.
    pub fn new(llm: impl Llm) -> Self {
        Self(LlmTripletExtractor::new(llm))
    }

    /// How many triplets the model is asked for. What it answers beyond counts too.
    #[must_use]
    pub fn max_paths(self, max: usize) -> Self {
        Self(self.0.max_triplets(max))
    }
}

#[async_trait]
impl KgExtractor for SimpleLlmPathExtractor {
    async fn extract(&self, node: &Node) -> Result<Extraction, ModelError> {
        let text = node.get_content(MetadataMode::Llm)?;
        let mut found = Extraction::default();
        for triplet in self.0.extract(&text.to_string_lossy()).await? {
            let entity = |name: &PyString| {
                let mut entity = LabelledNode::entity(name);
                entity.properties.clone_from(&node.metadata);
                entity
            };
            let (subject, object) = (entity(&triplet.subject), entity(&triplet.object));
            let relation = Relation::new(&triplet.relation, subject.id(), object.id());
            found.relations.push(Relation { properties: node.metadata.clone(), ..relation });
            found.entities.extend([subject, object]);
        }
        Ok(found)
    }
}

/// Takes out of a node's metadata what LlamaIndex's transformations leave there.
pub(crate) fn take_given(node: &mut Node) -> Result<Extraction> {
    let (id, metadata) = (node.id.clone(), &mut node.metadata);
    Ok(Extraction {
        entities: take(&id, metadata, KG_NODES_KEY, LabelledNode::from_value)?,
        relations: take(&id, metadata, KG_RELATIONS_KEY, Relation::from_value)?,
    })
}

fn take<T>(id: &PyString, metadata: &mut Object, key: &'static str, read: fn(&Value) -> Option<T>) -> Result<Vec<T>> {
    let Some(given) = metadata.shift_remove(key.as_bytes()) else { return Ok(Vec::new()) };
    let read = given.as_array().and_then(|given| given.iter().map(read).collect());
    read.ok_or_else(|| Error::NothingExtracted { node: id.clone(), key })
}
