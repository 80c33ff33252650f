use raw_json::PyString;

/// The result of working with a node.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a value is not a node, or a node cannot do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field has the wrong type, or is missing where it must be.
    #[error("node '{id}': field '{field}' is {found}, expected {expected}")]
    Field {
        /// The node.
        id: PyString,
        /// The field, with its path: `relationships.1.node_id`.
        field: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// The `__type__` is none that LlamaIndex ever wrote.
    #[error("node '{id}': unknown type {code}")]
    UnknownType {
        /// The node.
        id: PyString,
        /// The `__type__` as it stands.
        code: String,
    },
    /// A relationship that must be one node is a list, or the other way round.
    #[error("node '{id}': relationship {relationship} must be {expected}")]
    Relationship {
        /// The node.
        id: PyString,
        /// The relationship's name.
        relationship: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A template cannot be filled in.
    #[error("node '{id}': cannot fill in the template {template:?}: {problem}")]
    Template {
        /// The node.
        id: PyString,
        /// The template.
        template: PyString,
        /// What is wrong with it.
        problem: String,
    },
    /// A text that has to be hashed as strict UTF-8 has lone surrogates in it.
    #[error("node '{id}': {what} has lone surrogates and cannot be hashed")]
    LoneSurrogate {
        /// The node.
        id: PyString,
        /// What has them.
        what: &'static str,
    },
    /// Metadata nested so deeply that no reader would take it.
    #[error("node '{id}': values are nested {depth} deep; at most {max} can be stored")]
    TooDeep {
        /// The node.
        id: PyString,
        /// How deep.
        depth: usize,
        /// The limit.
        max: usize,
    },
}
