mod call;
mod cause;
mod documents;
mod download;
mod list;
mod outage;
mod probe;
mod publish;
mod requests;
mod upload;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use bytes::Bytes;
use opendal::layers::TimeoutLayer;
use opendal::options::WriteOptions;
use opendal::{ErrorKind, Operator};
use persist::{
    Abilities, Content, Durability, Expected, FileInfo, Folder, Meter, PersistFs, Publication, Result, Stored,
    check_name, check_own_path, check_path,
};
use tokio::sync::OnceCell;

use crate::DiskCache;
#[cfg(feature = "http")]
use crate::service::Shared;
use outage::Outage;
use probe::Conditions;

pub use requests::RequestOptions;
#[cfg(feature = "http")]
pub(crate) use watch::Activity;

/// The size of the parts in which content travels. R2 wants all parts of an upload but the last to be of one size.
const CHUNK: usize = 8 << 20;

/// How many parts of one file travel at the same time. Measured on a server on the same machine: fetching is fastest with
/// eight, and sending with four, as a service works more on what it is sent.
const CONCURRENT: usize = 8;
const CONCURRENT_SENT: usize = 4;

/// How many times the time limit of a request whose content is sent by a client that does not note what it sends.
const PATIENCE_WITH_CONTENT: u32 = 3;

/// A prefix in a bucket of an object store, or whatever else OpenDAL reaches.
///
/// It is made from a URI, from a config such as `S3Config`, or from an operator of the caller's, whose root is the
/// location. Requests have a time limit and are repeated, and an operation without progress ends after a while: see
/// [`RequestOptions`]. A Tokio runtime with time and network is needed.
///
/// What the location can do is not taken from what OpenDAL says of the service, but tried:
/// [`abilities`](PersistFs::abilities) makes two small objects, asks for what must be refused, and deletes them.
///
/// Files travel in parts of 8 MiB: eight at a time when they are read, four when they are written. Writing a file takes less
/// than 100 MiB of memory, however large it is, and it can have 78 GiB on S3, whose uploads have 10,000 parts at most. A
/// multipart upload that is not finished because the process was killed stays in the bucket, unseen and paid for: give the
/// bucket a rule that aborts them after some days.
///
/// Clones share what was found out about the location.
#[derive(Clone)]
pub struct ObjectFs {
    operator: Operator,
    /// Whether the operator repeats requests by itself. If so, none are repeated here, and what must come from one object
    /// is read with conditions.
    repeats: bool,
    /// Whether requests are made by our own client, which notes what it sends.
    notes_sent: bool,
    requests: RequestOptions,
    location: Arc<str>,
    identity: Arc<str>,
    cache: Option<DiskCache>,
    known: Arc<Known>,
}

/// What was found out about a location.
#[derive(Debug, Default)]
struct Known {
    conditions: OnceCell<Conditions>,
    /// Whether something was read there, so that the credentials allow to read.
    readable: AtomicBool,
    outage: Outage,
}

impl ObjectFs {
    /// The location at the operator's root. Nothing is asked of the service yet.
    ///
    /// Time limits and repetitions are added here, see [`RequestOptions`]; layers that the operator has already stay
    /// beneath them. If OpenDAL's `RetryLayer` is among those, a small file takes two requests to read instead of one.
    pub fn new(operator: Operator) -> Self {
        Self::with_requests(operator, RequestOptions::default())
    }

    /// As [`new`](Self::new), with other time limits and repetitions. The time to connect is the operator's matter. How far
    /// its client has come with sending a part of a file is not seen here: a part that takes longer than three times
    /// `timeout`, or than `deadline`, fails. The configs of services have a client of our own and no such limit.
    pub fn with_requests(operator: Operator, requests: RequestOptions) -> Self {
        let requests = requests.bounded();
        let with_content = requests.timeout * PATIENCE_WITH_CONTENT;
        // Retries go around it: the other way round it would cut off the state that they restore.
        let limit = TimeoutLayer::new().with_timeout(requests.timeout).with_io_timeout(with_content);
        let repeats = repeats(&operator);
        Self { requests, repeats, ..Self::with_own_layers(operator.layer(limit)) }
    }

