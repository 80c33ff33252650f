use schema::Node;

use crate::graph_change::GraphChange;
use crate::insertion::{Insertion, ids};
use crate::{IndexHandle, Result};

/// Nothing goes into an empty index.
pub(crate) fn plan(index: &IndexHandle, nodes: &[Node]) -> Result<Insertion> {
    if !nodes.is_empty() {
        return Err(index.unsupported("take nodes", "it stays empty; build an index of another kind"));
    }
    Ok(Insertion {
        rows: Vec::new(),
        documents: index.prepare(nodes, false)?,
        summaries: None,
        change: Box::new(|_, _| {}),
        identity: None,
        graph: GraphChange::None,
        ids: ids(nodes),
    })
}
