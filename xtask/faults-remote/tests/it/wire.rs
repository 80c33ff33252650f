//! The requests that each service is sent, against recorded exchanges: what no server here can prove.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use faults_remote::proxy::{Fate, Proxy, Request};
use faults_remote::s3::unused_prefix;
use fs_backends::S3Config;
use persist::behavior::put;
use persist::{Abilities, Content, Durability, Expected, Folder, PersistFs, Publication};

use crate::canned::{Canned, Reply};
use crate::servers::{Server, Service};

/// What a service can do that keeps all conditions.
const ALL: Abilities = Abilities { create: true, conditional_publish: true, moves: false };

/// A request on one line, with these headers if it has them.
fn line(request: &Request, headers: &[&str]) -> String {
    let shown = |name: &&str| request.header(name).map(|value| format!(", {name}: {value}"));
    let headers: String = headers.iter().filter_map(shown).collect();
    format!("{} {}{headers}", request.method, request.path)
}

/// The requests since the last call, each on a line.
fn lines(server: &Canned, headers: &[&str]) -> Vec<String> {
    server.take().iter().map(|request| line(request, headers)).collect()
}

async fn publish(place: &dyn PersistFs, expected: Expected) -> Publication {
    place.publish(".colca/1.staged", "a.json", &expected).await.unwrap()
}

async fn unpublish(place: &dyn PersistFs, expected: Expected) -> Publication {
    place.unpublish("a.json", &expected).await.unwrap()
}

