//! Collecting what no reader and no writer can need any more.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use crate::manifest::{generation_of, is_staged, manifest_name, marker_name, read_manifest};
use crate::mechanism::{Mechanism, has};
use crate::name::own_path;
use crate::{Durability, FileInfo, Folder, Limits, Manifest, PersistFs, Result};

/// Deletes old manifests and the staged files that only they name, after `newest` was published.
///
/// A file goes if it is older than `newest` by more than `min_age`, by the clock of the place. What a writer at work has
/// staged is younger than the manifest that it began with; if that was not `newest`, its commit will fail. Manifests go
/// in ascending order, after the staged files that they name: as long as one is there, all later ones are. Files of
/// other names are not ours and stay.
pub(crate) async fn collect(
    fs: &dyn PersistFs,
    newest: &Manifest,
    keep_generations: u64,
    min_age: Duration,
    durability: Durability,
    limits: &Limits,
) -> Result<()> {
    let own = fs.list(Folder::Own).await?;
    let name = manifest_name(newest.generation);
    let Some(now) = own.iter().find(|file| file.name == name).and_then(|file| file.modified) else { return Ok(()) };
    let is_old = |file: &FileInfo| !has(Mechanism::CollectOnlyOld) || is_older(file.modified, now, min_age);
    let kept = newest.generation.saturating_sub(keep_generations.max(1));
    let mut old: Vec<(u64, &FileInfo)> =
        own.iter().filter_map(|file| Some((generation_of(&file.name, ".json")?, file))).collect();
    old.sort_by_key(|(generation, _)| *generation);
    let first_kept = old
        .iter()
        .find(|(generation, file)| *generation > kept || !is_old(file))
        .map_or(newest.generation, |(generation, _)| *generation);
    let is_ours = |name: &str| is_staged(name) || name.ends_with(".tmp") || name.ends_with(".probe");
    let mut unneeded: BTreeSet<&str> =
        own.iter().filter(|file| is_ours(&file.name) && is_old(file)).map(|file| &*file.name).collect();
    let needs = |unneeded: &mut BTreeSet<&str>, manifest: &Manifest| {
        for staged in manifest.files.iter().filter_map(|file| file.staged.as_deref()) {
            unneeded.remove(staged);
        }
    };
    needs(&mut unneeded, newest);
    // The oldest that is kept needs most of what the newest does not.
    for (generation, file) in old.iter().filter(|(generation, _)| *generation >= first_kept) {
        if unneeded.is_empty() {
            break;
        }
        if let Some(manifest) = read_manifest(fs, *generation, limits).await? {
            needs(&mut unneeded, &manifest);
        }
        if !is_old(file) {
            // Later ones need what this one needs, and what was staged after it was made, which is not old.
            break;
        }
    }
    let deletes_manifests = old.iter().any(|(generation, _)| *generation < first_kept);
    if deletes_manifests && durability == Durability::Full && has(Mechanism::SyncBeforeCollecting) {
        // An older hint must not come back: it would lead to a manifest that a power failure has spared.
        fs.sync().await?;
    }
    for name in unneeded {
        fs.delete(&own_path(name)).await?;
    }
    for (generation, file) in old.iter().filter(|(generation, _)| *generation < first_kept) {
        fs.delete(&own_path(&file.name)).await?;
        fs.delete(&own_path(&marker_name(*generation))).await?;
    }
    // A writer may have stopped between a manifest and its marker.
    let has_manifest = |generation: &u64| old.binary_search_by_key(generation, |(generation, _)| *generation).is_ok();
    let of_none = |generation: &u64| *generation < first_kept && !has_manifest(generation);
    for generation in own.iter().filter_map(|file| generation_of(&file.name, ".published")).filter(of_none) {
        fs.delete(&own_path(&marker_name(generation))).await?;
    }
    Ok(())
}

fn is_older(file: Option<SystemTime>, than: SystemTime, by: Duration) -> bool {
    file.and_then(|time| than.duration_since(time).ok()).is_some_and(|age| age > by)
}
