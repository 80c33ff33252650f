use std::collections::HashSet;

use indexmap::IndexMap;
use kv_core::{KvStoreExt, WriteBatch};
use raw_json::{PyString, Value};

use crate::{Deleted, KvDocumentStore, PreparedNodes, Result};

impl KvDocumentStore {
    /// Ends the replacement of a document, as one batch: its new nodes, which were added before, take the place of the
    /// old ones. The old ones go, the document's metadata become those of the new ones, and its hash is remembered, at the
    /// end of all if there were old ones. A node stored under the document's own id is the old document, and goes too,
    /// unless it is to be kept.
    ///
    /// Old nodes may come from other documents, and any of them may be absent.
    ///
    /// # Errors
    /// As [`delete_documents`](Self::delete_documents); nothing has changed then.
    pub async fn replace_ref_doc(
        &self,
        ref_doc_id: &PyString,
        new: &PreparedNodes,
        hash: &str,
        old: &[PyString],
        keep: &HashSet<PyString>,
    ) -> Result<Deleted> {
        self.retry(|| self.try_replace(ref_doc_id, new, hash, old, keep)).await
    }

    async fn try_replace(
        &self,
        ref_doc_id: &PyString,
        new: &PreparedNodes,
        hash: &str,
        old: &[PyString],
        keep: &HashSet<PyString>,
    ) -> Result<Deleted> {
        let mut batch = WriteBatch::new();
        let mut deleted = Deleted::default();
        let mut of_source: IndexMap<PyString, HashSet<&PyString>> = IndexMap::new();
        of_source.insert(ref_doc_id.clone(), old.iter().collect());
        let stored = self.kv.get_many(&self.nodes, old).await?;
        let records = self.kv.get_many(&self.metadata, old).await?;
        for ((id, data), record) in old.iter().zip(stored).zip(records) {
            deleted.nodes += usize::from(data.is_some() || record.is_some());
            if let Some(source) = self.read_record(id, record.as_ref())?.ref_doc_id() {
                of_source.entry(source).or_default().insert(id);
            }
            batch.require(&self.metadata, id, record);
            batch.delete(&self.nodes, id);
            batch.delete(&self.metadata, id);
        }
        let sources: Vec<PyString> = of_source.keys().cloned().collect();
        let infos = self.kv.get_many(&self.ref_doc_info, &sources).await?;
        for ((source, gone), raw) in of_source.iter().zip(infos) {
            let Some(mut info) = raw.as_ref().map_or(Ok(None), |raw| self.read_info(source, raw))? else { continue };
            info.node_ids.retain(|id| !gone.contains(id));
            batch.require(&self.ref_doc_info, source, raw);
            if source == ref_doc_id {
                // As in LlamaIndex, which deletes it and adds it again, it moves to the end.
                batch.delete(&self.ref_doc_info, source);
                info.metadata = new.document_metadata(source);
            }
            if info.node_ids.is_empty() {
                deleted.ref_docs += usize::from(source != ref_doc_id);
                batch.delete(&self.ref_doc_info, source);
            } else {
                batch.put(&self.ref_doc_info, source, info.to_value());
            }
        }
        if !keep.contains(ref_doc_id) {
            batch.delete(&self.nodes, ref_doc_id);
        }
        let record = self.kv.get(&self.metadata, ref_doc_id).await?;
        let mut fields = self.read_record(ref_doc_id, record.as_ref())?.into_fields();
        fields.insert("doc_hash".into(), Value::from(hash));
        batch.require(&self.metadata, ref_doc_id, record);
        if !old.is_empty() {
            batch.delete(&self.metadata, ref_doc_id);
        }
        batch.put(&self.metadata, ref_doc_id, Value::Object(fields));
        self.kv.apply(batch).await?;
        Ok(deleted)
    }
}
