//! Reading a place: one generation of it, or what another program has made of it since.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::fs::{digest_of, published_files};
use crate::manifest::FileEntry;
use crate::mechanism::{Mechanism, has};
use crate::name::own_path;
use crate::newest::{Newest, is_foreign, newest, newest_listed};
use crate::progress::Reading;
use crate::{Digest, Error, FileInfo, Folder, Manifest, PersistFs, Progress, Result};

/// How a place is read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// How files are compared with what the newest manifest says of them.
    pub verify: Verify,
    /// How much is read at most.
    pub limits: Limits,
    /// Is called with each part of a file that has been read.
    pub progress: Option<Progress>,
}

/// How files are compared with what the newest manifest says of them. As long as a generation is not published
/// completely, its files are compared by digest in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verify {
    /// By their digests.
    #[default]
    Digest,
    /// By their sizes. Files of another program that happen to have the same sizes are not noticed.
    Size,
    /// Not at all: what is published is taken for what was committed.
    Off,
}

/// How much is read at most, so that a hostile place cannot take all memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The size of a file, in bytes. Default 16 GiB.
    pub file_size: u64,
    /// The number of files of a generation, with those that it took away. Default 10,000.
    pub files: usize,
    /// The size of a manifest, in bytes. Default 8 MiB.
    pub manifest_size: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_size: 16 << 30, files: 10_000, manifest_size: 8 << 20 }
    }
}

/// Something about a place that its reader should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// Another program has written this file since the newest generation; its version is what was read.
    Foreign {
        /// The file.
        name: String,
    },
    /// Another program has added this file, which the newest generation does not know.
    Added {
        /// The file.
        name: String,
    },
    /// Another program has put this file back to what an earlier generation held; that is what was read.
    PutBack {
        /// The file.
        name: String,
    },
    /// Another program has deleted this file.
    Deleted {
        /// The file.
        name: String,
    },
    /// The published file is absent, or an old one that arrived late; the committed one was read from `.colca`.
    FromStaged {
        /// The file.
        name: String,
    },
    /// The place may not be listed: only the files that its newest manifest names were seen.
    NotListed,
}

/// A file that was read.
#[derive(Debug, Clone)]
pub struct ReadFile {
    /// The published file as it was listed; without a version if what was read is not that file.
    pub info: FileInfo,
    /// The content.
    pub bytes: Bytes,
    /// Its digest.
    pub digest: Digest,
}

/// A file whose content a reader has from an earlier look at the location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFile {
    /// The published file as it was listed then; without a version if the content was read elsewhere.
    pub info: FileInfo,
    /// The digest of the content.
    pub digest: Digest,
    /// The commit of the generation that was newest then; `None` where Colca had written nothing.
    pub commit: Option<String>,
}

/// A file in comparison with its content of an earlier look.
#[derive(Debug, Clone)]
pub enum ComparedFile {
    /// The content is the same. With it comes the published file as it is listed now.
    Same(FileInfo),
    /// The content is another one.
    Changed(ReadFile),
}

/// Which version of a file belongs to a snapshot.
enum Choice {
    /// The published one; none if no file is published.
    Published,
    /// The one that was staged.
    Staged(ReadFile),
    /// None, though a file may be published.
    Absent,
}

/// A place at one moment: its newest generation and its listing. Reading never writes.
///
/// All files that it reads are of one generation, except for those that another program has written. When a writer
/// replaces that generation meanwhile, [`read`](Self::read) fails with [`Error::Superseded`], and the reader takes a new
/// snapshot; see [`restarts`].
#[derive(Debug)]
pub struct Snapshot<'a> {
    fs: &'a dyn PersistFs,
    options: ReadOptions,
    newest: Option<Arc<Newest>>,
    listing: BTreeMap<String, FileInfo>,
    findings: Vec<Finding>,
    /// Whether any file that the generation wrote has moved to its name, where that was asked.
    others_have_moved: Option<bool>,
    reading: Reading,
}

/// How often a reader that is overtaken takes a new snapshot before it gives up.
pub const ATTEMPTS: usize = 20;

/// Whether a reader that met this error should take a new snapshot: a writer came between.
pub fn restarts(error: &Error) -> bool {
    has(Mechanism::StartAgain) && matches!(error, Error::Superseded { .. } | Error::Lost { .. })
}

/// Reads some files of one generation, each `None` if there is none of that name; starts again where a writer comes
/// between.
///
/// # Errors
/// As [`Snapshot::read`], after [`ATTEMPTS`] beginnings.
pub async fn read_files(fs: &dyn PersistFs, names: &[&str], options: ReadOptions) -> Result<Vec<Option<ReadFile>>> {
    let once = async || {
        let mut snapshot = Snapshot::take(fs, options.clone()).await?;
        names.iter().for_each(|name| snapshot.expect(name, None));
        let mut files = Vec::with_capacity(names.len());
        for name in names {
            files.push(snapshot.read(name).await?);
        }
        Ok(files)
    };
    let mut attempt = 1;
    loop {
        match once().await {
            Err(e) if restarts(&e) && attempt < ATTEMPTS => attempt += 1,
            done => return done,
        }
    }
}

