//! Agreement of the splitters with LlamaIndex's recorded answers: tokens, sentences, chunks and whole nodes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow, bail, ensure};
use colca::indices::{
    Cl100kBase, JsonNodeParser, MarkdownNodeParser, NodeOptions, SentenceSplitter, SimpleFileNodeParser, SplitError,
    TokenTextSplitter, Tokenizer, sentences,
};
use colca::prelude::*;
use colca::raw_json::Object;
use colca::schema::ObjectType;

use super::expected::{difference, short, untag};
use super::warnings::Warnings;
use crate::Counts;

/// Compares all records of a file, and prints what came of it. The counts are of records.
///
/// # Errors
/// If the file cannot be read, or has no records.
pub fn compare(file: &Path) -> Result<Counts> {
    let text = crate::recordings::read_text(file)?;
    let recorded = untag(&text.parse::<RawJson>()?.value());
    let recorded = Recorded { texts: list(&recorded, "texts"), metadata: part(&recorded, "metadata"), all: &recorded };
    let mut tally: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut count = |area: &'static str, name: &str, result: Result<()>| {
        let (passed, failed) = tally.entry(area).or_default();
        match result {
            Ok(()) => *passed += 1,
            Err(e) => {
                *failed += 1;
                println!("{area} {name}: {e:#}");
            }
        }
    };
    for (i, text) in recorded.texts.iter().enumerate() {
        count("texts", &i.to_string(), check_text(text));
    }
    for (i, record) in list(recorded.all, "token_ids").iter().enumerate() {
        count("token_ids", &i.to_string(), check_token_ids(record));
    }
    for area in ["sentence", "token", "markdown"] {
        for (i, record) in list(recorded.all, area).iter().enumerate() {
            count(area, &i.to_string(), recorded.check_chunks(area, record));
        }
    }
    for (i, record) in list(recorded.all, "nodes").iter().enumerate() {
        count("nodes", &format!("{i} ({})", told(record, "name")), check_nodes(record));
    }
    let mut counts = Counts::default();
    for (area, (passed, failed)) in tally {
        println!("{area:<10} {passed:>6} passed, {failed} failed");
        counts.agree += passed;
        counts.differ += failed;
    }
    ensure!(counts.agree + counts.differ > 0, "{} has no records", file.display());
    Ok(counts)
}

/// The texts that this repository's records are about.
pub(crate) fn texts() -> Result<Vec<String>> {
    let recorded = crate::recordings::read_text(&crate::recordings::splitters(&support::root()))?;
    let recorded = untag(&recorded.parse::<RawJson>()?.value());
    Ok(list(&recorded, "texts").iter().map(|record| told(record, "text")).collect())
}

struct Recorded<'a> {
    all: &'a Value,
    texts: Vec<Value>,
    metadata: Value,
}

fn part(value: &Value, name: &str) -> Value {
    value.get(name).cloned().unwrap_or(Value::Null)
}

fn list(value: &Value, name: &str) -> Vec<Value> {
    value.get(name).and_then(Value::as_array).unwrap_or_default().to_vec()
}

fn told(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).map(ToString::to_string).unwrap_or_default()
}

fn number(value: &Value, name: &str) -> Option<i64> {
    match value.get(name) {
        Some(Value::Int(n)) => Some(*n),
        _ => None,
    }
}

fn same(what: &str, expected: &Value, ours: &Value) -> Result<()> {
    match difference(expected, ours) {
        None => Ok(()),
        Some(difference) => bail!("{what}: {difference}"),
    }
}

fn check_text(record: &Value) -> Result<()> {
    let text = part(record, "text");
    let text = text.as_str().context("no text")?;
    let lossy = text.to_string_lossy();
    same("tokens", &part(record, "tokens"), &Value::from(Cl100kBase.count(&lossy) as i64))?;
    let chars = |bytes: usize| Value::Int(lossy[..bytes].chars().count() as i64);
    let spans = sentences(&lossy).into_iter().map(|span| Value::Array(vec![chars(span.start), chars(span.end)]));
    same("sentences", &part(record, "sentences"), &Value::Array(spans.collect()))
}

