//! The locations that states are recorded at and put back to.

use std::collections::BTreeMap;
use std::sync::Arc;

use fs_backends::{LocalFs, ObjectFs, Place};
use opendal::Operator;
use opendal::services::Memory;
use persist::{Abilities, Folder, MemoryFs, OWN_FOLDER, PersistFs};
use tempfile::TempDir;

use super::format::Files;

/// A kind of location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A directory, through `LocalFs`.
    Disk,
    /// A map that publishes by copying, on conditions, as S3 does.
    Bucket,
    /// OpenDAL's service in memory, through `ObjectFs`: it copies without conditions, as some services do.
    Unconditional,
    /// A map that publishes by moving, as a disk does.
    Memory,
}

/// The kinds that states are recorded at.
pub(super) const RECORDED: [Kind; 3] = [Kind::Disk, Kind::Bucket, Kind::Unconditional];

pub(super) struct Location {
    pub(super) place: Place,
    storage: Storage,
}

/// What is behind a location.
enum Storage {
    Directory(TempDir),
    Map(MemoryFs),
    Service(Operator),
}

impl Kind {
    /// The name in the recorded files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Disk => "a disk",
            Self::Bucket => "a bucket",
            Self::Unconditional => "a bucket without conditions",
            Self::Memory => "memory",
        }
    }

    /// An empty location.
    pub(super) fn make(self) -> Location {
        let map = |moves| {
            let map = MemoryFs::with_abilities(Abilities { create: true, conditional_publish: true, moves });
            Location { place: Arc::new(map.clone()), storage: Storage::Map(map) }
        };
        match self {
            Self::Disk => {
                let directory = tempfile::tempdir().unwrap();
                Location { place: Arc::new(LocalFs::new(directory.path())), storage: Storage::Directory(directory) }
            }
            Self::Bucket => map(false),
            Self::Memory => map(true),
            Self::Unconditional => {
                let service = Operator::new(Memory::default()).unwrap();
                Location { place: Arc::new(ObjectFs::new(service.clone())), storage: Storage::Service(service) }
            }
        }
    }
}

impl Location {
    /// Puts files there directly, as a program that copies directories and buckets does.
    pub(super) async fn put(&self, files: &Files) {
        if let Storage::Directory(directory) = &self.storage {
            std::fs::create_dir_all(directory.path().join(OWN_FOLDER)).unwrap();
        }
        for (path, text) in files {
            match &self.storage {
                Storage::Directory(directory) => std::fs::write(directory.path().join(path), text).unwrap(),
                Storage::Map(map) => map.put(path, text.clone()),
                Storage::Service(service) => drop(service.write(path, text.clone()).await.unwrap()),
            }
        }
    }
}

/// All files there, Colca's own among them.
pub(super) async fn files_of(place: &dyn PersistFs) -> Files {
    let mut files = BTreeMap::new();
    for (folder, prefix) in [(Folder::Published, String::new()), (Folder::Own, format!("{OWN_FOLDER}/"))] {
        for info in place.list(folder).await.unwrap() {
            let path = format!("{prefix}{}", info.name);
            let bytes = place.read(&path, u64::MAX).await.unwrap().unwrap();
            files.insert(path, String::from_utf8(bytes.to_vec()).unwrap());
        }
    }
    files
}
