//! Operations applied one after the other to one loaded copy, with the state of the stores after each.
//!
//! So that an agreed deviation does not disturb what comes after, each operation starts from the state that LlamaIndex
//! was in.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use colca::docstore;
use colca::prelude::*;
use colca::raw_json::Object;
use colca::vectorstore::{self, NodeSelection};

use super::docstore::{by_hash, ok};
use super::index_ops::{IndexOp, sorted_keywords};
use super::property_graph::GraphOp;
use super::vectors;
use super::{Answers, Area, Case, Outcome, not_understood};
use crate::expected::{difference, python_error, unmark, untag};
use crate::rules::{self, Rule};

pub(super) async fn run(case: &Case, ctx: &StorageContext, answers: &mut Answers) -> Result<()> {
    let Some(recorded) = case.expect.get("ops").map(untag) else { return Ok(()) };
    let questions = case.question("ops").unwrap_or(Value::Array(Vec::new()));
    let at_the_end = graph_at_the_end(&recorded);
    // LlamaIndex's state, part by part, as it told it.
    let mut state: BTreeMap<String, Value> = BTreeMap::new();
    for (i, (op, recorded)) in
        questions.as_array().unwrap_or_default().iter().zip(recorded.as_array().unwrap_or_default()).enumerate()
    {
        let i = i.to_string();
        let (result_at, changed_at) = (["ops", &i, "result"], ["ops", &i, "changed_after"]);
        let mut after = state.clone();
        for (part, value) in recorded.get("changed_after").and_then(Value::as_object).into_iter().flatten() {
            after.insert(part.to_string(), value.clone());
        }
        let before = match state.is_empty() {
            true => StorageContext::from_dict(&ctx.to_dict()?)?,
            false => context(&state)?,
        };
        let dict_before = before.to_dict()?;
        let graph_before = dict_before.get("property_graph_store").cloned().unwrap_or(Value::Null);
        match Op::read(op).or_else(|| Op::read_index(op, case, &after)) {
            None => {
                answers.put(Area::Ops, &result_at, not_understood(op));
                answers.put(Area::Ops, &changed_at, not_understood(op));
            }
            Some(op) => {
                let expected = recorded.get("result").cloned().unwrap_or(Value::Null);
                let result = op.apply(&before).await;
                let outcome = match op.judge_result(&expected, &result) {
                    Outcome::Failed(_) if op.is_live_list(&expected, &at_the_end) => Outcome::Deviation(rules::COPIES),
                    Outcome::Failed(why) => op
                        .graph_failure(&graph_before, &expected, &result)
                        .map_or(Outcome::Failed(why), Outcome::Deviation),
                    outcome => outcome,
                };
                answers.put(Area::Ops, &result_at, outcome);
                let first = state.is_empty();
                let judged = judge_state(case, &op, &expected, &after, &before, &dict_before, first)?;
                answers.put(Area::Ops, &changed_at, judged);
            }
        }
        state = after;
    }
    Ok(())
}

/// The graph as the last operation left it.
fn graph_at_the_end(recorded: &Value) -> Value {
    let told = recorded.as_array().unwrap_or_default().iter().rev();
    let mut graphs =
        told.filter_map(|op| op.get("changed_after")?.get("graph_store")?.get("ok")?.get("graph_dict").cloned());
    graphs.next().unwrap_or(Value::Null)
}

/// A context in the state that was told.
fn context(state: &BTreeMap<String, Value>) -> Result<StorageContext> {
    let part = |name: &str| state.get(name).and_then(|part| part.get("ok")).map_or(Value::Null, unmark);
    let vector_stores = state.get("vector_stores").and_then(Value::as_object).cloned().unwrap_or_default();
    let vector_stores: Value = vector_stores
        .into_iter()
        .map(|(name, store)| (name, store.get("ok").cloned().unwrap_or(Value::Null)))
        .collect();
    let dict: Value = [
        ("vector_store", vector_stores),
        ("doc_store", part("docstore")),
        ("index_store", part("index_store")),
        ("graph_store", part("graph_store")),
        ("property_graph_store", part("property_graph_store")),
    ]
    .into_iter()
    .collect();
    StorageContext::from_dict(&dict).context("the recorded state is no context")
}

