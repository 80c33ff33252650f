//! Following a location: opening a context again once what it was opened from has changed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use fs_backends::Place;
use persist::{ATTEMPTS, FileInfo, KnownFile, PersistFs, Snapshot, StoreFile};

use crate::file_names::LEGACY_VECTOR_STORE;
use crate::open::Opening;
use crate::origin::{Location, Origin, Origins, Role, Seen};
use crate::{DEFAULT_NAMESPACE, Error, FileNames, OpenOptions, Result, StorageContext, StorageContextBuilder};

/// How a context is opened again.
#[derive(Debug, Clone, Default)]
pub struct ReopenOptions {
    /// The location to follow: one that the context was opened from or persisted to. Default: the one that it was opened
    /// from, or else the one that it was last persisted to.
    pub location: Option<Place>,
    /// How the changed files are opened. Default: as the context was opened.
    pub open: Option<OpenOptions>,
}

/// What [`StorageContext::reopen_if_changed_with`] has found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Reopened {
    /// The location holds what the context has seen or persisted there.
    Unchanged {
        /// Whether the location could be listed. If not, only commits by Colca are noticed, and not the files that other
        /// programs write.
        listed: bool,
    },
    /// The location has changed: this is the context that it holds now.
    Changed(StorageContext),
}

impl Reopened {
    /// The new context, if the location has changed.
    pub fn into_changed(self) -> Option<StorageContext> {
        match self {
            Self::Unchanged { .. } => None,
            Self::Changed(ctx) => Some(ctx),
        }
    }
}

impl StorageContext {
    /// Opens the context again if the location that it was opened from has changed. `None` if the location still holds
    /// what this context has seen there, or has itself persisted there.
    ///
    /// A context that was not opened follows the location that it was last persisted to. Commits by Colca are noticed,
    /// and files that other programs write, add or delete. While nothing changes this costs one listing and the look at
    /// the newest manifest, and no file of a store is read. After a change only the files that have changed are read: the
    /// new context shares all other stores with this one, as the same handles. All its stores are of one generation, as
    /// with [`open`](Self::open). This context keeps its stores and stays usable; what is changed in a shared store
    /// through one context shows in both.
    ///
    /// The new context is opened as this one was, with the same options, file names and loaders. Stores that were given
    /// when this context was opened are handed on as they are, and so are those that keep themselves. Follow the
    /// location further with the new context.
    ///
    /// Changes of this context that were not persisted there would not be in the new one. If there are any and the
    /// location has changed, that is a conflict.
    ///
    /// ```
    /// # use persist::MemoryFs;
    /// use schema::Node;
    /// use storage_context::StorageContext;
    ///
    /// # pollster::block_on(async {
    /// # let location = MemoryFs::new();
    /// # let job = StorageContext::in_memory();
    /// # job.persist(location.clone()).await?;
    /// let mut ctx = StorageContext::open(location.clone()).await?;
    /// assert!(ctx.reopen_if_changed().await?.is_none());
    ///
    /// job.docstore().add_documents(&[Node::text("The colca is a storehouse.").with_id("n1")]).await?;
    /// job.persist(location).await?;
    ///
    /// if let Some(newer) = ctx.reopen_if_changed().await? {
    ///     ctx = newer;
    /// }
    /// assert!(ctx.docstore().document_exists("n1").await?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::Unpersisted`], which [is a conflict](Error::is_conflict); [`Error::NoLocation`]; those of
    /// [`open`](Self::open). After an error nothing has changed, and the call can be repeated: another program that is
    /// writing a file in place leaves a damaged one for a moment.
    pub async fn reopen_if_changed(&self) -> Result<Option<Self>> {
        let reopened = self.reopen_if_changed_with(&ReopenOptions::default()).await?;
        Ok(reopened.into_changed())
    }

    /// As [`reopen_if_changed`](Self::reopen_if_changed), with options. The result also says whether the location could be
    /// listed; for a new context its [open report](Self::open_report) does.
    ///
    /// # Errors
    /// As [`reopen_if_changed`](Self::reopen_if_changed); [`Error::UnknownLocation`].
    pub async fn reopen_if_changed_with(&self, options: &ReopenOptions) -> Result<Reopened> {
        // A persist of this context that is under way is no change by others.
        let _one_at_a_time = self.inner.persisting.lock().await;
        let from = self.followed(options.location.as_ref())?;
        let mut attempt = 1;
        loop {
            match self.reopen_once(&from, options).await {
                Err(e) if e.restarts() && attempt < ATTEMPTS => attempt += 1,
                done => return done,
            }
        }
    }

