//! Commits at a place: the protocol as a whole.

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use super::{
    Contents, Fault, FlakyFs, Looking, WatchedFs, changes, contents, file, is_conflict, put, put_with, read_all,
};
use crate::{
    CommitOptions, Content, Digest, Durability, Error, Expected, Finding, Folder, PersistFile, PersistFs, Publication,
    Writer, commit,
};

/// Writes a file as another program does, around the protocol.
async fn write_as_a_stranger(fs: &dyn PersistFs, name: &str, text: &str) {
    let path = ".colca/stranger-0.staged";
    fs.write(path, Content::Bytes(text.to_owned().into()), Durability::Full).await.unwrap();
    assert_eq!(fs.publish(path, name, &Expected::Anything).await.unwrap(), Publication::Done);
    fs.delete(path).await.unwrap();
}

async fn published(fs: &dyn PersistFs, name: &str) -> Option<String> {
    let bytes = fs.read(name, 1 << 20).await.unwrap();
    bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

/// Commits these files, and returns of how many calls of a commit one is tried: of one, unless a commit takes long there.
async fn stride(fs: &dyn PersistFs, files: &[(&str, &str)]) -> usize {
    let start = Instant::now();
    put(fs, files, &[]).await.unwrap();
    1 + start.elapsed().as_millis() as usize / 30
}

/// A commit creates, replaces and removes, reports sizes and digests, and counts generations.
pub async fn commits_write_replace_and_remove(fs: Arc<dyn PersistFs>) {
    let first = put(&*fs, &[("a.json", "1"), ("b.json", "2"), ("c.json", "3")], &[]).await.unwrap();
    assert_eq!(first.manifest.generation, 1);
    let second = put(&*fs, &[("b.json", "two"), ("d.json", "")], &["a.json", "zzz"]).await.unwrap();
    assert_eq!(second.manifest.generation, 2);
    assert_eq!(second.manifest.parent, Some(first.manifest.commit));
    assert_eq!((second.written[0].size, second.written[0].digest), (3, Digest::of(b"two")));
    let expected = contents([("b.json", "two"), ("c.json", "3"), ("d.json", "")]);
    assert_eq!(read_all(&*fs).await.unwrap(), (expected.clone(), vec![]));
    for (name, text) in [("a.json", None), ("b.json", Some("two")), ("c.json", Some("3")), ("d.json", Some(""))] {
        assert_eq!(published(&*fs, name).await.as_deref(), text, "another program sees it too");
    }
    let names: Vec<String> = second.manifest.files.iter().map(|file| file.name.clone()).collect();
    assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>(), expected.keys().collect());
}

/// Content that cannot be produced, and names that cannot be, fail a commit before any file changes.
pub async fn commits_of_bad_content_change_nothing(fs: Arc<dyn PersistFs>) {
    put(&*fs, &[("a.json", "old")], &[]).await.unwrap();
    let broken = Content::writer(|out| {
        out.write_all(b"half")?;
        Err(io::Error::other("no more"))
    });
    let failed = commit(&*fs, vec![file("a.json", "new"), PersistFile::new("b.json", broken)], &[]).await;
    assert!(matches!(failed, Err(Error::Failed { .. })), "{failed:?}");
    let twice = commit(&*fs, vec![file("a.json", "1"), file("a.json", "2")], &[]).await;
    assert!(matches!(twice, Err(Error::DuplicateName { .. })));
    for name in ["../x", ".colca", "a/b", ""] {
        let invalid = commit(&*fs, vec![file(name, "1")], &[]).await;
        assert!(matches!(invalid, Err(Error::InvalidName { .. })), "{name}");
    }
    assert_eq!(read_all(&*fs).await.unwrap().0, contents([("a.json", "old")]));
    let own = fs.list(Folder::Own).await.unwrap();
    assert!(!own.iter().any(|file| file.name.ends_with(".staged") && file.size == 4), "{own:?}");
}

