//! Persisting a context: one commit of the files of its stores.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use fs_backends::{IntoPlace, Place};
use persist::{
    Changes, Committed, Content, Digest, FileInfo, Folder, KeptFile, Limits, PersistFile, PreparedWriter, Revision,
    StoreFile, Writer, Written,
};

use crate::file_names::LEGACY_VECTOR_STORE;
use crate::origin::{Attempt, Origin, Role, Seen};
use crate::{
    Action, Error, FileNames, FileReport, PersistOptions, PersistReport, PythonProblem, Result, StorageContext,
};

impl StorageContext {
    /// Writes the stores that are in memory to a place, as one commit, and says what it did.
    ///
    /// Everything is serialised before the place changes; then it changes in one step, and what is written is durable
    /// when this returns. Whoever is killed whenever: contexts of ours open the old state or the new one. The place must
    /// hold what this context was opened from or has persisted there, or no context at all; otherwise it is a
    /// [`Conflict`](persist::Error::Conflict) and nothing changes, unless [`PersistOptions::overwrite`] says so.
    ///
    /// A store that has not changed since it was read from or written to this very place is not written again; at another
    /// place its file is copied byte for byte if it is still as it was, and made anew from memory otherwise. Files of
    /// other programs stay; those of stores that were taken out of the context are deleted. Each store is written as it
    /// was at one moment, one store after the other. Persists of one context wait for each other.
    ///
    /// # Errors
    /// [`Error::Persist`] with what the place reports, conflicts among it; nothing has changed then. [`Error::ReadOnly`].
    /// [`Error::Unpublished`] if the commit was made, and its files could not be given their names.
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
        let commit_options = options.to_commit_options();
        let commit = commit_options.commit.clone();
        let seen = self.origins().seen(&place.identity()).cloned();
        if seen.as_ref().is_some_and(|seen| seen.read_only) {
            return Err(Error::ReadOnly { place: place.location() });
        }
        let writer = Writer::begin(&*place, commit_options).await?;
        let seen = seen.map(|seen| self.adopt(&place, seen, &writer));
        let expected = Expectation::new(seen, options, &writer, names)?;
        let writer = writer.prepare().await?;
        let mut persisting = Persisting::new(self, &place, names, expected, writer);
        persisting.check_nothing_is_lost().await?;
        for (role, name, file) in self.store_files(names) {
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
        let mut files = vec![
            (Role::Docstore, names.docstore.clone(), self.docstore().kv().to_file()),
            (Role::IndexStore, names.index_store.clone(), self.index_store().kv().to_file()),
            (Role::GraphStore, names.graph_store.clone(), self.graph_store().to_file()),
        ];
        if let Some(graph) = self.property_graph_store() {
            files.push((Role::PropertyGraphStore, names.property_graph_store.clone(), graph.to_file()));
        }
        for (namespace, store) in self.vector_stores() {
            let name = names.vector_store(&namespace);
            files.push((Role::VectorStore(namespace), name, store.to_file()));
        }
        files
    }

    /// If the newest generation of a place is a commit of this context that was broken off, it knows that generation.
    fn adopt(&self, place: &Place, mut seen: Seen, writer: &Writer<'_>) -> Seen {
        let Some(manifest) = writer.manifest() else { return seen };
        let Some(attempt) = seen.attempts.iter().find(|attempt| attempt.commit == manifest.commit).cloned() else {
            return seen;
        };
        for (name, role, revision) in attempt.states {
            let Some(entry) = manifest.file(&name) else { continue };
            let file = FileInfo { name: name.clone(), size: entry.size, version: None, modified: None };
            seen.files.insert(name, file.clone());
            let (place, digest) = (Arc::clone(place), entry.digest);
            let origin = Origin { place, file, digest, revision, copyable: true, rename: false };
            self.origins().remember(role, origin);
        }
        for removed in &manifest.removed {
            seen.files.remove(&removed.name);
        }
        seen.newest = Some((manifest.generation, manifest.commit.clone()));
        seen
    }
}

/// What a place may hold, so that it can be replaced.
enum Expectation {
    /// What was last seen there.
    Seen(Seen),
    /// No context.
    Nothing,
    /// Whatever it is.
    Anything,
}

