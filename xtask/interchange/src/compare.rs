//! When files and answers are the same.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use colca::raw_json::{Object, PyString, RawJson, Text, Value};
use corpus::{difference, short};

use super::errors;
use super::renaming::Renaming;

/// How far two similarities may lie apart, relatively: LlamaIndex's library does not say in which order it adds.
const TOLERANCE: f64 = 1e-9;

/// The same for those that a fitted model gives, and for small ones how far in absolute terms.
const TOLERANCE_OF_LEARNERS: f64 = 1e-4;

/// Where an index store of ours remembers models. LlamaIndex does not know of it.
const MODELS: &[u8] = b"index_store/embedding";

/// Persisted files by name, ready to be compared: sets are sorted, random ids named in order, and without the models
/// that ours remembers.
pub(super) fn read_files(dir: &Path) -> Result<Object> {
    let mut files = Object::new();
    for (name, bytes) in read_bytes(dir)? {
        let value = Text::decode(bytes).and_then(|text| RawJson::parse(&text)).with_context(|| name.clone())?.value();
        files.insert(name.as_str().into(), without_order(&name, value));
    }
    Renaming::default().apply_to_entries(&mut files);
    Ok(files)
}

/// The models that ours remembers in a folder, by index.
pub(super) fn read_models(dir: &Path) -> Result<Object> {
    let text = Text::decode(fs::read(dir.join("index_store.json"))?)?;
    let mut file = RawJson::parse(&text)?.value();
    Ok(entries_mut(&mut file).and_then(|file| entries_mut(file.get_mut(MODELS)?).cloned()).unwrap_or_default())
}

fn read_bytes(dir: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?));
        }
    }
    files.sort();
    Ok(files)
}

/// Demands that two folders hold the same files, byte for byte. Counts the files.
pub(super) fn same_bytes(expected: &Path, actual: &Path) -> Result<usize> {
    let (expected, actual) = (read_bytes(expected)?, read_bytes(actual)?);
    for ((name, expected), (other, actual)) in expected.iter().zip(&actual) {
        ensure!(name == other, "{name} or {other} is missing");
        if expected != actual {
            let at = expected.iter().zip(actual).take_while(|(a, b)| a == b).count();
            let near = |bytes: &[u8]| String::from_utf8_lossy(&bytes[at.min(bytes.len())..]).chars().take(60).collect();
            let (expected, actual): (String, String) = (near(expected), near(actual));
            bail!("{name}: byte {at}: expected {expected}, got {actual}");
        }
    }
    ensure!(expected.len() == actual.len(), "{} files became {}", expected.len(), actual.len());
    Ok(expected.len())
}

/// Demands that two folders hold the same values. Counts the files.
pub(super) fn same_files(expected: &Object, actual: &Object) -> Result<usize> {
    match difference(&Value::Object(expected.clone()), &Value::Object(actual.clone())) {
        None => Ok(expected.len()),
        Some(why) => bail!("{why}"),
    }
}

/// What a file says, with everything sorted that has no order.
fn without_order(name: &str, mut file: Value) -> Value {
    let Value::Object(top) = &mut file else { return file };
    match name {
        // Reading makes collections in LlamaIndex.
        "docstore.json" | "index_store.json" => {
            top.retain(|_, collection| collection.as_object().is_none_or(|entries| !entries.is_empty()));
            top.shift_remove(MODELS);
            if name == "docstore.json" {
                top.sort_keys();
            }
            for stored in top.values_mut().filter_map(entries_mut).flat_map(Object::values_mut) {
                if let Some(stored) = entries_mut(stored) {
                    read_struct(stored);
                }
            }
        }
        "property_graph_store.json" => {
            if let Some(triplets) = top.get_mut(&b"triplets"[..]) {
                sort(triplets);
            }
        }
        _ => {}
    }
    file
}

/// Replaces the text of an index struct by what it says, with its sets sorted.
fn read_struct(stored: &mut Object) {
    let Some(Value::String(text)) = stored.get(&b"__data__"[..]) else { return };
    if let Some(Ok(raw)) = text.to_str().map(str::parse::<RawJson>) {
        let mut fields = raw.value();
        sort_table(&mut fields);
        stored.insert("__data__".into(), fields);
    }
}

/// Sorts a table of keywords: LlamaIndex takes them from a set, and puts nodes into one.
fn sort_table(fields: &mut Value) {
    let table = entries_mut(fields).and_then(|fields| fields.get_mut(&b"table"[..])).and_then(entries_mut);
    if let Some(table) = table {
        table.sort_keys();
        table.values_mut().for_each(sort);
    }
}

