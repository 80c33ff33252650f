//! Random metadata filters and searches, in contexts' stores and in small stores of their own.

use anyhow::{Context, Result, ensure};
use colca::raw_json::{Object, PyString, RawJson, Value};
use colca::vectorstore::{FilterCondition, FilterOperator};
use support::Random;

use super::text::text;
use super::values::{Oddities, Precision, entries, object};

/// Operators that can be applied to anything.
const SAFE: [FilterOperator; 3] = [FilterOperator::Eq, FilterOperator::Ne, FilterOperator::IsEmpty];

/// A group of filters in LlamaIndex's JSON that often has to do with this metadata.
pub(super) fn filters(random: &mut Random, metadata: &Object, operators: &[FilterOperator]) -> Value {
    let n = if random.chance(5) { 0 } else { random.between(1, 3) };
    let filters = random.list(n, |random| filter(random, metadata, operators));
    let condition = match random.below(5) {
        0 => Value::Null,
        _ => random.pick(&FilterCondition::ALL).name().into(),
    };
    object([("filters", Value::Array(filters)), ("condition", condition)])
}

/// For deletions: filters that can be applied to anything, since LlamaIndex stops half-way where one cannot.
pub(super) fn safe_filters(random: &mut Random) -> Value {
    let known = metadata(random);
    filters(random, &known, &SAFE)
}

fn metadata(random: &mut Random) -> Object {
    entries(random, Oddities { surrogate_keys: false, ..Oddities::ALL })
}

fn filter(random: &mut Random, metadata: &Object, operators: &[FilterOperator]) -> Value {
    let known = (!metadata.is_empty() && random.chance(85)).then(|| random.below(metadata.len()));
    let (key, found) = match known.and_then(|at| metadata.get_index(at)) {
        Some((key, found)) => (key.clone(), found.clone()),
        None => (text(random, true), Value::Null),
    };
    let operator = *random.pick(operators);
    let value = match operator {
        FilterOperator::In | FilterOperator::Nin | FilterOperator::Any | FilterOperator::All if random.chance(80) => {
            list(random, &found)
        }
        _ if random.chance(10) => list(random, &found),
        _ => scalar(random, &found),
    };
    object([("key", key.into()), ("value", value), ("operator", operator.name().into())])
}

/// A value that LlamaIndex takes, and that is often the one found, or in it, or near it.
fn scalar(random: &mut Random, found: &Value) -> Value {
    match found {
        Value::Array(items) if !items.is_empty() && random.chance(70) => {
            let item = random.pick(items).clone();
            scalar(random, &item)
        }
        Value::Object(entries) if !entries.is_empty() && random.chance(50) => {
            let at = random.below(entries.len());
            entries.get_index(at).map(|(key, _)| key).into()
        }
        Value::Bool(b) if random.chance(70) => i64::from(*b).into(),
        Value::Int(n) if random.chance(70) => match random.below(3) {
            0 => n.saturating_add(1).into(),
            1 => (*n as f64).into(),
            _ => (*n).into(),
        },
        Value::String(whole) if random.chance(70) => match random.below(3) {
            0 => whole.into(),
            1 => whole.to_lowercase().into(),
            _ => part(random, whole).into(),
        },
        Value::BigInt(_) | Value::Float(_) if random.chance(70) => found.clone(),
        _ => match random.below(5) {
            0 => Value::Null,
            1 => (random.below(20) as i64 - 10).into(),
            2 => (random.below(40) as f64 / 4.0 - 5.0).into(),
            _ => text(random, true).into(),
        },
    }
}

fn part(random: &mut Random, whole: &PyString) -> PyString {
    let points: Vec<u32> = whole.code_points().collect();
    let start = random.below(points.len());
    let end = start + random.below(points.len() - start.min(points.len()) + 1);
    PyString::from_code_points(points[start..end.min(points.len())].iter().copied())
}

