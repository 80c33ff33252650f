//! What differs between the kinds of index when they change.

use std::collections::HashSet;

use indexmap::IndexSet;
use indexstore::{IndexDict, IndexStructData, KeywordTable, KnowledgeGraph};
use raw_json::PyString;
use schema::Node;

use crate::insertion::Insertion;
use crate::tree::Planting;
use crate::tree_graph::TreeGraph;
use crate::{
    IndexHandle, Result, document_summary, empty, keyword_table, knowledge_graph, multi_modal, property_graph, summary,
    vector_store,
};

/// Prepares insertions.
pub(crate) struct Planner<'a> {
    index: &'a IndexHandle,
    building: bool,
    /// Where a node goes in a tree depends on those before.
    tree: Option<Planting>,
}

impl<'a> Planner<'a> {
    /// Plans for an index, which may be new.
    pub(crate) fn new(index: &'a IndexHandle, building: bool) -> Self {
        let data = &index.index_struct().data;
        let tree = matches!(data, IndexStructData::Tree(_)).then(|| Planting::new(data));
        Self { index, building, tree }
    }

    /// Prepares nodes for insertion.
    pub(crate) async fn plan(&mut self, nodes: Vec<Node>) -> Result<Insertion> {
        let (index, building) = (self.index, self.building);
        match (&mut self.tree, &index.index_struct().data) {
            (Some(tree), _) if building => tree.build(index, &nodes).await,
            (Some(tree), _) => tree.insert(index, &nodes, &HashSet::new()).await,
            (None, IndexStructData::VectorStore(_)) => vector_store::plan(index, nodes, building).await,
            (None, IndexStructData::List { .. }) => summary::plan(index, &nodes),
            (None, IndexStructData::Empty) => empty::plan(index, &nodes),
            (None, IndexStructData::KeywordTable(_)) => keyword_table::plan(index, &nodes).await,
            (None, IndexStructData::DocumentSummary(_)) => document_summary::plan(index, &nodes).await,
            (None, IndexStructData::Multimodal(_)) => multi_modal::plan(index, nodes).await,
            (None, IndexStructData::KnowledgeGraph(_)) => knowledge_graph::plan(index, &nodes).await,
            (None, IndexStructData::PropertyGraph) => property_graph::plan(index, &nodes, HashSet::new()).await,
            (None, _) => Err(index.unsupported("take nodes", "it is only loaded, and keeps what it has")),
        }
    }

    /// Prepares nodes that take the place of `old` ones.
    pub(crate) async fn replace(&mut self, nodes: Vec<Node>, old: HashSet<PyString>) -> Result<Insertion> {
        match (&mut self.tree, &self.index.index_struct().data) {
            (Some(tree), _) => tree.insert(self.index, &nodes, &old).await,
            (None, IndexStructData::PropertyGraph) => property_graph::plan(self.index, &nodes, old).await,
            (None, _) => self.plan(nodes).await,
        }
    }

    /// Prepares what has to be stored before nodes go, if that is something.
    pub(crate) async fn forget(&mut self, gone: &HashSet<PyString>) -> Result<Option<Insertion>> {
        match &mut self.tree {
            Some(tree) => tree.insert(self.index, &[], gone).await.map(Some),
            None => Ok(None),
        }
    }
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
        | IndexStructData::Tree(_)
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
        IndexStructData::Tree(graph) => {
            let before = graph.all_nodes.len();
            let mut tree = TreeGraph::new(std::mem::take(graph));
            forgotten.summaries = tree.forget(gone);
            *graph = tree.into_graph();
            forgotten.entries = before - graph.all_nodes.len();
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
