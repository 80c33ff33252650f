use std::future::Future;
use std::path::Path;

use chatstore::SimpleChatStore;
use fs_backends::IntoPlace;
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

    /// Opens the store in the file at `path`.
    ///
    /// # Errors
    /// [`persist::Error::NotFound`] if there is no such file, and what is wrong with it if it is no such store.
    fn from_persist_path(path: impl AsRef<Path>) -> impl Future<Output = Result<Self>> {
        async move {
            let (folder, name) = split(path.as_ref())?;
            let place = folder.into_place()?;
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
            let (folder, name) = split(path.as_ref())?;
            commit(&*folder.into_place()?, vec![PersistFile::new(name, file.content)], &[]).await?;
            Ok(())
        }
    }
}

/// The folder and the name of a file. A path without a folder means the current one.
fn split(path: &Path) -> Result<(&Path, String)> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default();
    match name.to_str() {
        Some(name) => Ok((folder, name.to_owned())),
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
