//! What every [`PersistFs`] does, as functions to run against one, and places that fail or look on.
//!
//! ```
//! # mod tests {
//! persist::persist_fs_behavior!(pollster::block_on, async { persist::MemoryFs::new() });
//! # }
//! ```
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test suite fails by panicking")]

mod commits;
mod flaky;
mod steps;

use std::collections::BTreeMap;

pub use commits::*;
pub use flaky::{Fault, FlakyFs, Looking, WatchedFs};
pub use steps::*;

use crate::{
    ATTEMPTS, Changes, CommitOptions, Committed, Content, Error, Finding, PersistFile, PersistFs, ReadOptions, Result,
    Snapshot, Writer, restarts,
};

/// Makes one test of each behaviour: `persist_fs_behavior!(block_on, future that makes an empty place)`.
#[macro_export]
macro_rules! persist_fs_behavior {
    ($block_on:path, $make:expr) => {
        $crate::persist_fs_behavior!(@ $block_on, $make;
            absent_files_are_none
            written_files_are_read_back
            bytes_are_counted_while_they_move
            failing_content_leaves_nothing
            creating_has_one_winner
            publishing_gives_a_name
            publishing_replaces_what_was_expected_only
            names_stay_inside
            listing_is_sorted_and_complete
            nothing_too_large_is_read
            deleting_is_done_once
            published_files_are_deleted_as_expected
            commits_write_replace_and_remove
            commits_of_bad_content_change_nothing
            of_two_writers_one_wins
            a_commit_whose_answer_was_lost_is_not_made_twice
            another_program_s_writes_are_the_truth
            what_was_removed_does_not_come_back
            any_failing_call_leaves_a_whole_generation
            a_dropped_commit_leaves_a_whole_generation
            readers_see_whole_generations_at_every_moment
            old_generations_are_collected_and_nothing_else);
    };
    (@ $block_on:path, $make:expr; $($case:ident)*) => {
        $(#[test]
        fn $case() {
            $block_on(async {
                let fs = $make.await;
                $crate::behavior::$case(std::sync::Arc::new(fs)).await;
            });
        })*
    };
}

/// What a reader finds: the files by name.
pub type Contents = BTreeMap<String, String>;

/// A file of a commit.
pub fn file(name: &str, text: &str) -> PersistFile {
    PersistFile::new(name, Content::Bytes(text.to_owned().into()))
}

/// All files of a place as a reader of ours sees them, and what there is to know of them.
///
/// # Errors
/// Those of [`Snapshot`], after as many new beginnings as readers make.
pub async fn read_all(fs: &dyn PersistFs) -> Result<(Contents, Vec<Finding>)> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match read_once(fs).await {
            Err(e) if restarts(&e) && attempt < ATTEMPTS => {}
            done => return done,
        }
    }
}

async fn read_once(fs: &dyn PersistFs) -> Result<(Contents, Vec<Finding>)> {
    let mut snapshot = Snapshot::take(fs, ReadOptions::default()).await?;
    let mut contents = Contents::new();
    for info in snapshot.files() {
        if let Some(file) = snapshot.read(&info.name).await? {
            contents.insert(info.name, String::from_utf8_lossy(&file.bytes).into_owned());
        }
    }
    Ok((contents, snapshot.findings().to_vec()))
}

/// The contents that a reader should find.
pub fn contents<const N: usize>(files: [(&str, &str); N]) -> Contents {
    files.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

/// Writes files and removes others in one commit, whatever is there.
///
/// # Errors
/// As [`commit`](crate::commit).
pub async fn put(fs: &dyn PersistFs, write: &[(&str, &str)], remove: &[&str]) -> Result<Committed> {
    let options = CommitOptions { lock_wait: std::time::Duration::from_secs(60), ..CommitOptions::default() };
    put_with(fs, options, write, remove).await
}

/// As [`put`], with options.
///
/// # Errors
/// As [`put`].
pub async fn put_with(
    fs: &dyn PersistFs,
    options: CommitOptions,
    write: &[(&str, &str)],
    remove: &[&str],
) -> Result<Committed> {
    let writer = Writer::begin(fs, options).await?.prepare().await?;
    let committed = writer.commit(changes(write, remove)).await?;
    match committed.unpublished {
        None => Ok(committed),
        Some(e) => Err(e),
    }
}

fn changes(write: &[(&str, &str)], remove: &[&str]) -> Changes {
    let write = write.iter().map(|(name, text)| file(name, text)).collect();
    Changes { write, remove: remove.iter().map(|name| (*name).to_owned()).collect(), ..Changes::default() }
}

fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Conflict { .. })
}
