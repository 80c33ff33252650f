//! Persisting a context: one commit of the files of its stores.

use std::collections::HashMap;
use std::sync::Arc;

use fs_backends::{IntoPlace, Place};
use persist::{Content, Digest, PersistFile, PersistFiles, StoreFile, Written, commit};

use crate::file_names::LEGACY_VECTOR_STORE;
use crate::origin::{Origin, Role};
use crate::{
    Action, DEFAULT_NAMESPACE, Error, FileNames, FileReport, PersistReport, PythonProblem, Result, StorageContext,
};

/// How a context is persisted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PersistOptions {
    /// The names of the files. Default: LlamaIndex's, the only ones it opens.
    pub file_names: FileNames,
}

impl StorageContext {
    /// Writes the stores that are in memory to a place, as one commit, and says what it did.
    ///
    /// Everything is serialised before the first file of the place changes, each file is replaced as a whole, and what
    /// is written is durable when this returns. A store that has not changed since it was read from or written to this
    /// very place is not written again; at another place its file is copied byte for byte if it is still as it was, and
    /// made anew from memory otherwise. Files of other programs stay.
    ///
    /// # Errors
    /// What the place reports. If a file cannot be serialised or staged, nothing of the place has changed.
    pub async fn persist(&self, place: impl IntoPlace) -> Result<PersistReport> {
        self.persist_with(place, &PersistOptions::default()).await
    }

    /// As [`persist`](Self::persist), with options.
    ///
    /// # Errors
    /// As [`persist`](Self::persist).
    pub async fn persist_with(&self, place: impl IntoPlace, options: &PersistOptions) -> Result<PersistReport> {
        let mut persisting = Persisting::new(self, place.into_place()?).await?;
        for (role, name, file) in self.store_files(&options.file_names) {
            match file {
                Some(file) => persisting.add(role, name, file).await?,
                None => persisting.report.self_managed.push(role.to_string()),
            }
        }
        persisting.carry_along().await?;
        persisting.report.python_problems.extend(self.python_problems(&options.file_names).await?);
        persisting.run().await
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

    /// What today's LlamaIndex will not read in the files of this context.
    async fn python_problems(&self, names: &FileNames) -> Result<Vec<PythonProblem>> {
        let mut problems = Vec::new();
        let mut add = |file: &str, problem: String| problems.push(PythonProblem { file: file.to_owned(), problem });
        let default = FileNames::default();
        for (name, default) in [
            (&names.docstore, &default.docstore),
            (&names.index_store, &default.index_store),
            (&names.graph_store, &default.graph_store),
        ] {
            if name != default {
                add(name, format!("it opens {default} only"));
            }
        }
        let nodes = self.docstore().nodes_collection();
        if self.docstore().kv().to_file().is_some() && nodes != "docstore/data" {
            add(&names.docstore, format!("its nodes are in '{nodes}', and it looks into 'docstore/data' only"));
        }
        if self.index_store().kv().to_file().is_some() {
            let structs = self.index_store().python_problems().await;
            for (id, why) in structs.map_err(|e| Error::store("index store", e))? {
                add(&names.index_store, format!("it cannot list indexes as long as '{id}' is there: {why}"));
            }
        }
        if let Some(graph) = self.property_graph_store() {
            if names.property_graph_store != default.property_graph_store {
                add(&names.property_graph_store, format!("it opens {} only", default.property_graph_store));
            }
            if let Some(problem) = graph.python_problem() {
                add(&names.property_graph_store, problem.to_string());
            }
        }
        for namespace in self.namespaces() {
            let file = names.vector_store(&namespace);
            if names.vector_store != default.vector_store {
                add(&file, format!("it opens {} only", default.vector_store(&namespace)));
            } else if !names.python_finds(&namespace) {
                add(&file, "it takes a namespace to end at the first '__'".to_owned());
            }
        }
        Ok(problems)
    }
}

/// A persist under way.
struct Persisting<'a> {
    ctx: &'a StorageContext,
    place: Place,
    /// The files of the place, with their sizes.
    present: HashMap<String, u64>,
    /// What is to be written, and for stores the revision that it holds.
    files: PersistFiles,
    pending: Vec<(FileReport, Option<(Role, u64)>)>,
    remove: Vec<String>,
    report: PersistReport,
}

impl<'a> Persisting<'a> {
    async fn new(ctx: &'a StorageContext, place: Place) -> Result<Self> {
        let present = place.list().await?.into_iter().map(|file| (file.name, file.size)).collect();
        let report = PersistReport {
            place: place.location(),
            files: Vec::new(),
            self_managed: Vec::new(),
            left_behind: Vec::new(),
            python_problems: Vec::new(),
        };
        Ok(Self { ctx, place, present, files: Vec::new(), pending: Vec::new(), remove: Vec::new(), report })
    }

