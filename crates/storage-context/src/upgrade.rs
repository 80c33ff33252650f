use graphstore::Triplet;
use indexstore::IndexStructData;
use raw_json::PyString;

use crate::origin::Role;
use crate::{DEFAULT_NAMESPACE, Error, Result, StorageContext};

/// What an upgrade has done. The files change when the context is persisted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upgraded {
    /// How many nodes were rewritten.
    pub nodes: usize,
    /// How many documents' records were rewritten.
    pub ref_docs: usize,
    /// How many index structs were rewritten.
    pub index_structs: usize,
    /// How many triplets were moved from knowledge graph structs into the graph store.
    pub triplets: usize,
    /// Whether the property graph was rewritten.
    pub property_graph: bool,
    /// Whether the vector store gets today's file name.
    pub vector_store_renamed: bool,
    /// Nodes and records that cannot be read, with the reason; they stay as they are.
    pub unreadable: Vec<(PyString, String)>,
}

impl StorageContext {
    /// Rewrites what older versions wrote into what today's LlamaIndex reads: nodes, documents' records, index structs,
    /// the triplets that were kept in structs, the keys of property graph relations, the name of the vector store's
    /// file. Hashes stay.
    ///
    /// Nothing is lost by it, and repeating it does no harm. Each store is changed by itself; the files follow when the
    /// context is persisted.
    ///
    /// # Errors
    /// [`Error::Store`] if a store fails.
    pub async fn upgrade(&self) -> Result<Upgraded> {
        let docs = self.docstore().upgrade().await.map_err(|e| Error::store("document store", e))?;
        let triplets = self.move_triplets().await?;
        let index_structs = self.index_store().upgrade().await.map_err(|e| Error::store("index store", e))?;
        let property_graph = match self.property_graph_store() {
            Some(graph) => graph.upgrade().await.map_err(|e| Error::store("property graph store", e))?,
            None => false,
        };
        let vector_store_renamed = self.origins().rename_legacy(&Role::VectorStore(DEFAULT_NAMESPACE.to_owned()));
        Ok(Upgraded {
            nodes: docs.nodes,
            ref_docs: docs.ref_docs,
            index_structs,
            triplets,
            property_graph,
            vector_store_renamed,
            unreadable: docs.unreadable,
        })
    }

    /// Moves the triplets that 0.6.2x and before kept in structs, as `{subject: [[object, relation], …]}`, to the graph
    /// store.
    async fn move_triplets(&self) -> Result<usize> {
        let failed = |e: indexstore::Error| Error::store("index store", e);
        let mut moved = 0;
        for mut index_struct in self.index_store().index_structs().await.map_err(failed)? {
            let IndexStructData::KnowledgeGraph(graph) = &mut index_struct.data else { continue };
            let triplets = graph.rel_map_triplets().map_err(|subject| {
                let id = &index_struct.index_id;
                let problem = format!("the triplets of '{subject}' in index '{id}' are not pairs of strings");
                Error::store("index store", problem)
            })?;
            if graph.rel_map.is_empty() {
                continue;
            }
            graph.rel_map.clear();
            let triplets: Vec<Triplet> =
                triplets.into_iter().map(|[subject, relation, object]| Triplet { subject, relation, object }).collect();
            moved += triplets.len();
            let added = self.graph_store().upsert_triplets(&triplets).await;
            added.map_err(|e| Error::store("graph store", e))?;
            self.index_store().add_index_struct(&index_struct).await.map_err(failed)?;
        }
        Ok(moved)
    }
}
