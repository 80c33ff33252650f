//! The document store: its collections, every node, documents and hashes.

use anyhow::Result;
use colca::docstore;
use colca::prelude::*;
use colca::raw_json::{Object, py_str};
use colca::schema;

use super::{Answers, Area, Case, Outcome};
use crate::expected::{difference, python_error, untag};
use crate::rules::{self, Rule};

const MODES: [(&str, MetadataMode); 4] = [
    ("all", MetadataMode::All),
    ("embed", MetadataMode::Embed),
    ("llm", MetadataMode::Llm),
    ("none", MetadataMode::None),
];

pub(super) async fn run(case: &Case, ctx: &StorageContext, answers: &mut Answers) -> Result<()> {
    let Some(expected) = case.expect.get("docstore").map(untag) else { return Ok(()) };
    let store = ctx.docstore();
    let get = |key: &str| expected.get(key).cloned().unwrap_or(Value::Null);
    let keys = |value: Option<&Value>| -> Value {
        Value::Array(value.and_then(Value::as_object).into_iter().flat_map(Object::keys).map(Value::from).collect())
    };
    let dict = store.kv().to_dict().unwrap_or(Value::Null);
    answers.equal(Area::Docstore, &["docstore", "collections"], &get("collections"), &keys(Some(&dict)));
    answers.equal(Area::Docstore, &["docstore", "order"], &get("order"), &keys(dict.get("docstore/data")));
    for (id, answer) in get("nodes").as_object().into_iter().flatten() {
        node(case, store, id, answer, answers).await?;
    }
    docs_property(case, store, &get("docs_property"), answers).await;

    let infos = store.get_all_ref_doc_info().await?.into_iter().map(|(id, info)| (id, ref_doc_info(&info))).collect();
    answers.equal(Area::Docstore, &["docstore", "ref_doc_info"], &get("ref_doc_info"), &ok(infos));
    let hashes = store.get_all_document_hashes().await?;
    answers.equal(Area::Docstore, &["docstore", "document_hashes"], &get("document_hashes"), &ok(by_hash(&hashes)));
    for (id, hash) in get("hash_by_id").as_object().into_iter().flatten() {
        let ours = store.get_document_hash(id).await?.into();
        answers.equal(Area::Docstore, &["docstore", "hash_by_id", &id.to_string()], hash, &ours);
    }
    Ok(())
}

pub(super) fn ok(value: Value) -> Value {
    [("ok", value)].into_iter().collect()
}

/// What LlamaIndex returns of a document: its nodes and metadata.
pub fn ref_doc_info(info: &RefDocInfo) -> Value {
    let node_ids = Value::Array(info.node_ids.iter().map(Value::from).collect());
    [("node_ids", node_ids), ("metadata", Value::Object(info.metadata.clone()))].into_iter().collect()
}

/// LlamaIndex gives ids by hash; equal hashes leave the last id at the first's place.
pub fn by_hash<'a>(hashes: impl IntoIterator<Item = (&'a PyString, &'a PyString)>) -> Value {
    hashes.into_iter().map(|(id, hash)| (hash, id)).collect()
}

/// Compares everything that LlamaIndex tells of a node.
async fn node(
    case: &Case,
    store: &KvDocumentStore,
    id: &PyString,
    answer: &Value,
    answers: &mut Answers,
) -> Result<()> {
    let name = id.to_string();
    let base = ["docstore", "nodes", &name];
    let ours = store.get_document(id).await;
    let stored = case.stored_node(id).unwrap_or(Value::Null);
    if let Some((kind, message)) = python_error(answer) {
        let outcome = match ours {
            Ok(Some(node)) if old_document(&stored, &kind, &message, &node) => Outcome::Deviation(rules::OLD_DOCUMENTS),
            Err(e) if unknown_type(&stored, &kind, &message, &e) => Outcome::Passed,
            ours => Outcome::Failed(format!("LlamaIndex: {kind}: {message}; ours: {ours:?}")),
        };
        answers.put(Area::Docstore, &base, outcome);
        return Ok(());
    }
    let node = match ours {
        Ok(Some(node)) => node,
        ours => {
            answers.put(Area::Docstore, &base, Outcome::Failed(format!("ours: {ours:?}")));
            return Ok(());
        }
    };
    let expected = answer.get("ok").and_then(Value::as_object).cloned().unwrap_or_default();
    let described = describe(&node);
    for (key, expected) in &expected {
        let path = [base[0], base[1], base[2], "ok", &key.to_string()];
        let ours = described.get(key).cloned().unwrap_or(Value::Null);
        match key.to_str() {
            Some("dict") => {
                answers.equal_or(Area::Docstore, &path, expected, &ours, || dict_rule(&stored, expected, &ours));
            }
            Some("obj") => {
                let obj = stored.get("__data__").and_then(|data| data.get("obj")).cloned().unwrap_or(Value::Null);
                answers.put(Area::Docstore, &path, judge_obj(&obj, expected, &ours));
            }
            _ => answers.equal(Area::Docstore, &path, expected, &ours),
        }
    }
    let told = described.keys().all(|key| expected.contains_key(key));
    answers.hold(Area::Docstore, &[base[0], base[1], base[2], "ok"], told, || "ours has an obj".to_owned());
    Ok(())
}

