use std::collections::HashMap;

use colca::raw_json::{Object, PyString, Value};

/// Gives ids that were made at random names in the order in which they come up, so that two runs can be compared.
#[derive(Default)]
pub(super) struct Renaming(HashMap<PyString, PyString>);

impl Renaming {
    /// Renames all ids in a value, the keys of objects too.
    pub(super) fn apply(&mut self, value: &mut Value) {
        match value {
            Value::String(text) if is_random(text) => *text = self.name(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.apply(item)),
            Value::Object(entries) => self.apply_to_entries(entries),
            _ => {}
        }
    }

    pub(super) fn apply_to_entries(&mut self, entries: &mut Object) {
        if entries.keys().any(is_random) {
            *entries = std::mem::take(entries).into_iter().map(|(key, value)| (self.key(key), value)).collect();
        }
        entries.values_mut().for_each(|value| self.apply(value));
    }

    fn key(&mut self, key: PyString) -> PyString {
        if is_random(&key) { self.name(&key) } else { key }
    }

    fn name(&mut self, id: &PyString) -> PyString {
        let next = self.0.len() + 1;
        self.0.entry(id.clone()).or_insert_with(|| format!("random id {next}").into()).clone()
    }
}

/// Whether a text is a UUID of version 4.
fn is_random(text: &PyString) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 36
        && bytes[14] == b'4'
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(byte),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use colca::raw_json::RawJson;

    fn check(json: &str, expected: &str) {
        let id = |digit: &str| format!("{0}-{1}-4{2}-{1}-{0}{1}", digit.repeat(8), digit.repeat(4), digit.repeat(3));
        let json = json.replace("A", &id("a")).replace("B", &id("b"));
        let mut value = json.parse::<RawJson>().unwrap().value();
        Renaming::default().apply(&mut value);
        assert_eq!(value.to_string(), expected);
    }

    #[test]
    fn random_ids_are_named_in_their_order() {
        check(r#"["B", "A", "B", 1]"#, r#"["random id 1", "random id 2", "random id 1", 1]"#);
        check(r#"{"A": {"x": "B"}, "B": null}"#, r#"{"random id 1": {"x": "random id 2"}, "random id 2": null}"#);
        check(r#"["A:0", "a-b-c"]"#, &r#"["A:0", "a-b-c"]"#.replace('A', "aaaaaaaa-aaaa-4aaa-aaaa-aaaaaaaaaaaa"));
    }
}
