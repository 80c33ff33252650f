//! Opening a context: which files there are, and what each is.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use docstore::KvDocumentStore;
use fs_backends::Place;
use graphstore::{SimpleGraphStore, SimplePropertyGraphStore};
use indexstore::KvIndexStore;
use kv_core::{KvStore, SimpleKvStore};
use persist::{ATTEMPTS, ComparedFile, FileInfo, ReadFile, ReadOptions, Snapshot, StoreFile};
use raw_json::Text;

use crate::file_names::LEGACY_VECTOR_STORE;
use crate::open_report::absent_nodes;
use crate::origin::{Beside, Location, Origin, Origins, Role, Seen};
use crate::reopening::Following;
use crate::single_file::is_single_file;
use crate::{
    DEFAULT_NAMESPACE, Error, FileNames, OpenOptions, OpenReport, Result, StorageContext, StorageContextBuilder,
};

/// Opens what was not given from a place. If there is nothing and `create`, it is made empty.
pub(crate) async fn open(parts: StorageContextBuilder, place: Place, create: bool) -> Result<StorageContext> {
    let mut attempt = 1;
    loop {
        match open_once(parts.clone(), &place, create).await {
            Err(e) if e.restarts() && attempt < ATTEMPTS => attempt += 1,
            done => return done,
        }
    }
}

async fn open_once(parts: StorageContextBuilder, place: &Place, create: bool) -> Result<StorageContext> {
    let snapshot = Snapshot::take(&**place, parts.read_options()).await?;
    let mut opening = Opening::new(parts, place, place.identity().into(), snapshot, None);
    if create && !opening.has_context() {
        return opening.create().await;
    }
    opening.read_stores().await?;
    opening.finish().await
}

/// A context that is being opened.
pub(crate) struct Opening<'a> {
    parts: StorageContextBuilder,
    /// The stores that were given.
    given: HashSet<Role>,
    place: &'a Place,
    /// What tells the place from others.
    identity: Arc<str>,
    snapshot: Snapshot<'a>,
    /// The files of the place that no store was read from, so far, by name.
    beside: BTreeMap<String, FileInfo>,
    /// The files that stores were read from.
    read: BTreeMap<String, FileInfo>,
    origins: Origins,
    /// The context that is opened again.
    following: Option<Following<'a>>,
}

impl<'a> Opening<'a> {
    pub(crate) fn new(
        parts: StorageContextBuilder,
        place: &'a Place,
        identity: Arc<str>,
        snapshot: Snapshot<'a>,
        following: Option<Following<'a>>,
    ) -> Self {
        let beside = snapshot.files().into_iter().map(|file| (file.name.clone(), file)).collect();
        let origins = following.as_ref().map(|following| following.origins_elsewhere(&identity)).unwrap_or_default();
        let (given, read) = (parts.given(), BTreeMap::new());
        Self { parts, given, place, identity, snapshot, beside, read, origins, following }
    }

    /// Whether any of a context's files is there.
    pub(crate) fn has_context(&self) -> bool {
        let names = &self.parts.file_names;
        self.beside.keys().any(|name| names.is_store(name))
    }

    /// An empty context, unless what is there seems to be one of another kind.
    async fn create(mut self) -> Result<StorageContext> {
        if let Some(hint) = self.hint().await? {
            return Err(self.missing(&self.parts.file_names.docstore, Some(hint)));
        }
        let OpenOptions { read_only, .. } = self.parts.open_options;
        let seen = Seen { read_only, names: self.parts.file_names.clone(), ..Seen::default() };
        self.parts = self.parts.with_default_vector_stores();
        Ok(self.into_context(seen, None))
    }

    /// Reads the stores that were not given, and shares those whose files are the same with the context that is followed.
    pub(crate) async fn read_stores(&mut self) -> Result<()> {
        let names = self.parts.file_names.clone();
        self.announce(&names);
        if self.parts.docstore.is_none()
            && let Some(file) = self.read(&Role::Docstore, &names.docstore).await?
        {
            let kv = self.parse(&file, SimpleKvStore::from_text)?;
            self.remember(Role::Docstore, file, kv.to_file());
            self.parts.docstore = Some(KvDocumentStore::new(kv));
        }
        self.require(self.parts.docstore.is_some(), &names.docstore).await?;
        if self.parts.index_store.is_none()
            && let Some(file) = self.read(&Role::IndexStore, &names.index_store).await?
        {
            let kv = self.parse(&file, SimpleKvStore::from_text)?;
            self.remember(Role::IndexStore, file, kv.to_file());
            self.parts.index_store = Some(KvIndexStore::new(kv));
        }
        self.require(self.parts.index_store.is_some(), &names.index_store).await?;
        if self.parts.graph_store.is_none()
            && let Some(file) = self.read(&Role::GraphStore, &names.graph_store).await?
        {
            let store = self.parse(&file, SimpleGraphStore::from_text)?;
            self.remember(Role::GraphStore, file, Some(store.store_file()));
            self.parts.graph_store = Some(Arc::new(store));
        }
        if self.parts.property_graph_store.is_none()
            && let Some(file) = self.read(&Role::PropertyGraphStore, &names.property_graph_store).await?
        {
            let store = self.parse(&file, SimplePropertyGraphStore::from_text)?;
            self.remember(Role::PropertyGraphStore, file, Some(store.store_file()));
            self.parts.property_graph_store = Some(Arc::new(store));
        }
        for (namespace, file) in self.vector_store_files(&names) {
            self.open_vector_store(namespace, &file).await?;
        }
        match &mut self.following {
            Some(following) if following.lacks_files() => following.note_change(&**self.place),
            _ => Ok(()),
        }
    }

