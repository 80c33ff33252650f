//! Reading files of a local folder.

use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use persist::{Error, Result};

use crate::LocalFs;
use crate::blocking::unblock;
use crate::read_fs::{FileStat, Listing, ReadFs, check_name};

/// Links to files are files, with the size and the times of what they lead to. Links to folders are not followed. Links
/// to nothing are listed, so that reading them fails.
#[async_trait]
impl ReadFs for LocalFs {
    fn folder(&self) -> PathBuf {
        self.root().to_owned()
    }

    async fn list_files(&self, recursive: bool) -> Result<Listing> {
        let root = self.root().to_owned();
        unblock(move || list(&root, recursive)).await.map_err(|e| failed(self.root(), "list", Path::new("."), e))?
    }

    async fn file_stat(&self, name: &Path) -> Result<FileStat> {
        let (root, name) = (self.root().to_owned(), name.to_owned());
        let look = |root: &Path, name: &Path| match fs::metadata(within(root, name)?)? {
            info if info.is_dir() => Err(io::ErrorKind::NotFound.into()),
            info => Ok(stat(name.to_owned(), &info)),
        };
        self.on_file(name.clone(), "look at", move || look(&root, &name)).await
    }

    async fn read_file(&self, name: &Path) -> Result<Bytes> {
        let (root, name) = (self.root().to_owned(), name.to_owned());
        self.on_file(name.clone(), "read", move || Ok(read_file(&within(&root, &name)?)?.into())).await
    }
}

impl LocalFs {
    async fn on_file<T: Send + 'static>(
        &self,
        name: PathBuf,
        operation: &'static str,
        call: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        check_name(&name)?;
        unblock(call).await.and_then(|done| done).map_err(|e| failed(self.root(), operation, &name, e))
    }
}

fn failed(root: &Path, operation: &'static str, name: &Path, e: io::Error) -> Error {
    let (place, name) = (root.display().to_string(), name.display().to_string());
    match e.kind() {
        io::ErrorKind::NotFound => Error::NotFound { place, name },
        _ => Error::failed(place, operation, name, e),
    }
}

/// Reads a regular file; anything else could make the reader wait for ever.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    fs::read(path)
}

/// The path of a file. No folder on the way to it is a link, as none is where files are listed.
fn within(root: &Path, name: &Path) -> io::Result<PathBuf> {
    let mut path = root.to_owned();
    let parts: Vec<_> = name.components().collect();
    for (at, part) in parts.iter().enumerate() {
        path.push(part);
        if at + 1 < parts.len() && path.symlink_metadata()?.is_symlink() {
            return Err(io::Error::other("a folder on the way to it is a symbolic link"));
        }
    }
    Ok(path)
}

fn list(root: &Path, recursive: bool) -> Result<Listing> {
    let mut listing = Listing::default();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        match list_folder(root, &folder, &mut listing) {
            Ok(below) if recursive => folders.extend(below),
            Ok(_) => {}
            Err(e) if folder.as_os_str().is_empty() => return Err(failed(root, "list", Path::new("."), e)),
            Err(e) => {
                let why = failed(root, "list", &folder, e);
                listing.unreadable.push((folder, why));
            }
        }
    }
    Ok(listing)
}

/// Lists the files of one folder, and returns the folders in it.
fn list_folder(root: &Path, folder: &Path, listing: &mut Listing) -> io::Result<Vec<PathBuf>> {
    let mut below = Vec::new();
    let entries = match fs::read_dir(root.join(folder)) {
        // What is no folder is no place for files to be in.
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => Err(io::ErrorKind::NotFound.into()),
        entries => entries,
    };
    for entry in entries? {
        let entry = entry?;
        let name = folder.join(entry.file_name());
        match look_at(&entry) {
            // It has vanished meanwhile.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            _ if entry.file_type()?.is_dir() => below.push(name),
            Ok(Some(info)) if info.is_dir() => {}
            Ok(Some(info)) => listing.files.push(stat(name, &info)),
            // In a folder that may be listed and not entered reading it fails.
            Ok(None) | Err(_) => listing.files.push(FileStat { name, ..FileStat::default() }),
        }
    }
    Ok(below)
}

/// What an entry is or leads to; `None` if it leads to nothing that can be looked at.
fn look_at(entry: &DirEntry) -> io::Result<Option<Metadata>> {
    let info = entry.metadata()?;
    Ok(if info.is_symlink() { fs::metadata(entry.path()).ok() } else { Some(info) })
}

fn stat(name: PathBuf, info: &Metadata) -> FileStat {
    FileStat {
        name,
        size: info.len(),
        created: created(info),
        modified: info.modified().ok().and_then(seconds),
        accessed: None,
    }
}

/// The time of birth where Python tells it.
#[cfg(not(all(unix, not(any(target_vendor = "apple", target_os = "freebsd", target_os = "netbsd")))))]
fn created(info: &Metadata) -> Option<i64> {
    info.created().ok().and_then(seconds)
}

/// When the file or what is known of it changed last: elsewhere Python tells no time of birth.
#[cfg(all(unix, not(any(target_vendor = "apple", target_os = "freebsd", target_os = "netbsd"))))]
fn created(info: &Metadata) -> Option<i64> {
    Some(std::os::unix::fs::MetadataExt::ctime(info))
}

