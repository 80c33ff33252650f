use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use persist::{MemoryFs, PersistFs};

use crate::uri::Uri;
use crate::{Error, FsConfig, LocalFs, Result};

/// A location, ready to be read and written.
pub type Place = Arc<dyn PersistFs>;

/// What a location can be made of: a path, a URI as a string, the config of a service, or a location itself.
///
/// Strings without `://` are paths. URIs are `file:///path`, `memory://name` (shared within the process), and those of the
/// services that are compiled in: `s3://bucket/prefix`, `r2://account/bucket/prefix`, `gs://bucket/prefix`,
/// `az://container/prefix`, each with settings as in `?region=eu-central-1&endpoint=http://127.0.0.1:8333`. The part after
/// the name is the prefix as it is; only settings are percent-decoded. Nothing is touched on disk, and no service is
/// asked.
pub trait IntoPlace {
    /// Makes the location.
    ///
    /// # Errors
    /// [`Error`], for what is no location.
    fn into_place(self) -> Result<Place>;
}

impl IntoPlace for &str {
    fn into_place(self) -> Result<Place> {
        if self.is_empty() {
            return Err(Error::Empty);
        }
        match self.split_once("://") {
            Some(("file", _)) => FsConfig::from_uri(self)?.into_place(),
            Some(("memory", _)) => in_memory(&Uri::parse(self)?),
            Some((scheme, _)) => of_service(scheme, self),
            None => Path::new(self).into_place(),
        }
    }
}

/// The location of a URI that leads to a service.
fn of_service(scheme: &str, uri: &str) -> Result<Place> {
    match scheme {
        #[cfg(feature = "s3")]
        "s3" | "s3a" => crate::S3Config::from_uri(uri)?.into_place(),
        #[cfg(feature = "r2")]
        "r2" => crate::R2Config::from_uri(uri)?.into_place(),
        #[cfg(feature = "gcs")]
        "gs" | "gcs" => crate::GcsConfig::from_uri(uri)?.into_place(),
        #[cfg(feature = "azblob")]
        "az" | "azblob" | "abfs" | "abfss" => crate::AzblobConfig::from_uri(uri)?.into_place(),
        _ => Err(no_service(&Uri::parse(uri)?)),
    }
}

/// The error about a URI whose service is not here.
pub(crate) fn no_service(uri: &Uri) -> Error {
    let (address, scheme) = (uri.address(), uri.scheme.clone());
    let feature = match scheme.as_str() {
        "s3" | "s3a" => "s3",
        "r2" => "r2",
        "gs" | "gcs" => "gcs",
        "az" | "azblob" | "abfs" | "abfss" => "azblob",
        _ => return Error::UnknownScheme { uri: address, scheme },
    };
    Error::NotIncluded { uri: address, scheme, feature }
}

/// The location in memory of this name: the same for all in this process, for as long as it runs.
fn in_memory(uri: &Uri) -> Result<Place> {
    static NAMED: Mutex<BTreeMap<String, MemoryFs>> = Mutex::new(BTreeMap::new());
    if let Some((setting, _)) = uri.settings.first() {
        return Err(uri.invalid(format!("memory:// has no settings, and '{setting}' is one")));
    }
    let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
    let address = uri.address();
    let files = named.entry(address.clone()).or_insert_with(|| MemoryFs::new().named(address));
    Ok(Arc::new(files.clone()))
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
    fn strings_are_paths_or_uris() {
        check("/data/storage", Ok("/data/storage"));
        check("file:///data/storage", Ok("/data/storage"));
        check("file://localhost/data/storage", Ok("/data/storage"));
        check("", Err(Error::Empty));
        check("file://", Err(Error::Empty));
        check("file://host/x", Err(Error::ForeignHost { uri: "file://host/x".into(), host: "host".into() }));
        let unknown = Error::UnknownScheme { uri: "ftp://host/x".into(), scheme: "ftp".into() };
        check("ftp://user:sesame@host/x?password=sesame", Err(unknown));
    }

    #[test]
    fn a_service_that_is_not_compiled_in_names_its_feature() {
        for (uri, feature) in
            [("s3://b/p", "s3"), ("r2://a/b", "r2"), ("gs://b", "gcs"), ("az://c", "azblob"), ("abfs://c", "azblob")]
        {
            let error = no_service(&Uri::parse(uri).unwrap());
            assert!(matches!(error, Error::NotIncluded { feature: named, .. } if named == feature), "{error}");
        }
    }

    #[test]
    fn memory_is_shared_by_name() {
        let [one, same, other] =
            ["memory://one/x", "memory://one/x/", "memory://other/x"].map(|uri| uri.into_place().unwrap().identity());
        assert_eq!(one, same);
        assert_ne!(one, other);
        assert_eq!("memory://one/x/".into_place().unwrap().location(), "memory://one/x");
        assert!("memory://one?x=1".into_place().is_err());
    }
}
