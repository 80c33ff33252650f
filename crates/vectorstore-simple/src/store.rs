use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use persist::StoreFile;
use raw_json::{Object, PyString, RawJson, Text, Value};
use schema::Node;
use vectorstore::{Error, Result, VectorStore, VectorStoreQuery, VectorStoreQueryResult};

use crate::SimpleVectorStoreLoader;
use crate::state::{Addition, State};
use crate::vectors::{Stored, numbers};

/// LlamaIndex's in-memory vector store, the content of `default__vector_store.json`.
///
/// A clone is another handle on the same data. Reading takes a snapshot, so writers are never waited for; an addition
/// or deletion is seen as a whole or not at all. Nodes keep the order of insertion, and a replaced node its place.
///
/// A file is not kept once it is loaded. Its embeddings lie in a matrix, as singles if that loses nothing; what does
/// not fit there, such as rows of another length, is kept as it was written and fails only the queries that reach it.
#[derive(Clone, Default)]
pub struct SimpleVectorStore {
    state: Arc<RwLock<Arc<State>>>,
}

impl SimpleVectorStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a store's file, of any version. One pass over the text, and a second if an embedding does not fit the
    /// others.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the text is not JSON, not an object, or one of its three parts is not an object.
    pub fn from_text(text: &Text) -> Result<Self> {
        let state = Arc::new(State::load(text)?);
        Ok(Self { state: Arc::new(RwLock::new(state)) })
    }

    /// A store with this content, LlamaIndex's `from_dict`.
    ///
    /// # Errors
    /// As [`from_text`](Self::from_text).
    pub fn from_dict(dict: &Object) -> Result<Self> {
        let raw = RawJson::from(Value::Object(dict.clone()));
        Self::from_text(&raw.text())
    }

    /// The whole content, LlamaIndex's `to_dict`.
    pub fn to_dict(&self) -> Value {
        self.snapshot().to_dict()
    }

    /// The state as a file. The text that was loaded is not kept, so this always writes anew; equal numbers, in
    /// Python's spelling.
    pub fn store_file(&self) -> StoreFile {
        let state = self.snapshot();
        StoreFile::new(None, state.revision, move |out| state.write(out))
    }

    /// Recognises and loads files of this store.
    pub fn loader() -> SimpleVectorStoreLoader {
        SimpleVectorStoreLoader
    }

    /// How many numbers embeddings have; `None` in a store without any.
    pub fn dimension(&self) -> Option<usize> {
        self.snapshot().vectors.dim()
    }

    fn snapshot(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Calls `change` with what is now there. It changes all or nothing, and says which.
    fn write<T>(&self, change: impl FnOnce(&mut Arc<State>) -> T) -> T {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl VectorStore for SimpleVectorStore {
    async fn add(&self, nodes: &[Node]) -> Result<Vec<PyString>> {
        let additions = nodes.iter().map(Addition::of).collect::<Result<Vec<_>>>()?;
        self.write(|state| {
            state.check(&additions)?;
            if !additions.iter().all(|addition| state.has(addition)) {
                let state = Arc::make_mut(state);
                additions.into_iter().for_each(|addition| state.add(addition));
            }
            Ok(nodes.iter().map(|node| node.id.clone()).collect())
        })
    }

    async fn delete(&self, ref_doc_id: &PyString) -> Result<usize> {
        self.write(|state| {
            let ids = state.nodes_of(ref_doc_id);
            if !ids.is_empty() {
                Arc::make_mut(state).remove(&ids);
            }
            Ok(ids.len())
        })
    }

    async fn delete_nodes(&self, node_ids: &[PyString]) -> Result<usize> {
        self.write(|state| {
            let ids = state.known(node_ids);
            if !ids.is_empty() {
                Arc::make_mut(state).remove(&ids);
            }
            Ok(ids.len())
        })
    }

    async fn clear(&self) -> Result<()> {
        self.write(|state| {
            if !state.is_empty() {
                Arc::make_mut(state).clear();
            }
            Ok(())
        })
    }

    async fn get(&self, node_id: &PyString) -> Result<Option<Vec<f64>>> {
        match self.snapshot().vectors.get(node_id) {
            None => Ok(None),
            Some(Stored::Row(row)) => Ok(Some(row)),
            Some(Stored::Aside(raw)) => {
                let unreadable = || Error::Unreadable { id: node_id.clone() };
                numbers(raw).map(Some).ok_or_else(unreadable)
            }
        }
    }

    async fn query(&self, query: &VectorStoreQuery) -> Result<VectorStoreQueryResult> {
        self.snapshot().query(query)
    }

    async fn count(&self) -> Result<Option<usize>> {
        Ok(Some(self.snapshot().vectors.len()))
    }

    fn stores_text(&self) -> bool {
        false
    }

    fn to_file(&self) -> Option<StoreFile> {
        Some(self.store_file())
    }

    fn to_dict(&self) -> Option<Value> {
        Some(self.to_dict())
    }
}

/// How much is in it, not what.
impl fmt::Debug for SimpleVectorStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.snapshot();
        f.debug_struct("SimpleVectorStore")
            .field("nodes", &state.vectors.len())
            .field("dimension", &state.vectors.dim())
            .finish_non_exhaustive()
    }
}
