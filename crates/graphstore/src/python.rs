use std::fmt;

use raw_json::{Encoding, PyString};

use crate::Triplet;
use crate::fields::relation_key;
use crate::graph::Graph;
use crate::labelled_node::Shape;

/// Why today's LlamaIndex (0.14) cannot use a property graph's file as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PythonProblem {
    /// It opens this file as plain UTF-8 only. Any change has the file written so.
    Encoding(Encoding),
    /// It refuses the file, as this node has neither a name nor a text.
    UnknownNode(PyString),
    /// It refuses the file, as this node's embedding has a `null` in it. LlamaIndex itself writes that for `NaN`.
    EmbeddingGaps(PyString),
    /// An end of this triplet is no node: all that looks at triplets fails.
    /// [`delete`](crate::SimplePropertyGraphStore::delete) with the id of that end removes the triplet.
    Dangling(Triplet),
    /// The relation of this triplet does not stand under the key that is looked up: all that looks at triplets fails.
    /// Versions 0.10.37 to 0.10.42 wrote that. [`upgrade`](crate::SimplePropertyGraphStore::upgrade) corrects it.
    RelationKey(Triplet),
    /// Another relation's ids spell the same key, and that one is taken for this triplet's.
    AmbiguousKey(Triplet),
}

impl PythonProblem {
    /// Whether [`upgrade`](crate::SimplePropertyGraphStore::upgrade) solves it.
    pub fn is_upgradable(&self) -> bool {
        matches!(self, Self::Encoding(_) | Self::RelationKey(_))
    }
}

impl fmt::Display for PythonProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding(encoding) => write!(f, "the file is in {encoding:?} and not plain UTF-8"),
            Self::UnknownNode(id) => write!(f, "node '{id}' has neither a name nor a text"),
            Self::EmbeddingGaps(id) => write!(f, "the embedding of node '{id}' has a null in it"),
            Self::Dangling(triplet) => write!(f, "an end of the triplet '{triplet}' is no node"),
            Self::RelationKey(triplet) => {
                write!(f, "the relation of the triplet '{triplet}' is not under the key '{}'", relation_key(triplet))
            }
            Self::AmbiguousKey(triplet) => {
                write!(f, "the key '{}' is that of another triplet than '{triplet}' too", relation_key(triplet))
            }
        }
    }
}

impl Graph {
    pub(crate) fn python_problem(&self) -> Option<PythonProblem> {
        if let Some((_, encoding)) = self.original
            && encoding != Encoding::Utf8
        {
            return Some(PythonProblem::Encoding(encoding));
        }
        let nodes = self.nodes.iter().find_map(|(_, id, node)| match node.shape {
            Shape::Other => Some(PythonProblem::UnknownNode(id.clone())),
            _ => node.gaps.then(|| PythonProblem::EmbeddingGaps(id.clone())),
        });
        nodes.or_else(|| self.triplets.iter().find_map(|(_, triplet, own)| self.triplet_problem(triplet, *own)))
    }

    fn triplet_problem(&self, triplet: &Triplet, own: Option<usize>) -> Option<PythonProblem> {
        let found = self.relations.id(&relation_key(triplet));
        if !self.is_whole(triplet) {
            Some(PythonProblem::Dangling(triplet.clone()))
        } else if found.is_none() {
            Some(PythonProblem::RelationKey(triplet.clone()))
        } else {
            (found != own).then(|| PythonProblem::AmbiguousKey(triplet.clone()))
        }
    }

    /// Whether [`upgrade`](Self::upgrade) would change anything.
    pub(crate) fn is_old(&self) -> bool {
        self.original.as_ref().is_some_and(|(_, encoding)| *encoding != Encoding::Utf8)
            || self.triplets.iter().any(|(_, triplet, own)| self.has_old_key(triplet, *own))
    }

    fn has_old_key(&self, triplet: &Triplet, own: Option<usize>) -> bool {
        own.is_none() || self.relations.id(&relation_key(triplet)).is_none()
    }

    /// Puts the relation of each triplet under the key that today's Python looks it up by.
    pub(crate) fn upgrade(&mut self) {
        let old = self.triplets.iter().filter(|(_, triplet, own)| self.has_old_key(triplet, **own));
        let old: Vec<usize> = old.map(|(id, ..)| id).collect();
        for id in old {
            if let Some(relation) = self.relation(id) {
                self.set_relation(id, relation.encode());
            }
        }
    }
}
