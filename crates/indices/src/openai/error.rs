use std::fmt;

/// Why a model behind an OpenAI-compatible interface did not answer.
///
/// Keys, passwords and what stands behind the `?` of a URL are in no message, not even where a server repeats them.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenAiError {
    /// The base URL cannot be used.
    #[error("the URL {url} cannot be used: {problem}; give one as https://api.openai.com/v1")]
    Url {
        /// The URL, as far as it may be shown.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The key or a header has characters in it that no header may have.
    #[error("{what} cannot be sent: it has characters in it that no HTTP header may have")]
    Header {
        /// The key, or the header's name.
        what: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {problem}; check the certificates that the system trusts")]
    Tls {
        /// What is wrong.
        problem: String,
    },
    /// There is no Tokio runtime.
    #[error("the model '{model}' is asked over the network, which needs a Tokio runtime; ask it within one")]
    NoRuntime {
        /// The model.
        model: String,
    },
    /// The server cannot be reached, or the connection broke off.
    #[error("{service} cannot be reached{}: {problem}", after(.attempts))]
    Connection {
        /// Which model, and where.
        service: ServedModel,
        /// What happened.
        problem: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The server did not answer in time.
    #[error("{service} gave {what} within {seconds} s{}; is it overloaded, or the time too short?", after(.attempts))]
    Timeout {
        /// Which model, and where.
        service: ServedModel,
        /// What was waited for.
        what: &'static str,
        /// How long.
        seconds: f64,
        /// How often it was tried.
        attempts: u32,
    },
    /// The server refused.
    #[error("{service} answered {status}{}: {message}{}", after(.attempts), advice(.status))]
    Status {
        /// Which model, and where.
        service: ServedModel,
        /// The status of HTTP.
        status: u16,
        /// What the server says, shortened.
        message: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The server answered with something else than was asked for.
    #[error("{service} answered {status} with something unusable: {problem}{}", begins(.excerpt))]
    Answer {
        /// Which model, and where.
        service: ServedModel,
        /// The status of HTTP.
        status: u16,
        /// What is wrong with it.
        problem: String,
        /// How the answer begins, where that helps.
        excerpt: String,
    },
}

/// A model at a place, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedModel {
    /// The model.
    pub model: String,
    /// The URL that was asked, without credentials and query.
    pub url: String,
}

impl fmt::Display for ServedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the model '{}' at {}", self.model, self.url)
    }
}

fn after(attempts: &u32) -> String {
    if *attempts > 1 { format!(" after {attempts} attempts") } else { String::new() }
}

fn advice(status: &u16) -> &'static str {
    match status {
        300..=399 => "; give the URL that it redirects to",
        401 | 403 => "; check the key",
        404 | 405 => "; check the URL, which mostly ends with /v1, and the model's name",
        413 => "; take smaller batches or shorter texts",
        429 => "; take fewer requests at a time, or check the quota",
        _ => "",
    }
}

fn begins(excerpt: &str) -> String {
    if excerpt.is_empty() { String::new() } else { format!("; it begins: {excerpt}") }
}
