//! What must hold for a recorded state, at whatever location it is put back.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use fs_backends::Place;
use persist::{Durability, OWN_FOLDER};
use raw_json::{Object, RawJson, Text, Value};
use schema::Node;
use storage_context::{FileNames, OpenReport, PersistOptions, StorageContext};

use super::contents::{contents, files};
use super::format::{Files, State};
use super::location::{Kind, files_of};

/// Runs futures of Tokio's and of nobody's.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// Puts a state back at a location of a kind, and checks it there. A panic is a failed check, too.
pub(super) fn check_at(kind: Kind, state: &State, contexts: &BTreeMap<String, Value>) -> Result<(), String> {
    checked(kind, state, async |place| {
        let (ctx, recorded) = opens(place, state, contexts).await?;
        persists(kind, place, state, &ctx, &recorded).await
    })
}

/// As [`check_at`]; the location is read only.
pub(super) fn check_reading_at(kind: Kind, state: &State, contexts: &BTreeMap<String, Value>) -> Result<(), String> {
    checked(kind, state, async |place| opens(place, state, contexts).await.map(drop))
}

fn checked(kind: Kind, state: &State, check: impl AsyncFnOnce(&Place) -> Result<(), String>) -> Result<(), String> {
    let location = kind.make();
    let run = async || {
        location.put(&state.files).await;
        equal(&"files", &state.files, &files_of(&*location.place).await)?;
        check(&location.place).await
    };
    let checked = catch_unwind(AssertUnwindSafe(|| match kind {
        Kind::Unconditional => block_on(run()),
        // Without Tokio the calls to a disk are made in place, which takes less time.
        Kind::Disk | Kind::Memory | Kind::Bucket => pollster::block_on(run()),
    }));
    checked.unwrap_or_else(|_| Err("it panicked; see above".to_owned()))
}

/// Opens the state and compares it with what was recorded. Returns what opens, and what it should hold.
async fn opens(
    place: &Place,
    state: &State,
    contexts: &BTreeMap<String, Value>,
) -> Result<(StorageContext, Value), String> {
    let opened = StorageContext::open(place).await;
    let (ctx, recorded) = match &state.opens {
        Some(name) => {
            let ctx = opened.map_err(|e| format!("it does not open: {e}"))?;
            let report = ctx.open_report().ok_or("there is no open report")?;
            equal(&"generation", &state.generation, &report.generation)?;
            equal(&"findings", &state.findings, &findings(report))?;
            let recorded = contexts.get(name).ok_or_else(|| format!("there is no context '{name}'"))?;
            compare(&without_beside(recorded), &contents(&ctx).await)?;
            (ctx, recorded.clone())
        }
        None => {
            equal(&"is not found", &true, &opened.is_err_and(|e| e.is_not_found()))?;
            let ctx = StorageContext::open_or_create(place).await.map_err(|e| format!("it cannot be created: {e}"))?;
            (ctx, contents(&StorageContext::in_memory()).await)
        }
    };
    equal(&"files after opening", &state.files, &files_of(&**place).await)?;
    Ok((ctx, recorded))
}

/// The node that is added before the next persist.
const ADDED: &str = "one more";

const DOCSTORE: &str = "docstore.json";

/// Persists one more change, and looks whether that and all that was recorded is there.
async fn persists(
    kind: Kind,
    place: &Place,
    state: &State,
    ctx: &StorageContext,
    recorded: &Value,
) -> Result<(), String> {
    // The clock of a map in memory is exact, so that it is known what is collected there.
    let collects = matches!(kind, Kind::Memory | Kind::Bucket);
    // A published file that is not what was opened is known again by its version, of which this kind has none.
    let is_unknown =
        kind == Kind::Unconditional && state.findings.iter().any(|finding| finding.starts_with("from_staged"));
    let options = PersistOptions {
        overwrite: is_unknown,
        durability: Durability::Relaxed,
        keep_generations: if collects { 1 } else { PersistOptions::default().keep_generations },
        min_age: if collects { Duration::ZERO } else { PersistOptions::default().min_age },
        ..PersistOptions::default()
    };
    ctx.docstore().add_documents(&[Node::text("one more").with_id(ADDED)]).await.unwrap();
    let report = ctx.persist_with(place, &options).await.map_err(|e| format!("it cannot be persisted: {e}"))?;
    let generation = state.generation.unwrap_or(0) + 1;
    equal(&"persisted generation", &Some(generation), &report.generation)?;

    let again = StorageContext::open(place).await.map_err(|e| format!("it does not open again: {e}"))?;
    let report = again.open_report().ok_or("there is no open report")?;
    equal(&"generation that opens again", &Some(generation), &report.generation)?;
    equal(&"findings when it opens again", &Vec::new(), &findings(report))?;
    // Every file but that of the documents is as it was, to the byte; and other programs see all of them, too.
    let recorded_files = files_in(recorded, "files");
    let found = texts(&files(&again));
    let mut expected = recorded_files.clone();
    expected.insert(DOCSTORE.to_owned(), found.get(DOCSTORE).cloned().unwrap_or_default());
    equal(&"files that open again", &expected, &found)?;
    let (before, after) = (parse(&recorded_files[DOCSTORE]), parse(&found[DOCSTORE]));
    equal(&"documents after a persist", &before, &without_added(after)?)?;
    let there = files_of(&**place).await;
    expected.extend(unknown_files(&state.files));
    expected.extend(files_in(recorded, "beside"));
    equal(&"published files after a persist", &expected, &published(&there))?;
    if collects {
        let [manifest, marker] = ["json", "published"].map(|suffix| format!("{OWN_FOLDER}/{generation}.{suffix}"));
        let needed = |path: &str| {
            path == manifest
                || path == marker
                || path.strip_prefix(OWN_FOLDER).is_none_or(|name| {
                    ["/latest", "/lock"].contains(&name) || there[&manifest].contains(name.trim_start_matches('/'))
                })
        };
        let left: Vec<&String> = there.keys().filter(|path| !needed(path)).collect();
        equal(&"files that should have been collected", &Vec::new(), &left)?;
    }
    Ok(())
}

