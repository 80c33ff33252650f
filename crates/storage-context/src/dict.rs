//! A whole context as one value, LlamaIndex's `to_dict` and `from_dict`.

use std::sync::Arc;

use docstore::KvDocumentStore;
use graphstore::{SimpleGraphStore, SimplePropertyGraphStore};
use indexstore::KvIndexStore;
use kv_core::SimpleKvStore;
use raw_json::{Object, RawJson, Value};
use vectorstore::VectorStore;
use vectorstore_simple::SimpleVectorStore;

use crate::origin::{Origins, Role};
use crate::{Error, Result, StorageContext};

impl StorageContext {
    /// The content of all stores: `{"vector_store": {namespace: …}, "doc_store", "index_store", "graph_store",
    /// "property_graph_store"}`, the last one `null` if there is none.
    ///
    /// # Errors
    /// [`Error::NotInMemory`] if a store keeps itself.
    pub fn to_dict(&self) -> Result<Value> {
        let in_memory =
            |role: Role, dict: Option<Value>| dict.ok_or_else(|| Error::NotInMemory { store: role.to_string() });
        let mut vector_stores = Object::new();
        for (namespace, store) in self.vector_stores() {
            let dict = in_memory(Role::VectorStore(namespace.clone()), store.to_dict())?;
            vector_stores.insert(namespace.into(), dict);
        }
        let property_graph =
            self.property_graph_store().map(|graph| in_memory(Role::PropertyGraphStore, graph.to_dict()));
        let parts = [
            ("vector_store", Value::Object(vector_stores)),
            ("doc_store", in_memory(Role::Docstore, self.docstore().kv().to_dict())?),
            ("index_store", in_memory(Role::IndexStore, self.index_store().kv().to_dict())?),
            ("graph_store", in_memory(Role::GraphStore, self.graph_store().to_dict())?),
            ("property_graph_store", property_graph.transpose()?.into()),
        ];
        Ok(parts.into_iter().collect())
    }

    /// The context with this content.
    ///
    /// # Errors
    /// [`Error::Dict`] if one of the five keys is missing, or a part is not a store's dict.
    pub fn from_dict(dict: &Value) -> Result<Self> {
        let problem = |problem: String| Error::Dict { problem };
        let part = |key: &str| dict.get(key).ok_or_else(|| problem(format!("'{key}' is missing")));
        let object = |key: &str| {
            let value = part(key)?;
            value.as_object().ok_or_else(|| problem(format!("'{key}' is {}, not an object", value.kind().name())))
        };
        let mut builder = Self::builder()
            .docstore(KvDocumentStore::new(SimpleKvStore::from_dict(object("doc_store")?)))
            .index_store(KvIndexStore::new(SimpleKvStore::from_dict(object("index_store")?)));
        let text = |value: &Value| RawJson::from(value).text();
        let graph = SimpleGraphStore::from_text(&text(part("graph_store")?));
        builder = builder.graph_store(Arc::new(graph.map_err(|e| problem(format!("'graph_store': {e}")))?));
        match part("property_graph_store")? {
            Value::Null => {}
            value => {
                let graph = SimplePropertyGraphStore::from_text(&text(value));
                let graph = graph.map_err(|e| problem(format!("'property_graph_store': {e}")))?;
                builder = builder.property_graph_store(Arc::new(graph));
            }
        }
        for (namespace, value) in object("vector_store")? {
            let name = namespace.to_str().ok_or_else(|| problem("a namespace has lone surrogates".to_owned()))?;
            let store = SimpleVectorStore::from_text(&text(value))
                .map_err(|e| problem(format!("vector store '{name}': {e}")))?;
            builder = builder.named_vector_store(name, Arc::new(store) as Arc<dyn VectorStore>);
        }
        Ok(builder.finish(Origins::default(), None))
    }
}
