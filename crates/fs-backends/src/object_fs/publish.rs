use opendal::options::{CopyOptions, DeleteOptions, WriteOptions};
use opendal::{ErrorKind, Operator};
use persist::{Expected, Publication, Result};

use super::{CONCURRENT, ObjectFs};

/// Larger objects are copied in parts of this size, so that no request takes minutes.
const COPY_CHUNK: usize = 256 << 20;

/// What a copy is to be refused on, as far as the service can.
#[derive(Default)]
pub(super) struct Condition {
    if_match: Option<String>,
    if_not_exists: bool,
}

impl From<&Expected> for Condition {
    fn from(expected: &Expected) -> Self {
        match expected {
            Expected::Absent => Self { if_match: None, if_not_exists: true },
            Expected::Version(etag) => Self { if_match: Some(etag.clone()), if_not_exists: false },
            Expected::Anything => Self::default(),
        }
    }
}

impl ObjectFs {
    /// Publishes a staged file.
    pub(super) async fn copy(&self, staged: &str, name: &str, expected: &Expected) -> Result<Publication> {
        self.operator("publish", staged)?;
        let operator = self.operator("publish", name)?;
        let condition = match self.conditions().await?.publish {
            true => Condition::from(expected),
            false => Condition::default(),
        };
        match copy(operator, staged, name, condition).await {
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
            Err(e) => Err(self.failed("publish", name, e)),
        }
    }

    /// Deletes a published file.
    pub(super) async fn remove(&self, name: &str, expected: &Expected) -> Result<Publication> {
        let operator = self.operator("delete", name)?;
        let if_match = match expected {
            Expected::Absent => {
                return match operator.exists(name).await {
                    Ok(true) => Ok(Publication::Unexpected),
                    Ok(false) => Ok(Publication::Done),
                    Err(e) => Err(self.failed("look at", name, e)),
                };
            }
            Expected::Version(etag) if self.conditions().await?.delete => Some(etag.clone()),
            Expected::Version(_) | Expected::Anything => None,
        };
        match operator.delete_options(name, DeleteOptions { if_match, ..DeleteOptions::default() }).await {
            Ok(()) => Ok(Publication::Done),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Publication::Done),
            Err(e) if matches!(e.kind(), ErrorKind::ConditionNotMatch | ErrorKind::Conflict) => {
                Ok(Publication::Unexpected)
            }
            Err(e) => Err(self.failed("delete", name, e)),
        }
    }
}

/// Copies an object within the service; where it cannot, the content makes a detour over here.
pub(super) async fn copy(operator: &Operator, from: &str, to: &str, condition: Condition) -> opendal::Result<()> {
    let Condition { if_match, if_not_exists } = condition;
    if operator.info().capability().copy {
        let chunk = Some(COPY_CHUNK);
        let options = CopyOptions { if_match, if_not_exists, chunk, concurrent: CONCURRENT, ..CopyOptions::default() };
        operator.copy_options(from, to, options).await?;
    } else {
        let content = operator.read(from).await?;
        let options = WriteOptions { if_match, if_not_exists, ..WriteOptions::default() };
        operator.write_options(to, content, options).await?;
    }
    Ok(())
}

/// Whether the service says that it refuses a copy on both conditions.
pub(super) fn promises_conditions(operator: &Operator) -> bool {
    let capability = operator.info().capability();
    match capability.copy {
        true => capability.copy_with_if_match && capability.copy_with_if_not_exists,
        false => capability.write_with_if_match && capability.write_with_if_not_exists,
    }
}
