use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use raw_json::{Dialect, RawJson, Text, Value, to_json};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, Url, redirect};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::retries::{Retries, retry_after};
use super::secrets::{Secrets, shown};
use super::{OpenAi, OpenAiError, ServedModel};

/// One model of a service.
pub(super) struct Connection {
    pub(super) model: String,
    client: Client,
    base: Url,
    headers: HeaderMap,
    secrets: Secrets,
    timeout: Duration,
    idle_timeout: Duration,
    retries: Retries,
    pub(super) concurrency: usize,
    /// Requests that may still be made at this time.
    permits: Semaphore,
}

/// An answer longer than this is none.
const LONGEST: usize = 512 << 20;

/// How much is read of an answer that is an error.
const LONGEST_ERROR: usize = 64 << 10;

/// What a server answered.
pub(super) enum Answer {
    /// A JSON document.
    Whole(Value),
    /// Events, of which the first may still be missing.
    Events(Response),
}

/// An attempt that failed.
struct Failure {
    error: OpenAiError,
    /// Whether another attempt may do better.
    is_passing: bool,
    /// How long the server asks to wait.
    wait: Option<Duration>,
}

impl Failure {
    fn lasting(error: OpenAiError) -> Self {
        Self { error, is_passing: false, wait: None }
    }

    fn passing(error: OpenAiError) -> Self {
        Self { error, is_passing: true, wait: None }
    }
}

impl Connection {
    pub(super) fn new(settings: &OpenAi, model: String) -> Result<Arc<Self>, OpenAiError> {
        let mut base = Url::parse(settings.url.trim()).map_err(|e| OpenAiError::Url {
            // What cannot be read may have a password anywhere.
            url: "that was given".to_owned(),
            problem: e.to_string(),
        })?;
        let unusable = |problem: &str| OpenAiError::Url { url: shown(&base), problem: problem.to_owned() };
        if !matches!(base.scheme(), "http" | "https") {
            return Err(unusable("it is neither http nor https"));
        }
        base.set_fragment(None);
        let mut secrets = Secrets::default();
        secrets.add_url(&base);
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        if let Some(key) = &settings.key {
            secrets.add(key);
            headers.insert(AUTHORIZATION, secret_header("the key", &format!("Bearer {key}"))?);
        }
        for (name, value) in &settings.headers {
            secrets.add(value.trim());
            let refused = || OpenAiError::Header { what: format!("the header {name:?}") };
            let parsed: HeaderName = name.parse().map_err(|_| refused())?;
            headers.insert(parsed, secret_header(&format!("the header {name:?}"), value)?);
        }
        let mut client = Client::builder()
            .user_agent(concat!("colca/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_timeout)
            .redirect(redirect::Policy::none())
            .tls_backend_preconfigured(tls(base.scheme() == "https")?);
        if is_this_machine(&base) {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|e| OpenAiError::Tls { problem: told(e, &secrets) })?;
        Ok(Arc::new(Self {
            model,
            client,
            base,
            headers,
            secrets,
            timeout: settings.timeout,
            idle_timeout: settings.idle_timeout,
            retries: settings.retries,
            concurrency: settings.concurrency,
            permits: Semaphore::new(settings.concurrency.min(Semaphore::MAX_PERMITS)),
        }))
    }

    /// Asks, again if that may help, and waits for the whole answer or for the beginning of events.
    pub(super) async fn ask(&self, path: &[&str], request: &Value) -> Result<Answer, OpenAiError> {
        self.check_runtime()?;
        let url = self.url(path);
        let body = to_json(request, Dialect::Compact);
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await.ok();
        let start = Instant::now();
        let mut attempts = 0;
        loop {
            let failure = match timeout(self.timeout, self.attempt(&url, body.clone())).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::passing(self.late(&url, "no answer", self.timeout)),
            };
            attempts += 1;
            let wait = self.retries.wait(attempts, start.elapsed(), failure.wait).filter(|_| failure.is_passing);
            let Some(wait) = wait else { return Err(failure.error.after(attempts)) };
            tracing::warn!(attempts, ?wait, "{}; trying again", failure.error);
            sleep(wait).await;
        }
    }

    async fn attempt(&self, url: &Url, body: Vec<u8>) -> Result<Answer, Failure> {
        let request = self.client.post(url.clone()).headers(self.headers.clone()).body(body);
        let mut response = request.send().await.map_err(|e| Failure::passing(self.broken(url, e)))?;
        let status = response.status();
        if !status.is_success() {
            let wait = retry_after(response.headers(), SystemTime::now());
            // What cannot be read of it is not missed.
            let mut body = Vec::new();
            while let Ok(Some(piece)) = response.chunk().await {
                body.extend_from_slice(&piece);
                if body.len() > LONGEST_ERROR {
                    break;
                }
            }
            let told = json(body.clone()).ok();
            let is_spent = told.as_ref().is_some_and(is_quota_spent);
            let message = match told.as_ref().and_then(error_message) {
                Some(message) => self.secrets.excerpt(message.as_bytes()),
                None if body.is_empty() => "nothing".to_owned(),
                None => self.secrets.excerpt(&body),
            };
            let error =
                OpenAiError::Status { service: self.service(url), status: status.as_u16(), message, attempts: 0 };
            let is_passing = (status.as_u16() == 429 && !is_spent) || status.is_server_error();
            return Err(Failure { error, is_passing, wait });
        }
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream") {
            return Ok(Answer::Events(response));
        }
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|e| Failure::passing(self.broken(url, e)))? {
            body.extend_from_slice(&piece);
            if body.len() > LONGEST {
                let problem = format!("it is longer than {LONGEST} bytes");
                return Err(Failure::lasting(self.unusable(url, status.as_u16(), problem, b"")));
            }
        }
        match json(body.clone()) {
            Ok(value) => match value.get("error").filter(|error| !error.is_null()) {
                None => Ok(Answer::Whole(value)),
                Some(_) => {
                    let message = error_message(&value).unwrap_or_else(|| "it is an error".to_owned());
                    let problem = self.secrets.excerpt(message.as_bytes());
                    Err(Failure::lasting(self.unusable(url, status.as_u16(), problem, b"")))
                }
            },
            Err(problem) => Err(Failure::lasting(self.unusable(url, status.as_u16(), problem, &body))),
        }
    }

    /// The next bytes of an answer that comes piece by piece, or `None` at its end.
    pub(super) async fn next_bytes(&self, response: &mut Response) -> Result<Option<Vec<u8>>, OpenAiError> {
        self.check_runtime()?;
        let next = timeout(self.idle_timeout, response.chunk()).await;
        match next {
            Ok(Ok(bytes)) => Ok(bytes.map(Into::into)),
            Ok(Err(e)) => Err(self.broken(response.url(), e).after(1)),
            Err(_) => Err(self.late(response.url(), "no next piece of its answer", self.idle_timeout).after(1)),
        }
    }

    /// An answer with status 200 that is not what was asked for.
    pub(super) fn unfit(&self, path: &[&str], problem: impl Into<String>, excerpt: &[u8]) -> OpenAiError {
        self.unusable(&self.url(path), 200, self.secrets.hide(&problem.into()), excerpt)
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        // URLs of HTTP have segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn check_runtime(&self) -> Result<(), OpenAiError> {
        match Handle::try_current() {
            Ok(_) => Ok(()),
            Err(_) => Err(OpenAiError::NoRuntime { model: self.model.clone() }),
        }
    }

    fn service(&self, url: &Url) -> ServedModel {
        ServedModel { model: self.model.clone(), url: shown(url) }
    }

    fn broken(&self, url: &Url, error: reqwest::Error) -> OpenAiError {
        OpenAiError::Connection { service: self.service(url), problem: told(error, &self.secrets), attempts: 0 }
    }

    fn late(&self, url: &Url, what: &'static str, time: Duration) -> OpenAiError {
        OpenAiError::Timeout { service: self.service(url), what, seconds: time.as_secs_f64(), attempts: 0 }
    }

    fn unusable(&self, url: &Url, status: u16, problem: String, body: &[u8]) -> OpenAiError {
        OpenAiError::Answer { service: self.service(url), status, problem, excerpt: self.secrets.excerpt(body) }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("model", &self.model)
            .field("url", &shown(&self.base))
            .finish_non_exhaustive()
    }
}

