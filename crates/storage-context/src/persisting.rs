//! Persisting a context: one commit of the files of its stores.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use fs_backends::{IntoPlace, Place};
use persist::{Content, Digest, FileInfo, PersistFile, PersistFiles, Revision, StoreFile, Written, commit};

use crate::file_names::LEGACY_VECTOR_STORE;
use crate::origin::{Origin, Role};
use crate::{Action, DEFAULT_NAMESPACE, FileNames, FileReport, PersistReport, PythonProblem, Result, StorageContext};

/// How a context is persisted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PersistOptions {
    /// The names of the files. Default: those that the context was opened with, which are LlamaIndex's if nothing else was
    /// said.
    pub file_names: Option<FileNames>,
}

impl StorageContext {
    /// Writes the stores that are in memory to a place, as one commit, and says what it did.
    ///
    /// Everything is serialised before the first file of the place changes, each file is replaced as a whole, and what
    /// is written is durable when this returns. A store that has not changed since it was read from or written to this
    /// very place is not written again; at another place its file is copied byte for byte if it is still as it was, and
    /// made anew from memory otherwise. Files of other programs stay. Each store is written as it was at one moment, one
    /// store after the other. Persists of one context wait for each other.
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
        let names = options.file_names.as_ref().unwrap_or(&self.inner.file_names);
        let place = place.into_place()?;
        let _one_at_a_time = self.inner.persisting.lock().await;
        let mut persisting = Persisting::new(self, place).await?;
        for (role, name, file) in self.store_files(names) {
            match file {
                Some(file) => persisting.add(role, name, file).await?,
                None => persisting.report.self_managed.push(role.to_string()),
            }
        }
        persisting.carry_along().await;
        persisting.tell_of_strangers(names);
        persisting.report.python_problems.extend(self.python_problems(names).await?);
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
}

/// A persist under way.
struct Persisting<'a> {
    ctx: &'a StorageContext,
    place: Place,
    /// What tells the place from others.
    identity: String,
    /// The files of the place.
    present: HashMap<String, FileInfo>,
    files: PersistFiles,
    /// What is told of each file, and for those of stores which state they hold.
    pending: Vec<(FileReport, Option<(Role, Revision)>)>,
    remove: Vec<String>,
    report: PersistReport,
}

