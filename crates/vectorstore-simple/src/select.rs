//! Which nodes a selection means.

use std::collections::HashSet;

use raw_json::{Kind, PyString};
use vectorstore::{Error, MetadataFilters, Mismatch, NodeSelection, Result};

use crate::state::State;

/// The restrictions of a selection to documents and metadata, ready to be asked about many nodes.
struct Restriction<'a> {
    doc_ids: Option<HashSet<&'a PyString>>,
    filters: Option<(&'a MetadataFilters, Vec<&'a PyString>)>,
    mismatch: Mismatch,
}

impl<'a> Restriction<'a> {
    fn of(selection: &'a NodeSelection) -> Self {
        let filters = selection.effective_filters();
        Self {
            doc_ids: selection.doc_ids.as_ref().map(|ids| ids.iter().collect()),
            filters: filters.map(|filters| (filters, filters.fields().map(|filter| &filter.key).collect())),
            mismatch: selection.mismatch,
        }
    }
}

impl State {
    /// The places of the nodes with embeddings that are meant, in order.
    pub(crate) fn selected(&self, selection: &NodeSelection) -> Result<Vec<usize>> {
        let mut places: Vec<usize> = match &selection.node_ids {
            None => (0..self.vectors.len()).collect(),
            Some(ids) => ids.iter().filter_map(|id| self.vectors.place_of(id)).collect(),
        };
        if selection.node_ids.is_some() {
            places.sort_unstable();
            places.dedup();
        }
        let restriction = Restriction::of(selection);
        let mut passed = Vec::with_capacity(places.len());
        for at in places {
            if self.passes(self.vectors.id_at(at), &restriction)? {
                passed.push(at);
            }
        }
        Ok(passed)
    }

    /// The nodes in any of the three maps that are meant; none if nothing is asked for.
    pub(crate) fn doomed(&self, selection: &NodeSelection) -> Result<HashSet<PyString>> {
        if selection.is_unrestricted() {
            return Ok(HashSet::new());
        }
        if selection.effective_filters().is_some() && !self.is_empty() {
            self.check_has_metadata()?;
        }
        let candidates = match &selection.node_ids {
            Some(ids) => self.known(ids),
            None => self.ids(),
        };
        let restriction = Restriction::of(selection);
        let mut doomed = HashSet::new();
        for id in candidates {
            if self.passes(&id, &restriction)? {
                doomed.insert(id);
            }
        }
        Ok(doomed)
    }

    /// A store that was persisted without metadata cannot be filtered by it.
    pub(crate) fn check_has_metadata(&self) -> Result<()> {
        if self.metadata.is_empty() { Err(Error::NoMetadata) } else { Ok(()) }
    }

    fn passes(&self, id: &PyString, restriction: &Restriction<'_>) -> Result<bool> {
        if let Some(doc_ids) = &restriction.doc_ids
            && !self.ref_doc_ids.get(id).is_some_and(|doc_id| doc_ids.contains(doc_id))
        {
            return Ok(false);
        }
        let Some((filters, keys)) = &restriction.filters else { return Ok(true) };
        match self.metadata.get(id).filter(|raw| raw.kind() == Kind::Object) {
            Some(raw) => filters.matches(id, &raw.entries(keys), restriction.mismatch),
            None if restriction.mismatch == Mismatch::NoMatch => Ok(false),
            None => Err(Error::NodeWithoutMetadata { id: id.clone() }),
        }
    }
}
