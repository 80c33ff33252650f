//! Random operations against plain lists, and random texts.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod property;
mod simple;
mod suites;
mod texts;

use persist::Content;
use proptest::prelude::*;
use raw_json::{Object, PyString, RawJson, Value};

fn written(content: Content) -> String {
    let mut out = Vec::new();
    content.write_to(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn parse(text: &str) -> Value {
    text.parse::<RawJson>().unwrap().value()
}

/// Any JSON value, with the stores' own keys among its keys.
fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_string().prop_map(Value::from),
    ];
    scalar.prop_recursive(5, 60, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec((any_string(), inner), 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Object>())),
        ]
    })
}

fn any_string() -> impl Strategy<Value = PyString> {
    const KEYS: [&str; 19] = [
        "graph_dict",
        "nodes",
        "relations",
        "triplets",
        "name",
        "text",
        "id_",
        "label",
        "embedding",
        "properties",
        "_node_content",
        "_node_type",
        "triplet_source_id",
        "ref_doc_id",
        "source_id",
        "target_id",
        "a",
        "a_a_a",
        "q\"",
    ];
    prop_oneof![
        proptest::sample::select(&KEYS[..]).prop_map(PyString::from),
        "\\PC{0,4}".prop_map(PyString::from),
        Just(PyString::from_code_points([0xD83D])),
    ]
}
