//! Reading index structs of every version, by the rules of LlamaIndex's decoder: a missing field is empty, numbers
//! become strings.

use indexmap::{IndexMap, IndexSet};
use raw_json::{Object, PyString, RawJson, Text, Value, py_str};

use crate::{DocumentSummary, IndexDict, IndexGraph, IndexStruct, IndexStructData, KeywordTable, KnowledgeGraph};

/// The kinds that LlamaIndex 0.14 knows.
const TODAYS_KINDS: [&str; 11] = [
    "tree",
    "list",
    "keyword_table",
    "vector_store",
    "multimodal",
    "kg",
    "simple_lpg",
    "empty",
    "document_summary",
    "sql",
    "pandas",
];

/// Kinds that had the fields of a `vector_store` struct, before databases became vector stores.
const DICT_KINDS: [&str; 17] = [
    "dict",
    "simple_dict",
    "weaviate",
    "pinecone",
    "qdrant",
    "lancedb",
    "milvus",
    "chroma",
    "myscale",
    "clickhouse",
    "opensearch",
    "dashvector",
    "chatgpt_retrieval_plugin",
    "deeplake",
    "epsilla",
    "vectara",
    "postgresml",
];

impl IndexStruct {
    /// Reads a stored struct, `{"__type__": "list", "__data__": "…"}`. What cannot be read becomes
    /// [`IndexStructData::Other`]. Its id is `key`, under which it is stored,
    /// whatever it says itself.
    pub fn from_raw(raw: &RawJson, key: &PyString) -> Self {
        let value = raw.value();
        let type_name = value.get("__type__").map(py_str).unwrap_or_default();
        let other = |problem| {
            let data = IndexStructData::Other { type_name: type_name.clone(), raw: raw.clone(), problem };
            Self { index_id: key.clone(), summary: None, data, extra: Object::new() }
        };
        let mut fields = match value.get("__data__").map(fields_of) {
            Some(Ok(fields)) => Fields(fields),
            Some(Err(problem)) => return other(Some(problem)),
            None => return other(Some("'__data__' is missing".to_owned())),
        };
        let read = |fields: &mut Fields| {
            // The key counts: it is what the index is found by.
            fields.take("index_id");
            let summary = fields.text("summary")?;
            Ok::<_, String>((summary, fields.data(&type_name)?))
        };
        match read(&mut fields) {
            Ok((summary, Some(data))) => Self { index_id: key.clone(), summary, data, extra: fields.0 },
            Ok((summary, None)) => Self { summary, ..other(None) },
            Err(problem) => other(Some(problem)),
        }
    }
}

impl IndexStruct {
    /// Why today's LlamaIndex cannot read a stored struct, if it cannot.
    pub(crate) fn python_problem(raw: &RawJson, key: &PyString) -> Option<String> {
        let kind = raw.value().get("__type__").map(py_str).unwrap_or_default();
        match Self::from_raw(raw, key).data {
            IndexStructData::Other { problem: Some(problem), .. } => Some(problem),
            _ => (!kind.to_str().is_some_and(|kind| TODAYS_KINDS.contains(&kind)))
                .then(|| format!("its kind '{kind}' is unknown there")),
        }
    }
}

/// `__data__` is a text with JSON in it; 0.6.0 wrote an object.
fn fields_of(data: &Value) -> Result<Object, String> {
    let value = match data {
        Value::String(text) => {
            let text = text.to_str().ok_or("'__data__' has lone surrogates outside of strings")?;
            RawJson::parse(&Text::from(text)).map_err(|e| format!("'__data__': {e}"))?.value()
        }
        other => other.clone(),
    };
    match value {
        Value::Object(fields) => Ok(fields),
        other => Err(format!("'__data__' is {}, not an object", other.kind().name())),
    }
}

/// The fields of a struct that are still to be read.
struct Fields(Object);

