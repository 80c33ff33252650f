//! The recorded file of one version: states in memory, and their JSON.
//!
//! The states of a history differ in few files, so the JSON has each state's changes: the text of a new or changed file,
//! and `null` for a deleted one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use raw_json::{Dialect, RawJson, Text, Value, to_json};

/// The version that is built here.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The files of a location: text by path.
pub(super) type Files = BTreeMap<String, String>;

/// What one version wrote.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Past {
    pub(super) version: String,
    /// What contexts hold, by name.
    pub(super) contexts: BTreeMap<String, Value>,
    pub(super) histories: Vec<History>,
}

/// A series of states of one location, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct History {
    pub(super) name: String,
    /// Where it was recorded.
    pub(super) on: String,
    pub(super) states: Vec<State>,
}

/// A location at one moment, and what a reader must find there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    pub(super) files: Files,
    /// The name of the context that opens; `None` if there is none yet.
    pub(super) opens: Option<String>,
    /// The generation that opens; `None` if Colca has not written the location.
    pub(super) generation: Option<u64>,
    /// What the open report says: `foreign docstore.json`.
    pub(super) findings: Vec<String>,
}

/// The folder of the recorded files.
pub(super) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/past")
}

impl Past {
    /// All recorded versions, which are read once.
    pub(super) fn recorded() -> &'static [Self] {
        static RECORDED: LazyLock<Vec<Past>> = LazyLock::new(Past::read_recorded);
        &RECORDED
    }

    fn read_recorded() -> Vec<Self> {
        let names = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> = names.filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
        files.sort();
        let read = |path: &PathBuf| Self::from_json(&Text::decode(std::fs::read(path).unwrap()).unwrap());
        files.iter().map(read).collect()
    }

    /// What was recorded of the version that is built here.
    pub(super) fn of_this_version() -> Option<&'static Self> {
        Self::recorded().iter().find(|past| past.version == VERSION)
    }

    pub(super) fn to_json(&self) -> String {
        let histories = self.histories.iter().map(|history| {
            let mut before = Files::new();
            let states = history.states.iter().map(|state| {
                let files = changes(&before, &state.files);
                before.clone_from(&state.files);
                object([
                    ("opens", state.opens.clone().into()),
                    ("generation", state.generation.into()),
                    ("findings", state.findings.clone().into()),
                    ("files", files),
                ])
            });
            let states = states.collect::<Vec<_>>().into();
            object([("name", history.name.as_str().into()), ("on", history.on.as_str().into()), ("states", states)])
        });
        let past = object([
            ("version", self.version.as_str().into()),
            ("contexts", self.contexts.iter().map(|(name, context)| (name.as_str(), context.clone())).collect()),
            ("histories", histories.collect::<Vec<_>>().into()),
        ]);
        let mut out = String::new();
        write_lines(&past, 0, &mut out);
        out.push('\n');
        out
    }

    pub(super) fn from_json(text: &Text) -> Self {
        let past = RawJson::parse(text).unwrap().value();
        let contexts = past.get("contexts").and_then(Value::as_object).unwrap();
        Self {
            version: string(&past, "version"),
            contexts: contexts.iter().map(|(name, context)| (name.to_string(), context.clone())).collect(),
            histories: array(&past, "histories").iter().map(history_of).collect(),
        }
    }
}

fn history_of(value: &Value) -> History {
    let mut files = Files::new();
    let state_of = |value: &Value| {
        for (path, text) in value.get("files").and_then(Value::as_object).unwrap() {
            match text.as_str() {
                Some(text) => files.insert(path.to_string(), text.to_string()),
                None => files.remove(&path.to_string()),
            };
        }
        State {
            files: files.clone(),
            opens: value.get("opens").and_then(Value::as_str).map(ToString::to_string),
            generation: match value.get("generation") {
                Some(Value::Int(number)) => u64::try_from(*number).ok(),
                _ => None,
            },
            findings: array(value, "findings").iter().map(|f| f.as_str().unwrap().to_string()).collect(),
        }
    };
    let states = array(value, "states").iter().map(state_of).collect();
    History { name: string(value, "name"), on: string(value, "on"), states }
}

/// The text of each new or changed file, and `null` for each deleted one.
fn changes(before: &Files, after: &Files) -> Value {
    let gone = before.keys().filter(|path| !after.contains_key(*path)).map(|path| (path.as_str(), Value::Null));
    let new = after.iter().filter(|(path, text)| before.get(*path) != Some(*text));
    gone.chain(new.map(|(path, text)| (path.as_str(), text.as_str().into()))).collect()
}

pub(super) fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    fields.into_iter().collect()
}

fn string(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap().to_string()
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).unwrap()
}

/// One line for each field and each object, so that changes can be reviewed; lists of plain values in one line.
fn write_lines(value: &Value, depth: usize, out: &mut String) {
    let new_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', depth));
    };
    let mut write_all = |[open, close]: [char; 2], parts: Vec<(String, &Value)>| {
        out.push(open);
        let count = parts.len();
        for (n, (key, part)) in parts.into_iter().enumerate() {
            new_line(out, depth + 1);
            out.push_str(&key);
            write_lines(part, depth + 1, out);
            out.push_str(if n + 1 < count { "," } else { "" });
        }
        new_line(out, depth);
        out.push(close);
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let key = |name: &raw_json::PyString| format!("{}: ", json(&name.into()));
            write_all(['{', '}'], fields.iter().map(|(name, field)| (key(name), field)).collect());
        }
        Value::Array(items) if items.iter().any(|item| matches!(item, Value::Object(_))) => {
            write_all(['[', ']'], items.iter().map(|item| (String::new(), item)).collect());
        }
        plain => out.push_str(&json(plain)),
    }
}

/// In pure ASCII.
fn json(value: &Value) -> String {
    String::from_utf8(to_json(value, Dialect::Ascii)).unwrap()
}
