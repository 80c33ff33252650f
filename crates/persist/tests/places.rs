//! Places in unusual states, and readers and writers with other options than usual.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use persist::behavior::{Fault, FlakyFs, contents, file, put, put_with, read_all};
use persist::{
    Abilities, Changes, CommitOptions, Content, Digest, Durability, Error, Expected, FileInfo, Finding, Folder, Limits,
    MemoryFs, PersistFs, Publication, ReadOptions, Result, Snapshot, Stored, Verify, Writer, read_files,
};
use pollster::block_on;

fn generations(count: usize) -> MemoryFs {
    let place = MemoryFs::new();
    for n in 1..=count {
        block_on(put(&place, &[("a.json", &n.to_string()), ("b.json", "same")], &[])).unwrap();
    }
    place
}

fn generation(place: &MemoryFs) -> Option<u64> {
    let snapshot = block_on(Snapshot::take(place, ReadOptions::default())).unwrap();
    snapshot.manifest().map(|manifest| manifest.generation)
}

#[test]
fn the_newest_generation_is_found_whatever_the_hint_says() {
    let place = generations(5);
    for hint in ["5", "1", "3", "0", "9", "18446744073709551615", "-1", "", "five", &"1".repeat(100)] {
        place.put(".colca/latest", hint.to_owned());
        assert_eq!(generation(&place), Some(5), "{hint}");
        let fork = place.fork();
        block_on(put(&fork, &[("a.json", "6")], &[])).unwrap();
        assert_eq!(generation(&fork), Some(6), "{hint}");
    }
    place.remove(".colca/latest");
    assert_eq!(generation(&place), Some(5));
    // One that lags behind what was collected.
    place.put(".colca/latest", "1");
    (1..=3).for_each(|n| place.remove(&format!(".colca/{n}.json")));
    assert_eq!(generation(&place), Some(5));
}

#[test]
fn a_place_that_colca_never_wrote_has_no_generation() {
    let place = MemoryFs::new();
    place.put("a.json", "1");
    for name in ["notes.txt", "latest", "01.json", "x.json", "1.published"] {
        place.put(&format!(".colca/{name}"), "");
    }
    assert_eq!(generation(&place), None);
    assert_eq!(block_on(read_all(&place)).unwrap(), (contents([("a.json", "1")]), vec![]));
}

fn check_verify(place: &MemoryFs, verify: Verify, text: &str, findings: &[Finding]) {
    let mut snapshot = block_on(Snapshot::take(place, ReadOptions { verify, ..ReadOptions::default() })).unwrap();
    let read = block_on(snapshot.read("a.json")).unwrap().unwrap();
    assert_eq!((&read.bytes[..], snapshot.findings()), (text.as_bytes(), findings), "{verify:?}");
}

#[test]
fn files_are_verified_as_the_reader_wants() {
    let foreign = [Finding::Foreign { name: "a.json".into() }];
    let place = generations(2);
    place.put("a.json", "x");
    check_verify(&place, Verify::Digest, "x", &foreign);
    check_verify(&place, Verify::Size, "x", &[]);
    place.put("a.json", "longer");
    check_verify(&place, Verify::Size, "longer", &foreign);
    check_verify(&place, Verify::Off, "longer", &[]);
}

/// A place whose second generation is committed and not published.
fn unpublished() -> MemoryFs {
    let place = generations(1);
    let (old, new) = (Digest::of(b"1"), Digest::of(b"new"));
    place.put(".colca/c-0.staged", "new");
    let manifest = format!(
        r#"{{"colca": 1, "generation": 2, "commit": "c", "parent": null, "files": [
            {{"name": "a.json", "size": 3, "digest": "{new}", "staged": "c-0.staged", "replaces": "{old}"}}]}}"#,
    );
    place.put(".colca/2.json", manifest);
    place
}

#[test]
fn before_publication_nothing_is_taken_on_trust() {
    for verify in [Verify::Digest, Verify::Size, Verify::Off] {
        check_verify(&unpublished(), verify, "new", &[]);
    }
}

#[test]
fn a_staged_file_that_is_gone_is_told_and_can_be_replaced() {
    let place = unpublished();
    place.remove(".colca/c-0.staged");
    let lost = block_on(read_all(&place)).unwrap_err();
    assert!(matches!(&lost, Error::Lost { name, generation: 2, .. } if name == "a.json"), "{lost}");
    assert!(lost.to_string().contains("neither published nor staged"), "{lost}");
    assert!(matches!(block_on(put(&place, &[("a.json", "3")], &[])), Err(Error::Lost { .. })));
    let options = CommitOptions { replace_lost: true, ..CommitOptions::default() };
    block_on(put_with(&place, options, &[("a.json", "3")], &[])).unwrap();
    assert_eq!(block_on(read_all(&place)).unwrap().0["a.json"], "3");
}

