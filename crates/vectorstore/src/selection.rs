use raw_json::PyString;

use crate::{MetadataFilters, Mismatch};

/// Which nodes of a store are meant: those that every restriction lets through.
///
/// A restriction that is absent lets all nodes through, one that is an empty list lets none.
///
/// ```
/// use vectorstore::{NodeSelection, field};
///
/// let old_essays = NodeSelection::default().with_doc_ids(["essays"]).with_filters(field("year").lt(2000));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct NodeSelection {
    /// Only these nodes. Ids that are not there are passed over.
    pub node_ids: Option<Vec<PyString>>,
    /// Only nodes of these documents. Nodes without a document are found under `None`, as LlamaIndex records them.
    pub doc_ids: Option<Vec<PyString>>,
    /// Only nodes whose metadata passes. Filters without any in them let all pass.
    pub filters: Option<MetadataFilters>,
    /// What becomes of a node whose metadata a filter cannot be applied to.
    pub mismatch: Mismatch,
}

impl NodeSelection {
    /// Only these nodes.
    #[must_use]
    pub fn with_node_ids(mut self, node_ids: impl IntoIterator<Item = impl Into<PyString>>) -> Self {
        self.node_ids = Some(node_ids.into_iter().map(Into::into).collect());
        self
    }

    /// Only nodes of these documents.
    #[must_use]
    pub fn with_doc_ids(mut self, doc_ids: impl IntoIterator<Item = impl Into<PyString>>) -> Self {
        self.doc_ids = Some(doc_ids.into_iter().map(Into::into).collect());
        self
    }

    /// Only nodes whose metadata passes.
    #[must_use]
    pub fn with_filters(mut self, filters: impl Into<MetadataFilters>) -> Self {
        self.filters = Some(filters.into());
        self
    }

    /// What becomes of a node whose metadata a filter cannot be applied to.
    #[must_use]
    pub fn with_mismatch(mut self, mismatch: Mismatch) -> Self {
        self.mismatch = mismatch;
        self
    }

    /// The filters, unless there is none in them.
    pub fn effective_filters(&self) -> Option<&MetadataFilters> {
        self.filters.as_ref().filter(|filters| !filters.is_empty())
    }

    /// Whether nothing is asked for: no ids of nodes or documents, and no filter.
    pub fn is_unrestricted(&self) -> bool {
        self.node_ids.is_none() && self.doc_ids.is_none() && self.effective_filters().is_none()
    }
}
