//! The vector stores: their content, and queries by vector.

use anyhow::Result;
use colca::prelude::*;
use colca::vectorstore::{self, VectorStoreQueryMode};

use super::docstore::ok;
use super::{Answers, Area, Case, Outcome};
use crate::corpus::expected::{difference, python_error, short, untag};
use crate::corpus::rules::{self, Rule};

/// How far two similarities may lie apart: LlamaIndex's come from a library that does not say in which order it adds.
const TOLERANCE: f64 = 1e-9;

pub(super) async fn run(case: &Case, ctx: &StorageContext, answers: &mut Answers) -> Result<()> {
    let Some(expected) = case.expect.get("vector_stores").map(untag) else { return Ok(()) };
    for (namespace, expected) in expected.as_object().into_iter().flatten() {
        let name = namespace.to_string();
        let at = |part| ["vector_stores", &name, part];
        let Some(store) = ctx.vector_store_of(&name) else {
            answers.put(Area::VectorStores, &at("data"), Outcome::Failed("ours has no such namespace".to_owned()));
            continue;
        };
        let data = expected.get("data").cloned().unwrap_or(Value::Null);
        if data.get("ok").is_some_and(|data| data.get("embedding_dict").is_none()) {
            // A store of another kind, which tells nothing of its content.
            answers.put(Area::VectorStores, &at("data"), Outcome::NotYet);
            continue;
        }
        let dict = store.to_dict().unwrap_or(Value::Null);
        answers.equal_or(Area::VectorStores, &at("data"), &data, &ok(dict.clone()), || {
            data_rule(case, &name, &data, &dict)
        });
        let order =
            dict.get("embedding_dict").and_then(Value::as_object).map(|rows| rows.keys().map(Value::from).collect());
        let order = Value::Array(order.unwrap_or_default());
        answers.equal(Area::VectorStores, &at("order"), expected.get("order").unwrap_or(&Value::Null), &order);
        let questions =
            case.question("vector_queries").and_then(|all| all.get(&name).cloned()).unwrap_or(Value::Array(Vec::new()));
        let recorded = expected.get("queries").and_then(Value::as_array).unwrap_or_default();
        for (i, (question, expected)) in questions.as_array().unwrap_or_default().iter().zip(recorded).enumerate() {
            let outcome = query(&*store, &dict, question, expected).await;
            answers.put(Area::VectorStores, &["vector_stores", &name, "queries", &i.to_string()], outcome);
        }
    }
    Ok(())
}

/// The rule by which the content differs.
fn data_rule(case: &Case, namespace: &str, expected: &Value, ours: &Value) -> Option<&'static Rule> {
    let names = FileNames::default();
    let stored = case.json(&names.vector_store(namespace)).or_else(|| case.json("vector_store.json"))?;
    let mut undone = ours.as_object()?.clone();
    let mut rule = None;
    if stored.get("text_id_to_ref_doc_id").is_none()
        && stored.get("text_id_to_doc_id") == undone.get(&b"text_id_to_ref_doc_id"[..])
    {
        undone.insert("text_id_to_ref_doc_id".into(), Value::Object(Default::default()));
        rule = Some(rules::OLD_VECTOR_KEYS);
    }
    undone.retain(|key, value| {
        let known = ["embedding_dict", "text_id_to_ref_doc_id", "metadata_dict"].iter().any(|known| *key == **known);
        let unknown = !known && stored.get(&key.to_string()) == Some(value);
        if unknown {
            rule = Some(rules::UNKNOWN_FIELDS);
        }
        !unknown
    });
    difference(expected, &ok(Value::Object(undone))).is_none().then_some(rule).flatten()
}

/// One query, answered and compared.
pub(super) async fn query(store: &dyn VectorStore, dict: &Value, question: &Value, expected: &Value) -> Outcome {
    let Some(asked) = read(question) else { return Outcome::NotYet };
    if asked.mode != VectorStoreQueryMode::Default || question.get("filters").is_some_and(|filters| !filters.is_null())
    {
        return Outcome::NotYet;
    }
    let ours = store.query(&asked).await;
    match (python_error(expected), ours) {
        (None, Ok(ours)) => match same_hits(expected, &ours) {
            None => Outcome::Passed,
            Some(why) => {
                deviation(store, dict, &asked, expected).await.map_or(Outcome::Failed(why), Outcome::Deviation)
            }
        },
        (Some((kind, message)), Err(e))
            if kind == "ValueError" && python_message(dict, &asked, &e) == Some(message.clone()) =>
        {
            Outcome::Passed
        }
        (Some((kind, message)), ours) => Outcome::Failed(format!("LlamaIndex: {kind}: {message}; ours: {ours:?}")),
        (None, Err(e)) => Outcome::Failed(format!("ours: {e}")),
    }
}