impl OpenAiError {
    fn after(mut self, made: u32) -> Self {
        match &mut self {
            Self::Connection { attempts, .. } | Self::Timeout { attempts, .. } | Self::Status { attempts, .. } => {
                *attempts = made;
            }
            _ => {}
        }
        self
    }
}

/// Reads a JSON document, or says what is wrong with it.
pub(super) fn json(body: Vec<u8>) -> Result<Value, String> {
    let raw = Text::decode(body).and_then(|text| RawJson::parse(&text));
    raw.map(|raw| raw.value()).map_err(|e| format!("it is no JSON: {e}"))
}

/// What a document says that is an error: OpenAI's form, and those of others.
pub(super) fn error_message(document: &Value) -> Option<String> {
    let error = document.get("error").or_else(|| document.get("detail")).or_else(|| document.get("message"))?;
    let text = error.get("message").unwrap_or(error);
    Some(text.as_str().map_or_else(|| text.to_string(), |text| text.to_string_lossy().into_owned()))
}

/// Whether a 429 will not pass.
fn is_quota_spent(document: &Value) -> bool {
    let is = |key| document.get("error").and_then(|error| error.get(key)?.as_str()).is_some_and(|code| *code == *QUOTA);
    is("code") || is("type")
}

const QUOTA: &str = "insufficient_quota";

/// What happened, with all causes and without the URL.
fn told(error: reqwest::Error, secrets: &Secrets) -> String {
    let error = error.without_url();
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        told.push_str(": ");
        told.push_str(&cause.to_string());
        source = cause.source();
    }
    secrets.hide(&told)
}

fn secret_header(what: &str, value: &str) -> Result<HeaderValue, OpenAiError> {
    let mut value = HeaderValue::from_str(value.trim()).map_err(|_| OpenAiError::Header { what: what.to_owned() })?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let is_address = url.domain().is_none();
    host == "localhost" || host == "[::1]" || (is_address && host.starts_with("127."))
}

fn tls(is_needed: bool) -> Result<ClientConfig, OpenAiError> {
    let failed = |e: rustls::Error| OpenAiError::Tls { problem: e.to_string() };
    let provider = CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()));
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(failed)?;
    // Without TLS no certificate is looked at, and the system may have none.
    Ok(match is_needed {
        true => builder.with_platform_verifier().map_err(failed)?.with_no_client_auth(),
        false => builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
    })
}
