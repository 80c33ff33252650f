//! The vector stores: their content, and queries by vector.

use anyhow::Result;
use colca::prelude::*;
use colca::raw_json::Object;
use colca::vectorstore::{
    self, Filter, FilterCondition, FilterOperator, Learner, MetadataFilter, MetadataFilters, NodeSelection,
    VectorStoreQueryMode,
};

use super::docstore::ok;
use super::{Answers, Area, Case, Outcome, not_understood};
use crate::expected::{difference, python_error, short, untag};
use crate::rules::{self, Rule};

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
            let outcome = match store.to_dict() {
                None => Outcome::Deviation(rules::FOREIGN_STORES),
                Some(dict) => Outcome::Failed(format!("ours has content: {}", short(&dict))),
            };
            answers.put(Area::VectorStores, &at("data"), outcome);
            let none = Value::from(Vec::<Value>::new());
            answers.equal(Area::VectorStores, &at("order"), expected.get("order").unwrap_or(&none), &none);
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
    let Some(asked) = read(question) else { return not_understood(question) };
    let ours = store.query(&asked).await;
    let tolerance = tolerance(&asked);
    match (python_error(expected), ours) {
        (None, Ok(ours)) => match same_hits(expected, &ours, tolerance) {
            None => Outcome::Passed,
            Some(why) => {
                deviation(store, dict, &asked, expected).await.map_or(Outcome::Failed(why), Outcome::Deviation)
            }
        },
        (Some(theirs), Err(e)) if python_says(dict, &asked, &e) == Some(theirs.clone()) => Outcome::Passed,
        (Some((kind, message)), Ok(ours)) if kind == "ValueError" && message == NESTED => {
            let plain = match without_groups(dict, &asked) {
                Some(plain) => store.query(&plain).await.ok(),
                None => None,
            };
            match plain {
                Some(plain) if plain == ours => Outcome::Deviation(rules::NESTED_FILTERS),
                plain => Outcome::Failed(format!("groups in groups: one by one {plain:?}, ours: {ours:?}")),
            }
        }
        // It looks for the next result under the id of the one before, or of none.
        (Some((kind, _)), Ok(ours))
            if kind == "KeyError"
                && asked.mode == VectorStoreQueryMode::Mmr
                && ours.similarities.iter().any(|x| x.is_nan()) =>
        {
            Outcome::Deviation(rules::NEVER_WINS)
        }
        (Some((kind, message)), ours) => Outcome::Failed(format!("LlamaIndex: {kind}: {message}; ours: {ours:?}")),
        (None, Err(e)) => Outcome::Failed(format!("ours: {e}")),
    }
}

/// What LlamaIndex says of groups in groups.
const NESTED: &str = "Nested MetadataFilters are not supported.";

/// The same query with the ids of the nodes that pass in place of filters with groups in them: each filter is applied by
/// itself, as LlamaIndex applies it, and groups are put together here.
fn without_groups(dict: &Value, asked: &VectorStoreQuery) -> Option<VectorStoreQuery> {
    fn passes(group: &MetadataFilters, id: &PyString, metadata: &Object) -> Option<bool> {
        let member = |filter: &Filter| match filter {
            Filter::Group(group) => passes(group, id, metadata),
            field => MetadataFilters::all([field.clone()]).matches(id, metadata, Mismatch::Error).ok(),
        };
        let members = group.filters.iter().map(member).collect::<Option<Vec<bool>>>()?;
        Some(match group.condition {
            FilterCondition::And => !members.contains(&false),
            FilterCondition::Or => members.contains(&true),
            FilterCondition::Not => !members.contains(&true),
        })
    }
    let filters = asked.selection.filters.as_ref()?;
    filters.filters.iter().find(|filter| matches!(filter, Filter::Group(_)))?;
    let mut ids = Vec::new();
    for (id, metadata) in dict.get("metadata_dict")?.as_object()? {
        if asked.selection.node_ids.as_ref().is_none_or(|ids| ids.contains(id))
            && passes(filters, id, metadata.as_object()?)?
        {
            ids.push(id.clone());
        }
    }
    let mut plain = asked.clone();
    plain.selection.filters = None;
    plain.selection.node_ids = Some(ids);
    Some(plain)
}