    /// Decides what to do about a store's file.
    async fn add(&mut self, role: Role, name: String, file: StoreFile) -> Result<()> {
        let StoreFile { content, revision } = file;
        let here = self.ctx.origins().at(&role, &self.place).cloned();
        let is_legacy = |origin: &Origin| {
            origin.file == LEGACY_VECTOR_STORE && role == Role::VectorStore(DEFAULT_NAMESPACE.to_owned())
        };
        if let Some(origin) = here {
            let still_there = self.present.get(&origin.file) == Some(&origin.size);
            if still_there
                && origin.revision == revision
                && (origin.file == name || (is_legacy(&origin) && !origin.rename))
            {
                if origin.file != name {
                    let problem = format!("it opens {name} only; upgrade() gives the file its new name");
                    self.report.python_problems.push(PythonProblem { file: origin.file.clone(), problem });
                }
                let store = role.to_string();
                let report = FileReport {
                    name: origin.file,
                    store,
                    action: Action::Unchanged,
                    size: origin.size,
                    digest: Some(origin.digest),
                };
                self.pending.push((report, None));
                return Ok(());
            }
            if is_legacy(&origin) && self.present.contains_key(LEGACY_VECTOR_STORE) && !self.present.contains_key(&name)
            {
                self.remove.push(LEGACY_VECTOR_STORE.to_owned());
            }
        }
        let (content, action) = match self.read_origin(&role, revision).await {
            Some(bytes) => (bytes, Action::Copied),
            None => (content, Action::Written),
        };
        let report = FileReport { name: name.clone(), store: role.to_string(), action, size: 0, digest: None };
        self.pending.push((report, Some((role, revision))));
        self.files.push(PersistFile::new(name, content));
        Ok(())
    }

    /// The bytes of a file that holds this state of the store, if one is still as it was.
    async fn read_origin(&self, role: &Role, revision: u64) -> Option<Content> {
        let origins: Vec<Origin> =
            self.ctx.origins().of(role, revision).filter(|origin| origin.copyable).cloned().collect();
        for origin in origins {
            // One that is gone, or cannot be read any more, is no reason to fail: the store is in memory.
            if let Ok(Some(bytes)) = origin.place.read(&origin.file).await
                && Digest::of(&bytes) == origin.digest
            {
                return Some(Content::Bytes(bytes));
            }
        }
        None
    }

    /// Brings along the files of LlamaIndex that lay beside the context's where it was opened; tells of all others.
    async fn carry_along(&mut self) -> Result<()> {
        let beside = self.ctx.origins().beside.as_ref().map(|(place, files)| (Arc::clone(place), files.clone()));
        let Some((from, files)) = beside.filter(|(from, _)| from.location() != self.place.location()) else {
            return Ok(());
        };
        for name in files {
            let taken = self.present.contains_key(&name) || self.files.iter().any(|file| file.name == name);
            if taken || !is_llama_index_file(&name) {
                self.report.left_behind.push(name);
                continue;
            }
            // One that is gone by now needs no telling.
            if let Some(bytes) = from.read(&name).await? {
                let store = "beside the stores".to_owned();
                let report = FileReport { name: name.clone(), store, action: Action::Copied, size: 0, digest: None };
                self.pending.push((report, None));
                self.files.push(PersistFile::new(name, Content::Bytes(bytes)));
            }
        }
        Ok(())
    }

    async fn run(mut self) -> Result<PersistReport> {
        let written = if self.files.is_empty() && self.remove.is_empty() {
            Vec::new()
        } else {
            commit(&*self.place, std::mem::take(&mut self.files), &self.remove).await?
        };
        let mut written: HashMap<String, Written> = written.into_iter().map(|w| (w.name.clone(), w)).collect();
        let mut origins = self.ctx.origins();
        for (mut report, state) in self.pending {
            if let Some(Written { size, digest, .. }) = written.remove(&report.name) {
                (report.size, report.digest) = (size, Some(digest));
                if let Some((role, revision)) = state {
                    let place = Arc::clone(&self.place);
                    let file = report.name.clone();
                    origins
                        .remember(role, Origin { place, file, size, digest, revision, copyable: true, rename: false });
                }
            }
            self.report.files.push(report);
        }
        for name in self.remove {
            let store = Role::VectorStore(DEFAULT_NAMESPACE.to_owned()).to_string();
            self.report.files.push(FileReport { name, store, action: Action::Removed, size: 0, digest: None });
        }
        self.report.python_problems.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(self.report)
    }
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
