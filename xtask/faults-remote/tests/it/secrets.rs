//! No secret is in what is shown or logged, whatever goes wrong.

use std::fmt::Debug;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use colca::prelude::*;
use faults_remote::proxy::Request;
use faults_remote::s3::unused_prefix;
use futures_util::future::join_all;
use log::{LevelFilter, Log, Metadata, Record};
use persist::{Content, Durability, Expected, Folder};

use crate::canned::{Canned, Reply};
use crate::children::{self, is_child};
use crate::servers::Server;

/// What all secrets have in them.
const WORD: &str = "sesame";

const SHORT: RequestOptions = RequestOptions {
    connect_timeout: Duration::from_millis(200),
    timeout: Duration::from_millis(100),
    retries: 1,
    retry_delay: Duration::from_millis(1),
    deadline: Duration::from_millis(300),
};

/// All that is logged in this process, at the lowest level.
static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Capture;

impl Log for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = format!("{} {}", record.target(), record.args());
        LOGGED.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn flush(&self) {}
}

fn capture() {
    // Another test of this process may have done it.
    let _ = log::set_logger(&Capture);
    log::set_max_level(LevelFilter::Trace);
}

/// Demands that these words are in nothing that was logged, and that OpenDAL and the signers have logged something.
fn check_log(words: &[&str]) {
    let logged = LOGGED.lock().unwrap();
    for target in ["opendal", "reqsign", "reqwest"] {
        assert!(logged.iter().any(|line| line.starts_with(target)), "{target} has logged nothing: {logged:?}");
    }
    for line in logged.iter() {
        assert!(!words.iter().any(|word| line.contains(word)), "{line}");
    }
}

/// An error in all forms, with its causes.
fn forms(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    text
}

/// Does everything that can be done at a location, and collects what all of it says.
async fn say_everything(place: &ObjectFs) -> String {
    let staged = ".colca/1.staged";
    let errors = [
        place.read("a.json", 1 << 20).await.err(),
        place.list(Folder::Published).await.err(),
        place.write(staged, Content::from("1"), Durability::Full).await.err(),
        place.write(staged, Content::Bytes(vec![0; 9 << 20].into()), Durability::Full).await.err(),
        place.create(".colca/1.json", "1".into(), Durability::Full).await.err(),
        place.publish(staged, "a.json", &Expected::Anything).await.err(),
        place.delete(staged).await.err(),
    ];
    let ctx = StorageContext::in_memory();
    let persisted =
        ctx.persist(place.clone()).await.map_or_else(|e| forms(&e), |report| format!("{report} {report:?}"));
    let opened = StorageContext::open(place.clone()).await;
    let opened = opened.map_or_else(|e| forms(&e), |ctx| format!("{ctx:?} {:?}", ctx.open_report()));
    let errors: Vec<String> = errors.iter().flatten().map(|error| forms(error)).collect();
    format!("{place:?} {} {} {errors:?} {persisted} {opened}", place.location(), place.identity())
}

/// The services at this address, with secrets of all kinds, each with its config as it is shown.
fn locations(address: &str) -> Vec<(ObjectFs, String)> {
    fn shown(config: &impl Debug) -> String {
        format!("{config:?} {config:#?}")
    }
    let s3 = S3Config::new("bucket").endpoint(address).requests(SHORT).environment(false);
    let s3 = s3.session_keys("sesame-id", "sesame-secret", "sesame-token");
    let r2 = R2Config::new("account", "bucket").endpoint(address).requests(SHORT).environment(false);
    let r2 = r2.keys("sesame-id", "sesame-secret");
    let azure = AzblobConfig::new("account", "container").endpoint(address).requests(SHORT).environment(false);
    let key = azure.clone().account_key("sesamesesame");
    let token = azure.sas_token("?sv=2022-11-02&sp=rwdl&sig=sesame%3D");
    vec![
        (s3.connect().unwrap(), shown(&s3)),
        (r2.connect().unwrap(), shown(&r2)),
        (key.connect().unwrap(), shown(&key)),
        (token.connect().unwrap(), shown(&token)),
    ]
}

async fn check(address: &str) {
    let locations = locations(address);
    let said = join_all(locations.iter().map(|(place, _)| say_everything(place))).await;
    for ((_, config), said) in locations.iter().zip(said) {
        assert!(!said.contains(WORD) && !config.contains(WORD), "{config} {said}");
    }
}