fn read(question: &Value) -> Option<VectorStoreQuery> {
    let mode = match question.get("mode").and_then(Value::as_str) {
        None => VectorStoreQueryMode::Default,
        Some(name) => VectorStoreQueryMode::ALL.into_iter().find(|mode| *name == *mode.name())?,
    };
    let floats = |value: &Value| value.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>();
    let mut query = VectorStoreQuery::new(question.get("embedding").and_then(floats)?)
        .with_mode(mode)
        .with_learner(Learner::AlwaysSvm)
        .with_mmr_threshold(question.get("mmr_threshold").and_then(Value::as_f64));
    query.similarity_top_k = match question.get("top_k") {
        None => Some(1),
        Some(Value::Int(k)) => Some(*k),
        Some(_) => None,
    };
    query.selection = selection(question)?;
    Some(query)
}

/// The restrictions of a query or a deletion.
pub(super) fn selection(question: &Value) -> Option<NodeSelection> {
    let ids = |key: &str| {
        let items = question.get(key)?.as_array()?;
        Some(items.iter().filter_map(Value::as_str).cloned().collect::<Vec<_>>())
    };
    let mut selection = NodeSelection::default();
    selection.node_ids = ids("node_ids");
    selection.doc_ids = ids("doc_ids");
    if let Some(filters) = question.get("filters").filter(|filters| !filters.is_null()) {
        selection.filters = Some(MetadataFilters::from_value(filters).ok()?);
    }
    Some(selection)
}

/// How far two similarities may lie apart, in proportion and in absolute terms: LlamaIndex's come from a library that
/// does not say in which order it adds, and in MMR they are differences. A learner is fitted until it is good enough.
fn tolerance(asked: &VectorStoreQuery) -> [f64; 2] {
    match asked.mode {
        VectorStoreQueryMode::Default => [1e-9, 0.0],
        VectorStoreQueryMode::Mmr => [1e-9, 1e-12],
        _ => [1e-4, 1e-4],
    }
}

/// Why the hits differ: ids in order, similarities within the tolerance.
fn same_hits(expected: &Value, ours: &VectorStoreQueryResult, tolerance: [f64; 2]) -> Option<String> {
    let hits = |key: &str| expected.get("ok").and_then(|ok| ok.get(key)).and_then(Value::as_array).unwrap_or_default();
    let (ids, scores) = (hits("ids"), hits("similarities"));
    let told = || format!("expected {}, got {:?} {:?}", short(expected), ours.ids, ours.similarities);
    if ids.len() != ours.ids.len() || scores.len() != ours.similarities.len() || ids.len() != scores.len() {
        return Some(told());
    }
    let same = scores.iter().zip(&ours.similarities).all(|(a, b)| same_score(a, *b, tolerance))
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
    let tolerance = tolerance(asked);
    if asked.selection.doc_ids.is_some() {
        // Without the restriction, which LlamaIndex ignores, it must be the same.
        let mut unrestricted = asked.clone();
        unrestricted.selection.doc_ids = None;
        let all = store.query(&unrestricted).await.ok()?;
        return same_hits(expected, &all, tolerance).is_none().then_some(rules::DOC_IDS);
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
        at.is_some_and(|at| same_score(score, everything.similarities[at], tolerance))
    });
    let count = hits("ids").len() == ours.ids.len() && hits("similarities").len() == ours.ids.len();
    let comparable = ours.similarities.iter().take_while(|score| !score.is_nan()).count();
    let sorted = ours.similarities[..comparable].windows(2).all(|pair| pair[0] >= pair[1]);
    let rest_last = ours.similarities[comparable..].iter().all(|score| score.is_nan());
    (agrees && count && sorted && rest_last).then_some(rules::NEVER_WINS)
}

/// Whether two similarities are the same but for the tolerance.
fn same_score(expected: &Value, ours: f64, [relative, absolute]: [f64; 2]) -> bool {
    let close = |a: f64, b: f64| a == b || (a - b).abs() <= (relative * a.abs().max(b.abs())).max(absolute);
    matches!(expected, Value::Float(a) if close(*a, ours) || (a.is_nan() && ours.is_nan()))
}

