//! Texts and contents as small numbers, so that states are small, and what manifests say.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use bytes::Bytes;
use persist::{Digest, Manifest, OWN_FOLDER};

/// The number of a path or a content.
pub(crate) type Id = u32;

/// A generation as its manifest tells it.
#[derive(Debug)]
pub(crate) struct Generation {
    pub number: u64,
    pub commit: String,
    pub parent: Option<String>,
    /// The content of each file by name.
    pub files: BTreeMap<Id, Id>,
    /// The names and contents that it replaced or took away.
    pub replaced: Vec<(Id, Id)>,
    /// The paths of staged files that it names.
    pub staged: Vec<Id>,
}

/// All paths and contents that ever occurred.
#[derive(Debug, Default)]
pub(crate) struct Table {
    ids: HashMap<Bytes, Id>,
    values: Vec<Bytes>,
    by_digest: HashMap<Digest, Id>,
    generations: HashMap<Id, Option<Rc<Generation>>>,
}

impl Table {
    pub(crate) fn id(&mut self, value: impl Into<Bytes>) -> Id {
        let value = value.into();
        if let Some(id) = self.ids.get(&value) {
            return *id;
        }
        let id = Id::try_from(self.values.len()).unwrap();
        self.by_digest.insert(Digest::of(&value), id);
        self.ids.insert(value.clone(), id);
        self.values.push(value);
        id
    }

    pub(crate) fn bytes(&self, id: Id) -> Bytes {
        self.values[id as usize].clone()
    }

    pub(crate) fn text(&self, id: Id) -> &str {
        std::str::from_utf8(&self.values[id as usize]).unwrap_or("?")
    }

    /// The name within `.colca`, if the path leads there.
    pub(crate) fn own(&self, path: Id) -> Option<&str> {
        self.text(path).strip_prefix(OWN_FOLDER)?.strip_prefix('/')
    }

    /// The generation whose manifest has this path.
    pub(crate) fn manifest_number(&self, path: Id) -> Option<u64> {
        self.own(path)?.strip_suffix(".json")?.parse().ok()
    }

    /// The generation that a manifest of this content describes.
    pub(crate) fn generation(&mut self, content: Id) -> Option<Rc<Generation>> {
        if let Some(known) = self.generations.get(&content) {
            return known.clone();
        }
        let parsed: Option<Manifest> = serde_json::from_slice(&self.bytes(content)).ok();
        let generation = parsed.map(|manifest| Rc::new(self.describe(&manifest)));
        self.generations.insert(content, generation.clone());
        generation
    }

    fn describe(&mut self, manifest: &Manifest) -> Generation {
        let content = |table: &Self, digest: &Digest| table.by_digest.get(digest).copied().unwrap_or(Id::MAX);
        let mut files = BTreeMap::new();
        let (mut replaced, mut staged) = (Vec::new(), Vec::new());
        for file in &manifest.files {
            let name = self.id(file.name.clone());
            files.insert(name, content(self, &file.digest));
            replaced.extend(file.replaces.iter().map(|digest| (name, content(self, digest))));
            staged.extend(file.staged.iter().map(|path| self.id(format!("{OWN_FOLDER}/{path}"))));
        }
        for file in &manifest.removed {
            let name = self.id(file.name.clone());
            replaced.push((name, content(self, &file.digest)));
        }
        let (number, commit, parent) = (manifest.generation, manifest.commit.clone(), manifest.parent.clone());
        Generation { number, commit, parent, files, replaced, staged }
    }
}