    async fn reopen_once(&self, from: &Location, options: &ReopenOptions) -> Result<Reopened> {
        let place = &from.place;
        let open_options = options.open.as_ref().unwrap_or(&self.inner.open_options).clone();
        let known = self.origins().seen(&from.identity).cloned().unwrap_or_default();
        let parts = self.kept_parts(from, known.names.clone(), open_options);
        let identity: Arc<str> = place.identity().into();
        let snapshot = Snapshot::take(&**place, parts.read_options()).await?;
        let seen = self.adopt(place, &from.identity, known.clone(), snapshot.manifest());
        let (adopted, moved) = (seen.newest != known.newest, identity != from.identity);
        if adopted {
            *self.origins().seen_mut(&from.identity) = seen.clone();
        }
        let kept = parts.given();
        let commit = seen.newest.as_ref().map(|(_, commit)| commit.clone());
        let relevant = |name: &str| is_relevant(&seen.names, &kept, snapshot.listing(), name);
        if !adopted && !moved && snapshot.is_unchanged_since(commit.as_deref(), &seen.files, relevant) {
            return Ok(Reopened::Unchanged { listed: snapshot.is_listed() });
        }
        let is_new_generation = snapshot.manifest().map(|manifest| &manifest.commit) != commit.as_ref();
        let (listed, had_context) = (snapshot.is_listed(), self.origins().all_at(&from.identity).next().is_some());
        let following = Following::new(self, from, moved, commit, kept);
        let mut opening = Opening::new(parts, place, identity, snapshot, Some(following));
        if !had_context && !opening.has_context() {
            // The context was made because there was nothing, and there still is not.
            return Ok(Reopened::Unchanged { listed });
        }
        if is_new_generation || moved {
            opening.note_change()?;
        }
        opening.read_stores().await?;
        match opening.confirm_unchanged() {
            true => Ok(Reopened::Unchanged { listed }),
            false => opening.finish().await.map(Reopened::Changed),
        }
    }

    /// The location that is followed.
    fn followed(&self, given: Option<&Place>) -> Result<Location> {
        let origins = self.origins();
        match given {
            None => origins.opened_from.as_ref().or(origins.persisted_to.as_ref()).cloned().ok_or(Error::NoLocation),
            Some(place) => {
                let location = Location { place: Arc::clone(place), identity: place.identity().into() };
                match origins.seen(&location.identity) {
                    Some(_) => Ok(location),
                    None => Err(Error::UnknownLocation { place: place.location() }),
                }
            }
        }
    }

    /// The stores that a context which is opened again has from this one whatever the location holds, and how it is
    /// opened.
    fn kept_parts(&self, from: &Location, file_names: FileNames, open_options: OpenOptions) -> StorageContextBuilder {
        let kept = |role: &Role| self.is_kept(role, &from.identity);
        let is_kept = |namespace: &String| kept(&Role::VectorStore(namespace.clone()));
        StorageContextBuilder {
            docstore: kept(&Role::Docstore).then(|| self.docstore().clone()),
            index_store: kept(&Role::IndexStore).then(|| self.index_store().clone()),
            graph_store: kept(&Role::GraphStore).then(|| Arc::clone(self.graph_store())),
            property_graph_store: self.property_graph_store().filter(|_| kept(&Role::PropertyGraphStore)).cloned(),
            vector_stores: self.vector_stores().into_iter().filter(|(namespace, _)| is_kept(namespace)).collect(),
            file_names,
            registry: self.inner.registry.clone(),
            open_options,
        }
    }

    /// Whether a store was given when the context was opened, or keeps itself and was not read from a file.
    fn is_kept(&self, role: &Role, identity: &str) -> bool {
        let (given, was_read) = {
            let origins = self.origins();
            let was_read = origins.at(role, identity).is_some_and(|origin| origin.revision.is_none());
            (origins.given.contains(role), was_read)
        };
        given || (!was_read && matches!(self.file_of(role), Some(None)))
    }

    /// The stores whose states are not what their files at a location hold, in words.
    fn unpersisted(&self, identity: &str, kept: &HashSet<Role>) -> Vec<String> {
        let mut stores = Vec::new();
        for role in self.roles().into_iter().filter(|role| !kept.contains(role)) {
            let Some(Some(StoreFile { revision, .. })) = self.file_of(&role) else { continue };
            let origins = self.origins();
            let persisted = match origins.at(&role, identity) {
                Some(origin) => origin.revision,
                None => origins.made_empty.get(&role).copied(),
            };
            if persisted != Some(revision) {
                stores.push(role.to_string());
            }
        }
        let files = self.origins().roles_at(identity);
        let removed = files.into_iter().filter(|(role, _)| !self.has_store(role));
        stores.extend(removed.map(|(role, _)| format!("{role}, which was taken out")));
        stores
    }