/// As it can be after a power failure under [`Durability::Relaxed`]: what is there must not be replaced by half a file.
#[test]
fn a_staged_file_that_is_damaged_is_not_published() {
    let place = unpublished();
    place.put(".colca/c-0.staged", "ne");
    for told in [
        block_on(read_all(&place)).map(drop).unwrap_err(),
        block_on(put(&place, &[("b.json", "3")], &[])).map(drop).unwrap_err(),
    ] {
        assert!(matches!(&told, Error::Lost { name, generation: 2, .. } if name == "a.json"), "{told}");
    }
    assert_eq!(place.files()["a.json"], "1");
}

/// After a power failure under [`Durability::Relaxed`] a file may be staged again that had moved to its name.
#[test]
fn a_file_that_has_moved_back_is_read_where_it_is_staged() {
    let place = MemoryFs::new();
    let commit = |commit: &str, text: &str| {
        let options = CommitOptions { commit: commit.to_owned(), ..CommitOptions::default() };
        block_on(put_with(&place, options, &[("a.json", text), ("b.json", text)], &[])).unwrap();
    };
    commit("one", "1");
    commit("two", "2");
    place.put("a.json", "1");
    place.put(".colca/two-0.staged", "2");
    let (found, findings) = block_on(read_all(&place)).unwrap();
    assert_eq!(found, contents([("a.json", "2"), ("b.json", "2")]));
    assert_eq!(findings, [Finding::FromStaged { name: "a.json".into() }]);
}

#[test]
fn a_reader_notices_the_first_commit_and_what_is_removed_while_it_reads() {
    block_on(async {
        for first in [true, false] {
            let place = MemoryFs::new();
            if !first {
                put(&place, &[("a.json", "1")], &[]).await.unwrap();
            }
            for name in ["a.json", "b.json", "c.json"] {
                place.put(name, "1");
            }
            let mut snapshot = Snapshot::take(&place, ReadOptions::default()).await.unwrap();
            assert_eq!(snapshot.read("a.json").await.unwrap().unwrap().bytes, "1");
            put(&place, &[("a.json", "2"), ("b.json", "2")], &["c.json"]).await.unwrap();
            for name in ["b.json", "c.json"] {
                assert!(matches!(snapshot.read(name).await, Err(Error::Superseded { .. })), "{name}");
            }
        }
    });
}

