//! Files under temporary names, until they get their own as a whole.

use std::fs::{self, File, OpenOptions, Permissions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::create_durably;

/// A file under a temporary name. It is deleted unless it gets another name; only a process that is killed leaves it
/// there.
pub(super) struct Temporary {
    path: PathBuf,
    renamed: bool,
}

impl Temporary {
    /// An empty file in this folder, which is created if need be. At no moment may anybody read it who may not read a
    /// file `like` that, if there is one.
    pub(super) fn create(folder: &Path, like: Option<&Permissions>) -> io::Result<(Self, File)> {
        let create = || {
            let path = folder.join(unique_name());
            create_new(&path, like).map(|file| (Self { path, renamed: false }, file))
        };
        match create() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                create_durably(folder)?;
                create()
            }
            done => done,
        }
    }

    /// Gives the file this name, in place of what has it.
    pub(super) fn rename(mut self, to: &Path) -> io::Result<()> {
        // Windows does this while others have either file open, as we all open files so that they may be deleted.
        fs::rename(&self.path, to)?;
        self.renamed = true;
        Ok(())
    }

    /// Gives the file this name unless something has it, and tells whether it did.
    pub(super) fn rename_if_absent(mut self, to: &Path) -> io::Result<bool> {
        let done = match fs::hard_link(&self.path, to) {
            Err(e) if no_links(&e) => rename_without_replacing(&self.path, to).map(|()| self.renamed = true),
            done => done,
        };
        match done {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(e),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            // What cannot be deleted is litter, not damage.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(unix)]
fn create_new(path: &Path, like: Option<&Permissions>) -> io::Result<File> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    // Its owner reads it back, and deletes it.
    let mode = like.map(|like| like.mode() & 0o777 | 0o600);
    let file = OpenOptions::new().write(true).create_new(true).mode(mode.unwrap_or(0o666)).open(path)?;
    if let Some(mode) = mode {
        // What the mask of the process forbids, to readers of ours under other accounts too. Where it cannot be set the
        // file is as any new one.
        let _ = file.set_permissions(Permissions::from_mode(mode));
    }
    Ok(file)
}

#[cfg(not(unix))]
fn create_new(path: &Path, _: Option<&Permissions>) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// A name that no file has, whichever process or machine made it.
pub(super) fn unique_name() -> String {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // A process that was forked has the same number here.
    format!("{:016x}-{}-{}.tmp", *PROCESS, std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Whether this is how a file system says that it has no hard links.
fn no_links(e: &io::Error) -> bool {
    const ERROR_INVALID_FUNCTION: i32 = 1;
    matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported)
        || (cfg!(windows) && e.raw_os_error() == Some(ERROR_INVALID_FUNCTION))
}

/// The same in one step, where there is one.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn rename_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from) {
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => Err(io::ErrorKind::Unsupported.into()),
        done => done,
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn rename_without_replacing(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_absent(rename: impl Fn(Temporary, &Path) -> io::Result<bool>) {
        let dir = tempfile::tempdir().unwrap();
        let make = |text: &str| {
            let (temporary, _) = Temporary::create(&dir.path().join("own"), None).unwrap();
            fs::write(&temporary.path, text).unwrap();
            temporary
        };
        let target = dir.path().join("own/1");
        assert!(rename(make("first"), &target).unwrap());
        assert!(!rename(make("second"), &target).unwrap());
        assert_eq!(fs::read(&target).unwrap(), b"first");
        assert_eq!(fs::read_dir(dir.path().join("own")).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn what_has_a_name_keeps_it() {
        check_absent(|temporary, target| temporary.rename_if_absent(target));
    }

    /// As on file systems without hard links.
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    #[test]
    fn what_has_a_name_keeps_it_without_links_too() {
        check_absent(|mut temporary, target| match rename_without_replacing(&temporary.path, target) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            done => done.map(|()| {
                temporary.renamed = true;
                true
            }),
        });
    }

    #[test]
    fn a_file_that_got_no_name_goes() {
        let dir = tempfile::tempdir().unwrap();
        drop(Temporary::create(dir.path(), None).unwrap());
        let (temporary, _) = Temporary::create(dir.path(), None).unwrap();
        let renamed = temporary.rename(&dir.path().join("no folder/1"));
        assert_eq!(renamed.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
