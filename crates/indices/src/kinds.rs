//! What differs between the kinds of index when they change.

use std::collections::HashSet;

use indexmap::IndexSet;
use indexstore::{IndexDict, IndexStructData, KeywordTable, KnowledgeGraph};
use raw_json::PyString;
use schema::Node;

use crate::insertion::Insertion;
use crate::leaving::OldNodes;
use crate::{
    IndexHandle, Result, document_summary, empty, keyword_table, knowledge_graph, multi_modal, property_graph, summary,
    tree, vector_store,
};

/// Prepares nodes for insertion. `building` is whether the index is new.
pub(crate) async fn plan(index: &IndexHandle, nodes: Vec<Node>, building: bool) -> Result<Insertion> {
    match &index.index_struct().data {
        IndexStructData::VectorStore(_) => vector_store::plan(index, nodes, building).await,
        IndexStructData::List { .. } => summary::plan(index, &nodes),
        IndexStructData::Empty => empty::plan(index, &nodes),
        IndexStructData::KeywordTable(_) => keyword_table::plan(index, &nodes).await,
        IndexStructData::DocumentSummary(_) => document_summary::plan(index, &nodes).await,
        IndexStructData::Multimodal(_) => multi_modal::plan(index, nodes).await,
        IndexStructData::KnowledgeGraph(_) => knowledge_graph::plan(index, &nodes).await,
        IndexStructData::PropertyGraph => property_graph::plan(index, &nodes, HashSet::new(), HashSet::new()).await,
        IndexStructData::Tree(_) if building => tree::plan(index, &nodes).await,
        IndexStructData::Tree(_) => Err(index.unsupported("take more nodes", "build it anew with them")),
        _ => Err(index.unsupported("take nodes", "it is only loaded, and keeps what it has")),
    }
}

/// Prepares the nodes of a document's new version. `old` are the nodes of all documents that are about to be updated.
pub(crate) async fn plan_update(
    index: &IndexHandle,
    document: &PyString,
    nodes: Vec<Node>,
    old: &OldNodes,
) -> Result<Insertion> {
    match &index.index_struct().data {
        IndexStructData::PropertyGraph => {
            let replaced = old.get(document).cloned().unwrap_or_default();
            let going = old.values().flatten().cloned().collect();
            property_graph::plan(index, &nodes, replaced, going).await
        }
        _ => plan(index, nodes, false).await,
    }
}

/// Embeds the nodes of several insertions at once, if this kind embeds nodes.
pub(crate) fn embeds(data: &IndexStructData) -> bool {
    matches!(data, IndexStructData::VectorStore(_))
}

/// Whether single nodes can be deleted.
pub(crate) fn check_deletable(index: &IndexHandle) -> Result<()> {
    match &index.index_struct().data {
        IndexStructData::VectorStore(_)
        | IndexStructData::List { .. }
        | IndexStructData::KeywordTable(_)
        | IndexStructData::KnowledgeGraph(_)
        | IndexStructData::PropertyGraph
        | IndexStructData::DocumentSummary(_)
        | IndexStructData::Multimodal(_) => Ok(()),
        IndexStructData::Empty => Err(index.unsupported("delete nodes", "it has none")),
        _ => Err(index.unsupported("delete nodes", "build it anew without them")),
    }
}

/// What a struct has forgotten.
#[derive(Debug, Default)]
pub(crate) struct Forgotten {
    /// How many entries went.
    pub(crate) entries: usize,
    /// The vectors that belonged to them.
    pub(crate) vector_ids: Vec<PyString>,
    /// Nodes of the index's own that went with them.
    pub(crate) summaries: Vec<PyString>,
}

/// Takes nodes out of a struct.
pub(crate) fn forget(data: &mut IndexStructData, gone: &HashSet<PyString>) -> Forgotten {
    let mut forgotten = Forgotten::default();
    if gone.is_empty() {
        return forgotten;
    }
    match data {
        IndexStructData::VectorStore(dict) | IndexStructData::Multimodal(dict) => {
            dict.nodes_dict.retain(|vector_id, node_id| {
                let stays = !gone.contains(node_id);
                if !stays {
                    forgotten.vector_ids.push(vector_id.clone());
                }
                stays
            });
            forgotten.entries = forgotten.vector_ids.len();
        }
        IndexStructData::List { nodes } => {
            let before = nodes.len();
            nodes.retain(|id| !gone.contains(id));
            forgotten.entries = before - nodes.len();
        }
        IndexStructData::KeywordTable(KeywordTable { table })
        | IndexStructData::KnowledgeGraph(KnowledgeGraph { table, .. }) => {
            let mut went = HashSet::new();
            table.retain(|_, nodes| {
                nodes.retain(|id| {
                    let goes = gone.contains(id);
                    if goes {
                        went.insert(id.clone());
                    }
                    !goes
                });
                !nodes.is_empty()
            });
            forgotten.entries = went.len();
        }
        IndexStructData::DocumentSummary(known) => {
            let before = known.node_id_to_summary_id.len();
            known.node_id_to_summary_id.retain(|node, _| !gone.contains(node));
            forgotten.entries = before - known.node_id_to_summary_id.len();
            known.summary_id_to_node_ids.retain(|summary, nodes| {
                nodes.retain(|node| !gone.contains(node));
                if nodes.is_empty() {
                    forgotten.summaries.push(summary.clone());
                }
                !nodes.is_empty()
            });
            let summaries = &known.summary_id_to_node_ids;
            known.doc_id_to_summary_id.retain(|_, summary| summaries.contains_key(summary));
            forgotten.vector_ids.clone_from(&forgotten.summaries);
        }
        _ => {}
    }
    forgotten
}

/// The vectors that a struct lists, by their ids.
pub(crate) fn vector_ids(data: &IndexStructData) -> IndexSet<PyString> {
    match data {
        IndexStructData::VectorStore(IndexDict { nodes_dict, .. })
        | IndexStructData::Multimodal(IndexDict { nodes_dict, .. }) => nodes_dict.keys().cloned().collect(),
        IndexStructData::DocumentSummary(summary) => summary.summary_id_to_node_ids.keys().cloned().collect(),
        _ => IndexSet::new(),
    }
}

/// The namespaces of the vector stores that a kind has its vectors in.
pub(crate) fn namespaces(data: &IndexStructData) -> &'static [&'static str] {
    use storage_context::{DEFAULT_NAMESPACE, IMAGE_NAMESPACE};
    match data {
        IndexStructData::VectorStore(_) | IndexStructData::DocumentSummary(_) | IndexStructData::PropertyGraph => {
            &[DEFAULT_NAMESPACE]
        }
        IndexStructData::Multimodal(_) => &[DEFAULT_NAMESPACE, IMAGE_NAMESPACE],
        _ => &[],
    }
}
