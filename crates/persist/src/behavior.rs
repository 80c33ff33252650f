//! What every [`PersistFs`] does, as functions to run against one, and [`FlakyFs`], which fails on demand.
//!
//! ```
//! # mod tests {
//! persist::persist_fs_behavior!(pollster::block_on, async { persist::MemoryFs::new() });
//! # }
//! ```
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test suite fails by panicking")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Content, Digest, Error, FileInfo, PersistFile, PersistFs, Result, Staged, commit};

/// Makes one test of each behaviour: `persist_fs_behavior!(block_on, future that makes an empty place)`.
#[macro_export]
macro_rules! persist_fs_behavior {
    ($block_on:path, $make:expr) => {
        $crate::persist_fs_behavior!(@ $block_on, $make;
            absent_files_are_none
            commit_writes_replaces_and_removes
            staging_changes_nothing_published
            failing_content_changes_nothing
            names_stay_inside
            listing_is_sorted_and_complete
            any_failing_call_leaves_whole_files);
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

async fn text(fs: &dyn PersistFs, name: &str) -> Option<String> {
    fs.read(name).await.unwrap().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

fn file(name: &str, text: &str) -> PersistFile {
    PersistFile::new(name, Content::Bytes(text.to_owned().into()))
}

/// Reading what is not there is no error; listing an absent place gives nothing.
pub async fn absent_files_are_none(fs: Arc<dyn PersistFs>) {
    assert_eq!(fs.read("docstore.json").await.unwrap(), None);
    assert_eq!(fs.list().await.unwrap(), []);
}

/// A commit creates, replaces and removes, and reports sizes and digests.
pub async fn commit_writes_replaces_and_removes(fs: Arc<dyn PersistFs>) {
    commit(&*fs, vec![file("a.json", "1"), file("b.json", "2"), file("c.json", "3")], &[]).await.unwrap();
    let written =
        commit(&*fs, vec![file("b.json", "two"), file("d.json", "")], &["a.json".into(), "zzz".into()]).await.unwrap();
    assert_eq!(written[0].size, 3);
    assert_eq!(written[0].digest, Digest::of(b"two"));
    assert_eq!(text(&*fs, "a.json").await, None);
    assert_eq!(text(&*fs, "b.json").await.as_deref(), Some("two"));
    assert_eq!(text(&*fs, "c.json").await.as_deref(), Some("3"));
    assert_eq!(text(&*fs, "d.json").await.as_deref(), Some(""));
}

/// Staged files are invisible, and discarding them leaves nothing.
pub async fn staging_changes_nothing_published(fs: Arc<dyn PersistFs>) {
    commit(&*fs, vec![file("a.json", "old")], &[]).await.unwrap();
    let staged = fs.stage("a.json", Content::from("new")).await.unwrap();
    assert_eq!(text(&*fs, "a.json").await.as_deref(), Some("old"));
    assert_eq!(fs.list().await.unwrap().len(), 1);
    fs.discard(vec![staged]).await;
    assert_eq!(text(&*fs, "a.json").await.as_deref(), Some("old"));
}

/// Content that cannot be produced fails the commit before any file changes.
pub async fn failing_content_changes_nothing(fs: Arc<dyn PersistFs>) {
    commit(&*fs, vec![file("a.json", "old")], &[]).await.unwrap();
    let broken = Content::writer(|out| {
        out.write_all(b"half")?;
        Err(io::Error::other("no more"))
    });
    let failed = commit(&*fs, vec![file("a.json", "new"), PersistFile::new("b.json", broken)], &[]).await;
    assert!(matches!(failed, Err(Error::Failed { name, .. }) if name == "b.json"));
    assert_eq!(text(&*fs, "a.json").await.as_deref(), Some("old"));
    assert_eq!(fs.list().await.unwrap().len(), 1);
}

/// No name leads out of the place, and one name is written once.
pub async fn names_stay_inside(fs: Arc<dyn PersistFs>) {
    for name in ["../a.json", "a/b.json", "", "..", "/etc/a.json", "a\\b"] {
        assert!(matches!(fs.read(name).await, Err(Error::InvalidName { .. })), "{name}");
        assert!(matches!(fs.stage(name, Content::from("")).await, Err(Error::InvalidName { .. })), "{name}");
        assert!(matches!(commit(&*fs, vec![], &[name.into()]).await, Err(Error::InvalidName { .. })), "{name}");
    }
    let twice = commit(&*fs, vec![file("a.json", "1"), file("a.json", "2")], &[]).await;
    assert!(matches!(twice, Err(Error::DuplicateName { .. })));
    assert_eq!(fs.list().await.unwrap(), []);
}

/// A listing has every published file with its size, in order of names.
pub async fn listing_is_sorted_and_complete(fs: Arc<dyn PersistFs>) {
    commit(&*fs, vec![file("b", "22"), file("béta__vector_store.json", "1"), file("a", "")], &[]).await.unwrap();
    let version = || async { fs.list().await.unwrap()[0].version.clone() };
    let before = version().await;
    commit(&*fs, vec![file("a", "")], &[]).await.unwrap();
    assert!(before.is_none() || version().await != before, "a file written again has another version");
    let listed: Vec<_> = fs.list().await.unwrap().into_iter().map(|f| (f.name, f.size)).collect();
    assert_eq!(listed, [("a".to_owned(), 0), ("b".to_owned(), 2), ("béta__vector_store.json".to_owned(), 1)]);
}

/// Whichever call fails, every file is the old or the new one as a whole, and a second try succeeds.
pub async fn any_failing_call_leaves_whole_files(fs: Arc<dyn PersistFs>) {
    let state = |n: usize| vec![file("a.json", &format!("a{n}")), file("b.json", &format!("b{n}"))];
    commit(&*fs, state(0), &[]).await.unwrap();
    for n in 1.. {
        let flaky = FlakyFs::new(Arc::clone(&fs), n);
        let result = commit(&flaky, state(n), &[]).await;
        let found = (text(&*fs, "a.json").await.unwrap(), text(&*fs, "b.json").await.unwrap());
        let (old, new) = (n - 1, n);
        if result.is_ok() {
            assert_eq!(found, (format!("a{new}"), format!("b{new}")));
            assert!(n > 2, "no call failed");
            return;
        }
        assert_eq!(found, (format!("a{old}"), format!("b{old}")), "call {n} failed");
        commit(&*fs, state(n), &[]).await.unwrap();
    }
}

/// Passes calls on to another place and fails the `n`th one that writes, counting from 1.
#[derive(Debug)]
pub struct FlakyFs {
    inner: Arc<dyn PersistFs>,
    fail_at: usize,
    calls: AtomicUsize,
}

impl FlakyFs {
    /// Fails the `fail_at`th call that writes.
    pub fn new(inner: Arc<dyn PersistFs>, fail_at: usize) -> Self {
        Self { inner, fail_at, calls: AtomicUsize::new(0) }
    }

    fn step(&self, operation: &'static str, name: &str) -> Result<()> {
        if self.calls.fetch_add(1, Ordering::Relaxed) + 1 == self.fail_at {
            return Err(Error::failed(self.location(), operation, name, "injected failure"));
        }
        Ok(())
    }
}

#[async_trait]
impl PersistFs for FlakyFs {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn identity(&self) -> String {
        self.inner.identity()
    }

    async fn list(&self) -> Result<Vec<FileInfo>> {
        self.inner.list().await
    }

    async fn read(&self, name: &str) -> Result<Option<Bytes>> {
        self.inner.read(name).await
    }

    async fn stage(&self, name: &str, content: Content) -> Result<Staged> {
        self.step("write", name)?;
        self.inner.stage(name, content).await
    }

    async fn publish(&self, staged: Vec<Staged>, remove: &[String]) -> Result<()> {
        if let Err(e) = self.step("publish", "files") {
            self.inner.discard(staged).await;
            return Err(e);
        }
        self.inner.publish(staged, remove).await
    }

    async fn discard(&self, staged: Vec<Staged>) {
        self.inner.discard(staged).await;
    }
}
