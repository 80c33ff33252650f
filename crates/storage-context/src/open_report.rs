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
    /// written after Colca: it may have been stopped half-way.
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
    /// The report as a value: `{"place", "generation", "findings": [string], "absent_nodes": [{"index_id", "count",
    /// "example"}]}`.
    pub fn to_value(&self) -> Value {
        let absent = self.absent_nodes.iter().map(|absent| {
            let AbsentNodes { index_id, count, example } = absent;
            let fields =
                [("index_id", index_id.into()), ("count", (*count as u64).into()), ("example", Value::from(example))];
            fields.into_iter().collect::<Value>()
        });
        let findings: Vec<String> = self.findings.iter().map(describe).collect();
        [
            ("place", Value::from(self.place.as_str())),
            ("generation", self.generation.into()),
            ("findings", findings.into()),
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
            writeln!(f, "  {}", describe(finding))?;
        }
        for AbsentNodes { index_id, count, example } in &self.absent_nodes {
            writeln!(f, "  index '{index_id}' names {count} nodes that are not there, such as '{example}'")?;
        }
        Ok(())
    }
}

fn describe(finding: &Finding) -> String {
    match finding {
        Finding::Foreign { name } => format!("another program has written {name}; its version was opened"),
        Finding::Added { name } => format!("another program has added {name}"),
        Finding::PutBack { name } => {
            format!("another program has put {name} back to an earlier generation; that was opened")
        }
        Finding::Deleted { name } => format!("another program has deleted {name}"),
        Finding::FromStaged { name } => {
            format!("the published {name} is missing or out of date; the committed one was opened from .colca")
        }
        Finding::NotListed => "the place may not be listed; only the files of the generation were seen".to_owned(),
        other => format!("{other:?}"),
    }
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
