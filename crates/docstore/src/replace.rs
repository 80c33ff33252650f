use std::collections::{HashMap, HashSet};

use indexmap::IndexSet;
use kv_core::WriteBatch;
use raw_json::{PyString, RawJson, Value};

use crate::add::Prepared;
use crate::{Deleted, KvDocumentStore, PreparedNodes, Result};

impl KvDocumentStore {
    /// Ends the replacement of documents, each once with its new hash, as one batch: their new nodes, which were added
    /// before, take the place of the old ones. The old ones go, the documents' metadata become those of the new ones,
    /// and their hashes are remembered, at the end of all if there were old ones. A node stored under a document's own
    /// id is the old document, and goes too, unless it is a new node or to be kept. Of several groups of new nodes the
    /// first tells the documents' metadata.
    ///
    /// Old nodes may come from other documents, and any of them may be absent.
    ///
    /// # Errors
    /// As [`delete_documents`](Self::delete_documents); nothing has changed then.
    pub async fn replace_ref_docs(
        &self,
        documents: &[(PyString, String)],
        new: &[&PreparedNodes],
        old: &[PyString],
        keep: &HashSet<PyString>,
    ) -> Result<Deleted> {
        self.retry(|| self.try_replace(documents, new, old, keep)).await
    }

    async fn try_replace(
        &self,
        documents: &[(PyString, String)],
        new: &[&PreparedNodes],
        old: &[PyString],
        keep: &HashSet<PyString>,
    ) -> Result<Deleted> {
        let mut batch = WriteBatch::new();
        let mut deleted = Deleted::default();
        let gone: HashSet<&PyString> = old.iter().collect();
        let replaced: HashSet<&PyString> = documents.iter().map(|(id, _)| id).collect();
        let mut sources: IndexSet<PyString> = documents.iter().map(|(id, _)| id.clone()).collect();
        let stored = self.kv.get_many(&self.nodes, old).await?;
        let records = self.kv.get_many(&self.metadata, old).await?;
        for ((id, data), record) in old.iter().zip(stored).zip(records) {
            deleted.nodes += usize::from(data.is_some() || record.is_some());
            sources.extend(self.read_record(id, record.as_ref())?.ref_doc_id());
            batch.require(&self.metadata, id, record);
        }
        let sources: Vec<PyString> = sources.into_iter().collect();
        let infos = self.kv.get_many(&self.ref_doc_info, &sources).await?;
        let mut metadata = new.first().map(|nodes| nodes.documents_metadata()).unwrap_or_default();
        let mut new_infos = Vec::new();
        let mut had_nodes: HashSet<&PyString> = HashSet::new();
        for (source, raw) in sources.iter().zip(infos) {
            let Some(mut info) = raw.as_ref().map_or(Ok(None), |raw| self.read_info(source, raw))? else { continue };
            let before = info.node_ids.len();
            info.node_ids.retain(|id| !gone.contains(id));
            if info.node_ids.len() < before {
                had_nodes.insert(source);
            }
            batch.require(&self.ref_doc_info, source, raw);
            let is_replaced = replaced.contains(source);
            // As in LlamaIndex, which deletes it and adds it again, it moves to the end.
            if is_replaced || info.node_ids.is_empty() {
                batch.delete(&self.ref_doc_info, source);
            }
            if is_replaced {
                info.metadata = metadata.remove(source).unwrap_or_default();
            }
            if info.node_ids.is_empty() {
                deleted.ref_docs += usize::from(!is_replaced);
            } else {
                new_infos.push((source, info));
            }
        }
        for (source, info) in new_infos {
            batch.put(&self.ref_doc_info, source, info.to_value());
        }
        let added: HashSet<&PyString> = new.iter().flat_map(|nodes| nodes.ids()).collect();
        // One after the other, as LlamaIndex stores them: nodes, document, nodes, document.
        let mut moved: HashMap<&PyString, Vec<&Prepared>> = HashMap::new();
        if documents.len() > 1 {
            for node in new.iter().flat_map(|nodes| nodes.all()) {
                moved.entry(node.source.as_ref().unwrap_or(&node.id)).or_default().push(node);
            }
        }
        let in_turn = documents.iter().filter_map(|(id, _)| moved.get(id)).flatten();
        let moved_ids: Vec<PyString> = in_turn.map(|node| node.id.clone()).collect();
        let moved_records = self.kv.get_many(&self.metadata, &moved_ids).await?;
        let mut moved_records: HashMap<PyString, RawJson> =
            moved_ids.iter().cloned().zip(moved_records).filter_map(|(id, raw)| Some((id, raw?))).collect();
        let ids: Vec<PyString> = documents.iter().map(|(id, _)| id.clone()).collect();
        // A store in memory carries out at once what is deleted from a collection in a row.
        let old_documents = ids.iter().filter(|id| !keep.contains(*id) && !added.contains(id));
        old.iter().chain(old_documents).chain(&moved_ids).for_each(|id| batch.delete(&self.nodes, id));
        let last = ids.iter().filter(|id| had_nodes.contains(*id));
        old.iter().chain(last).chain(&moved_ids).for_each(|id| batch.delete(&self.metadata, id));
        let records = self.kv.get_many(&self.metadata, &ids).await?;
        for ((id, hash), raw) in documents.iter().zip(records) {
            let mut record = self.read_record(id, raw.as_ref())?.into_fields();
            record.insert("doc_hash".into(), Value::from(hash.as_str()));
            if gone.contains(id) {
                // It was a node, and is none any more.
                record.shift_remove(&b"ref_doc_id"[..]);
            }
            batch.require(&self.metadata, id, raw);
            for node in moved.get(id).into_iter().flatten() {
                if let Some(data) = &node.data {
                    batch.put(&self.nodes, &node.id, data.clone());
                }
                if let Some(record) = moved_records.remove(&node.id) {
                    batch.put(&self.metadata, &node.id, record);
                }
            }
            batch.put(&self.metadata, id, Value::Object(record));
        }
        self.kv.apply(batch).await?;
        Ok(deleted)
    }
}
