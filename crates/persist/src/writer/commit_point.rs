//! The commit itself: making the manifest.

use bytes::Bytes;

use super::PreparedWriter;
use crate::manifest::{manifest_name, read_manifest};
use crate::mechanism::{Mechanism, has};
use crate::name::own_path;
use crate::newest::{newest, newest_listed};
use crate::{Durability, Error, Manifest, PersistFs, Result, Step};

/// A manifest that was not made, or of which that is not known.
pub(super) struct Unmade {
    pub(super) error: Error,
    pub(super) known: bool,
}

impl PreparedWriter<'_> {
    /// Makes the manifest: the commit.
    pub(super) async fn make(&self, manifest: &Manifest) -> Result<(), Unmade> {
        let known = |error| Unmade { error, known: true };
        let generation = manifest.generation;
        self.tell(&Step::Commit { generation });
        let path = own_path(&manifest_name(generation));
        let bytes = Bytes::from(manifest.to_bytes());
        self.check_readable(manifest, bytes.len() as u64).map_err(known)?;
        let absent = self.abilities.create && has(Mechanism::CreateIfAbsent)
            || self.read_back(generation).await.map_err(known)?.is_none();
        let made = match absent {
            false => Ok(false),
            true => self.create(&path, bytes).await,
        };
        if !matches!(made, Ok(true)) {
            // It may have been made nevertheless: by a request whose answer was lost, or by one that was repeated.
            match self.read_back(generation).await {
                Ok(Some(found)) if found.commit == manifest.commit && has(Mechanism::OwnCommitId) => {
                    let synced = sync_before_publishing(self.fs, self.options.durability).await;
                    synced.map_err(|error| Unmade { error, known: false })?;
                }
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

    /// What readers would refuse must not be made: nobody could open the place any more.
    fn check_readable(&self, manifest: &Manifest, size: u64) -> Result<()> {
        let limits = &self.options.limits;
        let path = own_path(&manifest_name(manifest.generation));
        if size > limits.manifest_size {
            return Err(Error::TooLarge { place: self.fs.location(), name: path, size, limit: limits.manifest_size });
        }
        let checked = manifest.check(manifest.generation, limits);
        checked.map_err(|problem| Error::failed(self.fs.location(), "make", path, problem))
    }

    /// Whether a manifest that was just made is one of the chain. Its number may have been free because the generation
    /// of that number was collected long ago; then there are manifests beyond it. The hint could lag behind them.
    async fn check_chained(&self, manifest: &Manifest) -> Result<(), Unmade> {
        let known = |error| Unmade { error, known: true };
        let unknown = |error| Unmade { error, known: false };
        let generation = manifest.generation;
        let last = newest_listed(self.fs).await.map_err(unknown)?;
        let beyond = last.filter(|last| *last > generation && has(Mechanism::Zombies));
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
        // Readers come to the winner, unless what lies between was deleted, or a part of an old copy put back.
        let found = newest(self.fs, &self.options.limits).await.ok().flatten();
        if found.is_some_and(|found| found.manifest.generation < generation) {
            let name = own_path(&manifest_name(theirs));
            let problem = format!("generation {generation}, before it, is missing; delete what does not belong here");
            return Err(known(Error::Manifest { place: self.fs.location(), name, problem }));
        }
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
}

/// If the power failed while files of a manifest are published that is not durable, their names could be there and the
/// manifest not.
pub(super) async fn sync_before_publishing(fs: &dyn PersistFs, durability: Durability) -> Result<()> {
    match durability == Durability::Full && has(Mechanism::SyncBeforePublishing) {
        true => fs.sync().await,
        false => Ok(()),
    }
}
