use std::collections::{HashMap, HashSet};

use indexmap::{IndexMap, IndexSet};
use kv_core::WriteBatch;
use raw_json::{PyString, RawJson};
use schema::{Metadata, Node};

use crate::{Error, KvDocumentStore, RefDocInfo, Result};

/// How nodes are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddOptions {
    /// Whether nodes may replace stored ones. Default true.
    pub allow_update: bool,
    /// Whether the nodes themselves are stored, and not only their hashes and documents. Default true.
    pub store_text: bool,
}

impl Default for AddOptions {
    fn default() -> Self {
        Self { allow_update: true, store_text: true }
    }
}

impl KvDocumentStore {
    /// Adds nodes or documents, replacing those with the same ids.
    ///
    /// # Errors
    /// As [`add_documents_with`](Self::add_documents_with).
    pub async fn add_documents(&self, nodes: &[Node]) -> Result<()> {
        self.add_documents_with(nodes, AddOptions::default()).await
    }

    /// Adds nodes or documents, as one batch: everything is prepared before anything is written.
    ///
    /// For each node its data, its hash and its document are stored, and each document's record lists the new nodes. A
    /// document's metadata are those of the nodes it was first added with, later ones over earlier ones. A node that
    /// comes from another document than before, or from none, is taken off the old one's list (LlamaIndex leaves it on
    /// both, and deleting the old document takes it away from the new one). The old document stays, with no node if
    /// need be.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] if updates are not allowed, [`Error::Node`] for a node that cannot be hashed or stored,
    /// [`Error::Contended`]; nothing has changed then.
    pub async fn add_documents_with(&self, nodes: &[Node], options: AddOptions) -> Result<()> {
        let mut prepared = Vec::with_capacity(nodes.len());
        for node in nodes {
            prepared.push(Prepared::new(node, options).map_err(|source| self.node_error(source))?);
        }
        let prepared = &prepared;
        self.retry(|| self.try_add(prepared, options)).await
    }

    async fn try_add(&self, prepared: &[Prepared<'_>], options: AddOptions) -> Result<()> {
        let ids: Vec<PyString> = prepared.iter().map(|p| p.node.id.clone()).collect();
        let mut batch = WriteBatch::new();
        if !options.allow_update {
            let stored = self.kv.get_many(&self.nodes, &ids).await?;
            if let Some((id, _)) = ids.iter().zip(stored).find(|(_, raw)| raw.is_some()) {
                return Err(Error::AlreadyExists { collection: self.nodes.clone(), id: id.clone() });
            }
            ids.iter().for_each(|id| batch.require_absent(&self.nodes, id));
        }
        let raw_records = self.kv.get_many(&self.metadata, &ids).await?;
        let mut records = Vec::with_capacity(ids.len());
        for (prepared, raw) in prepared.iter().zip(&raw_records) {
            let record = self.read_record(&prepared.node.id, raw.as_ref())?;
            let old_source = record.ref_doc_id().filter(|old| Some(old) != prepared.source);
            records.push((record, old_source));
        }
        let mut infos = self
            .read_infos(
                prepared.iter().filter_map(|p| p.source).chain(records.iter().filter_map(|(_, old)| old.as_ref())),
            )
            .await?;
        // A node that comes more than once, from several documents, is the last one's.
        let last_source: HashMap<&PyString, _> = prepared.iter().map(|p| (&p.node.id, p.source)).collect();
        for (prepared, (_, old_source)) in prepared.iter().zip(&records) {
            if last_source[&prepared.node.id] != prepared.source {
                continue;
            }
            if let Some(info) = old_source.as_ref().and_then(|old| infos.get_mut(old)) {
                info.remove(&prepared.node.id);
            }
            if let Some(info) = prepared.source.and_then(|source| infos.get_mut(source)) {
                info.add(prepared.node);
            }
        }
        for (id, info) in infos {
            batch.require(&self.ref_doc_info, &id, info.raw.clone());
            if let Some(info) = info.changed() {
                batch.put(&self.ref_doc_info, &id, info.to_value());
            }
        }
        for prepared in prepared {
            if let Some(data) = &prepared.data {
                batch.put(&self.nodes, &prepared.node.id, data.clone());
            }
        }
        for ((prepared, (mut record, old_source)), raw) in prepared.iter().zip(records).zip(raw_records) {
            if old_source.is_some() {
                batch.require(&self.metadata, &prepared.node.id, raw);
            }
            record.set(&prepared.hash, prepared.source);
            batch.put(&self.metadata, &prepared.node.id, record.to_raw());
        }
        Ok(self.kv.apply(batch).await.map(drop)?)
    }

    async fn read_infos<'a>(&self, ids: impl Iterator<Item = &'a PyString>) -> Result<IndexMap<PyString, Info>> {
        let mut ids: Vec<PyString> = ids.cloned().collect::<IndexSet<_>>().into_iter().collect();
        let raws = self.kv.get_many(&self.ref_doc_info, &ids).await?;
        ids.drain(..)
            .zip(raws)
            .map(|(id, raw)| {
                let stored = raw.as_ref().map_or(Ok(None), |raw| self.read_info(&id, raw))?.unwrap_or_default();
                let node_ids = stored.node_ids.iter().cloned().collect();
                Ok((id, Info { raw, node_ids, removed: HashSet::new(), metadata: stored.metadata.clone(), stored }))
            })
            .collect()
    }
}

/// A node with all that is written for it.
struct Prepared<'a> {
    node: &'a Node,
    data: Option<RawJson>,
    hash: String,
    /// The document it comes from; one with an empty id is none.
    source: Option<&'a PyString>,
}

impl<'a> Prepared<'a> {
    fn new(node: &'a Node, options: AddOptions) -> schema::Result<Self> {
        Ok(Self {
            node,
            data: options.store_text.then(|| node.to_raw()).transpose()?,
            hash: node.hash()?,
            source: node.ref_doc_id()?.filter(|id| !id.is_empty()),
        })
    }
}

/// A document's record as it was read, and what will be different in it.
struct Info {
    raw: Option<RawJson>,
    stored: RefDocInfo,
    node_ids: IndexSet<PyString>,
    removed: HashSet<PyString>,
    metadata: Metadata,
}

impl Info {
    fn add(&mut self, node: &Node) {
        self.node_ids.insert(node.id.clone());
        self.removed.remove(&node.id);
        if self.stored.metadata.is_empty() {
            self.metadata.extend(node.metadata.clone());
        }
    }

    fn remove(&mut self, id: &PyString) {
        self.removed.insert(id.clone());
    }

    /// The new record, if it differs from the stored one.
    fn changed(self) -> Option<RefDocInfo> {
        let now = RefDocInfo {
            node_ids: self.node_ids.into_iter().filter(|id| !self.removed.contains(id)).collect(),
            metadata: self.metadata,
            extra: self.stored.extra.clone(),
        };
        (now != self.stored).then_some(now)
    }
}