/// Compares the state of all parts after an operation.
fn judge_state(
    case: &Case,
    op: &Op,
    result: &Value,
    after: &BTreeMap<String, Value>,
    ours: &StorageContext,
    before: &Value,
    first: bool,
) -> Result<Outcome> {
    let theirs = context(after)?.to_dict()?;
    let ours = ours.to_dict()?;
    let mut rule = None;
    for (part, theirs) in theirs.as_object().into_iter().flatten() {
        let ours = ours.get(&part.to_string()).cloned().unwrap_or(Value::Null);
        let (mut theirs, mut ours) = (sorted_triplets(theirs), sorted_triplets(&ours));
        if *part == "index_store" {
            (theirs, ours) = (sorted_keywords(&theirs), sorted_keywords(&ours));
        }
        let theirs = &theirs;
        let Some(why) = difference(theirs, &ours) else { continue };
        let applies = match part.to_str() {
            // Until the first operation, LlamaIndex has rewritten the structs of all indexes it loaded.
            Some("index_store") if first && same_structs(theirs, &ours) => Some(rules::STRUCTS_AS_READ),
            Some("vector_store") if first && old_vector_keys(case, op, theirs, &ours) => Some(rules::OLD_VECTOR_KEYS),
            Some("doc_store") if difference(&without_empty(theirs), &without_empty(&ours)).is_none() => {
                Some(rules::EMPTY_COLLECTIONS)
            }
            Some("property_graph_store") => match op {
                Op::PropertyGraph(op) => {
                    let graph_before = before.get("property_graph_store").unwrap_or(&Value::Null);
                    op.state_rule(graph_before, result, theirs, &ours)
                }
                _ => None,
            },
            _ => match op {
                Op::Index(op) => op.state_rule(&part.to_string(), result, before, theirs, &ours),
                _ => op.state_rule(part, result, theirs, &ours),
            },
        };
        match applies {
            Some(applies) => rule = Some(applies),
            None => return Ok(Outcome::Failed(format!("{part}: {why}"))),
        }
    }
    Ok(rule.map_or(Outcome::Passed, Outcome::Deviation))
}

/// A property graph's triplets are a set.
fn sorted_triplets(part: &Value) -> Value {
    let mut part = part.clone();
    if let Value::Object(entries) = &mut part
        && let Some(Value::Array(triplets)) = entries.get_mut(&b"triplets"[..])
    {
        triplets.sort_by_key(ToString::to_string);
    }
    part
}

fn without_empty(docstore: &Value) -> Value {
    let collections = docstore.as_object().cloned().unwrap_or_default();
    let filled =
        collections.into_iter().filter(|(_, entries)| entries.as_object().is_none_or(|entries| !entries.is_empty()));
    Value::Object(filled.collect())
}

/// Whether the default vector stores differ by the documents of 0.6.0 to 0.6.1x alone, which LlamaIndex does not read,
/// and so does not delete by.
fn old_vector_keys(case: &Case, op: &Op, theirs: &Value, ours: &Value) -> bool {
    let stored = case.json("vector_store.json").or_else(|| case.json("default__vector_store.json"));
    let stored = stored.as_ref().filter(|stored| stored.get("text_id_to_ref_doc_id").is_none());
    let Some(documents) = stored.and_then(|stored| stored.get("text_id_to_doc_id")?.as_object()) else { return false };
    let deleted = |id: &PyString| match op {
        Op::VectorDelete { ref_doc_id } => documents.get(id).and_then(Value::as_str) == Some(ref_doc_id),
        _ => false,
    };
    // What LlamaIndex has, with the documents it did not read, and without what it should have deleted, is ours.
    let mut theirs = theirs.as_object().cloned().unwrap_or_default();
    if let Some(Value::Object(store)) = theirs.get_mut(&b"default"[..]) {
        store.insert("text_id_to_ref_doc_id".into(), Value::Object(documents.clone()));
        for part in store.values_mut() {
            if let Value::Object(entries) = part {
                entries.retain(|id, _| !deleted(id));
            }
        }
    }
    difference(&Value::Object(theirs), ours).is_none()
}

/// Whether the structs say the same, whatever their spelling.
fn same_structs(a: &Value, b: &Value) -> bool {
    let read = |store: &Value| {
        let structs = store.get("index_store/data").and_then(Value::as_object).cloned().unwrap_or_default();
        structs
            .iter()
            .map(|(id, raw)| IndexStruct { extra: Object::new(), ..IndexStruct::from_raw(&raw.into(), id) })
            .collect::<Vec<_>>()
    };
    read(a) == read(b)
}

