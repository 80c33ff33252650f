//! Opening the directory, and persisting it without having touched anything.

use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use colca::prelude::*;
use colca::raw_json::{self, ErrorKind, RawJson, Text};
use colca::storage_context;
use colca::vectorstore;

use super::{Answers, Area, Case, Outcome, graphs};
use crate::expected::{difference, python_error, untag};
use crate::rules;

const CONTEXT: &[&str] = &["storage_context"];

/// Opens the directory as it is and compares with what LlamaIndex did. `None` if there is nothing more to ask.
pub(super) async fn open(case: &Case, answers: &mut Answers) -> Result<Option<StorageContext>> {
    if let Some(refused) = case.expect.get("storage_context_without_faiss") {
        let ours = StorageContext::open(case.place.clone()).await;
        let seen =
            matches!(&ours, Err(storage_context::Error::Damaged { seems: Some(what), .. }) if what.contains("FAISS"));
        let file = case.file("default__vector_store.json").unwrap_or_default();
        let holds = seen && python_error(refused).is_some_and(|(kind, message)| is_decode_error(&kind, &message, file));
        answers.hold(Area::StorageContext, &["storage_context_without_faiss"], holds, || format!("ours: {ours:?}"));
        let ctx = StorageContext::builder().vector_store(Arc::new(ElsewhereStore)).open(case.place.clone()).await?;
        compare_namespaces(case, answers, &ctx);
        return Ok(Some(ctx));
    }
    let opened = StorageContext::open(case.place.clone()).await;
    match (&opened, python_error(untagged(case, "storage_context").as_ref().unwrap_or(&Value::Null))) {
        (Ok(ctx), None) => {
            if let Some(refused) = case.expect.get("refused_as_is") {
                // LlamaIndex wants `vector_store.json` renamed first, and its answers are from then on.
                let by_rule = python_error(refused)
                    .is_some_and(|(_, message)| message.contains("default__vector_store.json"))
                    && case.file("vector_store.json").is_some()
                    && case.file("default__vector_store.json").is_none();
                let outcome = if by_rule {
                    Outcome::Deviation(rules::RENAMED_VECTOR_FILE)
                } else {
                    Outcome::Failed("LlamaIndex refused for another reason".to_owned())
                };
                answers.put(Area::StorageContext, &["refused_as_is"], outcome);
            }
            compare_namespaces(case, answers, ctx);
        }
        (Err(e), Some((kind, message))) => {
            let agrees = match e {
                storage_context::Error::MissingFile { file, .. } => {
                    kind == "FileNotFoundError"
                        && message == format!("[Errno 2] No such file or directory: '<dir>/{file}'")
                }
                storage_context::Error::Damaged { file, source, .. } => {
                    let ours = case.file(file).and_then(|bytes| python_message(bytes, &**source));
                    kind == "JSONDecodeError" && ours.as_ref() == Some(&message)
                }
                _ => false,
            };
            answers.hold(Area::StorageContext, CONTEXT, agrees, || format!("LlamaIndex: {kind}: {message}; ours: {e}"));
        }
        (Err(storage_context::Error::Damaged { file, .. }), None) => {
            // LlamaIndex drops the namespace in silence; the file must really be no JSON, and be a vector store's.
            let by_rule = file.ends_with("vector_store.json") && case.file(file).is_some() && case.json(file).is_none();
            let outcome = if by_rule {
                Outcome::Deviation(rules::DAMAGED_FILE)
            } else {
                Outcome::Failed(format!("ours: {file} is damaged"))
            };
            // It is about every answer of the case: there are no stores to ask.
            answers.put(Area::StorageContext, &[], outcome);
        }
        (Err(e), None) => answers.put(Area::StorageContext, CONTEXT, Outcome::Failed(format!("ours: {e}"))),
        (Ok(_), Some((kind, message))) => {
            answers.put(
                Area::StorageContext,
                CONTEXT,
                Outcome::Failed(format!("opened; LlamaIndex: {kind}: {message}")),
            );
        }
    }
    Ok(opened.ok())
}

fn untagged(case: &Case, part: &str) -> Option<Value> {
    case.expect.get(part).map(untag)
}

/// Whether this is what Python says of a file that is no text.
fn is_decode_error(kind: &str, message: &str, file: &[u8]) -> bool {
    let Err(error) = std::str::from_utf8(file) else { return false };
    let (at, byte) = (error.valid_up_to(), file[error.valid_up_to()]);
    let reason = message.strip_prefix(&format!("'utf-8' codec can't decode byte 0x{byte:02x} in position {at}: "));
    kind == "UnicodeDecodeError"
        && matches!(reason, Some("invalid start byte" | "invalid continuation byte" | "unexpected end of data"))
}

