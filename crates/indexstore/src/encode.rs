//! Index structs as LlamaIndex 0.14 writes them.

use indexmap::{IndexMap, IndexSet};
use raw_json::{Dialect, Object, PyString, RawJson, Value, to_json};

use crate::{DocumentSummary, IndexDict, IndexGraph, IndexStruct, IndexStructData, KeywordTable, KnowledgeGraph};

impl IndexStruct {
    /// The stored form: `{"__type__": "list", "__data__": "…"}`, the data as a text with JSON in it.
    pub fn to_raw(&self) -> RawJson {
        if let IndexStructData::Other { raw, .. } = &self.data {
            return raw.clone();
        }
        let text = to_json(&Value::Object(self.to_dict()), Dialect::Ascii);
        let text = String::from_utf8(text).expect("the ASCII dialect is ASCII");
        let stored: Value =
            [("__type__", Value::from(self.type_name())), ("__data__", text.into())].into_iter().collect();
        stored.into()
    }

    /// The struct's fields, in LlamaIndex's order, unknown ones last. A struct of an unknown kind has only its id and
    /// summary here.
    pub fn to_dict(&self) -> Object {
        let mut fields = Object::new();
        let mut put = |name: &str, value: Value| drop(fields.insert(name.into(), value));
        put("index_id", (&self.index_id).into());
        put("summary", self.summary.clone().into());
        match &self.data {
            IndexStructData::Tree(IndexGraph { all_nodes, root_nodes, node_id_to_children_ids }) => {
                put("all_nodes", by_index(all_nodes));
                put("root_nodes", by_index(root_nodes));
                put("node_id_to_children_ids", lists(node_id_to_children_ids));
            }
            IndexStructData::List { nodes } => put("nodes", nodes.clone().into()),
            IndexStructData::KeywordTable(KeywordTable { table }) => put("table", sets(table)),
            IndexStructData::VectorStore(dict) | IndexStructData::Multimodal(dict) => {
                let IndexDict { nodes_dict, doc_id_dict, embeddings_dict } = dict;
                put("nodes_dict", texts(nodes_dict));
                put("doc_id_dict", doc_id_dict.clone().into());
                put("embeddings_dict", embeddings_dict.clone().into());
            }
            IndexStructData::KnowledgeGraph(KnowledgeGraph { table, rel_map, embedding_dict }) => {
                put("table", sets(table));
                put("rel_map", rel_map.clone().into());
                put("embedding_dict", embedding_dict.clone().into());
            }
            IndexStructData::DocumentSummary(summary) => {
                let DocumentSummary { summary_id_to_node_ids, node_id_to_summary_id, doc_id_to_summary_id } = summary;
                put("summary_id_to_node_ids", lists(summary_id_to_node_ids));
                put("node_id_to_summary_id", texts(node_id_to_summary_id));
                put("doc_id_to_summary_id", texts(doc_id_to_summary_id));
            }
            IndexStructData::Sql { context_dict } => put("context_dict", texts(context_dict)),
            IndexStructData::PropertyGraph
            | IndexStructData::Empty
            | IndexStructData::Pandas
            | IndexStructData::Other { .. } => {}
        }
        fields.extend(self.extra.clone());
        fields
    }
}

fn by_index(nodes: &IndexMap<i64, PyString>) -> Value {
    nodes.iter().map(|(index, id)| (index.to_string(), id)).collect()
}

fn texts(texts: &IndexMap<PyString, PyString>) -> Value {
    texts.iter().collect()
}

fn lists(lists: &IndexMap<PyString, Vec<PyString>>) -> Value {
    lists.iter().map(|(key, ids)| (key, ids.clone())).collect()
}

