//! Values in a text: where errors stand, and how new values are written.

use raw_json::{Dialect, Error as JsonError, JsonWriter, Kind, PyString, RawJson, Scanner, Text, Value};

/// Moves an error within `raw`, which is a part of `text`, to its place in `text`.
pub(crate) fn relocate(text: &Text, raw: &RawJson, error: JsonError) -> JsonError {
    let start = raw.bytes().as_ptr().addr().saturating_sub(text.bytes().as_ptr().addr());
    let Some(before) = text.as_str().get(..start) else { return error };
    let in_line = before.rsplit('\n').next().unwrap_or_default().chars().count();
    JsonError {
        line: error.line + before.matches('\n').count(),
        column: error.column + if error.line == 1 { in_line } else { 0 },
        offset: error.offset + start,
        kind: error.kind,
    }
}

/// The error of the next value if it is not of the kind that is wanted.
pub(crate) fn expect(scanner: &mut Scanner<'_>, wanted: Kind) -> Result<(), JsonError> {
    let found = scanner.kind()?;
    if found == wanted {
        return Ok(());
    }
    Err(scanner.error(raw_json::ErrorKind::WrongType { expected: wanted.name(), found: found.name() }))
}

/// A new value for a file in the compact dialect. What that dialect cannot hold is written as Python reads it.
pub(crate) fn compact(value: &Value) -> RawJson {
    if !is_finite(value) {
        return RawJson::from(value);
    }
    let mut json = JsonWriter::new(Vec::new(), Dialect::Compact);
    json.value(value).expect("writing to memory does not fail");
    json.into_raw()
}

/// Whether there is no `NaN` and no infinity in it.
pub(crate) fn is_finite(value: &Value) -> bool {
    let mut todo = vec![value];
    while let Some(value) = todo.pop() {
        match value {
            Value::Float(x) if !x.is_finite() => return false,
            Value::Array(items) => todo.extend(items),
            Value::Object(entries) => todo.extend(entries.values()),
            _ => {}
        }
    }
    true
}

/// A top-level entry of a file: a part that its store has taken apart, or something else that is kept as it is.
pub(crate) type TopLevel = indexmap::IndexMap<PyString, Option<RawJson>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_moved_to_their_place_in_the_whole() {
        let whole = "{\n \"é\": {\"a\":\n  5, \"b\": 6}}";
        let text = Text::from(whole);
        let mut scanner = Scanner::new(&text);
        let mut found = Vec::new();
        scanner
            .object(|_, scanner| {
                let raw = scanner.raw()?;
                let part = raw.text();
                let mut inner = Scanner::new(&part);
                inner.object(|_, inner| {
                    let error = expect(inner, Kind::String).unwrap_err();
                    found.push(relocate(&text, &raw, error));
                    inner.skip().map(drop)
                })
            })
            .unwrap();
        let places: Vec<_> = found.iter().map(|e| (e.line, e.column, &whole[e.offset..=e.offset])).collect();
        assert_eq!(places, [(3, 3, "5"), (3, 11, "6")]);
    }

    #[test]
    fn one_line_errors_count_from_the_start_of_the_value() {
        let text = Text::from("[[1]]");
        let mut scanner = Scanner::new(&text);
        scanner
            .array(|scanner| {
                let raw = scanner.raw()?;
                let part = raw.text();
                let error = expect(&mut Scanner::new(&part), Kind::String).unwrap_err();
                assert_eq!(relocate(&text, &raw, error).column, 2);
                Ok::<_, JsonError>(())
            })
            .unwrap();
    }

    #[test]
    fn new_values_are_compact_unless_that_would_lose_them() {
        let value = |json: &str| json.parse::<RawJson>().unwrap().value();
        assert_eq!(compact(&value(r#"{"é": [1, 0.00001]}"#)).as_str(), r#"{"é":[1,0.00001]}"#);
        assert_eq!(compact(&value(r#"{"a": [{"b": NaN}]}"#)).as_str(), r#"{"a": [{"b": NaN}]}"#);
    }
}
