use std::collections::{HashMap, HashSet};

use indexmap::{IndexMap, IndexSet};
use raw_json::PyString;
use schema::{Node, NodeRelationship};
use storage_context::DEFAULT_NAMESPACE;
use vectorstore::VectorStoreQuery;

use crate::graph_change::GraphChange;
use crate::insertion::Insertion;
use crate::kinds::Planner;
use crate::leaving::Leaving;
use crate::needs::Needs;
use crate::{DeleteOptions, Deleted, DocstoreDelete, IndexHandle, Result, kinds, leaving};

/// Documents that an index has as they are, with their hashes.
#[derive(Default)]
struct Fresh {
    documents: HashMap<PyString, String>,
    /// Those of which it has no nodes. They are as they are if there are none to have.
    bare: HashMap<PyString, String>,
}

/// Of how many documents the nodes are looked at together.
const DOCUMENTS_AT_ONCE: usize = 1_000;

impl IndexHandle {
    /// Replaces a document by its new version, or inserts it if it is new. See
    /// [`update_ref_doc_with`](Self::update_ref_doc_with).
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn update_ref_doc(&self, document: Node) -> Result<Deleted> {
        self.update_ref_doc_with(document, DeleteOptions::default()).await
    }

    /// Replaces a document by its new version: the nodes of the new one are stored, then the index changes from the old
    /// nodes to the new ones, and then the old ones are deleted as the options say. Whatever fails, the index has
    /// the old version or the new one, and updating again completes it. Returns what went of the old version.
    ///
    /// # Errors
    /// As [`insert`](Self::insert), and [`Error::Unsupported`](crate::Error::Unsupported) for kinds that cannot delete.
    pub async fn update_ref_doc_with(&self, document: Node, options: DeleteOptions) -> Result<Deleted> {
        kinds::check_deletable(self)?;
        let hash = document.hash()?;
        self.replace(vec![(document, hash)], options).await
    }

    /// Inserts the documents that are new to this index, and updates those that have changed since it got them. Returns
    /// for each document whether there was something to do. Of several versions of a document the last one counts. All
    /// documents are changed together, as [`update_ref_doc_with`](Self::update_ref_doc_with) changes one.
    ///
    /// A document is fresh if its hash is the one remembered, and the index has nodes of it, made from a document
    /// with that hash; or no nodes can be made of it. So of several indexes over one document store each has its own
    /// idea of what is fresh.
    ///
    /// # Errors
    /// As [`update_ref_doc_with`](Self::update_ref_doc_with). Everything that the documents can make fail is done
    /// before the first of them is stored.
    pub async fn refresh_ref_docs(&self, documents: Vec<Node>) -> Result<Vec<bool>> {
        self.refresh_ref_docs_with(documents, DeleteOptions::default()).await
    }

    /// Refreshes as [`refresh_ref_docs`](Self::refresh_ref_docs), and deletes old nodes as the options say.
    ///
    /// # Errors
    /// As [`refresh_ref_docs`](Self::refresh_ref_docs).
    pub async fn refresh_ref_docs_with(&self, documents: Vec<Node>, options: DeleteOptions) -> Result<Vec<bool>> {
        kinds::check_deletable(self)?;
        self.reload().await?;
        let mut hashes = Vec::with_capacity(documents.len());
        for document in &documents {
            hashes.push((document.id.clone(), document.hash()?));
        }
        let Fresh { documents: mut known, bare } = self.fresh(&hashes).await?;
        let mut told = Vec::with_capacity(documents.len());
        let mut stale = IndexMap::new();
        for (document, (id, hash)) in documents.into_iter().zip(hashes) {
            let may_have_none = bare.get(&id) == Some(&hash) && !stale.contains_key(&id);
            let is_fresh = known.get(&id) == Some(&hash)
                || (may_have_none && self.transform(vec![document.clone()]).await?.is_empty());
            told.push(!is_fresh);
            if !is_fresh {
                known.insert(id.clone(), hash.clone());
                stale.insert(id, (document, hash));
            }
        }
        self.replace(stale.into_values().collect(), options).await?;
        Ok(told)
    }

    /// Which of the documents with these hashes the index has as they are.
    async fn fresh(&self, hashes: &[(PyString, String)]) -> Result<Fresh> {
        let store = self.ctx.docstore();
        let own = self.node_ids().await?;
        let ids: Vec<PyString> = hashes.iter().map(|(id, _)| id.clone()).collect();
        let stored = store.get_document_hashes(&ids).await?;
        let same =
            hashes.iter().zip(stored).filter(|((_, hash), stored)| stored.as_ref().is_some_and(|s| *s == **hash));
        let same: HashMap<PyString, String> = same.map(|(document, _)| document.clone()).collect();
        if self.lists_only_in_vector_store()? {
            return Ok(Fresh { documents: same, ..Fresh::default() });
        }
        let ids: Vec<PyString> = same.keys().cloned().collect();
        let mut fresh = Fresh::default();
        for ids in ids.chunks(DOCUMENTS_AT_ONCE) {
            let mut nodes = self.nodes_of(ids, &own).await?;
            nodes.iter_mut().for_each(|nodes| nodes.retain(|node| own.contains(node)));
            let mut found = store.get_nodes(&nodes.concat()).await?.into_iter();
            for (id, nodes) in ids.iter().zip(nodes) {
                let nodes: Vec<Option<Node>> = found.by_ref().take(nodes.len()).collect();
                if nodes.is_empty() {
                    fresh.bare.insert(id.clone(), same[id].clone());
                    continue;
                }
                let mut is_fresh = true;
                for node in nodes.iter().flatten() {
                    let source = node.related(NodeRelationship::Source)?;
                    let made_from = source.and_then(|source| source.hash.as_ref());
                    is_fresh &= made_from.is_none_or(|made_from| *made_from == *same[id]);
                }
                if is_fresh {
                    fresh.documents.insert(id.clone(), same[id].clone());
                }
            }
        }
        Ok(fresh)
    }

