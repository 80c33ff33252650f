use std::sync::Arc;

use kv_core::{KvStore, KvStoreExt, SimpleKvStore, WriteBatch};
use raw_json::{PyString, RawJson};

use crate::decoded::Decoded;
use crate::{EmbeddingIdentity, Error, IndexStruct, Result};

/// How often a change is tried again when other writers interfere.
const TRIES_MAX: usize = 64;

/// An index store over any key-value store. A clone is another handle on the same data.
#[derive(Debug, Clone)]
pub struct KvIndexStore {
    kv: Arc<dyn KvStore>,
    namespace: String,
    collection: String,
    decoded: Decoded,
}

impl KvIndexStore {
    /// LlamaIndex's default namespace.
    pub const NAMESPACE: &'static str = "index_store";

    /// Lies over `kv`, in LlamaIndex's default namespace.
    pub fn new(kv: impl KvStore) -> Self {
        Self::from(Arc::new(kv) as Arc<dyn KvStore>)
    }

    /// An empty store in memory.
    pub fn in_memory() -> Self {
        Self::new(SimpleKvStore::new())
    }

    /// Uses the collection of another namespace. Python opens a directory in the default one only.
    #[must_use]
    pub fn with_namespace(self, namespace: &str) -> Self {
        let collection = format!("{namespace}{}", self.kv.layout().index_structs);
        Self { namespace: namespace.to_owned(), collection, decoded: Decoded::default(), ..self }
    }

    /// The key-value store beneath.
    pub fn kv(&self) -> &Arc<dyn KvStore> {
        &self.kv
    }

    /// The name of the collection of structs.
    pub fn collection(&self) -> &str {
        &self.collection
    }

    /// The name of the collection that says what the indexes were embedded with.
    pub fn embedding_collection(&self) -> String {
        format!("{}/embedding", self.namespace)
    }

    /// Stores the struct of a new index, with what it was embedded with, as one batch.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], and if the store beneath fails; nothing has changed then.
    pub async fn create_index_struct(
        &self,
        index_struct: &IndexStruct,
        embedding: Option<&EmbeddingIdentity>,
    ) -> Result<()> {
        let id = &index_struct.index_id;
        let mut batch = WriteBatch::new();
        batch.require_absent(&self.collection, id);
        batch.put(&self.collection, id, index_struct.to_raw());
        if let Some(embedding) = embedding {
            batch.put(self.embedding_collection(), id, embedding.to_raw());
        }
        match self.kv.apply(batch).await {
            Err(e) if e.is_precondition_failed() => {
                Err(Error::AlreadyExists { collection: self.collection.clone(), id: id.clone() })
            }
            done => Ok(done.map(drop)?),
        }
    }

    /// Stores a struct under its id, replacing what is there.
    ///
    /// # Errors
    /// If the store beneath fails.
    pub async fn add_index_struct(&self, index_struct: &IndexStruct) -> Result<()> {
        if let Some(stored) = self.get_index_struct(&index_struct.index_id).await?
            && stored == *index_struct
        {
            // The same in another spelling: the stored text stays.
            return Ok(());
        }
        Ok(self.kv.put(&self.collection, &index_struct.index_id, index_struct.to_raw()).await?)
    }

    /// Changes a struct as it is now: reads it, calls `change`, and writes what became of it, unless another writer was
    /// there in between; then it begins anew. Nothing is lost to another handle or process. Returns the new struct with
    /// what `change` returned.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Contended`], and if the store beneath fails; nothing has changed then.
    pub async fn update_index_struct<T>(
        &self,
        index_id: impl Into<PyString>,
        mut change: impl FnMut(&mut IndexStruct) -> T,
    ) -> Result<(IndexStruct, T)> {
        let id = index_id.into();
        for _ in 0..TRIES_MAX {
            let Some(raw) = self.kv.get(&self.collection, &id).await? else { return Err(self.not_found(id).await?) };
            let old = self.decoded.read(&raw, &id);
            let mut new = old.clone();
            let told = change(&mut new);
            if new == old {
                return Ok((new, told));
            }
            let mut batch = WriteBatch::new();
            batch.require(&self.collection, &id, Some(raw));
            let raw = new.to_raw();
            batch.put(&self.collection, &id, raw.clone());
            match self.kv.apply(batch).await {
                Err(e) if e.is_precondition_failed() => {}
                Err(e) => return Err(e.into()),
                Ok(_) => {
                    self.decoded.written(raw, id, &new);
                    return Ok((new, told));
                }
            }
        }
        Err(Error::Contended { collection: self.collection.clone(), id, tries: TRIES_MAX })
    }

