use std::time::Duration;

use persist::{CommitOptions, Durability, Limits, Progress, Verify};

use crate::FileNames;

/// How a context is opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// How files are compared with what the newest manifest says of them.
    pub verify: Verify,
    /// Refuses to persist to the place that was opened. Other places may be written.
    pub read_only: bool,
    /// How much is read at most.
    pub limits: Limits,
    /// Is called with [`Step::Read`](persist::Step::Read) for each part of a file that has been read, of all files that are
    /// read; also when the context is opened again. If a writer comes between, opening begins again, and counts anew.
    pub progress: Option<Progress>,
}

/// How a context is persisted.
#[derive(Debug, Clone)]
pub struct PersistOptions {
    /// The names of the files. Default: those that the context was opened with, which are LlamaIndex's if nothing else was
    /// said.
    pub file_names: Option<FileNames>,
    /// The generation that the place must hold, to be replaced by this context whether it has seen it or not. What other
    /// programs have written over it is a conflict still. Default: the one that the context was opened from or persisted as
    /// there, and nothing at all at a place that it does not know.
    pub expect_generation: Option<u64>,
    /// Whether to replace whatever is there; with `expect_generation`, whatever other programs have made of it.
    ///
    /// Stores that Colca persisted there and that this context does not have are deleted, also where a generation was
    /// expected that it has not seen; files of other programs that it has no store for stay.
    pub overwrite: bool,
    /// Whether what was written survives a power failure. Default: it does.
    pub durability: Durability,
    /// How many generations are kept, the new one included; see [`CommitOptions`]. Default 3.
    pub keep_generations: u64,
    /// How old at least is what is deleted of older generations. Default: an hour.
    pub min_age: Duration,
    /// Whether what was written is read back and compared before the commit. Default: no.
    pub verify: bool,
    /// Is called with each step, and with the bytes that have been written.
    pub progress: Option<Progress>,
    /// How long to wait for another writer. Default: 10 seconds.
    pub lock_wait: Duration,
    /// Whether to write to a place that cannot keep two writers apart. Default: no.
    pub allow_unconditional: bool,
    /// How much is read at most of what is there. Default: as in [`OpenOptions`].
    pub limits: Limits,
}

impl Default for PersistOptions {
    fn default() -> Self {
        let CommitOptions {
            durability, keep_generations, min_age, verify, lock_wait, allow_unconditional, limits, ..
        } = CommitOptions::default();
        Self {
            file_names: None,
            expect_generation: None,
            overwrite: false,
            durability,
            keep_generations,
            min_age,
            verify,
            progress: None,
            lock_wait,
            allow_unconditional,
            limits,
        }
    }
}

impl PersistOptions {
    /// Replaces whatever is there.
    pub fn overwrite() -> Self {
        Self { overwrite: true, ..Self::default() }
    }

    /// Expects that the place holds this generation.
    pub fn expecting(generation: u64) -> Self {
        Self { expect_generation: Some(generation), ..Self::default() }
    }

    pub(crate) fn to_commit_options(&self) -> CommitOptions {
        CommitOptions {
            durability: self.durability,
            keep_generations: self.keep_generations,
            min_age: self.min_age,
            verify: self.verify,
            lock_wait: self.lock_wait,
            allow_unconditional: self.allow_unconditional,
            replace_lost: self.overwrite,
            limits: self.limits,
            progress: self.progress.clone(),
            ..CommitOptions::default()
        }
    }
}
