use std::fmt::Debug;

use async_trait::async_trait;
use indexmap::{IndexMap, IndexSet};
use persist::StoreFile;
use raw_json::{Object, PyString, Value};
use schema::Node;
use vectorstore::VectorStoreQuery;

use crate::constants::{REF_DOC_ID_KEY, TRIPLET_SOURCE_KEY};
use crate::{
    Deleted, Error, GraphSchema, LabelledNode, LabelledTriplet, LlamaNodes, NodeFilter, PropertyGraphSchema,
    PythonProblem, RelMapOptions, Relation, Result, Triplet, TripletFilter,
};

/// How many steps LlamaIndex follows from a subject if nothing else is said.
pub const DEFAULT_DEPTH: usize = 2;

/// How many triplets LlamaIndex takes if nothing else is said.
pub const DEFAULT_LIMIT: usize = 30;

/// For each subject the triplets that were found from it.
pub type RelMap = IndexMap<PyString, Vec<Triplet>>;

/// Triplets of strings.
///
/// Handles are shared (`Arc<dyn GraphStore>`), and every method may be called from several tasks at once.
#[async_trait]
pub trait GraphStore: Debug + Send + Sync + 'static {
    /// The relations and objects of a subject, in order; empty if it has none.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn get(&self, subj: &PyString) -> Result<Vec<(PyString, PyString)>>;

    /// The triplets within `depth` steps of each subject (of all subjects for `None`), `limit` altogether.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn get_rel_map(&self, subjs: Option<&[PyString]>, depth: usize, limit: usize) -> Result<RelMap>;

    /// Adds a triplet, unless it is there.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn upsert_triplet(&self, subj: &PyString, rel: &PyString, obj: &PyString) -> Result<()>;

    /// Adds triplets in their order, except those that are there. By default one by one; a store that can add them in
    /// one change does it better by itself.
    ///
    /// # Errors
    /// If the store beneath fails. By default the triplets before that are there.
    async fn upsert_triplets(&self, triplets: &[Triplet]) -> Result<()> {
        for triplet in triplets {
            self.upsert_triplet(&triplet.subject, &triplet.relation, &triplet.object).await?;
        }
        Ok(())
    }

    /// Removes a triplet and tells whether it was there.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn delete(&self, subj: &PyString, rel: &PyString, obj: &PyString) -> Result<bool>;

    /// How many triplets there are of each relation.
    ///
    /// # Errors
    /// [`Error::Unsupported`] unless a store has it, and if the store beneath fails.
    async fn get_schema(&self) -> Result<GraphSchema> {
        Err(Error::unsupported::<Self>("schemas"))
    }

    /// What the store answers to a query in its own language, with parameters that the query names.
    ///
    /// # Errors
    /// [`Error::Unsupported`] unless a store has it, and if the store beneath fails.
    async fn query(&self, _query: &str, _params: &Object) -> Result<Value> {
        Err(Error::unsupported::<Self>("queries in a language of its own"))
    }

    /// For a store in memory: its state as a file. `None` if the store keeps itself.
    fn to_file(&self) -> Option<StoreFile> {
        None
    }

    /// For a store in memory: its content, as LlamaIndex's `to_dict`.
    fn to_dict(&self) -> Option<Value> {
        None
    }
}

