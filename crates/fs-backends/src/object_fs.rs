mod cause;
mod download;
mod list;
mod probe;
mod publish;
mod upload;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use opendal::layers::{RetryLayer, TimeoutLayer};
use opendal::options::WriteOptions;
use opendal::{ErrorKind, Operator};
use persist::{
    Abilities, Content, Durability, Error, Expected, FileInfo, Folder, PersistFs, Publication, Result, Stored,
    check_name, check_own_path, check_path,
};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use cause::Cause;
use probe::Conditions;

/// How long a request that carries no content may take, and how long one that carries a part of it.
const TIMEOUT: Duration = Duration::from_secs(20);
const TIMEOUT_OF_CONTENT: Duration = Duration::from_secs(60);

/// How often a request is tried again, and how long to wait before: half a second, then twice as long each time.
const RETRIES: usize = 4;
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// The size of the parts in which content travels. R2 wants all parts of an upload but the last to be of one size.
const CHUNK: usize = 8 << 20;

/// How many parts of one file travel at the same time.
const CONCURRENT: usize = 4;

/// A prefix in a bucket of an object store, or whatever else OpenDAL reaches.
///
/// The operator's root is the place. Requests time out after 20 seconds, those that carry a part of a file after 60,
/// and are tried 5 times in all, each time after a longer pause; so a dead connection is an error and no endless wait.
/// A Tokio runtime with time and network is needed.
///
/// What the place can do is not taken from what OpenDAL says of the service, but tried:
/// [`abilities`](PersistFs::abilities) makes two small objects, asks for what must be refused, and deletes them.
///
/// Files travel in parts of 8 MiB, four at a time; a file that is written takes less than 100 MiB of memory, however
/// large it is, and can have 78 GiB on S3, whose uploads have 10,000 parts at most. A multipart upload that is not
/// finished because the process was killed stays in the bucket, unseen and paid for: give the bucket a rule that aborts
/// them after some days.
///
/// Clones share what was found out about the place.
#[derive(Clone)]
pub struct ObjectFs {
    operator: Operator,
    /// Without a layer that repeats requests, for reads that must come from one object.
    once: Option<Operator>,
    known: Arc<Known>,
}

/// What was found out about a place.
#[derive(Debug, Default)]
struct Known {
    conditions: OnceCell<Conditions>,
    /// Whether something was read there, so that the credentials allow to read.
    readable: AtomicBool,
}

impl ObjectFs {
    /// The place at the operator's root. Nothing is asked of the service yet.
    ///
    /// The time limit and the repetitions are added here; layers that the operator has already stay beneath them. With
    /// OpenDAL's `RetryLayer` among those a small file takes two requests to read instead of one.
    pub fn new(operator: Operator) -> Self {
        let timeout = TimeoutLayer::new().with_timeout(TIMEOUT).with_io_timeout(TIMEOUT_OF_CONTENT);
        let retry = RetryLayer::new().with_max_times(RETRIES).with_min_delay(RETRY_DELAY).with_jitter();
        // The other way round a timeout would cut off the retries and the state that they restore.
        let once = operator.layer(timeout);
        Self { operator: once.clone().layer(retry), ..Self::with_own_layers(once) }
    }

    /// The same with an operator that has all the layers it is to have: [`new`](Self::new) with other times. Without a
    /// time limit among them a call may never return. Of the layers that repeat requests only `RetryLayer` is known
    /// here, and another one must not go on where an answer broke off.
    pub fn with_own_layers(operator: Operator) -> Self {
        // Nothing else tells its layers.
        let repeats = format!("{operator:?}").contains("Retry");
        Self { once: (!repeats).then(|| operator.clone()), operator, known: Arc::default() }
    }

    /// The operator for a request about this path, if it can be used here and now.
    fn operator(&self, operation: &'static str, path: &str) -> Result<&Operator> {
        // OpenDAL trims it, and would use another key.
        if path.trim() != path {
            let reason = "it starts or ends with a space";
            return Err(Error::InvalidName { name: path.to_owned(), reason });
        }
        match Handle::try_current() {
            Ok(_) => Ok(&self.operator),
            Err(_) => Err(Error::failed(self.location(), operation, path, "this needs to run inside a Tokio runtime")),
        }
    }

    fn failed(&self, operation: &'static str, path: &str, cause: opendal::Error) -> Error {
        Error::failed(self.location(), operation, path, Cause::from(cause))
    }
}

impl fmt::Debug for ObjectFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ObjectFs").field(&self.location()).finish()
    }
}

/// Publishing is a copy within the service, conditional on the ETag where it can be. Nothing is left to
/// [`sync`](Self::sync): what a service has acknowledged is durable. There is no lock.
#[async_trait]
impl PersistFs for ObjectFs {
    /// The service, the bucket and the prefix, as in `s3://bucket/prefix`.
    fn location(&self) -> String {
        let info = self.operator.info();
        let root = info.root();
        format!("{}://{}/{}", info.scheme(), info.name(), root.trim_matches('/')).trim_end_matches('/').to_owned()
    }

    async fn abilities(&self) -> Result<Abilities> {
        let Conditions { create, publish, .. } = self.conditions().await?;
        Ok(Abilities { create, conditional_publish: publish, moves: false })
    }

    async fn list(&self, folder: Folder) -> Result<Vec<FileInfo>> {
        self.list_folder(folder).await
    }

    /// One request for a file of up to 8 MiB. Larger ones are fetched in parts, each on the condition that the file is
    /// still the same.
    ///
    /// A service that may not be listed does not tell what is absent: it forbids to read it. Once something was read
    /// here, that is taken for absence.
    async fn read(&self, path: &str, limit: u64) -> Result<Option<Bytes>> {
        check_path(path)?;
        self.download(path, limit).await
    }

    async fn write(&self, path: &str, content: Content, _: Durability) -> Result<Stored> {
        check_own_path(path)?;
        self.upload(path, content).await
    }

    /// A request that is repeated because its answer was lost finds what it has made itself: `false` means that the
    /// file is there, and the content tells whose it is.
    async fn create(&self, path: &str, content: Bytes, _: Durability) -> Result<bool> {
        check_own_path(path)?;
        let operator = self.operator("create", path)?;
        let if_not_exists = operator.info().capability().write_with_if_not_exists;
        let options = WriteOptions { if_not_exists, ..WriteOptions::default() };
        match operator.write_options(path, content, options).await {
            Ok(_) => Ok(true),
            Err(e) if matches!(e.kind(), ErrorKind::ConditionNotMatch | ErrorKind::AlreadyExists) => Ok(false),
            Err(e) => Err(self.failed("create", path, e)),
        }
    }

    /// As with [`create`](Self::create), a repeated request may find its own work, and call it unexpected.
    async fn publish(&self, staged: &str, name: &str, expected: &Expected) -> Result<Publication> {
        check_own_path(staged)?;
        check_name(name)?;
        self.copy(staged, name, expected).await
    }

    async fn delete(&self, path: &str) -> Result<()> {
        check_path(path)?;
        match self.operator("delete", path)?.delete(path).await {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(self.failed("delete", path, e)),
            _ => Ok(()),
        }
    }

    async fn unpublish(&self, name: &str, expected: &Expected) -> Result<Publication> {
        check_name(name)?;
        self.remove(name, expected).await
    }

    async fn sync(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
