//! What a store holds, and how it changes.

use std::collections::HashSet;

use indexmap::{IndexMap, IndexSet};
use persist::Revision;
use raw_json::{PyString, RawJson, Value};
use schema::Node;
use vectorstore::{Error, Result, metadata_dict, recorded_ref_doc_id};

use crate::SimilarityMode;
use crate::vectors::{Stored, Vectors};

/// The content of a store. The three maps are as independent of each other as in the file.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) vectors: Vectors,
    /// The document of each node, `"None"` for none.
    pub(crate) ref_doc_ids: IndexMap<PyString, PyString>,
    pub(crate) metadata: MetadataDict,
    pub(crate) similarity: SimilarityMode,
    /// Everything else that stood at the top level of the file.
    pub(crate) other: IndexMap<PyString, RawJson>,
    pub(crate) revision: Revision,
}

/// The metadata of each node; `None` if the file had `null`.
#[derive(Clone)]
pub(crate) struct MetadataDict(pub(crate) Option<IndexMap<PyString, RawJson>>);

impl Default for MetadataDict {
    fn default() -> Self {
        Self(Some(IndexMap::new()))
    }
}

impl MetadataDict {
    pub(crate) fn get(&self, id: &PyString) -> Option<&RawJson> {
        self.0.as_ref()?.get(id)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(IndexMap::is_empty)
    }

    fn entries_mut(&mut self) -> &mut IndexMap<PyString, RawJson> {
        self.0.get_or_insert_default()
    }
}

/// What is stored of a node.
pub(crate) struct Addition<'a> {
    id: &'a PyString,
    embedding: &'a [f64],
    ref_doc_id: PyString,
    metadata: RawJson,
}

impl<'a> Addition<'a> {
    /// What can be found wrong with a node without knowing the store.
    pub(crate) fn of(node: &'a Node) -> Result<Self> {
        let id = &node.id;
        let embedding = node.embedding.as_deref().filter(|embedding| !embedding.is_empty());
        let embedding = embedding.ok_or_else(|| Error::MissingEmbedding { id: id.clone() })?;
        if let Some((index, &value)) = embedding.iter().enumerate().find(|(_, x)| !x.is_finite()) {
            return Err(Error::NotFinite { id: id.clone(), index, value });
        }
        let metadata = Value::Object(metadata_dict(node)?).into();
        Ok(Self { id, embedding, ref_doc_id: recorded_ref_doc_id(node)?, metadata })
    }
}

impl State {
    /// Whether all can be added: their embeddings are as long as the store's, or as each other's.
    pub(crate) fn check(&self, additions: &[Addition<'_>]) -> Result<()> {
        let Some(first) = additions.first() else { return Ok(()) };
        let expected = self.vectors.dim().unwrap_or(first.embedding.len());
        match additions.iter().find(|addition| addition.embedding.len() != expected) {
            None => Ok(()),
            Some(other) => Err(Error::Dimension { id: other.id.clone(), expected, found: other.embedding.len() }),
        }
    }

    /// Whether the node is there already, with the same in it, in the same order.
    pub(crate) fn has(&self, addition: &Addition<'_>) -> bool {
        let same_numbers = match self.vectors.get(addition.id) {
            Some(Stored::Row(row)) => {
                row.iter().map(|x| x.to_bits()).eq(addition.embedding.iter().map(|x| x.to_bits()))
            }
            _ => false,
        };
        let same_metadata =
            |raw: &RawJson| *raw == addition.metadata || RawJson::from(raw.value()) == addition.metadata;
        same_numbers
            && self.ref_doc_ids.get(addition.id) == Some(&addition.ref_doc_id)
            && self.metadata.get(addition.id).is_some_and(same_metadata)
    }

    /// Whether additions take no longer than copying them does, once [`check`](Self::check) has let them through: they
    /// are few, and how the others are kept need not change for them.
    pub(crate) fn takes_quickly(&self, additions: &[Addition<'_>]) -> bool {
        /// They are few as long as they are less than one in so many of those that are there.
        const FEW: usize = 8;
        /// More are not, however many there are: a thousand take some milliseconds.
        const FEW_MAX: usize = 1000;
        additions.len() < (self.vectors.len() / FEW).min(FEW_MAX)
            && additions.iter().all(|a| self.vectors.fits(a.embedding))
    }

    /// Adds what [`check`](Self::check) let through.
    pub(crate) fn add(&mut self, addition: Addition<'_>) {
        self.vectors.set(addition.id.clone(), addition.embedding);
        self.ref_doc_ids.insert(addition.id.clone(), addition.ref_doc_id);
        self.metadata.entries_mut().insert(addition.id.clone(), addition.metadata);
        self.revision = Revision::next();
    }

    /// The nodes of a document.
    pub(crate) fn nodes_of(&self, ref_doc_id: &PyString) -> HashSet<PyString> {
        let of_document = self.ref_doc_ids.iter().filter(|(_, id)| *id == ref_doc_id);
        of_document.map(|(id, _)| id.clone()).collect()
    }

    /// Those of some nodes that are in any of the three maps, in order.
    pub(crate) fn known(&self, ids: &[PyString]) -> IndexSet<PyString> {
        let known = |id: &&PyString| {
            self.vectors.contains(id) || self.ref_doc_ids.contains_key(*id) || self.metadata.get(id).is_some()
        };
        ids.iter().filter(known).cloned().collect()
    }

    /// Removes nodes from all three maps, each in one pass.
    pub(crate) fn remove(&mut self, ids: &HashSet<PyString>) {
        self.vectors.retain(|id| !ids.contains(id));
        self.ref_doc_ids.retain(|id, _| !ids.contains(id));
        if let Some(entries) = &mut self.metadata.0 {
            entries.retain(|id, _| !ids.contains(id));
        }
        self.revision = Revision::next();
    }

    /// Whether no node is in any of the three maps.
    pub(crate) fn is_empty(&self) -> bool {
        self.vectors.is_empty() && self.ref_doc_ids.is_empty() && self.metadata.is_empty()
    }

    /// The nodes in any of the three maps, in order.
    pub(crate) fn ids(&self) -> IndexSet<PyString> {
        let metadata = self.metadata.0.iter().flat_map(IndexMap::keys);
        self.vectors.ids().chain(self.ref_doc_ids.keys()).chain(metadata).cloned().collect()
    }

    /// Removes all nodes. What else the file had stays.
    pub(crate) fn clear(&mut self) {
        let other = std::mem::take(&mut self.other);
        *self = Self { other, similarity: self.similarity, ..Self::default() };
    }
}
