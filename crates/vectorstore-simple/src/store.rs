use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};

use async_trait::async_trait;
use persist::{Revision, StoreFile};
use raw_json::{Object, PyString, RawJson, Text, Value};
use schema::Node;
use vectorstore::{Error, NodeSelection, Result, VectorStore, VectorStoreQuery, VectorStoreQueryResult};

use crate::state::{Addition, State};
use crate::vectors::{Stored, numbers};
use crate::{SimilarityMode, SimpleVectorStoreLoader};

/// LlamaIndex's in-memory vector store, the content of `default__vector_store.json`.
///
/// A clone is another handle on the same data. Readers see a whole state: an addition or deletion is there as a whole or
/// not at all. A query goes on with what it started with while nodes are added and deleted, and no reader waits for a
/// change that takes long: those are made on a copy. Nodes keep the order of insertion, and a replaced node its place.
///
/// A file is not kept once it is loaded. Its embeddings lie in a matrix, as singles if that loses nothing; what does
/// not fit there, such as rows of another length, is kept as it was written and fails only the queries that reach it.
///
/// How embeddings are compared is [kept with them](Self::set_similarity_mode). An embedding of zeros, or with numbers
/// that are not finite, never comes before others.
#[derive(Clone, Default)]
pub struct SimpleVectorStore {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: RwLock<Arc<State>>,
    /// Held by who changes the state, from looking at it on.
    writing: Mutex<()>,
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
        let state = RwLock::new(Arc::new(State::load(text)?));
        Ok(Self { shared: Arc::new(Shared { state, writing: Mutex::default() }) })
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

    /// How embeddings are compared.
    pub fn similarity_mode(&self) -> SimilarityMode {
        self.snapshot().similarity
    }

    /// Sets how embeddings are compared, from the next query on. It is persisted with the store, under a key that
    /// LlamaIndex does not know: it compares by cosine whatever stands there, and drops the key when it persists.
    pub fn set_similarity_mode(&self, mode: SimilarityMode) {
        let writing = self.write();
        if self.snapshot().similarity != mode {
            writing.change_a_little(|state| {
                state.similarity = mode;
                state.revision = Revision::next();
            });
        }
    }

    fn snapshot(&self) -> Arc<State> {
        Arc::clone(&self.shared.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self) -> Writing<'_> {
        let guard = self.shared.writing.lock().unwrap_or_else(PoisonError::into_inner);
        Writing { state: &self.shared.state, _guard: guard }
    }
}

/// The only one who changes the state.
struct Writing<'a> {
    state: &'a RwLock<Arc<State>>,
    _guard: MutexGuard<'a, ()>,
}

impl Writing<'_> {
    /// Makes a change that takes as long as copying, on a copy. Readers see the old state until it is done.
    fn change(self, change: impl FnOnce(&mut State)) {
        let mut copy = State::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner));
        change(&mut copy);
        let old = std::mem::replace(&mut *self.exclusive(), Arc::new(copy));
        drop(old);
    }

    /// Makes a small change where the state is, unless a reader is looking at it. New readers wait.
    fn change_a_little(self, change: impl FnOnce(&mut State)) {
        if let Some(state) = Arc::get_mut(&mut *self.exclusive()) {
            return change(state);
        }
        self.change(change);
    }

    /// Removes nodes, and tells how many.
    fn remove(self, ids: HashSet<PyString>) -> usize {
        if !ids.is_empty() {
            self.change(|state| state.remove(&ids));
        }
        ids.len()
    }

    fn exclusive(&self) -> RwLockWriteGuard<'_, Arc<State>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl VectorStore for SimpleVectorStore {
    async fn add(&self, nodes: &[Node]) -> Result<Vec<PyString>> {
        let additions = nodes.iter().map(Addition::of).collect::<Result<Vec<_>>>()?;
        let writing = self.write();
        let before = self.snapshot();
        before.check(&additions)?;
        if !additions.iter().all(|addition| before.has(addition)) {
            let small = before.takes_quickly(&additions);
            drop(before);
            let add = |state: &mut State| additions.into_iter().for_each(|addition| state.add(addition));
            if small { writing.change_a_little(add) } else { writing.change(add) }
        }
        Ok(nodes.iter().map(|node| node.id.clone()).collect())
    }

    async fn delete(&self, ref_doc_id: &PyString) -> Result<usize> {
        let writing = self.write();
        Ok(writing.remove(self.snapshot().nodes_of(ref_doc_id)))
    }

    async fn delete_nodes(&self, selection: &NodeSelection) -> Result<usize> {
        let writing = self.write();
        Ok(writing.remove(self.snapshot().doomed(selection)?))
    }

    async fn clear(&self) -> Result<()> {
        let writing = self.write();
        if !self.snapshot().is_empty() {
            writing.change(State::clear);
        }
        Ok(())
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

    fn python_problem(&self) -> Option<String> {
        let mode = self.similarity_mode();
        let problem = || format!("it compares by cosine, not by {mode}, and drops 'similarity_mode' when it persists");
        (mode != SimilarityMode::Cosine).then(problem)
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
