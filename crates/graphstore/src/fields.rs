//! The fields of nodes and relations in the file: what they must be, and looking at them without reading the whole.

use std::collections::HashSet;

use raw_json::{Error as JsonError, ErrorKind, Kind, MAX_DEPTH, Object, PyString, RawJson, Scanner, Value, py_eq};

use crate::labelled_node::Shape;
use crate::{Error, Result, Triplet};

/// How many containers of the file are around a node or relation.
const AROUND: usize = 2;

/// The fields of a node, what they may be, and that in words.
const NODE_FIELDS: [(&str, &[Kind], &str); 6] = [
    ("name", &[Kind::String], "a string"),
    ("text", &[Kind::String], "a string"),
    ("id_", &[Kind::String, Kind::Null], "a string or null"),
    ("label", &[Kind::String], "a string"),
    ("embedding", &[Kind::Array, Kind::Null], "a list of numbers or null"),
    ("properties", &[Kind::Object], "an object"),
];

/// Which kind of node this is, and whether its embedding has a `null` in it.
pub(crate) fn shape_of(raw: &RawJson) -> Result<(Shape, bool), JsonError> {
    let mut seen: [Option<Option<JsonError>>; NODE_FIELDS.len()] = Default::default();
    let mut gaps = false;
    let text = raw.text();
    Scanner::new(&text).object(|key, scanner| {
        if let Some(field) = NODE_FIELDS.iter().position(|(name, ..)| key == *name) {
            let (_, allowed, words) = NODE_FIELDS[field];
            seen[field] = Some(check_field(scanner, allowed, words, &mut gaps)?);
        }
        Ok::<_, JsonError>(())
    })?;
    let [name, text, id, label, embedding, properties] = seen;
    // Python looks for a name first, and then does not look at the text.
    let (shape, own) = match (name, text) {
        (Some(name), _) => (Shape::Entity, [name, None]),
        (None, Some(text)) => (Shape::Chunk, [text, id.flatten()]),
        (None, None) => return Ok((Shape::Other, false)),
    };
    let common = [label, embedding, properties].map(Option::flatten);
    match own.into_iter().chain(common).flatten().next() {
        Some(error) => Err(error),
        None => Ok((shape, gaps)),
    }
}

/// Passes over a field and returns what is wrong with it. A list's items have to be numbers; those that are `null` make
/// gaps.
fn check_field(
    scanner: &mut Scanner<'_>,
    allowed: &[Kind],
    expected: &'static str,
    gaps: &mut bool,
) -> Result<Option<JsonError>, JsonError> {
    let wrong = |scanner: &Scanner<'_>, found: Kind| {
        Some(scanner.error(ErrorKind::WrongType { expected, found: found.name() }))
    };
    let found = scanner.kind()?;
    if !allowed.contains(&found) {
        let error = wrong(scanner, found);
        scanner.skip()?;
        return Ok(error);
    }
    if found != Kind::Array {
        scanner.skip()?;
        return Ok(None);
    }
    let mut error = None;
    scanner.array(|scanner| {
        match scanner.kind()? {
            Kind::Number => {}
            Kind::Null => *gaps = true,
            found if error.is_none() => error = wrong(scanner, found),
            _ => {}
        }
        scanner.skip().map(drop)
    })?;
    Ok(error)
}

/// The ends and the label of a relation.
pub(crate) fn ends_of(raw: &RawJson) -> Result<Triplet, JsonError> {
    let (mut label, mut source, mut target) = (None, None, None);
    let text = raw.text();
    let mut scanner = Scanner::new(&text);
    scanner.object(|key, scanner| {
        match key.as_bytes() {
            b"label" => label = Some(scanner.string()?),
            b"source_id" => source = Some(scanner.string()?),
            b"target_id" => target = Some(scanner.string()?),
            b"properties" => {
                scanner.expect(Kind::Object)?;
                scanner.skip()?;
            }
            _ => {}
        }
        Ok::<_, JsonError>(())
    })?;
    let missing = |key| scanner.error(ErrorKind::Expected(key));
    Ok(Triplet {
        subject: source.ok_or_else(|| missing("a field 'source_id'"))?,
        relation: label.ok_or_else(|| missing("a field 'label'"))?,
        object: target.ok_or_else(|| missing("a field 'target_id'"))?,
    })
}

/// Whether a node or relation has any of these properties. One that is missing equals `null`.
pub(crate) fn has_any_property(raw: &RawJson, wanted: &Object) -> bool {
    let found = read_properties(raw, wanted.len(), |key| wanted.get_index_of(key));
    wanted.values().zip(&found).any(|(wanted, found)| py_eq(found.as_ref().unwrap_or(&Value::Null), wanted))
}

/// Whether any of these properties is one of its strings.
pub(crate) fn has_property_among(raw: &RawJson, wanted: &[(&str, HashSet<&PyString>)]) -> bool {
    let found = read_properties(raw, wanted.len(), |key| wanted.iter().position(|(name, _)| *key == **name));
    let is_among = |found: &Option<Value>, strings: &HashSet<&PyString>| {
        found.as_ref().and_then(Value::as_str).is_some_and(|string| strings.contains(string))
    };
    wanted.iter().zip(&found).any(|((_, strings), found)| is_among(found, strings))
}

/// The properties that have a place in the answer, which has `len` places.
fn read_properties(raw: &RawJson, len: usize, place: impl Fn(&PyString) -> Option<usize>) -> Vec<Option<Value>> {
    let mut found: Vec<Option<Value>> = vec![None; len];
    let text = raw.text();
    Scanner::new(&text)
        .object(|key, scanner| {
            if key != "properties" || scanner.kind()? != Kind::Object {
                // Asking for the kind has stepped over white space, so the value is not passed over by itself.
                return scanner.skip().map(drop);
            }
            found.fill(None);
            scanner.object(|key, scanner| {
                if let Some(place) = place(&key) {
                    found[place] = Some(scanner.value()?);
                }
                Ok::<_, JsonError>(())
            })
        })
        .expect("a RawJson is well-formed");
    found
}

/// Checks that the file can hold a new node's or relation's values. `reserved` are the fields that cannot be extra
/// ones.
pub(crate) fn check_new(
    part: impl Fn() -> String,
    properties: &Object,
    extra: &Object,
    reserved: &[&str],
) -> Result<()> {
    if let Some(field) = extra.keys().find(|key| reserved.iter().any(|field| **key == **field)) {
        return Err(Error::ReservedField { part: part(), field: field.clone() });
    }
    let properties = properties.iter().map(|(key, value)| ("property", 1, key, value));
    let fields = extra.iter().map(|(key, value)| ("field", 0, key, value));
    for (word, inside, key, value) in properties.chain(fields) {
        if !value.is_finite() {
            return Err(Error::NotFinite { part: part(), field: format!("{word} '{key}'") });
        }
        if value.depth() + inside + 1 + AROUND > MAX_DEPTH {
            return Err(Error::TooDeep { part: part(), limit: MAX_DEPTH - AROUND });
        }
    }
    Ok(())
}

/// What the ids of a relation and its label spell: its key in the file, unless another relation's spell the same.
pub(crate) fn relation_key(triplet: &Triplet) -> PyString {
    let line = PyString::from("_");
    PyString::concat([&triplet.subject, &line, &triplet.relation, &line, &triplet.object])
}
