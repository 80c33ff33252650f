//! Random operations against plain maps.

use super::*;
use indexmap::IndexMap;
use proptest::prelude::*;
use vectorstore::metadata_dict;

#[derive(Debug, Clone)]
enum Op {
    Add(Vec<Node>),
    Delete(String),
    DeleteNodes(Vec<String>),
    Clear,
    /// Writes the store and loads it again.
    Reload,
}

fn any_op() -> impl Strategy<Value = Op> {
    let any_id = || (0..12_u8).prop_map(|n| format!("n{n}"));
    let any_doc = || prop::sample::select(vec!["None", "d1", "d2", "d3"]).prop_map(str::to_owned);
    let number = prop_oneof![
        4 => (-8_i8..8).prop_map(|n| f64::from(n) / 4.0),
        1 => prop::sample::select(vec![0.1, -0.010299738, 1.0 / 3.0, 1e-40, 1e300, -0.0]),
    ];
    let embedding = prop::collection::vec(number, 2..4);
    let any_node = (any_id(), embedding, any_doc(), 0..3_i64).prop_map(|(id, embedding, doc, year)| {
        let node = node(&id, &embedding).with_metadata("year", year);
        if doc == "None" { node } else { node.with_source(doc) }
    });
    prop_oneof![
        6 => prop::collection::vec(any_node, 1..4).prop_map(Op::Add),
        2 => any_doc().prop_map(Op::Delete),
        2 => prop::collection::vec(any_id(), 0..4).prop_map(Op::DeleteNodes),
        1 => Just(Op::Clear),
        1 => Just(Op::Reload),
    ]
}

/// The three maps of the file.
#[derive(Debug, Default, Clone, PartialEq)]
struct Model {
    embeddings: IndexMap<PyString, Value>,
    docs: IndexMap<PyString, Value>,
    metadata: IndexMap<PyString, Value>,
}

impl Model {
    fn dict(&self) -> Value {
        let maps = [
            ("embedding_dict", &self.embeddings),
            ("text_id_to_ref_doc_id", &self.docs),
            ("metadata_dict", &self.metadata),
        ];
        maps.into_iter().map(|(key, map)| (key, Value::Object(map.clone()))).collect()
    }

    /// Whether the nodes could be added, being as long as the others.
    fn add(&mut self, nodes: &[Node]) -> bool {
        let len = |value: &Value| value.as_array().map(<[Value]>::len);
        let lengths = nodes.iter().filter_map(|node| node.embedding.as_ref().map(Vec::len));
        let expected = self.embeddings.values().find_map(len).or_else(|| lengths.clone().next());
        if lengths.clone().any(|len| Some(len) != expected) {
            return false;
        }
        for node in nodes {
            let metadata = metadata_dict(node).unwrap();
            self.embeddings.insert(node.id.clone(), node.embedding.clone().into());
            self.docs.insert(node.id.clone(), metadata[&b"doc_id"[..]].clone());
            self.metadata.insert(node.id.clone(), Value::Object(metadata));
        }
        true
    }

    fn remove(&mut self, gone: impl Fn(&PyString) -> bool) -> usize {
        let before = self.embeddings.len();
        for map in [&mut self.embeddings, &mut self.docs, &mut self.metadata] {
            map.retain(|id, _| !gone(id));
        }
        before - self.embeddings.len()
    }
}

/// Dictionaries with their keys in order.
fn ordered(value: &Value) -> String {
    value.to_string()
}

proptest! {
    #[test]
    fn the_store_does_what_plain_maps_do(ops in prop::collection::vec(any_op(), 0..30)) {
        let mut store = SimpleVectorStore::new();
        let mut model = Model::default();
        let mut before = model.clone();
        let mut loaded = revision(&store);
        for op in &ops {
            match op {
                Op::Add(nodes) => {
                    let added = block_on(store.add(nodes));
                    prop_assert_eq!(added.is_ok(), model.add(nodes));
                }
                Op::Delete(doc) => {
                    let docs = model.docs.clone();
                    let expected = model.remove(|id| docs[id] == Value::from(doc.as_str()));
                    prop_assert_eq!(block_on(store.delete(&doc.into())).unwrap(), expected);
                }
                Op::DeleteNodes(ids) => {
                    let ids: Vec<PyString> = ids.iter().map(PyString::from).collect();
                    let expected = model.remove(|id| ids.contains(id));
                    prop_assert_eq!(block_on(store.delete_nodes(&these(&ids))).unwrap(), expected);
                }
                Op::Clear => {
                    model = Model::default();
                    block_on(store.clear()).unwrap();
                }
                Op::Reload => {
                    store = load(&dump(&store));
                    before = model.clone();
                    loaded = revision(&store);
                }
            }
            prop_assert_eq!(ordered(&store.to_dict()), ordered(&model.dict()));
            prop_assert_eq!(parse(&dump(&store)), model.dict());
            // What is called unchanged is; the other way round, a store does not notice that it came back to where it
            // was.
            prop_assert!(revision(&store) != loaded || ordered(&model.dict()) == ordered(&before.dict()));
            for (id, embedding) in &model.embeddings {
                let stored = block_on(store.get(id)).unwrap().unwrap();
                prop_assert_eq!(Value::from(stored), embedding.clone());
            }
        }
    }
}
