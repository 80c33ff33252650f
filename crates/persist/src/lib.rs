#![doc = include_str!("../README.md")]

mod changes;
mod collect;
mod content;
mod error;
mod fs;
mod manifest;
mod mechanism;
mod memory;
mod name;
mod newest;
mod options;
mod progress;
mod publishing;
mod request;
mod snapshot;
mod writer;

#[cfg(feature = "behavior")]
pub mod behavior;

pub use changes::{Changes, Committed, KeptFile, Written};
pub use content::{Content, Digest, InvalidDigest, Original, PersistFile, PersistFiles, Revision, StoreFile};
pub use error::{Error, Result};
pub use fs::{
    Abilities, Durability, Expected, FileInfo, Folder, Lock, OWN_FOLDER, PersistFs, Publication, Stored,
    published_files,
};
pub use manifest::{FileEntry, Manifest, RemovedEntry};
#[cfg(feature = "behavior")]
pub use mechanism::{Mechanism, without};
pub use memory::MemoryFs;
pub use name::{check_name, check_own_path, check_path};
pub use options::CommitOptions;
pub use progress::{Meter, Progress, Step};
pub use request::RequestFailure;
pub use snapshot::{
    ATTEMPTS, ComparedFile, Finding, KnownFile, Limits, ReadFile, ReadOptions, Snapshot, Verify, read_files, restarts,
};
pub use writer::{PreparedWriter, Writer, commit};
