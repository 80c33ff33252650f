use std::future::Future;
use std::path::Path;

use chatstore::SimpleChatStore;
use fs_backends::{IntoPlace, Place};
use graphstore::{SimpleGraphStore, SimplePropertyGraphStore};
use kv_core::SimpleKvStore;
use persist::{PersistFile, ReadOptions, StoreFile, commit, read_files};
use raw_json::Text;
use vectorstore_simple::SimpleVectorStore;

use crate::{Error, Result};

/// A single store kept in a file of its own, as LlamaIndex's `from_persist_path` and `persist` of each store.
///
/// For the stores of one application use a [`StorageContext`](storage_context::StorageContext), which commits all of
/// them together.
///
/// ```
/// use colca::prelude::*;
///
/// # #[tokio::main] async fn main() -> colca::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary folder");
/// # let path = dir.path().join("chat_store.json");
/// let chats = SimpleChatStore::new();
/// chats.add_message("ada", ChatMessage::user("Good morning."), None)?;
/// chats.persist(&path).await?;
///
/// let again = SimpleChatStore::from_persist_path(&path).await?;
/// assert_eq!(again.get_messages("ada").len(), 1);
/// # Ok(())
/// # }
/// ```
pub trait StorePath: Sized {
    /// Reads the store from its text.
    #[doc(hidden)]
    fn read(text: &Text) -> Result<Self>;

    /// The store's state as a file.
    #[doc(hidden)]
    fn file(&self) -> StoreFile;

    /// Opens the store in the file at `path`: a path on a local disk, or a URI such as `s3://bucket/prefix/file.json`, with
    /// settings as in `?region=eu-central-1`.
    ///
    /// # Errors
    /// [`persist::Error::NotFound`] if there is no such file, and what is wrong with it if it is no such store.
    fn from_persist_path(path: impl AsRef<Path>) -> impl Future<Output = Result<Self>> {
        async move {
            let (place, name) = split(path.as_ref())?;
            let file = read_files(&*place, &[&name], ReadOptions::default()).await?.pop().flatten();
            let not_found = || persist::Error::NotFound { place: place.location(), name: name.clone() };
            let file = file.ok_or_else(not_found)?;
            let read = Text::decode(file.bytes).map_err(Error::from).and_then(|text| Self::read(&text));
            read.map_err(|e| persist::Error::failed(place.location(), "read", name.clone(), e).into())
        }
    }

    /// Writes the store to the file at `path`, replacing it as a whole. Missing folders are created.
    ///
    /// # Errors
    /// What the disk reports; the file is as it was then.
    fn persist(&self, path: impl AsRef<Path>) -> impl Future<Output = Result<()>> {
        let file = self.file();
        async move {
            let (place, name) = split(path.as_ref())?;
            commit(&*place, vec![PersistFile::new(name, file.content)], &[]).await?;
            Ok(())
        }
    }
}

/// The location and the name of a file. A path without a folder means the current one.
fn split(path: &Path) -> Result<(Place, String)> {
    if let Some(uri) = path.to_str().filter(|path| path.contains("://")) {
        let (address, settings) = uri.split_at(uri.find('?').unwrap_or(uri.len()));
        let (folder, name) = address.rsplit_once('/').unwrap_or(("", address));
        if folder.ends_with('/') {
            let name = address.to_owned();
            return Err(persist::Error::InvalidName { name, reason: "it names no file in a location" }.into());
        }
        return Ok((format!("{folder}{settings}").into_place()?, name.to_owned()));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default();
    match name.to_str() {
        Some(name) => Ok((folder.into_place()?, name.to_owned())),
        None => Err(persist::Error::InvalidName { name: format!("{name:?}"), reason: "it is no Unicode" }.into()),
    }
}

macro_rules! store_paths {
    ($($store:ty)*) => {
        $(impl StorePath for $store {
            fn read(text: &Text) -> Result<Self> {
                Ok(Self::from_text(text)?)
            }

            fn file(&self) -> StoreFile {
                self.store_file()
            }
        })*
    };
}

store_paths! {
    SimpleKvStore
    SimpleVectorStore
    SimpleGraphStore
    SimplePropertyGraphStore
    SimpleChatStore
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, location: &str, name: &str) {
        let (place, found) = split(Path::new(path)).unwrap();
        assert_eq!((place.location().as_str(), found.as_str()), (location, name), "{path}");
    }

    #[test]
    fn a_file_is_named_by_a_path_or_a_uri() {
        check("/data/chat.json", "/data", "chat.json");
        check("file:///data/chat.json", "/data", "chat.json");
        for none in ["s3://chat.json", "memory://chat.json"] {
            assert!(split(Path::new(none)).is_err(), "{none}");
        }
        #[cfg(feature = "s3")]
        check("s3://b/p/chat.json?endpoint=http://h:1", "s3://b/p?endpoint=http://h:1", "chat.json");
    }
}
