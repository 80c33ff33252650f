//! Opening a context: which files there are, and what each is.

use std::sync::Arc;

use bytes::Bytes;
use docstore::KvDocumentStore;
use fs_backends::Place;
use graphstore::{SimpleGraphStore, SimplePropertyGraphStore};
use indexstore::KvIndexStore;
use kv_core::{KvStore, SimpleKvStore};
use persist::{Digest, FileInfo, StoreFile};
use raw_json::Text;

use crate::file_names::LEGACY_VECTOR_STORE;
use crate::origin::{Origin, Origins, Role};
use crate::single_file::is_single_file;
use crate::{DEFAULT_NAMESPACE, Error, FileNames, Result, StorageContext, StorageContextBuilder};

/// A context that is being opened.
pub(crate) struct Opening {
    parts: StorageContextBuilder,
    place: Place,
    /// The files of the place that no store was read from, so far.
    beside: Vec<FileInfo>,
    origins: Origins,
}

impl Opening {
    pub(crate) async fn new(parts: StorageContextBuilder, place: Place) -> Result<Self> {
        let beside = place.list().await?;
        Ok(Self { parts, place, beside, origins: Origins::default() })
    }

    /// Whether any of a context's files is there.
    pub(crate) fn has_context(&self) -> bool {
        let names = &self.parts.file_names;
        self.beside.iter().any(|file| {
            [&names.docstore, &names.index_store, &names.graph_store, &names.property_graph_store].contains(&&file.name)
                || file.name == LEGACY_VECTOR_STORE
                || names.namespace(&file.name).is_some()
        })
    }

    /// An empty context, unless what is there seems to be one of another kind.
    pub(crate) async fn create(self) -> Result<StorageContext> {
        match self.hint().await? {
            Some(hint) => Err(self.missing(&self.parts.file_names.docstore, Some(hint))),
            None => Ok(self.parts.build()),
        }
    }

    pub(crate) async fn run(mut self) -> Result<StorageContext> {
        let names = self.parts.file_names.clone();
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
        let beside = self.beside.into_iter().map(|file| file.name).collect();
        self.origins.beside = Some((self.place, beside));
        Ok(self.parts.finish(self.origins))
    }

    /// The vector stores that were not given, with their files, in order of names.
    fn vector_store_files(&self, names: &FileNames) -> Vec<(String, String)> {
        let mut files: Vec<(String, String)> = self
            .beside
            .iter()
            .filter_map(|file| Some((names.namespace(&file.name)?.to_owned(), file.name.clone())))
            .collect();
        let is_there = |file: &str| self.beside.iter().any(|there| there.name == file);
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
        let Some(at) = self.beside.iter().position(|there| there.name == name) else { return Ok(None) };
        let Some(bytes) = self.place.read(name).await? else {
            return Err(persist::Error::NotFound { place: self.place.location(), name: name.to_owned() }.into());
        };
        let info = FileInfo { size: bytes.len() as u64, ..self.beside.remove(at) };
        Ok(Some(ReadFile { info, bytes }))
    }

    async fn read_required(&mut self, name: &str) -> Result<ReadFile> {
        match self.read(name).await? {
            Some(file) => Ok(file),
            None => Err(self.missing(name, self.hint().await?)),
        }
    }

    /// Remembers which state of a store a file holds.
    fn remember(&mut self, role: Role, file: ReadFile, state: Option<StoreFile>) {
        let Some(StoreFile { revision, .. }) = state else { return };
        // A file that is no text at all belongs to a kind of store of its own.
        let copyable = Text::decode(file.bytes.clone()).map_or(true, |text| text.encoding().is_utf8());
        let origin = Origin {
            place: Arc::clone(&self.place),
            digest: Digest::of(&file.bytes),
            file: file.info,
            revision,
            copyable,
            rename: false,
        };
        self.origins.remember(role, origin);
    }

    fn missing(&self, file: &str, hint: Option<String>) -> Error {
        let present = self.beside.iter().map(|there| there.name.clone()).collect();
        Error::MissingFile { place: self.place.location(), file: file.to_owned(), hint, present }
    }

    /// What a place without the needed files seems to be.
    async fn hint(&self) -> Result<Option<String>> {
        let has = |name: &str| self.beside.iter().any(|file| file.name == name);
        if has("doc_store.json") {
            return Ok(Some("doc_store.json is of LlamaIndexTS, whose stores have another form".to_owned()));
        }
        let mut json = self.beside.iter().map(|file| &file.name).filter(|name| name.ends_with(".json"));
        if let (Some(file), None) = (json.next(), json.next())
            && let Some(bytes) = self.place.read(file).await?
            && is_single_file(&bytes)
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

/// A file that was read.
struct ReadFile {
    info: FileInfo,
    bytes: Bytes,
}
