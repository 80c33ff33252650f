//! The one file that `index.save_to_disk` of LlamaIndex 0.5 and before wrote.

use std::sync::Arc;

use docstore::KvDocumentStore;
use indexmap::IndexMap;
use indexstore::{IndexStruct, KvIndexStore};
use kv_core::SimpleKvStore;
use raw_json::{Object, PyString, RawJson, Text, Value};
use schema::Node;
use vectorstore_simple::SimpleVectorStore;

use crate::{Error, Result, StorageContext};

/// Whether a file starts as such an index does.
pub(crate) fn is_single_file(bytes: &[u8]) -> bool {
    let head = bytes.get(..4096.min(bytes.len())).unwrap_or_default();
    let text: Vec<u8> = head.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    text.starts_with(br#"{"index_struct":"#) || text.starts_with(br#"{"docstore":{"__type__"#)
}

impl StorageContext {
    /// Converts an index that LlamaIndex 0.5 or before saved as a single file into a context in memory, in today's
    /// form.
    ///
    /// Nodes keep their hashes, embeddings and character ranges; the documents they came from are listed as later
    /// versions list them. The parts of a composed index become the indexes of one context.
    ///
    /// # Errors
    /// [`Error::Dict`] with what is wrong with the file, and where.
    pub fn from_single_file(text: &Text) -> Result<Self> {
        let file = RawJson::parse(text).map_err(|e| problem(e.to_string()))?.value();
        let docs = part(&file, &["docstore", "__data__", "docs"])?;
        let mut stores = DocumentCollections::default();
        for (id, value) in docs {
            stores.add(id, value)?;
        }
        if let Ok(hashes) = part(&file, &["docstore", "__data__", "ref_doc_info"]) {
            stores.add_hashes(hashes);
        }
        let mut structs = Object::new();
        let index_struct = file.get("index_struct").ok_or_else(|| problem("'index_struct' is missing"))?;
        let composed = part(index_struct, &["__data__", "all_index_structs"]);
        let single = [(PyString::from("index"), index_struct.clone())].into_iter().collect();
        for (key, value) in composed.unwrap_or(&single) {
            let id = value.get("__data__").and_then(|data| data.get("index_id")?.as_str()).unwrap_or(key);
            let read = IndexStruct::from_raw(&value.into(), id);
            if structs.insert(id.clone(), read.to_raw().value()).is_some() {
                return Err(problem(format!("two of its indexes have the id '{id}'")));
            }
        }
        let index_store = [("index_store/data".into(), Value::Object(structs))].into_iter().collect();
        let mut builder = Self::builder()
            .docstore(KvDocumentStore::new(SimpleKvStore::from_dict(&stores.into_dict())))
            .index_store(KvIndexStore::new(SimpleKvStore::from_dict(&index_store)));
        if let Ok(vectors) = part(&file, &["vector_store", "__data__", "simple_vector_store_data_dict"]) {
            let text = RawJson::from(Value::Object(vectors.clone())).text();
            let store = SimpleVectorStore::from_text(&text).map_err(|e| problem(format!("'vector_store': {e}")))?;
            builder = builder.vector_store(Arc::new(store));
        }
        Ok(builder.build())
    }
}

/// The collections of a document store, while they are gathered.
#[derive(Default)]
struct DocumentCollections {
    nodes: Object,
    metadata: Object,
    ref_docs: IndexMap<PyString, (Vec<Value>, Object)>,
}

impl DocumentCollections {
    /// A node stood as its fields with its type among them.
    fn add(&mut self, id: &PyString, value: &Value) -> Result<()> {
        let Value::Object(mut fields) = value.clone() else {
            return Err(problem(format!("node '{id}' is not an object")));
        };
        let code = fields.shift_remove(&b"__type__"[..]).unwrap_or("1".into());
        let hash = fields.get(&b"doc_hash"[..]).cloned();
        let stored: Value = [("__data__", Value::Object(fields)), ("__type__", code)].into_iter().collect();
        let node = Node::from_value(&stored, id).map_err(|e| problem(e.to_string()))?.with_id(id);
        let mut record = Object::new();
        if let Some(hash) = hash.filter(|hash| !hash.is_null()) {
            record.insert("doc_hash".into(), hash);
        }
        if let Some(source) = node.ref_doc_id().map_err(|e| problem(e.to_string()))? {
            record.insert("ref_doc_id".into(), source.into());
            let (node_ids, metadata) = self.ref_docs.entry(source.clone()).or_default();
            node_ids.push(id.into());
            metadata.extend(node.metadata.clone());
        }
        self.nodes.insert(id.clone(), node.to_value());
        self.metadata.insert(id.clone(), Value::Object(record));
        Ok(())
    }

    /// `ref_doc_info` of that time: `{id: {"doc_hash": …}}`, for documents that are no nodes too.
    fn add_hashes(&mut self, hashes: &Object) {
        for (id, record) in hashes {
            if let (Value::Object(record), false) = (record, self.metadata.contains_key(id)) {
                self.metadata.insert(id.clone(), Value::Object(record.clone()));
            }
        }
    }

    fn into_dict(self) -> Object {
        let ref_docs: Value = self
            .ref_docs
            .into_iter()
            .map(|(id, (node_ids, metadata))| {
                let info = [("node_ids", Value::Array(node_ids)), ("metadata", Value::Object(metadata))];
                (id, info.into_iter().collect::<Value>())
            })
            .collect();
        [
            ("docstore/data".into(), Value::Object(self.nodes)),
            ("docstore/metadata".into(), Value::Object(self.metadata)),
            ("docstore/ref_doc_info".into(), ref_docs),
        ]
        .into_iter()
        .collect()
    }
}

fn part<'a>(value: &'a Value, path: &[&str]) -> Result<&'a Object> {
    let found = path.iter().try_fold(value, |value, key| value.get(key));
    found.and_then(Value::as_object).ok_or_else(|| problem(format!("'{}' is not an object", path.join("."))))
}

fn problem(problem: impl Into<String>) -> Error {
    Error::Dict { problem: problem.into() }
}