fn sets(sets: &IndexMap<PyString, IndexSet<PyString>>) -> Value {
    sets.iter().map(|(key, ids)| (key, ids.iter().cloned().collect::<Vec<_>>())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a struct, writes it, and compares its fields and kind.
    fn check(type_name: &str, data: &str, written: &str) {
        let raw: Value = [("__type__", type_name), ("__data__", data)].into_iter().collect();
        let read = IndexStruct::from_raw(&raw.into(), &"i".into());
        assert_eq!(Value::Object(read.to_dict()).to_string(), written);
        let again = IndexStruct::from_raw(&read.to_raw(), &"i".into());
        assert_eq!(again, read);
    }

    #[test]
    fn every_kind_round_trips() {
        for (kind, data) in [
            (
                "tree",
                r#"{"index_id": "i", "summary": "s", "all_nodes": {"0": "a", "1": "b"}, "root_nodes": {"1": "b"}, "node_id_to_children_ids": {"b": ["a"]}}"#,
            ),
            ("list", r#"{"index_id": "i", "summary": null, "nodes": ["a", "a"]}"#),
            ("keyword_table", r#"{"index_id": "i", "summary": null, "table": {"k": ["a", "b"]}}"#),
            (
                "vector_store",
                r#"{"index_id": "i", "summary": null, "nodes_dict": {"v": "a"}, "doc_id_dict": {"d": ["a"]}, "embeddings_dict": {"a": [1.0]}}"#,
            ),
            (
                "multimodal",
                r#"{"index_id": "i", "summary": null, "nodes_dict": {}, "doc_id_dict": {}, "embeddings_dict": {}}"#,
            ),
            (
                "kg",
                r#"{"index_id": "i", "summary": null, "table": {"k": ["a"]}, "rel_map": {"s": [["o", "r"]]}, "embedding_dict": {"('s', 'r', 'o')": [NaN]}}"#,
            ),
            ("simple_lpg", r#"{"index_id": "i", "summary": null}"#),
            ("empty", r#"{"index_id": "i", "summary": null, "nodes_dict": {}}"#),
            (
                "document_summary",
                r#"{"index_id": "i", "summary": null, "summary_id_to_node_ids": {"s": ["a"]}, "node_id_to_summary_id": {"a": "s"}, "doc_id_to_summary_id": {"d": "s"}}"#,
            ),
            ("sql", r#"{"index_id": "i", "summary": null, "context_dict": {"t": "c"}}"#),
            ("pandas", r#"{"index_id": "i", "summary": null}"#),
            ("list", r#"{"index_id": "i", "summary": null, "nodes": [], "zzz": 1}"#),
        ] {
            check(kind, data, data);
        }
    }

    #[test]
    fn fields_are_coerced_as_in_python() {
        check(
            "list",
            r#"{"nodes": [5, true, 1.0]}"#,
            r#"{"index_id": "i", "summary": null, "nodes": ["5", "True", "1.0"]}"#,
        );
        check(
            "keyword_table",
            r#"{"index_id": 7, "table": {"k": ["a", "a"]}}"#,
            r#"{"index_id": "i", "summary": null, "table": {"k": ["a"]}}"#,
        );
        check(
            "simple_dict",
            "{}",
            r#"{"index_id": "i", "summary": null, "nodes_dict": {}, "doc_id_dict": {}, "embeddings_dict": {}}"#,
        );
    }

    #[test]
    fn the_data_of_0_6_0_is_an_object() {
        let raw: RawJson = r#"{"__type__": "list", "__data__": {"index_id": "i", "nodes": ["a"]}}"#.parse().unwrap();
        let read = IndexStruct::from_raw(&raw, &"i".into());
        assert_eq!(read, IndexStruct::new("i", IndexStructData::List { nodes: vec!["a".into()] }));
    }

    #[test]
    fn what_cannot_be_read_is_kept_and_says_why() {
        for (json, problem) in [
            (r#"{"__type__": "composite", "__data__": "{}"}"#, None),
            (r#"{"__data__": "{}"}"#, None),
            (r#"{"__type__": "list"}"#, Some("'__data__' is missing")),
            (r#"{"__type__": "list", "__data__": "null"}"#, Some("'__data__' is null, not an object")),
            (
                r#"{"__type__": "list", "__data__": "{"}"#,
                Some("'__data__': expected a key in double quotes at line 1 column 2 (byte 1)"),
            ),
            (
                r#"{"__type__": "tree", "__data__": "{\"all_nodes\": {\"zz\": \"a\"}}"}"#,
                Some("field 'all_nodes' has the key 'zz', not an integer"),
            ),
            (
                r#"{"__type__": "list", "__data__": "{\"nodes\": {}}"}"#,
                Some("field 'nodes' has an object where a list should be"),
            ),
            (
                r#"{"__type__": "list", "__data__": "{\"nodes\": [[]]}"}"#,
                Some("field 'nodes' has a list where a string should be"),
            ),
            ("[]", Some("'__data__' is missing")),
        ] {
            let raw: RawJson = json.parse().unwrap();
            let read = IndexStruct::from_raw(&raw, &"i".into());
            let IndexStructData::Other { problem: found, .. } = &read.data else { panic!("{json}") };
            assert_eq!(found.as_deref(), problem, "{json}");
            assert_eq!(read.to_raw(), raw);
            assert_eq!(read.node_ids(), None);
        }
    }
}
