//! Opening a context: which files there are, and what each is.

use std::sync::Arc;

use bytes::Bytes;
use docstore::KvDocumentStore;
use fs_backends::Place;
use graphstore::{SimpleGraphStore, SimplePropertyGraphStore};
use indexstore::KvIndexStore;
use kv_core::SimpleKvStore;
use persist::{Digest, FileInfo};
use raw_json::Text;

use crate::file_names::LEGACY_VECTOR_STORE;
use crate::origin::{Origin, Origins, Role};
use crate::single_file::is_single_file;
use crate::{DEFAULT_NAMESPACE, Error, FileNames, Result, StorageContext, StorageContextBuilder};

/// Whether any of a context's files is there.
pub(crate) fn has_context(names: &FileNames, files: &[FileInfo]) -> bool {
    files.iter().any(|file| {
        [&names.docstore, &names.index_store, &names.graph_store, &names.property_graph_store].contains(&&file.name)
            || file.name == LEGACY_VECTOR_STORE
            || names.namespace(&file.name).is_some()
    })
}

/// A context that is being opened.
pub(crate) struct Opening {
    parts: StorageContextBuilder,
    place: Place,
    /// The files of the place that no store was read from, so far.
    beside: Vec<String>,
    origins: Origins,
}

impl Opening {
    pub(crate) async fn new(parts: StorageContextBuilder, place: Place) -> Result<Self> {
        let beside = place.list().await?.into_iter().map(|file| file.name).collect();
        Ok(Self { parts, place, beside, origins: Origins::default() })
    }

    pub(crate) async fn run(mut self) -> Result<StorageContext> {
        let names = self.parts.file_names.clone();
        if self.parts.docstore.is_none() {
            let file = self.read_required(Role::Docstore, &names.docstore).await?;
            self.parts.docstore =
                Some(KvDocumentStore::new(self.parse(&names.docstore, &file, SimpleKvStore::from_text)?));
        }
        if self.parts.index_store.is_none() {
            let file = self.read_required(Role::IndexStore, &names.index_store).await?;
            self.parts.index_store =
                Some(KvIndexStore::new(self.parse(&names.index_store, &file, SimpleKvStore::from_text)?));
        }
        if self.parts.graph_store.is_none()
            && let Some(file) = self.read(Role::GraphStore, &names.graph_store).await?
        {
            self.parts.graph_store =
                Some(Arc::new(self.parse(&names.graph_store, &file, SimpleGraphStore::from_text)?));
        }
        if self.parts.property_graph_store.is_none()
            && let Some(file) = self.read(Role::PropertyGraphStore, &names.property_graph_store).await?
        {
            let store = self.parse(&names.property_graph_store, &file, SimplePropertyGraphStore::from_text)?;
            self.parts.property_graph_store = Some(Arc::new(store));
        }
        for (namespace, file) in self.vector_store_files(&names) {
            self.open_vector_store(namespace, &file).await?;
        }
        self.origins.beside = Some((self.place, self.beside));
        Ok(self.parts.finish(self.origins))
    }

    /// The vector stores that were not given, with their files, in order of names.
    fn vector_store_files(&self, names: &FileNames) -> Vec<(String, String)> {
        let mut files: Vec<(String, String)> =
            self.beside.iter().filter_map(|file| Some((names.namespace(file)?.to_owned(), file.clone()))).collect();
        let is_there = |file: &str| self.beside.iter().any(|name| name == file);
        if !is_there(&names.vector_store(DEFAULT_NAMESPACE)) && is_there(LEGACY_VECTOR_STORE) {
            files.insert(0, (DEFAULT_NAMESPACE.to_owned(), LEGACY_VECTOR_STORE.to_owned()));
        }
        files.retain(|(namespace, _)| !self.parts.vector_stores.contains_key(namespace));
        files
    }

    async fn open_vector_store(&mut self, namespace: String, file: &str) -> Result<()> {
        let Some(bytes) = self.read(Role::VectorStore(namespace.clone()), file).await? else { return Ok(()) };
        let store = self.parts.registry.load(bytes.clone()).map_err(|e| match e {
            vectorstore::Error::Unrecognised { seems, advice, .. } => Error::Damaged {
                place: self.place.location(),
                file: file.to_owned(),
                seems: Some(seems),
                source: advice.into(),
            },
            other => self.damaged(file, &bytes, other),
        })?;
        self.parts.vector_stores.insert(namespace, store);
        Ok(())
    }

    /// Reads a file, if it is there, and remembers where a store came from.
    async fn read(&mut self, role: Role, file: &str) -> Result<Option<Bytes>> {
        let Some(bytes) = self.place.read(file).await? else { return Ok(None) };
        self.beside.retain(|name| name != file);
        let origin = Origin {
            place: Arc::clone(&self.place),
            file: file.to_owned(),
            size: bytes.len() as u64,
            digest: Digest::of(&bytes),
            revision: 0,
            // A file that is no text at all belongs to a kind of store of its own.
            copyable: Text::decode(bytes.clone()).map_or(true, |text| text.encoding().is_utf8()),
            rename: false,
        };
        self.origins.remember(role, origin);
        Ok(Some(bytes))
    }

    async fn read_required(&mut self, role: Role, file: &str) -> Result<Bytes> {
        match self.read(role, file).await? {
            Some(bytes) => Ok(bytes),
            None => Err(Error::MissingFile {
                place: self.place.location(),
                file: file.to_owned(),
                hint: self.hint().await?,
                present: self.beside.clone(),
            }),
        }
    }

    /// What a place without the needed files seems to be.
    async fn hint(&self) -> Result<Option<String>> {
        let has = |name: &str| self.beside.iter().any(|file| file == name);
        if has("doc_store.json") {
            return Ok(Some("doc_store.json is of LlamaIndexTS, whose stores have another form".to_owned()));
        }
        let mut json = self.beside.iter().filter(|file| file.ends_with(".json"));
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

    fn parse<T, E>(&self, file: &str, bytes: &Bytes, parse: impl FnOnce(&Text) -> Result<T, E>) -> Result<T>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let text = Text::decode(bytes.clone()).map_err(|e| self.damaged(file, bytes, e))?;
        parse(&text).map_err(|e| self.damaged(file, bytes, e))
    }

    fn damaged(&self, file: &str, bytes: &Bytes, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::Damaged {
            place: self.place.location(),
            file: file.to_owned(),
            seems: vectorstore::sniff(bytes),
            source: Box::new(source),
        }
    }
}
