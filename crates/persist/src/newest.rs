//! Which generation of a place is the newest.

use bytes::Bytes;

use crate::manifest::{generation_of, manifest_name, marker_name, parse_manifest, read_manifest};
use crate::mechanism::{Mechanism, has};
use crate::name::own_path;
use crate::snapshot::ATTEMPTS;
use crate::{Digest, Error, Folder, Limits, Manifest, PersistFs, Result};

/// The file that says where to begin looking for the newest manifest. It may lag behind.
const HINT: &str = "latest";

/// The longest hint that is worth reading: the digits of a number.
const HINT_SIZE_MAX: u64 = 32;

/// The newest generation of a place.
#[derive(Debug, Clone)]
pub(crate) struct Newest {
    pub(crate) manifest: Manifest,
    found: Found,
}

/// A newest generation as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    generation: u64,
    /// Its manifest, as text.
    text: Bytes,
    /// Whether all its files have been published.
    published: bool,
}

impl Newest {
    /// Whether all its files have been published.
    pub(crate) fn is_published(&self) -> bool {
        self.found.published
    }

    /// Whether it still is the newest one, and published or not as it was.
    pub(crate) async fn is_unchanged(&self, fs: &dyn PersistFs, limits: &Limits) -> Result<bool> {
        Ok(find(fs, limits).await?.as_ref() == Some(&self.found))
    }
}

/// Finds the newest generation, and reads its manifest.
pub(crate) async fn newest(fs: &dyn PersistFs, limits: &Limits) -> Result<Option<Newest>> {
    let Some(found) = find(fs, limits).await? else { return Ok(None) };
    let manifest = parse_manifest(fs, found.generation, &found.text, limits)?;
    Ok(Some(Newest { manifest, found }))
}

/// Finds the newest generation: from the hint on, and by listing if the hint leads nowhere.
///
/// A manifest is read after its successor was found to be absent. Manifests are collected in ascending order, so that
/// one which is still there shows that the absent one had not been made.
async fn find(fs: &dyn PersistFs, limits: &Limits) -> Result<Option<Found>> {
    let mut generation = read_hint(fs).await?;
    for _ in 0..ATTEMPTS {
        if let Some(from) = generation {
            let mut at = from;
            while let Some(next) = at.checked_add(1)
                && exists(fs, next, limits).await?
            {
                at = next;
            }
            if let Some(text) = fs.read(&own_path(&manifest_name(at)), limits.manifest_size).await? {
                let marker = own_path(&marker_name(at));
                let published = fs.read(&marker, limits.manifest_size).await?.is_some();
                return Ok(Some(Found { generation: at, text, published }));
            }
        }
        generation = newest_listed(fs).await?;
        if generation.is_none() {
            return Ok(None);
        }
    }
    Err(Error::Superseded { place: fs.location() })
}

/// Whether a generation is the newest one still.
pub(crate) async fn is_newest(fs: &dyn PersistFs, generation: u64, limits: &Limits) -> Result<bool> {
    Ok(!exists(fs, generation.saturating_add(1), limits).await? && exists(fs, generation, limits).await?)
}

/// The greatest number of a manifest.
pub(crate) async fn newest_listed(fs: &dyn PersistFs) -> Result<Option<u64>> {
    let own = fs.list(Folder::Own).await?;
    Ok(own.iter().filter_map(|file| generation_of(&file.name, ".json")).max())
}

/// What the hint says, if it says anything. One that cannot be read says nothing, unless the location does not answer.
async fn read_hint(fs: &dyn PersistFs) -> Result<Option<u64>> {
    let bytes = match fs.read(&own_path(HINT), HINT_SIZE_MAX).await {
        Ok(bytes) => bytes,
        Err(e) if e.is_retryable() => return Err(e),
        Err(_) => None,
    };
    Ok(bytes.and_then(|bytes| std::str::from_utf8(&bytes).ok()?.trim().parse().ok()))
}

/// The path and the content of the hint to a generation.
pub(crate) fn hint(generation: u64) -> (String, String) {
    (own_path(HINT), generation.to_string())
}

async fn exists(fs: &dyn PersistFs, generation: u64, limits: &Limits) -> Result<bool> {
    let path = own_path(&manifest_name(generation));
    Ok(fs.read(&path, limits.manifest_size).await?.is_some())
}

/// Whether what was found under a name is a file that no manifest knows.
pub(crate) async fn is_foreign(
    fs: &dyn PersistFs,
    manifest: &Manifest,
    name: &str,
    found: Option<Digest>,
    limits: &Limits,
) -> Result<bool> {
    let Some(digest) = found else { return Ok(false) };
    let known = !has(Mechanism::Foreign)
        || manifest.knows(name, digest)
        || earlier_knows(fs, manifest, name, digest, limits).await?;
    Ok(!known)
}

/// Whether an earlier generation that is still kept knows a file of that name and content.
async fn earlier_knows(
    fs: &dyn PersistFs,
    manifest: &Manifest,
    name: &str,
    digest: Digest,
    limits: &Limits,
) -> Result<bool> {
    let mut generation = manifest.generation;
    while generation > 1 {
        generation -= 1;
        match read_manifest(fs, generation, limits).await? {
            Some(earlier) if earlier.knows(name, digest) => return Ok(true),
            Some(_) => {}
            None => break,
        }
    }
    Ok(false)
}
