use std::collections::HashSet;

use graphstore::VECTOR_SOURCE_KEY;
use indexmap::IndexSet;
use indexstore::IndexStructData;
use raw_json::{PyString, Value};
use storage_context::DEFAULT_NAMESPACE;
use vectorstore::{FilterValue, NodeSelection, VectorStoreQuery, field};

use crate::kinds::Planner;
use crate::leaving::Leaving;
use crate::needs::Needs;
use crate::{IndexHandle, Result, kinds};

/// What a deletion from an index does beyond the index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// What becomes of the nodes in the document store.
    pub docstore: DocstoreDelete,
}

/// What becomes of deleted nodes in the document store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DocstoreDelete {
    /// They stay: LlamaIndex's `delete_from_docstore=False`.
    Keep,
    /// They go unless an index of the context needs them. An index that cannot be read needs all.
    #[default]
    IfUnreferenced,
    /// They go, whoever needs them: LlamaIndex's `delete_from_docstore=True`.
    Always,
}

impl DeleteOptions {
    /// Options with this for the document store.
    pub fn docstore(docstore: DocstoreDelete) -> Self {
        Self { docstore }
    }
}

/// What a deletion has taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deleted {
    /// How many entries of the index.
    pub entries: usize,
    /// How many vectors.
    pub vectors: usize,
    /// How many nodes of the document store.
    pub nodes: usize,
    /// How many documents, because no node was left of them.
    pub ref_docs: usize,
}

impl Deleted {
    /// Adds what went from the document store.
    pub(crate) fn count(&mut self, gone: docstore::Deleted) {
        self.nodes += gone.nodes;
        self.ref_docs += gone.ref_docs;
    }
}

impl IndexHandle {
    /// Deletes nodes: from the index, their vectors, and from the document store unless an index needs them.
    ///
    /// # Errors
    /// As [`delete_nodes_with`](Self::delete_nodes_with).
    pub async fn delete_nodes(&self, ids: &[PyString]) -> Result<Deleted> {
        self.delete_nodes_with(ids, DeleteOptions::default()).await
    }

    /// Deletes nodes: first from the index, then their vectors, then from the document store. A vector that another
    /// index lists stays. In a tree, the summaries above them are made anew, before anything is deleted, with its
    /// language model. From a property graph go their chunks, with the entities, relations and vectors of what was found
    /// in them; the triplets of a knowledge graph stay, since nobody knows where they were found. Deleting again deletes
    /// nothing and is no error; where a store failed half-way, it goes on.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) for kinds that cannot, [`Error::NoModel`](crate::Error::NoModel)
    /// and [`Error::Model`](crate::Error::Model) for a tree with summaries, and what the stores report.
    pub async fn delete_nodes_with(&self, ids: &[PyString], options: DeleteOptions) -> Result<Deleted> {
        kinds::check_deletable(self)?;
        self.remove(ids, None, options).await
    }

    /// Deletes a document: its nodes in this index, as [`delete_nodes`](Self::delete_nodes) does, and what is known of
    /// it, if no node is left.
    ///
    /// # Errors
    /// As [`delete_nodes_with`](Self::delete_nodes_with).
    pub async fn delete_ref_doc(&self, ref_doc_id: impl Into<PyString>) -> Result<Deleted> {
        self.delete_ref_doc_with(ref_doc_id, DeleteOptions::default()).await
    }

    /// Deletes a document as these options say. Where the document store does not know it any more, its vectors tell
    /// which nodes the index has of it; one of which nothing is known is passed over.
    ///
    /// # Errors
    /// As [`delete_nodes_with`](Self::delete_nodes_with).
    pub async fn delete_ref_doc_with(
        &self,
        ref_doc_id: impl Into<PyString>,
        options: DeleteOptions,
    ) -> Result<Deleted> {
        kinds::check_deletable(self)?;
        let id = ref_doc_id.into();
        let own = self.node_ids().await?;
        let mut nodes = self.nodes_of(std::slice::from_ref(&id), &own).await?.concat();
        if nodes.is_empty() {
            nodes = self.nodes_of_vectors(&id).await?;
        }
        let mut deleted = self.remove(&nodes, Some(&id), options).await?;
        // What the vector store alone knows, it must find by itself.
        if self.lists_only_in_vector_store()? {
            deleted.vectors += self.vector_store(DEFAULT_NAMESPACE)?.delete(&id).await?;
            // Its hash is all that tells whether it is fresh.
            let needs = Needs::read(&self.ctx).await?;
            if options.docstore != DocstoreDelete::Keep && !needs.node(&id) {
                self.ctx.docstore().delete_document(&id).await?;
            }
        }
        Ok(deleted)
    }

    /// The nodes that the index has vectors of a document under, where the document store does not know it any more. The
    /// vector store is asked by an embedding of the index: which one does not matter, since all are wanted.
    async fn nodes_of_vectors(&self, document: &PyString) -> Result<Vec<PyString>> {
        let index_struct = self.index_struct();
        let (IndexStructData::VectorStore(dict) | IndexStructData::Multimodal(dict)) = &index_struct.data else {
            return Ok(Vec::new());
        };
        let own = &dict.nodes_dict;
        let mut nodes = Vec::new();
        for namespace in kinds::namespaces(&index_struct.data) {
            let store = self.vector_store(namespace)?;
            let mut embedding = None;
            for id in own.keys() {
                embedding = store.get(id).await?;
                if embedding.is_some() {
                    break;
                }
            }
            let Some(embedding) = embedding else { continue };
            let query = VectorStoreQuery::new(embedding).with_top_k(0).with_doc_ids([document]);
            nodes.extend(store.query(&query).await?.ids.iter().filter_map(|id| own.get(id)).cloned());
        }
        Ok(nodes)
    }