    /// Announces the files that will be read, so that it is known from the beginning how much that is.
    fn announce(&mut self, names: &FileNames) {
        let single = [Role::Docstore, Role::IndexStore, Role::GraphStore, Role::PropertyGraphStore];
        let single = single.into_iter().filter(|role| !self.given.contains(role)).map(|role| (names.of(&role), role));
        let vectors = self.vector_store_files(names).into_iter();
        let vectors = vectors.map(|(namespace, name)| (name, Role::VectorStore(namespace)));
        for (name, role) in single.chain(vectors).collect::<Vec<_>>() {
            let known = self.following.as_ref().and_then(|following| following.known(&role));
            self.snapshot.expect(&name, known.as_ref());
        }
    }

    /// The context of all stores.
    pub(crate) async fn finish(self) -> Result<StorageContext> {
        let seen = Seen {
            newest: self.snapshot.manifest().map(|manifest| (manifest.generation, manifest.commit.clone())),
            files: self.read.iter().chain(&self.beside).map(|(name, file)| (name.clone(), file.clone())).collect(),
            read_only: self.parts.open_options.read_only,
            names: self.parts.file_names.clone(),
            ..Seen::default()
        };
        let mut report = OpenReport {
            place: self.place.location(),
            generation: seen.newest.as_ref().map(|(generation, _)| *generation),
            findings: self.snapshot.findings().to_vec(),
            absent_nodes: Vec::new(),
        };
        let reads_nodes = !self.given.contains(&Role::Docstore) && !self.given.contains(&Role::IndexStore);
        let others_wrote = report.generation.is_none() || !report.findings.is_empty();
        if let (Some(docstore), Some(index_store)) = (&self.parts.docstore, &self.parts.index_store)
            && (reads_nodes && others_wrote)
        {
            report.absent_nodes = absent_nodes(docstore, index_store).await?;
        }
        Ok(self.into_context(seen, Some(report)))
    }

    fn into_context(self, seen: Seen, report: Option<OpenReport>) -> StorageContext {
        let Self { parts, given, place, identity, beside, mut origins, .. } = self;
        if report.is_some() {
            origins.beside = Some(Beside {
                place: Arc::clone(place),
                identity: Arc::clone(&identity),
                names: beside.into_keys().collect(),
                options: ReadOptions { progress: None, ..parts.read_options() },
            });
        }
        origins.given = given;
        origins.remember_opened(Location { place: Arc::clone(place), identity }, seen);
        let ctx = parts.finish(origins, report);
        ctx.remember_empty_stores();
        ctx
    }

    /// The vector stores that were not given, with their files, in order of names.
    fn vector_store_files(&self, names: &FileNames) -> Vec<(String, String)> {
        let mut files: Vec<(String, String)> =
            self.beside.keys().filter_map(|file| Some((names.namespace(file)?.to_owned(), file.clone()))).collect();
        let is_there = |file: &str| self.beside.contains_key(file);
        if !is_there(&names.vector_store(DEFAULT_NAMESPACE)) && is_there(LEGACY_VECTOR_STORE) {
            files.insert(0, (DEFAULT_NAMESPACE.to_owned(), LEGACY_VECTOR_STORE.to_owned()));
        }
        files.retain(|(namespace, _)| !self.parts.vector_stores.contains_key(namespace));
        files
    }

    async fn open_vector_store(&mut self, namespace: String, name: &str) -> Result<()> {
        let role = Role::VectorStore(namespace.clone());
        let Some(file) = self.read(&role, name).await? else { return Ok(()) };
        let store = self.parts.registry.load(file.bytes.clone()).map_err(|e| match e {
            vectorstore::Error::Unrecognised { seems, advice, .. } => Error::Damaged {
                place: self.place.location(),
                file: name.to_owned(),
                seems: Some(seems),
                source: advice.into(),
            },
            other => self.damaged(&file, other),
        })?;
        self.remember(role, file, store.to_file());
        self.parts.vector_stores.insert(namespace, store);
        Ok(())
    }

