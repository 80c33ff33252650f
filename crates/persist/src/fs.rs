use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Content, Digest, Limits, Meter, Result};

/// The folder within a place where Colca keeps what is its own: manifests, staged files, markers, the lock.
pub const OWN_FOLDER: &str = ".colca";

/// Which files of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Folder {
    /// The published ones, under the names that LlamaIndex knows.
    Published,
    /// Those in [`OWN_FOLDER`].
    Own,
}

/// A file of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Its name, without a path.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Something that is another when the file was written again, if the place can tell: an ETag, or the inode and time.
    pub version: Option<String>,
    /// When it was written, by the clock of the place.
    pub modified: Option<SystemTime>,
}

impl FileInfo {
    /// Whether there is anything that changes when the file is written again: a version or a time.
    pub fn has_version(&self) -> bool {
        self.version.is_some() || self.modified.is_some()
    }

    /// Whether this is still the file that `earlier` describes, as far as a listing shows: it has the same size and the
    /// same version or, where the location gives no versions, the same time of writing.
    pub fn is_unchanged_since(&self, earlier: &Self) -> bool {
        let same_version = match (&self.version, &earlier.version) {
            (Some(now), Some(then)) => now == then,
            (None, None) => self.modified.is_some() && self.modified == earlier.modified,
            _ => false,
        };
        same_version && self.size == earlier.size
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its size in bytes.
    pub size: u64,
    /// The digest of its content.
    pub digest: Digest,
}

/// What a place can do beyond reading and writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Abilities {
    /// [`create`](PersistFs::create) lets exactly one of many writers win.
    pub create: bool,
    /// [`publish`](PersistFs::publish) checks what it replaces in the same step.
    pub conditional_publish: bool,
    /// [`publish`](PersistFs::publish) moves the staged file; elsewhere it copies.
    pub moves: bool,
}

/// What a file is expected to be when it is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// There is no such file.
    Absent,
    /// It has this version.
    Version(String),
    /// Whatever it is.
    Anything,
}

impl Expected {
    /// What a listing saw: a file or none.
    pub fn seen(info: Option<&FileInfo>) -> Self {
        match info {
            None => Self::Absent,
            Some(info) => info.version.clone().map_or(Self::Anything, Self::Version),
        }
    }
}

/// What has become of a file that was to be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publication {
    /// It has its name.
    Done,
    /// There is no such staged file (any more).
    NoSource,
    /// What has that name is not what was expected; it stays.
    Unexpected,
}

/// How much of what was written is still there after a power failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// All that a finished step has written.
    #[default]
    Full,
    /// What the operating system happened to write by then. A killed process loses nothing.
    Relaxed,
}

/// Held by the one writer of a place. Dropping it lets the next one in.
pub struct Lock(#[expect(dead_code, reason = "held, not read")] Option<Box<dyn Send + Sync>>);

impl Lock {
    /// A lock that is let go when `guard` is dropped.
    pub fn new(guard: impl Send + Sync + 'static) -> Self {
        Self(Some(Box::new(guard)))
    }

    /// The lock of a place that has none.
    pub fn none() -> Self {
        Self(None)
    }
}

impl Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock")
    }
}

