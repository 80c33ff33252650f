//! What every location does, on each server and through the config of each service.

use faults_remote::s3::unused_prefix;
use fs_backends::{AzblobConfig, IntoPlace};
use persist::behavior::{WatchedFs, contents, put, read_all};
use persist::{Abilities, Folder, PersistFs};
use tokio::runtime::Builder;

use crate::servers::Server;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(future)
}

macro_rules! suites {
    ($($name:ident: $make:expr;)*) => {
        $(mod $name {
            use super::*;

            persist::persist_fs_behavior!(block_on, async { $make });
        })*
    };
}

suites! {
    seaweedfs: Server::seaweedfs().connect(&unused_prefix());
    seaweedfs_as_r2: Server::seaweedfs_as_r2().connect(&unused_prefix());
    moto: Server::moto("COLCA_MOTO_ACCOUNT").connect(&unused_prefix());
    azurite: Server::azurite().connect(&unused_prefix());
    fake_gcs: Server::fake_gcs().connect(&unused_prefix());
    memory: memory();
    folder: folder();
}

fn memory() -> WatchedFs {
    let place = format!("memory://{}", unused_prefix()).into_place().unwrap();
    WatchedFs::new(place, || Box::pin(async {}))
}

/// It is removed with the location.
fn folder() -> WatchedFs {
    let folder = tempfile::tempdir().unwrap();
    let place = format!("file://{}", folder.path().display()).into_place().unwrap();
    WatchedFs::new(place, move || {
        let _ = folder.path();
        Box::pin(async {})
    })
}

/// What is not among a server's abilities is not demanded of it in the suites, so none may get lost.
#[tokio::test]
async fn the_abilities_of_servers_are_known() {
    let known = [
        ("SeaweedFS", true, true),
        ("SeaweedFS as R2", true, true),
        ("moto", true, false),
        ("Azurite", true, true),
        ("fake-gcs-server", false, false),
    ];
    for ((name, server), (known, create, conditional_publish)) in Server::all().into_iter().zip(known) {
        assert_eq!(name, known);
        let expected = Abilities { create, conditional_publish, moves: false };
        let place = server.connect(&unused_prefix());
        assert_eq!(place.abilities().await.unwrap(), expected, "{name}");
        assert_eq!(place.list(Folder::Own).await.unwrap(), [], "{name}: what was tried leaves nothing");
    }
}

/// A signature of Azurite's account, whose key everybody knows: to read, write, delete and list blobs until 2099.
const SIGNATURE: &str = "sv=2022-11-02&ss=b&srt=sco&sp=rwdl&se=2099-01-01T00:00:00Z&spr=https,http\
    &sig=g4feKf0rDVJZIZk6UVuPk8CdxLhTRu%2F0Rmc2zB0WQ%2BM%3D";

#[tokio::test]
async fn a_shared_access_signature_is_all_that_azure_needs() {
    let Server { endpoint, bucket, account, .. } = Server::azurite();
    let config = AzblobConfig::new(account.unwrap().0, bucket).prefix(unused_prefix()).endpoint(endpoint);
    let place = config.sas_token(SIGNATURE).environment(false).connect().unwrap();
    for text in ["1", "2"] {
        put(&place, &[("a.json", text), ("b.json", text)], &[]).await.unwrap();
    }
    put(&place, &[("a.json", "3")], &["b.json"]).await.unwrap();
    assert_eq!(read_all(&place).await.unwrap(), (contents([("a.json", "3")]), vec![]));
}