/// Google's service, which refuses all conditions on objects of probes but the first.
fn google() -> impl Fn(&Request) -> Reply {
    let known = Mutex::new(HashSet::new());
    move |request| {
        let Request { method, path, body, .. } = request;
        let size = body.len();
        let object = format!(
            r#"{{"name": "p/a.json", "size": "{size}", "generation": "1796", "updated": "2026-01-01T00:00:00Z"}}"#
        );
        let is_new = known.lock().unwrap().insert(path.clone());
        let is_conditional = path.contains("ifGenerationMatch=");
        let is_upload = path.contains("uploadType=resumable");
        let session = format!("http://{}/session/1", request.header("host").unwrap());
        match method.as_str() {
            _ if is_conditional && path.contains(".probe") && !(is_upload && is_new) => Reply::status(412),
            "POST" if is_upload => Reply::status(200).header("Location", &session),
            "POST" if path.contains("/rewriteTo/") => Reply::status(200).body(format!(
                r#"{{"done": true, "totalBytesRewritten": "1", "objectSize": "1", "resource": {object}}}"#
            )),
            "DELETE" => Reply::status(204),
            "GET" => Reply::status(200).body(format!(r#"{{"items": [{object}]}}"#)),
            _ => Reply::status(200).body(object),
        }
    }
}

#[tokio::test]
async fn google_is_asked_on_generations() {
    let server = Canned::start(google()).await;
    let place = server.connect(Service::Gcs);
    assert_eq!(place.abilities().await.unwrap(), ALL);
    server.take();
    let (objects, staged) = ("/storage/v1/b/bucket/o", "p%2F.colca%2F1.staged");

    assert!(place.create(".colca/1.json", "1".into(), Durability::Full).await.unwrap());
    let upload = format!("POST /upload{objects}?uploadType=resumable&name=p%2F.colca%2F1.json&ifGenerationMatch=0");
    assert_eq!(lines(&server, &["content-range"]), [upload.as_str(), "PUT /session/1, content-range: bytes 0-0/1"]);

    place.write(".colca/1.staged", Content::from("1"), Durability::Full).await.unwrap();
    assert_eq!(lines(&server, &[]), [format!("POST /upload{objects}?uploadType=media&name={staged}")]);

    let listed = place.list(Folder::Published).await.unwrap();
    assert_eq!(listed[0].version.as_deref(), Some("1796"));
    server.take();

    let rewrite = format!("POST {objects}/{staged}/rewriteTo/b/bucket/o/p%2Fa.json");
    for (expected, condition) in [
        (Expected::Absent, "ifGenerationMatch=0&"),
        (Expected::seen(listed.first()), "ifGenerationMatch=1796&"),
        (Expected::Anything, ""),
    ] {
        assert_eq!(publish(&place, expected).await, Publication::Done);
        assert_eq!(lines(&server, &[]), [format!("{rewrite}?{condition}maxBytesRewrittenPerCall=67108864")]);
    }

    assert_eq!(unpublish(&place, Expected::seen(listed.first())).await, Publication::Done);
    assert_eq!(lines(&server, &[]), [format!("DELETE {objects}/p%2Fa.json?ifGenerationMatch=1796")]);
}

/// Azure's service, which refuses all conditions on blobs of probes but the first.
fn azure() -> impl Fn(&Request) -> Reply {
    let known = Mutex::new(HashSet::new());
    move |request| {
        let is_new = known.lock().unwrap().insert(request.path.clone());
        let is_conditional = ["if-match", "if-none-match"].iter().any(|name| request.header(name).is_some());
        match request.method.as_str() {
            _ if is_conditional && request.path.contains(".probe") && !is_new => Reply::status(412),
            "PUT" => Reply::status(201),
            "DELETE" => Reply::status(202),
            _ => Reply::status(200).body("staged"),
        }
    }
}

#[tokio::test]
async fn azure_is_asked_on_etags() {
    let server = Canned::start(azure()).await;
    let place = server.connect(Service::Azblob);
    assert_eq!(place.abilities().await.unwrap(), ALL);
    server.take();
    let (blobs, conditions) = ("/account/bucket/p", ["if-match", "if-none-match"]);

    assert!(place.create(".colca/1.json", "1".into(), Durability::Full).await.unwrap());
    assert_eq!(lines(&server, &conditions), [format!("PUT {blobs}/.colca/1.json, if-none-match: *")]);

    let etag = "\"0x8DE0\"";
    for (expected, condition) in [
        (Expected::Absent, ", if-none-match: *"),
        (Expected::Version(etag.to_owned()), ", if-match: \"0x8DE0\""),
        (Expected::Anything, ""),
    ] {
        assert_eq!(publish(&place, expected).await, Publication::Done);
        let seen = server.take();
        let sent: Vec<_> = seen.iter().map(|request| line(request, &conditions)).collect();
        let staged = format!("{blobs}/.colca/1.staged");
        assert_eq!(sent, [format!("HEAD {staged}"), format!("GET {staged}"), format!("PUT {blobs}/a.json{condition}")]);
        assert_eq!(seen[2].body, b"staged", "a copy within the service could go on after it was acknowledged");
    }

    assert_eq!(unpublish(&place, Expected::Version(etag.to_owned())).await, Publication::Done);
    assert_eq!(lines(&server, &conditions), [format!("DELETE {blobs}/a.json, if-match: \"0x8DE0\"")]);
}

/// What R2 does not take, or takes amiss, is in none of the requests that whole commits are made of.
#[tokio::test]
async fn r2_is_asked_by_its_rules() {
    let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let server = Server::seaweedfs_as_r2();
    let port = server.endpoint.rsplit(':').next().unwrap().parse().unwrap();
    let proxy = Proxy::start(port, move |request| {
        noted.lock().unwrap().push(request.clone());
        Fate::Pass
    })
    .await;
    let place = Server { endpoint: format!("http://127.0.0.1:{}", proxy.port()), ..server }.connect(&unused_prefix());
    for text in ["1", "2"] {
        put(&place, &[("a.json", text), ("b.json", text)], &[]).await.unwrap();
    }
    put(&place, &[("a.json", "3")], &["b.json"]).await.unwrap();
    let large = Content::Bytes(vec![7; 20 << 20].into());
    place.write(".colca/1.staged", large, Durability::Full).await.unwrap();

    let seen = seen.lock().unwrap();
    for request in seen.iter() {
        let shown = line(request, &[]);
        for refused in ["x-amz-acl", "x-amz-checksum-", "x-amz-sdk-", "x-amz-storage-class", "x-amz-server-side-"] {
            assert_eq!(request.headers_of(refused), [""; 0], "{shown}");
        }
        let signature = request.header("authorization").unwrap_or_default();
        assert!(signature.contains("/auto/s3/aws4_request"), "{shown}: {signature}");
        // Several objects at a time are deleted with a checksum only.
        assert!(!(request.method == "POST" && request.path.ends_with("?delete")), "{shown}");
    }
    let mut parts: Vec<_> =
        seen.iter().filter(|request| request.path.contains("partNumber=")).map(|part| part.body.len() >> 20).collect();
    parts.sort_unstable();
    assert_eq!(parts, [4, 8, 8]);
    assert!(seen.iter().any(|request| request.header("x-amz-copy-source").is_some()), "something was published");
    assert!(seen.iter().any(|request| request.method == "DELETE"), "something was deleted");
}

/// What Amazon is asked for: a checksum, and the encryption that the bucket demands.
#[tokio::test]
async fn amazon_is_sent_checksums_and_how_to_encrypt() {
    let server = Canned::start(|_| Reply::status(200).header("etag", "\"1\"")).await;
    let config = S3Config::new("bucket").prefix("p").endpoint(server.endpoint()).keys("id", "secret").checksums(true);
    let config = config.server_side_encryption("aws:kms").kms_key_id("arn:aws:kms:key").environment(false);
    let place = config.connect().unwrap();
    place.write(".colca/1.staged", Content::from("123456789"), Durability::Full).await.unwrap();
    let headers =
        ["x-amz-checksum-crc32c", "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"];
    let expected = "PUT /bucket/p/.colca/1.staged, x-amz-checksum-crc32c: 4waSgw==, x-amz-server-side-encryption: \
                    aws:kms, x-amz-server-side-encryption-aws-kms-key-id: arn:aws:kms:key";
    assert_eq!(lines(&server, &headers), [expected]);
}
