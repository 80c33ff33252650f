use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use persist::{Content, Digest, Error, FileInfo, PersistFs, Result, Staged, check_name};

use crate::blocking::unblock;

/// The folder within a place where files wait to be published.
const STAGING: &str = ".colca";

/// A folder on a local disk.
///
/// Writing creates the folder and its parents. A published file is only ever replaced by a rename; a symbolic link
/// under its name is replaced too, not followed.
#[derive(Debug, Clone)]
pub struct LocalFs {
    root: PathBuf,
}

impl LocalFs {
    /// The folder at `root`. A relative path means the current folder of this moment. Nothing on disk is touched.
    pub fn new(root: impl AsRef<Path>) -> Self {
        let root = root.as_ref();
        Self { root: std::path::absolute(root).unwrap_or_else(|_| root.to_owned()) }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn failed(&self, operation: &'static str, name: &str, source: io::Error) -> Error {
        Error::failed(self.location(), operation, name, source)
    }

    fn list_sync(&self) -> io::Result<Vec<FileInfo>> {
        let entries = match fs::read_dir(&self.root) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            // A name that is not Unicode cannot be one of ours.
            let Ok(name) = entry.file_name().into_string() else { continue };
            match fs::metadata(entry.path()) {
                Ok(info) if info.is_file() => files.push(FileInfo { name, size: info.len(), version: version(&info) }),
                Ok(_) => {}
                // A link to nothing is listed, so that reading it fails; a file that has vanished meanwhile is not there.
                Err(_) if entry.path().symlink_metadata().is_ok() => {
                    files.push(FileInfo { name, size: 0, version: None });
                }
                Err(_) => {}
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    fn stage_sync(&self, content: Content) -> io::Result<(String, u64, Digest)> {
        let (token, file) = self.create_staged()?;
        let write = || {
            let mut file = BufWriter::with_capacity(1 << 16, file);
            let (size, digest) = content.write_to(&mut file)?;
            file.flush()?;
            file.get_ref().sync_all()?;
            Ok((size, digest))
        };
        match write() {
            Ok((size, digest)) => Ok((token, size, digest)),
            Err(e) => {
                self.discard_sync([token.as_str()]);
                Err(e)
            }
        }
    }

    /// Creates an empty file in the staging folder, under a name that is free.
    fn create_staged(&self) -> io::Result<(String, File)> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let staging = self.root.join(STAGING);
        loop {
            create_durably(&staging)?;
            let token = format!("{}-{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            match File::create_new(staging.join(&token)) {
                Ok(file) => return Ok((token, file)),
                // The name is left over from a process of the same number, or another writer has just removed the
                // folder.
                Err(e) if matches!(e.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn publish_sync(&self, staged: &[Staged], remove: &[String]) -> Result<()> {
        for file in staged {
            let (from, to) = (self.root.join(STAGING).join(&file.token), self.root.join(&file.name));
            // The new file may be read by whoever might read the old one. Where that cannot be set it is as any new file.
            if let Ok(old) = fs::metadata(&to) {
                let _ = fs::set_permissions(&from, old.permissions());
            }
            if let Err(e) = fs::rename(from, to) {
                self.discard_sync(staged.iter().map(|file| file.token.as_str()));
                return Err(self.failed("replace", &file.name, e));
            }
        }
        for name in remove {
            match fs::remove_file(self.root.join(name)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(self.failed("delete", name, e)),
                _ => {}
            }
        }
        // Only goes if it is empty, that is if no other writer is at work.
        let _ = fs::remove_dir(self.root.join(STAGING));
        sync_folder(&self.root).map_err(|e| self.failed("make durable", ".", e))
    }

    fn discard_sync<'a>(&self, tokens: impl IntoIterator<Item = &'a str>) {
        let staging = self.root.join(STAGING);
        for token in tokens {
            let _ = fs::remove_file(staging.join(token));
        }
        let _ = fs::remove_dir(staging);
    }
}

/// When a file was written, and which file it is.
#[cfg(unix)]
fn version(info: &fs::Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    Some(format!("{}-{}.{}", info.ino(), info.mtime(), info.mtime_nsec()))
}

/// When a file was written.
#[cfg(not(unix))]
fn version(info: &fs::Metadata) -> Option<String> {
    info.modified().ok().map(|time| format!("{time:?}"))
}

/// Reads a regular file; anything else could make the reader wait for ever.
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    fs::read(path)
}

/// Creates a folder with its parents, each durable in its own parent.
fn create_durably(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Ok(()) => folder.parent().map_or(Ok(()), sync_folder),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => {
                create_durably(parent)?;
                create_durably(folder)
            }
            _ => Err(e),
        },
        Err(e) => Err(e),
    }
}

/// Makes the names in a folder durable. Windows has no such call, and needs none: its file systems journal names.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(windows) { Ok(()) } else { File::open(folder)?.sync_all() }
}

#[async_trait]
impl PersistFs for LocalFs {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    /// The folder with all links resolved, as far as it exists. Names that are no Unicode are told apart.
    fn identity(&self) -> String {
        let mut resolved = PathBuf::new();
        for ancestor in self.root.ancestors() {
            if let Ok(real) = ancestor.canonicalize() {
                let rest = self.root.strip_prefix(ancestor).unwrap_or(Path::new(""));
                resolved = if rest.as_os_str().is_empty() { real } else { real.join(rest) };
                break;
            }
        }
        format!("{resolved:?}")
    }

