//! The steps of a commit, one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use faults_remote::proxy::{Fate, Proxy, Request};
use faults_remote::s3::{Account, Remote};
use persist::{
    Abilities, Content, Digest, Durability, Error, Expected, FileInfo, Folder, PersistFs, Publication, RequestFailure,
    Stored,
};
use tokio::sync::Notify;

const WHOLE: u64 = u64::MAX;

/// What S3 can do.
const ABILITIES: Abilities = Abilities { create: true, conditional_publish: true, moves: false };

fn text(bytes: &'static str) -> Content {
    Content::from(bytes)
}

/// Bytes that do not compress and differ everywhere.
fn noise(size: usize) -> Bytes {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..size).map(next).collect()
}

async fn write(place: &dyn PersistFs, path: &str, content: &'static str) {
    place.write(path, text(content), Durability::Full).await.unwrap();
}

async fn published(place: &dyn PersistFs) -> Vec<FileInfo> {
    place.list(Folder::Published).await.unwrap()
}

#[tokio::test]
async fn what_the_server_promises_it_keeps() {
    let place = Remote::new().place();
    assert_eq!(place.abilities().await.unwrap(), ABILITIES);
    assert_eq!(place.list(Folder::Own).await.unwrap(), []);
}

/// A server that ignores conditions is found out, though OpenDAL promises them.
#[tokio::test]
async fn conditions_that_are_ignored_are_noticed() {
    async fn check(ignored: &'static [&'static str], create: bool, conditional_publish: bool) {
        let remote = Remote::new().account(Account::Nobody);
        let proxy = Proxy::start(remote.port(), |_| Fate::Without(ignored)).await;
        let place = remote.through(proxy.port()).place();
        let expected = Abilities { create, conditional_publish, moves: false };
        assert_eq!(place.abilities().await.unwrap(), expected, "{ignored:?}");
        assert_eq!(place.list(Folder::Own).await.unwrap(), []);
    }
    check(&[], true, true).await;
    check(&["if-none-match"], false, false).await;
    check(&["if-match"], true, false).await;
    check(&["if-none-match", "if-match"], false, false).await;
}

/// Such as R2 for the conditions of a copy: publishing does without.
#[tokio::test]
async fn conditions_that_are_refused_are_not_asked_for() {
    let remote = Remote::new().account(Account::Nobody);
    let decide = |request: &Request| {
        let conditional = request.header("if-match").is_some() || request.header("if-none-match").is_some();
        match conditional && request.header("x-amz-copy-source").is_some() {
            true => Fate::Replace("412", "501 Not Implemented"),
            false => Fate::Pass,
        }
    };
    let proxy = Proxy::start(remote.port(), decide).await;
    let place = remote.through(proxy.port()).place();
    let expected = Abilities { conditional_publish: false, ..ABILITIES };
    assert_eq!(place.abilities().await.unwrap(), expected);
    write(&place, ".colca/1-0", "new").await;
    assert_eq!(place.publish(".colca/1-0", "a.json", &Expected::Absent).await.unwrap(), Publication::Done);
}

#[tokio::test]
async fn one_of_many_creates_a_file() {
    let remote = Remote::new();
    for round in 0..5 {
        let path = format!(".colca/{round}.json");
        let mut racing = Vec::new();
        for racer in 0..16 {
            let (place, path) = (remote.place(), path.clone());
            let content = Bytes::from(racer.to_string());
            racing.push(tokio::spawn(async move { place.create(&path, content, Durability::Full).await.unwrap() }));
        }
        let mut winners = Vec::new();
        for (racer, task) in racing.into_iter().enumerate() {
            if task.await.unwrap() {
                winners.push(racer.to_string());
            }
        }
        let found = remote.place().read(&path, WHOLE).await.unwrap().unwrap();
        assert_eq!(winners, [std::str::from_utf8(&found).unwrap()]);
    }
}