/// A place where a storage context's files lie side by side: a folder, a bucket's prefix, a map in memory.
///
/// These are the steps that the commit protocol is made of; each is one step also for other processes that look at the
/// place. A `path` is a file's name, for a published one, or [`OWN_FOLDER`]`/name`; implementations refuse what does not
/// pass [`check_path`](crate::check_path). All methods take `&self` and may be called at the same time.
#[async_trait]
pub trait PersistFs: Debug + Send + Sync + 'static {
    /// The place in words, for messages.
    fn location(&self) -> String;

    /// What tells this place from all others: the same for every handle on it, however it was spelled.
    fn identity(&self) -> String {
        self.location()
    }

    /// What the place can do, tried and not only promised. Only writers ask: trying may write to [`OWN_FOLDER`].
    ///
    /// # Errors
    /// If that cannot be found out.
    async fn abilities(&self) -> Result<Abilities>;

    /// All files of one folder, sorted by name; folders are left out. A folder that does not exist is empty.
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::Error::Forbidden) if this place may be read and not listed; whatever else goes wrong.
    async fn list(&self, folder: Folder) -> Result<Vec<FileInfo>>;

    /// The content of a file, or `None` if there is no such file.
    ///
    /// # Errors
    /// [`Error::TooLarge`](crate::Error::TooLarge) if it has more than `limit` bytes, before they are read; if it cannot
    /// be read, or changes while it is read.
    async fn read(&self, path: &str, limit: u64) -> Result<Option<Bytes>>;

    /// As [`read`](Self::read), and counts the bytes while they arrive: in total as many as the file has, if it was read.
    ///
    /// By default they are counted when all have arrived; override this if the location can do it earlier.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    async fn read_with(&self, path: &str, limit: u64, meter: &Meter) -> Result<Option<Bytes>> {
        let read = self.read(path, limit).await?;
        meter.add(read.as_ref().map_or(0, |bytes| bytes.len() as u64));
        Ok(read)
    }

    /// Writes a file of [`OWN_FOLDER`], creating the folder if need be, and replacing a file of that name. Its content
    /// is durable afterwards, its name after [`sync`](Self::sync).
    ///
    /// # Errors
    /// If the content cannot be produced or written; nothing is left behind then if that can be helped.
    async fn write(&self, path: &str, content: Content, durability: Durability) -> Result<Stored>;

    /// Writes a staged file of [`OWN_FOLDER`], as [`write`](Self::write) does, that is to be published as `name`. Where
    /// files have permissions it has those of the published file of that name, before there is anything to read in it.
    ///
    /// Counts the bytes while they are written: in total as many as the file has, if it was written. By default they are
    /// counted when all have been written.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    async fn stage(
        &self,
        path: &str,
        name: &str,
        content: Content,
        durability: Durability,
        meter: &Meter,
    ) -> Result<Stored> {
        let _ = name;
        let stored = self.write(path, content, durability).await?;
        meter.add(stored.size);
        Ok(stored)
    }

    /// Makes a file of [`OWN_FOLDER`] that must not be there yet, whole or not at all; content and name are durable
    /// afterwards. Tells whether it did: `false` if there is such a file.
    ///
    /// # Errors
    /// If it is not known whether the file was made.
    async fn create(&self, path: &str, content: Bytes, durability: Durability) -> Result<bool>;

    /// Gives a staged file of [`OWN_FOLDER`] its name among the published ones, replacing what has that name as a whole
    /// if it is as expected. Where publishing copies, the staged file stays. Durable after [`sync`](Self::sync).
    ///
    /// # Errors
    /// If it cannot be done.
    async fn publish(&self, staged: &str, name: &str, expected: &Expected) -> Result<Publication>;

    /// Deletes a file; one that is not there is deleted already. Durable after [`sync`](Self::sync).
    ///
    /// # Errors
    /// If it cannot be deleted.
    async fn delete(&self, path: &str) -> Result<()>;

    /// Deletes a published file, if it is as expected and the place can check that in the same step; else whatever it
    /// is. One that is not there is deleted already. Durable after [`sync`](Self::sync).
    ///
    /// # Errors
    /// If it cannot be deleted.
    async fn unpublish(&self, name: &str, expected: &Expected) -> Result<Publication> {
        let _ = expected;
        self.delete(name).await.map(|()| Publication::Done)
    }

    /// Makes the names durable: of what was written, published and deleted.
    ///
    /// # Errors
    /// If that cannot be had.
    async fn sync(&self) -> Result<()>;

    /// Keeps other writers out for as long as the lock is held, where the place has such a thing; elsewhere nothing
    /// happens. The protocol is right without it: it spares writers from working in vain.
    ///
    /// # Errors
    /// [`Error::Locked`](crate::Error::Locked) if another writer still holds it after `wait`.
    async fn lock(&self, wait: Duration) -> Result<Lock> {
        let _ = wait;
        Ok(Lock::none())
    }
}

/// The published files of a place, by name.
///
/// # Errors
/// Those of [`PersistFs::list`].
pub async fn published_files(fs: &dyn PersistFs) -> Result<BTreeMap<String, FileInfo>> {
    Ok(fs.list(Folder::Published).await?.into_iter().map(|file| (file.name.clone(), file)).collect())
}

/// The digest of a file, if it is there.
pub(crate) async fn digest_of(fs: &dyn PersistFs, path: &str, limits: &Limits) -> Result<Option<Digest>> {
    Ok(fs.read(path, limits.file_size).await?.map(|bytes| Digest::of(&bytes)))
}
