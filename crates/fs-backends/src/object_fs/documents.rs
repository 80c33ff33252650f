//! Documents in a bucket: its prefix as a folder that is only read.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt;
use opendal::options::ListOptions;
use opendal::{EntryMode, ErrorKind, Metadata};
use persist::{Error, Meter, Result};

use super::ObjectFs;
use crate::read_fs::{FileStat, Listing, ReadFs, check_name};

/// How many bytes a document may have. What is larger is no text that anybody reads.
const DOCUMENT_MAX: u64 = 4 << 30;

/// Objects are files, and what their keys have before a slash are folders. The folder is called `bucket/prefix`, as
/// fsspec's file systems call it.
#[async_trait]
impl ReadFs for ObjectFs {
    fn folder(&self) -> PathBuf {
        let info = self.operator.info();
        PathBuf::from(info.name()).join(info.root().trim_matches('/'))
    }

    async fn list_files(&self, recursive: bool) -> Result<Listing> {
        let call = self.begin("list", ".")?;
        let listed = call.run(async {
            let options = ListOptions { recursive, ..ListOptions::default() };
            let entries: Vec<_> = call.operator.lister_options("", options).await?.try_collect().await?;
            Ok(entries)
        });
        let entries = match listed.await {
            Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
            entries => entries.map_err(|e| call.failed(e))?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let (path, metadata) = entry.into_parts();
            if !path.ends_with('/') && metadata.mode() != EntryMode::DIR {
                files.push(stat(path.into(), &metadata));
            }
        }
        // A prefix under which there is nothing is as good as a folder that does not exist.
        match files.is_empty() {
            true => Err(Error::NotFound { place: self.location.to_string(), name: ".".to_owned() }),
            false => Ok(Listing { files, unreadable: Vec::new() }),
        }
    }

    async fn file_stat(&self, name: &Path) -> Result<FileStat> {
        let key = key(name)?;
        let call = self.begin("look at", &key)?;
        match call.run(call.operator.stat(&key)).await {
            Ok(metadata) => Ok(stat(name.to_owned(), &metadata)),
            Err(e) if e.kind() == ErrorKind::NotFound => Err(self.missing(&key)),
            Err(e) => Err(call.failed(e)),
        }
    }

    async fn read_file(&self, name: &Path) -> Result<Bytes> {
        let key = key(name)?;
        self.download(&key, DOCUMENT_MAX, &Meter::default()).await?.ok_or_else(|| self.missing(&key))
    }
}

impl ObjectFs {
    fn missing(&self, key: &str) -> Error {
        Error::NotFound { place: self.location.to_string(), name: key.to_owned() }
    }
}

/// The key of a file, with slashes whatever the operating system.
fn key(name: &Path) -> Result<String> {
    check_name(name)?;
    let parts: Option<Vec<_>> = name.components().map(|part| part.as_os_str().to_str()).collect();
    let invalid = || Error::InvalidName { name: name.display().to_string(), reason: "it is no Unicode" };
    Ok(parts.ok_or_else(invalid)?.join("/"))
}

fn stat(name: PathBuf, metadata: &Metadata) -> FileStat {
    let modified = metadata.last_modified().map(std::time::SystemTime::from);
    let seconds = modified.and_then(|time| i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok());
    FileStat { name, size: metadata.content_length(), modified: seconds, ..FileStat::default() }
}