#[tokio::test]
async fn one_of_many_publishes_over_what_all_have_seen() {
    let remote = Remote::new();
    let place = remote.place();
    for round in 0..10 {
        let seen = published(&place).await;
        let expected = Expected::seen(seen.first());
        let mut racing = Vec::new();
        for racer in 0..8 {
            let (place, expected) = (remote.place(), expected.clone());
            let staged = format!(".colca/{round}-{racer}");
            let content = Content::Bytes(staged.clone().into());
            place.write(&staged, content, Durability::Full).await.unwrap();
            place.abilities().await.unwrap();
            racing.push(tokio::spawn(
                async move { (place.publish(&staged, "a.json", &expected).await.unwrap(), staged) },
            ));
        }
        let mut winners = Vec::new();
        for task in racing {
            match task.await.unwrap() {
                (Publication::Done, staged) => winners.push(staged),
                (published, _) => assert_eq!(published, Publication::Unexpected),
            }
        }
        let found = place.read("a.json", WHOLE).await.unwrap().unwrap();
        assert_eq!(winners, [std::str::from_utf8(&found).unwrap()], "round {round}");
    }
}

#[tokio::test]
async fn publishing_copies_what_is_staged_over_what_is_expected() {
    let place = Remote::new().place();
    write(&place, ".colca/1-0", "old").await;
    write(&place, ".colca/2-0", "new").await;
    let publish = async |staged: &str, expected: &Expected| place.publish(staged, "a.json", expected).await.unwrap();
    let some = Expected::Version("\"00000000000000000000000000000000\"".into());
    assert_eq!(publish(".colca/1-0", &some).await, Publication::Unexpected);
    assert_eq!(publish(".colca/none", &Expected::Absent).await, Publication::NoSource);
    assert_eq!(publish(".colca/none", &Expected::Anything).await, Publication::NoSource);
    assert_eq!(published(&place).await, []);
    assert_eq!(publish(".colca/1-0", &Expected::Absent).await, Publication::Done);
    assert_eq!(publish(".colca/2-0", &Expected::Absent).await, Publication::Unexpected);
    assert_eq!(publish(".colca/2-0", &some).await, Publication::Unexpected);
    assert_eq!(publish(".colca/none", &some).await, Publication::NoSource);
    assert_eq!(place.read("a.json", WHOLE).await.unwrap().unwrap(), "old");
    let seen = published(&place).await;
    assert_eq!(publish(".colca/2-0", &Expected::seen(seen.first())).await, Publication::Done);
    assert_eq!(place.read("a.json", WHOLE).await.unwrap().unwrap(), "new");
    assert!(place.read(".colca/2-0", WHOLE).await.unwrap().is_some(), "the staged file stays");
    assert_ne!(published(&place).await[0].version, seen[0].version);
    assert_eq!(publish(".colca/1-0", &Expected::Anything).await, Publication::Done);
}

#[tokio::test]
async fn listings_are_of_one_folder_and_complete() {
    let remote = Remote::new();
    let place = remote.place();
    assert_eq!(published(&place).await, []);
    for name in ["b b.json", "béta__vector_store.json", "a+%20&.json"] {
        write(&place, ".colca/1-0", "12").await;
        assert_eq!(place.publish(".colca/1-0", name, &Expected::Absent).await.unwrap(), Publication::Done);
    }
    remote.operator().write("sub/c.json", "1").await.unwrap();
    remote.operator().write("sub/deep/d.json", "1").await.unwrap();
    let listed = published(&place).await;
    let names: Vec<_> = listed.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["a+%20&.json", "b b.json", "béta__vector_store.json"]);
    for file in &listed {
        assert_eq!(file.size, 2);
        assert!(file.version.as_ref().unwrap().starts_with('"') && file.modified.is_some());
        assert_eq!(place.read(&file.name, WHOLE).await.unwrap().unwrap(), "12");
    }
    let own = place.list(Folder::Own).await.unwrap();
    assert_eq!(own.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["1-0"]);
    for name in names {
        place.delete(name).await.unwrap();
        place.delete(name).await.unwrap();
    }
    assert_eq!(published(&place).await, []);
}