/// An operation that our stores have.
enum Op {
    Add { nodes: Vec<Node>, options: AddOptions, batch_size: Option<i64> },
    DeleteDocument { id: PyString, must_exist: bool, asynchronous: bool },
    DeleteRefDoc { id: PyString, must_exist: bool },
    SetHash { id: PyString, hash: String },
    GetHash { id: PyString },
    GetDoc { id: PyString },
    GetAllHashes,
    VectorAdd { nodes: Vec<Node> },
    VectorGet { id: PyString },
    VectorDelete { ref_doc_id: PyString },
    VectorDeleteNodes { selection: NodeSelection },
    VectorQuery { question: Value },
    GraphGet { subj: PyString },
    GraphUpsert { triplet: [PyString; 3] },
    GraphDelete { triplet: [PyString; 3] },
    PropertyGraph(GraphOp),
    Index(IndexOp),
}

impl Op {
    fn read(op: &Value) -> Option<Self> {
        let text = |key: &str| op.get(key).and_then(Value::as_str).cloned();
        let flag = |key: &str, default| match op.get(key) {
            Some(Value::Bool(flag)) => *flag,
            _ => default,
        };
        let nodes = || {
            op.get("nodes").and_then(Value::as_array).unwrap_or_default().iter().map(node).collect::<Option<Vec<_>>>()
        };
        let triplet = || -> Option<[PyString; 3]> {
            let parts: Option<Vec<PyString>> =
                op.get("triplet")?.as_array()?.iter().map(|part| part.as_str().cloned()).collect();
            parts?.try_into().ok()
        };
        let must_exist = flag("raise_error", true);
        Some(match text("op")?.to_str()? {
            "docstore.add" => Self::Add {
                nodes: nodes()?,
                options: AddOptions {
                    allow_update: flag("allow_update", true),
                    store_text: flag("store_text", true),
                    ..AddOptions::default()
                },
                batch_size: op.get("batch_size").and_then(Value::as_f64).map(|n| n as i64),
            },
            "docstore.delete_document" => Self::DeleteDocument { id: text("id")?, must_exist, asynchronous: false },
            "docstore.adelete_document" => Self::DeleteDocument { id: text("id")?, must_exist, asynchronous: true },
            "docstore.delete_ref_doc" | "docstore.adelete_ref_doc" => {
                Self::DeleteRefDoc { id: text("id")?, must_exist }
            }
            "docstore.set_hash" => Self::SetHash { id: text("id")?, hash: text("hash")?.to_str()?.to_owned() },
            "docstore.get_hash" => Self::GetHash { id: text("id")? },
            "docstore.get_doc" => Self::GetDoc { id: text("id")? },
            "docstore.get_all_hashes" => Self::GetAllHashes,
            "vs.add" => Self::VectorAdd { nodes: nodes()? },
            "vs.get" => Self::VectorGet { id: text("id")? },
            "vs.delete" => Self::VectorDelete { ref_doc_id: text("ref_doc_id")? },
            "vs.delete_nodes" => Self::VectorDeleteNodes { selection: vectors::selection(op)? },
            "vs.query" => Self::VectorQuery { question: op.clone() },
            "graph.get" => Self::GraphGet { subj: text("subj")? },
            "graph.upsert_triplet" => Self::GraphUpsert { triplet: triplet()? },
            "graph.delete" => Self::GraphDelete { triplet: triplet()? },
            _ => Self::PropertyGraph(GraphOp::read(op)?),
        })
    }

    fn read_index(op: &Value, case: &Case, after: &BTreeMap<String, Value>) -> Option<Self> {
        let part = |name: &str| after.get(name).and_then(|part| part.get("ok")).map_or(Value::Null, unmark);
        IndexOp::read(op, case, &part("docstore"), &part("index_store")).map(Self::Index)
    }

