use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use benches::{context, embedded_nodes};
use bytes::Bytes;
use colca::prelude::*;
use opendal::options::{DeleteOptions, ReaderOptions, WriteOptions};
use opendal::{HttpTransporter, OperationContext, Operator, services};
use opendal_http_transport_reqwest::ReqwestTransport;
use pollster::block_on;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::Bench;
use crate::peer::Peer;
use crate::row::{Line, Row};
use crate::timing::in_turn;

pub(super) const ROW: Row = Row {
    name: "s3",
    work: "Persists a context to S3 and opens it from there; the server is on this machine. LlamaIndex uses s3fs.",
    full_s: 420,
    quick_s: 20,
    measure,
};

/// The parts in which plain transfers travel, and how many at the same time.
const CHUNK: usize = 8 << 20;
const CONCURRENT: usize = 8;

/// A file to transfer.
type File = (String, Bytes);

fn measure(bench: &mut Bench) -> Result<Vec<Line>> {
    let server = Server::find()?;
    let runtime = Runtime::new()?;
    let nodes = embedded_nodes(bench.data.size.nodes, bench.data.size.dimensions);
    let files = files(bench)?;
    let plain = server.operator("plain")?;
    let [persist, upload] = in_turn([
        Box::new(|| {
            // A context that knows no other location, and one that holds nothing: everything is written.
            runtime.block_on(server.clear("ours"))?;
            let ctx = context(&nodes);
            timed(|| Ok(runtime.block_on(ctx.persist(server.location("ours")))?))
        }),
        Box::new(|| timed(|| runtime.block_on(upload(&plain, &files)))),
    ])?;
    let [open, download, from_disk] = in_turn([
        Box::new(|| timed(|| Ok(runtime.block_on(StorageContext::open(server.location("ours")))?))),
        Box::new(|| timed(|| runtime.block_on(download(&plain, &files)))),
        Box::new(|| timed(|| Ok(block_on(StorageContext::open(bench.data.context.as_path()))?))),
    ])?;
    // Minutes each, so once.
    let mut peer = Peer::llama_index();
    let mut ask = |work: &str, dir: &str| {
        peer.ask(json!({
            "do": work, "from": bench.data.context, "dir": format!("{}/bench/{dir}", server.bucket),
            "endpoint": server.endpoint, "key": server.key, "secret": server.secret,
        }))
    };
    let (their_persist, their_open) = (ask("persist_to_s3", "theirs")?, ask("open_from_s3", "theirs")?);
    for prefix in ["ours", "plain", "theirs"] {
        runtime.block_on(server.clear(prefix))?;
    }
    Ok(vec![
        Line {
            work: "persist to S3".to_owned(),
            ours: persist,
            theirs: Some(their_persist),
            limit: Some(("sending the same bytes with OpenDAL", upload)),
        },
        Line {
            work: "open from S3".to_owned(),
            ours: open,
            theirs: Some(their_open),
            limit: Some(("fetching the same bytes with OpenDAL, then opening them from a disk", download + from_disk)),
        },
    ])
}

/// Measures work; what it makes is dropped afterwards.
fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<Duration> {
    let start = Instant::now();
    let done = work()?;
    let time = start.elapsed();
    drop(done);
    Ok(time)
}

/// The files of the context on the disk.
fn files(bench: &Bench) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(&bench.data.context)? {
        let entry = entry?;
        files.push((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?.into()));
    }
    Ok(files)
}

async fn upload(operator: &Operator, files: &[File]) -> Result<()> {
    for (name, bytes) in files {
        let options = WriteOptions { chunk: Some(CHUNK), concurrent: CONCURRENT, ..WriteOptions::default() };
        operator.write_options(name, bytes.clone(), options).await?;
    }
    Ok(())
}

async fn download(operator: &Operator, files: &[File]) -> Result<Vec<Vec<u8>>> {
    let mut read = Vec::new();
    for (name, bytes) in files {
        let options = ReaderOptions { chunk: Some(CHUNK), concurrent: CONCURRENT, ..ReaderOptions::default() };
        let mut whole = Vec::with_capacity(bytes.len());
        operator.reader_options(name, options).await?.read_into(&mut whole, 0..bytes.len() as u64).await?;
        ensure!(whole.len() == bytes.len(), "{name} has another length");
        read.push(whole);
    }
    Ok(read)
}

/// The server that the driver has started.
struct Server {
    endpoint: String,
    bucket: String,
    key: String,
    secret: String,
}

impl Server {
    fn find() -> Result<Self> {
        let variable =
            |name| std::env::var(name).with_context(|| format!("{name} is not set: `cargo xtask bench` sets it"));
        let account = variable("COLCA_S3_ACCOUNT")?;
        let (key, secret) = account.split_once(':').context("the account is no key and secret")?;
        let (endpoint, bucket) = (variable("COLCA_S3_ENDPOINT")?, variable("COLCA_S3_BUCKET")?);
        Ok(Self { endpoint, bucket, key: key.to_owned(), secret: secret.to_owned() })
    }

    fn location(&self, prefix: &str) -> S3Config {
        S3Config::new(&self.bucket)
            .prefix(format!("bench/{prefix}"))
            .endpoint(&self.endpoint)
            .keys(&self.key, &self.secret)
    }

    async fn clear(&self, prefix: &str) -> Result<()> {
        let options = DeleteOptions { recursive: true, ..DeleteOptions::default() };
        Ok(self.operator(prefix)?.delete_options("", options).await?)
    }

    fn operator(&self, prefix: &str) -> Result<Operator> {
        let s3 = services::S3::default()
            .bucket(&self.bucket)
            .root(&format!("bench/{prefix}"))
            .endpoint(&self.endpoint)
            .region("us-east-1")
            .access_key_id(&self.key)
            .secret_access_key(&self.secret);
        // The client wants to know what to speak TLS with, though nothing here does. The first one stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let transport = HttpTransporter::new(ReqwestTransport::default());
        Ok(Operator::new(s3)?.with_context(OperationContext::new().with_http_transport(transport)))
    }
}
