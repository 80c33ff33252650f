//! The steps of a place, each by itself.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::{
    Content, Digest, Durability, Error, Expected, FileInfo, Folder, Meter, PersistFs, Publication, Result,
    check_own_path,
};

const LIMIT: u64 = 1 << 20;

async fn text(fs: &dyn PersistFs, path: &str) -> Option<String> {
    fs.read(path, LIMIT).await.unwrap().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

async fn write(fs: &dyn PersistFs, path: &str, text: &str) {
    fs.write(path, Content::Bytes(text.to_owned().into()), Durability::Full).await.unwrap();
}

async fn publish(fs: &dyn PersistFs, name: &str, text: &str) {
    write(fs, ".colca/c-0.staged", text).await;
    let done = fs.publish(".colca/c-0.staged", name, &Expected::Anything).await.unwrap();
    assert_eq!(done, Publication::Done);
}

async fn info(fs: &dyn PersistFs, name: &str) -> Option<FileInfo> {
    fs.list(Folder::Published).await.unwrap().into_iter().find(|file| file.name == name)
}

/// Reading what is not there is no error; listing an absent place gives nothing.
pub async fn absent_files_are_none(fs: Arc<dyn PersistFs>) {
    for path in ["docstore.json", ".colca/1.json"] {
        assert_eq!(fs.read(path, LIMIT).await.unwrap(), None);
    }
    for folder in [Folder::Published, Folder::Own] {
        assert_eq!(fs.list(folder).await.unwrap(), []);
    }
    fs.sync().await.unwrap();
}

/// What is written is there, with its size and digest, in place of what was there, and is not published.
pub async fn written_files_are_read_back(fs: Arc<dyn PersistFs>) {
    for durability in [Durability::Full, Durability::Relaxed] {
        for text_of in ["old and long", "new"] {
            let stored = fs.write(".colca/latest", Content::from(text_of), durability).await.unwrap();
            assert_eq!((stored.size, stored.digest), (text_of.len() as u64, Digest::of(text_of.as_bytes())));
            assert_eq!(text(&*fs, ".colca/latest").await.as_deref(), Some(text_of));
        }
    }
    fs.sync().await.unwrap();
    assert_eq!(fs.list(Folder::Published).await.unwrap(), []);
}

/// What is written in many pieces is read back whole.
pub async fn large_files_are_read_back(fs: Arc<dyn PersistFs>) {
    let big = "0123456789".repeat(2_000_000);
    let expected = Digest::of(big.as_bytes());
    let pieces = big.clone();
    let content = Content::writer(move |out| pieces.as_bytes().chunks(1 << 16).try_for_each(|p| out.write_all(p)));
    let stored = fs.write(".colca/c-1.staged", content, Durability::Full).await.unwrap();
    assert_eq!((stored.size, stored.digest), (big.len() as u64, expected));
    assert_eq!(Digest::of(&fs.read(".colca/c-1.staged", 1 << 30).await.unwrap().unwrap()), expected);
}

/// As many bytes are counted as a file has, when it is staged and when it is read.
pub async fn bytes_are_counted_while_they_move(fs: Arc<dyn PersistFs>) {
    let big = Bytes::from("0123456789".repeat(1_000_000));
    for text in [Bytes::new(), Bytes::from("small"), big] {
        let counting = || {
            let counted = Arc::new(AtomicU64::new(0));
            let meter = Meter::new({
                let counted = Arc::clone(&counted);
                move |bytes| {
                    counted.fetch_add(bytes, Ordering::Relaxed);
                }
            });
            (meter, counted)
        };
        let (size, path) = (text.len() as u64, ".colca/c-0.staged");
        let (meter, counted) = counting();
        fs.stage(path, "docstore.json", Content::Bytes(text.clone()), Durability::Full, &meter).await.unwrap();
        assert_eq!(counted.load(Ordering::Relaxed), size, "staged");
        let (meter, counted) = counting();
        assert_eq!(fs.read_with(path, u64::MAX, &meter).await.unwrap(), Some(text));
        assert_eq!(counted.load(Ordering::Relaxed), size, "read");
        let (meter, counted) = counting();
        assert_eq!(fs.read_with(".colca/c-1.staged", u64::MAX, &meter).await.unwrap(), None);
        assert_eq!(counted.load(Ordering::Relaxed), 0, "absent");
    }
}

/// Content that cannot be produced is an error that names the file, and nothing is left behind.
pub async fn failing_content_leaves_nothing(fs: Arc<dyn PersistFs>) {
    let broken = Content::writer(|out| {
        out.write_all(b"half")?;
        Err(io::Error::other("no more"))
    });
    let failed = fs.write(".colca/c-0.staged", broken, Durability::Full).await;
    assert!(matches!(failed, Err(Error::Failed { name, .. }) if name.contains("c-0.staged")));
    assert_eq!(text(&*fs, ".colca/c-0.staged").await, None);
    assert_eq!(fs.list(Folder::Own).await.unwrap(), []);
}

/// A file is made once, and stays as its maker made it, however many try at the same time.
pub async fn creating_has_one_winner(fs: Arc<dyn PersistFs>) {
    let threads: Vec<_> = (0..8)
        .map(|n| {
            let content = Bytes::from(format!("made by {n}"));
            fs.create(".colca/1.json", content, Durability::Relaxed)
        })
        .collect();
    let mut winners = Vec::new();
    for (n, made) in join_all(threads).await.into_iter().enumerate() {
        winners.extend(made.unwrap().then_some(n));
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    let expected = format!("made by {}", winners[0]);
    assert_eq!(text(&*fs, ".colca/1.json").await, Some(expected.clone()));
    assert!(!fs.create(".colca/1.json", Bytes::from("late"), Durability::Full).await.unwrap());
    assert_eq!(text(&*fs, ".colca/1.json").await, Some(expected));
    assert!(fs.create(".colca/1.published", Bytes::new(), Durability::Full).await.unwrap());
    let own: Vec<_> = fs.list(Folder::Own).await.unwrap().into_iter().map(|file| file.name).collect();
    assert!(own.starts_with(&["1.json".to_owned(), "1.published".to_owned()]), "{own:?}");
}

/// Polls all futures in turn until all are done.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    use std::task::Poll;
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(move |cx| {
        for (future, done) in futures.iter_mut().filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                *done = Some(output);
            }
        }
        match futures.iter().all(|(_, done)| done.is_some()) {
            true => Poll::Ready(futures.iter_mut().filter_map(|(_, done)| done.take()).collect()),
            false => Poll::Pending,
        }
    })
    .await
}

