#![doc = include_str!("../README.md")]

mod blocking;
mod error;
mod local;
mod local_read;
mod memory_files;
mod place;
mod read_fs;

pub use error::{Error, Result};
pub use local::LocalFs;
pub use memory_files::MemoryFiles;
pub use place::{IntoPlace, Place};
pub use read_fs::{FileStat, Listing, ReadFs};