/// More than one page of what a service lists.
#[tokio::test]
async fn long_listings_are_complete() {
    let remote = Remote::new();
    let place = remote.place();
    let mut writing = tokio::task::JoinSet::new();
    for part in 0..16 {
        let operator = remote.operator();
        writing.spawn(async move {
            for n in (part..1100).step_by(16) {
                operator.write(&format!("n{n:04}__vector_store.json"), "{}").await.unwrap();
            }
        });
    }
    writing.join_all().await;
    let names: Vec<_> = published(&place).await.into_iter().map(|file| file.name).collect();
    assert_eq!(names, (0..1100).map(|n| format!("n{n:04}__vector_store.json")).collect::<Vec<_>>());
}

#[tokio::test]
async fn files_of_every_size_come_back_whole() {
    const PART: usize = 8 << 20;
    let place = Remote::new().place();
    for size in [0, 1, PART - 1, PART, PART + 1, 5 * PART + 7] {
        let bytes = noise(size);
        let pieces = bytes.clone();
        let written = Content::writer(move |out| pieces.chunks(100_000).try_for_each(|piece| out.write_all(piece)));
        for content in [Content::Bytes(bytes.clone()), written] {
            let stored = place.write(".colca/1-0", content, Durability::Full).await.unwrap();
            assert_eq!(stored, Stored { size: size as u64, digest: Digest::of(&bytes) });
            assert!(place.read(".colca/1-0", WHOLE).await.unwrap().unwrap() == bytes, "{size} bytes");
        }
        assert_eq!(place.publish(".colca/1-0", "a.json", &Expected::Anything).await.unwrap(), Publication::Done);
        assert!(place.read("a.json", size as u64).await.unwrap().unwrap() == bytes, "{size} bytes");
        if size > 0 {
            let told = place.read("a.json", size as u64 - 1).await;
            assert!(matches!(told, Err(Error::TooLarge { size: found, .. }) if found == size as u64), "{told:?}");
        }
    }
}

#[tokio::test]
async fn content_that_fails_leaves_no_file_and_no_upload() {
    let remote = Remote::new();
    let place = remote.place();
    let broken = Content::writer(|out| {
        out.write_all(&vec![0; 40 << 20])?;
        Err(std::io::Error::other("no more"))
    });
    let told = place.write(".colca/1-0", broken, Durability::Full).await.unwrap_err();
    assert!(matches!(&told, Error::Failed { source, .. } if source.to_string() == "no more"), "{told:?}");
    assert_eq!(place.list(Folder::Own).await.unwrap(), []);
    assert_eq!(remote.uploads().await, 0);
    // One that is not aborted is seen.
    remote.operator().writer_with("b.json").chunk(8 << 20).await.unwrap().write(noise(20 << 20)).await.unwrap();
    assert_eq!(remote.uploads().await, 1);
}

/// A file that is replaced while it is read in parts is never read as a mixture.
#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_not_mixed() {
    const SIZE: usize = 20 << 20;
    let remote = Remote::new();
    remote.operator().write("a.json", vec![1; SIZE]).await.unwrap();
    let (third, bell) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (reached, late, parts) = (Arc::clone(&third), Arc::clone(&bell), AtomicUsize::new(0));
    let proxy = Proxy::start(remote.port(), move |request| {
        if request.header("range").is_some() && parts.fetch_add(1, Ordering::SeqCst) == 2 {
            reached.notify_one();
            return Fate::Late(Arc::clone(&late));
        }
        Fate::Pass
    })
    .await;
    let place = remote.through(proxy.port()).place();
    let (found, ()) = tokio::join!(place.read("a.json", WHOLE), async {
        third.notified().await;
        remote.operator().write("a.json", vec![2; SIZE]).await.unwrap();
        bell.notify_one();
    });
    // The server may also say of the old version that it is gone.
    match found {
        Ok(found) => assert_eq!(found.map(|bytes| bytes.len()), None, "a mixture was read"),
        Err(Error::Superseded { .. }) => {}
        Err(e) => panic!("{e:?}"),
    }
}