fn read(question: &Value) -> Option<VectorStoreQuery> {
    let mode = match question.get("mode").and_then(Value::as_str).map(ToString::to_string).as_deref() {
        None | Some("default") => VectorStoreQueryMode::Default,
        Some("mmr") => VectorStoreQueryMode::Mmr,
        Some("sparse") => VectorStoreQueryMode::Sparse,
        _ => return None,
    };
    let floats = |value: &Value| value.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>();
    let ids = |key: &str| {
        let items = question.get(key)?.as_array()?;
        Some(items.iter().filter_map(Value::as_str).cloned().collect::<Vec<_>>())
    };
    let mut query = VectorStoreQuery::new(question.get("embedding").and_then(floats)?).with_mode(mode);
    query.similarity_top_k = match question.get("top_k") {
        None => Some(1),
        Some(Value::Int(k)) => Some(*k),
        Some(_) => None,
    };
    query.node_ids = ids("node_ids");
    query.doc_ids = ids("doc_ids");
    Some(query)
}

/// Why the hits differ: ids in order, similarities within the tolerance. Ids whose similarities are that close may
/// change places.
fn same_hits(expected: &Value, ours: &VectorStoreQueryResult) -> Option<String> {
    let hits = |key: &str| expected.get("ok").and_then(|ok| ok.get(key)).and_then(Value::as_array).unwrap_or_default();
    let (ids, scores) = (hits("ids"), hits("similarities"));
    let told = || format!("expected {}, got {:?} {:?}", short(expected), ours.ids, ours.similarities);
    if ids.len() != ours.ids.len() || scores.len() != ours.similarities.len() || ids.len() != scores.len() {
        return Some(told());
    }
    let same = scores.iter().zip(&ours.similarities).all(|(a, b)| same_score(a, *b))
        && ids.iter().zip(&ours.ids).all(|(a, b)| a.as_str() == Some(b));
    (!same).then(told)
}

/// The rule by which the hits differ, if the query or the stored vectors give cause to one.
async fn deviation(
    store: &dyn VectorStore,
    dict: &Value,
    asked: &VectorStoreQuery,
    expected: &Value,
) -> Option<&'static Rule> {
    if asked.doc_ids.is_some() {
        // Without the restriction, which LlamaIndex ignores, it must be the same.
        let mut unrestricted = asked.clone();
        unrestricted.doc_ids = None;
        let all = store.query(&unrestricted).await.ok()?;
        return same_hits(expected, &all).is_none().then_some(rules::DOC_IDS);
    }
    let finite = |row: &[f64]| row.iter().all(|x| x.is_finite()) && row.iter().any(|&x| x != 0.0);
    let query_finite = asked.query_embedding.as_deref().is_some_and(finite);
    let rows = dict.get("embedding_dict")?.as_object()?;
    let row_finite = |row: &Value| {
        row.as_array().is_some_and(|row| finite(&row.iter().filter_map(Value::as_f64).collect::<Vec<_>>()))
    };
    if query_finite && rows.values().all(row_finite) {
        return None;
    }
    // LlamaIndex compares with NaN, so what it found and in which order is an accident. Still every similarity it tells
    // must be ours, and ours must be as many: those that can be compared in order, then the others.
    let mut everything = asked.clone();
    everything.similarity_top_k = None;
    let everything = store.query(&everything).await.ok()?;
    let hits = |key: &str| expected.get("ok").and_then(|ok| ok.get(key)).and_then(Value::as_array).unwrap_or_default();
    let ours = store.query(asked).await.ok()?;
    let agrees = hits("ids").iter().zip(hits("similarities")).all(|(id, score)| {
        let at = everything.ids.iter().position(|known| id.as_str() == Some(known));
        at.is_some_and(|at| same_score(score, everything.similarities[at]))
    });
    let count = hits("ids").len() == ours.ids.len() && hits("similarities").len() == ours.ids.len();
    let comparable = ours.similarities.iter().take_while(|score| !score.is_nan()).count();
    let sorted = ours.similarities[..comparable].windows(2).all(|pair| pair[0] >= pair[1]);
    let rest_last = ours.similarities[comparable..].iter().all(|score| score.is_nan());
    (agrees && count && sorted && rest_last).then_some(rules::NEVER_WINS)
}

/// Whether two similarities are the same but for the order in which LlamaIndex's library adds.
fn same_score(expected: &Value, ours: f64) -> bool {
    let close = |a: f64, b: f64| a == b || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs());
    matches!(expected, Value::Float(a) if close(*a, ours) || (a.is_nan() && ours.is_nan()))
}

/// What LlamaIndex's library says of lengths that do not fit.
fn python_message(dict: &Value, asked: &VectorStoreQuery, ours: &vectorstore::Error) -> Option<String> {
    match ours {
        vectorstore::Error::QueryDimension { stored, query, .. } => {
            Some(format!("shapes ({query},) and ({stored},) not aligned: {query} (dim 0) != {stored} (dim 0)"))
        }
        vectorstore::Error::Ragged { .. } => {
            let rows = dict.get("embedding_dict")?.as_object()?;
            let n = rows.keys().filter(|id| asked.node_ids.as_ref().is_none_or(|ids| ids.contains(id))).count();
            let what = "setting an array element with a sequence. The requested array has an inhomogeneous shape after 1 dimensions.";
            Some(format!("{what} The detected shape was ({n},) + inhomogeneous part."))
        }
        _ => None,
    }
}
