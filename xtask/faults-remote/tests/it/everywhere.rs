//! A context of all kinds of stores at each service, which is named by a string. The credentials are in the environment.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use colca::graphstore::{LabelledNode, Relation};
use colca::persist;
use colca::prelude::*;
use colca::storage_context::{Action, Error};
use faults_remote::s3::unused_prefix;
use futures_util::future::join_all;
use tempfile::TempDir;

use crate::children::{self, is_child};
use crate::servers::Server;

/// The variable with the user's folder, in which the child may write.
const HOME: &str = "HOME";

/// Runs a test in a child that finds the credentials of all servers.
async fn run(test: &str) {
    let home = tempfile::tempdir().unwrap();
    let account = |server: Server| server.account.unwrap();
    let (amazon, moto) = (account(Server::seaweedfs()), account(Server::moto("COLCA_MOTO_ACCOUNT")));
    let azure = account(Server::azurite());
    let profile = format!("[moto]\naws_access_key_id = {}\naws_secret_access_key = {}\n", moto.0, moto.1);
    let file = write(&home, "credentials", &profile);
    let variables = [
        ("AWS_ACCESS_KEY_ID", amazon.0.as_str()),
        ("AWS_SECRET_ACCESS_KEY", &amazon.1),
        ("AWS_SHARED_CREDENTIALS_FILE", &file),
        ("R2_ACCESS_KEY_ID", &amazon.0),
        ("R2_SECRET_ACCESS_KEY", &amazon.1),
        ("AZURE_STORAGE_ACCOUNT_NAME", &azure.0),
        ("AZURE_STORAGE_ACCOUNT_KEY", &azure.1),
        (HOME, home.path().to_str().unwrap()),
    ];
    children::run(module_path!(), test, &variables).await;
}

