use std::collections::HashSet;

use indexmap::IndexSet;
use indexstore::IndexStructData;
use raw_json::PyString;
use storage_context::DEFAULT_NAMESPACE;
use vectorstore::NodeSelection;

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

impl IndexHandle {
    /// Deletes nodes: from the index, their vectors, and from the document store unless an index needs them.
    ///
    /// # Errors
    /// As [`delete_nodes_with`](Self::delete_nodes_with).
    pub async fn delete_nodes(&self, ids: &[PyString]) -> Result<Deleted> {
        self.delete_nodes_with(ids, DeleteOptions::default()).await
    }

    /// Deletes nodes: first from the index, then their vectors, then from the document store. A vector that another
    /// index lists stays. Deleting again deletes nothing and is no error; where a store failed half-way, it goes on.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) for kinds that cannot, and what the stores report.
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

    /// Deletes a document as these options say. One that is unknown is passed over.
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
        let nodes = self.ctx.docstore().ref_doc_nodes(&id).await?;
        let mut deleted = match nodes {
            Some(nodes) => self.remove(&nodes, Some(&id), options).await?,
            None => Deleted::default(),
        };
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

    /// Deletes the index with all that only it used: its struct and what is remembered of its model, then its vectors,
    /// then its nodes. What another index needs stays; so do triplets in a graph store, which are nobody's, and the
    /// vectors of a store that keeps texts, of which nobody knows whose they are. If a store failed half-way, dropping
    /// the index again goes on.
    ///
    /// # Errors
    /// What the stores report.
    pub async fn drop_index(&self) -> Result<Deleted> {
        let index_struct = self.index_struct();
        let ids: Vec<PyString> = index_struct.node_ids().unwrap_or_default().into_iter().collect();
        self.ctx.index_store().delete_index_struct(self.index_id()).await?;
        let needs = Needs::read(&self.ctx).await?;
        let vectors = self.delete_vectors(kinds::vector_ids(&index_struct.data), &needs).await?;
        let mut deleted = Deleted { entries: ids.len(), vectors, ..Deleted::default() };
        if !needs.everything {
            let gone = self.ctx.docstore().delete_documents_except(&ids, &needs.nodes).await?;
            (deleted.nodes, deleted.ref_docs) = (gone.nodes, gone.ref_docs);
        }
        Ok(deleted)
    }

    async fn remove(&self, ids: &[PyString], whole: Option<&PyString>, options: DeleteOptions) -> Result<Deleted> {
        let gone: HashSet<PyString> = ids.iter().cloned().collect();
        let forgotten = self.change(|index_struct| kinds::forget(&mut index_struct.data, &gone)).await?;
        let needs = Needs::read(&self.ctx).await?;
        let vectors = self.delete_vectors(forgotten.vector_ids.into_iter().chain(ids.iter().cloned()), &needs).await?;
        let store = self.ctx.docstore();
        let ids: &[PyString] = &[ids, &forgotten.summaries].concat();
        let from_docstore = match (options.docstore, whole) {
            (DocstoreDelete::Keep, _) => docstore::Deleted::default(),
            (DocstoreDelete::Always, Some(whole)) => store.delete_ref_doc(whole).await?,
            (DocstoreDelete::Always, None) => store.delete_documents(ids).await?,
            (DocstoreDelete::IfUnreferenced, _) if needs.everything => docstore::Deleted::default(),
            (DocstoreDelete::IfUnreferenced, Some(whole))
                if !needs.node(whole) && !ids.iter().any(|id| needs.node(id)) =>
            {
                store.delete_ref_doc(whole).await?
            }
            (DocstoreDelete::IfUnreferenced, _) => store.delete_documents_except(ids, &needs.nodes).await?,
        };
        let docstore::Deleted { nodes, ref_docs } = from_docstore;
        Ok(Deleted { entries: forgotten.entries, vectors, nodes, ref_docs })
    }

    /// Deletes vectors that no index lists.
    pub(crate) async fn delete_vectors(&self, ids: impl IntoIterator<Item = PyString>, needs: &Needs) -> Result<usize> {
        let ids: IndexSet<PyString> = ids.into_iter().filter(|id| !needs.vector(id)).collect();
        if ids.is_empty() {
            return Ok(0);
        }
        let selection = NodeSelection::default().with_node_ids(ids);
        let mut deleted = 0;
        for namespace in kinds::namespaces(&self.index_struct().data) {
            if let Some(store) = self.ctx.vector_store_of(namespace) {
                deleted += store.delete_nodes(&selection).await?;
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
