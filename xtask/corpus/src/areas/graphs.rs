//! The graph stores: their content, the rel maps of triplets, and the questions to the property graph.

use anyhow::Result;
use colca::prelude::*;
use colca::raw_json::{Object, py_str};

use super::docstore::ok;
use super::{Answers, Area, Case, Outcome, property_graph};
use crate::expected::{difference, python_error, untag};
use crate::rules;

pub(super) async fn run(case: &Case, ctx: &StorageContext, answers: &mut Answers) -> Result<()> {
    if let Some(expected) = case.expect.get("graph_store").map(untag) {
        let data = expected.get("data").cloned().unwrap_or(Value::Null);
        let ours = ok(ctx.graph_store().to_dict().unwrap_or(Value::Null));
        answers.equal_or(Area::Graphs, &["graph_store", "data"], &data, &ours, || {
            let known = without_unknown(&ours, &["graph_dict"]);
            if difference(&data, &known).is_none() {
                return Some(rules::UNKNOWN_FIELDS);
            }
            let strings = known.get("ok").and_then(|ok| ok.get("graph_dict")).map(as_strings);
            let strings = ok([("graph_dict", strings)].into_iter().collect());
            difference(&data, &strings).is_none().then_some(rules::GRAPH_VALUES)
        });
        let questions = case.question("rel_map").unwrap_or(Value::Array(Vec::new()));
        let recorded = expected.get("rel_map").and_then(Value::as_array).unwrap_or_default();
        for (i, (question, expected)) in questions.as_array().unwrap_or_default().iter().zip(recorded).enumerate() {
            let outcome = rel_map(ctx, question, expected).await;
            answers.put(Area::Graphs, &["graph_store", "rel_map", &i.to_string()], outcome);
        }
    }
    let (Some(expected), Some(graph)) =
        (case.expect.get("property_graph_store").map(untag), ctx.property_graph_store())
    else {
        return Ok(());
    };
    let data = expected.get("data").cloned().unwrap_or(Value::Null);
    let ours = ok(graph.to_dict().unwrap_or(Value::Null));
    answers.equal_or(Area::Graphs, &["property_graph_store", "data"], &data, &ours, || {
        let known = without_unknown(&ours, &["nodes", "relations", "triplets"]);
        difference(&data, &known).is_none().then_some(rules::UNKNOWN_FIELDS)
    });
    property_graph::run(case, &**graph, &expected, answers).await
}

/// A graph with Python's `str` of every value in its lists.
pub(super) fn as_strings(graph: &Value) -> Value {
    match graph {
        Value::Object(subjects) => subjects.iter().map(|(subject, pairs)| (subject, as_strings(pairs))).collect(),
        Value::Array(items) => Value::Array(items.iter().map(as_strings).collect()),
        other => py_str(other).into(),
    }
}

fn without_unknown(answer: &Value, known: &[&str]) -> Value {
    let entries = answer.get("ok").and_then(Value::as_object).cloned().unwrap_or_default();
    let known = entries.into_iter().filter(|(key, _)| known.iter().any(|known| *key == **known)).collect::<Object>();
    ok(Value::Object(known))
}

async fn rel_map(ctx: &StorageContext, question: &Value, expected: &Value) -> Outcome {
    let number = |key: &str, default| question.get(key).and_then(Value::as_f64).map_or(default, |n| n as usize);
    let subjs: Option<Vec<PyString>> = question
        .get("subjs")
        .and_then(Value::as_array)
        .map(|subjs| subjs.iter().filter_map(Value::as_str).cloned().collect());
    let ours = ctx.graph_store().get_rel_map(subjs.as_deref(), number("depth", 2), number("limit", 30)).await;
    match (python_error(expected), ours) {
        (None, Ok(map)) => {
            let ours: Value = map
                .into_iter()
                .map(|(subj, triplets)| {
                    let lists = triplets.into_iter().map(|t| Value::from(vec![t.subject, t.relation, t.object]));
                    (subj, Value::Array(lists.collect()))
                })
                .collect();
            difference(expected, &ok(ours)).map_or(Outcome::Passed, Outcome::Failed)
        }
        (python, ours) => Outcome::Failed(format!("LlamaIndex: {python:?}; ours: {ours:?}")),
    }
}
