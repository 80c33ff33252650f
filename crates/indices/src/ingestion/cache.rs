use std::sync::Arc;

use kv_core::{KvStore, KvStoreExt, SimpleKvStore};
use raw_json::{PyString, Text, Value};
use schema::Node;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// What transformations have made of nodes: LlamaIndex's `IngestionCache`, in its file format.
///
/// LlamaIndex keys its entries by how Python spells a component's settings, which nothing else can tell. Its entries are
/// read, listed and kept; ours have keys of their own beside them.
#[derive(Debug, Clone)]
pub struct IngestionCache {
    kv: Arc<dyn KvStore>,
    collection: String,
}

impl Default for IngestionCache {
    fn default() -> Self {
        Self::new(SimpleKvStore::new())
    }
}

impl IngestionCache {
    /// LlamaIndex's name of the collection, and of the file.
    pub const COLLECTION: &'static str = "llama_cache";

    /// Keeps entries in a key-value store.
    pub fn new(kv: impl KvStore) -> Self {
        Self { kv: Arc::new(kv), collection: Self::COLLECTION.to_owned() }
    }

    /// Reads the file that LlamaIndex or this has written.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn from_text(text: &Text) -> Result<Self> {
        Ok(Self::new(SimpleKvStore::from_text(text)?))
    }

    /// Uses another collection of the store.
    #[must_use]
    pub fn with_collection(self, collection: impl Into<String>) -> Self {
        Self { collection: collection.into(), ..self }
    }

    /// The key-value store beneath.
    pub fn kv(&self) -> &Arc<dyn KvStore> {
        &self.kv
    }

    /// What is kept under a key, or `None`.
    ///
    /// # Errors
    /// If the store fails, or if an entry cannot be read.
    pub async fn get(&self, key: impl Into<PyString>) -> Result<Option<Vec<Node>>> {
        let key = key.into();
        let Some(entry) = self.kv.get(&self.collection, &key).await? else { return Ok(None) };
        let damaged = |problem: String| Error::DamagedCache { key: key.clone(), problem };
        let entry = entry.value();
        let nodes = entry.get("nodes").and_then(Value::as_array);
        let nodes = nodes.ok_or_else(|| damaged("it has no list of nodes".to_owned()))?;
        let read = |node| Node::from_value(node, &PyString::default()).map_err(|e| damaged(e.to_string()));
        nodes.iter().map(read).collect::<Result<_>>().map(Some)
    }

    /// Keeps nodes under a key.
    ///
    /// # Errors
    /// If the store fails, or if a node cannot be stored.
    pub async fn put(&self, key: impl Into<PyString>, nodes: &[Node]) -> Result<()> {
        let nodes = nodes.iter().map(|node| Ok(node.to_raw()?.value())).collect::<Result<Vec<Value>>>()?;
        let entry: Value = [("nodes", Value::Array(nodes))].into_iter().collect();
        Ok(self.kv.put(&self.collection, key, entry).await?)
    }

    /// The keys of all entries, in the order they were kept.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn keys(&self) -> Result<Vec<PyString>> {
        Ok(self.kv.get_all(&self.collection).await?.into_keys().collect())
    }

    /// Drops all entries.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn clear(&self) -> Result<()> {
        let keys = self.keys().await?;
        let mut batch = kv_core::WriteBatch::new();
        keys.iter().for_each(|key| batch.delete(&self.collection, key));
        Ok(self.kv.apply(batch).await.map(drop)?)
    }
}

/// The key of what a transformation with these settings makes of nodes.
pub(super) fn key(settings: &str, nodes: &[Node]) -> Result<String> {
    let mut digest = Sha256::new();
    digest.update(settings.as_bytes());
    for node in nodes {
        // All that a transformation may look at.
        let raw = node.to_raw()?;
        digest.update((raw.bytes().len() as u64).to_be_bytes());
        digest.update(raw.bytes());
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
