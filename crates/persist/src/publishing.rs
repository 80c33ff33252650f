//! Giving the files of the newest generation their names: at the end of a commit, or for a writer that did not get so
//! far.

use std::collections::BTreeMap;

use crate::fs::{digest_of, published_files};
use crate::manifest::{FileEntry, RemovedEntry, marker_name};
use crate::mechanism::{Mechanism, has};
use crate::name::own_path;
use crate::newest::{hint, is_foreign, is_newest};
use crate::snapshot::ATTEMPTS;
use crate::{Content, Digest, Durability, Error, Expected, FileInfo, Limits, Manifest, PersistFs, Publication, Result};

/// A publication under way.
pub(crate) struct Publishing<'a> {
    pub(crate) fs: &'a dyn PersistFs,
    pub(crate) manifest: &'a Manifest,
    /// The published files as they were last seen.
    pub(crate) listing: BTreeMap<String, FileInfo>,
    /// Whether publishing moves.
    pub(crate) moves: bool,
    /// Whether publishing checks what it replaces.
    pub(crate) conditional: bool,
    /// Whether the listed files are known to be the ones that the manifest replaces. If not, they are read.
    pub(crate) trusted: bool,
    pub(crate) limits: Limits,
    pub(crate) durability: Durability,
}

/// How a publication ended.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Files that another program has written meanwhile: they stay.
    pub(crate) foreign: Vec<String>,
    /// Whether a later commit has taken over before all was done; it has finished this publication.
    pub(crate) superseded: bool,
}

impl Publishing<'_> {
    pub(crate) async fn run(mut self, progress: &mut (dyn FnMut(&str) + Send)) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let manifest = self.manifest;
        let mut lost = None;
        for (entry, staged) in manifest.written() {
            progress(&entry.name);
            match self.publish(entry, &own_path(staged)).await {
                Ok(State::Done) => {}
                Ok(State::Foreign) => outcome.foreign.push(entry.name.clone()),
                Ok(State::Superseded) => return Ok(Outcome { superseded: true, ..outcome }),
                // The rest need not suffer from it.
                Err(e @ Error::Lost { .. }) => lost = lost.or(Some(e)),
                Err(e) => return Err(e),
            }
        }
        for entry in &manifest.removed {
            match self.remove(entry).await? {
                State::Done => {}
                State::Foreign => outcome.foreign.push(entry.name.clone()),
                State::Superseded => return Ok(Outcome { superseded: true, ..outcome }),
            }
        }
        if let Some(e) = lost {
            return Err(e);
        }
        if self.durability == Durability::Full && has(Mechanism::SyncBeforeMarker) {
            self.fs.sync().await?;
        }
        // Neither need be durable: without them the next writer looks at the files again, and readers at the list.
        let marker = own_path(&marker_name(manifest.generation));
        self.fs.create(&marker, Default::default(), Durability::Relaxed).await?;
        let (path, text) = hint(manifest.generation);
        self.fs.write(&path, Content::Bytes(text.into()), Durability::Relaxed).await?;
        Ok(outcome)
    }

    async fn publish(&mut self, entry: &FileEntry, staged: &str) -> Result<State> {
        let mut is_sound = false;
        for _ in 0..ATTEMPTS {
            if !self.is_newest().await? {
                return Ok(State::Superseded);
            }
            if !self.trusted {
                let found = self.digest_of(&entry.name).await?;
                if found == Some(entry.digest) || self.is_foreign(&entry.name, found).await? {
                    if self.moves {
                        // So that no writer that sleeps since then can move it over a later generation's.
                        self.fs.delete(staged).await?;
                    }
                    return if found == Some(entry.digest) { Ok(State::Done) } else { self.foreign().await };
                }
                if !is_sound {
                    if self.is_damaged(entry, staged).await? {
                        return Err(self.lost(entry));
                    }
                    // The look at what is replaced comes last.
                    is_sound = true;
                    continue;
                }
            }
            if self.trusted && !self.conditional && self.has_changed(&entry.name).await? {
                continue;
            }
            let expected = Expected::seen(self.listing.get(&entry.name));
            if self.fs.publish(staged, &entry.name, &expected).await? == Publication::Done {
                return Ok(State::Done);
            }
            // Another writer has published it already, or another program has written it: look.
            self.look_again().await?;
        }
        Err(self.lost(entry))
    }

    /// Whether the staged file is not what was staged, as it can be after a power failure under
    /// [`Durability::Relaxed`]. What is published must not be replaced by it.
    async fn is_damaged(&self, entry: &FileEntry, staged: &str) -> Result<bool> {
        Ok(self.digest_of(staged).await?.is_some_and(|found| found != entry.digest))
    }

    fn lost(&self, entry: &FileEntry) -> Error {
        let (place, name) = (self.fs.location(), entry.name.clone());
        Error::Lost { place, name, generation: self.manifest.generation }
    }

    async fn remove(&mut self, entry: &RemovedEntry) -> Result<State> {
        for _ in 0..ATTEMPTS {
            if !self.is_newest().await? {
                return Ok(State::Superseded);
            }
            // Not every place can check what it deletes, so this looks even if the file is as it was listed.
            let found = self.digest_of(&entry.name).await?;
            if found.is_none() {
                return Ok(State::Done);
            }
            if self.is_foreign(&entry.name, found).await? {
                return self.foreign().await;
            }
            let expected = Expected::seen(self.listing.get(&entry.name));
            if self.fs.unpublish(&entry.name, &expected).await? == Publication::Done {
                return Ok(State::Done);
            }
            // Another program has written it, or another writer.
            self.look_again().await?;
        }
        Err(Error::Superseded { place: self.fs.location() })
    }

    /// What no manifest knew until here is another program's, unless a later commit has published it meanwhile.
    async fn foreign(&self) -> Result<State> {
        Ok(if self.is_newest().await? { State::Foreign } else { State::Superseded })
    }

    async fn is_newest(&self) -> Result<bool> {
        let looks = has(Mechanism::Recheck) && has(Mechanism::CommitFirst);
        Ok(!looks || is_newest(self.fs, self.manifest.generation, &self.limits).await?)
    }

    async fn digest_of(&self, path: &str) -> Result<Option<Digest>> {
        digest_of(self.fs, path, &self.limits).await
    }

    async fn is_foreign(&self, name: &str, found: Option<Digest>) -> Result<bool> {
        is_foreign(self.fs, self.manifest, name, found, &self.limits).await
    }

    /// Lists once more, where nothing else would notice another program's write.
    async fn has_changed(&mut self, name: &str) -> Result<bool> {
        let before = self.listing.get(name).cloned();
        self.look_again().await?;
        self.trusted = self.listing.get(name) == before.as_ref();
        Ok(!self.trusted)
    }

    async fn look_again(&mut self) -> Result<()> {
        self.listing = published_files(self.fs).await?;
        self.trusted = false;
        Ok(())
    }
}

enum State {
    Done,
    Foreign,
    Superseded,
}
