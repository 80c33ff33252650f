use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use async_trait::async_trait;
use indexmap::IndexMap;
use persist::{Revision, StoreFile};
use raw_json::{Dialect, JsonWriter, PyString, RawJson, Text, Value};
use schema::Node;

use crate::graph::Graph;
use crate::labelled_node::StoredNode;
use crate::{
    Deleted, LabelledNode, LabelledTriplet, LlamaNodes, NodeFilter, PropertyGraphSchema, PropertyGraphStore,
    PythonProblem, RelMapOptions, Relation, Result, Triplet, TripletFilter,
};

/// LlamaIndex's property graph store in memory, the content of `property_graph_store.json`.
///
/// A clone is another handle on the same data. Reading takes a snapshot: it waits at most for the change that is being
/// made, and no change waits for it. Every change is seen as a whole or not at all. Nodes, relations and triplets keep
/// the order of insertion, and a replaced node its place. The triplets of a node are found without looking at others.
///
/// A triplet with an end that is no node *dangles*. LlamaIndex writes such files, and then fails on all triplets. Here
/// they are kept, passed over by queries, and listed by [`dangling_triplets`](Self::dangling_triplets). Nothing here
/// makes new ones.
#[derive(Debug, Clone, Default)]
pub struct SimplePropertyGraphStore {
    graph: Arc<RwLock<Arc<Graph>>>,
}

impl SimplePropertyGraphStore {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a dumped property graph, of any version. What is not known is kept. Takes time in proportion to the text.
    ///
    /// # Errors
    /// [`Error::DamagedPropertyGraph`](crate::Error::DamagedPropertyGraph) if the text is not JSON or a part
    /// has the wrong type, [`Error::NoNodes`](crate::Error::NoNodes) if there are no nodes in it.
    pub fn from_text(text: &Text) -> Result<Self> {
        Ok(Graph::load(text)?.into())
    }

    /// A graph with this content, LlamaIndex's `from_dict`.
    ///
    /// # Errors
    /// As [`from_text`](Self::from_text); places are those in the text that the value becomes.
    pub fn from_dict(dict: &Value) -> Result<Self> {
        let mut graph = Graph::load(&RawJson::compact(dict).text())?;
        graph.original = None;
        Ok(graph.into())
    }

    /// The whole content, LlamaIndex's `to_dict`, with everything a loaded file had. Triplets are a list.
    pub fn to_dict(&self) -> Value {
        self.snapshot().to_dict()
    }

    /// The state as a file: the one that was loaded, byte for byte, while nothing has changed. A changed graph is
    /// written in [`Dialect::Compact`]; the nodes and relations that did not change are the texts that were read.
    pub fn store_file(&self) -> StoreFile {
        let graph = self.snapshot();
        StoreFile::new(graph.original.as_ref().map(|(bytes, _)| bytes.clone()), graph.revision, move |out| {
            let mut json = JsonWriter::new(out, Dialect::Compact);
            graph.write(&mut json)?;
            json.finish().map(drop)
        })
    }

    /// The nodes that match, in order; all of them if the filter is empty. Ids are looked up, properties compared one
    /// by one.
    pub fn get(&self, filter: &NodeFilter) -> Vec<LabelledNode> {
        let graph = self.snapshot();
        let found = graph.matching_nodes(filter);
        found.into_iter().filter_map(|id| graph.nodes.by_id(id)).map(|(id, node)| node.decode(id)).collect()
    }

    /// The triplets that match, in order; none if the filter is empty. Given ids or names, only the triplets there are
    /// looked at.
    pub fn get_triplets(&self, filter: &TripletFilter) -> Vec<LabelledTriplet> {
        let graph = self.snapshot();
        graph.resolve(&graph.matching_triplets(filter))
    }

    /// The triplets around some nodes: those at the nodes, then those at the objects of the ones before, and so on,
    /// each level in order; then what is to be ignored is left out, and the rest cut at the limit.
    ///
    /// As in LlamaIndex, the triplets at the given nodes come a second time if there is a second level. Python's order
    /// within a level is arbitrary, and so is what its limit leaves.
    pub fn get_rel_map(&self, ids: &[PyString], options: &RelMapOptions) -> Vec<LabelledTriplet> {
        let graph = self.snapshot();
        graph.resolve(&graph.rel_map(ids, options))
    }

    /// Adds nodes, each in place of the one with its id; of several with one id the last counts. Relations are
    /// untouched.
    ///
    /// # Errors
    /// [`Error::NotFinite`](crate::Error::NotFinite), [`Error::TooDeep`](crate::Error::TooDeep) or
    /// [`Error::ReservedField`](crate::Error::ReservedField) for a node that the file cannot hold. Nothing has changed
    /// then.
    pub fn upsert_nodes(&self, nodes: impl IntoIterator<Item = LabelledNode>) -> Result<()> {
        let mut new: IndexMap<PyString, StoredNode> = IndexMap::new();
        for node in nodes {
            new.insert(node.id().clone(), node.encode()?);
        }
        let mut guard = self.write();
        new.retain(|id, node| {
            let same = |old: &StoredNode| old.decode(id).encode().is_ok_and(|old| old.raw == node.raw);
            !guard.nodes.get(id).is_some_and(same)
        });
        if new.is_empty() {
            return Ok(());
        }
        let graph = changing(&mut guard);
        for (id, node) in new {
            graph.nodes.insert(id, node);
        }
        Ok(())
    }

