//! Opening a context: which files there are, and what each is.

use std::collections::BTreeMap;
use std::sync::Arc;

use docstore::KvDocumentStore;
use fs_backends::Place;
use graphstore::{SimpleGraphStore, SimplePropertyGraphStore};
use indexstore::KvIndexStore;
use kv_core::{KvStore, SimpleKvStore};
use persist::{ATTEMPTS, FileInfo, ReadFile, ReadOptions, Snapshot, StoreFile};
use raw_json::Text;

use crate::file_names::LEGACY_VECTOR_STORE;
use crate::open_report::absent_nodes;
use crate::origin::{Beside, Origin, Origins, Role, Seen};
use crate::single_file::is_single_file;
use crate::{
    DEFAULT_NAMESPACE, Error, FileNames, OpenOptions, OpenReport, Result, StorageContext, StorageContextBuilder,
};

/// Opens what was not given from a place. If there is nothing and `create`, it is made empty.
pub(crate) async fn open(parts: StorageContextBuilder, place: Place, create: bool) -> Result<StorageContext> {
    let mut attempt = 1;
    loop {
        let opening = Opening::new(parts.clone(), &place).await;
        let opened = match opening {
            Ok(opening) if create && !opening.has_context() => opening.create().await,
            Ok(opening) => opening.run().await,
            Err(e) => Err(e),
        };
        match opened {
            Err(e) if e.restarts() && attempt < ATTEMPTS => attempt += 1,
            done => return done,
        }
    }
}

fn read_options(parts: &StorageContextBuilder) -> ReadOptions {
    let OpenOptions { verify, limits, .. } = parts.open_options;
    ReadOptions { verify, limits }
}

/// A context that is being opened.
struct Opening<'a> {
    parts: StorageContextBuilder,
    place: &'a Place,
    /// What tells the place from others.
    identity: Arc<str>,
    snapshot: Snapshot<'a>,
    /// The files of the place that no store was read from, so far, by name.
    beside: BTreeMap<String, FileInfo>,
    /// The files that stores were read from.
    read: BTreeMap<String, FileInfo>,
    origins: Origins,
}

impl<'a> Opening<'a> {
    async fn new(parts: StorageContextBuilder, place: &'a Place) -> Result<Self> {
        let identity = place.identity().into();
        let snapshot = Snapshot::take(&**place, read_options(&parts)).await?;
        let beside = snapshot.files().into_iter().map(|file| (file.name.clone(), file)).collect();
        Ok(Self { parts, place, identity, snapshot, beside, read: BTreeMap::new(), origins: Origins::default() })
    }

    /// Whether any of a context's files is there.
    fn has_context(&self) -> bool {
        let names = &self.parts.file_names;
        self.beside.keys().any(|name| names.is_store(name))
    }

    /// An empty context, unless what is there seems to be one of another kind.
    async fn create(mut self) -> Result<StorageContext> {
        match self.hint().await? {
            Some(hint) => Err(self.missing(&self.parts.file_names.docstore, Some(hint))),
            None => {
                if self.parts.open_options.read_only {
                    self.origins.seen_mut(&self.identity).read_only = true;
                }
                Ok(self.parts.with_default_vector_stores().finish(self.origins, None))
            }
        }
    }