    /// Puts the new versions of documents, each once and with its hash, in place of the old ones.
    async fn replace(&self, documents: Vec<(Node, String)>, options: DeleteOptions) -> Result<Deleted> {
        if documents.is_empty() {
            return Ok(Deleted::default());
        }
        let (documents, hashes): (Vec<Node>, Vec<String>) = documents.into_iter().unzip();
        let ids: Vec<PyString> = documents.iter().map(|document| document.id.clone()).collect();
        let nodes = self.transform(documents).await?;
        let insertion = Planner::new(self, false).replace(nodes, self.old_nodes(&ids).await?).await?;
        // Planning may take a model long, and others may have changed the documents meanwhile.
        let known = self.old_nodes(&ids).await?;
        let old_vectors = self.vectors_of(&ids, &insertion).await?;
        let forgotten = self.apply(&insertion, &known).await?;
        let mut old: IndexSet<PyString> = known.iter().chain(&forgotten.summaries).cloned().collect();
        old.retain(|node| !insertion.ids.contains(node));
        let leaving = match &insertion.graph {
            GraphChange::Extracted(new) => Leaving::with_update(self, &known, new).await?,
            _ => Leaving::default(),
        };
        let needs = Needs::read_without(&self.ctx, &leaving.nodes).await?;
        let of_nodes = old.iter().filter(|_| !matches!(insertion.graph, GraphChange::Extracted(_)));
        let vectors = forgotten.vector_ids.iter().chain(of_nodes).chain(&old_vectors).chain(&leaving.entities);
        let vectors = vectors.filter(|id| !insertion.ids.contains(*id)).cloned();
        let vectors = self.delete_vectors(vectors, &needs).await?;
        leaving.delete(self).await?;
        let entries = forgotten.entries + leaving.chunks.len();
        let mut deleted = Deleted { entries, vectors, ..Deleted::default() };
        let store = self.ctx.docstore();
        let hashes: Vec<(PyString, String)> = ids.into_iter().zip(hashes).collect();
        match options.docstore {
            DocstoreDelete::Keep => {
                store.set_document_hashes(hashes.iter().map(|(id, hash)| (id.clone(), hash.as_str()))).await?;
            }
            docstore => {
                let keeps = |node: &PyString| docstore == DocstoreDelete::IfUnreferenced && needs.node(node);
                let old: Vec<PyString> = old.into_iter().filter(|node| !keeps(node)).collect();
                let keep = hashes.iter().map(|(id, _)| id).filter(|id| keeps(id)).cloned().collect();
                deleted.count(store.replace_ref_docs(&hashes, &insertion.prepared(), &old, &keep).await?);
            }
        }
        Ok(deleted)
    }

    /// The nodes of documents, and those that only the graph of a property graph index has of them.
    async fn old_nodes(&self, documents: &[PyString]) -> Result<HashSet<PyString>> {
        let own = self.node_ids().await?;
        let mut old: HashSet<PyString> = self.nodes_of(documents, &own).await?.into_iter().flatten().collect();
        old.extend(leaving::chunks_of(self, documents).await?);
        Ok(old)
    }

    /// The nodes of each document: those that the document store has of it, and the document itself if it is among the
    /// index's `own` nodes, and no other's.
    pub(crate) async fn nodes_of(
        &self,
        documents: &[PyString],
        own: &IndexSet<PyString>,
    ) -> Result<Vec<Vec<PyString>>> {
        let store = self.ctx.docstore();
        let known = store.ref_docs_nodes(documents).await?;
        let mut nodes: Vec<Vec<PyString>> = known.into_iter().map(Option::unwrap_or_default).collect();
        let themselves: Vec<PyString> = documents.iter().filter(|id| own.contains(*id)).cloned().collect();
        let mut found = store.get_nodes(&themselves).await?.into_iter();
        for (id, nodes) in documents.iter().zip(&mut nodes).filter(|(id, _)| own.contains(*id)) {
            if let Some(node) = found.next().flatten()
                && node.ref_doc_id()?.is_none_or(|source| source.is_empty())
            {
                nodes.push(id.clone());
            }
        }
        Ok(nodes)
    }

    /// The vectors that a vector store with texts has of documents. They are asked for by one of the new embeddings:
    /// which one does not matter, since all are wanted.
    async fn vectors_of(&self, documents: &[PyString], insertion: &Insertion) -> Result<Vec<PyString>> {
        if !self.lists_only_in_vector_store()? {
            return Ok(Vec::new());
        }
        let store = self.vector_store(DEFAULT_NAMESPACE)?;
        let embedding = insertion.rows.iter().flat_map(|(_, nodes)| nodes).find_map(|node| node.embedding.clone());
        let mut found = Vec::new();
        for documents in documents.chunks(DOCUMENTS_AT_ONCE) {
            match &embedding {
                Some(embedding) => {
                    let query = VectorStoreQuery::new(embedding.clone()).with_top_k(0).with_doc_ids(documents);
                    found.extend(store.query(&query).await?.ids);
                }
                // Nothing comes in their place.
                None => {
                    for document in documents {
                        store.delete(document).await?;
                    }
                }
            }
        }
        Ok(found)
    }
}