    /// Adds relations, each in place of the one with its ends and label; of several with the same the last counts. Ends
    /// that are not there become entities, named by their ids; a `"` in such an id is a space, as in the ids of
    /// entities.
    ///
    /// LlamaIndex leaves a relation as it is if there is one with the same ends and label, and loses one whose ids have
    /// a `"` in them.
    ///
    /// # Errors
    /// [`Error::NotFinite`](crate::Error::NotFinite), [`Error::TooDeep`](crate::Error::TooDeep) or
    /// [`Error::ReservedField`](crate::Error::ReservedField) for a relation that the file cannot hold. Nothing has
    /// changed then.
    pub fn upsert_relations(&self, relations: impl IntoIterator<Item = Relation>) -> Result<()> {
        let relations: Vec<Relation> = relations.into_iter().collect();
        relations.iter().try_for_each(Relation::check)?;
        let mut guard = self.write();
        let mut nodes = IndexMap::new();
        let mut new: IndexMap<Triplet, Relation> = IndexMap::new();
        for relation in relations {
            let triplet = relation.triplet().map_ends(|end| guard.end(end));
            for (id, end) in [(&relation.source_id, &triplet.subject), (&relation.target_id, &triplet.object)] {
                if !guard.nodes.contains(end) && !nodes.contains_key(end) {
                    nodes.insert(end.clone(), LabelledNode::entity(id).encode()?);
                }
            }
            new.insert(triplet.clone(), relation.between(&triplet));
        }
        new.retain(|triplet, relation| !guard.has_relation(triplet, relation));
        if nodes.is_empty() && new.is_empty() {
            return Ok(());
        }
        let graph = changing(&mut guard);
        for (id, node) in nodes {
            graph.nodes.insert(id, node);
        }
        for (triplet, relation) in new {
            let id = graph.add_triplet(&triplet);
            graph.set_relation(id, relation.encode());
        }
        Ok(())
    }

    /// Removes the triplets that [`get_triplets`](Self::get_triplets) finds with this filter, and dangling ones like
    /// them. If the filter names no relations, also the nodes that it holds for, with all triplets at them. Relations
    /// go with their triplets. Nothing else is removed, and nothing at all if the filter is empty.
    ///
    /// LlamaIndex also removes the nodes at the other ends, leaves their triplets dangling, and removes all nodes if
    /// neither properties nor ids are given.
    pub fn delete(&self, filter: &TripletFilter) -> Deleted {
        let mut guard = self.write();
        let doomed = guard.doomed(filter);
        if doomed.is_empty() {
            return Deleted::default();
        }
        changing(&mut guard).delete(doomed)
    }

