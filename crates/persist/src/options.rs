use std::time::Duration;

use crate::{Durability, Limits, Progress};

/// How a commit is made.
#[derive(Debug, Clone)]
pub struct CommitOptions {
    /// What tells this commit from all others: letters, digits and `-`. Default: a random UUID.
    pub commit: String,
    /// Whether what was written survives a power failure. Default: it does.
    pub durability: Durability,
    /// How many generations are kept, the new one included: their manifests, and where publishing copies their files
    /// too. At least 1. Default 3.
    pub keep_generations: u64,
    /// How old at least, in comparison with the new generation, is what is deleted of older ones. Default: an hour.
    pub min_age: Duration,
    /// Whether staged files are read back and compared before the commit. Default: no.
    pub verify: bool,
    /// How long to wait for another writer. Default: 10 seconds.
    pub lock_wait: Duration,
    /// Whether to write to a place that cannot keep two writers apart. Default: no.
    pub allow_unconditional: bool,
    /// Whether to go on where a file of the newest generation is lost, and it cannot be published. Default: no.
    pub replace_lost: bool,
    /// How much is read at most.
    pub limits: Limits,
    /// Is called with each step.
    pub progress: Option<Progress>,
}

impl Default for CommitOptions {
    fn default() -> Self {
        Self {
            commit: uuid::Uuid::new_v4().to_string(),
            durability: Durability::Full,
            keep_generations: 3,
            min_age: Duration::from_secs(60 * 60),
            verify: false,
            lock_wait: Duration::from_secs(10),
            allow_unconditional: false,
            replace_lost: false,
            limits: Limits::default(),
            progress: None,
        }
    }
}
