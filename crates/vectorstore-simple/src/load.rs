//! Reading a store's file, in one pass over its text.

use std::collections::HashSet;

use indexmap::IndexMap;
use raw_json::{Error as JsonError, ErrorKind, Kind, PyString, RawJson, Scanner, Text, Value, py_str};
use vectorstore::{NO_REF_DOC, Result};

use crate::SimilarityMode;
use crate::state::{MetadataDict, State};
use crate::vectors::{Vectors, number};

pub(crate) const EMBEDDINGS: &str = "embedding_dict";
pub(crate) const REF_DOC_IDS: &str = "text_id_to_ref_doc_id";
pub(crate) const METADATA: &str = "metadata_dict";
/// How embeddings are compared. LlamaIndex does not know this key; without it they are compared as there.
pub(crate) const SIMILARITY: &str = "similarity_mode";
/// What [`REF_DOC_IDS`] was called in LlamaIndex 0.6.0 to 0.6.1x.
const LEGACY_REF_DOC_IDS: &str = "text_id_to_doc_id";

impl State {
    /// Reads a file. The text is not kept: what stays raw is copied out of it.
    pub(crate) fn load(text: &Text) -> Result<Self> {
        let mut state = Self::default();
        let mut irregular = HashSet::new();
        let mut ref_doc_ids_seen = false;
        let mut scanner = Scanner::new(text);
        scanner.object(|key, scanner| {
            if key == EMBEDDINGS {
                (state.vectors, irregular) = vectors(scanner)?;
            } else if key == REF_DOC_IDS {
                state.ref_doc_ids = ref_doc_ids(scanner)?;
                ref_doc_ids_seen = true;
            } else if key == METADATA {
                state.metadata = metadata(scanner)?;
            } else if key == SIMILARITY {
                state.similarity = similarity(scanner)?;
            } else {
                state.other.insert(key, own(&scanner.raw()?));
            }
            Ok::<_, JsonError>(())
        })?;
        scanner.finish()?;
        if !irregular.is_empty() {
            state.vectors.set_irregular(text, &irregular)?;
        }
        if !ref_doc_ids_seen
            && let Some(raw) = state.other.get(LEGACY_REF_DOC_IDS.as_bytes())
            && raw.kind() == Kind::Object
        {
            state.ref_doc_ids = ref_doc_ids(&mut Scanner::new(&raw.text()))?;
            state.other.shift_remove(LEGACY_REF_DOC_IDS.as_bytes());
        }
        Ok(state)
    }
}

/// A copy that does not keep the file's text alive.
fn own(raw: &RawJson) -> RawJson {
    raw.as_str().parse().expect("it was checked when it was read")
}

/// Whether an object comes next; `null`, which Python lets pass in its place, is passed over.
fn object_follows(scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
    match scanner.kind()? {
        Kind::Object => Ok(true),
        Kind::Null => scanner.skip().map(|_| false),
        other => {
            let kind = ErrorKind::WrongType { expected: Kind::Object.name(), found: other.name() };
            Err(scanner.error(kind))
        }
    }
}

/// The embeddings, and the nodes whose embeddings are not fit for the matrix; those are read in a second pass, being
/// rare.
fn vectors(scanner: &mut Scanner<'_>) -> Result<(Vectors, HashSet<PyString>), JsonError> {
    let (mut vectors, mut irregular) = (Vectors::default(), HashSet::new());
    if !object_follows(scanner)? {
        return Ok((vectors, irregular));
    }
    let unread: RawJson = Value::Null.into();
    let mut row = Vec::new();
    let mut replaced = false;
    scanner.object(|id, scanner| {
        replaced |= vectors.contains(&id);
        if read_row(scanner, &mut row)? && vectors.takes(&row) {
            irregular.remove(&id);
            vectors.set(id, &row);
        } else {
            irregular.insert(id.clone());
            vectors.set_aside(id, unread.clone());
        }
        Ok::<_, JsonError>(())
    })?;
    if replaced {
        vectors.retain(|_| true);
    }
    Ok((vectors, irregular))
}

