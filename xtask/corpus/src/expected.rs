//! LlamaIndex's answers: strict JSON with tags for what it cannot hold, and how they are compared with ours.

use colca::raw_json::{BigInt, Object, PyString, Value, py_str};

/// Marks a list whose order is arbitrary. No key of a real object starts with a zero character.
const UNORDERED: &str = "\0unordered";

/// Resolves the tags. Lists in arbitrary order stay marked, for [`difference`].
pub(super) fn untag(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(untag).collect()),
        Value::Object(entries) => match entries.first() {
            Some((tag, inner)) if entries.len() == 1 => untag_one(tag, inner).unwrap_or_else(|| untag_entries(entries)),
            _ => untag_entries(entries),
        },
        other => other.clone(),
    }
}

fn untag_entries(entries: &Object) -> Value {
    entries.iter().map(|(key, value)| (key, untag(value))).collect()
}

fn untag_one(tag: &PyString, inner: &Value) -> Option<Value> {
    let items = || inner.as_array().unwrap_or_default().iter();
    Some(match tag.to_str()? {
        "$float" => match inner.as_str()?.to_str()? {
            "Infinity" => Value::Float(f64::INFINITY),
            "-Infinity" => Value::Float(f64::NEG_INFINITY),
            "NaN" => Value::Float(f64::NAN),
            _ => return None,
        },
        "$int" => Value::from(BigInt::parse(inner.as_str()?.to_str()?)?),
        "$utf16" => {
            let units: Vec<u16> = items().filter_map(|unit| unit.as_f64().map(|unit| unit as u16)).collect();
            Value::String(PyString::from_utf16(&units))
        }
        "$pairs" => {
            let pair = |pair: &Value| match pair.as_array() {
                Some([key, value]) => (py_str(&untag(key)), untag(value)),
                _ => (PyString::from("a broken pair"), Value::Null),
            };
            Value::Object(items().map(pair).collect())
        }
        "$set" | "$unordered" => [(UNORDERED, Value::Array(items().map(untag).collect()))].into_iter().collect(),
        _ => return None,
    })
}

/// The value without marks: lists in arbitrary order become plain lists, in the order of the recording.
pub(super) fn unmark(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(unmark).collect()),
        Value::Object(entries) => match value.get(UNORDERED) {
            Some(items) => unmark(items),
            None => entries.iter().map(|(key, value)| (key, unmark(value))).collect(),
        },
        other => other.clone(),
    }
}

/// Where an answer of ours differs from LlamaIndex's, or `None` if they agree: values, numbers and the order of keys
/// are exactly equal, and lists too but those marked as being in arbitrary order.
pub fn difference(expected: &Value, actual: &Value) -> Option<String> {
    let differs = || Some(format!("expected {}, got {}", short(expected), short(actual)));
    let within = |place: String, inner: Option<String>| inner.map(|inner| format!("{place}: {inner}"));
    if let Some(items) = expected.get(UNORDERED).and_then(Value::as_array) {
        let Value::Array(actual_items) = actual else { return differs() };
        let mut rest: Vec<&Value> = actual_items.iter().collect();
        for item in items {
            let found = rest.iter().position(|other| difference(item, other).is_none());
            match found {
                Some(at) => drop(rest.swap_remove(at)),
                None => return Some(format!("{} is missing in {}", short(item), short(actual))),
            }
        }
        return rest.first().map(|extra| format!("{} is not expected", short(extra)));
    }
    match (expected, actual) {
        (Value::Object(a), Value::Object(b)) => {
            if !a.keys().eq(b.keys()) {
                let keys = |o: &Object| short(&Value::Array(o.keys().map(Value::from).collect()));
                return Some(format!("expected the keys {}, got {}", keys(a), keys(b)));
            }
            a.iter().zip(b.values()).find_map(|((key, a), b)| within(key.to_string(), difference(a, b)))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(i, (a, b))| within(i.to_string(), difference(a, b)))
        }
        _ if expected == actual => None,
        _ => differs(),
    }
}

/// A value, cut to what fits a line.
pub fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 160 { text } else { format!("{}…", text.chars().take(160).collect::<String>()) }
}

/// The type and message of an error that LlamaIndex raised.
pub(super) fn python_error(answer: &Value) -> Option<(String, String)> {
    let error = answer.get("error")?;
    let text = |key: &str| Some(error.get(key)?.as_str()?.to_string());
    Some((text("type")?, text("message")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use colca::raw_json::RawJson;

    fn value(json: &str) -> Value {
        json.parse::<RawJson>().unwrap().value()
    }

    fn check(expected: &str, actual: &str, difference: Option<&str>) {
        assert_eq!(super::difference(&untag(&value(expected)), &value(actual)).as_deref(), difference);
    }

    #[test]
    fn tags_are_resolved() {
        check(r#"[{"$float": "NaN"}, {"$int": "18446744073709551616"}]"#, "[NaN, 18446744073709551616]", None);
        check(r#"{"$utf16": [55357, 97]}"#, r#""\ud83da""#, None);
        check(r#"{"$pairs": [["$set", 1], [0, {"$float": "-Infinity"}]]}"#, r#"{"$set": 1, "0": -Infinity}"#, None);
    }

    #[test]
    fn lists_in_arbitrary_order_are_compared_as_multisets() {
        check(r#"{"a": {"$set": [1, 2, 2]}}"#, r#"{"a": [2, 1, 2]}"#, None);
        check(r#"{"$unordered": [1, 2]}"#, "[2, 2]", Some("1 is missing in [2, 2]"));
        check(r#"{"$unordered": [1]}"#, "[1, 2]", Some("2 is not expected"));
    }

    #[test]
    fn everything_else_is_compared_exactly() {
        check(r#"{"a": [1, 2.0]}"#, r#"{"a": [1, 2.0]}"#, None);
        check(r#"{"a": [1, 2.0]}"#, r#"{"a": [1, 2]}"#, Some("a: 1: expected 2.0, got 2"));
        check(r#"{"a": 1, "b": 2}"#, r#"{"b": 2, "a": 1}"#, Some(r#"expected the keys ["a", "b"], got ["b", "a"]"#));
    }
}