/// Of two writers that began with the same generation one wins, and the other is told which generation did.
pub async fn of_two_writers_one_wins(fs: Arc<dyn PersistFs>) {
    put(&*fs, &[("a.json", "0")], &[]).await.unwrap();
    let options = || CommitOptions { lock_wait: Duration::from_millis(20), ..CommitOptions::default() };
    let first = Writer::begin(&*fs, options()).await.unwrap().prepare().await.unwrap();
    let second = match Writer::begin(&*fs, options()).await {
        Ok(second) => second.prepare().await.unwrap(),
        // Where there is a lock, nobody begins before the other has finished.
        Err(Error::Locked { .. }) => return,
        Err(e) => panic!("{e}"),
    };
    first.commit(changes(&[("a.json", "1"), ("b.json", "1")], &[])).await.unwrap();
    let lost = second.commit(changes(&[("a.json", "2"), ("c.json", "2")], &[])).await.unwrap_err();
    assert!(matches!(lost, Error::Conflict { ours: Some(1), theirs: Some(2), .. }), "{lost}");
    assert_eq!(read_all(&*fs).await.unwrap().0, contents([("a.json", "1"), ("b.json", "1")]));
}

/// A manifest that was made although its maker was told of a failure counts as made: by [`Mechanism::OwnCommitId`].
///
/// [`Mechanism::OwnCommitId`]: crate::Mechanism::OwnCommitId
pub async fn a_commit_whose_answer_was_lost_is_not_made_twice(fs: Arc<dyn PersistFs>) {
    let stride = stride(&*fs, &[("a.json", "0")]).await;
    for fail_at in (1..).step_by(stride) {
        put(&*fs, &[("a.json", "0")], &[]).await.unwrap();
        let flaky = FlakyFs::new(Arc::clone(&fs), fail_at, Fault::After);
        let before = newest_generation(&*fs).await;
        let result = put(&flaky, &[("a.json", &fail_at.to_string())], &[]).await;
        let after = newest_generation(&*fs).await;
        assert!(after - before <= 1);
        assert!(!result.as_ref().is_err_and(is_conflict), "call {fail_at}: its own commit is no rival");
        if !flaky.has_failed() {
            return;
        }
    }
}

async fn newest_generation(fs: &dyn PersistFs) -> u64 {
    let own = fs.list(Folder::Own).await.unwrap();
    own.iter().filter_map(|file| file.name.strip_suffix(".json")?.parse().ok()).max().unwrap_or(0)
}

/// What another program wrote, added, put back or deleted is what is read, and it is told.
pub async fn another_program_s_writes_are_the_truth(fs: Arc<dyn PersistFs>) {
    put(&*fs, &[("a.json", "1"), ("b.json", "1")], &[]).await.unwrap();
    put(&*fs, &[("a.json", "2"), ("b.json", "2")], &[]).await.unwrap();
    let name = || "a.json".to_owned();
    let abilities = fs.abilities().await.unwrap();
    // One file as it was a generation ago, and the others as they are: nothing shows whether it has written them too.
    if abilities.moves || abilities.conditional_publish {
        write_as_a_stranger(&*fs, "a.json", "1").await;
        let (found, findings) = read_all(&*fs).await.unwrap();
        assert_eq!(found, contents([("a.json", "1"), ("b.json", "2")]));
        assert_eq!(findings, [Finding::PutBack { name: name() }]);
    }
    write_as_a_stranger(&*fs, "a.json", "stranger").await;
    write_as_a_stranger(&*fs, "x.json", "new").await;
    let (found, findings) = read_all(&*fs).await.unwrap();
    assert_eq!(found, contents([("a.json", "stranger"), ("b.json", "2"), ("x.json", "new")]));
    assert_eq!(findings, [Finding::Foreign { name: name() }, Finding::Added { name: "x.json".into() }]);
    // All files as they were a generation ago: a copy that was put back.
    write_as_a_stranger(&*fs, "a.json", "1").await;
    write_as_a_stranger(&*fs, "b.json", "1").await;
    let (found, findings) = read_all(&*fs).await.unwrap();
    if abilities.moves || abilities.conditional_publish {
        assert_eq!(found, contents([("a.json", "1"), ("b.json", "1"), ("x.json", "new")]));
        assert!(findings.contains(&Finding::PutBack { name: name() }), "{findings:?}");
    } else {
        // There it could as well be a writer of ours that comes late: the generation stays whole.
        assert_eq!(found, contents([("a.json", "2"), ("b.json", "2"), ("x.json", "new")]));
        assert!(findings.contains(&Finding::FromStaged { name: name() }), "{findings:?}");
    }
    // The next commit replaces it only where it is told to.
    put(&*fs, &[("b.json", "3")], &[]).await.unwrap();
    assert_eq!(read_all(&*fs).await.unwrap().0["b.json"], "3");
    fs.delete("a.json").await.unwrap();
    let (found, findings) = read_all(&*fs).await.unwrap();
    match abilities.moves {
        true => assert!(!found.contains_key("a.json") && findings.contains(&Finding::Deleted { name: name() })),
        false => assert!(found.contains_key("a.json") && findings.contains(&Finding::FromStaged { name: name() })),
    }
}

