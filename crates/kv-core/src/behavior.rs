//! What every [`KvStore`] does, as functions to run against one.
//!
//! ```
//! # mod tests {
//! kv_core::kv_store_behavior!(pollster::block_on, async { kv_core::SimpleKvStore::new() });
//! # }
//! ```
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test suite fails by panicking")]

use std::sync::Arc;

use futures_util::TryStreamExt;
use raw_json::{PyString, RawJson, Value};

use crate::{Applied, Error, KvStore, KvStoreExt, Page, WriteBatch};

/// Makes one test of each behaviour: `kv_store_behavior!(block_on, future that makes an empty store)`.
#[macro_export]
macro_rules! kv_store_behavior {
    ($block_on:path, $make:expr) => {
        $crate::kv_store_behavior!(@ $block_on, $make;
            what_is_put_is_read
            absent_keys_and_collections_are_none
            many_keys_answer_in_their_order
            deletes_count_what_was_there
            the_last_of_several_changes_counts
            failed_conditions_change_nothing
            conditions_that_hold_let_the_batch_through
            scans_see_every_entry_once
            values_of_every_kind_survive);
    };
    (@ $block_on:path, $make:expr; $($case:ident)*) => {
        $(#[test]
        fn $case() {
            $block_on(async {
                let store: std::sync::Arc<dyn $crate::KvStore> = std::sync::Arc::new($make.await);
                $crate::behavior::$case(store).await;
            });
        })*
    };
}

fn object(n: i64) -> RawJson {
    [("n", n)].into_iter().collect::<Value>().into()
}

async fn meaning(store: &dyn KvStore, collection: &str, key: &str) -> Option<Value> {
    store.get(collection, key).await.unwrap().map(|raw| raw.value())
}

/// A value is found under its key, in its collection, and replaced by a second put.
pub async fn what_is_put_is_read(store: Arc<dyn KvStore>) {
    store.put("c/data", "k", object(1)).await.unwrap();
    store.put("c/other", "k", object(2)).await.unwrap();
    store.put("c/data", "k", object(3)).await.unwrap();
    assert_eq!(meaning(&*store, "c/data", "k").await, Some(object(3).value()));
    assert_eq!(meaning(&*store, "c/other", "k").await, Some(object(2).value()));
}

/// Neither reading nor deleting what is absent fails.
pub async fn absent_keys_and_collections_are_none(store: Arc<dyn KvStore>) {
    assert_eq!(store.get("nowhere", "k").await.unwrap(), None);
    assert!(store.get_all("nowhere").await.unwrap().is_empty());
    assert!(!store.delete("nowhere", "k").await.unwrap());
    store.put("c", "k", object(1)).await.unwrap();
    assert!(!store.contains("c", "other").await.unwrap());
    assert_eq!(store.get_many("c", &[]).await.unwrap(), []);
    assert_eq!(store.apply(WriteBatch::new()).await.unwrap(), Applied::default());
}

/// `get_many` answers key by key, repeated keys too.
pub async fn many_keys_answer_in_their_order(store: Arc<dyn KvStore>) {
    let mut batch = WriteBatch::new();
    (0..50).for_each(|n| batch.put("c", format!("k{n}"), object(n)));
    store.apply(batch).await.unwrap();
    let keys: Vec<PyString> = ["k7", "absent", "k0", "k7"].map(PyString::from).to_vec();
    let found = store.get_many("c", &keys).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|raw| raw.map(|raw| raw.value())).collect();
    assert_eq!(found, [Some(object(7).value()), None, Some(object(0).value()), Some(object(7).value())]);
}

/// Only keys that were there count as deleted.
pub async fn deletes_count_what_was_there(store: Arc<dyn KvStore>) {
    let mut batch = WriteBatch::new();
    (0..5).for_each(|n| batch.put("c", format!("k{n}"), object(n)));
    store.apply(batch).await.unwrap();
    let mut batch = WriteBatch::new();
    for key in ["k1", "k3", "absent"] {
        batch.delete("c", key);
    }
    batch.delete("d", "k1");
    assert_eq!(store.apply(batch).await.unwrap(), Applied { deleted: 2 });
    assert_eq!(store.get_all("c").await.unwrap().len(), 3);
}

