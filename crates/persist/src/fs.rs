use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Content, Digest, Result};

/// A file of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Its name, without a path.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Something that is another when the file was written again, if the place can tell.
    pub version: Option<String>,
}

/// A file that was written durably and waits to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// Where it waits; only the place that staged it understands this.
    pub token: String,
    /// The name it will have.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of what was written.
    pub digest: Digest,
}

/// A place where a storage context's files lie side by side: a folder, a bucket's prefix, a map in memory.
///
/// Names are plain file names that passed [`check_name`](crate::check_name); implementations refuse others. All methods
/// take `&self` and may be called at the same time.
#[async_trait]
pub trait PersistFs: Debug + Send + Sync + 'static {
    /// The place in words, for messages.
    fn location(&self) -> String;

    /// What tells this place from all others: the same for every handle on it, however it was spelled.
    fn identity(&self) -> String {
        self.location()
    }

    /// All files of the place, sorted by name; folders are left out. A place that does not exist is empty.
    ///
    /// # Errors
    /// If the place cannot be listed.
    async fn list(&self) -> Result<Vec<FileInfo>>;

    /// The content of a file, or `None` if there is no such file.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    async fn read(&self, name: &str) -> Result<Option<Bytes>>;

    /// Writes a content durably beside the published files, creating the place if need be. No published file changes.
    ///
    /// # Errors
    /// If the content cannot be produced or written; nothing is left behind then.
    async fn stage(&self, name: &str, content: Content) -> Result<Staged>;

    /// Gives the staged files their names, each replacing what has that name as a whole, then deletes `remove` (names
    /// that are absent are passed over). When it returns, all that is durable.
    ///
    /// # Errors
    /// If a step fails; the steps before it have happened.
    async fn publish(&self, staged: Vec<Staged>, remove: &[String]) -> Result<()>;

    /// Drops files that were staged and will not be published.
    async fn discard(&self, staged: Vec<Staged>);
}
