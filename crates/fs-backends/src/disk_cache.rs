use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use persist::Digest;
use tempfile::NamedTempFile;

use crate::blocking::unblock;

/// The folder of the contents, each named by its digest, and that of what is known of files.
const CONTENTS: &str = "contents";
const FILES: &str = "files";

/// For how long it stays known which version of a file was seen, if nobody asks for it.
const FORGOTTEN: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A folder on a local disk that keeps what was read from object stores: contents by their digests, and for each file
/// which version of it has which content.
///
/// A file that is kept is asked for on the condition that it is another version; an answer that it is not costs one
/// request without content. So what is read is always what the service has. Contents are compared with their digests
/// when they are read: a damaged one is fetched again. Several processes may share the folder; contents that have not
/// been used for longest are deleted when it grows beyond its bound. What cannot be written there is not kept.
///
/// The folder holds copies of what is stored: keep it as private as the bucket. On Unix it is made for its owner only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskCache(Arc<Settings>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Settings {
    root: PathBuf,
    bytes_max: u64,
}

/// A file that is kept.
#[derive(Debug)]
pub(crate) struct Cached {
    pub(crate) etag: String,
    pub(crate) size: u64,
    pub(crate) bytes: Bytes,
}

impl DiskCache {
    /// A cache of 4 GiB in this folder. Nothing is touched yet; the folder is made when something is kept.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Settings { root: root.into(), bytes_max: 4 << 30 }))
    }

    /// The same with another bound, in bytes of contents. While one is written it may be exceeded by its size.
    #[must_use]
    pub fn max_bytes(self, bytes: u64) -> Self {
        Self(Arc::new(Settings { bytes_max: bytes, ..(*self.0).clone() }))
    }

    /// The bound, in bytes.
    pub fn bytes(&self) -> u64 {
        self.0.bytes_max
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// The content that a file of a location was last seen to have, if it is kept.
    pub(crate) async fn find(&self, location: &str, path: &str) -> Option<Cached> {
        let (cache, note) = (self.clone(), self.note(location, path)?);
        unblock(move || cache.read(&note).ok()).await.ok()?
    }

    /// Keeps what a file of a location has in this version.
    pub(crate) async fn keep(&self, location: &str, path: &str, etag: &str, bytes: &Bytes) {
        let Some(note) = self.note(location, path) else { return };
        let (cache, etag, bytes) = (self.clone(), etag.to_owned(), bytes.clone());
        let _ = unblock(move || cache.write(&note, &etag, &bytes)).await;
    }

    /// Where it is noted what is known of a file; nowhere for files that change with every commit and are small.
    fn note(&self, location: &str, path: &str) -> Option<PathBuf> {
        if path.starts_with(persist::OWN_FOLDER) && !path.ends_with(".staged") {
            return None;
        }
        let name = Digest::of(format!("{location}\n{path}").as_bytes());
        Some(self.0.root.join(FILES).join(name.to_string()))
    }

    fn content(&self, digest: &str) -> PathBuf {
        self.0.root.join(CONTENTS).join(digest)
    }

    fn read(&self, note: &Path) -> io::Result<Cached> {
        let text = fs::read_to_string(note)?;
        touch(note);
        let (digest, etag) = text.split_once('\n').ok_or(io::ErrorKind::InvalidData)?;
        let digest: Digest = digest.parse().map_err(|_| io::ErrorKind::InvalidData)?;
        let path = self.content(&digest.to_string());
        let bytes = Bytes::from(fs::read(&path)?);
        if Digest::of(&bytes) != digest {
            fs::remove_file(path)?;
            return Err(io::ErrorKind::InvalidData.into());
        }
        touch(&path);
        Ok(Cached { etag: etag.to_owned(), size: bytes.len() as u64, bytes })
    }

    fn write(&self, note: &Path, etag: &str, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() as u64 > self.0.bytes_max {
            return Ok(());
        }
        for folder in [CONTENTS, FILES] {
            make_private(&self.0.root.join(folder))?;
        }
        let digest = Digest::of(bytes).to_string();
        let content = self.content(&digest);
        match content.exists() {
            true => touch(&content),
            false => self.write_whole(&content, bytes)?,
        }
        self.write_whole(note, format!("{digest}\n{etag}").as_bytes())?;
        self.shrink()
    }

    /// Writes a file that others see whole or not at all.
    fn write_whole(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        // Among the contents, so that one that a killed process leaves there is counted and deleted as they are.
        let mut file = NamedTempFile::new_in(self.0.root.join(CONTENTS))?;
        file.write_all(bytes)?;
        file.persist(path).map(|_| ()).map_err(|e| e.error)
    }

    /// Deletes what has not been used for longest until the bound is kept.
    fn shrink(&self) -> io::Result<()> {
        let mut contents = Vec::new();
        for entry in fs::read_dir(self.0.root.join(CONTENTS))? {
            // What another process has just deleted is gone.
            if let Ok(entry) = entry
                && let Ok(info) = entry.metadata()
            {
                contents.push((info.modified()?, info.len(), entry.path()));
            }
        }
        let mut bytes: u64 = contents.iter().map(|(_, size, _)| size).sum();
        contents.sort();
        for (_, size, path) in contents {
            if bytes <= self.0.bytes_max {
                break;
            }
            if fs::remove_file(path).is_ok() {
                bytes -= size;
            }
        }
        self.forget_old_files()
    }

    /// Deletes what is known of files that nobody has asked for in a month: staged ones never come again.
    fn forget_old_files(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.0.root.join(FILES))? {
            if let Ok(entry) = entry
                && let Ok(modified) = entry.metadata().and_then(|info| info.modified())
                && modified.elapsed().is_ok_and(|age| age > FORGOTTEN)
            {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }
}

/// Marks a file as used now, so that it stays.
fn touch(path: &Path) {
    let _ = File::options().append(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

#[cfg(unix)]
fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_private(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use pollster::block_on;

    use super::*;

    const LOCATION: &str = "http://host/bucket/prefix";

    fn keep(cache: &DiskCache, path: &str, etag: &str, content: &str) {
        block_on(cache.keep(LOCATION, path, etag, &Bytes::copy_from_slice(content.as_bytes())));
    }

    fn check(cache: &DiskCache, path: &str, expected: Option<(&str, &str)>) {
        let found = block_on(cache.find(LOCATION, path));
        let found = found.as_ref().map(|found| (found.etag.as_str(), std::str::from_utf8(&found.bytes).unwrap()));
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn contents_are_kept_by_digest_and_files_by_version() {
        let dir = tempfile::tempdir().unwrap();
        let cache = DiskCache::new(dir.path().join("cache"));
        check(&cache, "a", None);
        keep(&cache, "a", "\"1\"", "same");
        keep(&cache, "b", "\"2\"", "same");
        check(&cache, "a", Some(("\"1\"", "same")));
        check(&cache, "b", Some(("\"2\"", "same")));
        assert_eq!(fs::read_dir(cache.root().join(CONTENTS)).unwrap().count(), 1);
        let note = cache.note(LOCATION, "b").unwrap();
        let long_ago = SystemTime::now() - 2 * FORGOTTEN;
        File::options().append(true).open(&note).unwrap().set_modified(long_ago).unwrap();
        keep(&cache, "a", "\"3\"", "other");
        check(&cache, "a", Some(("\"3\"", "other")));
        check(&cache, "b", None);
        assert!(!note.exists(), "nobody has asked for it in a month");
        assert!(block_on(cache.find("http://other/bucket/prefix", "a")).is_none());
    }

    #[test]
    fn manifests_are_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let cache = DiskCache::new(dir.path());
        keep(&cache, ".colca/1.json", "\"1\"", "manifest");
        keep(&cache, ".colca/c-0.staged", "\"1\"", "staged");
        check(&cache, ".colca/1.json", None);
        check(&cache, ".colca/c-0.staged", Some(("\"1\"", "staged")));
    }

    #[test]
    fn a_damaged_content_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let cache = DiskCache::new(dir.path());
        keep(&cache, "a", "\"1\"", "content");
        let content = fs::read_dir(dir.path().join(CONTENTS)).unwrap().next().unwrap().unwrap().path();
        fs::write(content, "damaged").unwrap();
        check(&cache, "a", None);
        keep(&cache, "a", "\"1\"", "content");
        check(&cache, "a", Some(("\"1\"", "content")));
    }

    #[test]
    fn what_was_not_used_for_longest_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let cache = DiskCache::new(dir.path()).max_bytes(10);
        keep(&cache, "a", "\"1\"", "aaaa");
        thread::sleep(Duration::from_millis(20));
        keep(&cache, "b", "\"1\"", "bbbb");
        thread::sleep(Duration::from_millis(20));
        check(&cache, "a", Some(("\"1\"", "aaaa")));
        keep(&cache, "c", "\"1\"", "cccc");
        check(&cache, "a", Some(("\"1\"", "aaaa")));
        check(&cache, "b", None);
        check(&cache, "c", Some(("\"1\"", "cccc")));
        keep(&cache, "d", "\"1\"", "more than ten bytes");
        check(&cache, "d", None);
        check(&cache, "c", Some(("\"1\"", "cccc")));
    }

    #[test]
    fn threads_share_it() {
        let dir = tempfile::tempdir().unwrap();
        let cache = DiskCache::new(dir.path()).max_bytes(300);
        thread::scope(|scope| {
            for thread in 0..4 {
                let cache = &cache;
                scope.spawn(move || {
                    for round in 0..50 {
                        let content = format!("{round}").repeat(50);
                        keep(cache, "shared", &format!("\"{round}\""), &content);
                        if let Some(found) = block_on(cache.find(LOCATION, "shared")) {
                            let etag = found.etag.trim_matches('"').repeat(50);
                            assert_eq!(found.bytes, etag.as_bytes(), "thread {thread}");
                        }
                    }
                });
            }
        });
    }
}
