//! A location that both sides reach: a folder, or a prefix in a bucket, where LlamaIndex works through s3fs.

use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use colca::persist::Folder;
use colca::prelude::*;
use tokio::runtime::Runtime;

use super::python::Python;
use super::values::object;

/// A location as we and LlamaIndex call it.
pub(super) struct Location {
    /// What we open.
    pub(super) place: Place,
    /// What LlamaIndex opens: a folder, or `bucket/prefix`.
    dir: String,
    /// What its file system is made of; null for the local one.
    fs: Value,
}

impl Location {
    /// A folder on the disk.
    pub(super) fn folder(folder: &Path) -> Result<Self> {
        Ok(Self { place: folder.into_place()?, dir: folder.to_string_lossy().into_owned(), fs: Value::Null })
    }

    /// A prefix that nobody has used, in the bucket of the S3 server that the environment names.
    pub(super) fn in_bucket() -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let now = SystemTime::UNIX_EPOCH.elapsed()?.as_nanos();
        let prefix = format!("interchange/{now}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let variable = |name| {
            let advice = "`cargo xtask interchange --on s3` sets it";
            std::env::var(name).with_context(|| format!("{name} is not set: {advice}"))
        };
        let (endpoint, bucket) = (variable("COLCA_S3_ENDPOINT")?, variable("COLCA_S3_BUCKET")?);
        let account = variable("COLCA_S3_ACCOUNT")?;
        let (key, secret) = account.split_once(':').context("the account is no key and secret")?;
        let dir = format!("{bucket}/{prefix}");
        let config = S3Config::from_uri(&format!("s3://{dir}?endpoint={endpoint}"))?.keys(key, secret);
        let fs = object([("endpoint", endpoint.into()), ("key", key.into()), ("secret", secret.into())]);
        Ok(Self { place: config.environment(false).into_place()?, dir, fs })
    }

    /// LlamaIndex opens a context there, and calls it by this name.
    pub(super) fn open_in_python(&self, python: &mut Python, ctx: &str) -> Result<()> {
        self.ask(python, "open", ctx)
    }

    /// LlamaIndex persists a context there.
    pub(super) fn persist_in_python(&self, python: &mut Python, ctx: &str) -> Result<()> {
        self.ask(python, "persist", ctx)
    }

    fn ask(&self, python: &mut Python, what: &str, ctx: &str) -> Result<()> {
        let dir = self.dir.as_str().into();
        python.ask(what, [("ctx", ctx.into()), ("dir", dir), ("fs", self.fs.clone())]).map(drop)
    }

    /// The names of the files that are published there, in order.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        Ok(self.versions()?.into_iter().map(|(name, _)| name).collect())
    }

    /// The files that are published there, each with its version.
    pub(super) fn versions(&self) -> Result<Vec<(String, Option<String>)>> {
        let files = block_on(self.place.list(Folder::Published))?;
        Ok(files.into_iter().map(|file| (file.name, file.version)).collect())
    }

    /// The content of a file as it is published.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>> {
        let content = block_on(self.place.read(name, u64::MAX))?;
        Ok(content.with_context(|| format!("there is no {name} in {}", self.dir))?.into())
    }

    /// Python replaces a file in a bucket.
    pub(super) fn replace(&self, python: &mut Python, name: &str, content: Vec<u8>) -> Result<()> {
        ensure!(self.fs != Value::Null, "only files in buckets are replaced");
        let (path, content) = (format!("{}/{name}", self.dir), String::from_utf8(content)?);
        python.ask("replace", [("path", path.into()), ("content", content.into()), ("fs", self.fs.clone())]).map(drop)
    }
}

/// Waits for work that may go over the network.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts on this system"));
    RUNTIME.block_on(work)
}
