mod durable;
mod lock;
mod names;
mod temporary;

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use persist::{
    Abilities, Content, Durability, Error, Expected, FileInfo, Folder, Lock, Meter, OWN_FOLDER, PersistFs, Publication,
    Result, Stored,
};

use crate::blocking::unblock;
use durable::{create_durably, sync_folder};
use names::{check_name, check_own_path, check_path};
use temporary::Temporary;

/// A folder on a local disk.
///
/// Writing creates the folder and its parents. Every file gets its name as a whole: it is written under a temporary
/// name in `.colca`, made durable (fsync), and renamed or linked. A published file is only ever replaced by a rename,
/// and keeps its permissions, which the new one has while it is staged, too; a symbolic link under its name is replaced,
/// not followed. No file is memory-mapped (LlamaIndex truncates them in place), and a published name is never a second
/// link to a file of ours (it would write into both).
///
/// What lies in `.colca` is not trusted: nothing is written through links there, or where `.colca` is one itself.
///
/// Writers keep each other out with an advisory lock on `.colca/lock`, of the operating system's: it ends with the
/// process. Readers do not touch it, nor anything else.
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

    fn own(&self) -> PathBuf {
        self.root.join(OWN_FOLDER)
    }

    /// Makes a blocking call where it does no harm, and tells what failed.
    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        name: &str,
        call: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        let done = unblock(move || call(&this)).await.and_then(|done| done);
        done.map_err(|e| Error::failed(self.location(), operation, name, e))
    }

    fn list_sync(&self, folder: Folder) -> io::Result<Vec<FileInfo>> {
        let folder = match folder {
            Folder::Published => self.root.clone(),
            Folder::Own => self.own(),
        };
        let entries = match fs::read_dir(folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            // A name that is not Unicode cannot be one of ours.
            let Ok(name) = entry.file_name().into_string() else { continue };
            match fs::metadata(entry.path()) {
                Ok(info) if info.is_file() => files.push(file_info(name, &info)),
                Ok(_) => {}
                // It has vanished meanwhile.
                Err(e) if e.kind() == io::ErrorKind::NotFound && entry.path().symlink_metadata().is_err() => {}
                // A link to nothing, or nothing that may be looked at, is listed, so that reading it fails.
                Err(_) => files.push(FileInfo { name, size: 0, version: None, modified: None }),
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    fn write_sync(
        &self,
        path: &str,
        like: Option<Permissions>,
        content: Content,
        durability: Durability,
        meter: &Meter,
    ) -> io::Result<Stored> {
        let (temporary, file) = Temporary::create(&self.own(), like.as_ref())?;
        let mut file = BufWriter::with_capacity(1 << 16, file);
        let (size, digest) = content.write_to(&mut Metered { out: &mut file, meter, uncounted: 0 })?;
        if durability == Durability::Full {
            file.get_ref().sync_all()?;
        }
        // The name might belong to a file that others read, such as the hint: they must not see half of it. One rename
        // more costs nothing beside the fsync.
        temporary.rename(&self.root.join(path))?;
        Ok(Stored { size, digest })
    }

    fn create_sync(&self, path: &str, content: &[u8], durability: Durability) -> io::Result<bool> {
        let (temporary, mut file) = Temporary::create(&self.own(), None)?;
        file.write_all(content)?;
        // A file without content, such as a marker, is nothing but its name.
        if durability == Durability::Full && !content.is_empty() {
            file.sync_all()?;
        }
        let made = temporary.rename_if_absent(&self.root.join(path))?;
        if made && durability == Durability::Full {
            sync_folder(&self.own())?;
        }
        Ok(made)
    }

    /// Whether a file that is there is not made again.
    fn can_create(&self) -> io::Result<bool> {
        let path = format!("{OWN_FOLDER}/{}", temporary::unique_name());
        let make = || self.create_sync(&path, b"", Durability::Relaxed);
        let twice = make().and_then(|first| Ok((first, make()?)));
        let _ = fs::remove_file(self.root.join(&path));
        match twice {
            Ok(made) => Ok(made == (true, false)),
            Err(e) if e.kind() == io::ErrorKind::Unsupported => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn publish_sync(&self, staged: &str, name: &str, expected: &Expected) -> io::Result<Publication> {
        let (from, to) = (self.root.join(staged), self.root.join(name));
        // Somebody else's file must not become readable, or published.
        match fs::symlink_metadata(&from) {
            Ok(info) if info.is_file() => {}
            Ok(_) => return Err(io::Error::other(format!("{staged} is no regular file; delete it"))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Publication::NoSource),
            Err(e) => return Err(e),
        }
        let found = look_at(&to)?;
        if !is_as_expected(found.as_ref(), expected) {
            return Ok(Publication::Unexpected);
        }
        // The new file may be read by whoever might read the old one. Where that cannot be set it is as any new file.
        if let Some(found) = found.filter(|found| !found.is_symlink()) {
            let _ = fs::set_permissions(&from, found.permissions());
        }
        match fs::rename(from, to) {
            Ok(()) => Ok(Publication::Done),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Publication::NoSource),
            Err(e) => Err(e),
        }
    }
}

/// Whether files may be made and replaced in a folder, as far as that can be known without a trace.
#[cfg(unix)]
fn may_write(folder: &Path) -> io::Result<()> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    use rustix::io::Errno;
    match accessat(CWD, folder, Access::WRITE_OK, AtFlags::EACCESS) {
        Err(e @ (Errno::ACCESS | Errno::ROFS)) => Err(e.into()),
        // Not every system can tell; then it shows in the end.
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn may_write(_: &Path) -> io::Result<()> {
    Ok(())
}

fn is_as_expected(found: Option<&Metadata>, expected: &Expected) -> bool {
    match expected {
        Expected::Anything => true,
        Expected::Absent => found.is_none(),
        Expected::Version(version) => found.and_then(self::version).as_ref() == Some(version),
    }
}

/// What has this name: a file, or a link to nothing as itself. Anything else is in the way.
fn look_at(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::metadata(path).or_else(|_| fs::symlink_metadata(path)) {
        Ok(info) if info.is_file() || info.is_symlink() => Ok(Some(info)),
        Ok(_) => Err(io::Error::other("something that is no file has that name")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn file_info(name: String, info: &Metadata) -> FileInfo {
    FileInfo { name, size: info.len(), version: version(info), modified: info.modified().ok() }
}

/// Which file it is, its size, and when it was written.
#[cfg(unix)]
fn version(info: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    Some(format!("{}-{}-{}.{}", info.ino(), info.len(), info.mtime(), info.mtime_nsec()))
}

/// The size of a file, and when it was written. What tells files apart is not known to the standard library here.
#[cfg(not(unix))]
fn version(info: &Metadata) -> Option<String> {
    info.modified().ok().map(|time| format!("{}-{time:?}", info.len()))
}

/// How many bytes are read or written between two reports of them.
const COUNTED_AT_ONCE: usize = 1 << 20;

/// Counts what is written.
struct Metered<'a> {
    out: &'a mut dyn Write,
    meter: &'a Meter,
    uncounted: usize,
}

impl Metered<'_> {
    fn count(&mut self) {
        self.meter.add(std::mem::take(&mut self.uncounted) as u64);
    }
}

impl Write for Metered<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.uncounted += written;
        if self.uncounted >= COUNTED_AT_ONCE {
            self.count();
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.count();
        self.out.flush()
    }
}

/// Reads a file of at most `limit` bytes; a larger one gives its size.
///
/// A writer that replaces the file by a rename does no harm. One that writes into it, as LlamaIndex does, changes its
/// size or time.
fn read_sync(path: &Path, limit: u64, meter: &Meter) -> io::Result<Result<Vec<u8>, u64>> {
    // Opening anything but a regular file could wait for ever.
    match fs::metadata(path) {
        Ok(info) if info.is_file() => {}
        Ok(_) => return Err(io::Error::other("it is no regular file")),
        // It might lead to a disk that is missing. What would be read as absent would be lost.
        Err(e) if e.kind() == io::ErrorKind::NotFound && path.is_symlink() => {
            return Err(io::Error::other("it is a symbolic link to nothing"));
        }
        Err(e) => return Err(e),
    }
    let file = File::open(path)?;
    let before = file.metadata()?;
    if before.len() > limit {
        return Ok(Err(before.len()));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(before.len()).unwrap_or(usize::MAX))?;
    // One byte more tells whether the file has grown.
    let mut rest = (&file).take(before.len().saturating_add(1));
    loop {
        let read = rest.by_ref().take(COUNTED_AT_ONCE as u64).read_to_end(&mut bytes)?;
        meter.add(read as u64);
        if read == 0 {
            break;
        }
    }
    let after = file.metadata()?;
    if bytes.len() as u64 != before.len() || version(&before) != version(&after) {
        return Err(io::Error::other("it changed while it was read"));
    }
    Ok(Ok(bytes))
}

#[async_trait]
impl PersistFs for LocalFs {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    /// The folder with all links resolved, as far as it exists; the rest will be folders when it does. Names that are no
    /// Unicode are told apart.
    fn identity(&self) -> String {
        let mut resolved = PathBuf::new();
        for ancestor in self.root.ancestors() {
            if let Ok(real) = ancestor.canonicalize() {
                resolved = real;
                for part in self.root.strip_prefix(ancestor).unwrap_or(Path::new("")).components() {
                    match part {
                        Component::ParentDir => drop(resolved.pop()),
                        part => resolved.push(part),
                    }
                }
                break;
            }
        }
        format!("{resolved:?}")
    }

    /// Publishing moves, and checks what it replaces just before; nothing on a disk can keep another program from
    /// slipping in between. Whether files are made only if they are absent is tried: not all file systems can. A folder
    /// in which nothing can be published is an error.
    async fn abilities(&self) -> Result<Abilities> {
        let create = self.run("write to", OWN_FOLDER, Self::can_create).await?;
        self.run("write to", ".", |this| may_write(&this.root)).await?;
        Ok(Abilities { create, conditional_publish: true, moves: true })
    }

    async fn list(&self, folder: Folder) -> Result<Vec<FileInfo>> {
        let this = self.clone();
        let listed = unblock(move || this.list_sync(folder)).await.and_then(|done| done);
        listed.map_err(|e| match e.kind() {
            io::ErrorKind::PermissionDenied => {
                let place = if folder == Folder::Own { &self.own() } else { &self.root };
                Error::Forbidden { place: place.display().to_string(), source: e.into() }
            }
            _ => Error::failed(self.location(), "list", if folder == Folder::Own { OWN_FOLDER } else { "." }, e),
        })
    }

    async fn read(&self, path: &str, limit: u64) -> Result<Option<Bytes>> {
        self.read_with(path, limit, &Meter::default()).await
    }

    async fn read_with(&self, path: &str, limit: u64, meter: &Meter) -> Result<Option<Bytes>> {
        check_path(path)?;
        let (file, meter) = (self.root.join(path), meter.clone());
        match unblock(move || read_sync(&file, limit, &meter)).await.and_then(|done| done) {
            Ok(Ok(bytes)) => Ok(Some(bytes.into())),
            Ok(Err(size)) => Err(Error::TooLarge { place: self.location(), name: path.to_owned(), size, limit }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::failed(self.location(), "read", path, e)),
        }
    }

    async fn write(&self, path: &str, content: Content, durability: Durability) -> Result<Stored> {
        check_own_path(path)?;
        let to = path.to_owned();
        self.run("write", path, move |this| this.write_sync(&to, None, content, durability, &Meter::default())).await
    }

    async fn stage(
        &self,
        path: &str,
        name: &str,
        content: Content,
        durability: Durability,
        meter: &Meter,
    ) -> Result<Stored> {
        check_own_path(path)?;
        check_name(name)?;
        let (to, published, meter) = (path.to_owned(), self.root.join(name), meter.clone());
        self.run("write", name, move |this| {
            // What is in the way is better told before the commit.
            let published = look_at(&published)?.filter(Metadata::is_file);
            this.write_sync(&to, published.map(|info| info.permissions()), content, durability, &meter)
        })
        .await
    }

    async fn create(&self, path: &str, content: Bytes, durability: Durability) -> Result<bool> {
        check_own_path(path)?;
        let to = path.to_owned();
        self.run("make", path, move |this| this.create_sync(&to, &content, durability)).await
    }

    async fn publish(&self, staged: &str, name: &str, expected: &Expected) -> Result<Publication> {
        check_own_path(staged)?;
        check_name(name)?;
        let (from, to, expected) = (staged.to_owned(), name.to_owned(), expected.clone());
        self.run("replace", name, move |this| this.publish_sync(&from, &to, &expected)).await
    }

    async fn delete(&self, path: &str) -> Result<()> {
        check_path(path)?;
        let file = self.root.join(path);
        self.run("delete", path, move |_| match fs::remove_file(file) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        })
        .await
    }

    /// Looks and then deletes, as [`publish`](PersistFs::publish) looks and then renames.
    async fn unpublish(&self, name: &str, expected: &Expected) -> Result<Publication> {
        check_name(name)?;
        let (file, expected) = (self.root.join(name), expected.clone());
        self.run("delete", name, move |_| {
            let found = look_at(&file)?;
            if found.is_none() {
                return Ok(Publication::Done);
            }
            if !is_as_expected(found.as_ref(), &expected) {
                return Ok(Publication::Unexpected);
            }
            match fs::remove_file(file) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                _ => Ok(Publication::Done),
            }
        })
        .await
    }

    async fn sync(&self) -> Result<()> {
        // The published names first: until they are durable, the staged ones must not be gone.
        self.run("make durable", ".", |this| {
            for folder in [&this.root, &this.own()] {
                match sync_folder(folder) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    done => done?,
                }
            }
            Ok(())
        })
        .await
    }

    /// The lock is held by an open file, so it ends with the process. Where the file system has none, nothing happens.
    async fn lock(&self, wait: Duration) -> Result<Lock> {
        let held = self.run("lock", OWN_FOLDER, move |this| lock::acquire(&this.own(), wait)).await?;
        held.map_err(|holder| Error::Locked { place: self.location(), holder })
    }
}

#[cfg(test)]
mod tests;