impl<'a> Persisting<'a> {
    async fn new(ctx: &'a StorageContext, place: Place) -> Result<Self> {
        let present = list(&place).await?;
        let report = PersistReport { place: place.location(), ..PersistReport::default() };
        let (files, pending, remove) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { ctx, identity: place.identity(), place, present, files, pending, remove, report })
    }

    /// Decides what to do about a store's file.
    async fn add(&mut self, role: Role, name: String, file: StoreFile) -> Result<()> {
        let StoreFile { content, revision } = file;
        let here = self.ctx.origins().at(&role, &self.identity).cloned();
        if let Some(origin) = here {
            let old_name = &origin.file.name;
            let is_legacy = *old_name == LEGACY_VECTOR_STORE && *old_name != name;
            let now = self.present.get(old_name);
            let is_still = now.is_some_and(|now| origin.is_still(now));
            if is_still && origin.revision == revision && (*old_name == name || (is_legacy && !origin.rename)) {
                if *old_name != name {
                    let problem = format!("it opens {name} only; upgrade() gives the file its new name");
                    self.report.python_problems.push(PythonProblem { file: old_name.clone(), problem });
                }
                let (store, action) = (role.to_string(), Action::Unchanged);
                let (name, size, digest) = (origin.file.name, origin.file.size, Some(origin.digest));
                self.pending.push((FileReport { name, store, action, size, digest }, None));
                return Ok(());
            }
            if now.is_some() && !is_still && *old_name == name {
                self.report.overwritten.push(name.clone());
            }
            if is_legacy && now.is_some() && !self.present.contains_key(&name) {
                self.remove.push(LEGACY_VECTOR_STORE.to_owned());
            }
        }
        let (content, action) = match read_origin(self.ctx, &role, revision).await {
            Some(bytes) => (Content::Bytes(bytes), Action::Copied),
            None => (content, Action::Written),
        };
        let report = FileReport { name: name.clone(), store: role.to_string(), action, size: 0, digest: None };
        self.pending.push((report, Some((role, revision))));
        self.files.push(PersistFile::new(name, content));
        Ok(())
    }

    /// Brings along the files of LlamaIndex that lay beside the context's where it was opened; tells of all others.
    async fn carry_along(&mut self) {
        let beside = self.ctx.origins().beside.as_ref().map(|(place, files)| (Arc::clone(place), files.clone()));
        let Some((from, files)) = beside.filter(|(from, _)| from.identity() != self.identity) else { return };
        for name in files {
            let taken = self.present.contains_key(&name) || self.pending.iter().any(|(report, _)| report.name == name);
            if taken || !is_llama_index_file(&name) {
                self.report.left_behind.push(name);
                continue;
            }
            match from.read(&name).await {
                Ok(Some(bytes)) => {
                    let store = "beside the stores".to_owned();
                    let report =
                        FileReport { name: name.clone(), store, action: Action::Copied, size: 0, digest: None };
                    self.pending.push((report, None));
                    self.files.push(PersistFile::new(name, Content::Bytes(bytes)));
                }
                // One that is gone by now needs no telling.
                Ok(None) => {}
                Err(_) => self.report.left_behind.push(name),
            }
        }
    }

    /// Tells of files that are there and that opening the place will take for stores of this context.
    fn tell_of_strangers(&mut self, names: &FileNames) {
        let ours =
            |name: &String| self.pending.iter().any(|(report, _)| report.name == *name) || self.remove.contains(name);
        let opens = |name: &String| names.namespace(name).is_some() || *name == names.property_graph_store;
        let mut strangers: Vec<String> =
            self.present.keys().filter(|name| opens(name) && !ours(name)).cloned().collect();
        strangers.sort();
        self.report.already_there = strangers;
    }

    /// No two files may have one name, those that stay as they are included.
    fn check_names(&self) -> Result<()> {
        let mut names = HashSet::new();
        let stores = self.pending.iter().map(|(report, _)| &report.name);
        for name in stores.chain(&self.remove) {
            if !names.insert(name) {
                return Err(persist::Error::DuplicateName { name: name.clone() }.into());
            }
        }
        Ok(())
    }

    async fn run(mut self) -> Result<PersistReport> {
        self.check_names()?;
        let mut written: HashMap<String, Written> = HashMap::new();
        let mut now = HashMap::new();
        if !(self.files.is_empty() && self.remove.is_empty()) {
            let done = commit(&*self.place, std::mem::take(&mut self.files), &self.remove).await?;
            written.extend(done.into_iter().map(|file| (file.name.clone(), file)));
            // It is done. A place that cannot be listed just now only leaves nothing to know its files by later.
            now = list(&self.place).await.unwrap_or_default();
        }
        for (mut report, state) in self.pending {
            if let Some(Written { size, digest, .. }) = written.remove(&report.name) {
                (report.size, report.digest) = (size, Some(digest));
                // If someone has written it again already, this is not the file that we know.
                let file = now.remove(&report.name).filter(|file| file.size == size);
                if let (Some((role, revision)), Some(file)) = (state, file) {
                    let place = Arc::clone(&self.place);
                    let origin = Origin { place, file, digest, revision, copyable: true, rename: false };
                    self.ctx.origins().remember(role, origin);
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

async fn list(place: &Place) -> Result<HashMap<String, FileInfo>> {
    Ok(place.list().await?.into_iter().map(|file| (file.name.clone(), file)).collect())
}

/// The bytes of a file that holds this state of the store, if one is still as it was.
async fn read_origin(ctx: &StorageContext, role: &Role, revision: Revision) -> Option<Bytes> {
    let origins: Vec<Origin> = ctx.origins().of(role, revision).filter(|origin| origin.copyable).cloned().collect();
    for origin in origins {
        // One that is gone, or cannot be read any more, is no reason to fail: the store is in memory.
        if let Ok(Some(bytes)) = origin.place.read(&origin.file.name).await
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
