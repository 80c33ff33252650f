use colca::raw_json::Value;

use super::expected::{difference, short};
use super::rules::Rule;

/// What part of the stores an answer is about; the columns of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Area {
    StorageContext,
    Repersist,
    Docstore,
    IndexStore,
    VectorStores,
    Graphs,
    Load,
    Retrieve,
    Ops,
    Chat,
    Pipeline,
}

impl Area {
    pub(super) const ALL: [Self; 11] = [
        Self::StorageContext,
        Self::Repersist,
        Self::Docstore,
        Self::IndexStore,
        Self::VectorStores,
        Self::Graphs,
        Self::Load,
        Self::Retrieve,
        Self::Ops,
        Self::Chat,
        Self::Pipeline,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::StorageContext => "context",
            Self::Repersist => "repersist",
            Self::Docstore => "docstore",
            Self::IndexStore => "index_store",
            Self::VectorStores => "vectors",
            Self::Graphs => "graphs",
            Self::Load => "load",
            Self::Retrieve => "retrieve",
            Self::Ops => "ops",
            Self::Chat => "chat",
            Self::Pipeline => "pipeline",
        }
    }
}

/// What came of one answer.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// Ours is LlamaIndex's.
    Passed,
    /// It differs, and this is how.
    Failed(String),
    /// It differs as a rule in `docs/compatibility.md` says.
    Deviation(&'static Rule),
}

/// One answer of `expect.json`, and what came of it.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) area: Area,
    /// Where it stands in `expect.json`: the keys and positions that lead there.
    pub(super) path: Vec<String>,
    pub(super) outcome: Outcome,
}

/// All answers of a case.
#[derive(Debug, Default)]
pub(super) struct Answers(Vec<Answer>);

/// The outcome where this program does not know what was asked: the answer is compared with nothing.
pub(super) fn not_understood(question: &Value) -> Outcome {
    Outcome::Failed(format!("this question is not understood: {}", short(question)))
}

impl Answers {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Answer> {
        self.0.iter()
    }

    pub(super) fn put(&mut self, area: Area, path: &[&str], outcome: Outcome) {
        let path = path.iter().map(|&part| part.to_owned()).collect();
        self.0.push(Answer { area, path, outcome });
    }

    /// Ours must be equal.
    pub(super) fn equal(&mut self, area: Area, path: &[&str], expected: &Value, actual: &Value) {
        let outcome = difference(expected, actual).map_or(Outcome::Passed, Outcome::Failed);
        self.put(area, path, outcome);
    }

    /// Ours must be equal, or differ as the rule says; `applies` is asked only if it differs.
    pub(super) fn equal_or(
        &mut self,
        area: Area,
        path: &[&str],
        expected: &Value,
        actual: &Value,
        applies: impl FnOnce() -> Option<&'static Rule>,
    ) {
        let outcome = match difference(expected, actual) {
            None => Outcome::Passed,
            Some(difference) => applies().map_or(Outcome::Failed(difference), Outcome::Deviation),
        };
        self.put(area, path, outcome);
    }

    /// It must hold, for the reason given in words.
    pub(super) fn hold(&mut self, area: Area, path: &[&str], holds: bool, otherwise: impl FnOnce() -> String) {
        self.put(area, path, if holds { Outcome::Passed } else { Outcome::Failed(otherwise()) });
    }
}
