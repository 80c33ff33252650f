#![doc = include_str!("../README.md")]
// The feature `http` is what the services have in common, and by itself nobody uses it.
#![cfg_attr(
    all(feature = "http", not(any(feature = "azblob", feature = "gcs", feature = "r2", feature = "s3"))),
    allow(dead_code, unused_imports, unused_macros)
)]

mod blocking;
mod error;
mod fs;
mod local;
mod local_read;
mod memory_files;
mod place;
mod read_fs;
mod uri;

#[cfg(feature = "azblob")]
mod azblob;
#[cfg(feature = "opendal")]
mod disk_cache;
#[cfg(feature = "http")]
mod environment;
#[cfg(feature = "gcs")]
mod gcs;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "opendal")]
mod object_fs;
#[cfg(feature = "r2")]
mod r2;
#[cfg(feature = "s3")]
mod s3;
#[cfg(any(feature = "r2", feature = "s3"))]
mod s3_keys;
#[cfg(any(feature = "azblob", feature = "r2", feature = "s3"))]
mod secret;
#[cfg(feature = "http")]
mod service;
#[cfg(test)]
#[cfg(unix)]
mod unprivileged;

#[cfg(feature = "azblob")]
pub use azblob::AzblobConfig;
#[cfg(feature = "opendal")]
pub use disk_cache::DiskCache;
pub use error::{Error, Result};
pub use fs::FsConfig;
#[cfg(feature = "gcs")]
pub use gcs::GcsConfig;
pub use local::LocalFs;
pub use memory_files::MemoryFiles;
#[cfg(feature = "opendal")]
pub use object_fs::{ObjectFs, RequestOptions};
pub use place::{IntoPlace, Place};
#[cfg(feature = "r2")]
pub use r2::R2Config;
pub use read_fs::{FileStat, IntoReadFs, Listing, ReadFs};
#[cfg(feature = "s3")]
pub use s3::S3Config;