/// Changes of one batch happen in their order.
pub async fn the_last_of_several_changes_counts(store: Arc<dyn KvStore>) {
    let mut batch = WriteBatch::new();
    batch.put("c", "a", object(1));
    batch.delete("c", "a");
    batch.put("c", "a", object(2));
    batch.put("c", "b", object(3));
    batch.delete("c", "b");
    store.apply(batch).await.unwrap();
    assert_eq!(meaning(&*store, "c", "a").await, Some(object(2).value()));
    assert_eq!(meaning(&*store, "c", "b").await, None);
}

/// If one condition fails, nothing of the batch happens, and the error names the key.
pub async fn failed_conditions_change_nothing(store: Arc<dyn KvStore>) {
    store.put("c", "k", object(1)).await.unwrap();
    for (key, expected) in [("k", None), ("k", Some(object(2))), ("absent", Some(object(1)))] {
        let mut batch = WriteBatch::new();
        batch.put("c", "k", object(9));
        batch.put("c", "new", object(9));
        batch.require("c", key, expected);
        let failed = store.apply(batch).await.unwrap_err();
        assert!(matches!(&failed, Error::PreconditionFailed { key: named, .. } if *named == key), "{failed}");
        assert!(failed.is_precondition_failed());
    }
    assert_eq!(meaning(&*store, "c", "k").await, Some(object(1).value()));
    assert_eq!(meaning(&*store, "c", "new").await, None);
}

/// Conditions compare meanings, not spellings.
pub async fn conditions_that_hold_let_the_batch_through(store: Arc<dyn KvStore>) {
    store.put("c", "k", object(1)).await.unwrap();
    let mut batch = WriteBatch::new();
    batch.require("c", "k", Some("{ \"n\":1 }".parse().unwrap()));
    batch.require_absent("c", "new");
    batch.put("c", "new", object(2));
    store.apply(batch).await.unwrap();
    assert_eq!(meaning(&*store, "c", "new").await, Some(object(2).value()));
}

/// A scan gives every entry once, whatever the page size.
pub async fn scans_see_every_entry_once(store: Arc<dyn KvStore>) {
    let mut batch = WriteBatch::new();
    (0..25).for_each(|n| batch.put("c", format!("k{n}"), object(n)));
    store.apply(batch).await.unwrap();
    for page_size in [0, 1, 7, 25, 1000] {
        let pages: Vec<Page> = store.scan("c", page_size).try_collect().await.unwrap();
        assert!(pages.iter().all(|page| (1..=page_size.max(1)).contains(&page.len())), "{page_size}");
        let mut found: Vec<(PyString, Value)> = pages.into_iter().flatten().map(|(k, raw)| (k, raw.value())).collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let mut expected: Vec<(PyString, Value)> =
            (0..25).map(|n| (format!("k{n}").into(), object(n).value())).collect();
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(found, expected, "{page_size}");
    }
}

/// Nesting, long texts, every ASCII character, floats and nulls come back as they were.
pub async fn values_of_every_kind_survive(store: Arc<dyn KvStore>) {
    let ascii: String = (' '..='~').collect();
    let value: Value = [
        ("text", Value::from(format!("{ascii} é 日本 😀 \n\t"))),
        ("long", Value::from("x".repeat(100_000))),
        ("float", Value::from(0.1)),
        ("int", Value::from(i64::MAX)),
        ("list", Value::from(vec![Value::Null, Value::from(true), Value::from(vec![1, 2])])),
        ("", Value::from("empty key")),
    ]
    .into_iter()
    .collect();
    store.put("c", "key with spaces / and . é", &value).await.unwrap();
    assert_eq!(meaning(&*store, "c", "key with spaces / and . é").await, Some(value));
}
