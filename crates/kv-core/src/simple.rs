use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::stream;
use indexmap::IndexMap;
use persist::{Revision, StoreFile};
use raw_json::{
    Dialect, Error as JsonError, JsonWriter, Kind, MAX_DEPTH, Object, PyString, RawJson, Scanner, Text, Value,
};

use crate::{Applied, Atomicity, Error, KvStore, Op, Page, Persistence, Result, WriteBatch};

/// LlamaIndex's in-memory key-value store, the content of `docstore.json` and `index_store.json`.
///
/// A clone is another handle on the same data. Reading takes a snapshot: it waits at most for the batch that is being
/// applied at that moment, which is seen as a whole or not at all. Keys keep the order of insertion, and a replaced key
/// its place.
#[derive(Debug, Clone, Default)]
pub struct SimpleKvStore {
    state: Arc<RwLock<Arc<State>>>,
}

#[derive(Debug, Clone, Default)]
struct State {
    collections: IndexMap<PyString, Collection>,
    /// The file it was loaded from, while nothing has changed.
    original: Option<Bytes>,
    revision: Revision,
}

/// How deep a value may be, so that a file with it in a collection stays readable.
const DEPTH_MAX: usize = MAX_DEPTH - 2;

#[derive(Debug, Clone)]
enum Collection {
    Entries(IndexMap<PyString, RawJson>),
    /// Something else that stood at the top level of the file. It is kept as it is.
    Foreign(RawJson),
}

impl SimpleKvStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a dumped store: an object of collections, each an object of values. Values are not looked into. One pass
    /// over the text.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the text is not JSON or not an object.
    pub fn from_text(text: &Text) -> Result<Self> {
        let mut collections = IndexMap::new();
        let mut scanner = Scanner::new(text);
        scanner.object(|name, scanner| {
            let collection = if scanner.kind()? == Kind::Object {
                let mut entries = IndexMap::new();
                scanner.object(|key, scanner| {
                    entries.insert(key, scanner.raw()?);
                    Ok::<_, JsonError>(())
                })?;
                Collection::Entries(entries)
            } else {
                Collection::Foreign(scanner.raw()?)
            };
            collections.insert(name, collection);
            Ok::<_, JsonError>(())
        })?;
        scanner.finish()?;
        let state = State { collections, original: Some(text.bytes().clone()), revision: Revision::next() };
        Ok(Self { state: Arc::new(RwLock::new(Arc::new(state))) })
    }

    /// The names of all collections, in order.
    pub fn collections(&self) -> Vec<PyString> {
        self.snapshot().collections.keys().cloned().collect()
    }

    /// The whole content, LlamaIndex's `to_dict`.
    pub fn to_dict(&self) -> Value {
        let state = self.snapshot();
        let collections = state.collections.iter().map(|(name, collection)| {
            let value = match collection {
                Collection::Entries(entries) => {
                    Value::Object(entries.iter().map(|(key, raw)| (key.clone(), raw.value())).collect())
                }
                Collection::Foreign(raw) => raw.value(),
            };
            (name.clone(), value)
        });
        Value::Object(collections.collect())
    }

    /// A store with this content, LlamaIndex's `from_dict`.
    pub fn from_dict(dict: &Object) -> Self {
        let collections = dict.iter().map(|(name, value)| {
            let collection = match value {
                Value::Object(entries) => {
                    Collection::Entries(entries.iter().map(|(key, value)| (key.clone(), value.into())).collect())
                }
                other => Collection::Foreign(other.into()),
            };
            (name.clone(), collection)
        });
        let state = State { collections: collections.collect(), original: None, revision: Revision::next() };
        Self { state: Arc::new(RwLock::new(Arc::new(state))) }
    }

    /// The state as a file: the one that was loaded, byte for byte, while nothing has changed.
    pub fn store_file(&self) -> StoreFile {
        let state = self.snapshot();
        StoreFile::new(state.original.clone(), state.revision, move |out| {
            let mut json = JsonWriter::new(out, Dialect::Ascii);
            state.write(&mut json)?;
            json.finish().map(drop)
        })
    }

    fn snapshot(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn get(&self, collection: &str, key: &PyString) -> Option<&RawJson> {
        self.entries(collection).ok()??.get(key)
    }

    fn entries(&self, collection: &str) -> Result<Option<&IndexMap<PyString, RawJson>>> {
        match self.collections.get(collection.as_bytes()) {
            None => Ok(None),
            Some(Collection::Entries(entries)) => Ok(Some(entries)),
            Some(Collection::Foreign(raw)) => {
                Err(Error::NotACollection { collection: collection.to_owned(), found: raw.kind().name() })
            }
        }
    }

    fn entries_mut(&mut self, collection: &str) -> &mut IndexMap<PyString, RawJson> {
        let empty = || Collection::Entries(IndexMap::new());
        match self.collections.entry(PyString::from(collection)).or_insert_with(empty) {
            Collection::Entries(entries) => entries,
            Collection::Foreign(_) => unreachable!("the batch was checked"),
        }
    }

    /// Whether everything in the batch can be done, and read again.
    fn check(&self, batch: &WriteBatch) -> Result<()> {
        for op in batch.ops() {
            let (Op::Put { collection, .. } | Op::Delete { collection, .. }) = op;
            self.entries(collection)?;
            if let Op::Put { key, value, .. } = op
                && value.depth() > DEPTH_MAX
            {
                let (collection, key, depth) = (collection.clone(), key.clone(), value.depth());
                return Err(Error::TooDeep { collection, key, depth, max: DEPTH_MAX });
            }
        }
        Ok(())
    }

    /// Whether the batch would change anything.
    fn differs(&self, batch: &WriteBatch) -> bool {
        batch.ops().iter().any(|op| match op {
            Op::Put { collection, key, value } => self.get(collection, key) != Some(value),
            Op::Delete { collection, key } => self.get(collection, key).is_some(),
        })
    }

    fn write(&self, json: &mut JsonWriter<&mut dyn std::io::Write>) -> std::io::Result<()> {
        json.begin_object()?;
        for (name, collection) in &self.collections {
            json.key(name)?;
            match collection {
                Collection::Foreign(raw) => json.raw(raw)?,
                Collection::Entries(entries) => {
                    json.begin_object()?;
                    for (key, raw) in entries {
                        json.key(key)?;
                        json.raw(raw)?;
                    }
                    json.end_object()?;
                }
            }
        }
        json.end_object()
    }
}