#[tokio::test]
async fn failures_show_no_secrets() {
    capture();
    let replies: [fn(&Request) -> Reply; 7] = [
        |_| Reply::status(500),
        |_| Reply::status(403),
        |_| Reply::status(400).body("<Error><Code>ExpiredToken</Code><Message>It says why.</Message></Error>"),
        |_| Reply::status(200).body("not what was asked for"),
        |_| Reply::silence(),
        |_| Reply::status(307).header("Location", "http://127.0.0.1:1/elsewhere?sig=sesame"),
        // Proxies like to quote what they were asked for.
        |request| Reply::status(502).body(format!("cannot get http://host{}", request.path)),
    ];
    for reply in replies {
        check(&Canned::start(reply).await.endpoint()).await;
    }
    check("http://127.0.0.1:1").await;
    check("http://no-such-host.invalid").await;
    check_log(&[WORD]);
}

/// The servers' own secrets, where all goes well and where a secret is not right.
#[tokio::test]
async fn successes_show_no_secrets() {
    capture();
    let mut secrets = Vec::new();
    for (name, server) in Server::all() {
        let mut said = say_everything(&server.connect(&unused_prefix())).await;
        if let Some((id, secret)) = server.account.clone() {
            let wrong = Server { account: Some((id, "sesamesesame".to_owned())), ..server };
            said += &say_everything(&wrong.connect(&unused_prefix())).await;
            secrets.push(secret);
        }
        for secret in secrets.iter().map(String::as_str).chain([WORD]) {
            assert!(!said.contains(secret), "{name}: {said}");
        }
    }
    secrets.push(WORD.to_owned());
    check_log(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Secrets from variables and files, and tokens that are exchanged for them.
#[tokio::test]
async fn secrets_of_the_environment_are_not_shown() {
    if is_child() {
        capture();
        let configs = format!(
            "{:?} {:?} {:?} {:?}",
            S3Config::from_env(),
            R2Config::from_env(),
            GcsConfig::from_env(),
            AzblobConfig::from_env().unwrap()
        );
        assert!(!configs.contains(WORD), "{configs}");
        let settings = "retries=0&timeout_s=2&deadline_s=4";
        for uri in ["s3://bucket/p", "s3://bucket/p?profile=other", "r2://0123/bucket/p", "gs://bucket/p", "az://c/p"] {
            let uri = format!("{uri}{}{settings}", if uri.contains('?') { '&' } else { '?' });
            let place = match uri.split_once("://").unwrap().0 {
                "s3" => S3Config::from_uri(&uri).unwrap().connect(),
                "r2" => R2Config::from_uri(&uri).unwrap().connect(),
                "gs" => GcsConfig::from_uri(&uri).unwrap().connect(),
                _ => AzblobConfig::from_uri(&uri).unwrap().connect(),
            };
            let said = say_everything(&place.unwrap()).await;
            assert!(!said.contains(WORD), "{uri}: {said}");
        }
        return check_log(&[WORD]);
    }
    let answer = |request: &Request| match request.path.as_str() {
        "/token" => {
            Reply::status(200).body(r#"{"access_token": "sesame", "token_type": "Bearer", "expires_in": 3600}"#)
        }
        _ => Reply::status(503),
    };
    let hosts = [
        "bucket.s3.us-east-1.amazonaws.com",
        "0123.r2.cloudflarestorage.com",
        "oauth2.googleapis.com",
        "storage.googleapis.com",
        "name.blob.core.windows.net",
    ];
    let (server, certificate) = Canned::start_tls(&hosts, answer).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    let certificate = file("certificate", &certificate);
    let keys = "[other]\naws_access_key_id = id\naws_secret_access_key = sesame\naws_session_token = sesame\n";
    let (keys, endpoint) = (file("keys", keys), server.endpoint());
    let user =
        r#"{"type": "authorized_user", "client_id": "id", "client_secret": "sesame", "refresh_token": "sesame"}"#;
    let user = file("user.json", user);
    let variables = [
        ("AWS_ACCESS_KEY_ID", "sesame-id"),
        ("AWS_SECRET_ACCESS_KEY", "sesame-secret"),
        ("AWS_SESSION_TOKEN", "sesame-token"),
        ("AWS_SHARED_CREDENTIALS_FILE", &keys),
        ("R2_ACCESS_KEY_ID", "sesame-id"),
        ("R2_SECRET_ACCESS_KEY", "sesame-secret"),
        ("GOOGLE_APPLICATION_CREDENTIALS", &user),
        ("AZURE_STORAGE_CONNECTION_STRING", "AccountName=name;AccountKey=sesamesesame;EndpointSuffix=core.windows.net"),
        ("HTTPS_PROXY", &endpoint),
        ("SSL_CERT_FILE", &certificate),
        ("HOME", folder.path().to_str().unwrap()),
    ];
    children::run(module_path!(), "secrets_of_the_environment_are_not_shown", &variables).await;
    let hosts_asked: Vec<_> =
        server.take().iter().filter_map(|request| request.header("host").map(str::to_owned)).collect();
    for host in hosts {
        assert!(hosts_asked.iter().any(|asked| asked == host), "{host} was not asked: {hosts_asked:?}");
    }
}
