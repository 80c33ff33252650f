use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;

use crate::name::{check_name, check_own_path, check_path};
use crate::{
    Abilities, Content, Durability, Error, Expected, FileInfo, Folder, OWN_FOLDER, PersistFs, Publication, Result,
    Stored,
};

/// A place in memory, for tests and for contexts that travel as bytes. Clones share the files.
///
/// Publishing moves, as on a disk; [`with_abilities`](Self::with_abilities) makes a place like other ones.
#[derive(Debug, Clone)]
pub struct MemoryFs {
    name: Option<Arc<str>>,
    abilities: Abilities,
    state: Arc<Mutex<State>>,
}

/// The files by path, each with the number of the write that made it. The same number stands for the time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct State {
    files: BTreeMap<String, (Bytes, u64)>,
    writes: u64,
}

impl State {
    fn put(&mut self, path: &str, bytes: Bytes) {
        self.writes += 1;
        self.files.insert(path.to_owned(), (bytes, self.writes));
    }
}

impl State {
    fn is(&self, name: &str, expected: &Expected) -> bool {
        let found = self.files.get(name).map(|(_, write)| write.to_string());
        match expected {
            Expected::Anything => true,
            Expected::Absent => found.is_none(),
            Expected::Version(version) => found.as_ref() == Some(version),
        }
    }
}

impl Default for MemoryFs {
    fn default() -> Self {
        Self::with_abilities(Abilities { create: true, conditional_publish: true, moves: true })
    }
}

impl MemoryFs {
    /// An empty place.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty place that can do this.
    pub fn with_abilities(abilities: Abilities) -> Self {
        Self { name: None, abilities, state: Arc::default() }
    }

    /// The same files under a name, by which messages call the location. Two locations of one name are two locations still.
    #[must_use]
    pub fn named(self, name: impl Into<Arc<str>>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Puts a file there directly, as another program would.
    pub fn put(&self, path: &str, content: impl Into<Bytes>) {
        self.state().put(path, content.into());
    }

    /// Takes a file away directly.
    pub fn remove(&self, path: &str) {
        self.state().files.remove(path);
    }

    /// All files by path, Colca's own among them.
    pub fn files(&self) -> BTreeMap<String, Bytes> {
        self.state().files.iter().map(|(path, (bytes, _))| (path.clone(), bytes.clone())).collect()
    }

    /// Another place with the same files as this one now.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { name: None, abilities: self.abilities, state: Arc::new(Mutex::new(self.state().clone())) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PersistFs for MemoryFs {
    fn location(&self) -> String {
        self.name.as_ref().map_or_else(|| self.identity(), ToString::to_string)
    }

    fn identity(&self) -> String {
        format!("memory:{:p}", Arc::as_ptr(&self.state))
    }

    async fn abilities(&self) -> Result<Abilities> {
        Ok(self.abilities)
    }

    async fn list(&self, folder: Folder) -> Result<Vec<FileInfo>> {
        let own = format!("{OWN_FOLDER}/");
        let name = |path: &str| match folder {
            Folder::Own => path.strip_prefix(&own).map(str::to_owned),
            Folder::Published => (!path.contains('/')).then(|| path.to_owned()),
        };
        let info = |(path, (bytes, write)): (&String, &(Bytes, u64))| {
            Some(FileInfo {
                name: name(path)?,
                size: bytes.len() as u64,
                version: Some(write.to_string()),
                modified: SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(*write)),
            })
        };
        Ok(self.state().files.iter().filter_map(info).collect())
    }

    async fn read(&self, path: &str, limit: u64) -> Result<Option<Bytes>> {
        check_path(path)?;
        let Some(bytes) = self.state().files.get(path).map(|(bytes, _)| bytes.clone()) else { return Ok(None) };
        let size = bytes.len() as u64;
        if size > limit {
            return Err(Error::TooLarge { place: self.location(), name: path.to_owned(), size, limit });
        }
        Ok(Some(bytes))
    }

    async fn write(&self, path: &str, content: Content, _: Durability) -> Result<Stored> {
        check_own_path(path)?;
        let mut bytes = Vec::new();
        let (size, digest) =
            content.write_to(&mut bytes).map_err(|e| Error::failed(self.location(), "write", path, e))?;
        self.state().put(path, bytes.into());
        Ok(Stored { size, digest })
    }

    async fn create(&self, path: &str, content: Bytes, _: Durability) -> Result<bool> {
        check_own_path(path)?;
        let mut state = self.state();
        let free = !self.abilities.create || !state.files.contains_key(path);
        if free {
            state.put(path, content);
        }
        Ok(free)
    }

    async fn publish(&self, staged: &str, name: &str, expected: &Expected) -> Result<Publication> {
        check_own_path(staged)?;
        check_name(name)?;
        let mut state = self.state();
        let Some((bytes, write)) = state.files.get(staged).cloned() else { return Ok(Publication::NoSource) };
        if self.abilities.conditional_publish && !state.is(name, expected) {
            return Ok(Publication::Unexpected);
        }
        if self.abilities.moves {
            state.files.remove(staged);
            state.files.insert(name.to_owned(), (bytes, write));
        } else {
            state.put(name, bytes);
        }
        Ok(Publication::Done)
    }

    async fn delete(&self, path: &str) -> Result<()> {
        check_path(path)?;
        self.state().files.remove(path);
        Ok(())
    }

    async fn unpublish(&self, name: &str, expected: &Expected) -> Result<Publication> {
        check_name(name)?;
        let mut state = self.state();
        if self.abilities.conditional_publish && state.files.contains_key(name) && !state.is(name, expected) {
            return Ok(Publication::Unexpected);
        }
        state.files.remove(name);
        Ok(Publication::Done)
    }

    async fn sync(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    mod moving {
        crate::persist_fs_behavior!(pollster::block_on, async { crate::MemoryFs::new() });
    }

    mod copying {
        use crate::{Abilities, MemoryFs};
        crate::persist_fs_behavior!(pollster::block_on, async {
            MemoryFs::with_abilities(Abilities { create: true, conditional_publish: true, moves: false })
        });
    }

    mod copying_without_conditions {
        use crate::{Abilities, MemoryFs};
        crate::persist_fs_behavior!(pollster::block_on, async {
            MemoryFs::with_abilities(Abilities { create: true, conditional_publish: false, moves: false })
        });
    }
}
