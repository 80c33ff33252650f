use std::path::{Path, PathBuf};
use std::sync::Arc;

use persist::{MemoryFs, PersistFs};

use crate::{Error, LocalFs, Result};

/// A place, ready to be read and written.
pub type Place = Arc<dyn PersistFs>;

/// What a place can be made of: a path, a URI as a string, or a place itself.
///
/// Strings without `://` are paths. Nothing is touched or checked on disk.
pub trait IntoPlace {
    /// Makes the place.
    ///
    /// # Errors
    /// For strings that are not paths: [`Error`].
    fn into_place(self) -> Result<Place>;
}

impl IntoPlace for &str {
    fn into_place(self) -> Result<Place> {
        if self.is_empty() {
            return Err(Error::Empty);
        }
        let Some((scheme, rest)) = self.split_once("://") else { return Path::new(self).into_place() };
        if scheme != "file" {
            return Err(Error::UnknownScheme { uri: self.to_owned(), scheme: scheme.to_owned() });
        }
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if !matches!(host, "" | "localhost") {
            return Err(Error::ForeignHost { uri: self.to_owned(), host: host.to_owned() });
        }
        Path::new(path).into_place()
    }
}

impl IntoPlace for &String {
    fn into_place(self) -> Result<Place> {
        self.as_str().into_place()
    }
}

impl IntoPlace for String {
    fn into_place(self) -> Result<Place> {
        self.as_str().into_place()
    }
}

impl IntoPlace for &Path {
    fn into_place(self) -> Result<Place> {
        if self.as_os_str().is_empty() {
            return Err(Error::Empty);
        }
        Ok(Arc::new(LocalFs::new(self)))
    }
}

impl IntoPlace for &PathBuf {
    fn into_place(self) -> Result<Place> {
        self.as_path().into_place()
    }
}

impl IntoPlace for PathBuf {
    fn into_place(self) -> Result<Place> {
        self.as_path().into_place()
    }
}

impl IntoPlace for LocalFs {
    fn into_place(self) -> Result<Place> {
        Ok(Arc::new(self))
    }
}

#[cfg(feature = "opendal")]
impl IntoPlace for crate::ObjectFs {
    fn into_place(self) -> Result<Place> {
        Ok(Arc::new(self))
    }
}

impl IntoPlace for MemoryFs {
    fn into_place(self) -> Result<Place> {
        Ok(Arc::new(self))
    }
}

impl IntoPlace for Place {
    fn into_place(self) -> Result<Place> {
        Ok(self)
    }
}

impl IntoPlace for &Place {
    fn into_place(self) -> Result<Place> {
        Ok(Arc::clone(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str>) {
        let place = text.into_place().map(|place| place.location());
        assert_eq!(place.as_deref(), expected.as_deref(), "{text}");
    }

    #[test]
    fn strings_are_paths_or_file_uris() {
        check("/data/storage", Ok("/data/storage"));
        check("file:///data/storage", Ok("/data/storage"));
        check("file://localhost/data/storage", Ok("/data/storage"));
        check("", Err(Error::Empty));
        check("file://", Err(Error::Empty));
        check("s3://bucket/x", Err(Error::UnknownScheme { uri: "s3://bucket/x".into(), scheme: "s3".into() }));
        check("file://host/x", Err(Error::ForeignHost { uri: "file://host/x".into(), host: "host".into() }));
    }
}
