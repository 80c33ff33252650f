//! The S3 server that the environment names.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use std::{env, process};

use fs_backends::{ObjectFs, RequestOptions, S3Config};
use opendal::services::S3;
use opendal::{HttpTransporter, OperationContext, Operator};
use opendal_http_transport_reqwest::ReqwestTransport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// On whose account requests are made.
#[derive(Debug, Clone, Copy)]
pub enum Account {
    /// One that may do everything.
    Owner,
    /// One that may read, and not list or write.
    Reader,
    /// One with a secret that is not its own.
    Impostor,
    /// None: requests are not signed, and may be changed on the way.
    Nobody,
}

/// Time limits of a second, and repetitions that hardly wait.
pub const IMPATIENT: RequestOptions = RequestOptions {
    connect_timeout: Duration::from_secs(1),
    timeout: Duration::from_secs(1),
    retries: 5,
    retry_delay: Duration::from_millis(20),
    deadline: Duration::from_secs(6),
};

/// A prefix in the bucket, and how to get there.
#[derive(Debug, Clone)]
pub struct Remote {
    endpoint: String,
    prefix: String,
    account: Account,
}

impl Remote {
    /// A prefix that nobody has used.
    pub fn new() -> Self {
        Self::at(unused_prefix())
    }

    /// This prefix.
    pub fn at(prefix: impl Into<String>) -> Self {
        Self { endpoint: variable("COLCA_S3_ENDPOINT"), prefix: prefix.into(), account: Account::Owner }
    }

    /// The same on another account.
    #[must_use]
    pub fn account(&self, account: Account) -> Self {
        Self { account, ..self.clone() }
    }

    /// The same through something that listens on this port.
    #[must_use]
    pub fn through(&self, port: u16) -> Self {
        Self { endpoint: format!("http://127.0.0.1:{port}"), ..self.clone() }
    }

    /// The prefix.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The port of the endpoint.
    pub fn port(&self) -> u16 {
        self.endpoint.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// The objects themselves, by another client than the location's. Its requests are not signed.
    pub fn operator(&self) -> Operator {
        let s3 = S3::default()
            .endpoint(&self.endpoint)
            .bucket(&variable("COLCA_S3_BUCKET"))
            .root(&self.prefix)
            .region("us-east-1")
            .skip_signature();
        provide_cryptography();
        let transport = HttpTransporter::new(ReqwestTransport::default());
        Operator::new(s3).unwrap().with_context(OperationContext::new().with_http_transport(transport))
    }

    /// The location.
    pub fn place(&self) -> ObjectFs {
        self.place_with(RequestOptions::default())
    }

    /// The location, on which calls give up soon.
    pub fn impatient(&self) -> ObjectFs {
        self.place_with(IMPATIENT)
    }

    /// The location, with these time limits and repetitions.
    pub fn place_with(&self, requests: RequestOptions) -> ObjectFs {
        let config = S3Config::new(variable("COLCA_S3_BUCKET")).prefix(&self.prefix).endpoint(&self.endpoint);
        let account = match self.account {
            Account::Owner => variable("COLCA_S3_ACCOUNT"),
            Account::Reader => variable("COLCA_S3_READER"),
            Account::Impostor => variable("COLCA_S3_ACCOUNT") + "-not",
            Account::Nobody => String::new(),
        };
        let config = match account.split_once(':') {
            Some((id, secret)) => config.keys(id, secret),
            None => config.anonymous(true),
        };
        config.environment(false).requests(requests).connect().unwrap()
    }

    /// How many uploads in parts have begun there and neither ended nor been aborted.
    pub async fn uploads(&self) -> usize {
        let mut server = TcpStream::connect(("127.0.0.1", self.port())).await.unwrap();
        let path = format!("/{}?uploads=&prefix={}", variable("COLCA_S3_BUCKET"), self.prefix);
        let host = self.endpoint.trim_start_matches("http://");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        server.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        server.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("ListMultipartUploadsResult"), "{answer}");
        answer.matches("<UploadId>").count()
    }
}

impl Default for Remote {
    fn default() -> Self {
        Self::new()
    }
}

/// A prefix that nobody has used.
pub fn unused_prefix() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    format!("test-{}-{now}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Kills the server and starts it again on the same data; returns when it answers.
pub async fn restart_server() {
    let mut control = TcpStream::connect(variable("COLCA_SERVICES")).await.unwrap();
    control.write_all(b"restart s3\n").await.unwrap();
    let mut answer = String::new();
    control.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "done\n");
}

/// The value of a variable by which servers are found.
pub fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: this needs a server; `cargo xtask services` starts it and prints the variables")
    })
}

/// Where other packages of the workspace let the HTTP client speak TLS, it wants to know by what, though nothing here
/// does.
fn provide_cryptography() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