#[async_trait]
impl KvStore for SimpleKvStore {
    async fn get_many(&self, collection: &str, keys: &[PyString]) -> Result<Vec<Option<RawJson>>> {
        let state = self.snapshot();
        let entries = state.entries(collection)?;
        Ok(keys.iter().map(|key| entries.and_then(|entries| entries.get(key)).cloned()).collect())
    }

    fn scan<'a>(&'a self, collection: &'a str, page_size: usize) -> BoxStream<'a, Result<Page>> {
        let page_size = page_size.max(1);
        let state = self.snapshot();
        if let Err(e) = state.entries(collection) {
            return Box::pin(stream::iter([Err(e)]));
        }
        let pages = stream::unfold((state, 0), move |(state, start)| async move {
            let entries = state.entries(collection).ok()??;
            let page: Page = entries.iter().skip(start).take(page_size).map(|(k, v)| (k.clone(), v.clone())).collect();
            (!page.is_empty()).then(|| (Ok(page), (state, start + page_size)))
        });
        Box::pin(pages)
    }

    async fn apply(&self, batch: WriteBatch) -> Result<Applied> {
        let mut guard = self.state.write().unwrap_or_else(PoisonError::into_inner);
        guard.check(&batch)?;
        for condition in batch.preconditions() {
            let found = guard.get(&condition.collection, &condition.key);
            let holds = match (found, &condition.expected) {
                (None, None) => true,
                (Some(found), Some(expected)) => found == expected || found.value() == expected.value(),
                _ => false,
            };
            if !holds {
                let (collection, key) = (condition.collection.clone(), condition.key.clone());
                return Err(Error::PreconditionFailed { collection, key });
            }
        }
        let mut applied = Applied::default();
        if !guard.differs(&batch) {
            return Ok(applied);
        }
        let state = Arc::make_mut(&mut guard);
        state.original = None;
        state.revision = Revision::next();
        // Runs of deletes in one collection are done in one pass: taking keys out one by one would move all later ones
        // each time.
        let mut ops = batch.into_ops().into_iter().peekable();
        while let Some(op) = ops.next() {
            match op {
                Op::Put { collection, key, value } => {
                    state.entries_mut(&collection).insert(key, value);
                }
                Op::Delete { collection, key } => {
                    let mut keys = indexmap::IndexSet::from([key]);
                    while let Some(Op::Delete { key, .. }) =
                        ops.next_if(|op| matches!(op, Op::Delete { collection: c, .. } if *c == collection))
                    {
                        keys.insert(key);
                    }
                    if let Some(Collection::Entries(entries)) = state.collections.get_mut(collection.as_bytes()) {
                        let before = entries.len();
                        entries.retain(|key, _| !keys.contains(key));
                        applied.deleted += before - entries.len();
                    }
                }
            }
        }
        Ok(applied)
    }