/// Nodes with properties and the labelled relations between them.
///
/// Handles are shared (`Arc<dyn PropertyGraphStore>`), and every method may be called from several tasks at once.
#[async_trait]
pub trait PropertyGraphStore: Debug + Send + Sync + 'static {
    /// The nodes that match; all of them if the filter is empty.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn get(&self, filter: &NodeFilter) -> Result<Vec<LabelledNode>>;

    /// The triplets that match; none if the filter is empty.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn get_triplets(&self, filter: &TripletFilter) -> Result<Vec<LabelledTriplet>>;

    /// The triplets around some nodes.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn get_rel_map(&self, ids: &[PyString], options: &RelMapOptions) -> Result<Vec<LabelledTriplet>>;

    /// Adds nodes, each in place of the one with its id.
    ///
    /// # Errors
    /// [`Error::NotFinite`] and the like for a node that cannot be kept, and if the
    /// store beneath fails.
    async fn upsert_nodes(&self, nodes: Vec<LabelledNode>) -> Result<()>;

    /// Adds relations, each in place of the one with its ends and label. Ends that are not there become entities.
    ///
    /// # Errors
    /// [`Error::NotFinite`] and the like for a relation that cannot be kept, and if the store
    /// beneath fails.
    async fn upsert_relations(&self, relations: Vec<Relation>) -> Result<()>;

    /// Removes what matches, and nothing if the filter is empty: nodes with their triplets and relations, or single
    /// triplets if the filter names relations.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn delete(&self, filter: &TripletFilter) -> Result<Deleted>;

    /// Removes exactly these triplets with their relations, as far as they are there; the nodes at their ends stay.
    ///
    /// By default it asks for all triplets at their subjects with their labels, deletes those, and adds the others
    /// again. A store that can name a single triplet does it better by itself.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn delete_triplets(&self, triplets: &[Triplet]) -> Result<Deleted> {
        if triplets.is_empty() {
            return Ok(Deleted::default());
        }
        let doomed: IndexSet<&Triplet> = triplets.iter().collect();
        let filter = TripletFilter::default()
            .with_ids(doomed.iter().map(|triplet| &triplet.subject).collect::<IndexSet<_>>())
            .with_relation_names(doomed.iter().map(|triplet| &triplet.relation).collect::<IndexSet<_>>());
        let (gone, kept): (Vec<_>, Vec<_>) =
            self.get_triplets(&filter).await?.into_iter().partition(|found| doomed.contains(&found.triplet()));
        if gone.is_empty() {
            return Ok(Deleted::default());
        }
        self.delete(&filter).await?;
        self.upsert_relations(kept.into_iter().map(|kept| kept.relation).collect()).await?;
        Ok(Deleted { nodes: 0, triplets: gone.len(), relations: gone.len() })
    }

    /// The nodes of LlamaIndex that are kept under these ids; none for no ids. What is there and cannot be rebuilt is
    /// told apart, with the reason.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn get_llama_nodes(&self, ids: &[PyString]) -> Result<LlamaNodes> {
        if ids.is_empty() {
            return Ok(LlamaNodes::default());
        }
        Ok(self.get(&NodeFilter::default().with_ids(ids)).await?.into_iter().collect())
    }

    /// Keeps nodes of LlamaIndex as chunks, each in place of the node with its id; see
    /// [`LabelledNode::from_llama_node`].
    ///
    /// # Errors
    /// [`Error::Metadata`] for a node that cannot be made a chunk, before anything has changed, and those of
    /// [`upsert_nodes`](Self::upsert_nodes).
    async fn upsert_llama_nodes(&self, nodes: &[Node]) -> Result<()> {
        let chunks = nodes.iter().map(LabelledNode::from_llama_node).collect::<Result<Vec<_>, _>>()?;
        self.upsert_nodes(chunks).await
    }

    /// Removes what came from nodes and documents of LlamaIndex: the nodes with one of these ids, those whose property
    /// `triplet_source_id` is one of `node_ids`, and those whose property `ref_doc_id` is one of `ref_doc_ids`; with
    /// all triplets and relations at them. Nothing else is removed, and nothing at all if nothing is found.
    ///
    /// By default it asks for the nodes property by property, once for each id, and then deletes them. A store that has
    /// to look at all nodes to answer that does it better by itself, and so does one that can do it in one change.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn delete_llama_nodes(&self, node_ids: &[PyString], ref_doc_ids: &[PyString]) -> Result<Deleted> {
        let mut doomed = IndexSet::new();
        for (key, ids) in [(TRIPLET_SOURCE_KEY, node_ids), (REF_DOC_ID_KEY, ref_doc_ids)] {
            let all = (!ids.is_empty()).then(|| NodeFilter::default().with_ids(ids));
            let filters = ids.iter().map(|id| NodeFilter::default().with_property(key, id)).chain(all);
            for filter in filters.collect::<Vec<_>>() {
                doomed.extend(self.get(&filter).await?.into_iter().map(|node| node.id().clone()));
            }
        }
        if doomed.is_empty() {
            return Ok(Deleted::default());
        }
        self.delete(&TripletFilter::default().with_ids(doomed)).await
    }

    /// What kinds of nodes and relations there are, and how they are joined.
    ///
    /// # Errors
    /// [`Error::Unsupported`] unless a store has it, and if the store beneath fails.
    async fn get_schema(&self) -> Result<PropertyGraphSchema> {
        Err(Error::unsupported::<Self>("schemas"))
    }

    /// Whether [`structured_query`](Self::structured_query) is supported.
    fn supports_structured_queries(&self) -> bool {
        false
    }

    /// What the store answers to a query in its own language, with parameters that the query names.
    ///
    /// # Errors
    /// [`Error::Unsupported`] unless a store has it, and if the store beneath fails.
    async fn structured_query(&self, _query: &str, _params: &Object) -> Result<Value> {
        Err(Error::unsupported::<Self>("structured queries"))
    }

    /// Whether [`vector_query`](Self::vector_query) is supported.
    fn supports_vector_queries(&self) -> bool {
        false
    }

    /// The nodes whose embeddings are nearest to a query, nearest first, each with its similarity. Greater is closer.
    ///
    /// # Errors
    /// [`Error::Unsupported`] unless a store has it, and if the store beneath fails.
    async fn vector_query(&self, _query: &VectorStoreQuery) -> Result<Vec<(LabelledNode, f64)>> {
        Err(Error::unsupported::<Self>("vector queries"))
    }

    /// For a store in memory: its state as a file. `None` if the store keeps itself.
    fn to_file(&self) -> Option<StoreFile> {
        None
    }

    /// For a store in memory: its content, as LlamaIndex's `to_dict`.
    fn to_dict(&self) -> Option<Value> {
        None
    }

    /// For a store in memory: the first thing that keeps today's LlamaIndex from using its file.
    fn python_problem(&self) -> Option<PythonProblem> {
        None
    }

    /// Rewrites what older versions wrote into what today's LlamaIndex reads, and tells whether anything changed.
    ///
    /// # Errors
    /// If the store beneath fails.
    async fn upgrade(&self) -> Result<bool> {
        Ok(false)
    }
}
