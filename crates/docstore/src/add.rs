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
    /// Whether a document gets the metadata of the first of its nodes that has some, as if each node were added by
    /// itself, which is what vector store indexes do. Default false: it gets the metadata of all of them.
    pub first_metadata: bool,
}

/// Nodes with all that is written for them: nothing about them can fail any more.
#[derive(Debug, Clone)]
pub struct PreparedNodes {
    nodes: Vec<Prepared>,
    options: AddOptions,
}

impl Default for AddOptions {
    fn default() -> Self {
        Self { allow_update: true, store_text: true, first_metadata: false }
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
        self.add_prepared(&self.prepare(nodes, options)?).await
    }

    /// Does the part of adding that looks at the nodes alone, so that other stores may be changed before this one.
    ///
    /// # Errors
    /// [`Error::Node`] for a node that cannot be hashed or stored.
    pub fn prepare(&self, nodes: &[Node], options: AddOptions) -> Result<PreparedNodes> {
        let prepared = nodes.iter().map(|node| Prepared::new(node, options)).collect::<Result<_, _>>();
        Ok(PreparedNodes { nodes: prepared.map_err(|source| self.node_error(source))?, options })
    }

    /// Adds nodes that were prepared, as [`add_documents_with`](Self::add_documents_with) does.
    ///
    /// # Errors
    /// As [`add_documents_with`](Self::add_documents_with), but for [`Error::Node`].
    pub async fn add_prepared(&self, nodes: &PreparedNodes) -> Result<()> {
        self.retry(|| self.try_add(&nodes.nodes, nodes.options)).await
    }

    async fn try_add(&self, prepared: &[Prepared], options: AddOptions) -> Result<()> {
        let ids: Vec<PyString> = prepared.iter().map(|p| p.id.clone()).collect();
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
            let record = self.read_record(&prepared.id, raw.as_ref())?;
            let old_source = record.ref_doc_id().filter(|old| Some(old) != prepared.source.as_ref());
            records.push((record, old_source));
        }
        let mut infos = self
            .read_infos(
                prepared
                    .iter()
                    .filter_map(|p| p.source.as_ref())
                    .chain(records.iter().filter_map(|(_, old)| old.as_ref())),
            )
            .await?;
        // A node that comes more than once, from several documents, is the last one's.
        let last_source: HashMap<&PyString, _> = prepared.iter().map(|p| (&p.id, p.source.as_ref())).collect();
        for (prepared, (_, old_source)) in prepared.iter().zip(&records) {
            if last_source[&prepared.id] != prepared.source.as_ref() {
                continue;
            }
            if let Some(info) = old_source.as_ref().and_then(|old| infos.get_mut(old)) {
                info.remove(&prepared.id);
            }
            if let Some(info) = prepared.source.as_ref().and_then(|source| infos.get_mut(source)) {
                info.add(prepared, options);
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
                batch.put(&self.nodes, &prepared.id, data.clone());
            }
        }
        for ((prepared, (mut record, old_source)), raw) in prepared.iter().zip(records).zip(raw_records) {
            if old_source.is_some() {
                batch.require(&self.metadata, &prepared.id, raw);
            }
            record.set(&prepared.hash, prepared.source.as_ref());
            batch.put(&self.metadata, &prepared.id, record.to_raw());
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
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) id: PyString,
    metadata: Metadata,
    pub(crate) data: Option<RawJson>,
    hash: String,
    /// The document it comes from; one with an empty id is none.
    pub(crate) source: Option<PyString>,
}

impl Prepared {
    fn new(node: &Node, options: AddOptions) -> schema::Result<Self> {
        Ok(Self {
            id: node.id.clone(),
            metadata: node.metadata.clone(),
            data: options.store_text.then(|| node.to_raw()).transpose()?,
            hash: node.hash()?,
            source: node.ref_doc_id()?.filter(|id| !id.is_empty()).cloned(),
        })
    }
}

impl PreparedNodes {
    pub(crate) fn all(&self) -> &[Prepared] {
        &self.nodes
    }

    /// The ids of the nodes.
    pub fn ids(&self) -> impl Iterator<Item = &PyString> {
        self.nodes.iter().map(|node| &node.id)
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The metadata that documents get from their nodes.
    pub(crate) fn documents_metadata(&self) -> HashMap<&PyString, Metadata> {
        let mut documents: HashMap<&PyString, Metadata> = HashMap::new();
        for node in &self.nodes {
            if let Some(source) = &node.source {
                gather(documents.entry(source).or_default(), &node.metadata, self.options);
            }
        }
        documents
    }
}

/// Adds a node's metadata to those that its document has from the nodes before it.
fn gather(metadata: &mut Metadata, of_node: &Metadata, options: AddOptions) {
    if !options.first_metadata || metadata.is_empty() {
        metadata.extend(of_node.clone());
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
    fn add(&mut self, node: &Prepared, options: AddOptions) {
        self.node_ids.insert(node.id.clone());
        self.removed.remove(&node.id);
        if self.stored.metadata.is_empty() {
            gather(&mut self.metadata, &node.metadata, options);
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
