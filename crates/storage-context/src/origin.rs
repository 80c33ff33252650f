//! What a context remembers of the files it was opened from and persisted to.

use std::fmt;

use fs_backends::Place;
use indexmap::IndexMap;
use persist::{Digest, FileInfo, Revision};

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
    pub(crate) file: FileInfo,
    pub(crate) digest: Digest,
    /// The state that the file holds.
    pub(crate) revision: Revision,
    /// Whether another place may have the file's bytes as they are: they are UTF-8.
    pub(crate) copyable: bool,
    /// Whether the file is to get today's name.
    pub(crate) rename: bool,
}

impl Origin {
    /// Whether this file of the place is still the one that was read or written.
    pub(crate) fn is_still(&self, now: &FileInfo) -> bool {
        *now == self.file
    }
}

/// The files that hold a context's stores, and the files beside them.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    files: IndexMap<Role, Vec<Origin>>,
    /// The place the context was opened from, and its files that no store was read from.
    pub(crate) beside: Option<(Place, Vec<String>)>,
}

impl Origins {
    /// The files that hold this state of a store, the latest first.
    pub(crate) fn of(&self, role: &Role, revision: Revision) -> impl Iterator<Item = &Origin> {
        self.files.get(role).into_iter().flatten().rev().filter(move |origin| origin.revision == revision)
    }

    /// The file that a store was last read from or written to at a place, whatever it holds.
    pub(crate) fn at(&self, role: &Role, place: &str) -> Option<&Origin> {
        self.files.get(role).into_iter().flatten().rev().find(|origin| origin.place.identity() == place)
    }

    /// Remembers a file; it takes the place of an older one at the same place.
    pub(crate) fn remember(&mut self, role: Role, origin: Origin) {
        let place = origin.place.identity();
        let files = self.files.entry(role).or_default();
        files.retain(|old| old.place.identity() != place);
        files.push(origin);
    }

    /// Makes the next persist at each place write a legacy file under its new name; tells whether there is one.
    pub(crate) fn rename_legacy(&mut self, role: &Role) -> bool {
        let legacy = self.files.get_mut(role).into_iter().flatten();
        let legacy = legacy.filter(|origin| origin.file.name == LEGACY_VECTOR_STORE);
        legacy.map(|origin| origin.rename = true).count() > 0
    }
}