    /// The location of an operator that has all the layers it is to have. Without a time limit among them an operation
    /// ends only by the deadline of [`RequestOptions`]. Of the layers that repeat requests only `RetryLayer` is known
    /// here, and another one must not go on where an answer broke off.
    pub fn with_own_layers(operator: Operator) -> Self {
        let info = operator.info();
        let location = format!("{}://{}/{}", info.scheme(), info.name(), info.root().trim_matches('/'));
        let location: Arc<str> = location.trim_end_matches('/').into();
        let identity = match endpoint(&operator) {
            // The same as a config's for the same location, where the bucket is a part of the path.
            Some(endpoint) => {
                let service = endpoint.strip_suffix(info.name().as_str()).unwrap_or(&endpoint).trim_end_matches('/');
                format!("{service}/{}/{}", info.name(), info.root().trim_matches('/')).into()
            }
            None => Arc::clone(&location),
        };
        Self {
            operator,
            repeats: true,
            notes_sent: false,
            requests: RequestOptions::default(),
            location,
            identity,
            cache: None,
            known: Arc::default(),
        }
    }

    /// The location of a service whose client is our own.
    #[cfg(feature = "http")]
    pub(crate) fn of_service(operator: Operator, location: String, identity: String, shared: &Shared) -> Self {
        Self {
            repeats: false,
            notes_sent: true,
            requests: shared.requests.bounded(),
            location: location.into(),
            identity: identity.into(),
            cache: shared.cache.clone(),
            ..Self::with_own_layers(operator)
        }
    }

    /// Keeps what is read in a folder on a local disk, so that it need not be read again.
    #[must_use]
    pub fn with_cache(self, cache: DiskCache) -> Self {
        Self { cache: Some(cache), ..self }
    }
}

/// Whether the operator has OpenDAL's layer that repeats requests. There is no other way to see its layers.
fn repeats(operator: &Operator) -> bool {
    format!("{operator:?}").contains("Retry")
}

/// The address that an operator's requests go to, if the service shows it. There is no other way to see it.
fn endpoint(operator: &Operator) -> Option<String> {
    let shown = format!("{:?}", operator.base_service());
    let (_, rest) = shown.split_once("endpoint: \"")?;
    rest.split_once('"').map(|(endpoint, _)| endpoint.to_owned())
}

impl fmt::Debug for ObjectFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ObjectFs").field(&self.location).finish()
    }
}

/// Publishing is a copy within the service, conditional on the version where it can be. Nothing is left to
/// [`sync`](Self::sync): what a service has acknowledged is durable. There is no lock.
#[async_trait]
impl PersistFs for ObjectFs {
    /// The URI, as in `s3://bucket/prefix`, with the endpoint as a setting if it is not the service's own. Of an operator
    /// of the caller's, the service, the bucket and the prefix.
    fn location(&self) -> String {
        self.location.to_string()
    }

    /// The endpoint or account, the bucket and the prefix.
    fn identity(&self) -> String {
        self.identity.to_string()
    }

    async fn abilities(&self) -> Result<Abilities> {
        let Conditions { create, publish, .. } = self.conditions().await?;
        Ok(Abilities { create, conditional_publish: publish, moves: false })
    }

    async fn list(&self, folder: Folder) -> Result<Vec<FileInfo>> {
        self.list_folder(folder).await
    }

    /// One request for a file of up to 8 MiB. The rest of a larger one is fetched in parts, each on the condition that the
    /// file is still the same.
    ///
    /// A service that may not be listed forbids to read what is absent, too. Once something was read here, that is taken for
    /// absence.
    async fn read(&self, path: &str, limit: u64) -> Result<Option<Bytes>> {
        self.read_with(path, limit, &Meter::default()).await
    }

    async fn read_with(&self, path: &str, limit: u64, meter: &Meter) -> Result<Option<Bytes>> {
        check_path(path)?;
        self.download(path, limit, meter).await
    }

    async fn write(&self, path: &str, content: Content, _: Durability) -> Result<Stored> {
        check_own_path(path)?;
        self.upload(path, content, &Meter::default()).await
    }

    async fn stage(&self, path: &str, _: &str, content: Content, _: Durability, meter: &Meter) -> Result<Stored> {
        check_own_path(path)?;
        self.upload(path, content, meter).await
    }

    /// A request that is repeated because its answer was lost finds what it has made itself: `false` means that the
    /// file is there, and its content shows whose it is.
    async fn create(&self, path: &str, content: Bytes, _: Durability) -> Result<bool> {
        check_own_path(path)?;
        let call = self.begin("create", path)?;
        let if_not_exists = call.operator.info().capability().write_with_if_not_exists;
        let options = WriteOptions { if_not_exists, ..WriteOptions::default() };
        match call.run(call.operator.write_options(path, content, options)).await {
            Ok(_) => Ok(true),
            Err(e) if matches!(e.kind(), ErrorKind::ConditionNotMatch | ErrorKind::AlreadyExists) => Ok(false),
            Err(e) => Err(call.failed(e)),
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
        let call = self.begin("delete", path)?;
        match call.run(call.operator.delete(path)).await {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(call.failed(e)),
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
