#![doc = include_str!("../README.md")]

mod commit;
mod content;
mod error;
mod fs;
mod memory;
mod name;

#[cfg(feature = "behavior")]
pub mod behavior;

pub use commit::{Written, commit};
pub use content::{Content, Digest, PersistFile, PersistFiles, Revision, StoreFile};
pub use error::{Error, Result};
pub use fs::{FileInfo, PersistFs, Staged};
pub use memory::MemoryFs;
pub use name::check_name;
