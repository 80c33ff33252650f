//! Against OpenDAL's service in memory: it has no ETags, no copies and no uploads in parts.

use std::io;

use opendal::layers::RetryLayer;
use opendal::services::Memory;
use persist::Error;

use super::*;

fn place() -> ObjectFs {
    ObjectFs::new(Operator::new(Memory::default()).unwrap())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// What every place does.
mod behavior {
    use super::{block_on, place};
    persist::persist_fs_behavior!(block_on, async { place() });
}

const WHOLE: u64 = u64::MAX;

#[test]
fn files_of_every_size_and_kind_come_back_whole() {
    block_on(async {
        let place = place();
        for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let bytes: Bytes = (0..size).map(|n| (n % 251) as u8).collect();
            let pieces = bytes.clone();
            let written = Content::writer(move |out| pieces.chunks(1000).try_for_each(|piece| out.write_all(piece)));
            for content in [Content::Bytes(bytes.clone()), written] {
                let stored = place.write(".colca/1-0", content, Durability::Full).await.unwrap();
                assert_eq!(stored, Stored { size: size as u64, digest: persist::Digest::of(&bytes) });
                assert!(place.read(".colca/1-0", WHOLE).await.unwrap().unwrap() == bytes, "{size} bytes");
            }
        }
    });
}

#[test]
fn a_file_is_not_read_beyond_the_limit() {
    block_on(async {
        let place = place();
        place.write(".colca/1-0", Content::from("12345"), Durability::Full).await.unwrap();
        assert!(place.read(".colca/1-0", 5).await.unwrap().is_some());
        let told = place.read(".colca/1-0", 4).await;
        assert!(matches!(told, Err(Error::TooLarge { size: 5, limit: 4, .. })), "{told:?}");
        assert_eq!(place.read("none", 4).await.unwrap(), None);
    });
}

#[test]
fn content_that_fails_writes_nothing() {
    block_on(async {
        let place = place();
        for before in [1, 2 * CHUNK] {
            let broken = Content::writer(move |out| {
                out.write_all(&vec![0; before])?;
                Err(io::Error::other("no more"))
            });
            let told = place.write(".colca/1-0", broken, Durability::Full).await.unwrap_err();
            assert!(
                matches!(&told, Error::Failed { operation: "write", source, .. } if source.to_string() == "no more")
            );
            assert_eq!(place.read(".colca/1-0", WHOLE).await.unwrap(), None);
        }
    });
}

#[test]
fn what_a_listing_lacks_is_looked_up() {
    block_on(async {
        let place = place();
        for path in [".colca/b", ".colca/a"] {
            assert!(place.create(path, "12".into(), Durability::Full).await.unwrap());
        }
        place.publish(".colca/a", "docstore.json", &Expected::Absent).await.unwrap();
        let listed = async |folder| {
            let files = place.list(folder).await.unwrap();
            files.into_iter().map(|file| (file.name, file.size)).collect::<Vec<_>>()
        };
        assert_eq!(listed(Folder::Own).await, [("a".to_owned(), 2), ("b".to_owned(), 2)]);
        assert_eq!(listed(Folder::Published).await, [("docstore.json".to_owned(), 2)]);
    });
}

#[test]
fn abilities_are_tried_and_nothing_is_left() {
    block_on(async {
        let place = place();
        let expected = Abilities { create: true, conditional_publish: false, moves: false };
        assert_eq!(place.abilities().await.unwrap(), expected);
        assert_eq!(place.list(Folder::Own).await.unwrap(), []);
    });
}

#[test]
fn names_that_would_become_others_are_refused() {
    block_on(async {
        for name in [" a", "a ", "a\u{a0}"] {
            assert!(matches!(place().read(name, WHOLE).await, Err(Error::InvalidName { .. })), "{name:?}");
        }
    });
}

#[test]
fn outside_tokio_calls_fail_and_do_not_panic() {
    let place = place();
    let errors = [
        pollster::block_on(place.read("a", WHOLE)).unwrap_err(),
        pollster::block_on(place.write(".colca/1-0", Content::from("1"), Durability::Full)).unwrap_err(),
        pollster::block_on(place.list(Folder::Own)).unwrap_err(),
        pollster::block_on(place.abilities()).unwrap_err(),
    ];
    for error in errors {
        let Error::Failed { source, .. } = error else { panic!("{error:?}") };
        assert_eq!(source.to_string(), "this needs to run inside a Tokio runtime");
    }
}

#[test]
fn a_place_is_called_by_service_bucket_and_prefix() {
    let place = place();
    let location = place.location();
    assert!(location.starts_with("memory://0x") && !location.ends_with('/'), "{location}");
    assert_eq!(format!("{place:?}"), format!("ObjectFs({location:?})"));
}

/// A layer that repeats a request may go on with another file where an answer broke off.
#[test]
fn operators_that_repeat_requests_are_recognised() {
    let memory = || Operator::new(Memory::default()).unwrap();
    let check = |place: ObjectFs, expected: bool| assert_eq!(place.repeats, expected);
    check(ObjectFs::new(memory()), false);
    check(ObjectFs::new(memory().layer(RetryLayer::new())), true);
    check(ObjectFs::new(memory().layer(RetryLayer::new()).layer(TimeoutLayer::new())), true);
    check(ObjectFs::with_own_layers(memory().layer(TimeoutLayer::new())), true);
    block_on(async {
        let place = ObjectFs::new(memory().layer(RetryLayer::new()));
        place.write(".colca/1-0", Content::from("1"), Durability::Full).await.unwrap();
        assert_eq!(place.read(".colca/1-0", WHOLE).await.unwrap().unwrap(), "1");
    });
}

#[test]
fn documents_lie_at_any_depth() {
    use crate::ReadFs;
    use std::path::Path;
    block_on(async {
        let operator = Operator::new(Memory::default()).unwrap();
        for key in ["a.txt", "sub/b.txt"] {
            operator.write(key, key).await.unwrap();
        }
        let folder = ObjectFs::new(operator);
        let names = async |recursive| {
            let files = folder.list_files(recursive).await.unwrap().files;
            let mut names: Vec<_> = files.into_iter().map(|file| (file.name, file.size)).collect();
            names.sort();
            names
        };
        assert_eq!(names(false).await, [("a.txt".into(), 5)]);
        assert_eq!(names(true).await, [("a.txt".into(), 5), ("sub/b.txt".into(), 9)]);
        assert_eq!(folder.read_file(Path::new("sub/b.txt")).await.unwrap(), "sub/b.txt");
        assert_eq!(folder.file_stat(Path::new("a.txt")).await.unwrap().size, 5);
        assert!(folder.read_file(Path::new("none")).await.unwrap_err().is_not_found());
        assert!(matches!(folder.read_file(Path::new("../a")).await, Err(Error::InvalidName { .. })));
        let empty = ObjectFs::new(Operator::new(Memory::default()).unwrap());
        assert!(empty.list_files(true).await.unwrap_err().is_not_found());
    });
}