/// A file that is replaced when its answer has broken off: the rest is another file's.
#[tokio::test]
async fn an_answer_that_breaks_off_is_not_completed_with_another_file() {
    const SIZE: usize = 4 << 20;
    let remote = Remote::new();
    remote.operator().write("a.json", vec![1; SIZE]).await.unwrap();
    let (again, bell) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (asks_again, late) = (Arc::clone(&again), Arc::clone(&bell));
    let proxy = Proxy::start(remote.port(), move |request| match request.number {
        0 => Fate::CutAnswer(SIZE / 2),
        1 => {
            asks_again.notify_one();
            Fate::Late(Arc::clone(&late))
        }
        _ => Fate::Pass,
    })
    .await;
    let place = remote.through(proxy.port()).place();
    let (found, ()) = tokio::join!(place.read("a.json", WHOLE), async {
        again.notified().await;
        remote.operator().write("a.json", vec![2; SIZE]).await.unwrap();
        bell.notify_one();
    });
    assert!(found.unwrap().unwrap() == vec![2; SIZE], "a mixture was read");
}

#[tokio::test]
async fn credentials_that_are_not_right_are_told_and_not_shown() {
    let place = Remote::new().account(Account::Impostor).place();
    let told = place.read("docstore.json", WHOLE).await.unwrap_err();
    let Error::Failed { place: location, name, operation, source } = &told else { panic!("{told:?}") };
    assert_eq!((name.as_str(), *operation), ("docstore.json", "read"));
    assert!(location.starts_with("s3://test-bucket/test-"), "{location}");
    assert!(source.to_string().starts_with("GetObject: PermissionDenied"), "{source}");
    let told = format!("{told} {told:?} {source} {:?}", place.list(Folder::Published).await.unwrap_err());
    for secret in ["devsecret", "devkey", "Signature=", "Credential="] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
    assert!(matches!(place.list(Folder::Own).await, Err(Error::Forbidden { .. })));
    let error = place.abilities().await.unwrap_err();
    assert_eq!(cause(&error), "PermissionDenied", "{error:?}");
}

#[tokio::test]
async fn a_place_that_may_not_be_listed_says_so_and_is_read() {
    let remote = Remote::new();
    write(&remote.place(), ".colca/latest", "1").await;
    // As on S3 itself, where an absent object is forbidden to those who may not list.
    let unsigned = remote.account(Account::Reader);
    let proxy = Proxy::start(remote.port(), |_| Fate::Replace("404", "403 Forbidden")).await;
    let place = unsigned.through(proxy.port()).place();
    assert!(matches!(place.list(Folder::Published).await, Err(Error::Forbidden { .. })));
    let error = place.read(".colca/2.json", WHOLE).await.unwrap_err();
    assert_eq!(cause(&error), "PermissionDenied", "nothing is known yet: {error:?}");
    assert_eq!(place.read(".colca/latest", WHOLE).await.unwrap().unwrap(), "1");
    assert_eq!(place.read(".colca/2.json", WHOLE).await.unwrap(), None);
    // One that may be listed and forbids reading does not mean absence.
    let proxy = Proxy::start(remote.port(), |request| match request.path.contains("latest") {
        true => Fate::Pass,
        false => Fate::Replace("404", "403 Forbidden"),
    })
    .await;
    let place = remote.through(proxy.port()).place();
    assert_eq!(place.read(".colca/latest", WHOLE).await.unwrap().unwrap(), "1");
    let error = place.read(".colca/2.json", WHOLE).await.unwrap_err();
    assert_eq!(cause(&error), "PermissionDenied", "{error:?}");
}

/// The failed request in an error.
fn failure(error: &Error) -> &RequestFailure {
    let Error::Failed { source, .. } = error else { panic!("{error:?}") };
    source.downcast_ref().unwrap_or_else(|| panic!("{error:?}"))
}

/// The kind of OpenDAL's error in an error.
fn cause(error: &Error) -> &'static str {
    failure(error).kind
}

/// Demands that a call has failed because nobody answered.
fn unanswered<T: std::fmt::Debug>(done: persist::Result<T>, expected: &str) {
    let error = done.unwrap_err();
    let Error::Failed { operation, source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*operation, expected, "{error:?}");
    assert!(error.is_retryable(), "{error:?}");
    let cause = source.to_string();
    assert!(cause.contains("nothing moved") || cause.contains("no progress"), "{cause}");
}

