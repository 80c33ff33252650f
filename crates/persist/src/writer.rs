//! Writing a place: one commit.

mod commit_point;

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;

use crate::collect::collect;
use crate::fs::{digest_of, published_files};
use crate::manifest::{FileEntry, RemovedEntry, staged_name};
use crate::mechanism::{Mechanism, has};
use crate::name::{check_name, own_path};
use crate::newest::{Newest, newest};
use crate::publishing::{Outcome, Publishing};
use crate::{
    Abilities, Changes, CommitOptions, Committed, Content, Digest, Durability, Error, FileInfo, KeptFile, Lock,
    Manifest, Original, PersistFiles, PersistFs, Result, Step, Stored, Written,
};
use commit_point::{Unmade, sync_before_publishing};

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
        if let Some(newest) = newest.as_ref().filter(|newest| !newest.is_published() && has(Mechanism::RollForward)) {
            // Its writer may have been killed after it had made the manifest, and before that was durable.
            sync_before_publishing(fs, options.durability).await?;
            let publishing = Publishing {
                fs,
                manifest: &newest.manifest,
                listing: published_files(fs).await?,
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
        let listing = published_files(fs).await?;
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
        let mut written = Vec::with_capacity(write.len());
        let staged = self.stage(write, &known, &mut manifest, &mut written).await;
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

    /// Writes the files under `.colca` and enters them into the manifest. Files that are copied are in memory one after
    /// the other.
    async fn stage(
        &self,
        write: PersistFiles,
        known: &HashMap<String, Digest>,
        manifest: &mut Manifest,
        written: &mut Vec<Written>,
    ) -> Result<()> {
        let total = write.len();
        for (done, file) in write.into_iter().enumerate() {
            self.tell(&Step::Stage { name: &file.name, done, total });
            let replaces = match self.listing.contains_key(&file.name) {
                true => self.published_digest(&file.name, known).await?,
                false => None,
            };
            let staged = staged_name(&self.options.commit, done);
            let path = own_path(&staged);
            let copy = first_intact(&file.originals).await;
            let copied = copy.is_some();
            let content = copy.map_or(file.content, Content::Bytes);
            let meter = self.options.progress.as_ref().map(|progress| progress.staging(&file.name)).unwrap_or_default();
            let stored = self.fs.stage(&path, &file.name, content, self.options.durability, &meter).await?;
            let Stored { size, digest } = stored;
            written.push(Written { name: file.name.clone(), size, digest, copied });
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
        digest_of(self.fs, name, &self.options.limits).await
    }

    fn tell(&self, step: &Step<'_>) {
        if let Some(progress) = &self.options.progress {
            progress.report(step);
        }
    }
}

/// The content of the first file that is still as it was.
async fn first_intact(originals: &[Original]) -> Option<Bytes> {
    for original in originals {
        if let Some(bytes) = original.read().await {
            return Some(bytes);
        }
    }
    None
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