    /// Reads the file of a store. `None` if the location has none, or if the store is shared with the context that is
    /// followed.
    async fn read(&mut self, role: &Role, name: &str) -> Result<Option<ReadFile>> {
        if !self.beside.contains_key(name) {
            return Ok(None);
        }
        let known = self.following.as_mut().and_then(|following| following.take(role));
        let found = match &known {
            Some((file, _)) => self.snapshot.read_if_changed(name, file).await?,
            None => self.snapshot.read(name).await?.map(ComparedFile::Changed),
        };
        let listed = self.beside.remove(name);
        let info = match &found {
            Some(ComparedFile::Same(info)) => Some(info),
            Some(ComparedFile::Changed(file)) => Some(&file.info),
            None => None,
        };
        // Of a file that was read from what is staged, the published one was seen all the same: a persist may replace it.
        let published = info.filter(|info| info.version.is_some()).cloned().or(listed);
        self.read.extend(published.filter(|_| found.is_some()).map(|info| (name.to_owned(), info)));
        match (found, known) {
            (Some(ComparedFile::Same(info)), Some((_, origin))) => {
                self.share(role, origin, info);
                Ok(None)
            }
            (Some(ComparedFile::Changed(file)), _) => {
                self.note_change()?;
                Ok(Some(file))
            }
            (_, Some(_)) => self.note_change().map(|()| None),
            (_, None) => Ok(None),
        }
    }

    /// Takes a store over from the context that is followed, as its file holds what it was read from.
    fn share(&mut self, role: &Role, origin: Origin, now: FileInfo) {
        let Some(ctx) = self.following.as_ref().map(|following| following.ctx) else { return };
        match role {
            Role::Docstore => self.parts.docstore = Some(ctx.docstore().clone()),
            Role::IndexStore => self.parts.index_store = Some(ctx.index_store().clone()),
            Role::GraphStore => self.parts.graph_store = Some(Arc::clone(ctx.graph_store())),
            Role::PropertyGraphStore => self.parts.property_graph_store = ctx.property_graph_store().cloned(),
            Role::VectorStore(namespace) => {
                let store = ctx.vector_store_of(namespace);
                self.parts.vector_stores.extend(store.map(|store| (namespace.clone(), store)));
            }
        }
        // What was known of the published file is still true of it if it has not been looked at.
        let file = if now.has_version() || now.name != origin.file.name { now } else { origin.file.clone() };
        let (place, identity) = (Arc::clone(self.place), Arc::clone(&self.identity));
        self.origins.remember(role.clone(), Origin { place, identity, file, ..origin });
    }

    /// Notes that the location no longer holds what the context that is followed has seen there.
    pub(crate) fn note_change(&mut self) -> Result<()> {
        match &mut self.following {
            Some(following) => following.note_change(&**self.place),
            None => Ok(()),
        }
    }

    /// Whether anything has changed since the context that is followed was opened; if not, what was seen is remembered in
    /// it, so that no file need be read to find that out again.
    pub(crate) fn confirm_unchanged(&mut self) -> bool {
        match &self.following {
            Some(following) if !following.has_changed() => {
                following.confirm(&self.identity, &self.origins, std::mem::take(&mut self.read));
                true
            }
            _ => false,
        }
    }

    async fn require(&mut self, is_there: bool, name: &str) -> Result<()> {
        if is_there {
            return Ok(());
        }
        let hint = self.hint().await?;
        Err(self.missing(name, hint))
    }

    /// Remembers which state of a store a file holds.
    fn remember(&mut self, role: Role, file: ReadFile, state: Option<StoreFile>) {
        // A file that is no text at all belongs to a kind of store of its own.
        let copyable = Text::decode(file.bytes.clone()).map_or(true, |text| text.encoding().is_utf8());
        let origin = Origin {
            place: Arc::clone(self.place),
            identity: Arc::clone(&self.identity),
            digest: file.digest,
            file: file.info,
            revision: state.map(|state| state.revision),
            copyable,
            rename: false,
        };
        self.origins.remember(role, origin);
    }

    fn missing(&self, file: &str, hint: Option<String>) -> Error {
        let present = self.beside.keys().cloned().collect();
        Error::MissingFile { place: self.place.location(), file: file.to_owned(), hint, present }
    }

    /// What a place without the needed files seems to be.
    async fn hint(&mut self) -> Result<Option<String>> {
        if self.beside.contains_key("doc_store.json") {
            return Ok(Some("doc_store.json is of LlamaIndexTS, whose stores have another form".to_owned()));
        }
        let mut json = self.beside.keys().filter(|name| name.ends_with(".json"));
        if let (Some(file), None) = (json.next(), json.next())
            && let Some(read) = self.snapshot.read(file).await?
            && is_single_file(&read.bytes)
        {
            return Ok(Some(format!(
                "{file} is an index saved by LlamaIndex 0.5 or before: StorageContext::from_single_file converts it"
            )));
        }
        Ok(None)
    }

    fn parse<T, E>(&self, file: &ReadFile, parse: impl FnOnce(&Text) -> Result<T, E>) -> Result<T>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let text = Text::decode(file.bytes.clone()).map_err(|e| self.damaged(file, e))?;
        parse(&text).map_err(|e| self.damaged(file, e))
    }

    fn damaged(&self, file: &ReadFile, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::Damaged {
            place: self.place.location(),
            file: file.info.name.clone(),
            seems: vectorstore::sniff(&file.bytes),
            source: Box::new(source),
        }
    }
}