    /// Deletes the index with all that only it used: its struct and what is remembered of its model, then its vectors,
    /// then its nodes, and of a property graph that no other index is over, the chunks and what was found in them. What
    /// another index needs stays; so do triplets in a graph store and entities of which no source is known, which are
    /// nobody's, and the vectors of a store that keeps texts, of which nobody knows whose they are. If a store failed
    /// half-way, dropping the index again goes on.
    ///
    /// # Errors
    /// What the stores report.
    pub async fn drop_index(&self) -> Result<Deleted> {
        let index_struct = self.index_struct();
        self.ctx.index_store().delete_index_struct(self.index_id()).await?;
        let leaving = Leaving::with_index(self).await?;
        let mut ids: Vec<PyString> = index_struct.node_ids().unwrap_or_default().into_iter().collect();
        ids.extend(leaving.chunks.iter().cloned());
        let needs = Needs::read_without(&self.ctx, &leaving.nodes).await?;
        let vectors = kinds::vector_ids(&index_struct.data).into_iter().chain(leaving.entities.iter().cloned());
        let vectors = self.delete_vectors(vectors, &needs).await?;
        let mut deleted = Deleted { entries: ids.len(), vectors, ..Deleted::default() };
        if !needs.everything {
            deleted.count(self.ctx.docstore().delete_documents_except(&ids, &needs.nodes).await?);
        }
        // The chunks tell which nodes there are, so they go last.
        leaving.delete(self).await?;
        Ok(deleted)
    }

    async fn remove(&self, ids: &[PyString], whole: Option<&PyString>, options: DeleteOptions) -> Result<Deleted> {
        let gone: HashSet<PyString> = ids.iter().cloned().collect();
        if let Some(renewed) = Planner::new(self, false).forget(&gone).await? {
            renewed.store_documents(self).await?;
        }
        let forgotten = self.change(|index_struct| kinds::forget(&mut index_struct.data, &gone)).await?;
        let leaving = Leaving::with_nodes(self, ids, whole).await?;
        let needs = Needs::read_without(&self.ctx, &leaving.nodes).await?;
        let mut vectors = forgotten.vector_ids;
        match &self.index_struct().data {
            // Its nodes have no vectors, but its entities.
            IndexStructData::PropertyGraph => vectors.extend(leaving.entities.iter().cloned()),
            _ => vectors.extend(ids.iter().cloned()),
        }
        let vectors = self.delete_vectors(vectors, &needs).await?;
        leaving.delete(self).await?;
        let store = self.ctx.docstore();
        let keep = match options.docstore {
            DocstoreDelete::Keep => None,
            DocstoreDelete::IfUnreferenced => (!needs.everything).then_some(&needs.nodes),
            DocstoreDelete::Always => Some(&HashSet::new()),
        };
        let entries = forgotten.entries + leaving.chunks.len();
        let mut deleted = Deleted { entries, vectors, ..Deleted::default() };
        if let Some(keep) = keep {
            let mut rest = forgotten.summaries;
            // A document that is a node itself goes as one.
            let all_go = |whole: &&PyString| ids.iter().chain([*whole]).all(|id| !keep.contains(id));
            match whole.filter(|whole| !ids.contains(whole)).filter(all_go) {
                Some(whole) => deleted.count(store.delete_ref_doc(whole).await?),
                None => rest.splice(..0, ids.iter().cloned()).for_each(drop),
            }
            if !rest.is_empty() {
                deleted.count(store.delete_documents_except(&rest, keep).await?);
            }
        }
        Ok(deleted)
    }

    /// Deletes vectors that no index lists.
    pub(crate) async fn delete_vectors(&self, ids: impl IntoIterator<Item = PyString>, needs: &Needs) -> Result<usize> {
        let ids: IndexSet<PyString> = ids.into_iter().filter(|id| !needs.vector(id)).collect();
        if ids.is_empty() {
            return Ok(0);
        }
        let mut selections = vec![NodeSelection::default().with_node_ids(&ids)];
        if matches!(self.index_struct().data, IndexStructData::PropertyGraph) {
            // In a store that keeps texts LlamaIndex lets entities' vectors have ids of their own.
            let entities = Value::Array(ids.iter().map(Value::from).collect());
            let named = FilterValue::new(entities).map(|ids| field(VECTOR_SOURCE_KEY).is_in(ids));
            selections.extend(named.map(|named| NodeSelection::default().with_filters(named)));
        }
        let mut deleted = 0;
        for namespace in kinds::namespaces(&self.index_struct().data) {
            if let Some(store) = self.ctx.vector_store_of(namespace) {
                let selections = if store.stores_text() { &selections[..] } else { &selections[..1] };
                for selection in selections {
                    deleted += store.delete_nodes(selection).await?;
                }
            }
        }
        Ok(deleted)
    }

    /// Whether the vector store has the texts, and the index lists none of them.
    pub(crate) fn lists_only_in_vector_store(&self) -> Result<bool> {
        Ok(matches!(self.index_struct().data, IndexStructData::VectorStore(_))
            && !self.settings.store_nodes_override
            && self.vector_store(DEFAULT_NAMESPACE)?.stores_text())
    }
}