    /// Deletes a struct, and what it says of embeddings; `false` if there is none. The index's nodes stay where they
    /// are.
    ///
    /// # Errors
    /// If the store beneath fails.
    pub async fn delete_index_struct(&self, index_id: impl Into<PyString>) -> Result<bool> {
        let id = index_id.into();
        let is_there = self.kv.contains(&self.collection, &id).await?;
        let mut batch = WriteBatch::new();
        batch.delete(&self.collection, &id);
        batch.delete(self.embedding_collection(), &id);
        self.kv.apply(batch).await?;
        self.decoded.forget(&id);
        Ok(is_there)
    }

    /// A struct, or `None`.
    ///
    /// # Errors
    /// If the store beneath fails. A struct that cannot be read is no error; see
    /// [`IndexStructData::Other`](crate::IndexStructData::Other).
    pub async fn get_index_struct(&self, index_id: impl Into<PyString>) -> Result<Option<IndexStruct>> {
        let id = index_id.into();
        Ok(self.kv.get(&self.collection, &id).await?.map(|raw| self.decoded.read(&raw, &id)))
    }

    /// A struct that must be there.
    ///
    /// # Errors
    /// [`Error::NotFound`], which lists the ids there are.
    pub async fn require_index_struct(&self, index_id: impl Into<PyString>) -> Result<IndexStruct> {
        let id = index_id.into();
        match self.get_index_struct(&id).await? {
            Some(found) => Ok(found),
            None => Err(self.not_found(id).await?),
        }
    }

    /// All structs, in the order of the store.
    ///
    /// # Errors
    /// If the store beneath fails.
    pub async fn index_structs(&self) -> Result<Vec<IndexStruct>> {
        let all = self.kv.get_all(&self.collection).await?;
        Ok(all.iter().map(|(id, raw)| self.decoded.read(raw, id)).collect())
    }

    /// Gives an index another id, as one batch. It moves to the end of the order. Renaming to the same id does nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::AlreadyExists`]; nothing has changed then.
    pub async fn rename_index_struct(&self, from: impl Into<PyString>, to: impl Into<PyString>) -> Result<()> {
        let (from, to) = (from.into(), to.into());
        let Some(raw) = self.kv.get(&self.collection, &from).await? else { return Err(self.not_found(from).await?) };
        if from == to {
            return Ok(());
        }
        let mut renamed = self.decoded.read(&raw, &from);
        renamed.index_id = to.clone();
        let mut batch = WriteBatch::new();
        batch.require(&self.collection, &from, Some(raw));
        batch.require_absent(&self.collection, &to);
        batch.delete(&self.collection, &from);
        batch.put(&self.collection, &to, renamed.to_raw());
        let embedding = self.embedding_collection();
        if let Some(raw) = self.kv.get(&embedding, &from).await? {
            batch.delete(&embedding, &from);
            batch.put(embedding, &to, raw);
        }
        match self.kv.apply(batch).await {
            Err(e) if e.is_precondition_failed() && self.kv.contains(&self.collection, &to).await? => {
                Err(Error::AlreadyExists { collection: self.collection.clone(), id: to })
            }
            Err(e) => Err(e.into()),
            Ok(_) => {
                self.decoded.forget(&from);
                Ok(())
            }
        }
    }

    /// Rewrites the structs that are not in the form of LlamaIndex 0.14, so that today's Python reads them, and returns
    /// how many. Structs of unknown kinds and damaged ones stay.
    ///
    /// # Errors
    /// If the store beneath fails, or another writer changes a struct at the same moment.
    pub async fn upgrade(&self) -> Result<usize> {
        let mut batch = WriteBatch::new();
        for (id, raw) in self.kv.get_all(&self.collection).await? {
            let today = IndexStruct::from_raw(&raw, &id).to_raw();
            // Texts within texts: the same fields in another spelling are the same struct.
            let same = IndexStruct::from_raw(&today, &id) == IndexStruct::from_raw(&raw, &id)
                && raw.value().get("__data__").is_some_and(|data| data.as_str().is_some())
                && raw.value().get("__type__") == today.value().get("__type__");
            if today != raw && !same {
                batch.put(&self.collection, &id, today);
                batch.require(&self.collection, id, Some(raw));
            }
        }
        let upgraded = batch.ops().len();
        self.kv.apply(batch).await?;
        Ok(upgraded)
    }

    /// The structs that keep today's LlamaIndex from listing indexes, each with the reason: it fails if it cannot read one.
    ///
    /// # Errors
    /// If the store beneath fails.
    pub async fn python_problems(&self) -> Result<Vec<(PyString, String)>> {
        let all = self.kv.get_all(&self.collection).await?;
        let problem =
            |(id, raw): (&PyString, &RawJson)| IndexStruct::python_problem(raw, id).map(|why| (id.clone(), why));
        Ok(all.iter().filter_map(problem).collect())
    }

    async fn not_found(&self, id: PyString) -> Result<Error> {
        let known = self.kv.get_all(&self.collection).await?.into_keys().collect();
        Ok(Error::NotFound { collection: self.collection.clone(), id, known })
    }
}

