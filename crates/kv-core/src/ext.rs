use std::future::Future;

use futures_util::TryStreamExt;
use indexmap::IndexMap;
use raw_json::{PyString, RawJson};

use crate::{KvStore, Result, WriteBatch};

/// How many entries [`KvStoreExt::get_all`] asks for at a time.
const PAGE_SIZE: usize = 1000;

/// Short forms for every [`KvStore`].
pub trait KvStoreExt: KvStore {
    /// The value of one key.
    ///
    /// # Errors
    /// If the store beneath fails.
    fn get(&self, collection: &str, key: impl Into<PyString>) -> impl Future<Output = Result<Option<RawJson>>> + Send {
        let key = key.into();
        async move { Ok(self.get_many(collection, &[key]).await?.pop().flatten()) }
    }

    /// Whether there is such a key.
    ///
    /// # Errors
    /// If the store beneath fails.
    fn contains(&self, collection: &str, key: impl Into<PyString>) -> impl Future<Output = Result<bool>> + Send {
        let key = key.into();
        async move { Ok(self.get(collection, key).await?.is_some()) }
    }

    /// All entries of a collection, in its order.
    ///
    /// # Errors
    /// If the store beneath fails.
    fn get_all(&self, collection: &str) -> impl Future<Output = Result<IndexMap<PyString, RawJson>>> + Send {
        async move {
            let pages = self.scan(collection, PAGE_SIZE);
            pages
                .try_fold(IndexMap::new(), |mut all, page| async move {
                    all.extend(page);
                    Ok(all)
                })
                .await
        }
    }

    /// Sets one key.
    ///
    /// # Errors
    /// If the store beneath fails.
    fn put(
        &self,
        collection: &str,
        key: impl Into<PyString>,
        value: impl Into<RawJson>,
    ) -> impl Future<Output = Result<()>> + Send {
        let mut batch = WriteBatch::new();
        batch.put(collection, key, value);
        async move { self.apply(batch).await.map(drop) }
    }

    /// Removes one key and tells whether it was there.
    ///
    /// # Errors
    /// If the store beneath fails.
    fn delete(&self, collection: &str, key: impl Into<PyString>) -> impl Future<Output = Result<bool>> + Send {
        let mut batch = WriteBatch::new();
        batch.delete(collection, key);
        async move { Ok(self.apply(batch).await?.deleted == 1) }
    }
}

impl<T: KvStore + ?Sized> KvStoreExt for T {}
