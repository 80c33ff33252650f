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
use std::io::{self, Write};

pub use commits::*;
pub use flaky::{Fault, FlakyFs, Looking, WatchedFs};
pub use steps::*;

use crate::{
    ATTEMPTS, Changes, CommitOptions, Committed, Content, Durability, Error, Finding, PersistFile, PersistFs,
    ReadOptions, RequestFailure, Result, Snapshot, Writer, restarts,
};

/// Makes one test of each behaviour: `persist_fs_behavior!(block_on, future that makes an empty place)`.
///
/// What a location cannot do is not demanded of it, if it says so: by its [`Abilities`](crate::Abilities), or by an answer
/// that it does not know uploads in parts. The test passes then with a line on stderr.
#[macro_export]
macro_rules! persist_fs_behavior {
    ($block_on:path, $make:expr) => {
        $crate::persist_fs_behavior!(@ $block_on, $make; can_be_written;
            absent_files_are_none
            written_files_are_read_back
            failing_content_leaves_nothing
            publishing_gives_a_name
            names_stay_inside
            listing_is_sorted_and_complete
            nothing_too_large_is_read
            deleting_is_done_once
            published_files_are_deleted_as_expected);
        $crate::persist_fs_behavior!(@ $block_on, $make; takes_large_files;
            large_files_are_read_back
            bytes_are_counted_while_they_move);
        $crate::persist_fs_behavior!(@ $block_on, $make; publishes_on_conditions;
            publishing_replaces_what_was_expected_only);
        $crate::persist_fs_behavior!(@ $block_on, $make; keeps_writers_apart;
            creating_has_one_winner
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
    (@ $block_on:path, $make:expr; $needs:ident; $($case:ident)*) => {
        $(#[test]
        fn $case() {
            $block_on(async {
                let fs: std::sync::Arc<dyn $crate::PersistFs> = std::sync::Arc::new($make.await);
                if $crate::behavior::$needs(&*fs, stringify!($case)).await {
                    $crate::behavior::$case(fs).await;
                }
            });
        })*
    };
}

/// What every location can do.
pub async fn can_be_written(_: &dyn PersistFs, _: &str) -> bool {
    true
}

/// Whether files of several parts can be written there. If not, demands that the service does not know such uploads, and
/// reports that the case is skipped.
pub async fn takes_large_files(fs: &dyn PersistFs, case: &str) -> bool {
    let path = ".colca/large-0.staged";
    let large = Content::Bytes(vec![0; 9 << 20].into());
    let Err(e) = fs.write(path, large, Durability::Full).await else {
        fs.delete(path).await.unwrap();
        return true;
    };
    let Error::Failed { source, .. } = &e else { panic!("{e:?}") };
    let failure = source.downcast_ref::<RequestFailure>();
    let is_unknown = failure.is_some_and(|failure| {
        (failure.request, failure.kind, failure.is_retryable) == ("CreateMultipartUpload", "NotFound", false)
    });
    assert!(is_unknown, "{e:?}");
    report_skip(fs, case, "the service does not know uploads in parts");
    false
}

/// Whether publishing is conditional there; if not, reports that the case is skipped.
pub async fn publishes_on_conditions(fs: &dyn PersistFs, case: &str) -> bool {
    let is_able = fs.abilities().await.unwrap().conditional_publish;
    if !is_able {
        report_skip(fs, case, "publishing does not check what it replaces");
    }
    is_able
}

/// Whether of two writers one wins there. If not, demands that a commit is refused, and reports that the case is skipped.
pub async fn keeps_writers_apart(fs: &dyn PersistFs, case: &str) -> bool {
    let is_able = fs.abilities().await.unwrap().create;
    if !is_able {
        let refused = put(fs, &[("a.json", "1")], &[]).await.unwrap_err();
        assert!(matches!(refused, Error::Unconditional { .. }), "{refused}");
        report_skip(fs, case, "a file cannot be made only if it is absent, so commits are refused");
    }
    is_able
}

fn report_skip(fs: &dyn PersistFs, case: &str, reason: &str) {
    // Not through `eprintln!`, which the test runner captures.
    let _ = writeln!(io::stderr(), "{case} is skipped at {}: {reason}", fs.location());
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