/// What LlamaIndex's recordings have of a node.
pub fn describe(node: &Node) -> Object {
    let error = |e: schema::Error| -> Value { [("error", e.to_string())].into_iter().collect() };
    let text = |result: Result<PyString, schema::Error>| result.map_or_else(error, |text| ok(text.into()));
    let modes = |get: &dyn Fn(MetadataMode) -> Result<PyString, schema::Error>| -> Value {
        MODES.into_iter().map(|(name, mode)| (name, text(get(mode)))).collect()
    };
    let mut told = vec![
        ("class", Value::from(node.class_name())),
        ("type", node.object_type().code().into()),
        ("id", (&node.id).into()),
        ("hash", node.hash().map_or_else(error, |hash| ok(hash.into()))),
        ("ref_doc_id", node.ref_doc_id().map_or_else(error, |id| ok(id.cloned().into()))),
        ("content", modes(&|mode| node.get_content(mode))),
        ("metadata_str", modes(&|mode| node.get_metadata_str(mode))),
        ("dict", ok(Value::Object(node.to_dict()))),
    ];
    if let Some(obj) = node.obj_node() {
        told.push(("obj", Value::Object(describe(&obj))));
    }
    told.into_iter().map(|(key, value)| (key.into(), value)).collect()
}

/// Documents of 0.6.0 to 0.8.69 have no class name, those of 0.6.0 to 0.6.3x a type of another name; LlamaIndex reads
/// neither.
fn old_document(stored: &Value, kind: &str, message: &str, node: &Node) -> bool {
    let data = stored.get("__data__");
    let code = stored.get("__type__").and_then(Value::as_str).map(ToString::to_string).unwrap_or_default();
    let nameless = kind == "KeyError"
        && message == "'class_name'"
        && code == "4"
        && data.is_some_and(|d| d.get("class_name").is_none());
    let renamed = kind == "ValueError" && message == "Unknown doc type: Document" && code == "Document";
    let text = data.and_then(|d| d.get("text")).and_then(Value::as_str).cloned().unwrap_or_default();
    (nameless || renamed) && matches!(node.class_name(), "Document" | "ImageDocument") && node.text_content() == text
}

/// The rule by which our fields of a node differ from LlamaIndex's: undoing what the stored form justifies must leave
/// no difference.
fn dict_rule(stored: &Value, expected: &Value, ours: &Value) -> Option<&'static Rule> {
    let stored = stored.get("__data__")?.as_object()?;
    let expected = expected.get("ok")?.as_object()?;
    let mut undone = ours.get("ok")?.as_object()?.clone();
    let mut rule = None;
    if stored.contains_key(&b"extra_info"[..]) {
        for field in ["embedding", "start_char_idx", "end_char_idx"] {
            if let Some(slot) = undone.get_mut(field.as_bytes()) {
                *slot = Value::Null;
                rule = Some(rules::OLD_NODE_FIELDS);
            }
        }
    }
    if let Some(obj) = stored.get(&b"obj"[..]).filter(|obj| !obj.is_null())
        && undone.get(&b"obj"[..]) == Some(obj)
    {
        undone.insert("obj".into(), as_python_stores(obj, expected.get(&b"obj"[..])?)?);
        rule = Some(rules::OBJ_OF_INDEX_NODE);
    }
    if let Some(image) = stored.get(&b"image"[..]).filter(|image| !image.is_null())
        && let Some(Value::Object(resource)) = undone.get_mut(&b"image_resource"[..])
        && resource.shift_remove(&b"data"[..]).as_ref() == Some(image)
    {
        rule = Some(rules::MEDIA_DATA);
    }
    undone.retain(|field, value| {
        let unknown = !expected.contains_key(field) && stored.get(field) == Some(value);
        if unknown {
            rule = Some(rules::UNKNOWN_FIELDS);
        }
        !unknown
    });
    difference(&Value::Object(expected.clone()), &Value::Object(undone)).is_none().then_some(rule).flatten()
}

