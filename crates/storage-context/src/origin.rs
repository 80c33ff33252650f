//! What a context remembers of the places it was opened from and persisted to, and of the files there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use fs_backends::Place;
use indexmap::IndexMap;
use persist::{Digest, FileInfo, Original, ReadOptions, Revision};

use crate::FileNames;
use crate::file_names::LEGACY_VECTOR_STORE;

/// A part of a context that has a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Docstore,
    IndexStore,
    GraphStore,
    PropertyGraphStore,
    VectorStore(String),
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Docstore => f.write_str("document store"),
            Self::IndexStore => f.write_str("index store"),
            Self::GraphStore => f.write_str("graph store"),
            Self::PropertyGraphStore => f.write_str("property graph store"),
            Self::VectorStore(namespace) => write!(f, "vector store '{namespace}'"),
        }
    }
}

/// A file that holds a known state of a store.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) place: Place,
    /// What tells the place from others.
    pub(crate) identity: Arc<str>,
    pub(crate) file: FileInfo,
    pub(crate) digest: Digest,
    /// The state that the file holds; `None` for a store that was read from the file and does not write one.
    pub(crate) revision: Option<Revision>,
    /// Whether another place may have the file's bytes as they are: they are UTF-8.
    pub(crate) copyable: bool,
    /// Whether the file is to get today's name.
    pub(crate) rename: bool,
}

impl Origin {
    fn original(&self) -> Original {
        let Self { place, file, digest, .. } = self;
        Original { place: Arc::clone(place), name: file.name.clone(), size: file.size, digest: *digest }
    }
}

/// What a context last saw at a place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// The newest generation and its commit; `None` where Colca had written nothing.
    pub(crate) newest: Option<(u64, String)>,
    /// The files, as they were seen or written there.
    pub(crate) files: BTreeMap<String, FileInfo>,
    /// Those that were brought along from where the context was opened.
    pub(crate) carried: HashSet<String>,
    /// Commits that were begun and of which it is not known how they ended.
    pub(crate) attempts: Vec<Attempt>,
    /// Whether the place was opened to be read only.
    pub(crate) read_only: bool,
    /// What the files of the stores are called there.
    pub(crate) names: FileNames,
}

impl Seen {
    /// Whether the place was ever looked at, and not only a commit begun there.
    pub(crate) fn has_looked(&self) -> bool {
        self.newest.is_some() || !self.files.is_empty()
    }

    /// Remembers a commit that is about to be made. Of many that failed, the last few will do.
    pub(crate) fn begin(&mut self, attempt: Attempt) {
        self.attempts.truncate(15);
        self.attempts.insert(0, attempt);
    }
}

/// A commit that was begun, with the states of stores that it writes.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) commit: String,
    pub(crate) states: Vec<(String, Role, Revision)>,
    /// What it calls the files of the stores.
    pub(crate) names: FileNames,
}

/// The files that hold a context's stores, and the files beside them.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    files: IndexMap<Role, Vec<Origin>>,
    /// What was last seen, by the identity of the place.
    places: BTreeMap<String, Seen>,
    /// The files that lay beside the context's where it was opened.
    pub(crate) beside: Option<Beside>,
    /// Where the context was opened.
    pub(crate) opened_from: Option<Location>,
    /// Where it was last persisted.
    pub(crate) persisted_to: Option<Location>,
    /// The stores that were given when the context was opened, so that their files are not read.
    pub(crate) given: HashSet<Role>,
    /// The states of the stores that were made empty when the context was opened, as they had no file.
    pub(crate) made_empty: HashMap<Role, Revision>,
}

/// A location that a context knows.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    pub(crate) place: Place,
    /// Its identity when the context was opened or persisted there.
    pub(crate) identity: Arc<str>,
}

/// The files of a place that no store was read from.
#[derive(Debug, Clone)]
pub(crate) struct Beside {
    pub(crate) place: Place,
    pub(crate) identity: Arc<str>,
    pub(crate) names: Vec<String>,
    /// How the place was read.
    pub(crate) options: ReadOptions,
}