    /// Applies the operation. An error is told in words.
    async fn apply(&self, ctx: &StorageContext) -> Result<Value, String> {
        let store = ctx.docstore();
        let vectors = || ctx.vector_store().ok_or_else(|| "there is no default vector store".to_owned());
        let told = |e: docstore::Error| e.to_string();
        let vector_error = |e: vectorstore::Error| e.to_string();
        let found = |known: bool, must_exist: bool| {
            if known || !must_exist { Ok(Value::Null) } else { Err("not found".to_owned()) }
        };
        match self {
            Self::Add { nodes, options, .. } => {
                store.add_documents_with(nodes, *options).await.map(|()| Value::Null).map_err(told)
            }
            Self::DeleteDocument { id, must_exist, .. } => {
                found(store.delete_document(id).await.map_err(told)?, *must_exist)
            }
            Self::DeleteRefDoc { id, must_exist } => {
                found(store.delete_ref_doc(id).await.map_err(told)?.ref_docs > 0, *must_exist)
            }
            Self::SetHash { id, hash } => store.set_document_hash(id, hash).await.map(|()| Value::Null).map_err(told),
            Self::GetHash { id } => Ok(store.get_document_hash(id).await.map_err(told)?.into()),
            Self::GetDoc { id } => Ok(Value::Object(store.require_document(id).await.map_err(told)?.to_dict())),
            Self::GetAllHashes => Ok(by_hash(&store.get_all_document_hashes().await.map_err(told)?)),
            Self::VectorAdd { nodes } => {
                let ids = vectors()?.add(nodes).await.map_err(vector_error)?;
                Ok(Value::Array(ids.into_iter().map(Value::from).collect()))
            }
            Self::VectorGet { id } => match vectors()?.get(id).await.map_err(vector_error)? {
                Some(embedding) => Ok(embedding.into()),
                None => Err("not found".to_owned()),
            },
            Self::VectorDelete { ref_doc_id } => {
                vectors()?.delete(ref_doc_id).await.map(|_| Value::Null).map_err(vector_error)
            }
            Self::VectorDeleteNodes { selection } => {
                vectors()?.delete_nodes(selection).await.map(|_| Value::Null).map_err(vector_error)
            }
            // Compared hit by hit in `judge_result`, which asks again.
            Self::VectorQuery { question } => {
                let store = vectors()?;
                let dict = store.to_dict().unwrap_or(Value::Null);
                let ok_empty = |key| (key, Value::Array(Vec::new()));
                let nothing = ok([ok_empty("ids"), ok_empty("similarities")].into_iter().collect());
                match vectors::query(&*store, &dict, question, &nothing).await {
                    Outcome::Passed => nothing.get("ok").cloned().ok_or_else(String::new),
                    outcome => Err(format!("{outcome:?}")),
                }
            }
            Self::GraphGet { subj } => {
                let pairs = ctx.graph_store().get(subj).await.map_err(|e| e.to_string())?;
                Ok(Value::Array(pairs.into_iter().map(|(rel, obj)| Value::from(vec![rel, obj])).collect()))
            }
            Self::GraphUpsert { triplet: [subj, rel, obj] } => {
                ctx.graph_store().upsert_triplet(subj, rel, obj).await.map(|()| Value::Null).map_err(|e| e.to_string())
            }
            Self::GraphDelete { triplet: [subj, rel, obj] } => {
                ctx.graph_store().delete(subj, rel, obj).await.map(|_| Value::Null).map_err(|e| e.to_string())
            }
            Self::PropertyGraph(op) => op.apply(ctx).await,
            Self::Index(op) => op.apply(ctx).await,
        }
    }