fn findings(report: &OpenReport) -> Vec<String> {
    let value = report.to_value();
    let list = |key: &str| value.get(key).and_then(Value::as_array).unwrap_or_default().to_vec();
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(ToString::to_string);
    let findings = list("findings");
    let found = findings
        .iter()
        .map(|f| format!("{} {}", text(f, "kind").unwrap_or_default(), text(f, "file").unwrap_or_default()));
    let absent = list("absent_nodes");
    let absent = absent.iter().map(|a| format!("absent nodes of {}", text(a, "index_id").unwrap_or_default()));
    found.chain(absent).collect()
}

/// The published files.
pub(super) fn published(files: &Files) -> Files {
    files.iter().filter(|(path, _)| !path.starts_with(OWN_FOLDER)).map(|(p, t)| (p.clone(), t.clone())).collect()
}

/// The published files that are of no store.
fn unknown_files(files: &Files) -> Files {
    let names = FileNames::default();
    let stores = [&names.docstore, &names.index_store, &names.graph_store, &names.property_graph_store];
    let mut unknown = published(files);
    unknown.retain(|name, _| !stores.contains(&name) && names.namespace(name).is_none());
    unknown
}

/// Files that a recorded context names: those of its stores, or those that it takes along beside them.
fn files_in(context: &Value, key: &str) -> Files {
    context.get(key).map(texts).unwrap_or_default()
}

fn texts(files: &Value) -> Files {
    let files = files.as_object().into_iter().flatten();
    files.map(|(name, text)| (name.to_string(), text.as_str().unwrap().to_string())).collect()
}

fn without_beside(recorded: &Value) -> Value {
    let mut fields = recorded.as_object().unwrap().clone();
    fields.shift_remove(&b"beside"[..]);
    Value::Object(fields)
}

/// A document store without the node that was added, which must be there.
fn without_added(docstore: Value) -> Result<Value, String> {
    let Value::Object(mut collections) = docstore else { return Err("the document store is no object".to_owned()) };
    for name in ["docstore/data", "docstore/metadata"] {
        let Some(Value::Object(collection)) = collections.get_mut(name.as_bytes()) else {
            return Err(format!("there is no {name}"));
        };
        collection.shift_remove(ADDED.as_bytes()).ok_or_else(|| format!("the added node is not in {name}"))?;
        if collection.is_empty() {
            collections.shift_remove(name.as_bytes());
        }
    }
    Ok(Value::Object(collections))
}

/// Compares what contexts hold, and names the first difference.
fn compare(recorded: &Value, found: &Value) -> Result<(), String> {
    let (recorded, found) = (recorded.as_object().unwrap(), found.as_object().unwrap());
    let keys = |object: &Object| object.keys().map(ToString::to_string).collect::<Vec<_>>();
    equal(&"sections", &keys(recorded), &keys(found))?;
    recorded.iter().try_for_each(|(section, recorded)| equal(section, recorded, &found[section]))
}

fn equal<T: PartialEq + Debug>(what: &dyn Display, recorded: &T, found: &T) -> Result<(), String> {
    match recorded == found {
        true => Ok(()),
        false => Err(difference(what, &format!("{recorded:?}"), &format!("{found:?}"))),
    }
}

/// Two texts around the first character that differs.
fn difference(what: &dyn Display, recorded: &str, found: &str) -> String {
    let same = recorded.chars().zip(found.chars()).take_while(|(a, b)| a == b).count();
    let part = |text: &str| text.chars().skip(same.saturating_sub(80)).take(200).collect::<String>();
    format!("{what}: recorded `{}`, found `{}`", part(recorded), part(found))
}

fn parse(text: &str) -> Value {
    RawJson::parse(&Text::from(text)).unwrap().value()
}