/// Whole seconds since 1970, rounded down.
fn seconds(time: SystemTime) -> Option<i64> {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).ok(),
        Err(e) => {
            let before = e.duration();
            i64::try_from(before.as_secs()).ok()?.checked_neg()?.checked_sub(i64::from(before.subsec_nanos() > 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pollster::block_on;
    use std::time::Duration;

    fn names(listing: &Listing) -> Vec<String> {
        let mut names: Vec<_> = listing.files.iter().map(|file| file.name.to_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_are_listed_at_any_depth_or_at_the_top() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("sub/deep")).unwrap();
        for name in ["a.txt", "sub/b.txt", "sub/deep/c.txt"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        let place = LocalFs::new(dir.path());
        assert_eq!(names(&block_on(place.list_files(false)).unwrap()), ["a.txt"]);
        assert_eq!(names(&block_on(place.list_files(true)).unwrap()), ["a.txt", "sub/b.txt", "sub/deep/c.txt"]);
        assert_eq!(block_on(place.read_file(Path::new("sub/b.txt"))).unwrap(), "sub/b.txt");
        let stat = block_on(place.file_stat(Path::new("sub/b.txt"))).unwrap();
        assert_eq!((stat.size, stat.accessed), (9, None));
        assert!(stat.created.is_some() && stat.modified.is_some());
        assert!(block_on(place.file_stat(Path::new("none.txt"))).unwrap_err().is_not_found());
        for none in ["none", "a.txt"] {
            assert!(block_on(LocalFs::new(dir.path().join(none)).list_files(true)).unwrap_err().is_not_found());
        }
    }

    #[test]
    fn nothing_outside_the_folder_is_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        fs::write(dir.path().join("out.txt"), "x").unwrap();
        let place = LocalFs::new(dir.path().join("in"));
        let absolute = dir.path().join("out.txt");
        for name in ["../out.txt", "", ".", "x/../../out.txt", absolute.to_str().unwrap()] {
            let told = block_on(place.read_file(Path::new(name)));
            assert!(matches!(told, Err(Error::InvalidName { .. })), "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_to_files_are_files_and_links_to_folders_are_not_followed() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("in");
        fs::create_dir_all(dir.path().join("out")).unwrap();
        fs::create_dir(&root).unwrap();
        fs::write(dir.path().join("out/f.txt"), "four").unwrap();
        symlink(dir.path().join("out/f.txt"), root.join("file")).unwrap();
        symlink(dir.path().join("out"), root.join("folder")).unwrap();
        symlink("nowhere", root.join("broken")).unwrap();
        symlink(".", root.join("loop")).unwrap();
        let place = LocalFs::new(&root);
        let listing = block_on(place.list_files(true)).unwrap();
        assert_eq!(names(&listing), ["broken", "file"]);
        assert_eq!(block_on(place.file_stat(Path::new("file"))).unwrap().size, 4);
        assert!(block_on(place.read_file(Path::new("broken"))).unwrap_err().is_not_found());
        let told = block_on(place.read_file(Path::new("folder/f.txt")));
        assert!(matches!(told, Err(Error::Failed { operation: "read", .. })));
    }

    /// Nothing is passed over in silence.
    #[cfg(unix)]
    #[test]
    fn what_may_not_be_looked_at_is_listed() {
        use std::os::unix::fs::PermissionsExt;
        crate::unprivileged::run(module_path!(), "what_may_not_be_looked_at_is_listed", || {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().join("in");
            fs::create_dir_all(root.join("sub")).unwrap();
            fs::write(root.join("a.txt"), "a").unwrap();
            fs::set_permissions(&root, fs::Permissions::from_mode(0o400)).unwrap();
            let place = LocalFs::new(&root);
            let listing = block_on(place.list_files(true));
            let read = block_on(place.read_file(Path::new("a.txt")));
            fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
            let listing = listing.unwrap();
            assert_eq!(names(&listing), ["a.txt"]);
            assert_eq!(listing.unreadable.len(), 1, "{listing:?}");
            let (folder, why) = &listing.unreadable[0];
            assert_eq!(folder, Path::new("sub"));
            check_denied(why, "list", "sub");
            check_denied(&read.unwrap_err(), "read", "a.txt");
        });
    }

    #[cfg(unix)]
    fn check_denied(error: &Error, expected_operation: &str, expected_name: &str) {
        let Error::Failed { operation, name, source, .. } = error else { panic!("{error:?}") };
        assert_eq!((*operation, name.as_str()), (expected_operation, expected_name));
        let cause = source.downcast_ref::<io::Error>().unwrap();
        assert_eq!(cause.kind(), io::ErrorKind::PermissionDenied, "{error:?}");
    }

    #[test]
    fn times_are_rounded_down() {
        let check = |time, expected| assert_eq!(seconds(time), Some(expected));
        check(UNIX_EPOCH + Duration::from_millis(1_999), 1);
        check(UNIX_EPOCH, 0);
        check(UNIX_EPOCH - Duration::from_millis(1), -1);
        check(UNIX_EPOCH - Duration::from_secs(1), -1);
    }
}
