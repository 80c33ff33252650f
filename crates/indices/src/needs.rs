use std::collections::HashSet;

use graphstore::NodeFilter;
use raw_json::PyString;
use storage_context::StorageContext;

use crate::{Result, kinds};

/// Which nodes and vectors the indexes of a context need. It is never stored: it follows from their structs.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// The nodes.
    pub(crate) nodes: HashSet<PyString>,
    /// The vectors.
    vectors: HashSet<PyString>,
    /// Whether there is an index that cannot be read: it may need anything.
    pub(crate) everything: bool,
}

impl Needs {
    /// Reads all structs, and the chunks of the property graph.
    pub(crate) async fn read(ctx: &StorageContext) -> Result<Self> {
        Self::read_without(ctx, &HashSet::new()).await
    }

    /// The same without these nodes of the graph.
    pub(crate) async fn read_without(ctx: &StorageContext, leaving: &HashSet<PyString>) -> Result<Self> {
        let mut needs = Self::default();
        for index_struct in ctx.index_store().index_structs().await? {
            match index_struct.node_ids() {
                None => needs.everything = true,
                Some(ids) => needs.nodes.extend(ids),
            }
            needs.vectors.extend(kinds::vector_ids(&index_struct.data));
        }
        if let Some(graph) = ctx.property_graph_store() {
            let nodes = graph.get(&NodeFilter::default()).await?;
            for node in nodes.iter().filter(|node| !leaving.contains(node.id())) {
                match node.text() {
                    Some(_) => needs.nodes.insert(node.id().clone()),
                    // Entities have vectors under their own ids.
                    None => needs.vectors.insert(node.id().clone()),
                };
            }
        }
        Ok(needs)
    }

    pub(crate) fn node(&self, id: &PyString) -> bool {
        self.everything || self.nodes.contains(id)
    }

    pub(crate) fn vector(&self, id: &PyString) -> bool {
        self.everything || self.vectors.contains(id)
    }
}
