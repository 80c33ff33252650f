use std::hash::{BuildHasher, Hasher, RandomState};

use futures_util::future::join;
use opendal::ErrorKind;
use opendal::options::DeleteOptions;
use persist::{Durability, Expected, OWN_FOLDER, PersistFs, Result};

use super::ObjectFs;
use super::publish::{Condition, copy, counts_generations, promises_conditions};

/// Versions that no object has: an ETag, and a generation.
const NO_ETAG: &str = "\"00000000000000000000000000000000\"";
const OTHER_GENERATION: &str = "1";

/// The steps that a service refuses if an object is not as expected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conditions {
    pub(super) create: bool,
    pub(super) publish: bool,
    pub(super) delete: bool,
}

impl ObjectFs {
    /// What the service refuses, tried once.
    pub(super) async fn conditions(&self) -> Result<Conditions> {
        self.known.conditions.get_or_try_init(|| self.probe()).await.copied()
    }

    /// Tries what the service promises, with two objects that are deleted again.
    async fn probe(&self) -> Result<Conditions> {
        let token = RandomState::new().build_hasher().finish();
        let [one, two] = [1, 2].map(|n| format!("{OWN_FOLDER}/{token:016x}-{n}.probe"));
        let found = self.try_conditions(&one, &two).await;
        // What cannot be deleted is litter, not damage.
        let _ = join(self.delete(&one), self.delete(&two)).await;
        found
    }

    async fn try_conditions(&self, one: &str, two: &str) -> Result<Conditions> {
        let call = self.begin("try", one)?;
        let operator = &call.operator;
        let capability = operator.info().capability();
        let create = |path| self.create(path, "probe".into(), Durability::Full);
        let (first, other) = join(create(one), create(two)).await;
        // An answer that was lost is no reason to distrust the location: what counts is that it is refused now.
        let _ = (first?, other?);
        let create = capability.write_with_if_not_exists && !create(one).await?;
        let copied = async |condition| call.run(copy(operator, two, one, condition)).await;
        let refused = async |expected: Expected| match copied(Condition::new(operator, &expected)).await {
            Ok(()) => Ok(false),
            Err(e) if matches!(e.kind(), ErrorKind::ConditionNotMatch | ErrorKind::AlreadyExists) => Ok(true),
            // Whether it does not take such a request at all, or something else is wrong, shows without the condition.
            Err(e) => match copied(Condition::default()).await {
                Ok(()) => Ok(false),
                Err(_) => Err(call.failed(e)),
            },
        };
        let no_version = if counts_generations(operator) { OTHER_GENERATION } else { NO_ETAG };
        let other = Expected::Version(no_version.to_owned());
        let publish =
            promises_conditions(operator) && refused(Expected::Absent).await? && refused(other.clone()).await?;
        let Condition { if_match, if_version_match, .. } = Condition::new(operator, &other);
        let options = DeleteOptions { if_match, if_version_match, ..DeleteOptions::default() };
        let promised = match counts_generations(operator) {
            true => capability.delete_with_if_version_match,
            false => capability.delete_with_if_match,
        };
        let delete = promised
            && call
                .run(operator.delete_options(two, options))
                .await
                .is_err_and(|e| e.kind() == ErrorKind::ConditionNotMatch);
        Ok(Conditions { create, publish, delete })
    }
}
