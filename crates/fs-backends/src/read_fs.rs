use std::fmt::Debug;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use persist::{Error, Result};

use crate::place::no_service;
use crate::uri::Uri;
use crate::{FsConfig, LocalFs};

/// A folder whose files are only read, with the folders below it: where documents come from.
///
/// Files are named by their paths within the folder. Names with `..` in them, or absolute ones, are errors: nothing
/// outside the folder is told or read.
#[async_trait]
pub trait ReadFs: Debug + Send + Sync + 'static {
    /// The folder's path. With the name of a file behind it, it is the path of the file.
    fn folder(&self) -> PathBuf;

    /// The files of the folder, in any order; if `recursive`, also those of all folders below it.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such folder; what else keeps it from being read. Folders below it that cannot
    /// be read are no errors, but are told in the listing.
    async fn list_files(&self, recursive: bool) -> Result<Listing>;

    /// What is known of a file.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such file, [`Error::InvalidName`], and what else keeps it from being looked at.
    async fn file_stat(&self, name: &Path) -> Result<FileStat>;

    /// The content of a file.
    ///
    /// # Errors
    /// As [`file_stat`](Self::file_stat).
    async fn read_file(&self, name: &Path) -> Result<Bytes>;
}

/// What a folder of documents can be made of: a path, a URI as a string, the config of a service, or such a folder itself.
///
/// Strings without `://` are paths; URIs are `file:///path` and those of the services that are compiled in, as with
/// [`IntoPlace`](crate::IntoPlace).
pub trait IntoReadFs {
    /// Makes the folder.
    ///
    /// # Errors
    /// [`Error`](crate::Error), for what is no location.
    fn into_read_fs(self) -> crate::Result<Arc<dyn ReadFs>>;
}

impl IntoReadFs for &str {
    fn into_read_fs(self) -> crate::Result<Arc<dyn ReadFs>> {
        match self.split_once("://").map(|(scheme, _)| scheme) {
            None => Ok(Arc::new(LocalFs::new(self))),
            Some("file") => Ok(Arc::new(FsConfig::from_uri(self)?.connect()?)),
            #[cfg(feature = "s3")]
            Some("s3" | "s3a") => Ok(Arc::new(crate::S3Config::from_uri(self)?.connect()?)),
            #[cfg(feature = "r2")]
            Some("r2") => Ok(Arc::new(crate::R2Config::from_uri(self)?.connect()?)),
            #[cfg(feature = "gcs")]
            Some("gs" | "gcs") => Ok(Arc::new(crate::GcsConfig::from_uri(self)?.connect()?)),
            #[cfg(feature = "azblob")]
            Some("az" | "azblob" | "abfs" | "abfss") => Ok(Arc::new(crate::AzblobConfig::from_uri(self)?.connect()?)),
            Some("memory") => Err(Uri::parse(self)?.invalid("it holds no documents: MemoryFiles are files in memory")),
            Some(_) => Err(no_service(&Uri::parse(self)?)),
        }
    }
}

impl IntoReadFs for &String {
    fn into_read_fs(self) -> crate::Result<Arc<dyn ReadFs>> {
        self.as_str().into_read_fs()
    }
}

impl IntoReadFs for String {
    fn into_read_fs(self) -> crate::Result<Arc<dyn ReadFs>> {
        self.as_str().into_read_fs()
    }
}

impl<T: ReadFs> IntoReadFs for T {
    fn into_read_fs(self) -> crate::Result<Arc<dyn ReadFs>> {
        Ok(Arc::new(self))
    }
}

/// The files of a folder.
#[derive(Debug, Default)]
pub struct Listing {
    /// The files.
    pub files: Vec<FileStat>,
    /// The folders below it that could not be listed, and why.
    pub unreadable: Vec<(PathBuf, Error)>,
}

/// What is known of a file without reading it. Times are in whole seconds since 1970 in UTC, and `None` where the place
/// does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileStat {
    /// Its path within the folder.
    pub name: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// When it came to be.
    pub created: Option<i64>,
    /// When its content changed last.
    pub modified: Option<i64>,
    /// When it was read last.
    pub accessed: Option<i64>,
}

/// Checks that a name stays within its folder.
pub(crate) fn check_name(name: &Path) -> Result<()> {
    let invalid = |reason| Err(Error::InvalidName { name: name.display().to_string(), reason });
    if name.as_os_str().is_empty() {
        return invalid("it is empty");
    }
    match name.components().all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(()),
        false => invalid("it may lead out of the folder"),
    }
}
