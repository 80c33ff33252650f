//! Where credentials come from, and what services are asked with them at their own addresses. Each test reads in a process
//! that has the variables of the test.

use std::path::Path;
use std::time::Instant;
use std::{env, fs};

use faults_remote::proxy::Request;
use fs_backends::IntoPlace;
use futures_util::future::join_all;
use persist::Error;
use tempfile::TempDir;

use crate::canned::{Canned, Reply};
use crate::children::{self, is_child};

/// The variable with the locations that the child reads, separated by spaces.
const URIS: &str = "COLCA_TEST_URIS";

/// What a child does: reads a file at each location, and prints how that ended and how long all took.
async fn read() {
    let start = Instant::now();
    for uri in env::var(URIS).unwrap().split(' ') {
        match uri.into_place().unwrap().read("a.json", 1 << 20).await {
            Ok(found) => println!("found {found:?}"),
            Err(Error::Failed { source, .. }) => println!("error: {source}"),
            Err(e) => panic!("{e}"),
        }
    }
    println!("{} ms", start.elapsed().as_millis());
}

/// Reads in a child with these variables, whose user has this folder. Returns what it printed, and how many milliseconds
/// reading took.
async fn read_in_child(test: &str, uris: &str, home: &Path, variables: &[(&str, &str)]) -> (String, u64) {
    let variables = [variables, &[(URIS, uris), ("HOME", home.to_str().unwrap())]].concat();
    let printed = children::run(module_path!(), test, &variables).await;
    let took = printed.lines().find_map(|line| line.strip_suffix(" ms")?.parse().ok());
    let outcome: Vec<_> =
        printed.lines().filter(|line| line.starts_with("found ") || line.starts_with("error: ")).collect();
    (outcome.join("\n"), took.unwrap())
}

