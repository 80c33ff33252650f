use std::collections::HashSet;
use std::fmt;

use docstore::KvDocumentStore;
use indexstore::KvIndexStore;
use persist::Finding;
use raw_json::{PyString, Value};

use crate::{Error, Result};

/// What was found where a context was opened.
///
/// Prints as a few lines; [`to_value`](Self::to_value) is the same for programs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// The place.
    pub place: String,
    /// The generation that was opened; `None` if Colca has not written the place.
    pub generation: Option<u64>,
    /// What other programs have done to the files since.
    pub findings: Vec<Finding>,
    /// The indexes that name nodes which the document store does not have. It is looked for where another program has
    /// written (it may have been stopped half-way) and both stores are files.
    pub absent_nodes: Vec<AbsentNodes>,
}

/// An index that names nodes which are not in the document store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsentNodes {
    /// The index.
    pub index_id: PyString,
    /// How many nodes are absent.
    pub count: usize,
    /// One of them.
    pub example: PyString,
}

impl OpenReport {
    /// The report as a value: `{"place", "generation", "findings": [{"kind", "file", "message"}], "absent_nodes":
    /// [{"index_id", "count", "example"}]}`. The kinds are `foreign`, `added`, `put_back`, `deleted`, `from_staged` and
    /// `not_listed`, as those of [`Finding`]; the last one has no file.
    pub fn to_value(&self) -> Value {
        let absent = self.absent_nodes.iter().map(|absent| {
            let AbsentNodes { index_id, count, example } = absent;
            let fields =
                [("index_id", index_id.into()), ("count", (*count as u64).into()), ("example", Value::from(example))];
            fields.into_iter().collect::<Value>()
        });
        let findings = self.findings.iter().map(|finding| {
            let Described { kind, file, message } = describe(finding);
            let fields = [("kind", Value::from(kind)), ("file", file.into()), ("message", message.into())];
            fields.into_iter().collect::<Value>()
        });
        [
            ("place", Value::from(self.place.as_str())),
            ("generation", self.generation.into()),
            ("findings", Value::Array(findings.collect())),
            ("absent_nodes", Value::Array(absent.collect())),
        ]
        .into_iter()
        .collect()
    }
}

impl fmt::Display for OpenReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation {
            Some(generation) => writeln!(f, "opened generation {generation} of {}", self.place)?,
            None => writeln!(f, "opened {}, which Colca has not written", self.place)?,
        }
        for finding in &self.findings {
            writeln!(f, "  {}", describe(finding).message)?;
        }
        for AbsentNodes { index_id, count, example } in &self.absent_nodes {
            writeln!(
                f,
                "  index '{index_id}' names nodes that the document store does not have: {count}, such as '{example}'"
            )?;
        }
        Ok(())
    }
}

/// A finding for programs and for people.
struct Described {
    kind: &'static str,
    file: Option<String>,
    message: String,
}

fn describe(finding: &Finding) -> Described {
    let (kind, file, message) = match finding {
        Finding::Foreign { name } => {
            ("foreign", Some(name), format!("another program has written {name}; its version was opened"))
        }
        Finding::Added { name } => ("added", Some(name), format!("another program has added {name}")),
        Finding::PutBack { name } => {
            let message = format!("another program has put {name} back to an earlier generation; that was opened");
            ("put_back", Some(name), message)
        }
        Finding::Deleted { name } => ("deleted", Some(name), format!("another program has deleted {name}")),
        Finding::FromStaged { name } => {
            let what = "is missing or out of date; the committed one was opened from .colca";
            ("from_staged", Some(name), format!("the published {name} {what}"))
        }
        Finding::NotListed => {
            let message = "the place may not be listed; only the files of the generation were seen";
            ("not_listed", None, message.to_owned())
        }
        other => ("other", None, format!("{other:?}")),
    };
    Described { kind, file: file.cloned(), message }
}

/// The indexes that name nodes which the document store does not have. Where it has none at all, the nodes are kept
/// elsewhere: in a vector store of its own kind, for example.
pub(crate) async fn absent_nodes(docstore: &KvDocumentStore, index_store: &KvIndexStore) -> Result<Vec<AbsentNodes>> {
    let failed = |e| Error::store("document store", e);
    let mut absent = Vec::new();
    // An index store that cannot be read is told of when it is used.
    let Ok(structs) = index_store.index_structs().await else { return Ok(absent) };
    let there: HashSet<PyString> = docstore.node_ids().await.map_err(failed)?.into_iter().collect();
    if there.is_empty() {
        return Ok(absent);
    }
    for index_struct in structs {
        let named = index_struct.node_ids().unwrap_or_default();
        let mut missing = named.iter().filter(|id| !there.contains(*id));
        if let Some(example) = missing.next() {
            let (index_id, example) = (index_struct.index_id.clone(), example.clone());
            absent.push(AbsentNodes { index_id, count: 1 + missing.count(), example });
        }
    }
    Ok(absent)
}