fn check_token_ids(record: &Value) -> Result<()> {
    let [text, ids] = record.as_array().unwrap_or_default() else { bail!("a record of another shape") };
    let text = text.as_str().context("no text")?.to_string_lossy().into_owned();
    same("tokens", &(ids.as_array().unwrap_or_default().len() as i64).into(), &(Cl100kBase.count(&text) as i64).into())
}

/// A splitter, ready to be used.
pub type Splitter = Arc<dyn Transformation>;

/// The splitter of a record, or the error in making it.
///
/// # Errors
/// If the record names a parser that this program does not know.
pub fn splitter(parser: &str, record: &Value, node_options: NodeOptions) -> Result<Result<Splitter, SplitError>> {
    let options = part(record, "options");
    let of = |name: &str| options.get(name).or_else(|| record.get(name)).cloned();
    let text = |name: &str| of(name).and_then(|value| value.as_str().map(ToString::to_string));
    let size = |name: &str, default: usize| match of(name) {
        None => Ok(default),
        // Where Python's check of its types fails, there is no such number here.
        Some(Value::Int(n)) => usize::try_from(n).map_err(|_| SplitError::NoSize),
        Some(_) => Err(SplitError::NoSize),
    };
    let sizes = |overlap: usize| Ok::<_, SplitError>((size("chunk_size", 1024)?, size("chunk_overlap", overlap)?));
    Ok(match parser {
        "SentenceSplitter" => {
            let make = || {
                let (chunk_size, chunk_overlap) = sizes(200)?;
                let mut splitter = SentenceSplitter::new(chunk_size, chunk_overlap)?.options(node_options);
                if let Some(separator) = text("separator") {
                    splitter = splitter.separator(separator);
                }
                if let Some(separator) = text("paragraph_separator") {
                    splitter = splitter.paragraph_separator(separator);
                }
                if let Some(regex) = of("secondary_chunking_regex") {
                    let regex = regex.as_str().map(ToString::to_string);
                    splitter = splitter.secondary_chunking_regex(regex.as_deref())?;
                }
                Ok(Arc::new(splitter) as Splitter)
            };
            make()
        }
        "TokenTextSplitter" => {
            let make = || {
                let (chunk_size, chunk_overlap) = sizes(20)?;
                let mut splitter = TokenTextSplitter::new(chunk_size, chunk_overlap)?.options(node_options);
                if let Some(separator) = text("separator") {
                    splitter = splitter.separator(separator);
                }
                if let Some(separators) = of("backup_separators") {
                    let separators = separators.as_array().unwrap_or_default().iter();
                    let separators = separators.filter_map(Value::as_str).map(ToString::to_string);
                    splitter = splitter.backup_separators(separators);
                }
                splitter = splitter.keep_whitespaces(of("keep_whitespaces") == Some(Value::Bool(true)));
                Ok(Arc::new(splitter) as Splitter)
            };
            make()
        }
        "MarkdownNodeParser" => {
            let mut parser = MarkdownNodeParser::default().options(node_options);
            if let Some(separator) = text("header_path_separator") {
                parser = parser.header_path_separator(separator);
            }
            Ok(Arc::new(parser) as Splitter)
        }
        "JSONNodeParser" => Ok(Arc::new(JsonNodeParser::default().options(node_options)) as Splitter),
        "SimpleFileNodeParser" => Ok(Arc::new(SimpleFileNodeParser::default().options(node_options)) as Splitter),
        unknown => bail!("there is no parser '{unknown}' here"),
    })
}

/// What a splitter makes of documents, and whether it warned.
pub fn split(splitter: Result<Splitter, SplitError>, documents: Vec<Node>) -> (Result<Vec<Node>, String>, bool) {
    let splitter = match splitter {
        Ok(splitter) => splitter,
        Err(e) => return (Err(e.to_string()), false),
    };
    let warnings = Warnings::default();
    let nodes = warnings.collect(|| pollster::block_on(splitter.transform(documents)));
    (nodes.map_err(|e| e.to_string()), warnings.count() > 0)
}

