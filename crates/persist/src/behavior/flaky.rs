//! Places that fail on demand, or let someone look on.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Abilities, Content, Durability, Error, Expected, FileInfo, Folder, Lock, Meter, PersistFs, Publication, Result,
    Stored,
};

/// When a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Instead of what it should do.
    Before,
    /// After it has done it: as when the answer is lost.
    After,
}

/// Passes calls on to another place and fails the `n`th one, counting from 1.
#[derive(Debug)]
pub struct FlakyFs {
    inner: Arc<dyn PersistFs>,
    fail_at: usize,
    fault: Fault,
    calls: AtomicUsize,
}

impl FlakyFs {
    /// Fails the `fail_at`th call.
    pub fn new(inner: Arc<dyn PersistFs>, fail_at: usize, fault: Fault) -> Self {
        Self { inner, fail_at, fault, calls: AtomicUsize::new(0) }
    }

    /// Whether the call that was to fail was made.
    pub fn has_failed(&self) -> bool {
        self.calls.load(Ordering::Relaxed) >= self.fail_at
    }

    async fn step<T>(&self, operation: &'static str, name: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let fails = self.calls.fetch_add(1, Ordering::Relaxed) + 1 == self.fail_at;
        let error = || Error::failed(self.location(), operation, name, "injected failure");
        if fails && self.fault == Fault::Before {
            return Err(error());
        }
        let done = call.await?;
        if fails { Err(error()) } else { Ok(done) }
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

    async fn abilities(&self) -> Result<Abilities> {
        self.step("try", ".", self.inner.abilities()).await
    }

    async fn list(&self, folder: Folder) -> Result<Vec<FileInfo>> {
        self.step("list", ".", self.inner.list(folder)).await
    }

    async fn read(&self, path: &str, limit: u64) -> Result<Option<Bytes>> {
        self.step("read", path, self.inner.read(path, limit)).await
    }

    async fn read_with(&self, path: &str, limit: u64, meter: &Meter) -> Result<Option<Bytes>> {
        self.step("read", path, self.inner.read_with(path, limit, meter)).await
    }

    async fn write(&self, path: &str, content: Content, durability: Durability) -> Result<Stored> {
        self.step("write", path, self.inner.write(path, content, durability)).await
    }

    async fn stage(
        &self,
        path: &str,
        name: &str,
        content: Content,
        durability: Durability,
        meter: &Meter,
    ) -> Result<Stored> {
        self.step("write", path, self.inner.stage(path, name, content, durability, meter)).await
    }

    async fn create(&self, path: &str, content: Bytes, durability: Durability) -> Result<bool> {
        self.step("create", path, self.inner.create(path, content, durability)).await
    }

    async fn publish(&self, staged: &str, name: &str, expected: &Expected) -> Result<Publication> {
        self.step("publish", name, self.inner.publish(staged, name, expected)).await
    }

    async fn delete(&self, path: &str) -> Result<()> {
        self.step("delete", path, self.inner.delete(path)).await
    }

    async fn unpublish(&self, name: &str, expected: &Expected) -> Result<Publication> {
        self.step("delete", name, self.inner.unpublish(name, expected)).await
    }

    async fn sync(&self) -> Result<()> {
        self.step("make durable", ".", self.inner.sync()).await
    }

    async fn lock(&self, wait: Duration) -> Result<Lock> {
        self.step("lock", ".", self.inner.lock(wait)).await
    }
}

/// What is done while a [`WatchedFs`] waits.
pub type Looking = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Passes calls on to another place; before and after each one that writes, someone may look on, or meddle.
pub struct WatchedFs {
    inner: Arc<dyn PersistFs>,
    look: Box<dyn Fn() -> Looking + Send + Sync>,
}

impl WatchedFs {
    /// Calls `look` before and after each call that writes.
    pub fn new(inner: Arc<dyn PersistFs>, look: impl Fn() -> Looking + Send + Sync + 'static) -> Self {
        Self { inner, look: Box::new(look) }
    }

    async fn step<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        (self.look)().await;
        let done = call.await;
        (self.look)().await;
        done
    }
}

impl fmt::Debug for WatchedFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl PersistFs for WatchedFs {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn identity(&self) -> String {
        self.inner.identity()
    }

    async fn abilities(&self) -> Result<Abilities> {
        self.inner.abilities().await
    }

    async fn list(&self, folder: Folder) -> Result<Vec<FileInfo>> {
        self.inner.list(folder).await
    }

    async fn read(&self, path: &str, limit: u64) -> Result<Option<Bytes>> {
        self.inner.read(path, limit).await
    }

    async fn read_with(&self, path: &str, limit: u64, meter: &Meter) -> Result<Option<Bytes>> {
        self.inner.read_with(path, limit, meter).await
    }

    async fn write(&self, path: &str, content: Content, durability: Durability) -> Result<Stored> {
        self.step(self.inner.write(path, content, durability)).await
    }

    async fn stage(
        &self,
        path: &str,
        name: &str,
        content: Content,
        durability: Durability,
        meter: &Meter,
    ) -> Result<Stored> {
        self.step(self.inner.stage(path, name, content, durability, meter)).await
    }

    async fn create(&self, path: &str, content: Bytes, durability: Durability) -> Result<bool> {
        self.step(self.inner.create(path, content, durability)).await
    }

    async fn publish(&self, staged: &str, name: &str, expected: &Expected) -> Result<Publication> {
        self.step(self.inner.publish(staged, name, expected)).await
    }

    async fn delete(&self, path: &str) -> Result<()> {
        self.step(self.inner.delete(path)).await
    }

    async fn unpublish(&self, name: &str, expected: &Expected) -> Result<Publication> {
        self.step(self.inner.unpublish(name, expected)).await
    }

    async fn sync(&self) -> Result<()> {
        self.step(self.inner.sync()).await
    }

    async fn lock(&self, wait: Duration) -> Result<Lock> {
        self.inner.lock(wait).await
    }
}
