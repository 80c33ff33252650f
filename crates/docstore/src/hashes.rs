use futures_util::TryStreamExt;
use indexmap::IndexMap;
use kv_core::{KvStoreExt, WriteBatch};
use raw_json::{Object, PyString, RawJson, Value};

use crate::{Error, KvDocumentStore, Result};

/// The record of a node or document beside its data: its hash, and for a node the document it came from.
#[derive(Debug, Clone, Default)]
pub(crate) struct MetadataRecord(Object);

impl MetadataRecord {
    pub(crate) fn doc_hash(&self) -> Option<PyString> {
        self.0.get(&b"doc_hash"[..])?.as_str().cloned()
    }

    pub(crate) fn ref_doc_id(&self) -> Option<PyString> {
        self.0.get(&b"ref_doc_id"[..])?.as_str().filter(|id| !id.is_empty()).cloned()
    }

    /// Sets both known fields and keeps the rest.
    pub(crate) fn set(&mut self, hash: &str, ref_doc_id: Option<&PyString>) {
        self.0.insert("doc_hash".into(), hash.into());
        match ref_doc_id {
            Some(id) => drop(self.0.insert("ref_doc_id".into(), id.into())),
            None => drop(self.0.shift_remove(&b"ref_doc_id"[..])),
        }
    }

    pub(crate) fn into_fields(self) -> Object {
        self.0
    }

    pub(crate) fn to_raw(&self) -> RawJson {
        Value::Object(self.0.clone()).into()
    }
}

impl KvDocumentStore {
    /// Remembers a document's hash. The rest of its record stays (LlamaIndex drops it, and with it where a node came
    /// from).
    ///
    /// # Errors
    /// If the store beneath fails.
    pub async fn set_document_hash(&self, id: impl Into<PyString>, hash: &str) -> Result<()> {
        self.set_document_hashes([(id.into(), hash)]).await
    }

    /// Remembers several documents' hashes, as one batch.
    ///
    /// # Errors
    /// If the store beneath fails.
    pub async fn set_document_hashes<'a>(&self, hashes: impl IntoIterator<Item = (PyString, &'a str)>) -> Result<()> {
        let (ids, hashes): (Vec<PyString>, Vec<&str>) = hashes.into_iter().unzip();
        let (ids, hashes) = (&ids, &hashes);
        self.retry(|| async move {
            let mut batch = WriteBatch::new();
            let raws = self.kv.get_many(&self.metadata, ids).await?;
            for ((id, hash), raw) in ids.iter().zip(hashes).zip(raws) {
                let mut record = self.read_record(id, raw.as_ref())?;
                record.0.insert("doc_hash".into(), Value::from(*hash));
                batch.require(&self.metadata, id, raw);
                batch.put(&self.metadata, id, record.to_raw());
            }
            Ok(self.kv.apply(batch).await.map(drop)?)
        })
        .await
    }

    /// A document's or node's hash, or `None`.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the record cannot be read.
    pub async fn get_document_hash(&self, id: impl Into<PyString>) -> Result<Option<PyString>> {
        let id = id.into();
        let raw = self.kv.get(&self.metadata, &id).await?;
        Ok(self.read_record(&id, raw.as_ref())?.doc_hash())
    }

    /// The hashes of several documents and nodes, each at the place of its id; `None` where there is none. One round trip.
    ///
    /// # Errors
    /// [`Error::Damaged`] if a record cannot be read.
    pub async fn get_document_hashes(&self, ids: &[PyString]) -> Result<Vec<Option<PyString>>> {
        let raws = self.kv.get_many(&self.metadata, ids).await?;
        ids.iter().zip(raws).map(|(id, raw)| Ok(self.read_record(id, raw.as_ref())?.doc_hash())).collect()
    }

    /// The hashes of all documents and nodes, by id.
    ///
    /// LlamaIndex gives ids by hash here, so that of documents with equal hashes all but one are lost.
    ///
    /// # Errors
    /// [`Error::Damaged`] if a record cannot be read.
    pub async fn get_all_document_hashes(&self) -> Result<IndexMap<PyString, PyString>> {
        let pages: Vec<_> = self.kv.scan(&self.metadata, 1000).try_collect().await?;
        let mut hashes = IndexMap::new();
        for (id, raw) in pages.into_iter().flatten() {
            if let Some(hash) = self.read_record(&id, Some(&raw))?.doc_hash().filter(|hash| !hash.is_empty()) {
                hashes.insert(id, hash);
            }
        }
        Ok(hashes)
    }

    pub(crate) fn read_record(&self, id: &PyString, raw: Option<&RawJson>) -> Result<MetadataRecord> {
        match raw.map(RawJson::value) {
            None | Some(Value::Null) => Ok(MetadataRecord::default()),
            Some(Value::Object(fields)) => Ok(MetadataRecord(fields)),
            Some(_) => Err(Error::Damaged {
                collection: self.metadata.clone(),
                key: id.clone(),
                problem: "it is not an object",
            }),
        }
    }
}
