use std::collections::HashSet;

use graphstore::{LabelledNode, NodeFilter, TRIPLET_SOURCE_KEY, Triplet, TripletFilter};
use indexstore::IndexStructData;
use raw_json::{PyString, Value};

use crate::extracted::{Extracted, comes_from, graph_of};
use crate::{IndexHandle, Result};

/// What goes from a property graph with nodes of LlamaIndex: their chunks, the entities and relations that were found
/// in them, and what stood for their documents. Nothing, for an index that is no property graph.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    /// All nodes of the graph that go.
    pub(crate) nodes: HashSet<PyString>,
    /// Those of them that are chunks.
    pub(crate) chunks: Vec<PyString>,
    /// Those that are not, and may have vectors.
    pub(crate) entities: Vec<PyString>,
    /// Relations between nodes that stay.
    triplets: Vec<Triplet>,
}

impl Leaving {
    /// What goes with nodes, and with a document, of which the graph may know more nodes.
    pub(crate) async fn with_nodes(index: &IndexHandle, ids: &[PyString], whole: Option<&PyString>) -> Result<Self> {
        if !is_graph(index) {
            return Ok(Self::default());
        }
        let nodes = all_nodes(index).await?;
        let mut gone: HashSet<PyString> = ids.iter().cloned().collect();
        if let Some(whole) = whole {
            let of_document = nodes.iter().filter(|node| document(node) == Some(whole));
            gone.extend(of_document.map(|node| node.id().clone()));
        }
        let goes = |node: &LabelledNode| comes_from(node, &gone) || whole == Some(node.id());
        Self::collect(index, &nodes, &gone, goes, |_| false).await
    }

    /// What goes when an update is stored, that is not in it.
    pub(crate) async fn with_update(index: &IndexHandle, old: &HashSet<PyString>, new: &Extracted) -> Result<Self> {
        let nodes = all_nodes(index).await?;
        let gone: HashSet<PyString> = old.union(&new.replaced).cloned().collect();
        let kept: HashSet<&PyString> = new.chunks.iter().map(|chunk| &chunk.id).chain(new.entities.keys()).collect();
        let goes = |node: &LabelledNode| comes_from(node, &gone) && !kept.contains(node.id());
        let relations: HashSet<Triplet> = new.relations.iter().map(|relation| cleaned(&relation.triplet())).collect();
        Self::collect(index, &nodes, &gone, goes, |triplet| relations.contains(&cleaned(triplet))).await
    }

    /// What goes with an index that has been dropped: if it was the last over its graph, everything that is known to
    /// come from nodes.
    pub(crate) async fn with_index(index: &IndexHandle) -> Result<Self> {
        if !is_graph(index) || index.ctx.property_graph_store().is_none() {
            return Ok(Self::default());
        }
        let structs = index.ctx.index_store().index_structs().await?;
        let may_need =
            |data: &IndexStructData| matches!(data, IndexStructData::PropertyGraph | IndexStructData::Other { .. });
        if structs.iter().any(|known| may_need(&known.data)) {
            return Ok(Self::default());
        }
        let nodes = all_nodes(index).await?;
        let chunks = || nodes.iter().filter(|node| node.property("_node_content").is_some());
        let gone: HashSet<PyString> = chunks().map(|chunk| chunk.id().clone()).collect();
        let documents: HashSet<&PyString> = chunks().filter_map(document).collect();
        let goes = |node: &LabelledNode| comes_from(node, &gone) || documents.contains(node.id());
        Self::collect(index, &nodes, &gone, goes, |_| false).await
    }

    /// `goes` tells which nodes of the graph go with `gone` ones of LlamaIndex, `stays` which relations stay though
    /// they were found in one of those.
    async fn collect(
        index: &IndexHandle,
        nodes: &[LabelledNode],
        gone: &HashSet<PyString>,
        goes: impl Fn(&LabelledNode) -> bool,
        stays: impl Fn(&Triplet) -> bool,
    ) -> Result<Self> {
        let mut leaving = Self::default();
        let mut staying = Vec::new();
        for node in nodes {
            if !goes(node) {
                staying.push(node.id());
                continue;
            }
            leaving.nodes.insert(node.id().clone());
            match node.text() {
                Some(_) => leaving.chunks.push(node.id().clone()),
                None => leaving.entities.push(node.id().clone()),
            }
        }
        if !staying.is_empty() && !gone.is_empty() {
            let found = graph_of(index)?.get_triplets(&TripletFilter::default().with_ids(staying)).await?;
            leaving.triplets = found
                .iter()
                .filter(|found| {
                    let source = found.relation.property(TRIPLET_SOURCE_KEY).and_then(Value::as_str);
                    source.is_some_and(|source| gone.contains(source))
                })
                .map(|found| found.triplet())
                .filter(|triplet| !stays(triplet))
                .collect();
        }
        Ok(leaving)
    }

    /// Takes all of it out of the graph: relations first, since they are known by the nodes.
    pub(crate) async fn delete(&self, index: &IndexHandle) -> Result<()> {
        if !self.triplets.is_empty() {
            graph_of(index)?.delete_triplets(&self.triplets).await?;
        }
        if !self.nodes.is_empty() {
            graph_of(index)?.delete(&TripletFilter::default().with_ids(&self.nodes)).await?;
        }
        Ok(())
    }
}

/// The chunks that the graph of a property graph index has of documents; none for an index of another kind.
pub(crate) async fn chunks_of(index: &IndexHandle, documents: &[PyString]) -> Result<Vec<PyString>> {
    if !is_graph(index) {
        return Ok(Vec::new());
    }
    let documents: HashSet<&PyString> = documents.iter().collect();
    let nodes = all_nodes(index).await?;
    let of_documents = nodes.iter().filter(|node| document(node).is_some_and(|id| documents.contains(id)));
    Ok(of_documents.map(|node| node.id().clone()).collect())
}

fn is_graph(index: &IndexHandle) -> bool {
    matches!(index.index_struct().data, IndexStructData::PropertyGraph)
}

async fn all_nodes(index: &IndexHandle) -> Result<Vec<LabelledNode>> {
    Ok(graph_of(index)?.get(&NodeFilter::default()).await?)
}

/// The document that a chunk comes from. LlamaIndex writes `None` for none.
fn document(node: &LabelledNode) -> Option<&PyString> {
    node.text()?;
    node.property("ref_doc_id").and_then(Value::as_str).filter(|id| **id != "None")
}

/// With ends as a graph knows them.
fn cleaned(triplet: &Triplet) -> Triplet {
    let end = |id: &PyString| LabelledNode::entity(id).id().clone();
    Triplet { subject: end(&triplet.subject), relation: triplet.relation.clone(), object: end(&triplet.object) }
}
