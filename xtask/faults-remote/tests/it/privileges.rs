//! Accounts that may do no more than the policies in `docs/policies` allow, on moto, which checks them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use colca::persist;
use colca::prelude::*;
use colca::storage_context::{Action, Error};
use faults_remote::s3::{unused_prefix, variable};
use fs_backends::ReadFs;
use persist::{Content, Durability, Finding, Folder, RequestFailure};
use tokio::time::sleep;

use crate::servers::Server;

/// A prefix that nobody has used, below the one that the accounts are restricted to.
fn prefix() -> String {
    format!("{}/{}", variable("COLCA_MOTO_PREFIX"), unused_prefix())
}

/// A location on one of moto's accounts.
fn of(account: &str, prefix: &str) -> ObjectFs {
    Server::moto(account).connect(prefix)
}

fn owner(prefix: &str) -> ObjectFs {
    of("COLCA_MOTO_ACCOUNT", prefix)
}

async fn add_node(ctx: &StorageContext, id: &str) {
    ctx.docstore().add_documents(&[Node::text("text").with_id(id)]).await.unwrap();
}

/// A context of one node, persisted by the owner.
async fn persisted() -> String {
    let (prefix, ctx) = (prefix(), StorageContext::in_memory());
    add_node(&ctx, "n").await;
    ctx.persist(owner(&prefix)).await.unwrap();
    prefix
}

/// The objects below a prefix, with their sizes and times, as the owner sees them.
async fn objects(prefix: &str) -> BTreeMap<PathBuf, (u64, Option<i64>)> {
    let listed = owner(prefix).list_files(true).await.unwrap().files;
    listed.into_iter().map(|file| (file.name, (file.size, file.modified))).collect()
}

/// The objects of the whole bucket, but those below the prefix of the accounts here and of other tests.
async fn objects_outside() -> BTreeMap<PathBuf, (u64, Option<i64>)> {
    let (own, others) = (variable("COLCA_MOTO_PREFIX") + "/", "test-");
    let is_outside = |key: &Path| ![&own, others].iter().any(|prefix| key.to_str().unwrap().starts_with(prefix));
    objects("").await.into_iter().filter(|(key, _)| is_outside(key)).collect()
}

/// Demands that persisting is denied, and that the error says which key was not written and what to look at.
fn check_denied(error: Error, place: &ObjectFs) {
    let Error::Persist(persist::Error::Failed { place: location, name, operation, source }) = &error else {
        panic!("{error:?}")
    };
    assert_eq!((location, *operation), (&place.location(), "create"));
    assert!(name.starts_with(".colca/"), "{name}");
    let failure: &RequestFailure = source.downcast_ref().unwrap();
    assert_eq!((failure.request, failure.kind), ("PutObject", "PermissionDenied"));
    assert!(failure.cause.ends_with("; see that the credentials are right and allow this"), "{failure}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_reader_opens_and_cannot_persist() {
    let prefix = persisted().await;
    let before = objects(&prefix).await;
    let place = of("COLCA_MOTO_READER", &prefix);
    let ctx = StorageContext::open(place.clone()).await.unwrap();
    assert_eq!(ctx.open_report().unwrap().findings, []);
    assert_eq!(ctx.docstore().node_ids().await.unwrap(), ["n"]);
    add_node(&ctx, "m").await;
    check_denied(ctx.persist(place.clone()).await.unwrap_err(), &place);
    assert_eq!(objects(&prefix).await, before);
    // What it may not read, it says so of.
    let outside = of("COLCA_MOTO_READER", "outside");
    let error = StorageContext::open(outside.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{} may not be listed", outside.location()));
}

#[tokio::test]
async fn a_reader_that_may_not_list_opens_what_the_manifest_names() {
    let prefix = persisted().await;
    let place = of("COLCA_MOTO_READER_WITHOUT_LIST", &prefix);
    let ctx = StorageContext::open(place.clone()).await.unwrap();
    assert_eq!(ctx.open_report().unwrap().findings, [Finding::NotListed]);
    assert_eq!(ctx.docstore().node_ids().await.unwrap(), ["n"]);
    add_node(&ctx, "m").await;
    // As a new handle, for which nothing was read there yet.
    let place = of("COLCA_MOTO_READER_WITHOUT_LIST", &prefix);
    let error = ctx.persist(place.clone()).await.unwrap_err();
    check_denied(error, &place);
    // Without a manifest nothing names the files.
    let empty = of("COLCA_MOTO_READER_WITHOUT_LIST", &self::prefix());
    let error = StorageContext::open(empty.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{} may not be listed", empty.location()));
}

#[tokio::test]
async fn a_writer_does_all_it_has_to_and_nothing_outside() {
    let outside = owner(&format!("outside-{}", unused_prefix()));
    outside.write(".colca/1.staged", Content::from("mine"), Durability::Full).await.unwrap();
    let before = objects_outside().await;
    assert!(!before.is_empty());

    let prefix = prefix();
    let place = of("COLCA_MOTO_WRITER", &prefix);
    let ctx = StorageContext::in_memory();
    ctx.add_vector_store("reviews", Arc::new(SimpleVectorStore::new())).unwrap();
    add_node(&ctx, "n").await;
    assert_eq!(ctx.persist(place.clone()).await.unwrap().generation, Some(1));
    let ctx = StorageContext::open(place.clone()).await.unwrap();
    assert_eq!(ctx.open_report().unwrap().findings, []);
    ctx.remove_vector_store("reviews").unwrap();
    // The clock of an object store counts seconds.
    let options = PersistOptions { keep_generations: 1, min_age: Duration::ZERO, ..PersistOptions::default() };
    for id in ["m", "o"] {
        sleep(Duration::from_millis(1_100)).await;
        add_node(&ctx, id).await;
        let report = ctx.persist_with(place.clone(), &options).await.unwrap();
        assert_eq!(report.uncollected, None, "{report}");
        let removed = report.files.iter().any(|file| file.action == Action::Removed);
        assert_eq!(removed, id == "m", "{report}");
    }
    let own = place.list(Folder::Own).await.unwrap();
    let manifests: Vec<_> = own.iter().map(|file| &file.name).filter(|name| name.ends_with(".json")).collect();
    assert_eq!(manifests, ["3.json"]);
    let ctx = StorageContext::open(of("COLCA_MOTO_READER", &prefix)).await.unwrap();
    assert_eq!((ctx.docstore().node_ids().await.unwrap().len(), ctx.vector_store_of("reviews").is_some()), (3, false));

    // An upload in parts, and one that is aborted.
    place.write(".colca/2.staged", Content::Bytes(vec![7; 20 << 20].into()), Durability::Full).await.unwrap();
    let broken = Content::writer(|out| {
        out.write_all(&[7; 20 << 20])?;
        Err(std::io::Error::other("no more"))
    });
    let error = place.write(".colca/3.staged", broken, Durability::Full).await.unwrap_err();
    assert!(matches!(&error, persist::Error::Failed { source, .. } if source.to_string() == "no more"), "{error:?}");

    let elsewhere = of("COLCA_MOTO_WRITER", "outside");
    let error = StorageContext::in_memory().persist(elsewhere.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{} may not be listed", elsewhere.location()));
    assert_eq!(objects_outside().await, before);
}
