use raw_json::PyString;
use schema::Node;
use vectorstore::{MetadataError, metadata_dict_to_node, node_to_metadata_dict};

use crate::{LabelledNode, Result};

impl LabelledNode {
    /// The chunk that a node of LlamaIndex is kept as: its text, its embedding, and as properties its metadata with the
    /// node itself in `_node_content`; see [`node_to_metadata_dict`].
    ///
    /// # Errors
    /// Those of [`node_to_metadata_dict`], for nodes that could not be read again.
    pub fn from_llama_node(node: &Node) -> Result<Self, MetadataError> {
        let mut chunk = Self::chunk(&node.id, node.text_content());
        chunk.properties = node_to_metadata_dict(node, true, false)?;
        chunk.embedding.clone_from(&node.embedding);
        Ok(chunk)
    }

    /// The node of LlamaIndex that is kept as this one, with the chunk's text; see [`metadata_dict_to_node`]. As in
    /// LlamaIndex it comes without its embedding, which is the chunk's, and documents come back as text nodes.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn a_chunk_has_the_text_the_embedding_and_the_rest_as_properties() {
        let node =
            Node::text("a text").with_id("n").with_metadata("k", 1).with_source("doc").with_embedding([0.1, 1e-300]);
        let chunk = LabelledNode::from_llama_node(&node).unwrap();
        assert!(*chunk.id() == "n" && chunk.label == "text_chunk" && chunk.extra.is_empty());
        assert_eq!((chunk.text(), chunk.embedding.as_deref()), (Some(&"a text".into()), Some(&[0.1, 1e-300][..])));
        let keys: Vec<String> = chunk.properties.keys().map(ToString::to_string).collect();
        assert_eq!(keys, ["k", "_node_content", "_node_type", "document_id", "doc_id", "ref_doc_id"]);
        assert_eq!(chunk.to_llama_node().unwrap(), Node { embedding: None, ..node });
    }

    #[test]
    fn the_text_is_the_chunk_s_and_the_rest_the_node_s() {
        let kept = LabelledNode::from_llama_node(&Node::text("old").with_id("n")).unwrap();
        let mut chunk = LabelledNode::chunk("other", "new");
        chunk.properties = kept.properties;
        assert_eq!(chunk.to_llama_node().unwrap(), Node::text("new").with_id("n"));
    }

    #[test]
    fn answers_are_complete_or_name_what_is_not() {
        let kept = LabelledNode::from_llama_node(&Node::text("t").with_id("n")).unwrap();
        let damaged = LabelledNode::chunk("damaged", "t").with_property("_node_content", "{");
        let whole: LlamaNodes = [kept.clone()].into_iter().collect();
        assert_eq!(whole.complete().unwrap(), [Node::text("t").with_id("n")]);
        let answer: LlamaNodes = [LabelledNode::entity("e"), kept, damaged].into_iter().collect();
        let skipped: Vec<String> = answer.skipped.iter().map(|node| node.reason.to_string()).collect();
        let expected = [
            "node 'e': it has no '_node_content', the text that a node is rebuilt from; if it should be one, add it again",
            "node 'damaged': its '_node_content' is damaged: expected a key in double quotes at line 1 column 2 (byte 1); add the node again",
        ];
        assert_eq!((answer.nodes.len(), &skipped[..]), (1, &expected.map(str::to_owned)[..]));
        let failed = answer.complete().unwrap_err();
        assert!(matches!(failed, Error::Metadata(MetadataError::NoContent { .. })), "{failed}");
    }
}
