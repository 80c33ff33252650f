//! Writing a place: one commit.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::collect::collect;
use crate::manifest::{FileEntry, RemovedEntry, manifest_name, read_manifest, staged_name};
use crate::mechanism::{Mechanism, has};
use crate::name::{check_name, own_path};
use crate::newest::{Newest, newest, newest_listed};
use crate::publishing::{Outcome, Publishing};
use crate::{
    Abilities, Digest, Durability, Error, FileInfo, Folder, Limits, Lock, Manifest, PersistFiles, PersistFs, Result,
};

/// How a commit is made.
#[derive(Debug, Clone)]
pub struct CommitOptions {
    /// What tells this commit from all others: letters, digits and `-`. Default: a random UUID.
    pub commit: String,
    /// Whether what was written survives a power failure. Default: it does.
    pub durability: Durability,
    /// How many generations are kept, the new one included: their manifests, and where publishing copies their files
    /// too. At least 1. Default 3.
    pub keep_generations: u64,
    /// How old at least, in comparison with the new generation, is what is deleted of older ones. Default: an hour.
    pub min_age: Duration,
    /// Whether staged files are read back and compared before the commit. Default: no.
    pub verify: bool,
    /// How long to wait for another writer. Default: 10 seconds.
    pub lock_wait: Duration,
    /// Whether to write to a place that cannot keep two writers apart. Default: no.
    pub allow_unconditional: bool,
    /// Whether to go on where a file of the newest generation is lost, and it cannot be published. Default: no.
    pub replace_lost: bool,
    /// How much is read at most.
    pub limits: Limits,
    /// Is told of each step.
    pub progress: Option<Progress>,
}

impl Default for CommitOptions {
    fn default() -> Self {
        Self {
            commit: uuid::Uuid::new_v4().to_string(),
            durability: Durability::Full,
            keep_generations: 3,
            min_age: Duration::from_secs(60 * 60),
            verify: false,
            lock_wait: Duration::from_secs(10),
            allow_unconditional: false,
            replace_lost: false,
            limits: Limits::default(),
            progress: None,
        }
    }
}

/// Is told of the steps of a commit while it is made.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(&Step<'_>) + Send + Sync>);

/// A step of a commit that is about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step<'a> {
    /// A file is written under `.colca`.
    Stage {
        /// Its name.
        name: &'a str,
        /// How many files were staged before it.
        done: usize,
        /// How many there are.
        total: usize,
    },
    /// The manifest is made: the one moment at which the place changes.
    Commit {
        /// The new generation.
        generation: u64,
    },
    /// A file gets its name.
    Publish {
        /// Its name.
        name: &'a str,
        /// How many files were published before it.
        done: usize,
        /// How many there are.
        total: usize,
    },
    /// What is old is deleted.
    Collect,
}

impl Progress {
    /// Calls `tell` before each step. It must not block for long.
    pub fn new(tell: impl Fn(&Step<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

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
}

/// A writer that has looked at a place, and keeps other writers out where the place has a lock.
#[derive(Debug)]
pub struct Writer<'a> {
    fs: &'a dyn PersistFs,
    options: CommitOptions,
    newest: Option<Newest>,
    lock: Lock,
}

impl<'a> Writer<'a> {
    /// Waits for the place's lock and finds its newest generation.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Manifest`], and what the place reports.
    pub async fn begin(fs: &'a dyn PersistFs, options: CommitOptions) -> Result<Self> {
        let lock = fs.lock(options.lock_wait).await?;
        let newest = newest(fs, &options.limits).await?;
        Ok(Self { fs, options, newest, lock })
    }

    /// The place in words, for messages.
    pub fn location(&self) -> String {
        self.fs.location()
    }

    /// The newest generation of the place, if Colca has written it.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.newest.as_ref().map(|newest| &newest.manifest)
    }

