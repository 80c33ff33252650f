use indexmap::IndexMap;
use raw_json::{Object, PyString};

use crate::{Error, Node, Result};

/// A node's relationships, in the order they were written.
pub type Relationships = IndexMap<NodeRelationship, RelatedNodes>;

/// How another node is related.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeRelationship {
    /// The document the node comes from; `"1"` in JSON.
    Source,
    /// The node before it; `"2"`.
    Previous,
    /// The node after it; `"3"`.
    Next,
    /// The node above it; `"4"`.
    Parent,
    /// The nodes below it; `"5"`.
    Child,
}

impl NodeRelationship {
    /// The key in JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::Source => "1",
            Self::Previous => "2",
            Self::Next => "3",
            Self::Parent => "4",
            Self::Child => "5",
        }
    }

    /// LlamaIndex's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "SOURCE",
            Self::Previous => "PREVIOUS",
            Self::Next => "NEXT",
            Self::Parent => "PARENT",
            Self::Child => "CHILD",
        }
    }

    pub(crate) fn from_code(code: &PyString) -> Option<Self> {
        [Self::Source, Self::Previous, Self::Next, Self::Parent, Self::Child].into_iter().find(|r| *code == r.code())
    }
}

/// The nodes of one relationship.
#[derive(Debug, Clone, PartialEq)]
pub enum RelatedNodes {
    /// One node; all relationships but the children.
    One(RelatedNodeInfo),
    /// Several nodes; the children.
    Many(Vec<RelatedNodeInfo>),
}

/// What a node knows of another.
#[derive(Debug, Clone, PartialEq)]
pub struct RelatedNodeInfo {
    /// Its id.
    pub node_id: PyString,
    /// Its type code, see [`ObjectType::code`](crate::ObjectType::code); other strings occur.
    pub node_type: Option<PyString>,
    /// Its metadata.
    pub metadata: Object,
    /// Its hash.
    pub hash: Option<PyString>,
    /// Fields that this crate does not know.
    pub extra: Object,
}

impl RelatedNodeInfo {
    /// Knows nothing but the id.
    pub fn new(node_id: impl Into<PyString>) -> Self {
        Self { node_id: node_id.into(), node_type: None, metadata: Object::new(), hash: None, extra: Object::new() }
    }
}

impl Node {
    /// The node of a relationship that has one.
    ///
    /// # Errors
    /// [`Error::Relationship`] if it is stored as a list, or if the children are asked for.
    pub fn related(&self, relationship: NodeRelationship) -> Result<Option<&RelatedNodeInfo>> {
        match self.relationships.get(&relationship) {
            None => Ok(None),
            Some(RelatedNodes::One(info)) if relationship != NodeRelationship::Child => Ok(Some(info)),
            Some(_) => Err(self.wrong_relationship(relationship, "a single node")),
        }
    }

    /// The nodes below this one; empty if there are none.
    ///
    /// # Errors
    /// [`Error::Relationship`] if they are not stored as a list.
    pub fn children(&self) -> Result<&[RelatedNodeInfo]> {
        match self.relationships.get(&NodeRelationship::Child) {
            None => Ok(&[]),
            Some(RelatedNodes::Many(infos)) => Ok(infos),
            Some(_) => Err(self.wrong_relationship(NodeRelationship::Child, "a list of nodes")),
        }
    }

    /// The id of the document the node comes from.
    ///
    /// # Errors
    /// [`Error::Relationship`] if the source is stored as a list.
    pub fn ref_doc_id(&self) -> Result<Option<&PyString>> {
        Ok(self.related(NodeRelationship::Source)?.map(|info| &info.node_id))
    }

    /// This node as others know it.
    ///
    /// # Errors
    /// Those of [`hash`](Self::hash).
    pub fn as_related_node_info(&self) -> Result<RelatedNodeInfo> {
        Ok(RelatedNodeInfo {
            node_id: self.id.clone(),
            node_type: Some(self.object_type().code().into()),
            metadata: self.metadata.clone(),
            hash: Some(self.hash()?.into()),
            extra: Object::new(),
        })
    }

    fn wrong_relationship(&self, relationship: NodeRelationship, expected: &'static str) -> Error {
        Error::Relationship { id: self.id.clone(), relationship: relationship.name(), expected }
    }
}
