//! What becomes of a request when the network or the service fails, and how long that takes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use colca::prelude::{SimpleVectorStore, StorageContext};
use faults_remote::proxy::{Fate, Proxy, Request};
use faults_remote::s3::{Remote, unused_prefix};
use fs_backends::RequestOptions;
use futures_util::future::join_all;
use persist::{Content, Durability, Error, Folder, PersistFs, RequestFailure};

use crate::canned::{Canned, Reply};
use crate::servers::{Server, Service};

/// A request fails after 200 ms without a byte, and is repeated twice.
const SHORT: RequestOptions = RequestOptions {
    connect_timeout: Duration::from_millis(500),
    timeout: Duration::from_millis(200),
    retries: 2,
    retry_delay: Duration::from_millis(10),
    deadline: Duration::from_secs(2),
};

/// How often a request is tried then.
const TRIES: u32 = 3;

const WHOLE: u64 = u64::MAX;

/// What an error says of the request that has failed.
#[derive(Debug, Clone, Copy)]
struct Expected {
    kind: &'static str,
    tries: u32,
    is_retryable: bool,
    cause: &'static str,
}

/// A failure that repetitions do not help against, and that may pass.
const fn temporary(cause: &'static str) -> Expected {
    Expected { kind: "Unexpected", tries: TRIES, is_retryable: true, cause }
}

/// A failure that is not repeated.
const fn lasting(kind: &'static str, cause: &'static str) -> Expected {
    Expected { kind, tries: 1, is_retryable: false, cause }
}

/// The failed request in an error.
fn failure(error: &Error) -> &RequestFailure {
    let (Error::Failed { source, .. } | Error::Forbidden { source, .. }) = error else { panic!("{error:?}") };
    source.downcast_ref().unwrap_or_else(|| panic!("{error:?}"))
}

/// Reads a file of each service at this address, and demands an error that names the location, the file and the request,
/// and says what is expected.
async fn check(address: &str, expected: Expected) {
    for (service, location, request) in [
        (Service::S3, format!("s3://bucket/p?endpoint={address}"), "GetObject"),
        (Service::R2, format!("r2://account/bucket/p?endpoint={address}"), "GetObject"),
        (Service::Gcs, format!("gs://bucket/p?endpoint={address}"), "GetObject"),
        (Service::Azblob, format!("az://bucket/p?endpoint={address}/account"), "GetBlob"),
    ] {
        let error = Server::of(service, address).connect_with("p", SHORT).read("a.json", WHOLE).await.unwrap_err();
        assert_eq!(error.to_string(), format!("cannot read \"a.json\" in {location}"));
        let Expected { kind, tries, is_retryable, cause } = expected;
        let found = failure(&error);
        assert_eq!((found.request, found.kind, found.tries), (request, kind, tries), "{location}: {found}");
        assert_eq!((found.is_retryable, error.is_retryable()), (is_retryable, is_retryable), "{location}: {found}");
        assert!(found.cause.contains(cause), "{location}: {found}");
    }
}

/// As [`check`], at a server that answers so.
async fn check_reply(reply: Reply, expected: Expected) {
    check(&Canned::start(move |_| reply.clone()).await.endpoint(), expected).await;
}

#[tokio::test]
async fn a_service_that_cannot_be_reached() {
    check("http://127.0.0.1:1", temporary("Connection refused")).await;
    check("http://no-such-host.invalid", temporary("failed to lookup address")).await;
}

#[tokio::test]
async fn a_service_that_does_not_answer() {
    check_reply(Reply::silence(), temporary("nothing moved for 200 ms")).await;
    let half = Reply::status(200).header("etag", "\"1\"").body("it stops in the middle");
    check_reply(half.clone().stalled(), temporary("nothing moved for 200 ms")).await;
    check_reply(half.cut(), temporary("end of file before message length reached")).await;
}

#[tokio::test]
async fn a_service_that_is_out_of_order() {
    check_reply(Reply::status(500), temporary("HTTP 500 Internal Server Error")).await;
    check_reply(Reply::status(503), temporary("HTTP 503 Service Unavailable")).await;
    let limited = Expected { kind: "RateLimited", ..temporary("HTTP 429 Too Many Requests; ask less often") };
    check_reply(Reply::status(429), limited).await;
}

