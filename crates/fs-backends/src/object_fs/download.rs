use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::StreamExt;
use http::StatusCode;
use opendal::options::{ReaderOptions, StatOptions};
use opendal::{ErrorKind, Metadata, Operator};
use persist::{Error, Meter, Result};
use tokio::time::sleep;

use super::call::Call;
use super::cause::is_about_credentials;
use super::{CHUNK, CONCURRENT, ObjectFs};
use crate::disk_cache::Cached;

/// What a request for a file brought.
enum Answer {
    /// The file.
    Whole(Bytes, Option<String>),
    /// The file is larger than a part: its first part, and which version it is of.
    Begun(Vec<u8>, Metadata),
    /// The service does not say enough of what it sends.
    Unclear,
    /// It has more bytes than the limit.
    TooLarge(u64),
    /// It is the version that the cache has.
    Cached,
}

/// Why a file was not read whole.
enum Failure {
    TooLarge(u64),
    Changed,
    Other(opendal::Error),
}

impl From<opendal::Error> for Failure {
    fn from(e: opendal::Error) -> Self {
        match e.kind() {
            ErrorKind::ConditionNotMatch => Self::Changed,
            _ => Self::Other(e),
        }
    }
}

impl ObjectFs {
    /// The whole of one object, as it was at one moment.
    pub(super) async fn download(&self, path: &str, limit: u64, meter: &Meter) -> Result<Option<Bytes>> {
        let call = self.begin("read", path)?;
        match self.fetch(&call, path, limit, meter).await {
            Ok(bytes) => {
                self.known.readable.store(true, Ordering::Relaxed);
                Ok(Some(bytes))
            }
            Err(Failure::TooLarge(size)) => {
                Err(Error::TooLarge { place: self.location.to_string(), name: path.to_owned(), size, limit })
            }
            Err(Failure::Changed) => Err(Error::Superseded { place: self.location.to_string() }),
            Err(Failure::Other(e)) if e.kind() == ErrorKind::NotFound && !is_without_bucket(&e) => Ok(None),
            Err(Failure::Other(e)) if self.means_absent(&e).await => Ok(None),
            Err(Failure::Other(e)) => Err(call.failed(e)),
        }
    }

    /// Whether being forbidden to read something is how this location says that it is absent.
    async fn means_absent(&self, error: &opendal::Error) -> bool {
        error.kind() == ErrorKind::PermissionDenied
            && !is_about_credentials(error.message())
            && self.known.readable.load(Ordering::Relaxed)
            && !self.may_list().await
    }

    /// Reads the file, or takes it from the cache if that has this version of it.
    async fn fetch(&self, call: &Call<'_>, path: &str, limit: u64, meter: &Meter) -> Result<Bytes, Failure> {
        let cached = match &self.cache {
            Some(cache) => cache.find(&self.identity, path).await,
            None => None,
        };
        let etag = cached.as_ref().map(|cached| cached.etag.as_str());
        let answer = match &call.once {
            Some(once) => call.run(ask_again(call, once, path, limit, etag)).await?,
            None => Answer::Unclear,
        };
        let answer = match answer {
            Answer::Unclear => in_parts(call, path, limit, etag, meter).await?,
            Answer::Whole(bytes, etag) => {
                meter.add(bytes.len() as u64);
                Answer::Whole(bytes, etag)
            }
            Answer::Begun(first, metadata) => {
                let etag = metadata.etag().map(str::to_owned);
                Answer::Whole(call.run(rest(call, path, first, &metadata, meter)).await?, etag)
            }
            done => done,
        };
        let (bytes, etag) = match (answer, cached) {
            (Answer::Whole(bytes, etag), _) => (bytes, etag),
            (Answer::Cached, Some(cached)) if cached.size <= limit => {
                meter.add(cached.size);
                return Ok(cached.bytes);
            }
            (Answer::Cached, Some(Cached { size, .. })) | (Answer::TooLarge(size), _) => {
                return Err(Failure::TooLarge(size));
            }
            // Nothing else is left of what a service may answer.
            _ => return Err(Failure::Changed),
        };
        if let (Some(cache), Some(etag)) = (&self.cache, etag) {
            cache.keep(&self.identity, path, &etag, &bytes).await;
        }
        Ok(bytes)
    }
}

/// Whether an answer means that the bucket is absent, and not only the object, as far as the service says so.
fn is_without_bucket(error: &opendal::Error) -> bool {
    ["ContainerNotFound", "NoSuchBucket", "bucket does not exist"].iter().any(|code| error.message().contains(code))
}

/// Whether a file has no first part, as it is empty. OpenDAL does not tell such answers from others for all services.
fn is_out_of_range(call: &Call<'_>, error: &opendal::Error) -> bool {
    let refusal = call.watch.last().and_then(|last| last.refusal);
    error.kind() == ErrorKind::RangeNotSatisfied || refusal == Some(StatusCode::RANGE_NOT_SATISFIABLE)
}

/// As [`ask`], from the beginning again when it fails.
async fn ask_again(
    call: &Call<'_>,
    operator: &Operator,
    path: &str,
    limit: u64,
    etag: Option<&str>,
) -> opendal::Result<Answer> {
    for pause in call.pauses() {
        match ask(call, operator, path, limit, etag).await {
            Err(e) if e.is_temporary() => sleep(pause).await,
            done => return done,
        }
    }
    ask(call, operator, path, limit, etag).await
}