fn check_printed(record: &Value, warned: bool) -> Result<()> {
    ensure!(record.get("printed").is_some() == warned, "LlamaIndex printed {}", short(&part(record, "printed")));
    Ok(())
}

fn check_error(error: &Value, ours: &Result<Vec<Node>, String>) -> Result<()> {
    let Err(ours) = ours else { bail!("LlamaIndex failed: {}", short(error)) };
    match told(error, "type").as_str() {
        // The message is that of Python's types.
        "ValidationError" => Ok(()),
        _ => {
            ensure!(told(error, "message") == *ours, "LlamaIndex failed: {}, ours: {ours}", short(error));
            Ok(())
        }
    }
}

impl Recorded<'_> {
    fn document(&self, record: &Value) -> Result<Node> {
        let at = number(record, "text").and_then(|at| usize::try_from(at).ok()).context("no text")?;
        let text = self.texts.get(at).map(|text| part(text, "text")).context("a text that is not there")?;
        let mut document = Node::document(text.as_str().context("no text")?).with_id("doc");
        let settings = part(&self.metadata, &told(record, "metadata"));
        let keys = |name: &str| list(&settings, name).iter().filter_map(|key| key.as_str().cloned()).collect();
        document.metadata = part(&settings, "metadata").as_object().cloned().unwrap_or_default();
        document.excluded_embed_metadata_keys = keys("excluded_embed_metadata_keys");
        document.excluded_llm_metadata_keys = keys("excluded_llm_metadata_keys");
        if let Some(template) = settings.get("metadata_template").and_then(Value::as_str) {
            document.metadata_template = template.clone();
        }
        if let Some(separator) = settings.get("metadata_separator").and_then(Value::as_str) {
            document.metadata_separator = separator.clone();
        }
        Ok(document)
    }

    fn check_chunks(&self, area: &str, record: &Value) -> Result<()> {
        let parser = match area {
            "sentence" => "SentenceSplitter",
            "token" => "TokenTextSplitter",
            _ => "MarkdownNodeParser",
        };
        let document = self.document(record)?;
        let made = splitter(parser, record, NodeOptions::default())?;
        let (nodes, warned) = split(made, vec![document.clone()]);
        check_printed(record, warned)?;
        if let Some(error) = record.get("error") {
            return check_error(error, &nodes);
        }
        let nodes = nodes.map_err(|e| anyhow!("ours failed: {e}"))?;
        let expected = list(record, "chunks");
        ensure!(nodes.len() == expected.len(), "LlamaIndex made {} nodes, ours {}", expected.len(), nodes.len());
        let text = document.text_content();
        let not_found = part(record, "not_found");
        for (i, (node, expected)) in nodes.iter().zip(&expected).enumerate() {
            let NodeContent::Text(content) = &node.content else { bail!("node {i} is no text") };
            let mut ours = vec![Value::from(content.start_char_idx), Value::from(content.end_char_idx)];
            // In Markdown, tokens mean nothing, and are recorded all the same.
            if expected.as_array().is_some_and(|expected| expected.len() > 2) {
                ours.push(Value::from(Cl100kBase.count(&content.text.to_string_lossy()) as i64));
            }
            same(&format!("chunk {i}"), expected, &Value::Array(ours))?;
            let points = |range: std::ops::Range<usize>| {
                PyString::from_code_points(text.code_points().skip(range.start).take(range.len()))
            };
            let expected_text = match (content.start_char_idx, content.end_char_idx) {
                (Some(start), Some(end)) => points(start as usize..end as usize),
                _ => not_found.get(&i.to_string()).and_then(Value::as_str).cloned().context("no such text")?,
            };
            same(&format!("text {i}"), &expected_text.into(), &(&content.text).into())?;
            check_relations(&document, &nodes, i)?;
        }
        for (i, expected) in list(record, "header_paths").iter().enumerate() {
            let ours = nodes[i].metadata.get(&b"header_path"[..]).cloned().unwrap_or(Value::Null);
            same(&format!("header path {i}"), expected, &ours)?;
        }
        Ok(())
    }
}