/// Reads an embedding as Python does, which converts what can be to floats. Tells whether it is a list of finite
/// numbers.
fn read_row(scanner: &mut Scanner<'_>, row: &mut Vec<f64>) -> Result<bool, JsonError> {
    #[cfg(test)]
    visits::add(1);
    row.clear();
    if scanner.kind()? != Kind::Array {
        return scanner.skip().map(|_| false);
    }
    let mut regular = true;
    scanner.array(|scanner| {
        let number = match scanner.kind()? {
            Kind::Number => Some(scanner.f64()?),
            Kind::Bool | Kind::String => number(&scanner.value()?),
            Kind::Null | Kind::Array | Kind::Object => scanner.skip().map(|_| None)?,
        };
        match number {
            Some(x) if x.is_finite() => row.push(x),
            _ => regular = false,
        }
        Ok::<_, JsonError>(())
    })?;
    Ok(regular)
}

impl Vectors {
    fn set_irregular(&mut self, text: &Text, irregular: &HashSet<PyString>) -> Result<(), JsonError> {
        Scanner::new(text).object(|key, scanner| {
            if key == EMBEDDINGS && scanner.kind()? == Kind::Object {
                scanner.object(|id, scanner| {
                    #[cfg(test)]
                    visits::add(1);
                    if irregular.contains(&id) {
                        self.set_aside(id, own(&scanner.raw()?));
                    }
                    Ok::<_, JsonError>(())
                })?;
            }
            Ok(())
        })
    }
}

fn similarity(scanner: &mut Scanner<'_>) -> Result<SimilarityMode, JsonError> {
    scanner.kind()?;
    let unknown = scanner.error(ErrorKind::Expected("\"cosine\", \"dot_product\" or \"euclidean\""));
    let name = scanner.value()?;
    let known = SimilarityMode::ALL.into_iter().find(|mode| name.as_str().is_some_and(|name| *name == *mode.name()));
    known.ok_or(unknown)
}

fn ref_doc_ids(scanner: &mut Scanner<'_>) -> Result<IndexMap<PyString, PyString>, JsonError> {
    let mut ref_doc_ids = IndexMap::new();
    if object_follows(scanner)? {
        scanner.object(|id, scanner| {
            let ref_doc_id = match scanner.value()? {
                Value::String(id) => id,
                Value::Null => NO_REF_DOC.into(),
                other => py_str(&other),
            };
            ref_doc_ids.insert(id, ref_doc_id);
            Ok::<_, JsonError>(())
        })?;
    }
    Ok(ref_doc_ids)
}

/// All metadata is copied as one text, which its entries share.
fn metadata(scanner: &mut Scanner<'_>) -> Result<MetadataDict, JsonError> {
    if !object_follows(scanner)? {
        return Ok(MetadataDict(None));
    }
    let copy = own(&scanner.raw()?).text();
    let mut entries = IndexMap::new();
    Scanner::new(&copy).object(|id, scanner| {
        entries.insert(id, scanner.raw()?);
        Ok::<_, JsonError>(())
    })?;
    Ok(MetadataDict(Some(entries)))
}

/// How many embeddings were looked at on this thread: read, read again, or kept when others went.
#[cfg(test)]
pub(crate) mod visits {
    use std::cell::Cell;

    thread_local! {
        static COUNT: Cell<usize> = const { Cell::new(0) };
    }

    pub(crate) fn add(count: usize) {
        COUNT.set(COUNT.get() + count);
    }

    /// How many since this was asked last.
    pub(crate) fn take() -> usize {
        COUNT.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: usize = 100;

    fn load(rows: impl Iterator<Item = (usize, Vec<f64>)>) -> State {
        let rows: Vec<String> = rows.map(|(id, row)| format!("\"n{id}\": {row:?}")).collect();
        State::load(&Text::from(format!("{{\"embedding_dict\": {{{}}}}}", rows.join(", ")))).unwrap()
    }

    #[test]
    fn embeddings_are_looked_at_as_often_as_there_are_passes() {
        visits::take();
        // Most are of another length than the first, and are read in a second pass.
        let mut state = load((0..COUNT).map(|i| (i, vec![0.5; i % 7])));
        assert_eq!((state.vectors.len(), visits::take()), (COUNT, 2 * COUNT));
        let ids = (0..COUNT).map(|i| format!("n{i}").as_str().into()).collect::<HashSet<PyString>>();
        state.remove(&ids);
        assert_eq!((state.vectors.len(), visits::take()), (0, COUNT));
        // Each id comes twice, and all that are left are gathered once.
        let state = load((0..2 * COUNT).map(|i| (i % COUNT, vec![0.5])));
        assert_eq!((state.vectors.len(), visits::take()), (COUNT, 3 * COUNT));
    }
}