impl Expectation {
    fn new(
        seen: Option<Seen>,
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
            Some(seen) if seen.newest == theirs => Ok(Self::Seen(seen)),
            _ if options.expect_generation.is_some() => Ok(Self::Anything),
            Some(seen) => conflict(seen.newest.map(|(generation, _)| generation)),
            None if writer.manifest().is_some_and(|m| m.files.iter().any(|file| names.is_store(&file.name))) => {
                conflict(None)
            }
            None => Ok(Self::Nothing),
        }
    }
}

/// A persist under way.
struct Persisting<'a> {
    ctx: &'a StorageContext,
    place: &'a Place,
    /// What tells the place from others.
    identity: String,
    names: &'a FileNames,
    expected: Expectation,
    writer: PreparedWriter<'a>,
    changes: Changes,
    /// What is told of each file, and for those of stores which state they hold.
    pending: Vec<(FileReport, Option<(Role, Revision)>)>,
    /// The stores whose files are deleted.
    removed: Vec<(Role, String)>,
    report: PersistReport,
}

impl<'a> Persisting<'a> {
    fn new(
        ctx: &'a StorageContext,
        place: &'a Place,
        names: &'a FileNames,
        expected: Expectation,
        writer: PreparedWriter<'a>,
    ) -> Self {
        let report = PersistReport { place: place.location(), ..PersistReport::default() };
        let (changes, pending, removed) = (Changes::default(), Vec::new(), Vec::new());
        Self { ctx, place, identity: place.identity(), names, expected, writer, changes, pending, removed, report }
    }

    /// Another program may have written the place since it was last seen: what would be lost by that is a conflict, and
    /// told if it is to be overwritten.
    async fn check_nothing_is_lost(&mut self) -> Result<()> {
        let files: Vec<(String, FileInfo)> = self.writer.listing().clone().into_iter().collect();
        let mut lost = Vec::new();
        for (name, now) in files.into_iter().filter(|(name, _)| self.names.is_store(name)) {
            let is_lost = match &self.expected {
                Expectation::Nothing => true,
                // One that was added, and will not be written now, is no loss.
                Expectation::Seen(_) => self.ours(&name) && !self.is_known(&name, &now).await?,
                Expectation::Anything => {
                    self.ctx.origins().named(&name, &self.identity).is_some() && !self.is_known(&name, &now).await?
                }
            };
            if is_lost {
                lost.push(name);
            }
        }
        if lost.is_empty() || matches!(self.expected, Expectation::Anything) {
            self.report.overwritten = lost;
            return Ok(());
        }
        let (ours, theirs) = match &self.expected {
            Expectation::Seen(Seen { newest: Some((generation, _)), .. }) => (Some(*generation), Some(*generation)),
            _ => (None, self.writer.manifest().map(|manifest| manifest.generation)),
        };
        Err(persist::Error::Conflict { place: self.place.location(), ours, theirs, files: lost }.into())
    }

    /// Whether a store of the context has its file under this name, or had it here.
    fn ours(&self, name: &str) -> bool {
        self.ctx.origins().named(name, &self.identity).is_some()
            || self.ctx.store_files(self.names).iter().any(|(_, ours, file)| ours == name && file.is_some())
    }

    /// Whether a published file is the one that was last seen or written under its name, or has its content.
    async fn is_known(&self, name: &str, now: &FileInfo) -> Result<bool> {
        let is_now = |then: &FileInfo| then.version.is_some() && then == now;
        if let Expectation::Seen(seen) = &self.expected
            && seen.files.get(name).is_some_and(is_now)
        {
            return Ok(true);
        }
        let origin = self.ctx.origins().named(name, &self.identity).cloned();
        match origin {
            Some(origin) => self.is_origin(&origin, now).await,
            None => Ok(false),
        }
    }

