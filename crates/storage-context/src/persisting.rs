//! Persisting a context: one commit of the files of its stores.

mod beside;
mod expectation;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use fs_backends::{IntoPlace, Place};
use persist::{
    Changes, Committed, FileInfo, KeptFile, Manifest, PersistFile, PreparedWriter, Revision, StoreFile, Writer,
    Written, published_files,
};

use crate::file_names::LEGACY_VECTOR_STORE;
use crate::origin::{Attempt, Location, Origin, Role, Seen};
use crate::{
    Action, Error, FileNames, FileReport, PersistOptions, PersistReport, PythonProblem, Result, StorageContext,
};
use expectation::Expectation;

impl StorageContext {
    /// Writes the stores that are in memory to a place, as one commit, and says what it did.
    ///
    /// Everything is serialised before the place changes; then it changes in one step, and what is written is durable
    /// when this returns. Whoever is killed whenever: contexts of ours open the old state or the new one. The place must
    /// hold what this context was opened from or has persisted there, or no context at all; otherwise it is a
    /// [`Conflict`](persist::Error::Conflict) and nothing changes, unless [`PersistOptions::overwrite`] says so.
    ///
    /// A store that has not changed since it was read from or written to this very place is not written again; at another
    /// place its file is copied byte for byte if it is still as it was, and made anew from memory otherwise. One file at a
    /// time is in memory for that. Files of other programs stay; those of stores that were taken out of the context are deleted. Each store is written as it
    /// was at one moment, one store after the other. Persists of one context wait for each other.
    ///
    /// # Errors
    /// [`Error::Persist`] with what the place reports, conflicts among it; nothing has changed then, unless the answer to
    /// the commit itself was lost: the next persist finds out. [`Error::ReadOnly`]. [`Error::Unpublished`] if the commit
    /// was made, and its files could not be given their names.
    pub async fn persist(&self, place: impl IntoPlace) -> Result<PersistReport> {
        self.persist_with(place, &PersistOptions::default()).await
    }

    /// As [`persist`](Self::persist), with options.
    ///
    /// # Errors
    /// As [`persist`](Self::persist).
    pub async fn persist_with(&self, place: impl IntoPlace, options: &PersistOptions) -> Result<PersistReport> {
        let names = options.file_names.as_ref().unwrap_or(&self.inner.file_names);
        let place = place.into_place()?;
        let _one_at_a_time = self.inner.persisting.lock().await;
        for (_, name, _) in self.store_files(names).iter().filter(|(_, _, file)| file.is_some()) {
            persist::check_name(name)?;
        }
        let commit_options = options.to_commit_options();
        let commit = commit_options.commit.clone();
        let identity: Arc<str> = place.identity().into();
        let seen = self.origins().seen(&identity).cloned();
        if seen.as_ref().is_some_and(|seen| seen.read_only) {
            return Err(Error::ReadOnly { place: place.location() });
        }
        let writer = Writer::begin(&*place, commit_options).await?;
        let seen = seen.map(|seen| self.adopt(&place, &identity, seen, writer.manifest()));
        let looked = seen.as_ref().filter(|seen| seen.has_looked());
        let expected = Expectation::new(looked, options, &writer, names)?;
        let writer = writer.prepare().await?;
        let stores = self.store_files(names);
        let mut persisting = Persisting {
            ctx: self,
            place: &place,
            known: self.origins().named_at(&identity),
            identity,
            names,
            expected,
            seen: seen.unwrap_or_default(),
            writer,
            changes: Changes::default(),
            pending: Vec::new(),
            taken: HashSet::new(),
            removed: Vec::new(),
            report: PersistReport { place: place.location(), ..PersistReport::default() },
        };
        persisting.check_nothing_is_lost(&stores).await?;
        for (role, name, file) in stores {
            match file {
                Some(file) => persisting.add(role, name, file).await?,
                None => persisting.report.self_managed.push(role.to_string()),
            }
        }
        persisting.remove_dropped();
        persisting.carry_along().await;
        persisting.tell_of_strangers();
        persisting.report.python_problems.extend(self.python_problems(names).await?);
        persisting.run(commit).await
    }

    /// The stores with their files' names, in LlamaIndex's order; no file where the store keeps itself.
    fn store_files(&self, names: &FileNames) -> Vec<(Role, String, Option<StoreFile>)> {
        let file = |role: Role| self.file_of(&role).map(|file| (names.of(&role), role, file));
        self.roles().into_iter().filter_map(file).map(|(name, role, file)| (role, name, file)).collect()
    }

    /// If the newest generation of a place is a commit of this context that was broken off, it knows that generation.
    pub(crate) fn adopt(
        &self,
        place: &Place,
        identity: &Arc<str>,
        mut seen: Seen,
        manifest: Option<&Manifest>,
    ) -> Seen {
        let Some(manifest) = manifest else { return seen };
        let Some(attempt) = seen.attempts.iter().find(|attempt| attempt.commit == manifest.commit).cloned() else {
            return seen;
        };
        for (name, role, revision) in attempt.states {
            let Some(entry) = manifest.file(&name) else { continue };
            let file = FileInfo { name: name.clone(), size: entry.size, version: None, modified: None };
            seen.files.insert(name, file.clone());
            let (place, identity, digest) = (Arc::clone(place), Arc::clone(identity), entry.digest);
            let revision = Some(revision);
            let origin = Origin { place, identity, file, digest, revision, copyable: true, rename: false };
            self.origins().remember(role, origin);
        }
        for removed in &manifest.removed {
            seen.files.remove(&removed.name);
        }
        seen.newest = Some((manifest.generation, manifest.commit.clone()));
        seen.names = attempt.names;
        seen
    }
}

