use std::fmt;

use raw_json::PyString;

/// Who is related to whom, and how: three strings. In a property graph the ids of two nodes and a relation's label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Triplet {
    /// Who.
    pub subject: PyString,
    /// How.
    pub relation: PyString,
    /// To whom.
    pub object: PyString,
}

impl Triplet {
    /// A triplet of three strings.
    pub fn new(subject: impl Into<PyString>, relation: impl Into<PyString>, object: impl Into<PyString>) -> Self {
        Self { subject: subject.into(), relation: relation.into(), object: object.into() }
    }

    /// The same with other ends.
    pub(crate) fn map_ends(self, end: impl Fn(&PyString) -> PyString) -> Self {
        Self { subject: end(&self.subject), object: end(&self.object), relation: self.relation }
    }

    /// Both ends; one, if they are the same.
    pub(crate) fn ends(&self) -> impl Iterator<Item = &PyString> {
        let other = (self.object != self.subject).then_some(&self.object);
        std::iter::once(&self.subject).chain(other)
    }
}

/// As `subject -> relation -> object`, LlamaIndex's form for prompts.
impl fmt::Display for Triplet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {} -> {}", self.subject, self.relation, self.object)
    }
}
