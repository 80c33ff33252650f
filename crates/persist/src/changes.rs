use std::collections::HashMap;

use crate::{Digest, Error, Manifest, PersistFiles};

/// What a commit changes. Files that it does not name stay as they are.
#[derive(Debug, Default)]
pub struct Changes {
    /// The files to write.
    pub write: PersistFiles,
    /// The files to delete; names that are absent are passed over.
    pub remove: Vec<String>,
    /// Files that are there and stay, of which the caller knows the content: they become files of the generation.
    pub keep: Vec<KeptFile>,
    /// The digests of files that are written or deleted, as they were listed, where the caller knows them. The others
    /// are read.
    pub known: HashMap<String, Digest>,
}

/// A file that stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of its content.
    pub digest: Digest,
}

/// A commit that was made: the place holds the new generation, whatever happens from now on.
#[derive(Debug)]
pub struct Committed {
    /// The new generation.
    pub manifest: Manifest,
    /// The files that were written, in the order in which they were given.
    pub written: Vec<Written>,
    /// Files that another program has written at the same time: its versions stay.
    pub foreign: Vec<String>,
    /// Why publishing could not be finished. Readers of ours see the new generation nevertheless; the next writer
    /// finishes it.
    pub unpublished: Option<Error>,
    /// Why old generations could not be deleted. The next commit tries again.
    pub uncollected: Option<Error>,
}

/// A file that a commit has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of its content.
    pub digest: Digest,
    /// Whether one of its [`originals`](crate::PersistFile::originals) was copied.
    pub copied: bool,
}