/// Every fourth request is lost one way or another, and nobody notices.
#[tokio::test]
async fn requests_that_get_lost_are_repeated() {
    let fates = [Fate::ResetBefore, Fate::ResetAfter, Fate::CutAnswer(100), Fate::HangBefore, Fate::CutRequest(10)];
    for fate in fates {
        let remote = Remote::new();
        let lost = fate.clone();
        let proxy = Proxy::start(remote.port(), move |request| match request.number % 4 {
            2 => lost.clone(),
            _ => Fate::Pass,
        })
        .await;
        let place = remote.through(proxy.port()).impatient();
        let bytes = noise(20 << 20);
        let stored = place.write(".colca/1-0", Content::Bytes(bytes.clone()), Durability::Full).await;
        if let Err(e) = &stored {
            println!("{fate:?}: {e:?}");
        }
        stored.unwrap();
        for _ in 0..4 {
            assert!(place.read(".colca/1-0", WHOLE).await.unwrap().unwrap() == bytes, "{fate:?}");
            assert_eq!(place.list(Folder::Own).await.unwrap().len(), 1);
            assert_eq!(place.publish(".colca/1-0", "a.json", &Expected::Anything).await.unwrap(), Publication::Done);
        }
    }
}

/// A request that was executed though its answer got lost is repeated, and finds its own work.
#[tokio::test]
async fn an_answer_that_got_lost_shows_in_the_content() {
    for fate in [Fate::ResetAfter, Fate::CutAnswer(0)] {
        let remote = Remote::new();
        let first = Arc::new(AtomicUsize::new(0));
        let (lost, count) = (fate.clone(), Arc::clone(&first));
        let proxy = Proxy::start(remote.port(), move |request| {
            let of_interest = request.path.ends_with("1.json") && request.method == "PUT";
            match of_interest && count.fetch_add(1, Ordering::SeqCst) == 0 {
                true => lost.clone(),
                false => Fate::Pass,
            }
        })
        .await;
        let place = remote.through(proxy.port()).impatient();
        assert!(!place.create(".colca/1.json", "mine".into(), Durability::Full).await.unwrap(), "{fate:?}");
        assert_eq!(place.read(".colca/1.json", WHOLE).await.unwrap().unwrap(), "mine");
        assert_eq!(first.load(Ordering::SeqCst), 2, "it was repeated once");
    }
}

#[tokio::test]
async fn a_server_that_is_silent_is_an_error_soon() {
    let remote = Remote::new();
    let proxy = Proxy::start(remote.port(), |_| Fate::HangBefore).await;
    let place = remote.through(proxy.port()).impatient();
    unanswered(place.read("a.json", WHOLE).await, "read");
    unanswered(place.list(Folder::Own).await, "list");
    unanswered(place.create(".colca/1.json", "1".into(), Durability::Full).await, "create");
    unanswered(place.write(".colca/1-0", text("1"), Durability::Full).await, "write");
    // What a service can do is tried before the first publication, by creating an object.
    unanswered(place.publish(".colca/1-0", "a.json", &Expected::Anything).await, "create");
    unanswered(place.delete("a.json").await, "delete");
    assert!(proxy.seen() > 8, "each is tried, the first one several times");
}

/// With the time limits that a place has by itself. The clock goes on when nothing else does.
#[tokio::test(start_paused = true)]
async fn calls_that_nobody_answers_end_by_themselves() {
    let remote = Remote::new();
    let proxy = Proxy::start(remote.port(), |_| Fate::HangBefore).await;
    let place = remote.through(proxy.port()).place();
    let start = tokio::time::Instant::now();
    unanswered(place.list(Folder::Own).await, "list");
    unanswered(place.create(".colca/1.json", "1".into(), Durability::Full).await, "create");
    // The first has a minute; then the service seems to be silent, and the next one has two seconds.
    let seconds = start.elapsed().as_secs();
    assert!((60..70).contains(&seconds), "{seconds} seconds");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_with_the_reason() {
    let place = Remote::new().through(1).impatient();
    let told = place.read("a.json", WHOLE).await.unwrap_err();
    let Error::Failed { source, .. } = &told else { panic!("{told:?}") };
    assert!(source.to_string().contains("Connection refused"), "{source}");
}
