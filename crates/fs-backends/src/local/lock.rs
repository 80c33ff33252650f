//! The lock that keeps writers apart.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use persist::Lock;

use super::create_durably;

/// The file that is locked. It is never deleted: then two writers could hold the locks of two files of that name.
const NAME: &str = "lock";

/// How often a lock that another holds is tried again.
const POLL: Duration = Duration::from_millis(5);

/// Takes the lock of a folder, which is created if need be; if another still holds it after `wait`, tells who.
pub(super) fn acquire(folder: &Path, wait: Duration) -> io::Result<Result<Lock, String>> {
    let start = Instant::now();
    let mut file = open(folder)?;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(e)) if no_locks(&e) => return Ok(Ok(Lock::none())),
            Err(TryLockError::Error(e)) => return Err(e),
            Err(TryLockError::WouldBlock) => {}
        }
        let left = wait.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(Err(holder(&mut file)));
        }
        thread::sleep(POLL.min(left));
    }
    // Only for messages, so that on a full disk too there is a lock.
    let _ = file.set_len(0).and_then(|()| write!(file, "pid {}", std::process::id()));
    Ok(Ok(Lock::new(Held(file))))
}

fn open(folder: &Path) -> io::Result<File> {
    // Whoever wrote the place could have us write into somebody else's file, and delete others.
    for (path, what, is_ours) in [
        (folder.to_owned(), "it is no folder, or a link to one", Metadata::is_dir as fn(&Metadata) -> bool),
        (folder.join(NAME), "the file 'lock' in it is no regular file; delete it", Metadata::is_file),
    ] {
        if path.symlink_metadata().is_ok_and(|info| !is_ours(&info)) {
            return Err(io::Error::other(what));
        }
    }
    let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(folder.join(NAME));
    match open() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            create_durably(folder)?;
            open()
        }
        done => done,
    }
}

/// Who wrote its number into the file last. Windows does not let others read what is locked.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(100).read_to_string(&mut text));
    let pid = text.strip_prefix("pid ").and_then(|pid| pid.parse::<u32>().ok());
    match (read, pid) {
        (Ok(_), Some(pid)) => format!("pid {pid}"),
        _ => "another writer".to_owned(),
    }
}

/// Whether this is how a file system says that it has no locks.
fn no_locks(e: &io::Error) -> bool {
    #[cfg(unix)]
    if e.raw_os_error() == Some(rustix::io::Errno::NOLCK.raw_os_error()) {
        return true;
    }
    e.kind() == io::ErrorKind::Unsupported
}

/// The open file, whose lock is let go at once: closing alone may take its time on Windows.
struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_WAIT: Duration = Duration::ZERO;

    #[test]
    fn one_of_two_holds_the_lock_and_the_other_hears_who() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/own");
        let held = acquire(&folder, NO_WAIT).unwrap().unwrap();
        let start = Instant::now();
        let wait = Duration::from_millis(50);
        assert_eq!(acquire(&folder, wait).unwrap().unwrap_err(), format!("pid {}", std::process::id()));
        assert!(start.elapsed() >= wait);
        drop(held);
        assert!(acquire(&folder, NO_WAIT).unwrap().is_ok());
        assert!(folder.join(NAME).exists());
    }

    #[test]
    fn who_waits_gets_the_lock_when_it_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let held = acquire(dir.path(), NO_WAIT).unwrap().unwrap();
        let folder = dir.path().to_owned();
        let other = thread::spawn(move || acquire(&folder, Duration::from_secs(60)).unwrap().is_ok());
        thread::sleep(Duration::from_millis(20));
        drop(held);
        assert!(other.join().unwrap());
    }

    /// A name that was longer must not shine through.
    #[test]
    fn the_last_holder_is_the_one_that_is_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(NAME), "pid 12345678901234567890 and more").unwrap();
        let _held = acquire(dir.path(), NO_WAIT).unwrap().unwrap();
        assert_eq!(acquire(dir.path(), NO_WAIT).unwrap().unwrap_err(), format!("pid {}", std::process::id()));
    }
}
