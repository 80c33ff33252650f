//! What a place may hold, so that a persist replaces nothing that its context does not know.

use std::collections::HashSet;

use persist::{Digest, FileInfo, StoreFile, Writer};

use super::Persisting;
use crate::origin::{Origin, Role, Seen};
use crate::{FileNames, PersistOptions, Result};

/// What a place may hold, so that it can be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expectation {
    /// What was last seen there.
    Seen,
    /// No context.
    Nothing,
    /// The newest generation, as it was committed.
    Generation,
    /// Whatever it is.
    Anything,
}

impl Expectation {
    pub(super) fn new(
        seen: Option<&Seen>,
        options: &PersistOptions,
        writer: &Writer<'_>,
        names: &FileNames,
    ) -> Result<Self, persist::Error> {
        let theirs = writer.manifest().map(|manifest| (manifest.generation, manifest.commit.clone()));
        let conflict = |ours| {
            let theirs = theirs.as_ref().map(|(generation, _)| *generation);
            Err(persist::Error::Conflict { place: writer.location(), ours, theirs, files: Vec::new() })
        };
        if let Some(generation) = options.expect_generation
            && theirs.as_ref().map(|(generation, _)| *generation) != Some(generation)
        {
            return conflict(Some(generation));
        }
        match seen {
            _ if options.overwrite => Ok(Self::Anything),
            Some(seen) if seen.newest == theirs => Ok(Self::Seen),
            _ if options.expect_generation.is_some() => Ok(Self::Generation),
            Some(seen) => conflict(seen.newest.as_ref().map(|(generation, _)| *generation)),
            None if writer.manifest().is_some_and(|m| m.files.iter().any(|file| names.is_store(&file.name))) => {
                conflict(None)
            }
            None => Ok(Self::Nothing),
        }
    }

    /// Whether what is replaced is not what the context saw last.
    pub(super) fn replaces_others(self) -> bool {
        matches!(self, Self::Generation | Self::Anything)
    }
}

impl Persisting<'_> {
    /// Another program may have written the place since it was last seen: what would be lost by that is a conflict, and
    /// told if it is to be overwritten.
    pub(super) async fn check_nothing_is_lost(&mut self, stores: &[(Role, String, Option<StoreFile>)]) -> Result<()> {
        let ours: HashSet<&str> =
            stores.iter().filter(|(_, _, file)| file.is_some()).map(|(_, name, _)| &**name).collect();
        let files: Vec<FileInfo> = self.writer.listing().values().cloned().collect();
        // At a place that was never looked at there is nothing to compare with.
        let has_looked = self.seen.has_looked();
        let mut lost = Vec::new();
        for there in files.into_iter().filter(|there| self.names.is_store(&there.name)) {
            let is_ours = self.known.contains_key(&there.name) || ours.contains(&*there.name);
            let is_lost = match self.expected {
                Expectation::Nothing => true,
                // One that was added, and will not be written now, is no loss.
                Expectation::Seen => is_ours && !self.is_known(&there).await?,
                Expectation::Generation => {
                    let committed = self.writer.manifest().and_then(|manifest| manifest.file(&there.name)).cloned();
                    let is_committed =
                        self.has_content(&there, committed.as_ref().map(|file| (file.size, file.digest))).await?;
                    if let (true, Some(file)) = (is_committed, &committed) {
                        self.changes.known.insert(file.name.clone(), file.digest);
                    }
                    !is_committed && (is_ours || committed.is_some()) && !self.is_known(&there).await?
                }
                Expectation::Anything => has_looked && is_ours && !self.is_known(&there).await?,
            };
            if is_lost {
                lost.push(there.name);
            }
        }
        if lost.is_empty() || self.expected == Expectation::Anything {
            self.report.overwritten = lost;
            return Ok(());
        }
        let theirs = self.writer.manifest().map(|manifest| manifest.generation);
        let ours = theirs.filter(|_| self.expected != Expectation::Nothing);
        Err(persist::Error::Conflict { place: self.place.location(), ours, theirs, files: lost }.into())
    }

    /// Whether a published file is the one that was last seen or written under its name, or has its content.
    async fn is_known(&self, now: &FileInfo) -> Result<bool> {
        let is_now = |then: &FileInfo| then.version.is_some() && then == now;
        if self.seen.files.get(&now.name).is_some_and(is_now) {
            return Ok(true);
        }
        match self.known.get(&now.name) {
            Some(origin) => self.is_origin(origin, now).await,
            None => Ok(false),
        }
    }

    /// Whether a published file is the one that was read or written, or has its content.
    pub(super) async fn is_origin(&self, origin: &Origin, now: &FileInfo) -> Result<bool> {
        if origin.file.version.is_some() && origin.file == *now {
            return Ok(true);
        }
        self.has_content(now, Some((origin.file.size, origin.digest))).await
    }

    /// Whether a published file has content of this size and digest.
    pub(super) async fn has_content(&self, now: &FileInfo, expected: Option<(u64, Digest)>) -> Result<bool> {
        // The size that was listed is not asked: a file that could not be looked at for a moment has none.
        let Some((size, digest)) = expected else { return Ok(false) };
        match self.place.read(&now.name, size).await {
            Ok(bytes) => Ok(bytes.is_some_and(|bytes| Digest::of(&bytes) == digest)),
            Err(persist::Error::TooLarge { .. }) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}