    fn atomicity(&self) -> Atomicity {
        Atomicity::Batch
    }

    fn persistence(&self) -> Persistence {
        Persistence::InMemory
    }

    fn to_dict(&self) -> Option<Value> {
        Some(Self::to_dict(self))
    }

    fn to_file(&self) -> Option<StoreFile> {
        Some(self.store_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KvStoreExt;

    crate::kv_store_behavior!(pollster::block_on, async { SimpleKvStore::new() });

    fn load(text: &str) -> SimpleKvStore {
        SimpleKvStore::from_text(&Text::from(text)).unwrap()
    }

    fn dump(store: &SimpleKvStore) -> String {
        let mut out = Vec::new();
        store.store_file().content.write_to(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_unchanged_file_is_written_as_it_was_read() {
        let text = "{\n \"a\" : {\"k\": {\"x\": 1.50, \"x\": NaN}}, \"top\": [1E5]}\n";
        let store = load(text);
        assert_eq!(dump(&store), text);
        let same = pollster::block_on(store.get("a", "k")).unwrap().unwrap();
        pollster::block_on(store.put("a", "k", same)).unwrap();
        pollster::block_on(store.delete("a", "absent")).unwrap();
        assert_eq!(dump(&store), text);
    }

    #[test]
    fn a_changed_file_keeps_every_other_value_as_it_was_read() {
        let store = load("{\n \"a\" : {\"k\": {\"x\":1.50}, \"\\u00e9\": 2}, \"top\": [1E5]}\n");
        pollster::block_on(store.put("a", "new", Value::from(1.5))).unwrap();
        assert_eq!(dump(&store), r#"{"a": {"k": {"x":1.50}, "\u00e9": 2, "new": 1.5}, "top": [1E5]}"#);
    }

    #[test]
    fn duplicate_keys_keep_the_first_place_and_the_last_value() {
        let store = load(r#"{"a": {"k": 1, "l": 2, "k": 3}}"#);
        assert_eq!(store.to_dict().to_string(), r#"{"a": {"k": 3, "l": 2}}"#);
    }

    #[test]
    fn what_is_no_store_is_refused() {
        for text in ["", "[]", "{\"a\": {", "{} {}"] {
            assert!(matches!(SimpleKvStore::from_text(&Text::from(text)), Err(Error::Damaged { .. })), "{text}");
        }
    }

    #[test]
    fn what_is_no_collection_is_neither_read_nor_replaced() {
        let text = r#"{"a": [1, 2]}"#;
        let store = load(text);
        let errors = [
            pollster::block_on(store.get("a", "k")).unwrap_err(),
            pollster::block_on(store.get_all("a")).unwrap_err(),
            pollster::block_on(store.put("a", "k", Value::Null)).unwrap_err(),
            pollster::block_on(store.delete("a", "k")).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(
                error.to_string(),
                "'a' is no collection here but a list; nothing can be read from it or put into it"
            );
        }
        assert_eq!(dump(&store), text);
    }

    #[test]
    fn values_too_deep_to_be_read_again_are_refused() {
        let store = SimpleKvStore::new();
        let nested = |depth: usize| (0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        assert!(pollster::block_on(store.put("a", "k", nested(DEPTH_MAX))).is_ok());
        assert!(SimpleKvStore::from_text(&Text::from(dump(&store))).is_ok());
        assert!(matches!(pollster::block_on(store.put("a", "k", nested(DEPTH_MAX + 1))), Err(Error::TooDeep { .. })));
    }

    #[test]
    fn dicts_round_trip() {
        let store = load(r#"{"a": {"k": {"x": [1, 2.5, null]}}, "b": {}, "c": 7}"#);
        let dict = store.to_dict();
        let again = SimpleKvStore::from_dict(dict.as_object().unwrap());
        assert_eq!(again.to_dict(), dict);
        assert_eq!(dump(&again), r#"{"a": {"k": {"x": [1, 2.5, null]}}, "b": {}, "c": 7}"#);
    }
}