impl Origins {
    /// The files that hold this state of a store and may be copied, the latest first.
    pub(crate) fn originals(&self, role: &Role, revision: Revision) -> Vec<Original> {
        let files = self.files.get(role).into_iter().flatten().rev();
        let copyable = files.filter(|origin| origin.revision == Some(revision) && origin.copyable);
        copyable.map(Origin::original).collect()
    }

    /// The file that a store was last read from or written to at a place, whatever it holds.
    pub(crate) fn at(&self, role: &Role, place: &str) -> Option<&Origin> {
        self.files.get(role).into_iter().flatten().rev().find(|origin| &*origin.identity == place)
    }

    /// The files of all stores at a location that write one, by name.
    pub(crate) fn named_at(&self, place: &str) -> HashMap<String, Origin> {
        let here = self.files.values().flatten().filter(|origin| &*origin.identity == place);
        let written = here.filter(|origin| origin.revision.is_some());
        written.map(|origin| (origin.file.name.clone(), origin.clone())).collect()
    }

    /// Remembers a file; it takes the place of an older one at the same place.
    pub(crate) fn remember(&mut self, role: Role, origin: Origin) {
        let files = self.files.entry(role).or_default();
        files.retain(|old| old.identity != origin.identity);
        files.push(origin);
    }

    /// What was last seen at a place, if it was ever looked at.
    pub(crate) fn seen(&self, place: &str) -> Option<&Seen> {
        self.places.get(place)
    }

    /// As [`seen`](Self::seen), to change it.
    pub(crate) fn seen_mut(&mut self, place: &str) -> &mut Seen {
        self.places.entry(place.to_owned()).or_default()
    }

    /// Remembers that a location was opened, and what was seen there.
    pub(crate) fn remember_opened(&mut self, location: Location, seen: Seen) {
        self.places.insert(location.identity.to_string(), seen);
        self.opened_from = Some(location);
    }

    /// Remembers that the context was persisted to a location, and what is there now.
    pub(crate) fn remember_persisted(&mut self, location: Location, seen: Seen) {
        self.places.insert(location.identity.to_string(), seen);
        self.persisted_to = Some(location);
    }

    /// The stores that have written a file at a place, or would.
    pub(crate) fn roles_at(&self, place: &str) -> Vec<(Role, String)> {
        let written = self.all_at(place).filter(|(_, origin)| origin.revision.is_some());
        written.map(|(role, origin)| (role.clone(), origin.file.name.clone())).collect()
    }

    /// The stores that were read from or written to a place, with their files there.
    pub(crate) fn all_at<'a>(&'a self, place: &'a str) -> impl Iterator<Item = (&'a Role, &'a Origin)> {
        let at = move |files: &'a Vec<Origin>| files.iter().find(|origin| &*origin.identity == place);
        self.files.iter().filter_map(move |(role, files)| Some((role, at(files)?)))
    }

    /// What is known of all places but this one.
    pub(crate) fn elsewhere(&self, place: &str) -> Self {
        let others = |files: &Vec<Origin>| files.iter().filter(|origin| &*origin.identity != place).cloned().collect();
        let mut places = self.places.clone();
        places.remove(place);
        Self {
            files: self.files.iter().map(|(role, files)| (role.clone(), others(files))).collect(),
            places,
            ..Self::default()
        }
    }

    /// Forgets the file of a store at a place: it was deleted.
    pub(crate) fn forget(&mut self, role: &Role, place: &str) {
        if let Some(files) = self.files.get_mut(role) {
            files.retain(|origin| &*origin.identity != place);
        }
    }

    /// Makes the next persist at each place write a legacy file under its new name; tells whether there is one.
    pub(crate) fn rename_legacy(&mut self, role: &Role) -> bool {
        let legacy = self.files.get_mut(role).into_iter().flatten();
        let legacy = legacy.filter(|origin| origin.file.name == LEGACY_VECTOR_STORE);
        legacy.map(|origin| origin.rename = true).count() > 0
    }
}