    /// Whether a published file is the one that was read or written, or has its content.
    async fn is_origin(&self, origin: &Origin, now: &FileInfo) -> Result<bool> {
        if origin.file.version.is_some() && origin.file == *now {
            return Ok(true);
        }
        match self.place.read(&now.name, origin.file.size).await {
            Ok(bytes) => Ok(bytes.is_some_and(|bytes| Digest::of(&bytes) == origin.digest)),
            Err(persist::Error::TooLarge { .. }) => Ok(false),
            Err(e) => Err(e.into()),
        }
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
            if is_still && origin.revision == revision && (*old_name == name || (is_legacy && !origin.rename)) {
                if *old_name != name {
                    let problem = format!("it opens {name} only; upgrade() gives the file its new name");
                    self.report.python_problems.push(PythonProblem { file: old_name.clone(), problem });
                }
                let (store, action) = (role.to_string(), Action::Unchanged);
                let (name, size, digest) = (origin.file.name, origin.file.size, origin.digest);
                self.changes.keep.push(KeptFile { name: name.clone(), size, digest });
                self.pending.push((FileReport { name, store, action, size, digest: Some(digest) }, None));
                return Ok(());
            }
            if is_still {
                self.changes.known.insert(old_name.clone(), origin.digest);
            }
            if is_legacy && now.is_some() && !self.writer.listing().contains_key(&name) {
                self.removed.push((role.clone(), LEGACY_VECTOR_STORE.to_owned()));
            }
        }
        let (content, action) = match read_origin(self.ctx, &role, revision).await {
            Some(bytes) => (Content::Bytes(bytes), Action::Copied),
            None => (content, Action::Written),
        };
        let report = FileReport { name: name.clone(), store: role.to_string(), action, size: 0, digest: None };
        self.pending.push((report, Some((role, revision))));
        self.changes.write.push(PersistFile::new(name, content));
        Ok(())
    }

    /// The files of stores that were taken out of the context are deleted, and so are those of the context that is
    /// replaced.
    fn remove_dropped(&mut self) {
        let roles = self.ctx.origins().roles_at(&self.identity);
        let mut dropped: Vec<(Role, String)> = roles.into_iter().filter(|(role, _)| !self.has_store(role)).collect();
        if let (Expectation::Anything, Some(manifest)) = (&self.expected, self.writer.manifest()) {
            let replaced = manifest.files.iter().filter_map(|file| Some((self.names.role(&file.name)?, &file.name)));
            dropped.extend(replaced.filter(|(role, _)| !self.has_store(role)).map(|(role, name)| (role, name.clone())));
        }
        for (role, name) in dropped {
            let taken = self.pending.iter().any(|(report, _)| report.name == name);
            if !taken && !self.removed.iter().any(|(_, removed)| *removed == name) {
                self.removed.push((role, name));
            }
        }
    }

    fn has_store(&self, role: &Role) -> bool {
        match role {
            Role::Docstore | Role::IndexStore | Role::GraphStore => true,
            Role::PropertyGraphStore => self.ctx.property_graph_store().is_some(),
            Role::VectorStore(namespace) => self.ctx.vector_store_of(namespace).is_some(),
        }
    }

    /// Brings along the files of LlamaIndex that lay beside the context's where it was opened; tells of all others.
    async fn carry_along(&mut self) {
        let beside = self.ctx.origins().beside.as_ref().map(|(place, files)| (Arc::clone(place), files.clone()));
        let Some((from, files)) = beside.filter(|(from, _)| from.identity() != self.identity) else { return };
        for name in files {
            let taken =
                self.writer.listing().contains_key(&name) || self.pending.iter().any(|(report, _)| report.name == name);
            if taken || !is_llama_index_file(&name) {
                self.report.left_behind.push(name);
                continue;
            }
            match from.read(&name, Limits::default().file_size).await {
                Ok(Some(bytes)) => {
                    let store = "beside the stores".to_owned();
                    let report =
                        FileReport { name: name.clone(), store, action: Action::Copied, size: 0, digest: None };
                    self.pending.push((report, None));
                    self.changes.write.push(PersistFile::new(name, Content::Bytes(bytes)));
                }
                // One that is gone by now needs no telling.
                Ok(None) => {}
                Err(_) => self.report.left_behind.push(name),
            }
        }
    }

    /// Tells of files that are there and that opening the place will take for stores of this context.
    fn tell_of_strangers(&mut self) {
        let ours = |name: &String| {
            self.pending.iter().any(|(report, _)| report.name == *name)
                || self.removed.iter().any(|(_, removed)| removed == name)
        };
        let names = self.names;
        let opens = |name: &String| names.namespace(name).is_some() || *name == names.property_graph_store;
        self.report.already_there =
            self.writer.listing().keys().filter(|name| opens(name) && !ours(name)).cloned().collect();
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
        changes.remove = self.removed.iter().map(|(_, name)| name.clone()).collect();
        let newest = self.writer.manifest().map(|manifest| (manifest.generation, manifest.commit.clone()));
        let mut listing = self.writer.listing().clone();
        let mut written: HashMap<String, Written> = HashMap::new();
        let (mut newest, mut unpublished) = (newest, None);
        if !(changes.write.is_empty() && changes.remove.is_empty()) {
            let committed =
                commit_remembered(self.ctx, &self.identity, commit, self.writer, changes, &self.pending).await?;
            newest = Some((committed.manifest.generation, committed.manifest.commit));
            written.extend(committed.written.into_iter().map(|file| (file.name.clone(), file)));
            self.report.overtaken = committed.foreign;
            self.report.uncollected = committed.uncollected.map(|e| e.to_string());
            unpublished = committed.unpublished;
            // It is done. A place that cannot be listed just now only leaves nothing to know its files by later.
            listing = match unpublished {
                None => list(self.place).await.unwrap_or_default(),
                Some(_) => Default::default(),
            };
        }
        self.report.generation = newest.as_ref().map(|(generation, _)| *generation);
        for (mut report, state) in self.pending {
            if let Some(Written { size, digest, .. }) = written.remove(&report.name) {
                (report.size, report.digest) = (size, Some(digest));
                if let Some((role, revision)) = state {
                    // If someone has written it again already, this is not the file that we know.
                    let listed = listing.get(&report.name).filter(|file| file.size == size).cloned();
                    let known = || FileInfo { name: report.name.clone(), size, version: None, modified: None };
                    let (place, file) = (Arc::clone(self.place), listed.unwrap_or_else(known));
                    let origin = Origin { place, file, digest, revision, copyable: true, rename: false };
                    self.ctx.origins().remember(role, origin);
                }
            }
            self.report.files.push(report);
        }
        for (role, name) in self.removed {
            if !self.report.files.iter().any(|file| file.store == role.to_string()) {
                self.ctx.origins().forget(&role, &self.identity);
            }
            let store = role.to_string();
            self.report.files.push(FileReport { name, store, action: Action::Removed, size: 0, digest: None });
        }
        let seen = Seen { newest, files: listing, ..Seen::default() };
        *self.ctx.origins().seen_mut(&self.identity) = seen;
        self.report.python_problems.sort_by(|a, b| a.file.cmp(&b.file));
        match (unpublished, self.report.generation) {
            (Some(source), Some(generation)) => {
                Err(Error::Unpublished { place: self.place.location(), generation, source })
            }
            _ => Ok(self.report),
        }
    }
}