impl<'a> Snapshot<'a> {
    /// Finds the newest generation of a place and lists its published files.
    ///
    /// # Errors
    /// [`Error::Manifest`], [`Error::TooLarge`], and what the place reports.
    pub async fn take(fs: &'a dyn PersistFs, options: ReadOptions) -> Result<Self> {
        let newest = newest(fs, &options.limits).await?;
        let mut findings = Vec::new();
        let listing = match (published_files(fs).await, &newest) {
            (Ok(files), _) => files,
            (Err(Error::Forbidden { .. }), Some(newest)) => {
                findings.push(Finding::NotListed);
                newest.manifest.files.iter().map(|file| (file.name.clone(), unversioned(file))).collect()
            }
            (Err(e), _) => return Err(e),
        };
        let reading = Reading::new(options.progress.clone());
        Ok(Self { fs, options, newest: newest.map(Arc::new), listing, findings, others_have_moved: None, reading })
    }

    /// The manifest of the generation, if Colca has written the place.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.newest.as_ref().map(|newest| &newest.manifest)
    }

    /// The files that there seem to be, in order of names: the listed ones and those of the generation.
    ///
    /// [`read`](Self::read) may still find one to be absent.
    pub fn files(&self) -> Vec<FileInfo> {
        let mut files = self.listing.clone();
        for entry in self.manifest().into_iter().flat_map(|manifest| &manifest.files) {
            files.entry(entry.name.clone()).or_insert_with(|| unversioned(entry));
        }
        files.into_values().collect()
    }

    /// The published files as they were listed, by name. Where the location may not be listed they are those of the
    /// generation, without versions.
    pub fn listing(&self) -> &BTreeMap<String, FileInfo> {
        &self.listing
    }

    /// Whether the location could be listed. Without a listing only Colca's commits are noticed.
    pub fn is_listed(&self) -> bool {
        !self.findings.contains(&Finding::NotListed)
    }

    /// Whether nothing has changed since an earlier look, as far as the newest generation and the listing show. No content
    /// is read.
    ///
    /// `commit` is that of the generation that was newest then, and `files` are the published files as they were listed;
    /// those with neither version nor time are passed over. Only `relevant` names count.
    pub fn is_unchanged_since(
        &self,
        commit: Option<&str>,
        files: &BTreeMap<String, FileInfo>,
        relevant: impl Fn(&str) -> bool,
    ) -> bool {
        if self.manifest().map(|manifest| &*manifest.commit) != commit {
            return false;
        }
        let mut then = files.values().filter(|file| file.has_version() && relevant(&file.name));
        let mut now = self.listing.values().filter(|file| relevant(&file.name));
        let is_same = |now: &FileInfo, then: &FileInfo| now.name == then.name && now.is_unchanged_since(then);
        let all_same = now.all(|now| then.next().is_some_and(|then| is_same(now, then)));
        // Without a listing there is only the manifest to go by.
        !self.is_listed() || (all_same && then.next().is_none())
    }

    /// What there is to know about what was read so far.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Announces a file that will be read, so that its bytes are in the total of [`ReadOptions::progress`] from the
    /// beginning; not if it is shown to be the one that is known, which [`read_if_changed`](Self::read_if_changed) does not
    /// read.
    pub fn expect(&mut self, name: &str, known: Option<&KnownFile>) {
        let is_read = known.is_none_or(|known| self.shown_unchanged(name, known).is_none());
        if let Some(size) = self.size(name).filter(|_| is_read) {
            self.reading.expect(name, size);
        }
    }

    /// Reads a file, or tells that there is none of that name.
    ///
    /// # Errors
    /// [`Error::Superseded`] or [`Error::Lost`] if a writer came between; [`Error::TooLarge`]; what the place reports.
    pub async fn read(&mut self, name: &str) -> Result<Option<ReadFile>> {
        self.reading.begin(name, self.size(name).unwrap_or_default());
        let published = self.fs.read_with(name, self.options.limits.file_size, &self.reading.meter()).await?;
        let published = published.map(|bytes| self.published(name, bytes));
        let found = published.as_ref().map(|file| (file.info.size, file.digest));
        let read = match self.choose(name, found).await? {
            Choice::Published => published,
            Choice::Staged(file) => Some(file),
            Choice::Absent => None,
        };
        self.reading.end();
        Ok(read)
    }

    /// The size that a file has by the manifest or, if its generation is published, by the listing.
    fn size(&self, name: &str) -> Option<u64> {
        let committed = self.manifest().and_then(|manifest| manifest.file(name)).map(|file| file.size);
        let listed = self.listing.get(name).map(|file| file.size);
        match self.newest.as_ref().is_some_and(|newest| newest.is_published()) {
            true => listed.or(committed),
            false => committed.or(listed),
        }
    }

    /// Compares a file with its content of an earlier look, and reads it only if the listing or the manifest do not show
    /// that it is the same. `None` if there is no file of that name any more.
    ///
    /// What is the same belongs to this snapshot exactly as what [`read`](Self::read) returns.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn read_if_changed(&mut self, name: &str, known: &KnownFile) -> Result<Option<ComparedFile>> {
        if let Some(listed) = self.shown_unchanged(name, known) {
            match self.choose(name, Some((listed.size, known.digest))).await? {
                Choice::Published => return Ok(Some(ComparedFile::Same(listed))),
                Choice::Staged(file) => return Ok(Some(compare(file, known))),
                Choice::Absent => return Ok(None),
            }
        }
        Ok(self.read(name).await?.map(|file| compare(file, known)))
    }

    /// The published file as it is listed, if that shows that its content is the known one.
    ///
    /// A version alone is trusted only while no other generation has been committed: the clock of a file system goes in
    /// steps, and inodes are used again. After a commit the manifest must have the digest, too.
    fn shown_unchanged(&self, name: &str, known: &KnownFile) -> Option<FileInfo> {
        let listed = self.listing.get(name)?;
        let manifest = self.manifest();
        let is_committed =
            manifest.and_then(|manifest| manifest.file(name)).map(|file| file.digest) == Some(known.digest);
        let is_shown = match self.is_listed() {
            true => {
                let same_generation = manifest.map(|manifest| &manifest.commit) == known.commit.as_ref();
                (is_committed || same_generation) && name == known.info.name && listed.is_unchanged_since(&known.info)
            }
            // Nothing else is there to go by.
            false => is_committed,
        };
        (is_shown || !has(Mechanism::Unchanged)).then(|| listed.clone())
    }

    /// Decides which version of a file belongs to this snapshot, given the size and the digest of the published one.
    async fn choose(&mut self, name: &str, published: Option<(u64, Digest)>) -> Result<Choice> {
        let Some(newest) = self.newest.clone() else {
            // The first commit may be under way, and this file one of its own.
            return match newest_listed(self.fs).await? {
                Some(_) => Err(self.superseded()),
                None => Ok(Choice::Published),
            };
        };
        let (manifest, is_published) = (&newest.manifest, newest.is_published());
        let found = published.map(|(_, digest)| digest);
        let Some(entry) = manifest.file(name) else {
            return match found {
                Some(digest) => self.choose_unlisted(&newest, name, digest).await,
                // Was it there a moment ago, and the next generation has removed it?
                None if self.listing.contains_key(name) => self.check_unchanged(&newest).await.map(|()| Choice::Absent),
                None => Ok(Choice::Absent),
            };
        };
        let as_committed = published.is_some_and(|(size, digest)| match self.options.verify {
            Verify::Size if is_published => size == entry.size,
            Verify::Off if is_published => true,
            _ => digest == entry.digest || !has(Mechanism::Digests),
        });
        if as_committed {
            return Ok(Choice::Published);
        }
        let staged = self.staged(entry).await?;
        let is_foreign = self.is_foreign(manifest, name, found).await?;
        self.check_unchanged(&newest).await?;
        if is_foreign {
            self.findings.push(Finding::Foreign { name: name.to_owned() });
            return Ok(Choice::Published);
        }
        if !is_published && manifest.written().any(|(written, _)| written.name == name) {
            let lost =
                || Error::Lost { place: self.fs.location(), name: name.to_owned(), generation: manifest.generation };
            return staged.ok_or_else(lost).map(Choice::Staged);
        }
        // The file was published, and since then something has put an old one there or taken it away: a late step of a
        // writer of ours or a power failure, where that can be, or another program.
        let name = name.to_owned();
        match staged {
            Some(staged) if found.is_none() || manifest.late_steps || self.others_have_moved(&newest).await? => {
                self.findings.push(Finding::FromStaged { name });
                Ok(Choice::Staged(staged))
            }
            _ => {
                self.findings.push(if found.is_some() { Finding::PutBack { name } } else { Finding::Deleted { name } });
                Ok(Choice::Published)
            }
        }
    }

    /// As [`choose`](Self::choose), for a file that the generation does not name: another program's, or one that is going
    /// or has come back.
    async fn choose_unlisted(&mut self, newest: &Newest, name: &str, found: Digest) -> Result<Choice> {
        let manifest = &newest.manifest;
        let is_foreign = self.is_foreign(manifest, name, Some(found)).await?;
        self.check_unchanged(newest).await?;
        let name = name.to_owned();
        if is_foreign || !has(Mechanism::Removed) {
            self.findings.push(Finding::Added { name });
            return Ok(Choice::Published);
        }
        if newest.is_published() && !manifest.late_steps {
            self.findings.push(Finding::PutBack { name });
            return Ok(Choice::Published);
        }
        Ok(Choice::Absent)
    }

    fn published(&self, name: &str, bytes: Bytes) -> ReadFile {
        let size = bytes.len() as u64;
        let listed = self.listing.get(name).filter(|info| info.size == size);
        let unlisted = || FileInfo { name: name.to_owned(), size, version: None, modified: None };
        ReadFile { info: listed.cloned().unwrap_or_else(unlisted), digest: Digest::of(&bytes), bytes }
    }

    async fn staged(&self, entry: &FileEntry) -> Result<Option<ReadFile>> {
        let Some(staged) = entry.staged.as_ref().filter(|_| has(Mechanism::ReadStaged)) else { return Ok(None) };
        let (path, limit) = (own_path(staged), self.options.limits.file_size);
        let Some(bytes) = self.fs.read_with(&path, limit, &self.reading.meter()).await? else { return Ok(None) };
        let file = ReadFile { info: unversioned(entry), digest: Digest::of(&bytes), bytes };
        Ok(Some(file).filter(|file| file.digest == entry.digest))
    }

    async fn is_foreign(&self, manifest: &Manifest, name: &str, found: Option<Digest>) -> Result<bool> {
        is_foreign(self.fs, manifest, name, found, &self.options.limits).await
    }

    /// Whether another file that this generation wrote has moved to its name. Then publishing moves files here, and one
    /// that is still staged beside it was moved back by a power failure. Where publishing copies, all stay staged, and
    /// other files say nothing: another program may have left them alone, or have written what they held.
    async fn others_have_moved(&mut self, newest: &Newest) -> Result<bool> {
        if let Some(known) = self.others_have_moved {
            return Ok(known);
        }
        let own = match self.fs.list(Folder::Own).await {
            Err(Error::Forbidden { .. }) => return Ok(false),
            own => own?,
        };
        let is_staged = |staged: &str| own.iter().any(|file| file.name == staged);
        let mut found = false;
        for (other, _) in newest.manifest.written().filter(|(_, staged)| !is_staged(staged)) {
            if digest_of(self.fs, &other.name, &self.options.limits).await? == Some(other.digest) {
                found = true;
                break;
            }
        }
        self.others_have_moved = Some(found);
        Ok(found)
    }

    /// A decision about another program is only made while the generation is what it was.
    async fn check_unchanged(&self, seen: &Newest) -> Result<()> {
        match seen.is_unchanged(self.fs, &self.options.limits).await? {
            true => Ok(()),
            false => Err(self.superseded()),
        }
    }

    fn superseded(&self) -> Error {
        Error::Superseded { place: self.fs.location() }
    }
}