fn write(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A request on one line: where it went to, and whose key or token it was made with.
fn line(request: &Request) -> String {
    let host = request.header("host").unwrap_or_default();
    let path = request.path.split('?').next().unwrap_or_default();
    let signature = request.header("authorization").unwrap_or_default();
    let signature = signature.strip_prefix("AWS4-HMAC-SHA256 Credential=").unwrap_or(signature);
    let whose = signature.split(['/', ':', ',']).next().unwrap_or_default();
    format!("{} {host}{path} {whose}", request.method).trim_end().to_owned()
}

fn lines(server: &Canned) -> Vec<String> {
    server.take().iter().map(line).collect()
}

fn text(_: &Request) -> Reply {
    Reply::status(200).header("etag", "\"1\"").body("text")
}

/// The address of the service follows from the location, and so does whether the bucket is a part of it. Certificates are
/// checked.
#[tokio::test]
async fn each_service_is_asked_at_its_own_address() {
    if is_child() {
        return read().await;
    }
    let hosts = [
        "bucket.s3.eu-central-1.amazonaws.com",
        "s3.eu-central-1.amazonaws.com",
        "s3.cn-north-1.amazonaws.com.cn",
        "0123.r2.cloudflarestorage.com",
        "0123.eu.r2.cloudflarestorage.com",
        "oauth2.googleapis.com",
        "storage.googleapis.com",
        "name.blob.core.windows.net",
    ];
    let answer = |request: &Request| match request.path.as_str() {
        "/token" => Reply::status(200).body(r#"{"access_token": "abc", "token_type": "Bearer", "expires_in": 3600}"#),
        _ => text(request),
    };
    let (server, certificate) = Canned::start_tls(&hosts, answer).await;
    let folder = tempfile::tempdir().unwrap();
    let certificate = write(&folder, "certificate", &certificate);
    let user = r#"{"type": "authorized_user", "client_id": "id", "client_secret": "secret", "refresh_token": "token"}"#;
    let user = write(&folder, "user.json", user);
    let endpoint = server.endpoint();
    let variables = [
        ("AWS_ACCESS_KEY_ID", "amazon"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-central-1"),
        ("R2_ACCESS_KEY_ID", "cloudflare"),
        ("R2_SECRET_ACCESS_KEY", "secret"),
        ("GOOGLE_APPLICATION_CREDENTIALS", &user),
        ("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0"),
        ("HTTPS_PROXY", &endpoint),
        ("SSL_CERT_FILE", &certificate),
    ];
    let uris = "s3://bucket/p s3://with.dots/p s3://with.dots/p?region=cn-north-1 r2://0123/bucket/p \
                r2://0123/bucket/p?jurisdiction=eu gs://bucket/p az://container/p?account=name";
    let test = "each_service_is_asked_at_its_own_address";
    let (outcome, _) = read_in_child(test, uris, folder.path(), &variables).await;
    assert_eq!(outcome, ["found Some(b\"text\")"; 7].join("\n"));
    let expected = [
        "GET bucket.s3.eu-central-1.amazonaws.com/p/a.json amazon",
        "GET s3.eu-central-1.amazonaws.com/with.dots/p/a.json amazon",
        "GET s3.cn-north-1.amazonaws.com.cn/with.dots/p/a.json amazon",
        "GET 0123.r2.cloudflarestorage.com/bucket/p/a.json cloudflare",
        "GET 0123.eu.r2.cloudflarestorage.com/bucket/p/a.json cloudflare",
        "POST oauth2.googleapis.com/token",
        "GET storage.googleapis.com/storage/v1/b/bucket/o/p%2Fa.json Bearer abc",
        "GET name.blob.core.windows.net/container/p/a.json SharedKey name",
    ];
    assert_eq!(lines(&server), expected);
    // Without the certificate nothing is sent.
    let (outcome, _) = read_in_child(test, "s3://bucket/p?retries=0", folder.path(), &variables[..8]).await;
    assert!(outcome.contains("invalid peer certificate") && !outcome.contains("tried again"), "{outcome}");
    assert_eq!(lines(&server), [""; 0]);
}

/// Keys for the token in a file, from Amazon's token service of the region.
#[tokio::test]
async fn a_web_identity_is_exchanged_for_keys() {
    if is_child() {
        return read().await;
    }
    let keys = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
                <AccessKeyId>temporary</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
                <SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
                </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
    let answer = move |request: &Request| match request.method.as_str() {
        "POST" => Reply::status(200).body(keys),
        _ => text(request),
    };
    let hosts = ["sts.eu-west-1.amazonaws.com", "bucket.s3.eu-west-1.amazonaws.com"];
    let (server, certificate) = Canned::start_tls(&hosts, answer).await;
    let folder = tempfile::tempdir().unwrap();
    let (certificate, token) = (write(&folder, "certificate", &certificate), write(&folder, "token", "a-token"));
    let endpoint = server.endpoint();
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_STS_REGIONAL_ENDPOINTS", "regional"),
        ("HTTPS_PROXY", &endpoint),
        ("SSL_CERT_FILE", &certificate),
    ];
    let test = "a_web_identity_is_exchanged_for_keys";
    let (outcome, _) = read_in_child(test, "s3://bucket/p", folder.path(), &variables).await;
    assert_eq!(outcome, "found Some(b\"text\")");
    let seen = server.take();
    let [exchange, get] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!(line(exchange), "POST sts.eu-west-1.amazonaws.com/");
    let form = String::from_utf8_lossy(&exchange.body);
    for field in ["Action=AssumeRoleWithWebIdentity&", "role%2Freader&", "WebIdentityToken=a-token&"] {
        assert!(form.contains(field), "{form}");
    }
    assert_eq!(line(get), "GET bucket.s3.eu-west-1.amazonaws.com/p/a.json temporary");
    assert_eq!(get.header("x-amz-security-token"), Some("session"));
}

/// Tokens for what Azure and Google know a program by, from their token services.
#[tokio::test]
async fn identities_are_exchanged_for_tokens() {
    if is_child() {
        return read().await;
    }
    let token = r#"{"access_token": "abc", "token_type": "Bearer", "expires_in": 3600,
                    "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}"#;
    let answer = move |request: &Request| match request.method.as_str() {
        "POST" => Reply::status(200).body(token),
        _ => text(request),
    };
    let hosts =
        ["login.microsoftonline.com", "name.blob.core.windows.net", "sts.googleapis.com", "storage.googleapis.com"];
    let (server, certificate) = Canned::start_tls(&hosts, answer).await;
    let folder = tempfile::tempdir().unwrap();
    let (certificate, subject) = (write(&folder, "certificate", &certificate), write(&folder, "subject", "a-token"));
    let federation = format!(
        r#"{{"type": "external_account", "audience": "//iam.googleapis.com/pool",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token",
            "credential_source": {{"file": "{subject}", "format": {{"type": "text"}}}}}}"#
    );
    let federation = write(&folder, "federation.json", &federation);
    let azure = [("AZURE_STORAGE_ACCOUNT_NAME", "name"), ("AZURE_TENANT_ID", "tenant"), ("AZURE_CLIENT_ID", "id")];
    let endpoint = server.endpoint();
    let login = "POST login.microsoftonline.com/tenant/oauth2/v2.0/token";
    let blob = "GET name.blob.core.windows.net/container/p/a.json Bearer abc";
    let object = "GET storage.googleapis.com/storage/v1/b/bucket/o/p%2Fa.json Bearer abc";
    for (uri, variables, expected) in [
        ("az://container/p", [&azure[..], &[("AZURE_CLIENT_SECRET", "secret")]].concat(), [login, blob]),
        ("az://container/p", [&azure[..], &[("AZURE_FEDERATED_TOKEN_FILE", &subject)]].concat(), [login, blob]),
        (
            "gs://bucket/p",
            vec![("GOOGLE_APPLICATION_CREDENTIALS", federation.as_str())],
            ["POST sts.googleapis.com/v1/token", object],
        ),
    ] {
        let tls = [("HTTPS_PROXY", endpoint.as_str()), ("SSL_CERT_FILE", &certificate)];
        let variables = [&variables[..], &tls].concat();
        let test = "identities_are_exchanged_for_tokens";
        let (outcome, _) = read_in_child(test, uri, folder.path(), &variables).await;
        assert_eq!(outcome, "found Some(b\"text\")", "{variables:?}");
        assert_eq!(lines(&server), expected);
    }
}