impl Fields {
    /// What the kind decides, or `None` for an unknown kind.
    fn data(&mut self, type_name: &PyString) -> Result<Option<IndexStructData>, String> {
        let name = type_name.to_str().unwrap_or_default();
        Ok(Some(match name {
            "tree" => IndexStructData::Tree(IndexGraph {
                all_nodes: self.by_index("all_nodes")?,
                root_nodes: self.by_index("root_nodes")?,
                node_id_to_children_ids: self.lists("node_id_to_children_ids")?,
            }),
            "list" => IndexStructData::List { nodes: self.list("nodes")? },
            "keyword_table" => IndexStructData::KeywordTable(KeywordTable { table: self.sets("table")? }),
            "vector_store" => IndexStructData::VectorStore(self.dict()?),
            "multimodal" => IndexStructData::Multimodal(self.dict()?),
            "kg" => IndexStructData::KnowledgeGraph(KnowledgeGraph {
                table: self.sets("table")?,
                rel_map: self.object("rel_map")?,
                embedding_dict: self.object("embedding_dict")?,
            }),
            "simple_lpg" => IndexStructData::PropertyGraph,
            "empty" => IndexStructData::Empty,
            "document_summary" => IndexStructData::DocumentSummary(DocumentSummary {
                summary_id_to_node_ids: self.lists("summary_id_to_node_ids")?,
                node_id_to_summary_id: self.texts("node_id_to_summary_id")?,
                doc_id_to_summary_id: self.texts("doc_id_to_summary_id")?,
            }),
            "sql" => IndexStructData::Sql { context_dict: self.texts("context_dict")? },
            "pandas" => IndexStructData::Pandas,
            _ if DICT_KINDS.contains(&name) => IndexStructData::VectorStore(self.dict()?),
            _ => return Ok(None),
        }))
    }

    fn dict(&mut self) -> Result<IndexDict, String> {
        Ok(IndexDict {
            nodes_dict: self.texts("nodes_dict")?,
            doc_id_dict: self.object("doc_id_dict")?,
            embeddings_dict: self.object("embeddings_dict")?,
        })
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.shift_remove(name.as_bytes()).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &str) -> Result<Option<PyString>, String> {
        self.take(name).map(|value| scalar(name, &value)).transpose()
    }

    fn object(&mut self, name: &str) -> Result<Object, String> {
        match self.take(name) {
            None => Ok(Object::new()),
            Some(Value::Object(object)) => Ok(object),
            Some(other) => Err(format!("field '{name}' is {}, not an object", other.kind().name())),
        }
    }

    fn list(&mut self, name: &str) -> Result<Vec<PyString>, String> {
        self.take(name).map_or(Ok(Vec::new()), |value| list(name, &value))
    }

    fn texts(&mut self, name: &str) -> Result<IndexMap<PyString, PyString>, String> {
        self.object(name)?.into_iter().map(|(key, value)| Ok((key, scalar(name, &value)?))).collect()
    }

    fn lists(&mut self, name: &str) -> Result<IndexMap<PyString, Vec<PyString>>, String> {
        self.object(name)?.into_iter().map(|(key, value)| Ok((key, list(name, &value)?))).collect()
    }

    fn sets(&mut self, name: &str) -> Result<IndexMap<PyString, IndexSet<PyString>>, String> {
        Ok(self.lists(name)?.into_iter().map(|(key, ids)| (key, ids.into_iter().collect())).collect())
    }

    fn by_index(&mut self, name: &str) -> Result<IndexMap<i64, PyString>, String> {
        let index = |key: &PyString| key.to_str().and_then(|key| key.trim().parse().ok());
        self.texts(name)?
            .into_iter()
            .map(|(key, id)| {
                Ok((index(&key).ok_or_else(|| format!("field '{name}' has the key '{key}', not an integer"))?, id))
            })
            .collect()
    }
}

fn list(name: &str, value: &Value) -> Result<Vec<PyString>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items.iter().map(|item| scalar(name, item)).collect(),
        other => Err(format!("field '{name}' has {} where a list should be", other.kind().name())),
    }
}

fn scalar(name: &str, value: &Value) -> Result<PyString, String> {
    match value {
        Value::Array(_) | Value::Object(_) | Value::Null => {
            Err(format!("field '{name}' has {} where a string should be", value.kind().name()))
        }
        other => Ok(py_str(other)),
    }
}
