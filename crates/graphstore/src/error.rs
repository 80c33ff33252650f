use raw_json::{Error as JsonError, PyString};
use vectorstore::MetadataError;

/// The result of an operation on a graph store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a graph store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a dumped graph store.
    #[error("not a graph store{}: {source}", place(.subject.as_ref().map(|subject| format!("subject '{subject}'"))))]
    DamagedGraph {
        /// The subject whose triplets are damaged, if the text is JSON as far as that.
        subject: Option<PyString>,
        /// What is wrong, and where.
        source: JsonError,
    },
    /// The triplets from a subject go round in a cycle, and neither depth nor limit ends it.
    #[error("the paths from subject '{subject}' do not end within {steps} steps; ask with a smaller depth or limit")]
    Endless {
        /// The subject.
        subject: PyString,
        /// How many steps were followed.
        steps: usize,
    },
    /// The text is not a dumped property graph.
    #[error("not a property graph{}: {source}", place(.part.as_ref()))]
    DamagedPropertyGraph {
        /// The node, relation or triplet that is damaged, if the text is JSON as far as that.
        part: Option<String>,
        /// What is wrong, and where.
        source: JsonError,
    },
    /// A property graph's file must have the key `nodes`; perhaps this is another store's file.
    #[error("not a property graph: there is no key 'nodes'; is it another store's file?")]
    NoNodes,
    /// An entry under a subject is no pair of a relation and an object.
    /// [`SimpleGraphStore::get`](crate::SimpleGraphStore::get) passes over it.
    #[error("under subject '{subject}' stands {entry}, which is no [relation, object]; correct it in the file")]
    NotAPair {
        /// The subject.
        subject: PyString,
        /// What is there, as JSON.
        entry: String,
    },
    /// `NaN` or an infinity, which the file's JSON cannot hold: Python would write `null`. Nothing was changed.
    #[error(
        "{part}: {field} holds NaN or an infinity, which would be lost in the file; leave it out or store a string"
    )]
    NotFinite {
        /// The node or relation.
        part: String,
        /// The property or field.
        field: String,
    },
    /// Properties nested so deep that the file could not be read again. Nothing was changed.
    #[error("{part}: properties nested more than {limit} deep could not be read again")]
    TooDeep {
        /// The node or relation.
        part: String,
        /// How deep a node or relation may be nested.
        limit: usize,
    },
    /// An extra field that LlamaIndex would take for one of its own. Nothing was changed.
    #[error("{part}: '{field}' is no extra field but one that LlamaIndex knows; set it as such")]
    ReservedField {
        /// The node or relation.
        part: String,
        /// The field.
        field: PyString,
    },
    /// A node of LlamaIndex cannot be kept as a chunk, or a chunk is none.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The store has no such operation.
    #[error("{store} does not support {operation}")]
    Unsupported {
        /// The store.
        store: String,
        /// What was asked for.
        operation: &'static str,
    },
    /// The database beneath failed.
    #[error("{store}: cannot {operation}")]
    Backend {
        /// The store, with enough of its address to find it.
        store: String,
        /// What was being done, as a verb and its object.
        operation: &'static str,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// What a trait's default answers for a store of this type.
    pub(crate) fn unsupported<S: ?Sized>(operation: &'static str) -> Self {
        let path = std::any::type_name::<S>();
        let path = path.split_once('<').map_or(path, |(path, _)| path);
        let store = path.rsplit_once("::").map_or(path, |(_, name)| name).to_owned();
        Self::Unsupported { store, operation }
    }
}

fn place(part: Option<impl std::fmt::Display>) -> String {
    part.map_or_else(String::new, |part| format!(" ({part})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_named_by_its_type() {
        struct Plain;
        fn check<S>(expected: &str) {
            assert_eq!(Error::unsupported::<S>("flying").to_string(), format!("{expected} does not support flying"));
        }
        check::<Plain>("Plain");
        check::<Option<Vec<Plain>>>("Option");
    }
}