    /// Removes exactly these triplets with their relations, as far as they are there; the nodes at their ends stay.
    pub fn delete_triplets<'a>(&self, triplets: impl IntoIterator<Item = &'a Triplet>) -> Deleted {
        let mut guard = self.write();
        let doomed = guard.doomed_triplets(triplets);
        if doomed.is_empty() {
            return Deleted::default();
        }
        changing(&mut guard).delete(doomed)
    }

    /// The nodes of LlamaIndex that are kept under these ids, in the order of the graph; none for no ids, where
    /// LlamaIndex takes all. What is there and cannot be rebuilt is told apart, with the reason.
    pub fn get_llama_nodes(&self, ids: &[PyString]) -> LlamaNodes {
        if ids.is_empty() {
            return LlamaNodes::default();
        }
        self.get(&NodeFilter::default().with_ids(ids)).into_iter().collect()
    }

    /// Keeps nodes of LlamaIndex as chunks, as [`upsert_nodes`](Self::upsert_nodes) does.
    ///
    /// # Errors
    /// [`Error::Metadata`](crate::Error::Metadata) for a node that cannot be made a chunk, and those of
    /// [`upsert_nodes`](Self::upsert_nodes). Nothing has changed then.
    pub fn upsert_llama_nodes(&self, nodes: &[Node]) -> Result<()> {
        let chunks = nodes.iter().map(LabelledNode::from_llama_node).collect::<Result<Vec<_>, _>>()?;
        self.upsert_nodes(chunks)
    }

    /// Removes what came from nodes and documents of LlamaIndex: the nodes with one of these ids, those whose property
    /// `triplet_source_id` is one of `node_ids`, and those whose property `ref_doc_id` is one of `ref_doc_ids`; with
    /// all triplets and relations at them. Nothing else is removed, and nothing at all if nothing is found.
    /// Looks at each node once, however many ids there are.
    ///
    /// A chunk without a document has the `ref_doc_id` `None`. LlamaIndex also removes the nodes at the other ends,
    /// leaves their triplets dangling, and removes all nodes if it found none.
    pub fn delete_llama_nodes(&self, node_ids: &[PyString], ref_doc_ids: &[PyString]) -> Deleted {
        let mut guard = self.write();
        let doomed = guard.doomed_llama_nodes(node_ids, ref_doc_ids);
        if doomed.is_empty() {
            return Deleted::default();
        }
        changing(&mut guard).delete(doomed)
    }

    /// What kinds of nodes and relations there are, and how they are joined. Looks at all of them; dangling triplets
    /// are passed over.
    ///
    /// LlamaIndex does not have it for this store.
    pub fn get_schema(&self) -> PropertyGraphSchema {
        self.snapshot().schema()
    }

    /// All triplets, in order, dangling ones too.
    pub fn triplets(&self) -> Vec<Triplet> {
        self.snapshot().triplets.iter().map(|(_, triplet, _)| triplet.clone()).collect()
    }

    /// The triplets with an end that is no node, in order.
    pub fn dangling_triplets(&self) -> Vec<Triplet> {
        let graph = self.snapshot();
        let dangling = graph.triplets.iter().filter(|(_, triplet, _)| !graph.is_whole(triplet));
        dangling.map(|(_, triplet, _)| triplet.clone()).collect()
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.snapshot().nodes.len()
    }

    /// How many triplets there are.
    pub fn triplet_count(&self) -> usize {
        self.snapshot().triplets.len()
    }

    /// How many relations the file has; several triplets of an old version may share one, and triplets without any are
    /// possible.
    pub fn relation_count(&self) -> usize {
        self.snapshot().relations.len()
    }

    /// The first thing that keeps today's LlamaIndex from using the graph as it stands; `None` if it can.
    pub fn python_problem(&self) -> Option<PythonProblem> {
        self.snapshot().python_problem()
    }

    /// Gives each triplet a relation under the key that today's LlamaIndex looks it up by, and tells whether anything
    /// changed.
    ///
    /// Versions 0.10.37 to 0.10.42 kept one relation for each label, which all its triplets share: each gets a copy. A
    /// triplet without a relation gets one without properties.
    pub fn upgrade(&self) -> bool {
        let mut guard = self.write();
        let old = guard.is_old();
        if old {
            changing(&mut guard).upgrade();
        }
        old
    }

    fn snapshot(&self) -> Arc<Graph> {
        Arc::clone(&self.graph.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self) -> RwLockWriteGuard<'_, Arc<Graph>> {
        self.graph.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The graph to be changed, which no longer is what its file says.
fn changing(graph: &mut Arc<Graph>) -> &mut Graph {
    let graph = Arc::make_mut(graph);
    graph.original = None;
    graph.revision = Revision::next();
    graph
}

impl From<Graph> for SimplePropertyGraphStore {
    fn from(graph: Graph) -> Self {
        Self { graph: Arc::new(RwLock::new(Arc::new(graph))) }
    }
}

#[async_trait]
impl PropertyGraphStore for SimplePropertyGraphStore {
    async fn get(&self, filter: &NodeFilter) -> Result<Vec<LabelledNode>> {
        Ok(self.get(filter))
    }

    async fn get_triplets(&self, filter: &TripletFilter) -> Result<Vec<LabelledTriplet>> {
        Ok(self.get_triplets(filter))
    }

    async fn get_rel_map(&self, ids: &[PyString], options: &RelMapOptions) -> Result<Vec<LabelledTriplet>> {
        Ok(self.get_rel_map(ids, options))
    }

    async fn upsert_nodes(&self, nodes: Vec<LabelledNode>) -> Result<()> {
        self.upsert_nodes(nodes)
    }

    async fn upsert_relations(&self, relations: Vec<Relation>) -> Result<()> {
        self.upsert_relations(relations)
    }

    async fn delete(&self, filter: &TripletFilter) -> Result<Deleted> {
        Ok(self.delete(filter))
    }

    async fn delete_triplets(&self, triplets: &[Triplet]) -> Result<Deleted> {
        Ok(self.delete_triplets(triplets))
    }

    async fn get_llama_nodes(&self, ids: &[PyString]) -> Result<LlamaNodes> {
        Ok(self.get_llama_nodes(ids))
    }

    async fn upsert_llama_nodes(&self, nodes: &[Node]) -> Result<()> {
        self.upsert_llama_nodes(nodes)
    }

    async fn delete_llama_nodes(&self, node_ids: &[PyString], ref_doc_ids: &[PyString]) -> Result<Deleted> {
        Ok(self.delete_llama_nodes(node_ids, ref_doc_ids))
    }

    async fn get_schema(&self) -> Result<PropertyGraphSchema> {
        Ok(self.get_schema())
    }

    fn to_file(&self) -> Option<StoreFile> {
        Some(self.store_file())
    }

    fn to_dict(&self) -> Option<Value> {
        Some(self.to_dict())
    }

    fn python_problem(&self) -> Option<PythonProblem> {
        self.python_problem()
    }

    async fn upgrade(&self) -> Result<bool> {
        Ok(self.upgrade())
    }
}

#[cfg(test)]
mod tests;