/// A service that wants to be left alone for a while is, before the next request and not after the last one.
#[tokio::test]
async fn a_service_that_asks_for_time_is_given_it() {
    for status in [503, 429] {
        let answer = move |request: &Request| match request.number {
            0 => Reply::status(status).header("Retry-After", "1"),
            _ => Reply::status(200).header("etag", "\"1\"").body("text"),
        };
        let server = Canned::start(answer).await;
        let requests = RequestOptions { timeout: Duration::from_secs(3), ..SHORT };
        let place = Server::of(Service::S3, &server.endpoint()).connect_with("p", requests);
        let start = Instant::now();
        assert_eq!(place.read("a.json", WHOLE).await.unwrap().unwrap(), "text");
        assert!((1_000..2_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    }
    let server = Canned::start(|_| Reply::status(503).header("Retry-After", "1")).await;
    let requests = RequestOptions { timeout: Duration::from_secs(3), retries: 0, ..SHORT };
    let start = Instant::now();
    let place = Server::of(Service::S3, &server.endpoint()).connect_with("p", requests);
    assert_eq!(failure(&place.read("a.json", WHOLE).await.unwrap_err()).tries, 1);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_service_that_refuses() {
    let denied = lasting("PermissionDenied", "HTTP 403 Forbidden; see that the credentials are right and allow this");
    check_reply(Reply::status(403), denied).await;
    let error = |status, code, message| {
        Reply::status(status).body(format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"))
    };
    for (status, code, kind, advice) in [
        (400, "ExpiredToken", "Unexpected", "get new credentials"),
        (301, "PermanentRedirect", "Unexpected", "the bucket is in another region: say so with the setting 'region'"),
        (400, "AuthorizationHeaderMalformed", "Unexpected", "say so with the setting 'region'"),
        (403, "RequestTimeTooSkewed", "PermissionDenied", "set the clock of this machine right"),
        (403, "InvalidAccessKeyId", "PermissionDenied", "the service does not know the key id"),
        (403, "SignatureDoesNotMatch", "PermissionDenied", "the secret key does not belong to the key id"),
        (404, "NoSuchBucket", "ConfigInvalid", "make the bucket first: none is ever made here"),
    ] {
        let server = Canned::start(move |_| error(status, code, "It says why.")).await;
        let place = Server::of(Service::S3, &server.endpoint()).connect_with("p", SHORT);
        let error = place.read("a.json", WHOLE).await.unwrap_err();
        let found = failure(&error);
        assert_eq!((found.request, found.kind, found.tries), ("GetObject", kind, 1), "{found}");
        assert!(found.cause.contains(&format!("{code}: It says why; ")), "{found}");
        assert!(found.cause.ends_with(advice) && !error.is_retryable(), "{found}");
        assert_eq!(server.take().len(), 1, "{code} is not repeated");
    }
}

/// Each operation names itself and its request.
#[tokio::test]
async fn each_operation_says_what_it_did() {
    let server = Canned::start(|_| Reply::status(500)).await;
    // Each is the first one on its location, so that it is repeated.
    let place = || Server::of(Service::S3, &server.endpoint()).connect_with("p", SHORT);
    let check = |error: Error, expected: &str, request: &str| {
        assert_eq!(error.to_string(), format!("cannot {expected} in {}", place().location()));
        assert_eq!((failure(&error).request, failure(&error).tries), (request, TRIES), "{error:?}");
    };
    let staged = ".colca/1.staged";
    check(place().list(Folder::Published).await.unwrap_err(), "list \".\"", "ListObjectsV2");
    let write = place().write(staged, Content::from("1"), Durability::Full).await.unwrap_err();
    check(write, "write \".colca/1.staged\"", "PutObject");
    let create = place().create(".colca/1.json", "1".into(), Durability::Full).await.unwrap_err();
    check(create, "create \".colca/1.json\"", "PutObject");
    check(place().delete(staged).await.unwrap_err(), "delete \".colca/1.staged\"", "DeleteObject");
}

/// The secret of another account, at the servers that look at it.
#[tokio::test]
async fn wrong_credentials() {
    for (name, server) in Server::all() {
        let Some((id, _)) = server.account.clone() else { continue };
        let place = Server { account: Some((id, "c2VjcmV0".to_owned())), ..server }.connect(&unused_prefix());
        let error = place.read("a.json", WHOLE).await.unwrap_err();
        let found = failure(&error);
        assert_eq!((found.kind, found.tries, found.is_retryable), ("PermissionDenied", 1, false), "{name}: {found}");
        assert!(found.cause.contains("HTTP 403 Forbidden"), "{name}: {found}");
        let error = place.list(Folder::Published).await.unwrap_err();
        assert!(matches!(error, Error::Forbidden { .. }), "{name}: {error:?}");
        assert_eq!(failure(&error).kind, "PermissionDenied", "{name}");
    }
}

/// A bucket that is not there is no empty location, and stays away.
#[tokio::test]
async fn no_bucket_is_ever_made() {
    for (name, server) in Server::all() {
        let place = server.bucket("no-such-bucket").connect(&unused_prefix());
        for _ in 0..2 {
            let listed = place.list(Folder::Published).await.unwrap_err();
            let written = place.write(".colca/1.staged", Content::from("1"), Durability::Full).await.unwrap_err();
            let persisted = StorageContext::in_memory().persist(place.clone()).await.unwrap_err();
            let opened = StorageContext::open(place.clone()).await.unwrap_err();
            for error in [listed, written] {
                assert!(error.to_string().contains("no-such-bucket"), "{name}: {error}");
                let found = failure(&error);
                assert!(found.cause.contains("none is ever made") && !found.is_retryable, "{name}: {found}");
            }
            for error in [persisted, opened] {
                let colca::storage_context::Error::Persist(error) = &error else { panic!("{name}: {error:?}") };
                assert!(failure(error).cause.contains("none is ever made"), "{name}: {error:?}");
            }
        }
    }
}

/// A context with more files than one of LlamaIndex's.
fn context() -> StorageContext {
    let ctx = StorageContext::in_memory();
    for n in 0..8 {
        ctx.add_vector_store(format!("n{n}"), Arc::new(SimpleVectorStore::new())).unwrap();
    }
    ctx
}

/// Wherever a service falls silent, a persist ends when one operation has waited for it: what cleans up does not wait
/// again for each file. Later it can be repeated.
#[tokio::test]
async fn a_persist_ends_soon_when_a_service_falls_silent() {
    let persist = async |number: usize, fate: Fate| {
        let (remote, ctx) = (Remote::new(), context());
        let (is_over, began) = (Arc::new(AtomicBool::new(false)), Arc::new(OnceLock::new()));
        let (over, begin) = (Arc::clone(&is_over), Arc::clone(&began));
        let proxy = Proxy::start(remote.port(), move |request| {
            if request.number < number || over.load(Ordering::SeqCst) {
                return Fate::Pass;
            }
            begin.get_or_init(Instant::now);
            fate.clone()
        })
        .await;
        let requests = RequestOptions { timeout: Duration::from_secs(1), ..SHORT };
        let error = ctx.persist(remote.through(proxy.port()).place_with(requests)).await.unwrap_err();
        assert!(error.is_retryable(), "from request {number} on: {error:?}");
        // The operation, one that is given two seconds, one that is given one, and so on.
        let limit = requests.deadline + requests.timeout + Duration::from_secs(5);
        let took = began.get().unwrap().elapsed();
        assert!(took < limit, "from request {number} on: {took:?}");
        is_over.store(true, Ordering::SeqCst);
        ctx.persist(remote.through(proxy.port()).place()).await.unwrap();
        let found = StorageContext::open(remote.place()).await.unwrap();
        assert_eq!(found.namespaces().len(), ctx.namespaces().len());
    };
    let numbers = [0, 1, 4, 9, 12, 16, 20, 25, 30, 36];
    join_all(numbers.map(|number| persist(number, Fate::HangBefore))).await;
    join_all(numbers.map(|number| persist(number, Fate::Replace("", "500 Internal Server Error")))).await;
}
