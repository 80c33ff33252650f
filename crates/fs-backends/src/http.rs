//! The HTTP client of the services that are made from strings and configs.

use std::collections::HashSet;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{iter, try_unfold};
use http::{Extensions, Request, Response};
use http_body::{Frame, SizeHint};
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, Result};
use reqwest::{Client, Url, redirect};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::time::timeout;

use crate::RequestOptions;
use crate::environment::Environment;
use crate::object_fs::Activity;

/// How much of a request's content is handed to the connection at a time, so that it shows how fast it is sent.
const PIECE: usize = 64 << 10;

/// How long an instance's metadata service may take, which is on the same machine or does not exist.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

/// For how long a metadata service that did not answer is not asked again.
const METADATA_PAUSE: Duration = Duration::from_secs(60);

/// Where instances of Amazon, Azure and Google ask for their credentials.
const METADATA_HOSTS: [&str; 3] = ["169.254.169.254", "[fd00:ec2::254]", "metadata.google.internal"];

/// The variables that name other addresses for it: a host with or without a port, or a URL.
const METADATA_VARIABLES: [&str; 3] = ["AWS_EC2_METADATA_SERVICE_ENDPOINT", "AZURE_IMDS_ENDPOINT", "GCE_METADATA_HOST"];

/// A client of one service.
#[derive(Debug)]
pub(crate) struct HttpClient {
    client: Client,
    metadata: Metadata,
}

/// The instance's metadata service.
#[derive(Debug)]
struct Metadata {
    /// Its hosts, with their ports where they are not the usual ones. Another port may be the storage service's.
    authorities: HashSet<String>,
    /// Whether it may be asked.
    allowed: bool,
    /// When it failed to answer.
    silent: Mutex<Option<Instant>>,
}

impl HttpClient {
    /// A client that speaks TLS if needed, with the certificates that the system trusts. `metadata_service` is whether
    /// the instance's metadata service may be asked for credentials.
    pub(crate) fn new(
        options: &RequestOptions,
        speaks_tls: bool,
        metadata_service: bool,
        environment: &Environment,
    ) -> Result<Self, String> {
        let client = Client::builder()
            .connect_timeout(options.connect_timeout)
            // A signature is for one host, and what comes with it is for no other.
            .redirect(redirect::Policy::none())
            .referer(false)
            .use_preconfigured_tls(tls(speaks_tls).map_err(|e| e.to_string())?)
            .build()
            .map_err(|e| e.to_string())?;
        let named = METADATA_VARIABLES.iter().filter_map(|name| environment.get(name));
        let named = named.map(|address| authority(&address));
        let authorities = METADATA_HOSTS.iter().map(ToString::to_string).chain(named).collect();
        let metadata = Metadata { authorities, allowed: metadata_service, silent: Mutex::default() };
        Ok(Self { client, metadata })
    }

    async fn send(&self, request: Request<Buffer>) -> Result<Response<HttpBody>> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string())
            .map_err(|e| Error::new(ErrorKind::ConfigInvalid, "the address of the request is invalid").set_source(e))?;
        let activity = parts.extensions.get::<Activity>().cloned();
        let mut builder = self.client.request(parts.method.clone(), url).headers(parts.headers);
        if !body.is_empty() {
            builder = builder.body(reqwest::Body::wrap(Content { rest: body, activity }));
        }
        let mut answer = builder.send().await.map_err(|e| failed("send the request", e))?;
        let is_encoded = answer.headers().contains_key(http::header::CONTENT_ENCODING);
        let length = answer.headers().get(http::header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let length = length.filter(|_| parts.method != http::Method::HEAD && !is_encoded);
        let mut response = Response::new(());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        *response.version_mut() = answer.version();
        *response.extensions_mut() = asked(parts.uri);
        let pieces = try_unfold(answer, |mut answer| async move {
            let piece = answer.chunk().await.map_err(|e| failed("read the answer", e))?;
            Ok(piece.map(|piece| (Buffer::from(piece), answer)))
        });
        let pieces = Box::pin(Synchronous(Mutex::new(Box::pin(pieces))));
        Ok(response.map(|()| HttpBody::new(pieces, length)))
    }
}

