//! What the protocol rests on, one by one, so that tests can take one out and see that they notice.

/// A mechanism of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(not(feature = "behavior"), expect(unreachable_pub, reason = "public for tests"))]
pub enum Mechanism {
    /// Files are published after their manifest is made, not before.
    CommitFirst,
    /// A manifest is made only if there is none of its number.
    CreateIfAbsent,
    /// A manifest whose number is taken is won if it is one's own.
    OwnCommitId,
    /// Before each file is published, the manifest must still be the newest.
    Recheck,
    /// A pending publication is finished before the next commit.
    RollForward,
    /// Staged files are durable before the manifest that names them.
    SyncBeforeCommit,
    /// A manifest of which that is not known is made durable before its files are published.
    SyncBeforePublishing,
    /// Published names are durable before the marker says so.
    SyncBeforeMarker,
    /// The hint beyond old manifests is durable before they are deleted.
    SyncBeforeCollecting,
    /// Published files count only if their digest is that of the manifest.
    Digests,
    /// What is not published yet is read where it is staged.
    ReadStaged,
    /// A reader that finds a file neither published nor staged starts again.
    StartAgain,
    /// Files of another program are neither replaced nor taken for old ones.
    Foreign,
    /// What a generation removed is not read, though it may still lie there.
    Removed,
    /// Only what no later commit can need is collected.
    CollectOnlyOld,
    /// A follower keeps a content only if the listing and the manifest show that it is the same.
    Unchanged,
    /// A commit of a number that was collected long ago does not count.
    Zombies,
}

#[cfg(feature = "behavior")]
thread_local! {
    static WITHOUT: std::cell::Cell<Option<Mechanism>> = const { std::cell::Cell::new(None) };
}

/// Runs something on this thread without one mechanism of the protocol.
#[cfg(feature = "behavior")]
pub fn without<T>(mechanism: Mechanism, run: impl FnOnce() -> T) -> T {
    struct Restore(Option<Mechanism>);
    impl Drop for Restore {
        fn drop(&mut self) {
            WITHOUT.set(self.0);
        }
    }
    let _restore = Restore(WITHOUT.replace(Some(mechanism)));
    run()
}

/// Whether a mechanism is at work: always, except in tests that take it out.
#[cfg(feature = "behavior")]
pub(crate) fn has(mechanism: Mechanism) -> bool {
    WITHOUT.get() != Some(mechanism)
}

/// Whether a mechanism is at work: always.
#[cfg(not(feature = "behavior"))]
pub(crate) const fn has(_: Mechanism) -> bool {
    true
}
