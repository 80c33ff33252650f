#![doc = include_str!("../README.md")]

mod blocking;
mod error;
mod local;
mod local_read;
mod memory_files;
#[cfg(feature = "opendal")]
mod object_fs;
mod place;
mod read_fs;
#[cfg(test)]
#[cfg(unix)]
mod unprivileged;

pub use error::{Error, Result};
pub use local::LocalFs;
pub use memory_files::MemoryFiles;
#[cfg(feature = "opendal")]
pub use object_fs::ObjectFs;
pub use place::{IntoPlace, Place};
pub use read_fs::{FileStat, Listing, ReadFs};
