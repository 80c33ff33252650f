//! Random texts, split by LlamaIndex and by us: the nodes must be the same, field by field.

use anyhow::{Context, Result, ensure};
use colca::indices::NodeOptions;
use colca::prelude::*;
use colca::raw_json::Object;
use corpus::difference;
use corpus::{split, splitter};
use support::Random;

use super::python::Python;
use super::text::text;

/// How many texts are split at a time.
const BATCH: usize = 100;

/// What sentences are made of, and what could be taken for their ends.
const PIECES: [&str; 48] = [
    "The colca is a storehouse",
    "llamas",
    "Dr",
    "e.g",
    "J",
    "J.R.R",
    "a",
    "No",
    "3",
    "3.5",
    "-1,000.",
    "Ⅳ",
    "日本語",
    "क्या",
    "naïve",
    "e\u{301}",
    ".",
    ".",
    ". ",
    ". ",
    "? ",
    "! ",
    "...",
    ". . .",
    "?!",
    ".\"",
    ".)",
    "\u{201d}",
    "\u{201c}",
    "»",
    "(",
    "[",
    "--",
    " ",
    " ",
    " ",
    "\n",
    "\n\n\n",
    "\t",
    "\u{a0}",
    "\u{1c}",
    "\u{3000}",
    ",",
    "; ",
    "。",
    "# A\n",
    "```\n",
    "<|endoftext|>",
];

/// Splits so many random texts. Counts them; the first difference is the error.
pub(super) fn check(python: &mut Python, seed: u64, texts: usize) -> Result<usize> {
    let mut random = Random::new(seed);
    let mut done = 0;
    while done < texts {
        let requests = random.list(BATCH.min(texts - done), request);
        let answers = python.ask("split", [("requests", requests.clone().into())])?;
        let answers = answers.as_array().unwrap_or_default();
        ensure!(answers.len() == requests.len(), "an answer is missing");
        for (request, theirs) in requests.iter().zip(answers) {
            compare(request, theirs).with_context(|| request.to_string())?;
        }
        done += requests.len();
    }
    Ok(done)
}

fn request(random: &mut Random) -> Value {
    let parser = *random.pick(&["SentenceSplitter", "SentenceSplitter", "TokenTextSplitter", "MarkdownNodeParser"]);
    let n = random.between(1, 60);
    let pieces = random.list(n, |random| match random.chance(8) {
        true => text(random, false),
        false => PyString::from(*random.pick(&PIECES)),
    });
    let mut document = Node::document(PyString::concat(&pieces)).with_id("doc");
    if random.chance(30) {
        document = document.with_metadata("title", text(random, false)).with_metadata("page", 3);
    }
    if random.chance(10) {
        document.excluded_embed_metadata_keys.push("title".into());
    }
    let mut options = Object::new();
    let mut set = |name: &str, value: Value| drop(options.insert(name.into(), value));
    if parser != "MarkdownNodeParser" {
        let size = random.between(1, 60);
        set("chunk_size", (size as i64).into());
        set("chunk_overlap", (random.below(size + 1) as i64).into());
        if random.chance(20) {
            set("separator", (*random.pick(&["\n", ". ", "a"])).into());
        }
    }
    if parser == "SentenceSplitter" && random.chance(15) {
        set("paragraph_separator", "\n".into());
    }
    if parser == "SentenceSplitter" && random.chance(15) {
        set("secondary_chunking_regex", "[^,.;。]+[,.;。]?".into());
    }
    if parser == "TokenTextSplitter" && random.chance(30) {
        set("keep_whitespaces", true.into());
    }
    let parts = [("parser", parser.into()), ("options", Value::Object(options)), ("document", document.to_value())];
    parts.into_iter().collect()
}

fn compare(request: &Value, theirs: &Value) -> Result<()> {
    let part = |name: &str| request.get(name).unwrap_or(&Value::Null);
    let parser = part("parser").as_str().map(ToString::to_string).unwrap_or_default();
    let options = NodeOptions::default().id_func(|at, _| format!("n{at}").into());
    let document = Node::from_value(part("document"), &PyString::default())?;
    let (nodes, _) = split(splitter(&parser, request, options)?, vec![document]);
    match (theirs.get("ok"), nodes) {
        (Some(theirs), Ok(nodes)) => {
            let ours = Value::Array(nodes.iter().map(|node| Value::Object(node.to_dict())).collect());
            let differs = difference(theirs, &ours);
            ensure!(differs.is_none(), "LlamaIndex and ours: {}", differs.unwrap_or_default());
        }
        (None, Err(ours)) => {
            let message = theirs.get("error").and_then(|error| error.get("message")?.as_str().cloned());
            let message = message.map(|message| message.to_string()).unwrap_or_default();
            ensure!(message == ours, "LlamaIndex fails with '{message}', ours with '{ours}'");
        }
        (_, ours) => anyhow::bail!("LlamaIndex: {theirs}; ours: {:?}", ours.map(|nodes| nodes.len())),
    }
    Ok(())
}