/// A setting of the location comes before variables, keys in variables before a profile that a variable names, and all
/// before the instance's metadata service, which is never asked here.
#[tokio::test]
async fn the_keys_of_a_profile_are_found() {
    if is_child() {
        return read().await;
    }
    let (server, metadata) = (Canned::start(text).await, Canned::start(|_| Reply::silence()).await);
    let folder = tempfile::tempdir().unwrap();
    let profile = |name: &str| format!("[{name}]\naws_access_key_id = {name}\naws_secret_access_key = secret\n");
    write(&folder, ".aws/credentials", &(profile("default") + &profile("other")));
    let elsewhere = write(&folder, "elsewhere", &profile("default").replace("= default", "= elsewhere"));
    let keys = [("AWS_ACCESS_KEY_ID", "variables"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    for (variables, setting, expected) in [
        (vec![], "", "default"),
        (vec![("AWS_PROFILE", "other")], "", "other"),
        (vec![("AWS_SHARED_CREDENTIALS_FILE", elsewhere.as_str())], "", "elsewhere"),
        (vec![keys[0], keys[1], ("AWS_PROFILE", "other")], "", "variables"),
        (vec![keys[0], keys[1]], "&profile=other", "other"),
    ] {
        let address = metadata.endpoint();
        let variables = [&variables[..], &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &address)]].concat();
        let uri = format!("s3://bucket/p?endpoint={}{setting}", server.endpoint());
        let (outcome, _) = read_in_child("the_keys_of_a_profile_are_found", &uri, folder.path(), &variables).await;
        assert_eq!(outcome, "found Some(b\"text\")", "{variables:?}");
        let host = server.endpoint().trim_start_matches("http://").to_owned();
        assert_eq!(lines(&server), [format!("GET {host}/bucket/p/a.json {expected}")]);
    }
    assert_eq!(lines(&metadata), [""; 0]);
}

/// A service whose credentials are found nowhere: what its metadata service is asked for, and which variable helps.
struct Absent {
    uri: &'static str,
    metadata: &'static str,
    path: &'static str,
    asked: &'static str,
    advice: &'static str,
}