/// The type and message of the error that LlamaIndex raises where ours is this.
pub(super) fn python_says(
    dict: &Value,
    asked: &VectorStoreQuery,
    ours: &vectorstore::Error,
) -> Option<(String, String)> {
    let value_error = |message: String| Some(("ValueError".to_owned(), message));
    let not_aligned = |query: usize, stored: usize| {
        value_error(format!("shapes ({query},) and ({stored},) not aligned: {query} (dim 0) != {stored} (dim 0)"))
    };
    match ours {
        vectorstore::Error::QueryDimension { stored, query, .. } => not_aligned(*query, *stored),
        // Here it compares one by one.
        vectorstore::Error::Ragged { first_len, other_len, .. } if asked.mode == VectorStoreQueryMode::Mmr => {
            let query = asked.query_embedding.as_ref()?.len();
            not_aligned(query, if query == *first_len { *other_len } else { *first_len })
        }
        vectorstore::Error::Ragged { .. } => {
            let rows = dict.get("embedding_dict")?.as_object()?;
            let node_ids = &asked.selection.node_ids;
            let n = rows.keys().filter(|id| node_ids.as_ref().is_none_or(|ids| ids.contains(id))).count();
            let what = "setting an array element with a sequence. The requested array has an inhomogeneous shape after 1 dimensions.";
            value_error(format!("{what} The detected shape was ({n},) + inhomogeneous part."))
        }
        vectorstore::Error::UnsupportedMode { mode, .. } => {
            value_error(format!("Invalid query mode: VectorStoreQueryMode.{}", mode.name().to_uppercase()))
        }
        vectorstore::Error::NoMetadata => value_error(
            "Cannot filter stores that were persisted without metadata. \
             Please rebuild the store with metadata to enable filtering."
                .to_owned(),
        ),
        vectorstore::Error::NodeWithoutMetadata { id } => Some(("KeyError".to_owned(), format!("'{id}'"))),
        vectorstore::Error::FilterMismatch { id, filter, .. } => {
            let metadata = dict.get("metadata_dict")?.get(&id.to_string())?;
            let filters = asked.selection.filters.as_ref()?;
            let filter = filters.fields().find(|known| known.to_string() == *filter)?;
            let message = python_type_error(filter, metadata.get(&filter.key.to_string())?)?;
            Some(("TypeError".to_owned(), message))
        }
        _ => None,
    }
}

/// What Python says when a filter cannot be applied.
fn python_type_error(filter: &MetadataFilter, found: &Value) -> Option<String> {
    let type_of = |value: &Value| match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::BigInt(_) => "int",
        Value::Float(_) => "float",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    };
    let not_in = |item: &Value, container: &Value| match container {
        Value::String(_) => format!("'in <string>' requires string as left operand, not {}", type_of(item)),
        _ => format!("argument of type '{}' is not iterable", type_of(container)),
    };
    let wanted = filter.value.as_value();
    Some(match filter.operator {
        FilterOperator::Gt | FilterOperator::Gte | FilterOperator::Lt | FilterOperator::Lte => {
            let operator = filter.operator.name();
            format!("'{operator}' not supported between instances of '{}' and '{}'", type_of(found), type_of(wanted))
        }
        FilterOperator::In | FilterOperator::Nin => not_in(found, wanted),
        FilterOperator::Contains => not_in(wanted, found),
        FilterOperator::Any | FilterOperator::All => match wanted {
            Value::Array(items) => not_in(items.first()?, found),
            Value::String(_) => not_in(wanted, found),
            other => format!("'{}' object is not iterable", type_of(other)),
        },
        FilterOperator::TextMatch | FilterOperator::TextMatchInsensitive => format!(
            "Both metadata_value and value should be strings to be used with a {} filter",
            filter.operator.name().to_uppercase()
        ),
        FilterOperator::Eq | FilterOperator::Ne | FilterOperator::IsEmpty => return None,
    })
}