/// A node knows its document and those before and after it, and has the document's metadata.
fn check_relations(document: &Node, nodes: &[Node], at: usize) -> Result<()> {
    let node = &nodes[at];
    let id = |relationship| Ok::<_, anyhow::Error>(node.related(relationship)?.map(|info| info.node_id.clone()));
    ensure!(id(NodeRelationship::Source)? == Some("doc".into()), "node {at} has another source");
    let before = at.checked_sub(1).map(|before| nodes[before].id.clone());
    ensure!(id(NodeRelationship::Previous)? == before, "node {at} has another node before it");
    let after = nodes.get(at + 1).map(|after| after.id.clone());
    ensure!(id(NodeRelationship::Next)? == after, "node {at} has another node after it");
    for (key, value) in &document.metadata {
        let own = node.metadata.get(key);
        ensure!(own == Some(value) || *key == *"header_path", "node {at} has another {key}");
    }
    Ok(())
}

fn check_nodes(record: &Value) -> Result<()> {
    let options = part(record, "options");
    let is_off = |name: &str| options.get(name) == Some(&Value::Bool(false));
    let made = AtomicUsize::new(0);
    let node_options = NodeOptions::default()
        .include_metadata(!is_off("include_metadata"))
        .include_prev_next_rel(!is_off("include_prev_next_rel"))
        .id_func(move |_, _| format!("n{}", made.fetch_add(1, Ordering::Relaxed)).into());
    let documents = list(record, "documents");
    let mut documents = documents.iter().map(read).collect::<Result<Vec<_>>>()?;
    // LlamaIndex does not write the bytes of images; the nodes have them.
    let image = list(record, "nodes").first().and_then(|node| node.get("image")?.as_str().cloned());
    for document in &mut documents {
        if let NodeContent::ImageDocument(media) = &mut document.content {
            media.image_resource.get_or_insert_default().data.clone_from(&image);
        }
    }
    let (nodes, warned) = split(splitter(&told(record, "parser"), record, node_options)?, documents);
    check_printed(record, warned)?;
    if let Some(error) = record.get("error") {
        return check_error(error, &nodes);
    }
    let nodes = nodes.map_err(|e| anyhow!("ours failed: {e}"))?;
    // Python's random ids were numbered.
    let names = nodes.iter().enumerate().map(|(i, node)| (node.id.clone(), PyString::from(format!("n{i}"))));
    let names: Vec<(PyString, PyString)> = names.collect();
    let ours = Value::Array(nodes.iter().map(|node| renamed(&Value::Object(node.to_dict()), &names)).collect());
    same("nodes", &part(record, "nodes"), &ours)
}

/// A node from LlamaIndex's `to_dict`.
fn read(dict: &Value) -> Result<Node> {
    let kind = match told(dict, "class_name").as_str() {
        "TextNode" => ObjectType::Text,
        "ImageNode" => ObjectType::Image,
        "IndexNode" => ObjectType::Index,
        "Node" => ObjectType::Multimodal,
        _ => ObjectType::Document,
    };
    Ok(Node::from_dict(dict.as_object().cloned().unwrap_or_default(), kind, &PyString::default())?)
}

fn renamed(value: &Value, names: &[(PyString, PyString)]) -> Value {
    match value {
        Value::String(text) => names.iter().find(|(id, _)| id == text).map_or(value.clone(), |(_, name)| name.into()),
        Value::Array(items) => Value::Array(items.iter().map(|item| renamed(item, names)).collect()),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.clone(), renamed(value, names)));
            Value::Object(entries.collect::<Object>())
        }
        other => other.clone(),
    }
}