const ABSENT: [Absent; 3] = [
    Absent {
        uri: "s3://bucket/p",
        metadata: "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        path: "",
        asked: "PUT /latest/api/token",
        advice: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    },
    Absent {
        uri: "gs://bucket/p",
        metadata: "GCE_METADATA_HOST",
        path: "",
        asked: "GET /computeMetadata/v1/instance/service-accounts/default/token",
        advice: "set GOOGLE_APPLICATION_CREDENTIALS",
    },
    Absent {
        uri: "az://container/p",
        metadata: "AZURE_IMDS_ENDPOINT",
        path: "/metadata/identity/oauth2/token",
        asked: "GET /metadata/identity/oauth2/token",
        advice: "set AZURE_STORAGE_ACCOUNT_KEY",
    },
];

/// Where there are no credentials the instance's metadata service has a second to answer, once for all locations in a
/// row. The storage service is not asked without them.
#[tokio::test]
async fn a_metadata_service_that_stalls_costs_a_second() {
    if is_child() {
        return read().await;
    }
    let (test, folder) = ("a_metadata_service_that_stalls_costs_a_second", tempfile::tempdir().unwrap());
    let server = Canned::start(text).await;
    let check = async |Absent { uri, metadata, path, asked, advice }, stalls: Reply| {
        let instance = Canned::start(move |_| stalls.clone()).await;
        let address = format!("{}{path}", instance.endpoint());
        let address = if metadata.starts_with("GCE") { address.trim_start_matches("http://") } else { &address };
        let uri = format!("{uri}?endpoint={}", server.endpoint());
        let (outcome, took) = read_in_child(test, &uri, folder.path(), &[(metadata, address)]).await;
        assert!(outcome.contains(advice) && !outcome.contains("tried again"), "{outcome}");
        assert!((900..2_000).contains(&took), "{uri}: {took} ms");
        let host = instance.endpoint().trim_start_matches("http://").to_owned();
        assert_eq!(lines(&instance), [asked.replacen(' ', &format!(" {host}"), 1)]);
        let uri = format!("{uri}&metadata_service=false");
        let (outcome, took) = read_in_child(test, &uri, folder.path(), &[(metadata, address)]).await;
        assert!(outcome.contains(advice), "{outcome}");
        assert!(took < 500, "{uri}: {took} ms");
        assert_eq!(lines(&instance), [""; 0], "it is switched off");
    };
    let silent = ABSENT.map(|absent| check(absent, Reply::silence()));
    let stalled = ABSENT.map(|absent| check(absent, Reply::status(200).body("it stops in the middle").stalled()));
    join_all(silent.into_iter().chain(stalled)).await;
    assert_eq!(lines(&server), [""; 0]);
}

/// The metadata service of an instance is asked when the container's has no keys, and its keys are used.
#[tokio::test]
async fn the_metadata_service_is_asked_last() {
    if is_child() {
        return read().await;
    }
    let keys = r#"{"Code": "Success", "AccessKeyId": "instance", "SecretAccessKey": "secret", "Token": "session",
                   "Expiration": "2099-01-01T00:00:00Z"}"#;
    let answer = move |request: &Request| match request.path.as_str() {
        "/container" => Reply::status(500),
        "/latest/api/token" => Reply::status(200).body("token"),
        "/latest/meta-data/iam/security-credentials/" => Reply::status(200).body("role"),
        path if path.ends_with("/role") => Reply::status(200).body(keys),
        _ => text(request),
    };
    // All at one address: only ports tell the metadata service from the storage service.
    let (server, instance) = (Canned::start(text).await, Canned::start(answer).await);
    let (container, folder) = (format!("{}/container", instance.endpoint()), tempfile::tempdir().unwrap());
    let endpoint = instance.endpoint();
    let variables =
        [("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.as_str()), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint)];
    let uri = format!("s3://bucket/p?endpoint={}", server.endpoint());
    let (outcome, _) = read_in_child("the_metadata_service_is_asked_last", &uri, folder.path(), &variables).await;
    assert_eq!(outcome, "found Some(b\"text\")");
    let paths: Vec<String> = instance.take().into_iter().map(|request| request.path).collect();
    let listed = "/latest/meta-data/iam/security-credentials/";
    assert_eq!(paths, ["/container", "/latest/api/token", listed, &format!("{listed}role")]);
    assert_eq!(server.take()[0].header("x-amz-security-token"), Some("session"));
}