    async fn run(mut self) -> Result<StorageContext> {
        let names = self.parts.file_names.clone();
        let reads_nodes = self.parts.docstore.is_none() && self.parts.index_store.is_none();
        if self.parts.docstore.is_none() {
            let file = self.read_required(&names.docstore).await?;
            let kv = self.parse(&file, SimpleKvStore::from_text)?;
            self.remember(Role::Docstore, file, kv.to_file());
            self.parts.docstore = Some(KvDocumentStore::new(kv));
        }
        if self.parts.index_store.is_none() {
            let file = self.read_required(&names.index_store).await?;
            let kv = self.parse(&file, SimpleKvStore::from_text)?;
            self.remember(Role::IndexStore, file, kv.to_file());
            self.parts.index_store = Some(KvIndexStore::new(kv));
        }
        if self.parts.graph_store.is_none()
            && let Some(file) = self.read(&names.graph_store).await?
        {
            let store = self.parse(&file, SimpleGraphStore::from_text)?;
            self.remember(Role::GraphStore, file, Some(store.store_file()));
            self.parts.graph_store = Some(Arc::new(store));
        }
        if self.parts.property_graph_store.is_none()
            && let Some(file) = self.read(&names.property_graph_store).await?
        {
            let store = self.parse(&file, SimplePropertyGraphStore::from_text)?;
            self.remember(Role::PropertyGraphStore, file, Some(store.store_file()));
            self.parts.property_graph_store = Some(Arc::new(store));
        }
        for (namespace, file) in self.vector_store_files(&names) {
            self.open_vector_store(namespace, &file).await?;
        }
        let seen = Seen {
            newest: self.snapshot.manifest().map(|manifest| (manifest.generation, manifest.commit.clone())),
            files: self.read.into_iter().chain(self.beside.clone()).collect(),
            read_only: self.parts.open_options.read_only,
            ..Seen::default()
        };
        let mut report = OpenReport {
            place: self.place.location(),
            generation: seen.newest.as_ref().map(|(generation, _)| *generation),
            findings: self.snapshot.findings().to_vec(),
            absent_nodes: Vec::new(),
        };
        *self.origins.seen_mut(&self.identity) = seen;
        self.origins.beside = Some(Beside {
            place: Arc::clone(self.place),
            identity: self.identity,
            names: self.beside.into_keys().collect(),
            options: read_options(&self.parts),
        });
        let others_wrote = report.generation.is_none() || !report.findings.is_empty();
        if let (Some(docstore), Some(index_store)) = (&self.parts.docstore, &self.parts.index_store)
            && (reads_nodes && others_wrote)
        {
            report.absent_nodes = absent_nodes(docstore, index_store).await?;
        }
        Ok(self.parts.finish(self.origins, Some(report)))
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
        let Some(file) = self.read(name).await? else { return Ok(()) };
        let store = self.parts.registry.load(file.bytes.clone()).map_err(|e| match e {
            vectorstore::Error::Unrecognised { seems, advice, .. } => Error::Damaged {
                place: self.place.location(),
                file: name.to_owned(),
                seems: Some(seems),
                source: advice.into(),
            },
            other => self.damaged(&file, other),
        })?;
        self.remember(Role::VectorStore(namespace.clone()), file, store.to_file());
        self.parts.vector_stores.insert(namespace, store);
        Ok(())
    }

    /// Reads a file, if the place has it.
    async fn read(&mut self, name: &str) -> Result<Option<ReadFile>> {
        if !self.beside.contains_key(name) {
            return Ok(None);
        }
        let file = self.snapshot.read(name).await?;
        let listed = self.beside.remove(name);
        // Of a file that was read from what is staged, the published one was seen all the same: a persist may replace it.
        let published = file.as_ref().map(|file| &file.info).filter(|info| info.version.is_some()).cloned().or(listed);
        self.read.extend(published.filter(|_| file.is_some()).map(|info| (name.to_owned(), info)));
        Ok(file)
    }

    async fn read_required(&mut self, name: &str) -> Result<ReadFile> {
        match self.read(name).await? {
            Some(file) => Ok(file),
            None => {
                let hint = self.hint().await?;
                Err(self.missing(name, hint))
            }
        }
    }

    /// Remembers which state of a store a file holds.
    fn remember(&mut self, role: Role, file: ReadFile, state: Option<StoreFile>) {
        let Some(StoreFile { revision, .. }) = state else { return };
        // A file that is no text at all belongs to a kind of store of its own.
        let copyable = Text::decode(file.bytes.clone()).map_or(true, |text| text.encoding().is_utf8());
        let origin = Origin {
            place: Arc::clone(self.place),
            identity: Arc::clone(&self.identity),
            digest: file.digest,
            file: file.info,
            revision,
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