/// Of one kind, since LlamaIndex takes no others.
fn list(random: &mut Random, found: &Value) -> Value {
    let first = scalar(random, found);
    let n = random.below(4);
    let others: Vec<Value> = match &first {
        Value::String(_) => random.list(n, |random| text(random, true).into()),
        Value::Int(_) | Value::BigInt(_) | Value::Float(_) => random.list(n, |random| match random.below(3) {
            0 => (random.below(40) as f64 / 4.0).into(),
            _ => (random.below(20) as i64).into(),
        }),
        _ => return Value::Array(Vec::new()),
    };
    Value::Array(std::iter::once(first).chain(others).collect())
}

/// Whether a node with this metadata passes these filters.
pub(super) fn passing(random: &mut Random) -> Value {
    let metadata = metadata(random);
    let filters = filters(random, &metadata, &FilterOperator::ALL);
    object([("op", "filters.pass".into()), ("filters", filters), ("metadata", metadata.into())])
}

/// The cells of the truth table in docs/filters.md: questions, and what is written there.
pub(super) fn written_cells() -> Result<Vec<(Value, String)>> {
    let page = std::fs::read_to_string(support::root().join("docs/filters.md"))?;
    let mut rows = page.lines().filter(|line| line.starts_with("| ")).map(|line| {
        line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect::<Vec<_>>()
    });
    let json = |text: &str| Ok::<_, anyhow::Error>(text.parse::<RawJson>()?.value());
    let columns = rows.next().context("docs/filters.md has no table")?;
    let mut cells = Vec::new();
    for row in rows.skip(1) {
        let (operator, value) = row[0].split_once(' ').unwrap_or((&row[0], "null"));
        let filter = object([("key", "k".into()), ("value", json(value)?), ("operator", operator.into())]);
        let filters = object([("filters", Value::Array(vec![filter])), ("condition", "and".into())]);
        ensure!(row.len() == columns.len(), "a row of docs/filters.md has {} cells", row.len());
        for (column, written) in columns.iter().zip(&row).skip(1) {
            let metadata = if column == "missing" { object([]) } else { object([("k", json(column)?)]) };
            let question = [("op", "filters.pass".into()), ("filters", filters.clone()), ("metadata", metadata)];
            cells.push((object(question), written.clone()));
        }
    }
    Ok(cells)
}

/// A search in a store of its own, by MMR or a learner: of numbers that LlamaIndex's library is at home with.
pub(super) fn search(random: &mut Random) -> Value {
    let dimension = random.between(3, 12);
    let n = random.between(1, 25);
    let row = |random: &mut Random| {
        let numbers = random.list(dimension, |random| random.unit() * 2.0 - 1.0);
        Value::from(numbers)
    };
    let mut rows = random.list(n, row);
    if random.chance(20) {
        rows.push(rows[0].clone());
    }
    let mode = *random.pick(&["mmr", "svm", "linear_regression", "logistic_regression"]);
    let top_k = if mode == "mmr" { random.between(1, 8).into() } else { Value::Null };
    let threshold = if random.chance(40) { Value::Null } else { random.unit().into() };
    let query = row(random);
    object([
        ("op", "vs.search".into()),
        ("rows", Value::Array(rows)),
        ("embedding", query),
        ("mode", mode.into()),
        ("top_k", top_k),
        ("mmr_threshold", threshold),
    ])
}

/// What a query of a context's store is restricted by, and how it searches; often by nothing, and by similarity.
pub(super) fn mode(random: &mut Random, precision: Precision, dimension: usize) -> [(&'static str, Value); 3] {
    let known = metadata(random);
    let filters = if random.chance(60) { Value::Null } else { filters(random, &known, &FilterOperator::ALL) };
    // Where many similarities are equal but for the last digit, MMR goes different ways.
    let coarse = matches!(precision, Precision::Integer) || dimension < 3;
    let mmr = random.chance(20) && !coarse;
    let threshold = if mmr && random.chance(60) { random.unit().into() } else { Value::Null };
    [("filters", filters), ("mode", if mmr { "mmr" } else { "default" }.into()), ("mmr_threshold", threshold)]
}
