use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use graphstore::{LabelledNode, NodeFilter, PropertyGraphStore, Relation, TRIPLET_SOURCE_KEY, VECTOR_SOURCE_KEY};
use indexmap::IndexMap;
use raw_json::{Object, PyString, Value};
use schema::Node;
use storage_context::{DEFAULT_NAMESPACE, StorageContext};
use vectorstore::VectorStore;

use crate::{Error, IndexHandle, Result};

/// What a property graph is to get: nodes as chunks, and what was found in them.
#[derive(Debug, Default)]
pub(crate) struct Extracted {
    /// The nodes, without what is given in their metadata.
    pub(crate) chunks: Vec<Node>,
    /// The entities, each once, and none under the id of a node.
    pub(crate) entities: IndexMap<PyString, LabelledNode>,
    /// The relations.
    pub(crate) relations: Vec<Relation>,
    /// The nodes that these take the place of.
    pub(crate) replaced: HashSet<PyString>,
}

/// The same without what is there already.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// The entities' vectors, unless the graph keeps those.
    pub(crate) rows: Vec<(Arc<dyn VectorStore>, Vec<Node>)>,
    pub(crate) chunks: Vec<Node>,
    pub(crate) entities: Vec<LabelledNode>,
    relations: Vec<Relation>,
}

impl Extracted {
    /// Leaves out entities that are there, whatever they are there as, and nodes that are there as they are. What comes
    /// from a node that is about to be replaced does not count as being there.
    pub(crate) async fn settle(&self, index: &IndexHandle) -> Result<Settled> {
        let graph = graph_of(index)?;
        let known = self.known(&**graph).await?;
        let mut settled = Settled { relations: self.relations.clone(), ..Settled::default() };
        for chunk in &self.chunks {
            if !known.has_chunk(chunk)? {
                settled.chunks.push(chunk.clone());
            }
        }
        let new = self.entities.values().filter(|entity| !known.has_entity(entity.id()));
        settled.entities.extend(new.cloned());
        // An end that only a replaced node told of would go with that.
        let ends = self.relations.iter().flat_map(|relation| [&relation.source_id, &relation.target_id]);
        let bare = ends.filter(|id| known.replaced.contains(*id) && !self.entities.contains_key(*id));
        let bare: IndexMap<&PyString, LabelledNode> = bare.map(|id| (id, LabelledNode::entity(id))).collect();
        settled.entities.extend(bare.into_values());
        if index.settings.embed_kg_nodes && !graph.supports_vector_queries() {
            let rows: Vec<Node> = settled.entities.iter_mut().filter_map(take_row).collect();
            if !rows.is_empty() {
                settled.rows.push((index.vector_store(DEFAULT_NAMESPACE)?, rows));
            }
        }
        Ok(settled)
    }

    /// What the graph has of this.
    pub(crate) async fn known(&self, graph: &dyn PropertyGraphStore) -> Result<Known> {
        let ends = self.relations.iter().flat_map(|relation| [&relation.source_id, &relation.target_id]);
        let ids: HashSet<&PyString> =
            self.chunks.iter().map(|chunk| &chunk.id).chain(self.entities.keys()).chain(ends).collect();
        let mut known = Known::default();
        if ids.is_empty() {
            return Ok(known);
        }
        for node in graph.get(&NodeFilter::default().with_ids(ids)).await? {
            if comes_from(&node, &self.replaced) {
                known.replaced.insert(node.id().clone());
            } else {
                // Only nodes of LlamaIndex can be rebuilt.
                let hash = node.to_llama_node().ok().map(|node| node.hash()).transpose()?;
                known.stays.insert(node.id().clone(), hash);
            }
        }
        Ok(known)
    }
}

/// What a graph has of what it is to get.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// What comes from a replaced node.
    replaced: HashSet<PyString>,
    /// Everything else, with the hashes of LlamaIndex's nodes.
    stays: HashMap<PyString, Option<String>>,
}

impl Known {
    pub(crate) fn has_entity(&self, id: &PyString) -> bool {
        self.stays.contains_key(id)
    }

    pub(crate) fn has_chunk(&self, node: &Node) -> Result<bool> {
        Ok(match self.stays.get(&node.id) {
            Some(Some(hash)) => *hash == node.hash()?,
            _ => false,
        })
    }
}

impl Settled {
    /// Changes the graph: chunks, then entities, then relations, each as one batch.
    pub(crate) async fn store(self, ctx: &StorageContext) -> Result<()> {
        let Some(graph) = ctx.property_graph_store() else { return Ok(()) };
        if !self.chunks.is_empty() {
            graph.upsert_llama_nodes(&self.chunks).await?;
        }
        if !self.entities.is_empty() {
            graph.upsert_nodes(self.entities).await?;
        }
        if !self.relations.is_empty() {
            graph.upsert_relations(self.relations).await?;
        }
        Ok(())
    }
}

/// The vector of an entity, which the graph then does without.
fn take_row(entity: &mut LabelledNode) -> Option<Node> {
    let embedding = entity.embedding.take()?;
    let mut metadata = Object::from_iter([(PyString::from(VECTOR_SOURCE_KEY), Value::from(entity.id()))]);
    metadata.extend(entity.properties.clone());
    let row = Node::text(entity.to_string()).with_id(entity.id()).with_embedding(embedding);
    Some(Node { metadata, ..row })
}

/// The node that something in a graph was found in.
pub(crate) fn source(node: &LabelledNode) -> Option<&PyString> {
    node.property(TRIPLET_SOURCE_KEY).and_then(Value::as_str)
}

/// Whether a node of the graph is one of these of LlamaIndex, or was found in one.
pub(crate) fn comes_from(node: &LabelledNode, nodes: &HashSet<PyString>) -> bool {
    nodes.contains(node.id()) || source(node).is_some_and(|source| nodes.contains(source))
}

pub(crate) fn graph_of(index: &IndexHandle) -> Result<&Arc<dyn PropertyGraphStore>> {
    let graph = index.ctx.property_graph_store();
    graph.ok_or_else(|| Error::NoPropertyGraphStore { id: index.index_id() })
}