/// What Python's decoder says of the same mistake.
fn python_message(file: &[u8], error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut error = Some(error);
    let found = loop {
        match error?.downcast_ref::<raw_json::Error>() {
            Some(found) => break found,
            None => error = error?.source(),
        }
    };
    let what = match found.kind {
        ErrorKind::ExpectedValue => "Expecting value",
        ErrorKind::ExpectedKey => "Expecting property name enclosed in double quotes",
        ErrorKind::Expected("':'") => "Expecting ':' delimiter",
        ErrorKind::Expected(_) => "Expecting ',' delimiter",
        ErrorKind::ExtraData => "Extra data",
        ErrorKind::UnterminatedString => "Unterminated string starting at",
        ErrorKind::ControlCharacter => "Invalid control character at",
        _ => return None,
    };
    let characters = String::from_utf8_lossy(file.get(..found.offset)?).chars().count();
    Some(format!("{what}: line {} column {} (char {characters})", found.line, found.column))
}

fn compare_namespaces(case: &Case, answers: &mut Answers, ctx: &StorageContext) {
    let expected =
        untagged(case, "storage_context").and_then(|answer| answer.get("ok").cloned()).unwrap_or(Value::Null);
    let mut namespaces = ctx.namespaces();
    namespaces.sort();
    let describe = |namespaces: &[String]| -> Value {
        let property_graph = Value::Bool(ctx.property_graph_store().is_some());
        [("namespaces", Value::from(namespaces.to_vec())), ("property_graph", property_graph)].into_iter().collect()
    };
    answers.equal_or(Area::StorageContext, &["storage_context", "ok"], &expected, &describe(&namespaces), || {
        // A name that it cannot take apart makes LlamaIndex drop that namespace and those it lists after it; a store
        // that is handed over, all but that one.
        let faiss = case.expect.get("storage_context_without_faiss").is_some();
        let drops = faiss || namespaces.iter().any(|namespace| namespace.contains("__"));
        let told = expected.get("namespaces").and_then(Value::as_array).unwrap_or_default();
        namespaces.retain(|namespace| told.contains(&Value::from(namespace.as_str())));
        let rest_agrees = drops
            && namespaces.contains(&"default".to_owned())
            && difference(&expected, &describe(&namespaces)).is_none();
        rest_agrees.then_some(rules::NAMESPACES)
    });
}

/// The file that a store of the context was read from, for a file of a new place.
fn source<'a>(case: &'a Case, file: &str) -> Option<&'a [u8]> {
    let legacy = (file == "default__vector_store.json").then(|| case.file("vector_store.json")).flatten();
    case.file(file).or(legacy)
}

/// Persists the untouched context to a new place and compares file by file.
pub(super) async fn repersist(case: &Case, ctx: &StorageContext, answers: &mut Answers) -> Result<()> {
    let Some(Value::Object(expected)) = untagged(case, "repersist") else { return Ok(()) };
    let target = MemoryFs::new();
    ctx.persist(target.clone()).await?;
    for (file, verdict) in &expected {
        let name = file.to_string();
        let ours = target.read(&name, u64::MAX).await?;
        let outcome = verdict_on(case, &name, verdict, ours.as_deref());
        answers.put(Area::Repersist, &["repersist", &name], outcome);
    }
    Ok(())
}

fn verdict_on(case: &Case, name: &str, verdict: &Value, ours: Option<&[u8]>) -> Outcome {
    let failed = |why: &str| Outcome::Failed(format!("LlamaIndex: {verdict}; ours: {why}"));
    let Some(ours) = ours else { return failed("not written") };
    let before = source(case, name);
    let same_bytes = before == Some(ours);
    let value = |bytes: &[u8]| {
        let text = Text::decode(bytes.to_vec()).ok()?;
        RawJson::parse(&text).ok().map(|raw| raw.value())
    };
    let same_value = before.is_some_and(|before| value(before).is_some() && value(before) == value(ours));
    match verdict.as_str().map(ToString::to_string).as_deref() {
        Some("same bytes") if same_bytes => Outcome::Passed,
        // Ours may do better: the same bytes where Python only keeps the value.
        Some("same value") if same_value => Outcome::Passed,
        Some("created") if before.is_none() => Outcome::Passed,
        Some("not written") if same_bytes && name == "vector_store.json" => Outcome::Deviation(rules::FILES_BESIDE),
        Some("not written") if same_bytes && name.ends_with("__vector_store.json") => {
            Outcome::Deviation(rules::NAMESPACES)
        }
        None if verdict.get("changed").is_some() && same_bytes => changed(verdict, ours),
        _ if same_bytes => failed("same bytes"),
        _ if same_value => failed("same value"),
        _ => failed("changed"),
    }
}