/// A file that a generation removed is not read, wherever its writer stopped; if another program writes one of that name,
/// it is.
pub async fn what_was_removed_does_not_come_back(fs: Arc<dyn PersistFs>) {
    let stride = stride(&*fs, &[("a.json", "1"), ("x.json", "1")]).await;
    let mut fail_at = 1;
    loop {
        let flaky = FlakyFs::new(Arc::clone(&fs), fail_at, Fault::Before);
        let result = put(&flaky, &[("a.json", "2")], &["x.json"]).await;
        let (found, _) = read_all(&*fs).await.unwrap();
        assert_eq!(found.contains_key("x.json"), found["a.json"] == "1", "call {fail_at}: {found:?}");
        if result.is_ok() && !flaky.has_failed() {
            break;
        }
        put(&*fs, &[("a.json", "1"), ("x.json", "1")], &[]).await.unwrap();
        fail_at += stride;
    }
    write_as_a_stranger(&*fs, "x.json", "mine").await;
    assert_eq!(read_all(&*fs).await.unwrap().0, contents([("a.json", "2"), ("x.json", "mine")]));
}

/// Whichever call fails, with or without its effect, a reader sees the old generation or the new one, and the next commit
/// succeeds.
pub async fn any_failing_call_leaves_a_whole_generation(fs: Arc<dyn PersistFs>) {
    let stride = stride(&*fs, &[("a.json", "0"), ("b.json", "0")]).await;
    for fault in [Fault::Before, Fault::After] {
        for n in (1..).step_by(stride) {
            let text = |n: usize| format!("{fault:?} {n}");
            let state = |n: usize| contents([("a.json", &text(n)), ("b.json", &text(n))]);
            put(&*fs, &[("a.json", &text(0)), ("b.json", &text(0))], &[]).await.unwrap();
            let flaky = FlakyFs::new(Arc::clone(&fs), n, fault);
            let result = put(&flaky, &[("a.json", &text(n)), ("b.json", &text(n))], &[]).await;
            let found = read_all(&*fs).await.unwrap();
            let new = found.0 == state(n);
            assert!(new || found.0 == state(0), "call {n} failed {fault:?}: {found:?}");
            assert_eq!(found.1, [], "call {n} failed {fault:?}");
            assert!(new || result.is_err(), "call {n} failed {fault:?}, and what was reported as written is not there");
            if !flaky.has_failed() {
                assert!(n > 10, "no call failed");
                break;
            }
        }
    }
}

