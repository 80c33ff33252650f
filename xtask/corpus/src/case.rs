use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use colca::persist::MemoryFs;
use colca::raw_json::{PyString, RawJson, Text, Value};

use super::expected::untag;

/// A recorded directory with the questions asked of it and LlamaIndex's answers.
#[derive(Debug, Clone)]
pub(super) struct Case {
    dir: PathBuf,
    /// The questions.
    pub(super) questions: Value,
    /// The answers, as they stand in the file.
    pub(super) expect: Value,
    /// The directory, as a place in memory, so that nothing can change it.
    pub(super) place: MemoryFs,
    /// Its files.
    pub(super) files: Vec<(String, Vec<u8>)>,
}

impl Case {
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let json = |name: &str| {
            let path = dir.join(name);
            let file = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let raw = Text::decode(file).and_then(|text| RawJson::parse(&text));
            Ok::<_, anyhow::Error>(raw.with_context(|| path.display().to_string())?.value())
        };
        let place = MemoryFs::new();
        let mut files = Vec::new();
        for entry in
            std::fs::read_dir(dir.join("persist")).with_context(|| format!("no persist/ in {}", dir.display()))?
        {
            let entry = entry?;
            let name = entry.file_name().into_string().ok().context("a file name is not Unicode")?;
            let bytes = std::fs::read(entry.path())?;
            place.put(&name, bytes.clone());
            files.push((name, bytes));
        }
        files.sort();
        Ok(Self { dir: dir.to_owned(), questions: json("case.json")?, expect: json("expect.json")?, place, files })
    }

    /// Version and case: `v0.14/node_types`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.version(), self.dir.file_name().unwrap_or_default().to_string_lossy())
    }

    /// The folder the case is in: the version that wrote it.
    pub(super) fn version(&self) -> String {
        self.dir.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned()
    }

    pub(super) fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.iter().find(|(file, _)| file == name).map(|(_, bytes)| bytes.as_slice())
    }

    /// A file as a value, if it is there and is JSON.
    pub(super) fn json(&self, name: &str) -> Option<Value> {
        let text = Text::decode(self.file(name)?.to_vec()).ok()?;
        Some(RawJson::parse(&text).ok()?.value())
    }

    /// The stored form of a node of the document store.
    pub(super) fn stored_node(&self, id: &PyString) -> Option<Value> {
        let docstore = self.json("docstore.json")?;
        docstore.get("docstore/data")?.as_object()?.get(id).cloned()
    }

    /// A question, untagged.
    pub(super) fn question(&self, name: &str) -> Option<Value> {
        self.questions.get(name).map(untag)
    }

    /// What kind of directory it is.
    pub(super) fn kind(&self) -> String {
        self.questions.get("kind").and_then(Value::as_str).map(ToString::to_string).unwrap_or_default()
    }
}