    async fn list(&self) -> Result<Vec<FileInfo>> {
        let this = self.clone();
        unblock(move || this.list_sync()).await.and_then(|done| done).map_err(|e| self.failed("list", ".", e))
    }

    async fn read(&self, name: &str) -> Result<Option<Bytes>> {
        check_name(name)?;
        let path = self.root.join(name);
        match unblock(move || read_file(&path)).await.and_then(|done| done) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.failed("read", name, e)),
        }
    }

    async fn stage(&self, name: &str, content: Content) -> Result<Staged> {
        check_name(name)?;
        let this = self.clone();
        let (token, size, digest) = unblock(move || this.stage_sync(content))
            .await
            .and_then(|done| done)
            .map_err(|e| self.failed("write", name, e))?;
        Ok(Staged { token, name: name.to_owned(), size, digest })
    }

    async fn publish(&self, staged: Vec<Staged>, remove: &[String]) -> Result<()> {
        let (this, remove) = (self.clone(), remove.to_vec());
        unblock(move || this.publish_sync(&staged, &remove)).await.map_err(|e| self.failed("publish in", ".", e))?
    }

    async fn discard(&self, staged: Vec<Staged>) {
        let this = self.clone();
        // What cannot be discarded is litter, not damage.
        let _ = unblock(move || this.discard_sync(staged.iter().map(|file| file.token.as_str()))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use persist::{PersistFile, commit};

    /// A place in a folder of its own, two levels below one that exists.
    #[derive(Debug)]
    struct TempPlace {
        place: LocalFs,
        _dir: tempfile::TempDir,
    }

    impl TempPlace {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            Self { place: LocalFs::new(dir.path().join("a/b")), _dir: dir }
        }
    }

    #[async_trait]
    impl PersistFs for TempPlace {
        fn location(&self) -> String {
            self.place.location()
        }
        async fn list(&self) -> Result<Vec<FileInfo>> {
            self.place.list().await
        }
        async fn read(&self, name: &str) -> Result<Option<Bytes>> {
            self.place.read(name).await
        }
        async fn stage(&self, name: &str, content: Content) -> Result<Staged> {
            self.place.stage(name, content).await
        }
        async fn publish(&self, staged: Vec<Staged>, remove: &[String]) -> Result<()> {
            self.place.publish(staged, remove).await
        }
        async fn discard(&self, staged: Vec<Staged>) {
            self.place.discard(staged).await;
        }
    }

    mod without_a_runtime {
        use super::TempPlace;
        persist::persist_fs_behavior!(pollster::block_on, async { TempPlace::new() });
    }

    mod inside_tokio {
        use super::TempPlace;
        fn block_on<T>(future: impl Future<Output = T>) -> T {
            tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
        }
        persist::persist_fs_behavior!(block_on, async { TempPlace::new() });
    }

    #[test]
    fn nothing_is_left_beside_the_files() {
        pollster::block_on(async {
            let temp = TempPlace::new();
            commit(&temp, vec![PersistFile::new("a.json", Content::from("1"))], &[]).await.unwrap();
            let names: Vec<_> = fs::read_dir(temp.place.root()).unwrap().map(|e| e.unwrap().file_name()).collect();
            assert_eq!(names, ["a.json"]);
            let staged = temp.stage("b.json", Content::from("2")).await.unwrap();
            temp.discard(vec![staged]).await;
            assert!(!temp.place.root().join(STAGING).exists());
        });
    }

    #[test]
    fn folders_and_links_are_not_mistaken_for_files() {
        pollster::block_on(async {
            let temp = TempPlace::new();
            commit(&temp, vec![PersistFile::new("a.json", Content::from("1"))], &[]).await.unwrap();
            fs::create_dir(temp.place.root().join("docstore.json")).unwrap();
            assert_eq!(temp.list().await.unwrap().len(), 1);
            assert!(temp.read("docstore.json").await.is_err());
            let failed = commit(&temp, vec![PersistFile::new("docstore.json", Content::from("1"))], &[]).await;
            assert!(matches!(failed, Err(Error::Failed { operation: "replace", .. })));
        });
    }

    #[test]
    fn a_file_in_the_way_of_the_folder_is_an_error() {
        pollster::block_on(async {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("file"), "x").unwrap();
            let place = LocalFs::new(dir.path().join("file/sub"));
            assert!(place.stage("a.json", Content::from("1")).await.is_err());
        });
    }
}
