use std::collections::HashSet;

use indexmap::{IndexMap, IndexSet};
use kv_core::WriteBatch;
use raw_json::{PyString, RawJson};

use crate::{KvDocumentStore, RefDocInfo, Result};

/// What a deletion has taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deleted {
    /// How many of the nodes asked for were known: stored, or remembered by their hash alone.
    pub nodes: usize,
    /// How many documents went because no node was left of them.
    pub ref_docs: usize,
}

impl KvDocumentStore {
    /// Deletes a node and all that is known of it; `false` if nothing was.
    ///
    /// # Errors
    /// As [`delete_documents`](Self::delete_documents).
    pub async fn delete_document(&self, id: impl Into<PyString>) -> Result<bool> {
        Ok(self.delete_documents(&[id.into()]).await?.nodes == 1)
    }

    /// Deletes nodes, their hashes, and their places in their documents' records, as one batch. A document of which no
    /// node is left goes too, with its hash and with the node stored under its id. Unknown ids are passed over.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if a record cannot be read,
    /// [`Error::Contended`](crate::Error::Contended); nothing has changed then.
    pub async fn delete_documents(&self, ids: &[PyString]) -> Result<Deleted> {
        self.delete_documents_except(ids, &HashSet::new()).await
    }

    /// Deletes nodes as [`delete_documents`](Self::delete_documents) does, but none of those to keep, also not one that
    /// is stored under the id of a document that goes.
    ///
    /// # Errors
    /// As [`delete_documents`](Self::delete_documents).
    pub async fn delete_documents_except(&self, ids: &[PyString], keep: &HashSet<PyString>) -> Result<Deleted> {
        let ids: IndexSet<&PyString> = ids.iter().filter(|id| !keep.contains(*id)).collect();
        let ids: &Vec<PyString> = &ids.into_iter().cloned().collect();
        self.retry(|| self.try_delete(ids, None, keep)).await
    }

    /// Deletes a document: its nodes, its record, its hash, and the node stored under its id. All counts are 0 if it is
    /// unknown.
    ///
    /// A node on its list that has come from another document since is that one's, and stays.
    ///
    /// # Errors
    /// As [`delete_documents`](Self::delete_documents).
    pub async fn delete_ref_doc(&self, ref_doc_id: impl Into<PyString>) -> Result<Deleted> {
        let id = ref_doc_id.into();
        let (id, none) = (&id, &HashSet::new());
        self.retry(|| async move {
            let Some(nodes) = self.ref_doc_nodes(id).await? else { return Ok(Deleted::default()) };
            self.try_delete(&nodes, Some(id), none).await
        })
        .await
    }

    /// The nodes that are a document's, each once; `None` if the document is unknown. Those on its list that have come
    /// from another document since are that one's.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if a record cannot be read.
    pub async fn ref_doc_nodes(&self, ref_doc_id: &PyString) -> Result<Option<Vec<PyString>>> {
        Ok(self.ref_docs_nodes(std::slice::from_ref(ref_doc_id)).await?.pop().flatten())
    }

    /// The nodes of several documents, each at the place of its id, as [`ref_doc_nodes`](Self::ref_doc_nodes) tells
    /// them. Two round trips.
    ///
    /// # Errors
    /// As [`ref_doc_nodes`](Self::ref_doc_nodes).
    pub async fn ref_docs_nodes(&self, ref_doc_ids: &[PyString]) -> Result<Vec<Option<Vec<PyString>>>> {
        let infos = self.get_ref_doc_infos(ref_doc_ids).await?;
        let listed: Vec<PyString> = infos.iter().flatten().flat_map(|info| &info.node_ids).cloned().collect();
        let mut records = self.kv.get_many(&self.metadata, &listed).await?.into_iter();
        let mut all = Vec::with_capacity(infos.len());
        for (ref_doc_id, info) in ref_doc_ids.iter().zip(infos) {
            let Some(info) = info else {
                all.push(None);
                continue;
            };
            let mut nodes = IndexSet::new();
            for (node_id, raw) in info.node_ids.into_iter().zip(records.by_ref()) {
                let owner = self.read_record(&node_id, raw.as_ref())?.ref_doc_id();
                if owner.is_none_or(|owner| owner == *ref_doc_id) {
                    nodes.insert(node_id);
                }
            }
            all.push(Some(nodes.into_iter().collect()));
        }
        Ok(all)
    }

    /// Deletes the nodes and, whatever else is on its list, the document `whole`.
    async fn try_delete(
        &self,
        ids: &[PyString],
        whole: Option<&PyString>,
        keep: &HashSet<PyString>,
    ) -> Result<Deleted> {
        let stored = self.kv.get_many(&self.nodes, ids).await?;
        let records = self.kv.get_many(&self.metadata, ids).await?;
        let mut batch = WriteBatch::new();
        let mut deleted = Deleted::default();
        let mut sources: IndexMap<PyString, IndexSet<&PyString>> = IndexMap::new();
        if let Some(whole) = whole {
            sources.insert(whole.clone(), IndexSet::new());
        }
        for ((id, data), record) in ids.iter().zip(stored).zip(records) {
            deleted.nodes += usize::from(data.is_some() || record.is_some());
            if let Some(source) = self.read_record(id, record.as_ref())?.ref_doc_id() {
                sources.entry(source).or_default().insert(id);
            }
            batch.require(&self.metadata, id, record);
        }
        let source_ids: Vec<PyString> = sources.keys().cloned().collect();
        let infos = self.kv.get_many(&self.ref_doc_info, &source_ids).await?;
        let mut gone: IndexSet<&PyString> = ids.iter().collect();
        for ((source, nodes), raw) in sources.iter().zip(infos) {
            let Some((raw, mut info)) = self.known_info(source, raw)? else { continue };
            info.node_ids.retain(|id| !nodes.contains(id));
            batch.require(&self.ref_doc_info, source, Some(raw));
            if info.node_ids.is_empty() || whole == Some(source) {
                deleted.ref_docs += 1;
                batch.delete(&self.ref_doc_info, source);
                if !keep.contains(source) {
                    gone.insert(source);
                }
            } else {
                batch.put(&self.ref_doc_info, source, info.to_value());
            }
        }
        gone.iter().for_each(|id| batch.delete(&self.nodes, *id));
        gone.iter().for_each(|id| batch.delete(&self.metadata, *id));
        self.kv.apply(batch).await?;
        Ok(deleted)
    }

    fn known_info(&self, id: &PyString, raw: Option<RawJson>) -> Result<Option<(RawJson, RefDocInfo)>> {
        let Some(raw) = raw else { return Ok(None) };
        Ok(self.read_info(id, &raw)?.map(|info| (raw, info)))
    }
}
