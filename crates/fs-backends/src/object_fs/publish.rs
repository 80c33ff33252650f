use futures_util::TryStreamExt;
use opendal::options::{CopyOptions, DeleteOptions, ReaderOptions, WriteOptions};
use opendal::{ErrorKind, Metadata, Operator};
use persist::{Expected, Publication, Result};

use super::{CHUNK, CONCURRENT, CONCURRENT_SENT, ObjectFs};

/// Larger objects are copied in parts of this size, so that no request takes long.
const COPY_CHUNK: usize = 64 << 20;

/// What OpenDAL calls Azure Blob Storage.
const AZBLOB_SCHEME: &str = "azblob";

/// What a copy is to be refused on, as far as the service can.
#[derive(Default)]
pub(super) struct Condition {
    pub(super) if_match: Option<String>,
    pub(super) if_version_match: Option<String>,
    if_not_exists: bool,
}

impl Condition {
    pub(super) fn new(operator: &Operator, expected: &Expected) -> Self {
        let none = Self::default();
        match expected {
            Expected::Absent if counts_generations(operator) => {
                Self { if_version_match: Some(NO_GENERATION.to_owned()), ..none }
            }
            Expected::Absent => Self { if_not_exists: true, ..none },
            Expected::Version(generation) if counts_generations(operator) => {
                Self { if_version_match: Some(generation.clone()), ..none }
            }
            Expected::Version(etag) => Self { if_match: Some(etag.clone()), ..none },
            Expected::Anything => none,
        }
    }
}

/// The generation of an object that does not exist.
const NO_GENERATION: &str = "0";

/// Whether the service compares the generations of objects, as Google's does, and not their ETags.
pub(super) fn counts_generations(operator: &Operator) -> bool {
    operator.info().capability().copy_with_if_version_match
}

/// What conditions compare: the generation, or the ETag, in quotes as conditions want it: some services leave them out in
/// listings.
pub(super) fn version(operator: &Operator, metadata: &Metadata) -> Option<String> {
    if counts_generations(operator) {
        return metadata.version().map(str::to_owned);
    }
    metadata.etag().map(|etag| match etag.ends_with('"') {
        true => etag.to_owned(),
        false => format!("\"{etag}\""),
    })
}

impl ObjectFs {
    /// Publishes a staged file.
    pub(super) async fn copy(&self, staged: &str, name: &str, expected: &Expected) -> Result<Publication> {
        let call = self.begin("publish", name)?;
        let condition = match self.conditions().await?.publish {
            true => Condition::new(&call.operator, expected),
            false => Condition::default(),
        };
        match call.run(copy(&call.operator, staged, name, condition)).await {
            Ok(()) => Ok(Publication::Done),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Publication::NoSource),
            // A conflict is another writer's request at the same moment.
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::ConditionNotMatch | ErrorKind::AlreadyExists | ErrorKind::Conflict
                ) =>
            {
                Ok(Publication::Unexpected)
            }
            Err(e) => Err(call.failed(e)),
        }
    }

    /// Deletes a published file.
    pub(super) async fn remove(&self, name: &str, expected: &Expected) -> Result<Publication> {
        let call = self.begin("delete", name)?;
        let condition = match expected {
            Expected::Absent => {
                return match call.run(call.operator.exists(name)).await {
                    Ok(true) => Ok(Publication::Unexpected),
                    Ok(false) => Ok(Publication::Done),
                    Err(e) => Err(call.failed(e)),
                };
            }
            Expected::Version(_) if self.conditions().await?.delete => Condition::new(&call.operator, expected),
            Expected::Version(_) | Expected::Anything => Condition::default(),
        };
        let Condition { if_match, if_version_match, .. } = condition;
        let options = DeleteOptions { if_match, if_version_match, ..DeleteOptions::default() };
        match call.run(call.operator.delete_options(name, options)).await {
            Ok(()) => Ok(Publication::Done),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Publication::Done),
            Err(e) if matches!(e.kind(), ErrorKind::ConditionNotMatch | ErrorKind::Conflict) => {
                Ok(Publication::Unexpected)
            }
            Err(e) => Err(call.failed(e)),
        }
    }
}

/// Whether an object is copied within the service. Azure's copies may go on after they were acknowledged, and OpenDAL can
/// ask for them with an account's key only: there the content makes a detour.
fn copies(operator: &Operator) -> bool {
    operator.info().capability().copy && operator.info().scheme() != AZBLOB_SCHEME
}

/// Copies an object within the service; where it cannot, the content makes a detour over here.
pub(super) async fn copy(operator: &Operator, from: &str, to: &str, condition: Condition) -> opendal::Result<()> {
    let Condition { if_match, if_version_match, if_not_exists } = condition;
    if copies(operator) {
        let chunk = Some(COPY_CHUNK);
        let concurrent = CONCURRENT;
        let options =
            CopyOptions { if_match, if_version_match, if_not_exists, chunk, concurrent, ..CopyOptions::default() };
        operator.copy_options(from, to, options).await?;
    } else {
        if operator.info().capability().write_can_multi {
            return detour(operator, from, to, if_match, if_not_exists).await;
        }
        let content = operator.read(from).await?;
        let options = WriteOptions { if_match, if_not_exists, ..WriteOptions::default() };
        operator.write_options(to, content, options).await?;
    }
    Ok(())
}

/// Fetches an object and writes it under another name, a few parts at a time.
async fn detour(
    operator: &Operator,
    from: &str,
    to: &str,
    if_match: Option<String>,
    if_not_exists: bool,
) -> opendal::Result<()> {
    let size = operator.stat(from).await?.content_length();
    let options = ReaderOptions { chunk: Some(CHUNK), concurrent: CONCURRENT_SENT, ..ReaderOptions::default() };
    let mut content = operator.reader_options(from, options).await?.into_stream(0..size).await?;
    let (chunk, concurrent) = (Some(CHUNK), CONCURRENT_SENT);
    let options = WriteOptions { if_match, if_not_exists, chunk, concurrent, ..WriteOptions::default() };
    let mut writer = operator.writer_options(to, options).await?;
    let written = async {
        while let Some(piece) = content.try_next().await? {
            writer.write(piece).await?;
        }
        writer.close().await
    };
    if let Err(e) = written.await {
        // What cannot be aborted is litter, not damage.
        let _ = writer.abort().await;
        return Err(e);
    }
    Ok(())
}

/// Whether the service says that it refuses a copy on both conditions.
pub(super) fn promises_conditions(operator: &Operator) -> bool {
    let capability = operator.info().capability();
    match copies(operator) {
        true if counts_generations(operator) => true,
        true => capability.copy_with_if_match && capability.copy_with_if_not_exists,
        false => capability.write_with_if_match && capability.write_with_if_not_exists,
    }
}