fn entries_mut(value: &mut Value) -> Option<&mut Object> {
    match value {
        Value::Object(entries) => Some(entries),
        _ => None,
    }
}

fn sort(list: &mut Value) {
    if let Value::Array(items) = list {
        items.sort_by_cached_key(ToString::to_string);
    }
}

/// Demands the same answers to all requests. Counts them.
pub(super) fn same_answers(requests: &[Value], expected: Vec<Value>, actual: Vec<Value>) -> Result<usize> {
    ensure!(expected.len() == requests.len() && actual.len() == requests.len(), "an answer is missing");
    let mut renamings = [Renaming::default(), Renaming::default()];
    for ((request, expected), actual) in requests.iter().zip(expected).zip(actual) {
        let op = request.get("op").and_then(Value::as_str).cloned().unwrap_or_default();
        let mut sides = [expected, actual];
        for (side, renaming) in sides.iter_mut().zip(&mut renamings) {
            sort_sets(request, &op, side);
            renaming.apply(side);
        }
        let [expected, actual] = sides;
        if let Some(why) = same_answer(request, &op, &expected, &actual) {
            bail!("{}: {why}", short(request));
        }
    }
    Ok(requests.len())
}

/// Sorts what has no order in an answer.
fn sort_sets(request: &Value, op: &PyString, answer: &mut Value) {
    match op.to_str() {
        Some("pg.get_triplets" | "pg.get_rel_map") => on_ok(answer, sort),
        Some("index.get") => on_ok(answer, |told| {
            if let Some(fields) = entries_mut(told).and_then(|told| told.get_mut(&b"fields"[..])) {
                sort_table(fields);
            }
        }),
        // They come from a set of nodes.
        Some("indexes.documents") if is_of_keywords(request) => on_ok(answer, |told| {
            if let Some(documents) = entries_mut(told) {
                documents.sort_keys();
            }
        }),
        _ => {}
    }
}

/// Why two answers differ.
fn same_answer(request: &Value, op: &PyString, expected: &Value, actual: &Value) -> Option<String> {
    let failed = |answer: &Value| answer.get("error").is_some();
    let empty = |answer: &Value| answer.get("ok").is_some_and(Value::is_null);
    match (failed(expected), failed(actual)) {
        (true, true) => return errors::difference(expected.get("error")?, actual.get("error")?),
        (true, false) if *op != "chat.delete_last" => return Some(format!("LlamaIndex fails: {}", short(expected))),
        (false, true) if *op != "chat.delete_last" => return Some(format!("ours fails: {}", short(actual))),
        // Where nothing is left to be deleted, LlamaIndex fails and ours says so.
        (true, false) if *op == "chat.delete_last" && empty(actual) => return None,
        (false, true) if *op == "chat.delete_last" && empty(expected) => return None,
        _ => {}
    }
    let scored = Hits::read(expected).is_some() || Hits::read(actual).is_some();
    match op.to_str() {
        Some("vs.query" | "vs.search" | "indexes.retrieve") if scored => same_hits(request, expected, actual),
        _ => difference(expected, actual),
    }
}

/// Whether a question is about an index that has its nodes in sets, by keyword.
fn is_of_keywords(request: &Value) -> bool {
    let kind = request.get("kind").and_then(Value::as_str);
    kind.is_some_and(|kind| *kind == "keyword_table" || *kind == "kg")
}

fn on_ok(answer: &mut Value, work: impl Fn(&mut Value)) {
    if let Some(ok) = entries_mut(answer).and_then(|answer| answer.get_mut(&b"ok"[..])) {
        work(ok);
    }
}