/// Makes the commit. Should it be broken off after it was made, the context knows it again by its id.
async fn commit_remembered(
    ctx: &StorageContext,
    identity: &str,
    commit: String,
    writer: PreparedWriter<'_>,
    changes: Changes,
    pending: &[(FileReport, Option<(Role, Revision)>)],
) -> Result<Committed> {
    let states = pending.iter().filter_map(|(report, state)| {
        let (role, revision) = state.clone()?;
        Some((report.name.clone(), role, revision))
    });
    let attempt = Attempt { commit, states: states.collect() };
    ctx.origins().seen_mut(identity).begin(attempt);
    let committed = writer.commit(changes).await;
    if let Err(persist::Error::Conflict { .. }) = &committed {
        ctx.origins().seen_mut(identity).attempts.remove(0);
    }
    Ok(committed?)
}

async fn list(place: &Place) -> Result<std::collections::BTreeMap<String, FileInfo>> {
    Ok(place.list(Folder::Published).await?.into_iter().map(|file| (file.name.clone(), file)).collect())
}

/// The bytes of a file that holds this state of the store, if one is still as it was.
async fn read_origin(ctx: &StorageContext, role: &Role, revision: Revision) -> Option<Bytes> {
    let origins: Vec<Origin> = ctx.origins().of(role, revision).filter(|origin| origin.copyable).cloned().collect();
    for origin in origins {
        // One that is gone, or cannot be read any more, is no reason to fail: the store is in memory.
        if let Ok(Some(bytes)) = origin.place.read(&origin.file.name, origin.file.size).await
            && Digest::of(&bytes) == origin.digest
        {
            return Some(bytes);
        }
    }
    None
}

/// Whether LlamaIndex leaves files of this name beside a context's: other kinds of stores, a pipeline's cache, older
/// layouts.
fn is_llama_index_file(name: &str) -> bool {
    matches!(
        name,
        "id_map.json"
            | "image_store.json"
            | "chat_store.json"
            | "llama_cache"
            | "graph_store.json"
            | "property_graph_store.json"
    ) || name.ends_with(LEGACY_VECTOR_STORE)
}