fn empty_manifest(generation: u64) -> String {
    format!(r#"{{"colca": 1, "generation": {generation}, "commit": "c", "parent": null, "files": []}}"#)
}

/// Counting must end.
#[test]
fn generations_end_before_numbers_do() {
    for hint in ["", "18446744073709551614", "18446744073709551615"] {
        let place = MemoryFs::new();
        place.put(".colca/latest", hint);
        place.put(&format!(".colca/{}.json", u64::MAX), empty_manifest(u64::MAX));
        let told = block_on(read_all(&place)).unwrap_err();
        assert!(matches!(&told, Error::Manifest { problem, .. } if problem.contains("no generation")), "{told}");
        place.remove(&format!(".colca/{}.json", u64::MAX));
        place.put(&format!(".colca/{}.json", u64::MAX - 1), empty_manifest(u64::MAX - 1));
        assert_eq!(generation(&place), Some(u64::MAX - 1));
        let told = block_on(put(&place, &[("a.json", "1")], &[])).unwrap_err();
        assert!(matches!(told, Error::Failed { operation: "make", .. }), "{told}");
        assert!(!place.files().contains_key("a.json"));
    }
}

/// As when a part of an old copy was put back: readers do not get beyond the gap.
#[test]
fn a_gap_between_generations_is_told_and_nothing_is_written() {
    let place = generations(2);
    place.put(".colca/9.json", empty_manifest(9));
    let before = place.files();
    let told = block_on(put(&place, &[("a.json", "3")], &[])).unwrap_err();
    let Error::Manifest { name, problem, .. } = &told else { panic!("{told}") };
    assert_eq!((&**name, problem.contains("generation 3")), (".colca/9.json", true), "{told}");
    assert_eq!(place.files(), before);
    assert_eq!(generation(&place), Some(2));
}

/// A place whose newest manifest is refused can neither be opened nor written.
#[test]
fn no_manifest_is_made_that_readers_refuse() {
    let (files, size) = (Limits { files: 1, ..Limits::default() }, Limits { manifest_size: 99, ..Limits::default() });
    let of = |limits| CommitOptions { limits, ..CommitOptions::default() };
    let id = CommitOptions { commit: "a b".to_owned(), ..CommitOptions::default() };
    for (options, problem) in [(of(files), "more than 1 files"), (of(size), "limit is 99"), (id, "no commit id")] {
        let place = MemoryFs::new();
        let told = block_on(put_with(&place, options, &[("a.json", "1"), ("b.json", "2")], &[])).unwrap_err();
        let cause = std::error::Error::source(&told).map_or_else(|| told.to_string(), ToString::to_string);
        assert!(cause.contains(problem), "{cause}");
        assert!(place.files().is_empty());
    }
}

/// Each file that another program has touched makes a reader look at the manifest again.
#[test]
fn as_many_files_are_read_as_a_manifest_may_name() {
    let place = MemoryFs::new();
    let entry = |n| format!(r#"{{"name": "{n}.json", "size": 1, "digest": "{}"}}"#, Digest::of(b"x"));
    let entries: Vec<String> = (0..Limits::default().files).map(entry).collect();
    let manifest = empty_manifest(1).replace("[]", &format!("[{}]", entries.join(",")));
    place.put(".colca/1.json", manifest);
    place.put(".colca/1.published", "");
    let (found, findings) = block_on(read_all(&place)).unwrap();
    assert_eq!((found.len(), findings.len()), (0, entries.len()));
}

#[test]
fn what_is_told_of_a_bad_manifest_is_short() {
    let place = MemoryFs::new();
    place.put(".colca/1.json", empty_manifest(1).replace("\"c\"", &format!("\"{}\"", "é".repeat(1 << 20))));
    let told = block_on(read_all(&place)).unwrap_err().to_string();
    assert!(told.len() < 1000 && told.contains("é…; put it back"), "{told}");
}

#[test]
fn limits_are_kept() {
    let place = generations(1);
    let take = |limits| block_on(Snapshot::take(&place, ReadOptions { limits, ..ReadOptions::default() })).map(drop);
    assert!(take(Limits::default()).is_ok());
    let told = take(Limits { manifest_size: 10, ..Limits::default() }).unwrap_err();
    assert!(matches!(told, Error::TooLarge { limit: 10, .. }), "{told}");
    let told = take(Limits { files: 1, ..Limits::default() }).unwrap_err();
    assert!(matches!(&told, Error::Manifest { problem, .. } if problem.contains("more than 1 files")), "{told}");
    let options = ReadOptions { limits: Limits { file_size: 3, ..Limits::default() }, ..ReadOptions::default() };
    assert!(matches!(block_on(read_files(&place, &["b.json"], options)), Err(Error::TooLarge { size: 4, .. })));
}

#[test]
fn a_manifest_that_cannot_be_trusted_is_named_and_nothing_is_read_or_written() {
    let place = unpublished();
    let manifest = String::from_utf8(place.files()[".colca/2.json"].to_vec()).unwrap();
    place.put(".colca/2.json", manifest.replace("a.json", "../a.json"));
    let before = place.files();
    for told in [
        block_on(read_all(&place)).map(drop).unwrap_err(),
        block_on(put(&place, &[("a.json", "2")], &[])).map(drop).unwrap_err(),
    ] {
        assert!(matches!(&told, Error::Manifest { name, .. } if name == ".colca/2.json"), "{told}");
    }
    assert_eq!(place.files(), before);
}

#[test]
fn a_place_that_cannot_keep_writers_apart_is_written_only_if_that_is_allowed() {
    let place = MemoryFs::with_abilities(Abilities { create: false, conditional_publish: false, moves: false });
    let told = block_on(put(&place, &[("a.json", "1")], &[])).unwrap_err();
    assert!(matches!(told, Error::Unconditional { .. }), "{told}");
    assert!(place.files().is_empty());
    for n in ["1", "2"] {
        let options = CommitOptions { allow_unconditional: true, ..CommitOptions::default() };
        block_on(put_with(&place, options, &[("a.json", n)], &[])).unwrap();
        assert_eq!(block_on(read_all(&place)).unwrap().0, contents([("a.json", n)]));
    }
}

#[test]
fn what_was_staged_can_be_read_back_before_the_commit() {
    let options = || CommitOptions { verify: true, ..CommitOptions::default() };
    let place = generations(1);
    block_on(put_with(&place, options(), &[("a.json", "2")], &[])).unwrap();
    assert_eq!(generation(&place), Some(2));
    let told =
        block_on(put_with(&Odd { place: place.clone(), oddity: Oddity::Corrupts }, options(), &[("a.json", "3")], &[]));
    assert!(matches!(told, Err(Error::Failed { operation: "verify", .. })), "{told:?}");
    assert_eq!(block_on(read_all(&place)).unwrap().0["a.json"], "2");
}

/// However many generations are kept because they are young.
#[test]
fn collecting_takes_few_calls() {
    let place = MemoryFs::with_abilities(Abilities { create: true, conditional_publish: true, moves: false });
    let collected = || !place.files().contains_key(".colca/1.json");
    // This place's clock goes on by a second with each file that is written.
    let options = || CommitOptions { min_age: Duration::from_secs(1000), ..CommitOptions::default() };
    for n in 1..300 {
        block_on(put_with(&place, options(), &[("a.json", &n.to_string())], &[])).unwrap();
    }
    let own = block_on(place.list(Folder::Own)).unwrap().len();
    assert!(collected() && own > 500, "{own}");
    let counting = FlakyFs::new(Arc::new(place.clone()), 60, Fault::Before);
    block_on(put_with(&counting, options(), &[("a.json", "300")], &[])).unwrap();
    assert!(!counting.has_failed());
    assert_eq!(block_on(place.list(Folder::Own)).unwrap().len(), own, "as much was collected as was made");
}

/// By [`persist::Mechanism::Zombies`].
#[test]
fn a_writer_that_slept_through_the_collection_of_later_generations_has_lost() {
    let place = generations(1);
    let sleeper = block_on(async { Writer::begin(&place, CommitOptions::default()).await?.prepare().await }).unwrap();
    for n in ["2", "3", "4"] {
        let options = CommitOptions { keep_generations: 1, min_age: Duration::ZERO, ..CommitOptions::default() };
        block_on(put_with(&place, options, &[("a.json", n)], &[])).unwrap();
    }
    assert!(!place.files().contains_key(".colca/2.json"), "its number is free again");
    let changes = Changes { write: vec![file("a.json", "late")], ..Changes::default() };
    let told = block_on(sleeper.commit(changes)).unwrap_err();
    assert!(matches!(told, Error::Conflict { ours: Some(1), theirs: Some(4), .. }), "{told}");
    assert_eq!(block_on(read_all(&place)).unwrap().0["a.json"], "4");
}

#[test]
fn a_place_that_may_not_be_listed_is_read_by_its_manifest() {
    let place = Odd { place: generations(2), oddity: Oddity::Unlisted };
    let (found, findings) = block_on(read_all(&place)).unwrap();
    assert_eq!(found, contents([("a.json", "2"), ("b.json", "same")]));
    assert_eq!(findings, [Finding::NotListed]);
    // Where there is no manifest, there is nothing to go by.
    let python = Odd { place: MemoryFs::new(), oddity: Oddity::Unlisted };
    assert!(matches!(block_on(read_all(&python)), Err(Error::Forbidden { .. })));
}

/// A place that is not as it should be.
#[derive(Debug)]
struct Odd {
    place: MemoryFs,
    oddity: Oddity,
}

#[derive(Debug, PartialEq)]
enum Oddity {
    /// Its files may be read and not listed.
    Unlisted,
    /// What is written is not what is read.
    Corrupts,
}

#[async_trait::async_trait]
impl PersistFs for Odd {
    fn location(&self) -> String {
        self.place.location()
    }
    async fn abilities(&self) -> Result<Abilities> {
        self.place.abilities().await
    }
    async fn list(&self, folder: Folder) -> Result<Vec<FileInfo>> {
        match self.oddity {
            Oddity::Unlisted => Err(Error::Forbidden { place: self.location(), source: "no".into() }),
            Oddity::Corrupts => self.place.list(folder).await,
        }
    }
    async fn read(&self, path: &str, limit: u64) -> Result<Option<bytes::Bytes>> {
        self.place.read(path, limit).await
    }
    async fn write(&self, path: &str, content: Content, durability: Durability) -> Result<Stored> {
        let stored = self.place.write(path, content, durability).await?;
        if self.oddity == Oddity::Corrupts {
            self.place.put(path, "?");
        }
        Ok(stored)
    }
    async fn create(&self, path: &str, content: bytes::Bytes, durability: Durability) -> Result<bool> {
        self.place.create(path, content, durability).await
    }
    async fn publish(&self, staged: &str, name: &str, expected: &Expected) -> Result<Publication> {
        self.place.publish(staged, name, expected).await
    }
    async fn delete(&self, path: &str) -> Result<()> {
        self.place.delete(path).await
    }
    async fn sync(&self) -> Result<()> {
        self.place.sync().await
    }
}