/// A published file is the staged one, as a whole; whether that is still there is as the place says.
pub async fn publishing_gives_a_name(fs: Arc<dyn PersistFs>) {
    publish(&*fs, "a.json", "a long old text").await;
    publish(&*fs, "a.json", "new").await;
    assert_eq!(text(&*fs, "a.json").await.as_deref(), Some("new"));
    let staged = text(&*fs, ".colca/c-0.staged").await;
    assert_eq!(staged.is_none(), fs.abilities().await.unwrap().moves);
    let none = fs.publish(".colca/c-9.staged", "a.json", &Expected::Anything).await.unwrap();
    assert_eq!(none, Publication::NoSource);
    assert_eq!(text(&*fs, "a.json").await.as_deref(), Some("new"));
}

/// Where publishing is conditional, a file that is not the expected one stays, and so does the staged one.
pub async fn publishing_replaces_what_was_expected_only(fs: Arc<dyn PersistFs>) {
    publish(&*fs, "a.json", "1").await;
    let seen = info(&*fs, "a.json").await.unwrap();
    publish(&*fs, "a.json", "22").await;
    let staged = ".colca/c-1.staged";
    write(&*fs, staged, "333").await;
    for wrong in [Expected::Absent, Expected::seen(Some(&seen))] {
        assert_eq!(fs.publish(staged, "a.json", &wrong).await.unwrap(), Publication::Unexpected, "{wrong:?}");
        assert_eq!(text(&*fs, "a.json").await.as_deref(), Some("22"));
    }
    let version = Expected::seen(Some(&seen));
    assert_eq!(fs.publish(staged, "b.json", &version).await.unwrap(), Publication::Unexpected);
    let seen = info(&*fs, "a.json").await.unwrap();
    assert_eq!(fs.publish(staged, "a.json", &Expected::seen(Some(&seen))).await.unwrap(), Publication::Done);
    assert_eq!(text(&*fs, "a.json").await.as_deref(), Some("333"));
    write(&*fs, staged, "b").await;
    assert_eq!(fs.publish(staged, "b.json", &Expected::Absent).await.unwrap(), Publication::Done);
}