    /// The rule by which LlamaIndex fails on its property graph, and ours does not.
    fn graph_failure(&self, before: &Value, expected: &Value, ours: &Result<Value, String>) -> Option<&'static Rule> {
        let (Self::PropertyGraph(op), Ok(ours)) = (self, ours) else { return None };
        let (kind, message) = python_error(expected)?;
        op.failure_rule(before, &kind, &message, ours)
    }

    /// Whether LlamaIndex's answer is its own list of a subject, which had what later operations put there when it was
    /// recorded.
    fn is_live_list(&self, expected: &Value, at_the_end: &Value) -> bool {
        match self {
            Self::GraphGet { subj } => {
                let list = at_the_end.as_object().and_then(|graph| graph.get(subj));
                list.is_some_and(|list| difference(expected, &ok(list.clone())).is_none())
            }
            _ => false,
        }
    }

    fn judge_result(&self, expected: &Value, ours: &Result<Value, String>) -> Outcome {
        let failed = || Outcome::Failed(format!("expected {expected}, ours: {ours:?}"));
        if let (Self::Index(op), Some((kind, message))) = (self, python_error(expected)) {
            return op.judge_error(&kind, &message, ours);
        }
        match (python_error(expected), ours) {
            (None, Ok(value)) => difference(expected, &ok(value.clone())).map_or(Outcome::Passed, Outcome::Failed),
            (None, Err(_)) => failed(),
            (Some((kind, message)), Err(ours)) => {
                if self.same_error(&kind, &message, ours) {
                    Outcome::Passed
                } else {
                    failed()
                }
            }
            (Some((kind, message)), Ok(_)) => match self {
                Self::Add { batch_size: Some(n), .. }
                    if *n != 1 && kind == "NotImplementedError" && message.starts_with("Batching not supported") =>
                {
                    Outcome::Deviation(rules::BATCHES)
                }
                // LlamaIndex complains after it has deleted all there was of the node.
                Self::DeleteDocument { id, .. }
                    if kind == "ValueError" && message == format!("doc_id {id} not found.") =>
                {
                    Outcome::Deviation(rules::KNOWN_BY_HASH)
                }
                _ => failed(),
            },
        }
    }

    fn same_error(&self, kind: &str, message: &str, ours: &str) -> bool {
        match self {
            Self::Add { nodes, .. } => {
                let named = |node: &Node| {
                    message == format!("node_id {} already exists. Set allow_update to True to overwrite.", node.id)
                };
                kind == "ValueError" && nodes.iter().any(named) && ours.contains("is already in collection")
            }
            Self::DeleteDocument { id, .. } | Self::GetDoc { id } => {
                kind == "ValueError" && message == format!("doc_id {id} not found.") && ours.contains("not found")
            }
            Self::DeleteRefDoc { id, .. } => {
                kind == "ValueError" && message == format!("ref_doc_id {id} not found.") && ours.contains("not found")
            }
            Self::VectorAdd { .. } => {
                kind == "ValueError" && message == "embedding not set." && ours.contains("embedding")
            }
            Self::VectorGet { id } => kind == "KeyError" && message == format!("'{id}'") && ours == "not found",
            _ => false,
        }
    }

    /// The rule by which a part is in another state after this operation.
    fn state_rule(&self, part: &PyString, result: &Value, theirs: &Value, ours: &Value) -> Option<&'static Rule> {
        let entry =
            |store: &Value, collection: &str, id: &PyString| store.get(collection)?.as_object()?.get(id).cloned();
        match (part.to_str()?, self) {
            ("doc_store", Self::Add { batch_size: Some(n), nodes, .. })
                if *n != 1 && python_error(result).is_some() =>
            {
                let added = nodes.iter().all(|node| entry(ours, "docstore/data", &node.id) == Some(node.to_value()));
                added.then_some(rules::BATCHES)
            }
            ("doc_store", Self::SetHash { id, hash }) => {
                let record = entry(ours, "docstore/metadata", id)?;
                let hash_set =
                    record.get("doc_hash").and_then(Value::as_str).is_some_and(|found| *found == hash.as_str());
                let only_hash: Value = [("doc_hash", hash.as_str())].into_iter().collect();
                let theirs_lost = entry(theirs, "docstore/metadata", id) == Some(only_hash);
                (hash_set && theirs_lost && record.get("ref_doc_id").is_some()).then_some(rules::KEPT_RECORDS)
            }
            ("doc_store", Self::DeleteDocument { id, asynchronous: true, .. }) => {
                let listed = |store: &Value| {
                    let infos =
                        store.get("docstore/ref_doc_info").and_then(Value::as_object).cloned().unwrap_or_default();
                    infos.values().any(|info| {
                        info.get("node_ids")
                            .and_then(Value::as_array)
                            .is_some_and(|ids| ids.iter().any(|listed| listed.as_str() == Some(id)))
                    })
                };
                let gone = entry(ours, "docstore/data", id).is_none() && entry(ours, "docstore/metadata", id).is_none();
                (gone && !listed(ours) && listed(theirs)).then_some(rules::ASYNC_DELETE)
            }
            ("graph_store", Self::GraphDelete { triplet: [subj, rel, obj] }) => {
                let pair = Value::from(vec![rel.clone(), obj.clone()]);
                let has = |store: &Value| {
                    let pairs = store
                        .get("graph_dict")
                        .and_then(|graph| graph.as_object()?.get(subj)?.as_array().map(<[_]>::to_vec));
                    pairs.is_some_and(|pairs| pairs.contains(&pair))
                };
                (has(theirs) && !has(ours)).then_some(rules::GRAPH_DELETE)
            }
            ("vector_store", Self::VectorAdd { .. }) if python_error(result).is_some() => Some(rules::PREPARED_ADDS),
            ("vector_store", Self::VectorDeleteNodes { selection }) if selection.is_unrestricted() => {
                let rows = |store: &Value| {
                    store.get("default").and_then(|s| s.get("embedding_dict")?.as_object().map(Object::len))
                };
                (rows(theirs) == Some(0) && rows(ours) > Some(0)).then_some(rules::EMPTY_REQUEST)
            }
            _ => None,
        }
    }
}

/// A node as the operations give it.
pub(super) fn node(given: &Value) -> Option<Node> {
    let text = |key: &str| given.get(key).and_then(Value::as_str).cloned();
    let mut node = Node::text(text("text")?).with_id(text("id_")?);
    node.metadata = given.get("metadata")?.as_object()?.clone();
    if let Some(source) = text("source") {
        node = node.with_source(source);
    }
    if let Some(embedding) = given.get("embedding").and_then(Value::as_array) {
        node.embedding = embedding.iter().map(Value::as_f64).collect();
    }
    Some(node)
}
