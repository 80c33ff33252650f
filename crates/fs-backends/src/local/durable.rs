//! What is still there after a power failure.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Creates a folder with its parents, each durable in its own parent.
///
/// A parent that is there already may have been made a moment ago, by somebody who was killed before it was durable: it
/// is made so, too.
pub(super) fn create_durably(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Ok(()) => {
            let mut above = folder.ancestors().skip(1);
            above.next().map_or(Ok(()), sync_folder)?;
            match above.next().map_or(Ok(()), sync_folder) {
                // Whoever may not even look at it has not made anything there.
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
                done => done,
            }
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => {
                create_durably(parent)?;
                create_durably(folder)
            }
            _ => Err(e),
        },
        // Some file systems say something else of a folder that is there, for instance that they are read-only.
        Err(_) if folder.is_dir() => Ok(()),
        Err(e) => Err(e),
    }
}

/// Makes the names in a folder durable.
///
/// Windows has no such call, and needs none: its file systems journal names. On macOS the standard library asks the
/// disk to empty its cache (`F_FULLFSYNC`), for files and for folders.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(windows) {
        return Ok(());
    }
    match File::open(folder)?.sync_all() {
        // Some file systems, mostly of networks, have no such thing for folders.
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        done => done,
    }
}