/// Wherever a commit waits when it is dropped, a reader sees the old generation or the new one, and another commit
/// succeeds.
pub async fn a_dropped_commit_leaves_a_whole_generation(fs: Arc<dyn PersistFs>) {
    let stride = stride(&*fs, &[("a.json", "0"), ("b.json", "0")]).await;
    for n in (1..).step_by(stride) {
        let text = |n: usize| n.to_string();
        let state = |n: usize| contents([("a.json", &text(n)), ("b.json", &text(n))]);
        // A call that was not waited for may still make its manifest: then that is the one to go on from.
        while let Err(e) = put(&*fs, &[("a.json", &text(0)), ("b.json", &text(0))], &[]).await {
            assert!(matches!(e, Error::Conflict { .. } | Error::Superseded { .. }), "dropped at {n}: {e}");
        }
        let waiting = WatchedFs::new(Arc::clone(&fs), || Box::pin(wait_once()) as Looking);
        let (a, b) = (text(n), text(n));
        let files = [("a.json", &*a), ("b.json", &*b)];
        let mut commit = Box::pin(put(&waiting, &files, &[]));
        let mut waits = 0;
        let result = poll_fn(|context| {
            waits += 1;
            match commit.as_mut().poll(context) {
                Poll::Ready(result) => Poll::Ready(Some(result)),
                Poll::Pending if waits == n => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        drop(commit);
        let (found, findings) = read_all(&*fs).await.unwrap();
        assert!(found == state(n) || found == state(0), "dropped at {n}: {found:?}");
        assert_eq!(findings, [], "dropped at {n}");
        if let Some(result) = result {
            result.unwrap();
            assert_eq!(found, state(n));
            assert!(n > 10, "it never waited");
            return;
        }
    }
}

async fn wait_once() {
    let mut waited = false;
    poll_fn(|context| {
        context.waker().wake_by_ref();
        if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// A reader that looks between any two steps of a commit sees the old generation or the new one, and never the old one
/// after the new one.
pub async fn readers_see_whole_generations_at_every_moment(fs: Arc<dyn PersistFs>) {
    put(&*fs, &[("a.json", "1"), ("b.json", "1"), ("gone.json", "1")], &[]).await.unwrap();
    let seen: Arc<Mutex<Vec<Contents>>> = Arc::default();
    let look = {
        let (fs, seen) = (Arc::clone(&fs), Arc::clone(&seen));
        move || {
            let (fs, seen) = (Arc::clone(&fs), Arc::clone(&seen));
            Box::pin(async move {
                let (found, findings) = read_all(&*fs).await.unwrap();
                assert_eq!(findings, []);
                seen.lock().unwrap().push(found);
            }) as Looking
        }
    };
    let watched = WatchedFs::new(Arc::clone(&fs), look);
    put(&watched, &[("a.json", "2"), ("b.json", "2")], &["gone.json"]).await.unwrap();
    let mut seen = seen.lock().unwrap().clone();
    assert!(seen.len() > 8);
    seen.dedup();
    let old = contents([("a.json", "1"), ("b.json", "1"), ("gone.json", "1")]);
    assert_eq!(seen, [old, contents([("a.json", "2"), ("b.json", "2")])]);
}

/// Old generations go when enough are kept; files that are not Colca's stay, wherever they are.
pub async fn old_generations_are_collected_and_nothing_else(fs: Arc<dyn PersistFs>) {
    fs.write(".colca/notes.txt", Content::from("mine"), Durability::Full).await.unwrap();
    fs.write(".colca/killed-0.staged", Content::from("litter"), Durability::Full).await.unwrap();
    write_as_a_stranger(&*fs, "notes.txt", "mine").await;
    let own =
        async || -> Vec<String> { fs.list(Folder::Own).await.unwrap().into_iter().map(|file| file.name).collect() };
    for n in 0..6 {
        // The clock of an object store counts seconds.
        let wait = CommitOptions { keep_generations: 2, min_age: Duration::ZERO, ..CommitOptions::default() };
        put_with(&*fs, wait, &[("a.json", &n.to_string()), ("b.json", "same")], &[]).await.unwrap();
        std::thread::sleep(Duration::from_millis(if fs.abilities().await.unwrap().moves { 20 } else { 1_100 }));
    }
    let names = own().await;
    let manifests: Vec<&String> = names.iter().filter(|name| name.ends_with(".json")).collect();
    if fs.list(Folder::Own).await.unwrap().iter().any(|file| file.modified.is_none()) {
        assert_eq!(manifests.len(), 6, "nothing is known to be old: {names:?}");
        return;
    }
    assert_eq!(manifests, ["5.json", "6.json"], "{names:?}");
    assert!(names.contains(&"notes.txt".to_owned()) && !names.contains(&"killed-0.staged".to_owned()), "{names:?}");
    let staged = names.iter().filter(|name| name.ends_with(".staged")).count();
    assert!(staged <= 4, "{names:?}");
    let expected = contents([("a.json", "5"), ("b.json", "same"), ("notes.txt", "mine")]);
    assert_eq!(read_all(&*fs).await.unwrap().0, expected);
    // Young ones stay.
    let options = CommitOptions { keep_generations: 1, ..CommitOptions::default() };
    put_with(&*fs, options, &[("a.json", "7")], &[]).await.unwrap();
    assert!(own().await.contains(&"6.json".to_owned()));
}