    /// Finishes the publication of the newest generation, if its writer did not, and lists the published files.
    ///
    /// # Errors
    /// [`Error::Unconditional`]; [`Error::Superseded`] if another writer is at work; [`Error::Lost`]; what the place
    /// reports.
    pub async fn prepare(self) -> Result<PreparedWriter<'a>> {
        let Self { fs, options, newest, lock } = self;
        let abilities = fs.abilities().await?;
        if !abilities.create && !options.allow_unconditional {
            return Err(Error::Unconditional { place: fs.location() });
        }
        if let Some(newest) = newest.as_ref().filter(|newest| !newest.published && has(Mechanism::RollForward)) {
            let publishing = Publishing {
                fs,
                manifest: &newest.manifest,
                listing: list(fs).await?,
                moves: abilities.moves,
                conditional: abilities.conditional_publish,
                trusted: false,
                limits: options.limits,
                durability: options.durability,
            };
            match publishing.run(&mut |_| {}).await {
                Ok(Outcome { superseded: true, .. }) => return Err(Error::Superseded { place: fs.location() }),
                Ok(_) => {}
                Err(Error::Lost { .. }) if options.replace_lost => {}
                Err(e) => return Err(e),
            }
        }
        let listing = list(fs).await?;
        let previous = newest.map(|newest| newest.manifest);
        Ok(PreparedWriter { fs, options, abilities, previous, listing, _lock: lock })
    }
}

/// A writer that knows what a place holds, and makes the next commit.
#[derive(Debug)]
pub struct PreparedWriter<'a> {
    fs: &'a dyn PersistFs,
    options: CommitOptions,
    abilities: Abilities,
    previous: Option<Manifest>,
    listing: BTreeMap<String, FileInfo>,
    /// Keeps other writers out until the commit is done.
    _lock: Lock,
}

