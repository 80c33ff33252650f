//! Storage contexts in a bucket.

use colca::persist;
use colca::prelude::*;
use colca::storage_context::Error;
use faults_remote::proxy::{Fate, Proxy};
use faults_remote::s3::{Account, Remote};

async fn add_node(ctx: &StorageContext, id: &str) {
    ctx.docstore().add_documents(&[Node::text("text").with_id(id)]).await.unwrap();
}

async fn node_ids(remote: &Remote) -> Vec<String> {
    let ctx = StorageContext::open(remote.place()).await.unwrap();
    ctx.docstore().node_ids().await.unwrap().into_iter().map(|id| id.to_string()).collect()
}

/// A place with a context of generation 1.
async fn persisted() -> (Remote, StorageContext) {
    let (remote, ctx) = (Remote::new(), StorageContext::in_memory());
    add_node(&ctx, "n").await;
    assert_eq!(ctx.persist(remote.place()).await.unwrap().generation, Some(1));
    (remote, ctx)
}

#[tokio::test]
async fn a_context_comes_back_and_writes_only_what_changed() {
    let (remote, _) = persisted().await;
    let ctx = StorageContext::open(remote.place()).await.unwrap();
    assert_eq!(ctx.open_report().unwrap().findings, []);
    add_node(&ctx, "m").await;
    let report = ctx.persist(remote.place()).await.unwrap();
    let written: Vec<_> = report.files.iter().filter(|file| file.action.to_string() == "written").collect();
    assert_eq!(written.len(), 1, "{report}");
    assert_eq!(node_ids(&remote).await, ["n", "m"]);
}

#[tokio::test]
async fn of_two_contexts_the_later_is_told_which_generation_won() {
    let (remote, _) = persisted().await;
    let one = StorageContext::open(remote.place()).await.unwrap();
    let two = StorageContext::open(remote.place()).await.unwrap();
    add_node(&one, "one").await;
    add_node(&two, "two").await;
    one.persist(remote.place()).await.unwrap();
    let error = two.persist(remote.place()).await.unwrap_err();
    let Error::Persist(persist::Error::Conflict { ours: Some(1), theirs: Some(2), place, .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!(*place, remote.place().location());
    assert_eq!(node_ids(&remote).await, ["n", "one"]);
    two.persist_with(remote.place(), &PersistOptions::overwrite()).await.unwrap();
    assert_eq!(node_ids(&remote).await, ["n", "two"]);
}

/// What another program puts into the bucket is the truth, and the report says so.
#[tokio::test]
async fn what_python_writes_into_the_bucket_is_opened_and_told() {
    let (remote, ctx) = persisted().await;
    let docstore = remote.operator().read("docstore.json").await.unwrap().to_vec();
    let changed = String::from_utf8(docstore).unwrap().replace("\"text\"", "\"txet\"");
    remote.operator().write("docstore.json", changed).await.unwrap();
    let opened = StorageContext::open(remote.place()).await.unwrap();
    let report = opened.open_report().unwrap().to_string();
    assert!(report.contains("another program has written docstore.json"), "{report}");
    add_node(&ctx, "m").await;
    assert!(ctx.persist(remote.place()).await.unwrap_err().is_conflict());
}

#[tokio::test]
async fn a_service_without_conditions_is_written_to_on_request_only() {
    let remote = Remote::new();
    let proxy = Proxy::start(remote.port(), |_| Fate::Without(&["if-none-match", "if-match"])).await;
    let place = remote.account(Account::Nobody).through(proxy.port()).place();
    let ctx = StorageContext::in_memory();
    add_node(&ctx, "n").await;
    let refused = ctx.persist(place.clone()).await.unwrap_err();
    assert!(matches!(refused, Error::Persist(persist::Error::Unconditional { .. })), "{refused}");
    let options = PersistOptions { allow_unconditional: true, ..PersistOptions::default() };
    ctx.persist_with(place, &options).await.unwrap();
    assert_eq!(node_ids(&remote).await, ["n"]);
}

/// Who may read and not list opens what the manifest names.
#[tokio::test]
async fn a_reader_that_may_not_list_opens_the_context() {
    let (remote, _) = persisted().await;
    let ctx = StorageContext::open(remote.account(Account::Reader).place()).await.unwrap();
    assert_eq!(ctx.docstore().node_ids().await.unwrap().len(), 1);
    assert!(ctx.open_report().unwrap().findings.contains(&persist::Finding::NotListed));
    // As on S3 itself, where an absent object is forbidden to those who may not list.
    let proxy = Proxy::start(remote.port(), |_| Fate::Replace("404", "403 Forbidden")).await;
    let place = remote.account(Account::Reader).through(proxy.port()).place();
    let ctx = StorageContext::open(place.clone()).await.unwrap();
    assert_eq!(ctx.docstore().node_ids().await.unwrap().len(), 1);
    add_node(&ctx, "m").await;
    let error = ctx.persist(place).await.unwrap_err();
    assert!(format!("{error:?}").contains("PermissionDenied"), "{error:?}");
    assert_eq!(node_ids(&remote).await, ["n"]);
}

/// Files that LlamaIndex wrote to a bucket, with a context of many kinds of stores.
#[tokio::test]
async fn a_bucket_that_python_wrote_opens_and_is_persisted() {
    let remote = Remote::new();
    for (name, text) in [
        ("docstore.json", r#"{"docstore/data": {}}"#),
        ("index_store.json", "{}"),
        ("graph_store.json", r#"{"graph_dict": {}}"#),
        ("default__vector_store.json", r#"{"embedding_dict": {}, "text_id_to_ref_doc_id": {}, "metadata_dict": {}}"#),
        ("reviews__vector_store.json", r#"{"embedding_dict": {"a": [1.0, 2.5]}, "text_id_to_ref_doc_id": {"a": "d"}}"#),
    ] {
        remote.operator().write(name, text).await.unwrap();
    }
    let ctx = StorageContext::open(remote.place()).await.unwrap();
    assert!(ctx.namespaces().contains(&"reviews".to_owned()), "{:?}", ctx.namespaces());
    add_node(&ctx, "n").await;
    assert_eq!(ctx.persist(remote.place()).await.unwrap().generation, Some(1));
    assert_eq!(node_ids(&remote).await, ["n"]);
    let kept = remote.operator().read("reviews__vector_store.json").await.unwrap().to_vec();
    assert!(String::from_utf8(kept).unwrap().contains("[1.0, 2.5]"), "what did not change stays as it is");
}