/// Why two lists of hits differ: similarities within the tolerance, ids in order but where similarities are so close,
/// though not equal, that they may change places.
fn same_hits(request: &Value, expected: &Value, actual: &Value) -> Option<String> {
    let differ = || Some(format!("expected {}, got {}", short(expected), short(actual)));
    let (Some(a), Some(b)) = (Hits::read(expected), Hits::read(actual)) else { return differ() };
    let option = |name: &str| request.get(name).or_else(|| request.get("options")?.get(name));
    let mode = option("mode").and_then(Value::as_str).and_then(PyString::to_str).unwrap_or("default");
    let learned = !matches!(mode, "default" | "mmr");
    // Keywords are counted, and LlamaIndex's are a set.
    let counted = is_of_keywords(request);
    let asked = ["top_k", "similarity_top_k", "num_chunks_per_query"].into_iter().find_map(option).cloned();
    let top_k = asked.or(counted.then_some(Value::Int(10)));
    let tolerance = if learned { TOLERANCE_OF_LEARNERS } else { TOLERANCE };
    let least = if learned { 1.0 } else { TOLERANCE };
    let close = |a: f64, b: f64| a == b || (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(least);
    if a.ids.len() != b.ids.len() || !a.scores.iter().zip(&b.scores).all(|(a, b)| close(*a, *b)) {
        return differ();
    }
    let n = a.ids.len();
    let mut start = 0;
    while start < n {
        let mut end = start + 1;
        while end < n && close(a.scores[end - 1], a.scores[end]) {
            end += 1;
        }
        let same = |hits: &Hits| hits.scores[start..end].windows(2).all(|pair| pair[0] == pair[1]);
        // Among equal scores of a learner, LlamaIndex's order is arbitrary.
        let exact = !learned && !counted && same(&a) && same(&b);
        let (mut left, mut right) = (a.ids[start..end].to_vec(), b.ids[start..end].to_vec());
        // At the end of a list that was cut off, another that is as close may have been there.
        let cut = end == n && !exact && top_k == Some(Value::from(n));
        if !exact {
            left.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
            right.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        }
        if left != right && !cut {
            return differ();
        }
        start = end;
    }
    None
}

struct Hits {
    ids: Vec<PyString>,
    scores: Vec<f64>,
}

impl Hits {
    fn read(answer: &Value) -> Option<Self> {
        let list = |name: &str| answer.get("ok")?.get(name)?.as_array();
        let ids: Option<Vec<PyString>> = list("ids")?.iter().map(|id| id.as_str().cloned()).collect();
        let scores: Option<Vec<f64>> = list("similarities")?.iter().map(Value::as_f64).collect();
        Some(Self { ids: ids?, scores: scores? }).filter(|hits| hits.ids.len() == hits.scores.len())
    }
}

/// LlamaIndex's answers, one for each request.
pub(super) fn theirs(told: Value) -> Vec<Value> {
    match told {
        Value::Array(answers) => answers,
        other => vec![other],
    }
}

/// Our answers in the same form.
pub(super) fn ours(answers: Vec<Result<Value, String>>) -> Vec<Value> {
    let told = |answer| match answer {
        Ok(value) => [("ok", value)].into_iter().collect(),
        Err(message) => [("error", Value::from(message))].into_iter().collect(),
    };
    answers.into_iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        json.parse::<RawJson>().unwrap().value()
    }

    fn check(request: &str, expected: &str, actual: &str, same: bool) {
        let result = same_answers(&[value(request)], vec![value(expected)], vec![value(actual)]);
        assert_eq!(result.is_ok(), same, "{expected} and {actual}: {result:?}");
    }

    #[test]
    fn answers_are_compared_with_types_and_order() {
        let get = r#"{"op": "docstore.get_hash"}"#;
        check(get, r#"{"ok": {"a": 1, "b": 2}}"#, r#"{"ok": {"a": 1, "b": 2}}"#, true);
        check(get, r#"{"ok": {"a": 1, "b": 2}}"#, r#"{"ok": {"b": 2, "a": 1}}"#, false);
        check(get, r#"{"ok": 1}"#, r#"{"ok": 1.0}"#, false);
        check(get, r#"{"ok": 0.0}"#, r#"{"ok": -0.0}"#, false);
        check(get, r#"{"ok": NaN}"#, r#"{"ok": NaN}"#, true);
        let absent = r#"{"error": {"type": "ValueError", "message": "doc_id n not found."}}"#;
        check(get, absent, r#"{"error": "not found"}"#, true);
        check(get, absent, r#"{"error": "the disk is full"}"#, false);
        check(get, r#"{"error": "no"}"#, r#"{"ok": null}"#, false);
        check(r#"{"op": "chat.delete_last"}"#, r#"{"error": "no"}"#, r#"{"ok": null}"#, true);
        check(r#"{"op": "chat.delete_last"}"#, r#"{"error": "no"}"#, r#"{"ok": {}}"#, false);
    }

    #[test]
    fn sets_have_no_order() {
        check(r#"{"op": "pg.get_triplets"}"#, r#"{"ok": [[1], [2]]}"#, r#"{"ok": [[2], [1]]}"#, true);
        check(r#"{"op": "pg.get"}"#, r#"{"ok": [[1], [2]]}"#, r#"{"ok": [[2], [1]]}"#, false);
        let told = |ids: &str| format!(r#"{{"ok": {{"type": "kg", "fields": {{"table": {{"k": {ids}}}}}}}}}"#);
        check(r#"{"op": "index.get"}"#, &told(r#"["a", "b"]"#), &told(r#"["b", "a"]"#), true);
        check(r#"{"op": "index.get"}"#, &told(r#"["a", "b"]"#), &told(r#"["a"]"#), false);
    }

    #[test]
    fn hits_may_change_places_only_where_similarities_nearly_meet() {
        let hits = |ids: &str, scores: &str| format!(r#"{{"ok": {{"ids": {ids}, "similarities": {scores}}}}}"#);
        let check = |a: [&str; 2], b: [&str; 2], same: bool| {
            check(r#"{"op": "vs.query"}"#, &hits(a[0], a[1]), &hits(b[0], b[1]), same);
        };
        let (ab, ba) = (r#"["a", "b"]"#, r#"["b", "a"]"#);
        check([ab, "[0.5, 0.25]"], [ab, "[0.5000000000001, 0.25]"], true);
        check([ab, "[0.5, 0.25]"], [ab, "[0.500001, 0.25]"], false);
        check([ab, "[0.5, 0.25]"], [ba, "[0.5, 0.25]"], false);
        check([ab, "[0.5, 0.5]"], [ba, "[0.5, 0.5]"], false);
        check([ab, "[0.5, 0.49999999999999]"], [ba, "[0.5, 0.49999999999999]"], true);
        check([ab, "[0.5, 0.25]"], [r#"["a"]"#, "[0.5]"], false);
    }

    #[test]
    fn keywords_and_random_ids_have_no_order_of_their_own() {
        let hits = |ids: &str, counts: &str| format!(r#"{{"ok": {{"ids": {ids}, "similarities": {counts}}}}}"#);
        let simple = r#"{"op": "indexes.retrieve", "kind": "keyword_table", "options": {}}"#;
        check(simple, &hits(r#"["a", "b"]"#, "[1, 1]"), &hits(r#"["b", "a"]"#, "[1.0, 1.0]"), true);
        check(simple, &hits(r#"["a", "b"]"#, "[2, 1]"), &hits(r#"["b", "a"]"#, "[1.0, 2.0]"), false);
        check(simple, &hits(r#"["a", "b"]"#, "[1, 1]"), &hits(r#"["c", "a"]"#, "[1.0, 1.0]"), false);
        let all = r#"{"op": "indexes.retrieve", "options": {}}"#;
        check(all, &hits(r#"["a", "b"]"#, "[null, null]"), &hits(r#"["b", "a"]"#, "[null, null]"), false);
        let ids = |of: &[&str]| {
            let id = |digit: &&str| format!(r#""{0}-0000-4000-8000-000000000000""#, digit.repeat(8));
            format!(r#"{{"ok": [{}]}}"#, of.iter().map(id).collect::<Vec<_>>().join(", "))
        };
        check(all, &ids(&["1", "2", "1"]), &ids(&["4", "3", "4"]), true);
        check(all, &ids(&["1", "2", "1"]), &ids(&["4", "3", "3"]), false);
        let documents = |kind: &str| format!(r#"{{"op": "indexes.documents", "kind": "{kind}"}}"#);
        let (ab, ba) = (r#"{"ok": {"a": 1, "b": 2}}"#, r#"{"ok": {"b": 2, "a": 1}}"#);
        check(&documents("keyword_table"), ab, ba, true);
        check(&documents("list"), ab, ba, false);
    }

    #[test]
    fn files_are_compared_without_what_reading_makes() {
        let canonical = |name: &str, json: &str| without_order(name, value(json));
        assert_eq!(canonical("docstore.json", r#"{"a": {}, "b": {"k": 1}}"#), value(r#"{"b": {"k": 1}}"#));
        let struct_of = |ids: &str| {
            let data = format!(r#"{{\"table\": {{\"k\": {ids}}}}}"#);
            canonical("index_store.json", &format!(r#"{{"index_store/data": {{"i": {{"__data__": "{data}"}}}}}}"#))
        };
        assert_eq!(struct_of(r#"[\"a\", \"b\"]"#), struct_of(r#"[\"b\", \"a\"]"#));
        assert_ne!(struct_of(r#"[\"a\", \"b\"]"#), struct_of(r#"[\"b\"]"#));
    }
}