/// Asks for a file, unless it still has this version.
///
/// This must not be repeated by a layer from where it broke off: the rest could be another file's.
async fn ask(
    call: &Call<'_>,
    operator: &Operator,
    path: &str,
    limit: u64,
    etag: Option<&str>,
) -> opendal::Result<Answer> {
    let conditional = operator.info().capability().read_with_if_none_match;
    let if_none_match = etag.filter(|_| conditional).map(str::to_owned);
    let is_conditional = if_none_match.is_some();
    let options = ReaderOptions { if_none_match, ..ReaderOptions::default() };
    // No more than a part: what a service sends in vain keeps it busy.
    let mut stream = operator.reader_options(path, options).await?.into_stream(0..CHUNK as u64).await?;
    let metadata = match stream.metadata().await {
        Err(e) if e.kind() == ErrorKind::Unsupported || is_out_of_range(call, &e) => return Ok(Answer::Unclear),
        Err(e) if e.kind() == ErrorKind::ConditionNotMatch && is_conditional => return Ok(Answer::Cached),
        metadata => metadata?,
    };
    let size = metadata.content_length();
    if size > limit {
        return Ok(Answer::TooLarge(size));
    }
    let is_small = size <= CHUNK as u64;
    // The rest can be asked for only if it is certain to be of the same version.
    if !is_small && (metadata.etag().is_none() || !operator.info().capability().read_with_if_match) {
        return Ok(Answer::Unclear);
    }
    let mut whole = reserve(size).ok_or_else(no_memory)?;
    let wanted = size.min(CHUNK as u64) as usize;
    // The end is not waited for: OpenDAL takes a range that reaches beyond it for cut off.
    while whole.len() < wanted {
        match stream.next().await {
            Some(Ok(piece)) => Iterator::for_each(piece, |piece| whole.extend_from_slice(&piece)),
            Some(Err(e)) if e.is_temporary() => return Err(e),
            Some(Err(_)) | None => return Ok(Answer::Unclear),
        }
    }
    Ok(match is_small {
        true => Answer::Whole(whole.into(), metadata.etag().map(str::to_owned)),
        false => Answer::Begun(whole, metadata),
    })
}

/// Reads the rest of a file, several parts at a time, all of this version.
async fn rest(
    call: &Call<'_>,
    path: &str,
    mut whole: Vec<u8>,
    version: &Metadata,
    meter: &Meter,
) -> opendal::Result<Bytes> {
    meter.add(whole.len() as u64);
    let if_match = version.etag().map(str::to_owned);
    append(call, path, &mut whole, version.content_length(), if_match, meter).await?;
    Ok(whole.into())
}

/// Reads what is missing of a file, several parts at a time.
async fn append(
    call: &Call<'_>,
    path: &str,
    whole: &mut Vec<u8>,
    size: u64,
    if_match: Option<String>,
    meter: &Meter,
) -> opendal::Result<()> {
    let options = ReaderOptions { if_match, chunk: Some(CHUNK), concurrent: CONCURRENT, ..ReaderOptions::default() };
    let reader = call.operator.reader_options(path, options).await?;
    let mut stream = reader.into_stream(whole.len() as u64..size).await?;
    while let Some(pieces) = stream.next().await {
        for piece in pieces? {
            whole.extend_from_slice(&piece);
            meter.add(piece.len() as u64);
        }
    }
    match whole.len() as u64 == size {
        true => Ok(()),
        false => Err(opendal::Error::new(ErrorKind::ConditionNotMatch, "it has another length")),
    }
}

/// Reads a file of any size, several parts at a time, unless it still has this version; looks before and after whether it
/// is the same.
async fn in_parts(
    call: &Call<'_>,
    path: &str,
    limit: u64,
    etag: Option<&str>,
    meter: &Meter,
) -> Result<Answer, Failure> {
    let before = call.run(call.operator.stat(path)).await?;
    let size = before.content_length();
    if size > limit {
        return Ok(Answer::TooLarge(size));
    }
    if etag.is_some() && etag == before.etag() {
        return Ok(Answer::Cached);
    }
    let if_match = match call.operator.info().capability().read_with_if_match {
        true => before.etag().map(str::to_owned),
        false => None,
    };
    let conditional = if_match.is_some();
    let mut whole = reserve(size).ok_or_else(no_memory)?;
    call.run(append(call, path, &mut whole, size, if_match, meter)).await?;
    let same = conditional || same(&before, &call.run(call.operator.stat_options(path, StatOptions::default())).await?);
    match same {
        true => Ok(Answer::Whole(whole.into(), before.etag().map(str::to_owned))),
        false => Err(Failure::Changed),
    }
}

fn reserve(size: u64) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    whole.try_reserve_exact(usize::try_from(size).ok()?).ok()?;
    Some(whole)
}

fn no_memory() -> opendal::Error {
    opendal::Error::new(ErrorKind::Unexpected, "there is not enough memory for it")
}

fn same(before: &Metadata, after: &Metadata) -> bool {
    before.content_length() == after.content_length()
        && before.etag() == after.etag()
        && before.last_modified() == after.last_modified()
}