    /// Remembers the states of the stores that were made empty because there are no files for them: they have not been
    /// changed.
    pub(crate) fn remember_empty_stores(&self) {
        for role in self.roles() {
            let is_empty = {
                let origins = self.origins();
                let identity = origins.opened_from.as_ref().map(|from| &*from.identity);
                !origins.given.contains(&role) && identity.is_some_and(|from| origins.at(&role, from).is_none())
            };
            if is_empty && let Some(Some(StoreFile { revision, .. })) = self.file_of(&role) {
                self.origins().made_empty.insert(role, revision);
            }
        }
    }
}

/// Whether opening would read a file of this name.
fn is_relevant(names: &FileNames, kept: &HashSet<Role>, listing: &BTreeMap<String, FileInfo>, name: &str) -> bool {
    let is_passed_over = name == LEGACY_VECTOR_STORE && listing.contains_key(&names.vector_store(DEFAULT_NAMESPACE));
    !is_passed_over && names.role(name).is_some_and(|role| !kept.contains(&role))
}

/// A context that is opened again, and what it knows of the location.
pub(crate) struct Following<'a> {
    pub(crate) ctx: &'a StorageContext,
    /// The files that its stores were read from or written to, as far as they have not been compared yet.
    files: HashMap<Role, Origin>,
    /// The commit of the generation that was newest then.
    commit: Option<String>,
    /// The stores that are the new context's whatever the location holds.
    kept: HashSet<Role>,
    /// The stores with changes that are not persisted there, in words.
    unpersisted: Vec<String>,
    changed: bool,
}

impl<'a> Following<'a> {
    /// Follows a location, which may have moved: its path leads to other files since.
    fn new(ctx: &'a StorageContext, from: &Location, moved: bool, commit: Option<String>, kept: HashSet<Role>) -> Self {
        let mut files: HashMap<Role, Origin> = ctx
            .origins()
            .all_at(&from.identity)
            .filter(|(role, _)| !kept.contains(role))
            .map(|(role, origin)| (role.clone(), origin.clone()))
            .collect();
        if moved {
            // Versions are compared within one location only.
            files.values_mut().for_each(|origin| (origin.file.version, origin.file.modified) = (None, None));
        }
        let unpersisted = ctx.unpersisted(&from.identity, &kept);
        Self { ctx, files, commit, kept, unpersisted, changed: false }
    }

    /// What the new context knows of other locations, and of the stores that it has anyway.
    pub(crate) fn origins_elsewhere(&self, identity: &str) -> Origins {
        let origins = self.ctx.origins();
        let mut elsewhere = origins.elsewhere(identity);
        for (role, origin) in origins.all_at(identity).filter(|(role, _)| self.kept.contains(role)) {
            elsewhere.remember(role.clone(), origin.clone());
        }
        elsewhere
    }

    /// What is known of the file of a store.
    pub(crate) fn known(&self, role: &Role) -> Option<KnownFile> {
        let Origin { file, digest, .. } = self.files.get(role)?;
        Some(KnownFile { info: file.clone(), digest: *digest, commit: self.commit.clone() })
    }

    /// The same, to be compared now.
    pub(crate) fn take(&mut self, role: &Role) -> Option<(KnownFile, Origin)> {
        let known = self.known(role)?;
        Some((known, self.files.remove(role)?))
    }

    /// Whether files that were there are not any more.
    pub(crate) fn lacks_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// Notes that the location has changed.
    ///
    /// # Errors
    /// [`Error::Unpersisted`] if the context has changes that would not be in the new one.
    pub(crate) fn note_change(&mut self, place: &dyn PersistFs) -> Result<()> {
        self.changed = true;
        match &*self.unpersisted {
            [] => Ok(()),
            stores => Err(Error::Unpersisted { place: place.location(), stores: stores.to_vec() }),
        }
    }

    pub(crate) fn has_changed(&self) -> bool {
        self.changed
    }

    /// Remembers the versions of files whose contents turned out to be the same.
    pub(crate) fn confirm(&self, identity: &str, compared: &Origins, read: BTreeMap<String, FileInfo>) {
        let mut origins = self.ctx.origins();
        for (role, origin) in compared.all_at(identity) {
            origins.remember(role.clone(), origin.clone());
        }
        let Seen { files, .. } = origins.seen_mut(identity);
        files.extend(read.into_iter().filter(|(_, file)| file.has_version()));
    }
}
