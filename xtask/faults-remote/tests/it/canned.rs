//! A server that gives the answers of a test, and notes what it is asked.

use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex};

use faults_remote::proxy::{Request, receive};
use fs_backends::ObjectFs;
use rcgen::CertifiedKey;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::servers::{Server, Service};

/// What a request is answered with.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: String,
    body: Vec<u8>,
    end: End,
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    /// The connection is closed after half of the body.
    Cut,
    /// Nothing follows after half of the body.
    Stalled,
    /// Nothing is sent at all.
    Silent,
}

impl Reply {
    /// An answer with this status and no body.
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: String::new(), body: Vec::new(), end: End::Whole }
    }

    /// No answer.
    pub(crate) fn silence() -> Self {
        Self { end: End::Silent, ..Self::status(200) }
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self { headers: format!("{}{name}: {value}\r\n", self.headers), ..self }
    }

    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// The same, but the connection is closed after half of the body.
    pub(crate) fn cut(self) -> Self {
        Self { end: End::Cut, ..self }
    }

    /// The same, but nothing follows after half of the body.
    pub(crate) fn stalled(self) -> Self {
        Self { end: End::Stalled, ..self }
    }

    async fn send(&self, client: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let Self { status, headers, body, end } = self;
        if *end == End::Silent {
            return pending().await;
        }
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status} Canned\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
        client.write_all(head.as_bytes()).await?;
        client.write_all(if *end == End::Whole { body } else { &body[..length / 2] }).await?;
        client.flush().await?;
        match end {
            End::Stalled => pending().await,
            _ => client.shutdown().await,
        }
    }
}

type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

/// A running server. It lives as long as this does.
#[derive(Debug)]
pub(crate) struct Canned {
    port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Canned {
    /// Starts it on a free port.
    pub(crate) async fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::serve(answer, None).await
    }

    /// Starts a proxy on a free port that is itself every one of these hosts that a client wants to speak TLS with.
    /// Returns their certificate, too.
    pub(crate) async fn start_tls(
        hosts: &[&str],
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> (Self, String) {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(hosts).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = config.with_single_cert(vec![cert.der().clone()], key).unwrap();
        (Self::serve(answer, Some(TlsAcceptor::from(Arc::new(config)))).await, cert.pem())
    }

    async fn serve(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (noted, answer) = (Arc::clone(&seen), Arc::new(answer) as Arc<Answer>);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (noted, answer, tls) = (Arc::clone(&noted), Arc::clone(&answer), tls.clone());
                tokio::spawn(async move {
                    // What a connection dies of is the client's to notice.
                    let _ = match tls {
                        None => answer_one(client, &noted, &*answer).await,
                        Some(tls) => answer_behind_tls(client, &tls, &noted, &*answer).await,
                    };
                });
            }
        });
        Self { port, seen, task }
    }

    /// Its address.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A prefix in a bucket of a service that is here.
    pub(crate) fn connect(&self, service: Service) -> ObjectFs {
        Server::of(service, &self.endpoint()).connect("p")
    }

    /// What it was asked since the last call.
    pub(crate) fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// Answers one request; the next one comes by a connection of its own.
async fn answer_one(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    noted: &Mutex<Vec<Request>>,
    answer: &Answer,
) -> io::Result<()> {
    let Some(mut request) = receive(&mut client).await? else { return Ok(()) };
    let reply = {
        let mut noted = noted.lock().unwrap();
        request.number = noted.len();
        noted.push(request.clone());
        answer(&request)
    };
    reply.send(&mut client).await
}

async fn answer_behind_tls(
    mut client: TcpStream,
    tls: &TlsAcceptor,
    noted: &Mutex<Vec<Request>>,
    answer: &Answer,
) -> io::Result<()> {
    let connect = receive(&mut client).await?;
    assert_eq!(connect.unwrap().method, "CONNECT");
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
    answer_one(tls.accept(client).await?, noted, answer).await
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.task.abort();
    }
}
