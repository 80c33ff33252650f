use std::path::PathBuf;

use crate::uri::Uri;
use crate::{Error, IntoPlace, LocalFs, Place, Result};

/// A folder on a local disk.
///
/// ```
/// use fs_backends::FsConfig;
///
/// assert_eq!(FsConfig::from_uri("file:///data/storage")?.connect()?.root().to_str(), Some("/data/storage"));
/// # Ok::<(), fs_backends::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FsConfig {
    root: PathBuf,
}

impl FsConfig {
    /// The config for a folder. A relative path means the current folder of the moment when the location is made.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The config for `file:///path`.
    ///
    /// # Errors
    /// [`Error`] about another host, or about settings: folders have none.
    pub fn from_uri(uri: &str) -> Result<Self> {
        Self::default().uri(uri)
    }

    /// The settings that the environment has. It has none for folders.
    pub fn from_env() -> Self {
        Self::default()
    }

    /// Sets what `file:///path` says.
    ///
    /// # Errors
    /// As [`from_uri`](Self::from_uri).
    pub fn uri(mut self, uri: &str) -> Result<Self> {
        let Some(rest) = uri.strip_prefix("file://") else {
            return Err(Uri::parse(uri)?.invalid("a local folder is 'file:///path'"));
        };
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if !matches!(host, "" | "localhost") {
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host).to_owned();
            return Err(Error::ForeignHost { uri: Uri::parse(uri)?.address(), host });
        }
        if path.contains('?') {
            let problem = "a folder has no settings; if its name has a '?' in it, give the path without 'file://'";
            return Err(Uri::parse(uri)?.invalid(problem));
        }
        self.root = path.into();
        Ok(self)
    }

    /// The folder.
    #[must_use]
    pub fn root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = root.into();
        self
    }

    /// The location. Nothing on disk is touched.
    ///
    /// # Errors
    /// [`Error::Empty`] without a folder.
    pub fn connect(&self) -> Result<LocalFs> {
        match self.root.as_os_str().is_empty() {
            true => Err(Error::Empty),
            false => Ok(LocalFs::new(&self.root)),
        }
    }
}

impl IntoPlace for &FsConfig {
    fn into_place(self) -> Result<Place> {
        self.connect()?.into_place()
    }
}

impl IntoPlace for FsConfig {
    fn into_place(self) -> Result<Place> {
        (&self).into_place()
    }
}
