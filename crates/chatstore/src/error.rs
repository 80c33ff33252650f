use raw_json::{Error as JsonError, PyString};

/// The result of an operation on a chat store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a chat store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a dumped chat store.
    #[error("not a chat store{}: {source}", place(.part.as_deref()))]
    Damaged {
        /// The message or conversation that is damaged, if the text is JSON as far as that.
        part: Option<String>,
        /// What is wrong, and where. In a file that is one string, places are those in the string's content.
        source: JsonError,
    },
    /// `NaN` or an infinity, which the file's JSON cannot hold: Python would write `null`. Nothing was changed.
    #[error(
        "a message for '{key}': '{field}' holds NaN or an infinity, which would be lost in the file; leave it out or store a string"
    )]
    NotFinite {
        /// The conversation.
        key: PyString,
        /// The field of the message.
        field: PyString,
    },
    /// A message nested so deep that the file could not be read again. Nothing was changed.
    #[error("a message for '{key}': fields nested more than {limit} deep could not be read again")]
    TooDeep {
        /// The conversation.
        key: PyString,
        /// How deep a message may be nested.
        limit: usize,
    },
    /// An extra field that LlamaIndex would take for one of its own. Nothing was changed.
    #[error("a message for '{key}': '{field}' is no extra field but one that LlamaIndex knows; set it as such")]
    ReservedField {
        /// The conversation.
        key: PyString,
        /// The field.
        field: PyString,
    },
    /// A block of text without a text. Nothing was changed.
    #[error("a message for '{key}' has a block that is none: {source}")]
    NotABlock {
        /// The conversation.
        key: PyString,
        /// What is wrong, and where in the message's JSON.
        source: JsonError,
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

fn place(part: Option<&str>) -> String {
    part.map_or_else(String::new, |part| format!(" ({part})"))
}
