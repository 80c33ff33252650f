use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Content, Error, FileInfo, PersistFs, Result, Staged, check_name};

/// A place in memory, for tests and for contexts that travel as bytes. Clones share the files.
#[derive(Debug, Clone, Default)]
pub struct MemoryFs {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The files, each with the number of the write that made it.
    published: BTreeMap<String, (Bytes, u64)>,
    writes: u64,
    staged: BTreeMap<String, Bytes>,
    staged_count: u64,
}

impl State {
    fn publish(&mut self, name: String, bytes: Bytes) {
        self.writes += 1;
        self.published.insert(name, (bytes, self.writes));
    }
}

impl MemoryFs {
    /// An empty place.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a file there directly, as another program would.
    pub fn put(&self, name: impl Into<String>, content: impl Into<Bytes>) {
        self.state().publish(name.into(), content.into());
    }

    /// Takes a file away directly.
    pub fn remove(&self, name: &str) {
        self.state().published.remove(name);
    }

    /// How many staged files have been neither published nor discarded.
    pub fn staged_len(&self) -> usize {
        self.state().staged.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PersistFs for MemoryFs {
    fn location(&self) -> String {
        format!("memory:{:p}", Arc::as_ptr(&self.state))
    }

    async fn list(&self) -> Result<Vec<FileInfo>> {
        let files = &self.state().published;
        let info = |(name, (bytes, write)): (&String, &(Bytes, u64))| FileInfo {
            name: name.clone(),
            size: bytes.len() as u64,
            version: Some(write.to_string()),
        };
        Ok(files.iter().map(info).collect())
    }

    async fn read(&self, name: &str) -> Result<Option<Bytes>> {
        check_name(name)?;
        Ok(self.state().published.get(name).map(|(bytes, _)| bytes.clone()))
    }

    async fn stage(&self, name: &str, content: Content) -> Result<Staged> {
        check_name(name)?;
        let mut bytes = Vec::new();
        let (size, digest) =
            content.write_to(&mut bytes).map_err(|e| Error::failed(self.location(), "write", name, e))?;
        let mut state = self.state();
        state.staged_count += 1;
        let token = state.staged_count.to_string();
        state.staged.insert(token.clone(), bytes.into());
        Ok(Staged { token, name: name.to_owned(), size, digest })
    }

    async fn publish(&self, staged: Vec<Staged>, remove: &[String]) -> Result<()> {
        let mut state = self.state();
        for file in staged {
            let bytes = state
                .staged
                .remove(&file.token)
                .ok_or_else(|| Error::NotFound { place: self.location(), name: file.name.clone() })?;
            state.publish(file.name, bytes);
        }
        for name in remove {
            state.published.remove(name);
        }
        Ok(())
    }

    async fn discard(&self, staged: Vec<Staged>) {
        let mut state = self.state();
        for file in staged {
            state.staged.remove(&file.token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::persist_fs_behavior!(pollster::block_on, async { MemoryFs::new() });
}