/// A persist under way.
struct Persisting<'a> {
    ctx: &'a StorageContext,
    place: &'a Place,
    /// What tells the place from others.
    identity: Arc<str>,
    names: &'a FileNames,
    expected: Expectation,
    /// What was last seen there.
    seen: Seen,
    /// The files there that hold stores of the context, or held them, by name.
    known: HashMap<String, Origin>,
    writer: PreparedWriter<'a>,
    changes: Changes,
    /// What is told of each file, and for those of stores which state they hold.
    pending: Vec<(FileReport, Option<(Role, Revision)>)>,
    /// The names of these files.
    taken: HashSet<String>,
    /// The stores whose files are deleted.
    removed: Vec<(Role, String)>,
    report: PersistReport,
}

impl Persisting<'_> {
    /// Enters a file into the report.
    fn tell(&mut self, report: FileReport, state: Option<(Role, Revision)>) {
        self.taken.insert(report.name.clone());
        self.pending.push((report, state));
    }

    /// Decides what to do about a store's file.
    async fn add(&mut self, role: Role, name: String, file: StoreFile) -> Result<()> {
        let StoreFile { content, revision } = file;
        let here = self.ctx.origins().at(&role, &self.identity).cloned();
        if let Some(origin) = here {
            let old_name = &origin.file.name;
            let is_legacy = *old_name == LEGACY_VECTOR_STORE && *old_name != name;
            let now = self.writer.listing().get(old_name).cloned();
            let is_still = match &now {
                Some(now) => self.is_origin(&origin, now).await?,
                None => false,
            };
            if is_still && origin.revision == Some(revision) && (*old_name == name || (is_legacy && !origin.rename)) {
                if *old_name != name {
                    let problem = format!("it opens {name} only; upgrade() gives the file its new name");
                    self.report.python_problems.push(PythonProblem { file: old_name.clone(), problem });
                }
                let (store, action) = (role.to_string(), Action::Unchanged);
                let (name, size, digest) = (origin.file.name, origin.file.size, origin.digest);
                self.changes.keep.push(KeptFile { name: name.clone(), size, digest });
                self.tell(FileReport { name, store, action, size, digest: Some(digest) }, None);
                return Ok(());
            }
            if is_still {
                self.changes.known.insert(old_name.clone(), origin.digest);
            }
            if is_legacy && now.is_some() && !self.writer.listing().contains_key(&name) {
                self.removed.push((role.clone(), LEGACY_VECTOR_STORE.to_owned()));
            }
        }
        let originals = self.ctx.origins().originals(&role, revision);
        self.changes.write.push(PersistFile { name: name.clone(), content, originals });
        let report = FileReport { name, store: role.to_string(), action: Action::Written, size: 0, digest: None };
        self.tell(report, Some((role, revision)));
        Ok(())
    }

    /// The files of stores that were taken out of the context are deleted, and so are those of the context that is
    /// replaced.
    fn remove_dropped(&mut self) {
        let roles = self.ctx.origins().roles_at(&self.identity);
        let mut dropped: Vec<(Role, String)> =
            roles.into_iter().filter(|(role, _)| !self.ctx.has_store(role)).collect();
        if let (true, Some(manifest)) = (self.expected.replaces_others(), self.writer.manifest()) {
            let replaced = manifest.files.iter().filter_map(|file| Some((self.names.role(&file.name)?, &file.name)));
            dropped.extend(
                replaced.filter(|(role, _)| !self.ctx.has_store(role)).map(|(role, name)| (role, name.clone())),
            );
        }
        let mut removed: HashSet<String> = self.removed.iter().map(|(_, name)| name.clone()).collect();
        for (role, name) in dropped {
            if !self.taken.contains(&name) && removed.insert(name.clone()) {
                self.removed.push((role, name));
            }
        }
        // What another program has deleted is no file of the next generation.
        let listing = self.writer.listing();
        let is_there =
            |name: &String| listing.contains_key(name) || self.taken.contains(name) || removed.contains(name);
        let stores = self.writer.manifest().into_iter().flat_map(|manifest| &manifest.files).map(|file| &file.name);
        self.changes.remove = stores.filter(|name| self.names.is_store(name) && !is_there(name)).cloned().collect();
    }

    /// Tells of files that are there and that opening the place will take for stores of this context.
    fn tell_of_strangers(&mut self) {
        let removed: HashSet<&String> = self.removed.iter().map(|(_, name)| name).collect();
        let names = self.names;
        let opens = |name: &String| names.namespace(name).is_some() || *name == names.property_graph_store;
        let ours =
            |name: &String| self.taken.contains(name) || removed.contains(name) || self.seen.carried.contains(name);
        let is_strange = |name: &&String| opens(name) && !ours(name);
        self.report.already_there = self.writer.listing().keys().filter(is_strange).cloned().collect();
    }

    /// No two files may have one name, those that stay as they are included.
    fn check_names(&self) -> Result<()> {
        let mut names = HashSet::new();
        let stores = self.pending.iter().map(|(report, _)| &report.name);
        for name in stores.chain(self.removed.iter().map(|(_, name)| name)) {
            if !names.insert(name) {
                return Err(persist::Error::DuplicateName { name: name.clone() }.into());
            }
        }
        Ok(())
    }

    async fn run(mut self, commit: String) -> Result<PersistReport> {
        self.check_names()?;
        let mut changes = std::mem::take(&mut self.changes);
        let is_writing = !(changes.write.is_empty() && self.removed.is_empty());
        changes.remove.extend(self.removed.iter().map(|(_, name)| name.clone()));
        let mut newest = self.writer.manifest().map(|manifest| (manifest.generation, manifest.commit.clone()));
        let mut files = self.writer.listing().clone();
        let mut written: HashMap<String, Written> = HashMap::new();
        let mut unpublished = None;
        if is_writing {
            let attempt = Attempt { commit, states: states(&self.pending), names: self.names.clone() };
            let committed = commit_remembered(self.ctx, &self.identity, attempt, self.writer, changes).await?;
            newest = Some((committed.manifest.generation, committed.manifest.commit));
            written.extend(committed.written.into_iter().map(|file| (file.name.clone(), file)));
            self.report.overtaken = committed.foreign;
            self.report.uncollected = committed.uncollected.map(|e| e.to_string());
            unpublished = committed.unpublished;
            // It is done. A place that cannot be listed just now only leaves nothing to know its files by later. What
            // another program has written since the place was looked at is not what this context has seen.
            let mut now = match unpublished {
                None => published_files(&**self.place).await.unwrap_or_default(),
                Some(_) => BTreeMap::new(),
            };
            self.report.overtaken.iter().for_each(|name| drop(now.remove(name)));
            self.removed.iter().for_each(|(_, name)| drop(files.remove(name)));
            for Written { name, size, .. } in written.values() {
                match now.remove(name).filter(|file| file.size == *size) {
                    Some(file) => files.insert(name.clone(), file),
                    None => files.remove(name),
                };
            }
        }
        self.report.generation = newest.as_ref().map(|(generation, _)| *generation);
        for (mut report, state) in self.pending {
            if let Some(Written { size, digest, copied, .. }) = written.remove(&report.name) {
                (report.size, report.digest) = (size, Some(digest));
                if copied {
                    report.action = Action::Copied;
                }
                if let Some((role, revision)) = state {
                    let known = || FileInfo { name: report.name.clone(), size, version: None, modified: None };
                    let file = files.get(&report.name).cloned().unwrap_or_else(known);
                    let (place, identity) = (Arc::clone(self.place), Arc::clone(&self.identity));
                    let revision = Some(revision);
                    let origin = Origin { place, identity, file, digest, revision, copyable: true, rename: false };
                    self.ctx.origins().remember(role, origin);
                }
            }
            self.report.files.push(report);
        }
        let stores: HashSet<String> = self.report.files.iter().map(|file| file.store.clone()).collect();
        for (role, name) in self.removed {
            let store = role.to_string();
            if !stores.contains(&store) {
                self.ctx.origins().forget(&role, &self.identity);
            }
            self.report.files.push(FileReport { name, store, action: Action::Removed, size: 0, digest: None });
        }
        let (carried, names) = (self.seen.carried, self.names.clone());
        let seen = Seen { newest, files, carried, names, ..Seen::default() };
        let location = Location { place: Arc::clone(self.place), identity: self.identity };
        self.ctx.origins().remember_persisted(location, seen);
        self.report.python_problems.sort_by(|a, b| a.file.cmp(&b.file));
        match (unpublished, self.report.generation) {
            (Some(source), Some(generation)) => {
                Err(Error::Unpublished { place: self.place.location(), generation, source })
            }
            _ => Ok(self.report),
        }
    }
}

/// The states of stores that files are to hold.
fn states(pending: &[(FileReport, Option<(Role, Revision)>)]) -> Vec<(String, Role, Revision)> {
    let states = pending.iter().filter_map(|(report, state)| {
        let (role, revision) = state.clone()?;
        Some((report.name.clone(), role, revision))
    });
    states.collect()
}

/// Makes the commit. Should it be broken off after it was made, the context knows it again by its id.
async fn commit_remembered(
    ctx: &StorageContext,
    identity: &str,
    attempt: Attempt,
    writer: PreparedWriter<'_>,
    changes: Changes,
) -> Result<Committed> {
    ctx.origins().seen_mut(identity).begin(attempt);
    let committed = writer.commit(changes).await;
    if let Err(persist::Error::Conflict { .. }) = &committed {
        ctx.origins().seen_mut(identity).attempts.remove(0);
    }
    Ok(committed?)
}
