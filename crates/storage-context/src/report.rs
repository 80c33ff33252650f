use std::fmt;

use persist::Digest;
use raw_json::Value;

/// What a persist has done.
///
/// Prints as a small table; [`to_value`](Self::to_value) is the same for programs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PersistReport {
    /// The place that was written.
    pub place: String,
    /// The generation that it holds now; `None` if nothing was to be written and Colca never wrote there.
    pub generation: Option<u64>,
    /// The context's files, in the order of its stores.
    pub files: Vec<FileReport>,
    /// The stores that keep themselves: nothing was written for them.
    pub self_managed: Vec<String>,
    /// Files of the place the context was opened from that belong to no store of it and stayed behind. Folders in it are
    /// not looked at.
    pub left_behind: Vec<String>,
    /// Files of stores that another program had changed or added since the context looked at the place, and that were
    /// written over.
    pub overwritten: Vec<String>,
    /// Files that another program wrote while they were being published; its versions stay.
    pub overtaken: Vec<String>,
    /// Why files of old generations could not be deleted, if they could not.
    pub uncollected: Option<String>,
    /// Files that were there, are of no store of the context, and will be opened as such from this place.
    pub already_there: Vec<String>,
    /// What today's LlamaIndex will not read in these files.
    pub python_problems: Vec<PythonProblem>,
}

/// What a persist has done about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// Its name.
    pub name: String,
    /// The store it is of.
    pub store: String,
    /// What was done.
    pub action: Action,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of its content, where it is known.
    pub digest: Option<Digest>,
}

/// What a persist does about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It was written anew.
    Written,
    /// It was copied, byte for byte, from the place the context was opened from: its store has not changed.
    Copied,
    /// It was there already and has not changed.
    Unchanged,
    /// It was deleted: another file has taken its place, or the context has no such store any more.
    Removed,
}

/// Something that today's LlamaIndex will not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonProblem {
    /// The file.
    pub file: String,
    /// What is wrong with it, for Python.
    pub problem: String,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Written => "written",
            Self::Copied => "copied",
            Self::Unchanged => "unchanged",
            Self::Removed => "removed",
        })
    }
}

impl PersistReport {
    /// The report as a value: `{"place", "generation", "files": [{"name", "store", "action", "size", "digest"}],
    /// "self_managed", "left_behind", "overwritten", "overtaken", "uncollected", "already_there", "python_problems":
    /// [{"file", "problem"}]}`.
    pub fn to_value(&self) -> Value {
        let files = self.files.iter().map(|file| {
            [
                ("name", Value::from(file.name.as_str())),
                ("store", file.store.as_str().into()),
                ("action", file.action.to_string().into()),
                ("size", file.size.into()),
                ("digest", file.digest.map(|digest| digest.to_string()).into()),
            ]
            .into_iter()
            .collect::<Value>()
        });
        let problems = self
            .python_problems
            .iter()
            .map(|p| [("file", p.file.as_str()), ("problem", p.problem.as_str())].into_iter().collect::<Value>());
        [
            ("place", Value::from(self.place.as_str())),
            ("generation", self.generation.into()),
            ("files", Value::Array(files.collect())),
            ("self_managed", self.self_managed.clone().into()),
            ("left_behind", self.left_behind.clone().into()),
            ("overwritten", self.overwritten.clone().into()),
            ("overtaken", self.overtaken.clone().into()),
            ("uncollected", self.uncollected.clone().into()),
            ("already_there", self.already_there.clone().into()),
            ("python_problems", Value::Array(problems.collect())),
        ]
        .into_iter()
        .collect()
    }
}

impl fmt::Display for PersistReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation {
            Some(generation) => writeln!(f, "persisted to {}, generation {generation}", self.place)?,
            None => writeln!(f, "persisted to {}", self.place)?,
        }
        let width = |cell: &dyn Fn(&FileReport) -> usize| self.files.iter().map(cell).max().unwrap_or(0);
        let names = width(&|file| file.name.chars().count());
        let stores = width(&|file| file.store.chars().count());
        let sizes = width(&|file| bytes(file.size).len());
        for FileReport { name, store, action, size, .. } in &self.files {
            writeln!(f, "  {name:names$}  {store:stores$}  {action:9}  {:>sizes$}", bytes(*size))?;
        }
        for store in &self.self_managed {
            writeln!(f, "  {store} keeps itself")?;
        }
        for file in &self.left_behind {
            writeln!(f, "  left behind: {file}")?;
        }
        for file in &self.overwritten {
            writeln!(f, "  another program had changed {file}; it was written over")?;
        }
        for file in &self.overtaken {
            writeln!(f, "  another program wrote {file} at the same time; its version stays")?;
        }
        if let Some(problem) = &self.uncollected {
            writeln!(f, "  old generations could not be deleted: {problem}")?;
        }
        for file in &self.already_there {
            writeln!(f, "  {file} was there already and opens with this context")?;
        }
        for PythonProblem { file, problem } in &self.python_problems {
            writeln!(f, "  LlamaIndex will not read {file}: {problem}")?;
        }
        Ok(())
    }
}

/// `1,234,567 bytes`
fn bytes(size: u64) -> String {
    let digits = size.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    format!("{} bytes", groups.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_prints_as_a_table() {
        let file = |name: &str, action, size| FileReport {
            name: name.into(),
            store: "docstore".into(),
            action,
            size,
            digest: None,
        };
        let report = PersistReport {
            place: "/data".into(),
            generation: Some(7),
            files: vec![file("docstore.json", Action::Written, 1_234_567), file("x.json", Action::Unchanged, 2)],
            self_managed: vec!["index store".into()],
            left_behind: vec!["notes.txt".into()],
            overwritten: vec!["x.json".into()],
            overtaken: vec!["z.json".into()],
            uncollected: Some("no permission".into()),
            already_there: vec!["y__vector_store.json".into()],
            python_problems: vec![PythonProblem { file: "x.json".into(), problem: "it is called x".into() }],
        };
        let expected = "\
persisted to /data, generation 7
  docstore.json  docstore  written    1,234,567 bytes
  x.json         docstore  unchanged          2 bytes
  index store keeps itself
  left behind: notes.txt
  another program had changed x.json; it was written over
  another program wrote z.json at the same time; its version stays
  old generations could not be deleted: no permission
  y__vector_store.json was there already and opens with this context
  LlamaIndex will not read x.json: it is called x
";
        assert_eq!(report.to_string(), expected);
        assert_eq!(report.to_value().get("files").and_then(|f| f.as_array()).map(<[_]>::len), Some(2));
    }
}