impl From<Arc<dyn KvStore>> for KvIndexStore {
    fn from(kv: Arc<dyn KvStore>) -> Self {
        Self { kv, namespace: String::new(), collection: String::new(), decoded: Decoded::default() }
            .with_namespace(Self::NAMESPACE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IndexStructData;
    use raw_json::Text;

    fn load(text: &str) -> KvIndexStore {
        KvIndexStore::new(SimpleKvStore::from_text(&Text::from(text)).unwrap())
    }

    fn dump(store: &KvIndexStore) -> String {
        let mut out = Vec::new();
        store.kv().to_file().unwrap().content.write_to(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_struct_is_stored_as_python_stores_it() {
        pollster::block_on(async {
            let store = KvIndexStore::in_memory();
            let nodes = vec!["a".into(), "a".into()];
            store.add_index_struct(&IndexStruct::new("L", IndexStructData::List { nodes })).await.unwrap();
            let expected = r#"{"index_store/data": {"L": {"__type__": "list", "__data__": "{\"index_id\": \"L\", \"summary\": null, \"nodes\": [\"a\", \"a\"]}"}}}"#;
            assert_eq!(dump(&store), expected);
        });
    }

    #[test]
    fn storing_what_is_there_changes_no_byte() {
        pollster::block_on(async {
            let text = r#"{"index_store/data": {"L":{"__data__": "{\"nodes\":[\"a\"],\"index_id\":\"L\",\"zzz\":1}","__type__":"list"}}}"#;
            let store = load(text);
            let read = store.require_index_struct("L").await.unwrap();
            store.add_index_struct(&read).await.unwrap();
            assert_eq!(dump(&store), text);
            assert_eq!(store.upgrade().await.unwrap(), 0);
        });
    }

    #[test]
    fn an_update_changes_what_is_there_now() {
        pollster::block_on(async {
            let store = KvIndexStore::in_memory();
            let empty = IndexStruct::new("L", IndexStructData::List { nodes: vec![] });
            store.add_index_struct(&empty).await.unwrap();
            let other = store.clone();
            let mut tries = 0;
            let push = |id: &'static str| {
                move |found: &mut IndexStruct| match &mut found.data {
                    IndexStructData::List { nodes } => nodes.push(id.into()),
                    other => panic!("{other:?}"),
                }
            };
            // Another writer comes between reading and writing, once.
            let (now, ()) = store
                .update_index_struct("L", |found| {
                    tries += 1;
                    if tries == 1 {
                        pollster::block_on(other.update_index_struct("L", push("b"))).unwrap();
                    }
                    push("a")(found);
                })
                .await
                .unwrap();
            assert_eq!(now.data, IndexStructData::List { nodes: vec!["b".into(), "a".into()] });
            assert_eq!((store.require_index_struct("L").await.unwrap(), tries), (now, 2));
            assert!(store.update_index_struct("M", push("a")).await.unwrap_err().is_not_found());
        });
    }

    #[test]
    fn renaming_moves_to_the_end_and_never_onto_another() {
        pollster::block_on(async {
            let store = KvIndexStore::in_memory();
            for id in ["a", "b", "c"] {
                store.add_index_struct(&IndexStruct::new(id, IndexStructData::Empty)).await.unwrap();
            }
            store.rename_index_struct("a", "z").await.unwrap();
            let ids: Vec<_> =
                store.index_structs().await.unwrap().into_iter().map(|s| s.index_id.to_string()).collect();
            assert_eq!(ids, ["b", "c", "z"]);
            assert!(matches!(store.rename_index_struct("b", "c").await, Err(Error::AlreadyExists { .. })));
            let missing = store.rename_index_struct("a", "y").await.unwrap_err();
            assert_eq!(
                missing.to_string(),
                "index 'a' not found in collection 'index_store/data'; there are: 'b', 'c', 'z'"
            );
        });
    }

    #[test]
    fn upgrading_rewrites_old_structs_and_leaves_unknown_ones() {
        pollster::block_on(async {
            let store = load(
                r#"{"index_store/data": {"o": {"__type__": "list", "__data__": {"nodes": ["a"]}}, "q": {"__type__": "qdrant", "__data__": "{}"}, "x": {"__type__": "composite", "__data__": "{}"}}}"#,
            );
            assert_eq!(store.python_problems().await.unwrap().len(), 2);
            assert_eq!(store.upgrade().await.unwrap(), 2);
            assert_eq!(store.upgrade().await.unwrap(), 0);
            let kinds: Vec<_> =
                store.index_structs().await.unwrap().iter().map(|s| s.type_name().to_string()).collect();
            assert_eq!(kinds, ["list", "vector_store", "composite"]);
        });
    }
}