/// LlamaIndex rewrote the file; ours is as it was. What LlamaIndex wrote must follow from it, or the answer is not
/// understood.
fn changed(verdict: &Value, ours: &[u8]) -> Outcome {
    let read =
        |bytes: &[u8]| Text::decode(bytes.to_vec()).ok().and_then(|text| SimpleVectorStore::from_text(&text).ok());
    let text = |value: &Value| RawJson::from(value).bytes().to_vec();
    match verdict.get("changed") {
        Some(Value::String(large)) if *large == "(large)" => Outcome::Deviation(rules::UNCHANGED_FILES),
        Some(theirs) if theirs.get("embedding_dict").is_some() => {
            let embeddings = |bytes: &[u8]| read(bytes).map(|store| store.to_dict().get("embedding_dict").cloned());
            if embeddings(&text(theirs)).is_some() && embeddings(&text(theirs)) == embeddings(ours) {
                return Outcome::Deviation(rules::UNCHANGED_FILES);
            }
            Outcome::Failed("LlamaIndex wrote other embeddings than are in the file".to_owned())
        }
        Some(theirs) if theirs.get("graph_dict").is_some() => {
            let graph = |bytes: &[u8]| {
                let text = Text::decode(bytes.to_vec()).ok()?;
                let dict = SimpleGraphStore::from_text(&text).ok()?.to_dict();
                Some(graphs::as_strings(dict.get("graph_dict")?))
            };
            if graph(&text(theirs)).is_some() && graph(&text(theirs)) == graph(ours) {
                return Outcome::Deviation(rules::UNCHANGED_FILES);
            }
            Outcome::Failed("LlamaIndex wrote another graph than is in the file".to_owned())
        }
        _ => Outcome::Failed(format!("LlamaIndex: {verdict}")),
    }
}

/// The single file of 0.5: LlamaIndex has no use for it, and neither has `open`; it is converted when asked.
pub(super) async fn single_file(case: &Case, answers: &mut Answers) -> Result<()> {
    let refused = python_error(case.expect.get("storage_context").unwrap_or(&Value::Null));
    let ours = StorageContext::open(case.place.clone()).await;
    let agrees = refused.is_some_and(|(kind, message)| {
        kind == "FileNotFoundError" && message == "[Errno 2] No such file or directory: '<dir>/docstore.json'"
    }) && matches!(&ours, Err(storage_context::Error::MissingFile { hint: Some(_), .. }));
    answers.hold(Area::StorageContext, CONTEXT, agrees, || format!("ours: {ours:?}"));
    for (name, bytes) in &case.files {
        let ctx = StorageContext::from_single_file(&Text::decode(bytes.clone())?)?;
        let docs = case.json(name).and_then(|file| file.get("docstore")?.get("__data__")?.get("docs").cloned());
        let wanted = docs.as_ref().and_then(Value::as_object).map_or(0, |docs| docs.len());
        let converted = ctx.docstore().docs().await?.len() == wanted
            && wanted > 0
            && ctx.index_store().index_structs().await?.len() == 1;
        answers.hold(Area::StorageContext, &["files", name], converted, || "nodes or index are missing".to_owned());
    }
    Ok(())
}

/// Stands for a vector store of another kind that the caller hands over.
#[derive(Debug)]
struct ElsewhereStore;

#[async_trait]
impl VectorStore for ElsewhereStore {
    fn stores_text(&self) -> bool {
        false
    }

    async fn add(&self, _: &[Node]) -> vectorstore::Result<Vec<PyString>> {
        Ok(Vec::new())
    }

    async fn delete(&self, _: &PyString) -> vectorstore::Result<usize> {
        Ok(0)
    }

    async fn delete_nodes(&self, _: &vectorstore::NodeSelection) -> vectorstore::Result<usize> {
        Ok(0)
    }

    async fn clear(&self) -> vectorstore::Result<()> {
        Ok(())
    }

    async fn get(&self, _: &PyString) -> vectorstore::Result<Option<Vec<f64>>> {
        Ok(None)
    }

    async fn query(&self, _: &VectorStoreQuery) -> vectorstore::Result<VectorStoreQueryResult> {
        Ok(VectorStoreQueryResult::default())
    }
}