/// No name leads out of the place, and none of the published ones can be written but by publishing.
pub async fn names_stay_inside(fs: Arc<dyn PersistFs>) {
    let invalid = |result: Result<()>| matches!(result, Err(Error::InvalidName { .. }));
    for path in
        ["../a.json", "a/b.json", "", "..", "/etc/a.json", "a\\b", ".colca", ".colca/", ".colca/..", ".colca/a/b"]
    {
        assert!(invalid(fs.read(path, LIMIT).await.map(drop)), "{path}");
        assert!(invalid(fs.delete(path).await), "{path}");
        assert!(invalid(fs.publish(".colca/c-0.staged", path, &Expected::Anything).await.map(drop)), "{path}");
        assert!(check_own_path(path).is_err());
    }
    for path in ["../a.json", "a.json", "", ".colca/../a.json", ".colca/a/b", ".colca/"] {
        assert!(invalid(fs.write(path, Content::from(""), Durability::Full).await.map(drop)), "{path}");
        assert!(invalid(fs.create(path, Bytes::new(), Durability::Full).await.map(drop)), "{path}");
        assert!(invalid(fs.publish(path, "a.json", &Expected::Anything).await.map(drop)), "{path}");
    }
    assert_eq!(fs.list(Folder::Published).await.unwrap(), []);
}

/// A listing has every file of its folder with its size, in order of names.
pub async fn listing_is_sorted_and_complete(fs: Arc<dyn PersistFs>) {
    for (name, text) in [("b", "22"), ("béta__vector_store.json", "1"), ("a", "")] {
        publish(&*fs, name, text).await;
    }
    let before = info(&*fs, "b").await.unwrap();
    publish(&*fs, "b", "33").await;
    let after = info(&*fs, "b").await.unwrap();
    assert!(before.version.is_none() || after.version != before.version, "a file written again has another version");
    let listed: Vec<_> = fs.list(Folder::Published).await.unwrap().into_iter().map(|f| (f.name, f.size)).collect();
    assert_eq!(listed, [("a".to_owned(), 0), ("b".to_owned(), 2), ("béta__vector_store.json".to_owned(), 1)]);
    write(&*fs, ".colca/x-0.staged", "x").await;
    let own = fs.list(Folder::Own).await.unwrap();
    let staged = own.iter().find(|file| file.name == "x-0.staged").unwrap();
    assert_eq!(staged.size, 1);
}

/// More bytes than the limit are refused.
pub async fn nothing_too_large_is_read(fs: Arc<dyn PersistFs>) {
    publish(&*fs, "a.json", "12345").await;
    assert_eq!(fs.read("a.json", 5).await.unwrap().as_deref(), Some(&b"12345"[..]));
    assert!(matches!(fs.read("a.json", 4).await, Err(Error::TooLarge { limit: 4, .. })));
}

/// A published file is deleted if it is as expected, where a place checks that in one step.
pub async fn published_files_are_deleted_as_expected(fs: Arc<dyn PersistFs>) {
    publish(&*fs, "a.json", "1").await;
    let old = Expected::seen(fs.list(Folder::Published).await.unwrap().first());
    publish(&*fs, "a.json", "2").await;
    let seen = Expected::seen(fs.list(Folder::Published).await.unwrap().first());
    let abilities = fs.abilities().await.unwrap();
    if abilities.conditional_publish && !abilities.moves {
        assert_eq!(fs.unpublish("a.json", &old).await.unwrap(), Publication::Unexpected);
        assert_eq!(text(&*fs, "a.json").await.as_deref(), Some("2"));
    }
    if abilities.conditional_publish {
        assert_eq!(fs.unpublish("a.json", &Expected::Absent).await.unwrap(), Publication::Unexpected);
        assert_eq!(text(&*fs, "a.json").await.as_deref(), Some("2"));
    }
    for _ in 0..2 {
        assert_ne!(fs.unpublish("a.json", &seen).await.unwrap(), Publication::NoSource);
        assert_eq!(text(&*fs, "a.json").await, None);
    }
    assert_eq!(fs.unpublish("a.json", &Expected::Absent).await.unwrap(), Publication::Done);
}

/// Deleting what is not there is no error.
pub async fn deleting_is_done_once(fs: Arc<dyn PersistFs>) {
    publish(&*fs, "a.json", "1").await;
    for _ in 0..2 {
        fs.delete("a.json").await.unwrap();
        fs.delete(".colca/c-0.staged").await.unwrap();
    }
    assert_eq!(text(&*fs, "a.json").await, None);
    assert_eq!(text(&*fs, ".colca/c-0.staged").await, None);
    fs.sync().await.unwrap();
}
