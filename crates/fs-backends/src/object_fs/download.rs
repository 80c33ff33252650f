use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::TryStreamExt;
use opendal::options::{ReaderOptions, StatOptions};
use opendal::{Buffer, ErrorKind, Metadata, Operator};
use persist::{Error, PersistFs, Result};

use super::{CHUNK, CONCURRENT, ObjectFs};

/// Why a file was not read whole.
enum Failure {
    Absent,
    TooLarge(u64),
    Changed,
    Other(opendal::Error),
}

impl From<opendal::Error> for Failure {
    fn from(e: opendal::Error) -> Self {
        match e.kind() {
            ErrorKind::NotFound => Self::Absent,
            ErrorKind::ConditionNotMatch => Self::Changed,
            _ => Self::Other(e),
        }
    }
}

impl ObjectFs {
    /// The whole of one object, as it was at one moment.
    pub(super) async fn download(&self, path: &str, limit: u64) -> Result<Option<Bytes>> {
        let operator = self.operator("read", path)?;
        let small = match &self.once {
            Some(once) => small(once, path, limit).await,
            None => Ok(None),
        };
        let read = match small {
            Ok(None) | Err(Failure::Other(_)) => in_parts(operator, path, limit).await,
            Ok(Some(bytes)) => Ok(bytes),
            Err(failure) => Err(failure),
        };
        match read {
            Ok(bytes) => {
                self.known.readable.store(true, Ordering::Relaxed);
                Ok(Some(bytes))
            }
            Err(Failure::Absent) => Ok(None),
            Err(Failure::TooLarge(size)) => {
                Err(Error::TooLarge { place: self.location(), name: path.to_owned(), size, limit })
            }
            Err(Failure::Changed) => Err(Error::failed(self.location(), "read", path, "it changed while it was read")),
            Err(Failure::Other(e)) if self.means_absent(&e, operator).await => Ok(None),
            Err(Failure::Other(e)) => Err(self.failed("read", path, e)),
        }
    }

    /// Whether being forbidden to read something is how this place says that it is absent.
    async fn means_absent(&self, error: &opendal::Error, operator: &Operator) -> bool {
        error.kind() == ErrorKind::PermissionDenied
            && self.known.readable.load(Ordering::Relaxed)
            && !self.may_list(operator).await
    }
}

/// Reads the file with one request if it is small; it is not read if it is larger, or if the service does not tell.
///
/// This must not be repeated by a layer from where it broke off: the rest could be another file's.
async fn small(operator: &Operator, path: &str, limit: u64) -> Result<Option<Bytes>, Failure> {
    let mut stream = operator.reader(path).await?.into_stream(..).await?;
    let metadata = match stream.metadata().await {
        Err(e) if e.kind() == ErrorKind::Unsupported => return Ok(None),
        metadata => metadata?,
    };
    let size = metadata.content_length();
    if size > limit {
        return Err(Failure::TooLarge(size));
    }
    if size > CHUNK as u64 {
        return Ok(None);
    }
    let pieces: Vec<Buffer> = stream.try_collect().await?;
    let whole: Buffer = pieces.into_iter().flatten().collect();
    // Cut off, as far as that was not noticed.
    Ok((whole.len() as u64 == size).then(|| whole.to_bytes()))
}

/// Reads a file of any size, several parts at a time, all from the same version of it.
async fn in_parts(operator: &Operator, path: &str, limit: u64) -> Result<Bytes, Failure> {
    let before = operator.stat(path).await?;
    let size = before.content_length();
    if size > limit {
        return Err(Failure::TooLarge(size));
    }
    let if_match = match operator.info().capability().read_with_if_match {
        true => before.etag().map(str::to_owned),
        false => None,
    };
    let conditional = if_match.is_some();
    let options = ReaderOptions { if_match, chunk: Some(CHUNK), concurrent: CONCURRENT, ..ReaderOptions::default() };
    let mut whole = Vec::new();
    let enough = usize::try_from(size).is_ok_and(|size| whole.try_reserve_exact(size).is_ok());
    if !enough {
        return Err(Failure::Other(opendal::Error::new(ErrorKind::Unexpected, "there is not enough memory for it")));
    }
    operator.reader_options(path, options).await?.read_into(&mut whole, 0..size).await?;
    let same = conditional || same(&before, &operator.stat_options(path, StatOptions::default()).await?);
    if whole.len() as u64 == size && same { Ok(whole.into()) } else { Err(Failure::Changed) }
}

fn same(before: &Metadata, after: &Metadata) -> bool {
    before.content_length() == after.content_length()
        && before.etag() == after.etag()
        && before.last_modified() == after.last_modified()
}