/// What LlamaIndex makes of a value in `obj`: a node in today's form, or a text node with an id of its own making,
/// which `expected` tells.
fn as_python_stores(obj: &Value, expected: &Value) -> Option<Value> {
    let id = expected.get("__data__")?.get("id_")?.as_str()?;
    let Ok(node) = Node::from_value(obj, id) else {
        return Some(Node::text(py_str(obj)).with_id(id).to_value());
    };
    let mut stored = node.to_value();
    if let Value::Object(entries) = &mut stored
        && let Some(Value::Object(data)) = entries.get_mut(&b"__data__"[..])
        && let Some(inner) = data.get(&b"obj"[..]).filter(|inner| !inner.is_null()).cloned()
    {
        data.insert("obj".into(), as_python_stores(&inner, expected.get("__data__")?.get("obj")?)?);
    }
    Some(stored)
}

/// Compares what an index node points to. `stored` is the value that stands in its `obj`.
fn judge_obj(stored: &Value, expected: &Value, ours: &Value) -> Outcome {
    let (Some(expected), Some(ours)) = (expected.as_object(), ours.as_object()) else {
        return Outcome::Failed(format!("expected {expected}, got {ours}"));
    };
    // Of what is no node, LlamaIndex makes one with a new id at every read.
    let made_anew = stored.get("__data__").is_none();
    let mut outcome = Outcome::Passed;
    for (key, expected) in expected {
        let mut expected = expected.clone();
        let mut actual = ours.get(key).cloned().unwrap_or(Value::Null);
        match key.to_str() {
            Some("id") if made_anew => continue,
            Some("dict") if made_anew => {
                for side in [&mut expected, &mut actual] {
                    let mut dict = side.get("ok").and_then(Value::as_object).cloned().unwrap_or_default();
                    dict.shift_remove(&b"id_"[..]);
                    *side = ok(Value::Object(dict));
                }
            }
            Some("obj") => {
                let inner = stored.get("__data__").and_then(|data| data.get("obj")).cloned().unwrap_or(Value::Null);
                match judge_obj(&inner, &expected, &actual) {
                    Outcome::Passed => {}
                    Outcome::Deviation(rule) => outcome = Outcome::Deviation(rule),
                    failed => return failed,
                }
                continue;
            }
            _ => {}
        }
        if let Some(why) = difference(&expected, &actual) {
            match dict_rule(stored, &expected, &actual) {
                Some(rule) if *key == "dict" => outcome = Outcome::Deviation(rule),
                _ => return Outcome::Failed(format!("{key}: {why}")),
            }
        }
    }
    outcome
}

/// All nodes at once: LlamaIndex fails if it cannot read one.
async fn docs_property(case: &Case, store: &KvDocumentStore, expected: &Value, answers: &mut Answers) {
    let path = ["docstore", "docs_property"];
    let ours = store.docs().await;
    let outcome = match (python_error(expected), ours) {
        (None, Ok(docs))
            if expected.as_str().is_some_and(|word| *word == "ok") && docs.len() == all_stored(case).count() =>
        {
            Outcome::Passed
        }
        (Some((kind, message)), Err(e))
            if all_stored(case).any(|stored| unknown_type(&stored, &kind, &message, &e)) =>
        {
            Outcome::Passed
        }
        (Some((kind, message)), Ok(docs)) => {
            let old = docs.iter().any(|(id, node)| {
                case.stored_node(id).is_some_and(|stored| old_document(&stored, &kind, &message, node))
            });
            if old {
                Outcome::Deviation(rules::OLD_DOCUMENTS)
            } else {
                Outcome::Failed(format!("LlamaIndex: {kind}: {message}"))
            }
        }
        (_, ours) => Outcome::Failed(format!(
            "expected {expected}, ours: {}",
            ours.map_or_else(|e| e.to_string(), |_| "nodes".into())
        )),
    };
    answers.put(Area::Docstore, &path, outcome);
}

fn all_stored(case: &Case) -> impl Iterator<Item = Value> {
    let docstore = case.json("docstore.json");
    let nodes = docstore.as_ref().and_then(|d| d.get("docstore/data")?.as_object()).cloned().unwrap_or_default();
    nodes.into_values()
}

/// Whether both complain of the type of this node.
fn unknown_type(stored: &Value, kind: &str, message: &str, ours: &docstore::Error) -> bool {
    let code = stored.get("__type__").map(py_str).unwrap_or_default();
    let ours = matches!(ours, docstore::Error::Node { source: schema::Error::UnknownType { .. }, .. });
    kind == "ValueError" && message == format!("Unknown doc type: {code}") && ours
}