/// The host and port in an address, with or without a scheme and a path.
fn authority(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}

/// What services look for in an answer: the address that was asked.
fn asked(uri: http::Uri) -> Extensions {
    let mut extensions = Extensions::new();
    extensions.insert(uri);
    extensions
}

impl HttpTransport for HttpClient {
    async fn fetch(&self, request: Request<Buffer>) -> Result<Response<HttpBody>> {
        match request.uri().authority().is_some_and(|authority| self.metadata.authorities.contains(authority.as_str()))
        {
            true => self.metadata.ask(self.send(request)).await,
            false => self.send(request).await,
        }
    }
}

impl Metadata {
    async fn ask(&self, request: impl Future<Output = Result<Response<HttpBody>>>) -> Result<Response<HttpBody>> {
        let refused = |why: &str| Error::new(ErrorKind::Unsupported, format!("the instance's metadata service {why}"));
        if !self.allowed {
            return Err(refused("is switched off"));
        }
        let silent = |instant: Option<Instant>| instant.is_some_and(|instant| instant.elapsed() < METADATA_PAUSE);
        if silent(*self.silent.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Err(refused("did not answer"));
        }
        let answer = timeout(METADATA_TIMEOUT, whole(request)).await.ok().and_then(Result::ok);
        if answer.is_none() {
            *self.silent.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        answer.ok_or_else(|| refused("does not answer"))
    }
}

/// An answer whose content has arrived, too.
async fn whole(request: impl Future<Output = Result<Response<HttpBody>>>) -> Result<Response<HttpBody>> {
    let (parts, mut body) = request.await?.into_parts();
    let content = body.to_buffer().await?;
    let length = content.len() as u64;
    Ok(Response::from_parts(parts, HttpBody::new(iter([Ok(content)]), Some(length))))
}

fn failed(what: &'static str, e: reqwest::Error) -> Error {
    let temporary = e.is_request() || e.is_body() || e.is_decode() || e.is_timeout() || e.is_connect();
    let temporary = temporary && !is_of_tls(&e);
    Error::new(ErrorKind::Unexpected, what).with_temporary(temporary).set_source(e.without_url())
}

/// Whether an error is about what TLS demands, such as a certificate to trust: the next connection meets the same.
fn is_of_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>()
        || within.is_some_and(|within| within.is::<rustls::Error>())
        || error.source().is_some_and(is_of_tls)
}

fn tls(speaks_tls: bool) -> std::result::Result<ClientConfig, rustls::Error> {
    let provider = CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()));
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    match builder.clone().with_platform_verifier() {
        Ok(verified) => Ok(verified.with_no_client_auth()),
        Err(e) if speaks_tls => Err(e),
        // The service is asked without TLS, and the system may have no certificates. Who gives credentials may need them.
        Err(_) => Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()),
    }
}

/// The content of a request, which notes how much of it was sent.
struct Content {
    rest: Buffer,
    activity: Option<Activity>,
}

impl http_body::Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length = self.rest.len().min(PIECE);
        if length == 0 {
            return Poll::Ready(None);
        }
        // No copy: within one of the buffer's own pieces.
        let piece = self.rest.slice(..length).next().unwrap_or_default();
        self.rest = self.rest.slice(piece.len()..);
        if let Some(activity) = &self.activity {
            activity.sent(piece.len() as u64);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// A stream that may be shared, as OpenDAL wants it: it is only polled by whoever owns it.
struct Synchronous<S>(Mutex<Pin<Box<S>>>);

impl<S: futures_util::Stream> futures_util::Stream for Synchronous<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut().poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_service_is_known_by_its_host_and_port() {
        let check = |address: &str, expected: &str| assert_eq!(authority(address), expected);
        check("http://127.0.0.1:1338", "127.0.0.1:1338");
        check("http://[fd00:ec2::254]/", "[fd00:ec2::254]");
        check("metadata.example", "metadata.example");
        check("127.0.0.1:8080", "127.0.0.1:8080");
        check("http://127.0.0.1:1/metadata/identity/oauth2/token", "127.0.0.1:1");
    }
}