fn compare(file: ReadFile, known: &KnownFile) -> ComparedFile {
    match file.digest == known.digest {
        true => ComparedFile::Same(file.info),
        false => ComparedFile::Changed(file),
    }
}

/// What a manifest says of a file, without a version.
fn unversioned(entry: &FileEntry) -> FileInfo {
    FileInfo { name: entry.name.clone(), size: entry.size, version: None, modified: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryFs;
    use crate::manifest::PARSED;
    use pollster::block_on;

    /// Each file that another program has touched makes a reader look at the manifest again.
    #[test]
    fn a_manifest_that_is_unchanged_is_parsed_once() {
        const COUNT: usize = 100;
        let entry = |n| format!(r#"{{"name": "{n}.json", "size": 1, "digest": "{}"}}"#, Digest::of(b"x"));
        let entries: Vec<String> = (0..COUNT).map(entry).collect();
        let manifest = format!(
            r#"{{"colca": 1, "generation": 1, "commit": "c", "parent": null, "files": [{}]}}"#,
            entries.join(",")
        );
        let place = MemoryFs::new();
        place.put(".colca/1.json", manifest);
        place.put(".colca/1.published", "");
        PARSED.set(0);
        block_on(async {
            let mut snapshot = Snapshot::take(&place, ReadOptions::default()).await.unwrap();
            for file in snapshot.files() {
                assert!(snapshot.read(&file.name).await.unwrap().is_none());
            }
            assert_eq!(snapshot.findings().len(), COUNT);
        });
        assert_eq!(PARSED.get(), 1);
    }
}