fn write(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A location of each kind that nobody has used, below this name.
fn locations(name: &str) -> [String; 7] {
    let prefix = format!("{}/{name}", unused_prefix());
    [
        seaweedfs(&prefix),
        // In the same bucket.
        uri("r2://account/", Server::seaweedfs_as_r2(), &format!("{prefix}-r2"), ""),
        moto(&prefix),
        uri("az://", Server::azurite(), &prefix, ""),
        uri("gs://", Server::fake_gcs(), &prefix, "&anonymous=true"),
        format!("memory://{prefix}"),
        format!("{}/{prefix}", std::env::var(HOME).unwrap()),
    ]
}

fn seaweedfs(prefix: &str) -> String {
    uri("s3://", Server::seaweedfs(), prefix, "")
}

fn moto(prefix: &str) -> String {
    uri("s3://", Server::moto("COLCA_MOTO_ACCOUNT"), prefix, "&profile=moto")
}

fn uri(start: &str, server: Server, prefix: &str, settings: &str) -> String {
    let Server { endpoint, bucket, .. } = server;
    format!("{start}{bucket}/{prefix}?endpoint={endpoint}{settings}")
}

/// A context with every kind of store, and two namespaces that LlamaIndex has not.
async fn everything() -> StorageContext {
    let (triplets, property_graph) = (SimpleGraphStore::new(), SimplePropertyGraphStore::new());
    triplets.upsert_triplets([Triplet::new("Ada", "knows", "Bob")]);
    let people = ["Ada", "Bob"].map(LabelledNode::entity);
    property_graph.upsert_nodes(people.to_vec()).unwrap();
    property_graph.upsert_relations(vec![Relation::new("KNOWS", "Ada", "Bob")]).unwrap();
    let vectors = async |id: &str| {
        let store = SimpleVectorStore::new();
        store.add(&[Node::text("Grüße").with_id(id).with_embedding([0.5, -1.0, 1e-7])]).await.unwrap();
        Arc::new(store)
    };
    let ctx = StorageContext::builder()
        .graph_store(Arc::new(triplets))
        .property_graph_store(Arc::new(property_graph))
        .vector_store(vectors("text").await)
        .image_store(vectors("image").await)
        .named_vector_store("reviews", vectors("review").await)
        .named_vector_store("béta", vectors("b").await)
        .build();
    ctx.docstore().add_documents(&[Node::text("Grüße").with_id("text").with_source("doc")]).await.unwrap();
    let list = IndexStruct::new("list", IndexStructData::List { nodes: vec!["text".into()] });
    ctx.index_store().add_index_struct(&list).await.unwrap();
    ctx
}

/// What was done about each file, and its size and digest.
type Files = BTreeMap<String, (Action, u64, Option<persist::Digest>)>;

fn files(report: &PersistReport) -> Files {
    report.files.iter().map(|file| (file.name.clone(), (file.action, file.size, file.digest))).collect()
}

/// Demands that all files were dealt with in this way, but some in another.
fn check_actions(report: &PersistReport, action: Action, others: &[(&str, Action)]) {
    for file in &report.files {
        let other = others.iter().find(|(name, _)| *name == file.name);
        assert_eq!(file.action, other.map_or(action, |(_, other)| *other), "{report}");
    }
    assert_eq!(report.files.len(), 8, "{report}");
    assert_eq!((report.overwritten.len(), report.overtaken.len(), &report.uncollected), (0, 0, &None), "{report}");
}

/// Persists, where writers are kept apart or not: that must be allowed then.
async fn persist(ctx: &StorageContext, uri: &str) -> PersistReport {
    match ctx.persist(uri).await {
        Ok(report) => report,
        Err(Error::Persist(persist::Error::Unconditional { place })) => {
            let abilities = uri.into_place().unwrap().abilities().await.unwrap();
            assert!(!abilities.create, "{abilities:?}");
            // Not through `eprintln!`, which the test runner captures.
            let _ = writeln!(io::stderr(), "{place} refuses commits until that is allowed: {abilities:?}");
            let options = PersistOptions { allow_unconditional: true, ..PersistOptions::default() };
            ctx.persist_with(uri, &options).await.unwrap()
        }
        Err(e) => panic!("{uri}: {e:?}"),
    }
}

async fn open(uri: &str) -> StorageContext {
    let ctx = StorageContext::open(uri).await.unwrap();
    assert_eq!(ctx.open_report().unwrap().findings, [], "{uri}");
    ctx
}

/// Persisted to each service, opened there, changed and persisted again.
#[tokio::test]
async fn a_context_is_kept_at_each_service() {
    if !is_child() {
        return run("a_context_is_kept_at_each_service").await;
    }
    let expected = files(&everything().await.persist("memory://expected").await.unwrap());
    let keep = async |uri: String| {
        let report = persist(&everything().await, &uri).await;
        check_actions(&report, Action::Written, &[]);
        assert_eq!((files(&report), report.generation), (expected.clone(), Some(1)), "{uri}");

        let ctx = open(&uri).await;
        let namespaces = ctx.namespaces();
        assert!(["béta", "default", "image", "reviews"].iter().all(|name| namespaces.contains(&(*name).to_owned())));
        check_actions(&persist(&ctx, &uri).await, Action::Unchanged, &[]);

        ctx.docstore().add_documents(&[Node::text("more").with_id("more")]).await.unwrap();
        let report = persist(&ctx, &uri).await;
        check_actions(&report, Action::Unchanged, &[("docstore.json", Action::Written)]);
        assert_eq!(report.generation, Some(2), "{uri}");
        assert_eq!(open(&uri).await.docstore().node_ids().await.unwrap(), ["text", "more"], "{uri}");
    };
    join_all(locations("kept").map(keep)).await;
}

/// As the example `copy_context` does it: opened at one service and persisted to another one.
#[tokio::test]
async fn a_context_is_copied_from_each_service_to_each() {
    if !is_child() {
        return run("a_context_is_copied_from_each_service_to_each").await;
    }
    let sources = locations("source");
    let mut expected = files(&everything().await.persist("memory://expected").await.unwrap());
    expected.values_mut().for_each(|file| file.0 = Action::Copied);
    let persisted = sources.iter().map(async |source| persist(&everything().await, source).await);
    join_all(persisted).await;
    let copy = async |source: &str, target: String| {
        let report = persist(&open(source).await, &target).await;
        assert_eq!((files(&report), report.generation), (expected.clone(), Some(1)), "{source} to {target}");
        check_actions(&persist(&open(&target).await, &target).await, Action::Unchanged, &[]);
    };
    let copies = sources.iter().enumerate().flat_map(|(n, source)| {
        let targets = locations("target").into_iter().enumerate().filter(move |(m, _)| *m != n);
        targets.map(move |(_, target)| (source, target))
    });
    join_all(copies.map(|(source, target)| copy(source, target))).await;
}

/// Two servers with a bucket of the same name: what is known of one location is not known of the other.
#[tokio::test]
async fn two_servers_with_equal_names_are_two_locations() {
    if !is_child() {
        return run("two_servers_with_equal_names_are_two_locations").await;
    }
    let prefix = unused_prefix();
    let uris = [seaweedfs(&prefix), moto(&prefix)];
    let [one, other] = uris.each_ref().map(|uri| uri.split_once('?').unwrap().0);
    assert_eq!(one, other);
    let ctx = everything().await;
    for uri in &uris {
        let report = ctx.persist(uri).await.unwrap();
        assert!(report.files.iter().all(|file| matches!(file.action, Action::Written | Action::Copied)), "{report}");
        assert_eq!((report.files.len(), report.generation), (8, Some(1)), "{report}");
    }
    for uri in &uris {
        check_actions(&ctx.persist(uri).await.unwrap(), Action::Unchanged, &[]);
        assert_eq!(open(uri).await.docstore().node_ids().await.unwrap(), ["text"]);
    }
}
