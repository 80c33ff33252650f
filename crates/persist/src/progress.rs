//! What is reported while a location is read or written.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Is called with the steps of a commit while it is made, or of reading a location.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(&Step<'_>) + Send + Sync>);

/// A step of a commit, or of reading a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step<'a> {
    /// A file is about to be written under `.colca`.
    Stage {
        /// Its name.
        name: &'a str,
        /// How many files were staged before it.
        done: usize,
        /// How many there are.
        total: usize,
    },
    /// A part of that file has been written.
    Staged {
        /// Its name.
        name: &'a str,
        /// How many bytes of it have been written so far.
        bytes: u64,
    },
    /// The manifest is about to be made: the one moment at which the location changes.
    Commit {
        /// The new generation.
        generation: u64,
    },
    /// A file is about to get its name.
    Publish {
        /// Its name.
        name: &'a str,
        /// How many files were published before it.
        done: usize,
        /// How many there are.
        total: usize,
    },
    /// What is old is about to be deleted.
    Collect,
    /// A part of a file has been read.
    Read {
        /// The file's name.
        name: &'a str,
        /// How many bytes of all files have been read so far.
        bytes_done: u64,
        /// How many bytes there are in all files that will be read, by the newest manifest and the listing.
        bytes_total: u64,
    },
}

impl Progress {
    /// Calls `report` at each step. It must not block for long, and may be called from any thread.
    pub fn new(report: impl Fn(&Step<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(report))
    }

    pub(crate) fn report(&self, step: &Step<'_>) {
        (self.0)(step);
    }

    /// Counts the bytes of a file that is staged.
    pub(crate) fn staging(&self, name: &str) -> Meter {
        let (progress, name, written) = (self.clone(), name.to_owned(), Mutex::new(0));
        Meter::new(move |bytes| {
            // Held while it is reported, so that reports from several threads come in order.
            let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
            *written += bytes;
            progress.report(&Step::Staged { name: &name, bytes: *written });
        })
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// Counts the bytes of a file while they are read or written. The default counts nothing.
#[derive(Clone, Default)]
pub struct Meter(Option<Arc<dyn Fn(u64) + Send + Sync>>);

impl Meter {
    /// Calls `moved` with the number of bytes that have been read or written since the call before.
    pub fn new(moved: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(moved)))
    }

    /// Adds bytes that have been read or written.
    pub fn add(&self, bytes: u64) {
        if let Some(moved) = &self.0
            && bytes > 0
        {
            moved(bytes);
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meter")
    }
}

/// Reports how much of the files of a location has been read.
#[derive(Debug)]
pub(crate) struct Reading {
    progress: Option<Progress>,
    /// The files that were announced and have not been read yet.
    expected: HashSet<String>,
    bytes: Arc<Mutex<Bytes>>,
    /// Counts the bytes of the file that is being read.
    meter: Meter,
}

/// The bytes of all files.
#[derive(Debug, Default)]
struct Bytes {
    done: u64,
    total: u64,
    /// What is done when the file that is being read is done.
    file_end: u64,
}

impl Bytes {
    fn add(&mut self, bytes: u64) {
        // A file may be read published and staged, or be longer than it was said to be.
        self.done = self.file_end.min(self.done.saturating_add(bytes));
    }
}

impl Reading {
    pub(crate) fn new(progress: Option<Progress>) -> Self {
        Self { progress, expected: HashSet::new(), bytes: Arc::default(), meter: Meter::default() }
    }

    /// Announces a file that will be read, so that it counts from the beginning.
    pub(crate) fn expect(&mut self, name: &str, size: u64) {
        if self.progress.is_some() && self.expected.insert(name.to_owned()) {
            self.bytes.lock().unwrap_or_else(PoisonError::into_inner).total += size;
        }
    }

    /// Begins with a file of this size.
    pub(crate) fn begin(&mut self, name: &str, size: u64) {
        let Some(progress) = self.progress.clone() else { return };
        self.expect(name, size);
        self.expected.remove(name);
        {
            let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
            bytes.file_end = bytes.done + size;
        }
        let (name, bytes) = (name.to_owned(), Arc::clone(&self.bytes));
        self.meter = Meter::new(move |read| {
            let mut bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
            let before = bytes.done;
            bytes.add(read);
            if bytes.done > before {
                progress.report(&Step::Read { name: &name, bytes_done: bytes.done, bytes_total: bytes.total });
            }
        });
    }

    /// Counts the bytes of the file that is being read.
    pub(crate) fn meter(&self) -> Meter {
        self.meter.clone()
    }

    /// Ends with that file: all of it is done, also if it was shorter than it was said to be, or absent.
    pub(crate) fn end(&mut self) {
        std::mem::take(&mut self.meter).add(u64::MAX);
    }
}
