use raw_json::PyString;
use schema::Node;
use vectorstore::{MetadataError, metadata_dict_to_node, node_to_metadata_dict};

use crate::{LabelledNode, Result};

impl LabelledNode {
    /// The chunk that a node of LlamaIndex is kept as: its text, its embedding, and as properties its metadata with the
    /// node itself in `_node_content`; see [`node_to_metadata_dict`].
    ///
    /// # Errors
    /// [`MetadataError::Node`] if the node's source is stored as a list or it is nested so deeply that no reader would
    /// take it.
    pub fn from_llama_node(node: &Node) -> Result<Self, MetadataError> {
        let mut chunk = Self::chunk(&node.id, node.text_content());
        chunk.properties = node_to_metadata_dict(node, true, false)?;
        chunk.embedding.clone_from(&node.embedding);
        Ok(chunk)
    }

    /// The node of LlamaIndex that is kept as this one, with the chunk's text; see [`metadata_dict_to_node`]. As in
    /// LlamaIndex it comes without its embedding, which is the chunk's.
    ///
    /// # Errors
    /// [`MetadataError`] if none is kept here, or it cannot be rebuilt.
    pub fn to_llama_node(&self) -> Result<Node, MetadataError> {
        metadata_dict_to_node(&self.properties, self.id(), self.text().cloned())
    }
}

/// The nodes of LlamaIndex that a graph keeps.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LlamaNodes {
    /// Those that could be rebuilt, in the order in which the graph has them.
    pub nodes: Vec<Node>,
    /// What else stands under the ids that were asked for. LlamaIndex drops it without a word.
    pub skipped: Vec<SkippedNode>,
}

/// A node of a graph that no node of LlamaIndex could be rebuilt from.
#[derive(Debug, Clone, PartialEq)]
pub struct SkippedNode {
    /// Its id.
    pub id: PyString,
    /// Why. [`MetadataError::NoContent`] for entities, and for chunks that were not made from a node.
    pub reason: MetadataError,
}

impl LlamaNodes {
    /// The nodes, if nothing was skipped.
    ///
    /// # Errors
    /// [`Error::Metadata`](crate::Error::Metadata) with the reason why the first was skipped.
    pub fn complete(self) -> Result<Vec<Node>> {
        match self.skipped.into_iter().next() {
            Some(skipped) => Err(skipped.reason.into()),
            None => Ok(self.nodes),
        }
    }
}

/// Rebuilds what can be rebuilt.
impl FromIterator<LabelledNode> for LlamaNodes {
    fn from_iter<I: IntoIterator<Item = LabelledNode>>(found: I) -> Self {
        let mut answer = Self::default();
        for node in found {
            match node.to_llama_node() {
                Ok(node) => answer.nodes.push(node),
                Err(reason) => answer.skipped.push(SkippedNode { id: node.id().clone(), reason }),
            }
        }
        answer
    }
}