impl PreparedWriter<'_> {
    /// The newest generation of the place, if Colca has written it. All its files are published.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.previous.as_ref()
    }

    /// The published files by name.
    pub fn listing(&self) -> &BTreeMap<String, FileInfo> {
        &self.listing
    }

    /// Makes the commit: stages the files, makes the manifest, publishes, collects.
    ///
    /// Until the manifest is made nothing changes for any reader; from then on the new generation is there. If nothing is
    /// to be written or deleted, it is made nevertheless.
    ///
    /// # Errors
    /// [`Error::InvalidName`] and [`Error::DuplicateName`] before anything is written; [`Error::Conflict`] if another
    /// writer was faster; what the place reports. After an error of `create` itself it is not known whether the commit
    /// happened: [`CommitOptions::commit`] tells it in the manifests of the place.
    pub async fn commit(self, changes: Changes) -> Result<Committed> {
        let Changes { write, remove, keep, known } = changes;
        let mut names = HashSet::new();
        let written = write.iter().map(|file| &file.name);
        for name in written.chain(&remove).chain(keep.iter().map(|file| &file.name)) {
            check_name(name)?;
            if !names.insert(name.clone()) {
                return Err(Error::DuplicateName { name: name.clone() });
            }
        }
        let generation = self.manifest().map_or(1, |manifest| manifest.generation.saturating_add(1));
        let mut manifest = Manifest::new(generation, &self.options.commit, self.manifest(), self.abilities);
        // Where a late step can put back what was replaced, that is known for as long as the file stays.
        let copies = !self.abilities.moves;
        for file in keep {
            let KeptFile { name, size, digest } = file;
            let old = self.manifest().and_then(|old| old.file(&name)).filter(|old| old.digest == digest);
            let staged = old.and_then(|old| old.staged.clone());
            let replaces = old.and_then(|old| old.replaces).filter(|_| copies);
            manifest.files.push(FileEntry { name, size, digest, staged, replaces });
        }
        for entry in self.manifest().iter().flat_map(|old| &old.files).filter(|entry| !names.contains(&entry.name)) {
            manifest.files.push(FileEntry { replaces: entry.replaces.filter(|_| copies), ..entry.clone() });
        }
        if self.abilities.moves {
            manifest.files.iter_mut().for_each(|entry| entry.staged = None);
        }
        for name in remove.into_iter().filter(|name| self.listing.contains_key(name)) {
            if let Some(digest) = self.published_digest(&name, &known).await? {
                manifest.removed.push(RemovedEntry { name, digest });
            }
        }
        let first = manifest.files.len();
        let staged = self.stage(write, &known, &mut manifest).await;
        if let (true, Some(old)) = (copies, self.manifest()) {
            manifest.late_steps |= manifest.returns(old);
            if manifest.late_steps {
                let gone = old.removed.iter().filter(|entry| !names.contains(&entry.name));
                manifest.removed.extend(gone.cloned());
            }
        }
        let made = match staged {
            Ok(()) if has(Mechanism::CommitFirst) => self.make(&manifest).await,
            Ok(()) => {
                self.publish(&manifest).await?;
                self.make(&manifest).await
            }
            Err(e) => Err(Unmade { error: e, known: true }),
        };
        if let Err(Unmade { error, known }) = made {
            if known {
                self.discard(&manifest).await;
            }
            return Err(error);
        }
        let written = manifest.files[first..].iter();
        let written =
            written.map(|entry| Written { name: entry.name.clone(), size: entry.size, digest: entry.digest }).collect();
        let mut committed = Committed { manifest, written, foreign: Vec::new(), unpublished: None, uncollected: None };
        match self.publish(&committed.manifest).await {
            Ok(outcome) => {
                if !outcome.superseded {
                    committed.uncollected = self.collect(&committed.manifest).await.err();
                }
                committed.foreign = outcome.foreign;
            }
            Err(e) => committed.unpublished = Some(e),
        }
        Ok(committed)
    }

    /// Writes the files under `.colca` and enters them into the manifest.
    async fn stage(&self, write: PersistFiles, known: &HashMap<String, Digest>, manifest: &mut Manifest) -> Result<()> {
        let total = write.len();
        for (done, file) in write.into_iter().enumerate() {
            self.tell(&Step::Stage { name: &file.name, done, total });
            let replaces = match self.listing.contains_key(&file.name) {
                true => self.published_digest(&file.name, known).await?,
                false => None,
            };
            let staged = staged_name(&self.options.commit, done);
            let path = own_path(&staged);
            let stored = self.fs.write(&path, file.content, self.options.durability).await?;
            let (size, digest) = (stored.size, stored.digest);
            manifest.files.push(FileEntry { name: file.name, size, digest, staged: Some(staged), replaces });
            if self.options.verify {
                let back = self.fs.read(&path, size).await?;
                if back.is_none_or(|bytes| Digest::of(&bytes) != digest) {
                    let problem = "what was read back is not what was written";
                    return Err(Error::failed(self.fs.location(), "verify", path, problem));
                }
            }
        }
        if self.options.durability == Durability::Full && has(Mechanism::SyncBeforeCommit) {
            self.fs.sync().await?;
        }
        Ok(())
    }

    /// Makes the manifest: the commit.
    async fn make(&self, manifest: &Manifest) -> Result<(), Unmade> {
        let known = |error| Unmade { error, known: true };
        let generation = manifest.generation;
        self.tell(&Step::Commit { generation });
        let path = own_path(&manifest_name(generation));
        let bytes = Bytes::from(manifest.to_bytes());
        let absent = self.abilities.create && has(Mechanism::CreateIfAbsent)
            || self.read_back(generation).await.map_err(known)?.is_none();
        let made = match absent {
            false => Ok(false),
            true => self.create(&path, bytes).await,
        };
        if !matches!(made, Ok(true)) {
            // It may have been made nevertheless: by a request whose answer was lost, or by one that was repeated.
            match self.read_back(generation).await {
                Ok(Some(found)) if found.commit == manifest.commit && has(Mechanism::OwnCommitId) => {}
                Ok(Some(found)) => return Err(known(self.conflict(found.generation))),
                Ok(None) if matches!(made, Ok(false)) => return Err(self.forgotten(path)),
                Ok(None) | Err(_) => {
                    let lost = Error::failed(self.fs.location(), "create", &path, "it is there and cannot be read");
                    return Err(Unmade { error: made.err().unwrap_or(lost), known: false });
                }
            }
        }
        self.check_chained(manifest).await
    }

    /// Whether a manifest that was just made is one of the chain. Its number may have been free because the generation
    /// of that number was collected long ago; then there are manifests beyond it. The hint could lag behind them.
    async fn check_chained(&self, manifest: &Manifest) -> Result<(), Unmade> {
        let known = |error| Unmade { error, known: true };
        let unknown = |error| Unmade { error, known: false };
        let generation = manifest.generation;
        let newest = newest_listed(self.fs).await.map_err(unknown)?;
        let beyond = newest.filter(|newest| *newest > generation && has(Mechanism::Zombies));
        let Some(theirs) = beyond else { return Ok(()) };
        let path = own_path(&manifest_name(generation));
        match self.read_back(generation.saturating_add(1)).await.map_err(unknown)? {
            // It was made, and others have gone on from there.
            Some(next) if next.parent.as_ref() == Some(&manifest.commit) => return Ok(()),
            Some(_) => {}
            // Manifests are collected in ascending order: one of the chain goes before its successor.
            None if self.read_back(generation).await.map_err(unknown)?.is_some() => {}
            None => return Err(self.forgotten(path)),
        }
        self.fs.delete(&path).await.map_err(known)?;
        Err(known(self.conflict(theirs)))
    }

    /// A manifest that was made, by whomever, and collected before it could be looked at.
    fn forgotten(&self, path: String) -> Unmade {
        let problem = "so many commits were made meanwhile that it is not known any more whether this one was";
        Unmade { error: Error::failed(self.fs.location(), "create", path, problem), known: false }
    }

    async fn create(&self, path: &str, bytes: Bytes) -> Result<bool> {
        if self.abilities.create && has(Mechanism::CreateIfAbsent) {
            return self.fs.create(path, bytes, self.options.durability).await;
        }
        self.fs.write(path, bytes.into(), self.options.durability).await?;
        if self.options.durability == Durability::Full {
            self.fs.sync().await?;
        }
        Ok(true)
    }

    async fn read_back(&self, generation: u64) -> Result<Option<Manifest>> {
        read_manifest(self.fs, generation, &self.options.limits).await
    }

    fn conflict(&self, theirs: u64) -> Error {
        let ours = self.manifest().map(|manifest| manifest.generation);
        Error::Conflict { place: self.fs.location(), ours, theirs: Some(theirs), files: Vec::new() }
    }

    async fn collect(&self, manifest: &Manifest) -> Result<()> {
        self.tell(&Step::Collect);
        let CommitOptions { keep_generations, min_age, durability, limits, .. } = &self.options;
        collect(self.fs, manifest, *keep_generations, *min_age, *durability, limits).await
    }

    async fn publish(&self, manifest: &Manifest) -> Result<Outcome> {
        let total = manifest.written().count();
        let mut done = 0;
        let publishing = Publishing {
            fs: self.fs,
            manifest,
            listing: self.listing.clone(),
            moves: self.abilities.moves,
            conditional: self.abilities.conditional_publish,
            trusted: true,
            limits: self.options.limits,
            durability: self.options.durability,
        };
        let mut tell = |name: &str| {
            self.tell(&Step::Publish { name, done, total });
            done += 1;
        };
        publishing.run(&mut tell).await
    }

    /// Deletes what was staged for a commit that will not be. What cannot be deleted is collected later.
    async fn discard(&self, manifest: &Manifest) {
        for (_, staged) in manifest.written() {
            let _ = self.fs.delete(&own_path(staged)).await;
        }
    }

    async fn published_digest(&self, name: &str, known: &HashMap<String, Digest>) -> Result<Option<Digest>> {
        if let Some(digest) = known.get(name) {
            return Ok(Some(*digest));
        }
        let bytes = self.fs.read(name, self.options.limits.file_size).await?;
        Ok(bytes.map(|bytes| Digest::of(&bytes)))
    }

    fn tell(&self, step: &Step<'_>) {
        if let Some(Progress(tell)) = &self.options.progress {
            tell(step);
        }
    }
}

/// A manifest that was not made, or of which that is not known.
struct Unmade {
    error: Error,
    known: bool,
}

async fn list(fs: &dyn PersistFs) -> Result<BTreeMap<String, FileInfo>> {
    Ok(fs.list(Folder::Published).await?.into_iter().map(|file| (file.name.clone(), file)).collect())
}

/// Replaces the given files and deletes those named in `remove`, whatever is there: one commit, without a look at what it
/// replaces. Other files stay.
///
/// # Errors
/// Those of [`Writer::begin`], [`Writer::prepare`] and [`PreparedWriter::commit`], and what kept it from publishing.
pub async fn commit(fs: &dyn PersistFs, write: PersistFiles, remove: &[String]) -> Result<Vec<Written>> {
    let writer = Writer::begin(fs, CommitOptions::default()).await?.prepare().await?;
    let changes = Changes { write, remove: remove.to_vec(), ..Changes::default() };
    let committed = writer.commit(changes).await?;
    match committed.unpublished {
        None => Ok(committed.written),
        Some(e) => Err(e),
    }
}
