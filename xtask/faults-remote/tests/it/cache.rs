//! What was read once is not fetched again.

use std::sync::{Arc, Mutex};

use colca::prelude::*;
use faults_remote::proxy::{Fate, Proxy};
use faults_remote::s3::Remote;

#[tokio::test]
async fn the_second_opening_reads_only_the_manifest() {
    let remote = Remote::new();
    let ctx = StorageContext::in_memory();
    let text = "The colca is a storehouse. ".repeat(1000);
    ctx.docstore().add_documents(&[Node::text(text).with_id("n").with_source("d")]).await.unwrap();
    ctx.persist(remote.place()).await.unwrap();

    let dir = tempfile::tempdir().unwrap();
    let cache = DiskCache::new(dir.path());
    let paths = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&paths);
    let proxy = Proxy::start(remote.port(), move |request| {
        let conditional = request.header("if-none-match").is_some();
        seen.lock().unwrap().push((request.path.clone(), conditional));
        Fate::Pass
    })
    .await;
    let through = remote.through(proxy.port());
    let open = async || {
        paths.lock().unwrap().clear();
        let ctx = StorageContext::open(through.place().with_cache(cache.clone())).await.unwrap();
        assert_eq!(ctx.docstore().node_ids().await.unwrap(), ["n"]);
        paths.lock().unwrap().iter().filter(|(path, _)| path.contains("store.json")).cloned().collect()
    };
    let first: Vec<(String, bool)> = open().await;
    assert!(first.iter().all(|(_, conditional)| !conditional), "{first:?}");
    let second: Vec<(String, bool)> = open().await;
    assert!(!second.is_empty() && second.iter().all(|(_, conditional)| *conditional), "{second:?}");

    // What another program writes is seen at once.
    remote.operator().write("docstore.json", r#"{"docstore/data": {}}"#).await.unwrap();
    let ctx = StorageContext::open(through.place().with_cache(cache)).await.unwrap();
    assert!(ctx.docstore().node_ids().await.unwrap().is_empty());
}
