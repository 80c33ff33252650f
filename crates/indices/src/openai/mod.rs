mod connection;
mod embedder;
mod embeddings;
mod error;
mod events;
mod llm;
mod retries;
mod secrets;

use std::fmt;
use std::time::Duration;

use reqwest::Url;

use self::connection::Connection;
use self::retries::Retries;

pub use self::embedder::OpenAiEmbedder;
pub use self::error::{OpenAiError, ServedModel};
pub use self::llm::OpenAiLlm;

/// Where an OpenAI-compatible service is, and how it is spoken to: OpenAI, Ollama, vLLM, llama.cpp and others.
///
/// Nothing is asked before a model is. What fails for the moment is tried again: connections that fail or break off,
/// what takes too long, and the statuses 429 and 5xx, after as long as the server asks for (`Retry-After`) or else
/// longer and longer; no other status is. A quota that is used up is not waited for. Redirects are not followed.
/// Proxies are taken from the environment (`HTTPS_PROXY` and so on), but never for this machine itself.
///
/// Keys are in no message, no log and no `Debug`, even if the server repeats them.
///
/// TLS is rustls with the certificates that the system trusts, and with the process's default cryptography if there is
/// one, `ring` otherwise. Requests need a Tokio runtime.
///
/// ```no_run
/// use indices::OpenAi;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let openai = OpenAi::new("https://api.openai.com/v1").api_key(std::env::var("OPENAI_API_KEY")?);
/// let embedder = openai.embedder("text-embedding-3-small")?.with_dimensions(512);
/// let llm = OpenAi::new("http://localhost:11434/v1").llm("llama3.2")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct OpenAi {
    url: String,
    key: Option<String>,
    headers: Vec<(String, String)>,
    connect_timeout: Duration,
    timeout: Duration,
    idle_timeout: Duration,
    retries: Retries,
    concurrency: usize,
}

impl OpenAi {
    /// A service at this URL, which mostly ends with `/v1`: `embeddings` and `chat/completions` lie below it. A query
    /// is kept, as for `?api-version=`.
    pub fn new(base_url: impl Into<String>) -> Self {
        let seconds = Duration::from_secs;
        Self {
            url: base_url.into(),
            key: None,
            headers: Vec::new(),
            connect_timeout: seconds(10),
            timeout: seconds(120),
            idle_timeout: seconds(60),
            retries: Retries { max: 3, within: seconds(180), first_wait: Duration::from_millis(500) },
            concurrency: 4,
        }
    }

    /// The key, sent as `Authorization: Bearer`. White space around it is dropped; an empty one is none.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into().trim().to_owned()).filter(|key| !key.is_empty());
        self
    }

    /// Another header, such as Azure's `api-key`. Its value is kept as secret as a key.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// How long connecting may take; 10 seconds by default.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a request may take until it is answered whole, or until an answer that comes piece by piece begins; 120
    /// seconds by default. Each attempt has that long.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long the next bytes of an answer that comes piece by piece may take; 60 seconds by default.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// How often a request is tried again; 3 times by default.
    #[must_use]
    pub fn max_retries(mut self, max: u32) -> Self {
        self.retries.max = max;
        self
    }

    /// How long after the first attempt the last one begins at the latest; 180 seconds by default. A server that asks
    /// to wait longer is not waited for.
    #[must_use]
    pub fn retry_within(mut self, within: Duration) -> Self {
        self.retries.within = within;
        self
    }

    /// How long to wait before the second attempt, by chance up to half of it less, and twice as long each time after
    /// that, up to 30 seconds; half a second by default.
    #[must_use]
    pub fn first_wait(mut self, wait: Duration) -> Self {
        self.retries.first_wait = wait;
        self
    }

    /// How many requests a model gets at a time, all its clones together; 4 by default. 0 is taken as 1.
    /// An answer that comes piece by piece counts until it begins.
    #[must_use]
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.concurrency = requests.max(1);
        self
    }

    /// A model that makes embeddings.
    ///
    /// # Errors
    /// [`OpenAiError::Url`], [`OpenAiError::Header`], [`OpenAiError::Tls`]. Nothing is sent.
    pub fn embedder(&self, model: impl Into<String>) -> Result<OpenAiEmbedder, OpenAiError> {
        Ok(OpenAiEmbedder::new(Connection::new(self, model.into())?))
    }

    /// A language model.
    ///
    /// # Errors
    /// As [`embedder`](Self::embedder).
    pub fn llm(&self, model: impl Into<String>) -> Result<OpenAiLlm, OpenAiError> {
        Ok(OpenAiLlm::new(Connection::new(self, model.into())?))
    }
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = Url::parse(&self.url).map_or_else(|_| "not a URL".to_owned(), |url| secrets::shown(&url));
        f.debug_struct("OpenAi")
            .field("url", &url)
            .field("has_key", &self.key.is_some())
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("retries", &self.retries)
            .field("concurrency", &self.concurrency)
            .finish()
    }
}
