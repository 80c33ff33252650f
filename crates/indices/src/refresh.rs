use std::collections::{HashMap, HashSet};

use raw_json::PyString;
use schema::{Node, NodeRelationship};
use storage_context::DEFAULT_NAMESPACE;
use vectorstore::VectorStoreQuery;

use crate::graph_change::GraphChange;
use crate::insertion::Insertion;
use crate::kinds::Planner;
use crate::leaving::Leaving;
use crate::needs::Needs;
use crate::{DeleteOptions, Deleted, DocstoreDelete, IndexHandle, Result, kinds};

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
        let (id, hash) = (document.id.clone(), document.hash()?);
        let nodes = self.transform(vec![document]).await?;
        let insertion = Planner::for_updates(self, vec![id.clone()]).await?.replace(&id, nodes).await?;
        self.replace(&id, &hash, &insertion, options).await
    }

    /// Inserts the documents that are new to this index, and updates those that have changed since it got them. Returns
    /// for each document whether there was something to do.
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
        let mut stale = Vec::new();
        for (document, (id, hash)) in documents.into_iter().zip(hashes) {
            let is_fresh = known.get(&id) == Some(&hash);
            told.push(!is_fresh);
            if !is_fresh {
                let may_have_none = (bare.get(&id) == Some(&hash)).then_some(told.len() - 1);
                known.insert(id, hash.clone());
                stale.push((document, hash, may_have_none));
            }
        }
        let mut parts = Vec::with_capacity(stale.len());
        let mut nodes = Vec::new();
        for (document, hash, may_have_none) in stale {
            let id = document.id.clone();
            let of_document = self.transform(vec![document]).await?;
            if let (Some(at), true) = (may_have_none, of_document.is_empty()) {
                told[at] = false;
                continue;
            }
            parts.push((id, hash, of_document.len()));
            nodes.extend(of_document);
        }
        let mut identity = None;
        if kinds::embeds(&self.index_struct().data) {
            identity = self.embed_nodes(&mut nodes).await?;
        }
        let mut nodes = nodes.into_iter();
        let mut planner = Planner::for_updates(self, parts.iter().map(|(id, ..)| id.clone()).collect()).await?;
        let mut planned = Vec::with_capacity(parts.len());
        for (id, hash, len) in parts {
            let mut insertion = planner.replace(&id, nodes.by_ref().take(len).collect()).await?;
            insertion.identity = identity.take().or(insertion.identity);
            planned.push((id, hash, insertion));
        }
        for (id, hash, insertion) in planned {
            self.replace(&id, &hash, &insertion, options).await?;
        }
        Ok(told)
    }

    /// Which of the documents with these hashes the index has as they are.
    async fn fresh(&self, hashes: &[(PyString, String)]) -> Result<Fresh> {
        let store = self.ctx.docstore();
        let own: HashSet<PyString> = self.node_ids().await?.into_iter().collect();
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
            let mut nodes = store.ref_docs_nodes(ids).await?;
            nodes.iter_mut().flatten().for_each(|nodes| nodes.retain(|node| own.contains(node)));
            let all: Vec<PyString> = nodes.iter().flatten().flatten().cloned().collect();
            let mut found = store.get_nodes(&all).await?.into_iter();
            for (id, nodes) in ids.iter().zip(nodes) {
                let nodes: Vec<Option<Node>> = found.by_ref().take(nodes.map_or(0, |nodes| nodes.len())).collect();
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

    /// Puts the new nodes of a document in place of its old ones.
    async fn replace(
        &self,
        id: &PyString,
        hash: &str,
        insertion: &Insertion,
        options: DeleteOptions,
    ) -> Result<Deleted> {
        let store = self.ctx.docstore();
        let mut old = store.ref_doc_nodes(id).await?.unwrap_or_default();
        let known: HashSet<PyString> = old.iter().cloned().collect();
        let old_vectors = self.vectors_of(id, insertion).await?;
        old.retain(|node| !insertion.ids.contains(node));
        let forgotten = self.apply(insertion, &known).await?;
        old.extend(forgotten.summaries.iter().filter(|id| !known.contains(*id)).cloned());
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
        match options.docstore {
            DocstoreDelete::Keep => store.set_document_hash(id, hash).await?,
            docstore => {
                let keeps = |node: &PyString| docstore == DocstoreDelete::IfUnreferenced && needs.node(node);
                old.retain(|node| !keeps(node));
                let keep = if keeps(id) { HashSet::from([id.clone()]) } else { HashSet::new() };
                deleted.count(store.replace_ref_doc(id, &insertion.documents, hash, &old, &keep).await?);
            }
        }
        Ok(deleted)
    }

    /// The vectors that a vector store with texts has of a document. They are asked for by one of the new embeddings:
    /// which one does not matter, since all are wanted.
    async fn vectors_of(&self, id: &PyString, insertion: &Insertion) -> Result<Vec<PyString>> {
        if !self.lists_only_in_vector_store()? {
            return Ok(Vec::new());
        }
        let store = self.vector_store(DEFAULT_NAMESPACE)?;
        let embedding = insertion.rows.iter().flat_map(|(_, nodes)| nodes).find_map(|node| node.embedding.clone());
        let Some(embedding) = embedding else {
            // Nothing comes in its place.
            store.delete(id).await?;
            return Ok(Vec::new());
        };
        Ok(store.query(&VectorStoreQuery::new(embedding).with_top_k(0).with_doc_ids([id])).await?.ids)
    }
}
