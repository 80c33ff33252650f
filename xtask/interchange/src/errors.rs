//! When an error of LlamaIndex's and one of ours say the same.

use colca::raw_json::Value;

/// What LlamaIndex raises, what is in its message, and what is in ours where the same went wrong.
const SAME: [(&str, &str, &str); 14] = [
    ("ValueError", " already exists. Set allow_update", "is already in collection"),
    ("ValueError", " not found.", "not found"),
    ("ValueError", " not found.", "that are not in the document store"),
    ("KeyError", "", "not found"),
    ("KeyError", "", "that are not in the document store"),
    ("KeyError", "", "there is no such vector store"),
    ("ValueError", "Failed to load index with ID", "' not found; there are: "),
    ("ValueError", " not aligned: ", "ask with the model that embedded the nodes"),
    ("NotImplementedError", "Cannot delete from an empty index.", "cannot delete nodes: it has none"),
    ("TypeError", " not supported between instances of ", CANNOT_BE_APPLIED),
    ("TypeError", " not iterable", CANNOT_BE_APPLIED),
    ("TypeError", " should be strings to be used with a ", CANNOT_BE_APPLIED),
    ("TypeError", "requires string as left operand", CANNOT_BE_APPLIED),
    ("TypeError", "unhashable type", CANNOT_BE_APPLIED),
];

/// What ours says of a filter and metadata that do not fit; Python says what it was about to do with them.
const CANNOT_BE_APPLIED: &str = "` cannot be applied to a";

/// Why two errors differ. Two of LlamaIndex's must be equal; of one of LlamaIndex's and one of ours the table knows.
pub(super) fn difference(expected: &Value, actual: &Value) -> Option<String> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(ToString::to_string);
    let part = |error: &Value, name: &str| text(error.get(name)).unwrap_or_default();
    let same = match text(Some(actual)) {
        Some(ours) => {
            let (kind, message) = (part(expected, "type"), part(expected, "message"));
            SAME.iter()
                .any(|(raises, theirs, words)| kind == *raises && message.contains(theirs) && ours.contains(words))
        }
        None => expected == actual,
    };
    (!same).then(|| format!("LlamaIndex fails with {expected}, ours with {actual}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: &str, actual: &str, same: bool) {
        let value = |json: &str| json.parse::<colca::raw_json::RawJson>().unwrap().value();
        let found = difference(&value(expected), &value(actual));
        assert_eq!(found.is_none(), same, "{found:?}");
    }

    #[test]
    fn errors_say_the_same() {
        let absent = r#"{"type": "ValueError", "message": "doc_id n-1 not found."}"#;
        check(absent, r#""not found""#, true);
        check(absent, r#""index 'a' names 1 nodes that are not in the document store, 'n-1' first""#, true);
        check(absent, r#""node 'n-1' is already in collection 'docstore/data'""#, false);
        check(absent, r#""'docstore.get' is no operation""#, false);
        check(absent, absent, true);
        check(absent, &absent.replace("n-1", "n-2"), false);
        let unfit = r#"{"type": "TypeError", "message": "'<' not supported between instances of 'str' and 'int'"}"#;
        check(unfit, r#""node 'n': filter `k < 1` cannot be applied to a string; correct the filter""#, true);
        check(unfit, r#""not found""#, false);
        check(r#"{"type": "KeyError", "message": "'vs.ask'"}"#, r#""'vs.ask' is unknown""#, false);
    }
}
