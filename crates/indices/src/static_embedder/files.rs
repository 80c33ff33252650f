use std::path::{Path, PathBuf};

use fs_backends::LocalFs;
use persist::{Folder, Limits, PersistFs};

use super::StaticModelError;

/// A file of a model.
pub(super) struct File {
    /// Its path, for messages.
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
}

/// Where the files of a model are.
pub(super) struct Files {
    weights: PathBuf,
    tokenizer: PathBuf,
}

impl Files {
    pub(super) fn new(weights: &Path, tokenizer: &Path) -> Self {
        Self { weights: weights.to_owned(), tokenizer: tokenizer.to_owned() }
    }

    /// Looks in a folder: weights and tokenizer side by side, or as in wordllama's package each in a folder of its own.
    pub(super) async fn find(folder: &Path) -> Result<Self, StaticModelError> {
        let is_weights = |name: &str| name.ends_with(".safetensors");
        let is_tokenizer = |name: &str| name.ends_with(".json") && name.contains("tokenizer");
        Ok(Self {
            weights: find(folder, "weights", "safetensors file", "model.safetensors", is_weights).await?,
            tokenizer: find(folder, "tokenizers", "tokenizer's JSON file", "tokenizer.json", is_tokenizer).await?,
        })
    }

    pub(super) async fn read_weights(&self) -> Result<File, StaticModelError> {
        read(&self.weights).await
    }

    pub(super) async fn read_tokenizer(&self) -> Result<File, StaticModelError> {
        read(&self.tokenizer).await
    }

    /// The settings beside the weights, if there are any.
    pub(super) async fn read_config(&self) -> Result<Option<File>, StaticModelError> {
        match read(&self.weights.with_file_name("config.json")).await {
            Err(StaticModelError::Place(e)) if e.is_not_found() => Ok(None),
            other => other.map(Some),
        }
    }

    /// What the weights are called, if their name says anything.
    pub(super) fn stem(&self) -> Option<String> {
        let stem = self.weights.file_stem()?.to_string_lossy().into_owned();
        (stem != "model").then_some(stem)
    }
}

/// Finds a file in a folder or below it. Of several, the one with the usual name is taken.
async fn find(
    folder: &Path,
    below: &str,
    wanted: &'static str,
    usual: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<PathBuf, StaticModelError> {
    for folder in [folder.to_owned(), folder.join(below)] {
        let mut names: Vec<String> =
            LocalFs::new(&folder).list(Folder::Published).await?.into_iter().map(|file| file.name).collect();
        names.retain(|name| is_wanted(name));
        match &names[..] {
            [] => {}
            [name] => return Ok(folder.join(name)),
            names if names.iter().any(|name| name == usual) => return Ok(folder.join(usual)),
            _ => {
                return Err(StaticModelError::SeveralFiles {
                    folder: folder.display().to_string(),
                    wanted,
                    found: names,
                });
            }
        }
    }
    Err(StaticModelError::NoFile { folder: folder.display().to_string(), wanted })
}

async fn read(path: &Path) -> Result<File, StaticModelError> {
    let shown = path.display().to_string();
    let name = path.file_name().and_then(|name| name.to_str());
    let Some(name) = name else { return Err(StaticModelError::NoPath { path: shown }) };
    let folder = LocalFs::new(path.parent().unwrap_or(Path::new("")));
    match folder.read(name, Limits::default().file_size).await? {
        Some(bytes) => Ok(File { path: shown, bytes: bytes.into() }),
        None => Err(persist::Error::NotFound { place: folder.location(), name: name.to_owned() }.into()),
    }
}
