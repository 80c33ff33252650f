use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use persist::{Error, Result};

use crate::read_fs::{FileStat, Listing, ReadFs, check_name};

/// Files in memory, for tests and for what is no file. The folder is called `/`, and no times are known.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles(BTreeMap<PathBuf, Bytes>);

impl MemoryFiles {
    /// Files of these names and contents. Of several with the same name the last counts.
    ///
    /// # Errors
    /// [`Error::InvalidName`] for a name that leads out of the folder.
    pub fn new<N: Into<PathBuf>, C: Into<Bytes>>(files: impl IntoIterator<Item = (N, C)>) -> Result<Self> {
        let mut kept = BTreeMap::new();
        for (name, content) in files {
            let name = name.into();
            check_name(&name)?;
            kept.insert(name, content.into());
        }
        Ok(Self(kept))
    }

    fn find(&self, name: &Path) -> Result<&Bytes> {
        check_name(name)?;
        let missing = || Error::NotFound { place: "memory".to_owned(), name: name.display().to_string() };
        self.0.get(name).ok_or_else(missing)
    }
}

fn stat(name: &Path, content: &Bytes) -> FileStat {
    FileStat { name: name.to_owned(), size: content.len() as u64, ..FileStat::default() }
}

#[async_trait]
impl ReadFs for MemoryFiles {
    fn folder(&self) -> PathBuf {
        PathBuf::from("/")
    }

    async fn list_files(&self, recursive: bool) -> Result<Listing> {
        let files = self.0.iter().filter(|(name, _)| recursive || name.components().count() == 1);
        Ok(Listing { files: files.map(|(name, content)| stat(name, content)).collect(), ..Listing::default() })
    }

    async fn file_stat(&self, name: &Path) -> Result<FileStat> {
        self.find(name).map(|content| stat(name, content))
    }

    async fn read_file(&self, name: &Path) -> Result<Bytes> {
        self.find(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pollster::block_on;

    #[test]
    fn names_are_paths_within_the_folder() {
        let files = MemoryFiles::new([("a.txt", "1"), ("sub/b.txt", "22")]).unwrap();
        assert_eq!(block_on(files.list_files(false)).unwrap().files.len(), 1);
        assert_eq!(block_on(files.list_files(true)).unwrap().files.len(), 2);
        assert_eq!(block_on(files.file_stat(Path::new("sub/b.txt"))).unwrap().size, 2);
        assert!(block_on(files.read_file(Path::new("b.txt"))).unwrap_err().is_not_found());
        let outside = MemoryFiles::new([("../a", "")]);
        assert!(matches!(&outside, Err(Error::InvalidName { name, .. }) if name == "../a"), "{outside:?}");
        assert!(matches!(block_on(files.read_file(Path::new("/a.txt"))), Err(Error::InvalidName { .. })));
    }
}
