//! A second implementation of the S3 protocol, which checks IAM policies: moto, from PyPI, as `moto_server.py` runs it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use support::root;
use support::venv::Venv;

use super::http::send;
use super::keeper::Process;
use super::ports::free_ports;
use super::s3::BUCKET;
use super::{Folder, Server};

const VENV: Venv = Venv { name: "moto", packages: &["moto[server]==5.2.5"] };

/// The prefix in the bucket that the policies of the documentation are restricted to.
const PREFIX: &str = "least";

/// The users, each with the variable by which tests find its key, which is also its name, and with its policy.
const USERS: [(&str, &str); 4] = [
    (
        "COLCA_MOTO_ACCOUNT",
        r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#,
    ),
    ("COLCA_MOTO_READER", include_str!("../../../docs/policies/s3-reader.json")),
    ("COLCA_MOTO_READER_WITHOUT_LIST", include_str!("../../../docs/policies/s3-reader-without-list.json")),
    ("COLCA_MOTO_WRITER", include_str!("../../../docs/policies/s3-writer.json")),
];

/// How many actions need no credentials: those of [`Moto::fill`].
const UNCHECKED: usize = 1 + 3 * USERS.len();

/// A running server. It keeps everything in memory: a restart leaves an empty bucket, and the users with the same keys.
pub(super) struct Moto {
    // Dropped before its folder.
    process: Process,
    python: PathBuf,
    folder: Folder,
    port: u16,
    /// The keys of [`USERS`], each an id and a secret.
    keys: Vec<String>,
}

impl Moto {
    /// Starts it on a port that is free, with an empty bucket. It is installed below `target` the first time.
    pub(super) fn start() -> Result<Self> {
        let python = VENV.python()?;
        let folder = Folder::new("moto")?;
        let [port] = free_ports()?;
        let process = spawn(&python, &folder.0, port)?;
        let mut server = Self { process, python, folder, port, keys: Vec::new() };
        server.keys = server.fill()?;
        Ok(server)
    }

    /// Waits until it answers, makes the bucket and the users, and returns their keys.
    fn fill(&mut self) -> Result<Vec<String>> {
        let port = self.port;
        // The keys are random numbers: with a seed they are the same after a restart.
        let seed = || send(port, "POST /moto-api/seed?a=0", "", "");
        self.process.wait_until(|| seed().is_ok_and(|answer| answer.status == 200))?;
        accepted(port, &format!("PUT /{BUCKET}"), "", "")?;
        USERS.iter().map(|(name, policy)| user(port, name, policy)).collect()
    }
}

impl Server for Moto {
    fn environment(&self) -> Vec<(&'static str, String)> {
        let mut environment = vec![
            ("COLCA_MOTO_ENDPOINT", format!("http://127.0.0.1:{}", self.port)),
            ("COLCA_MOTO_BUCKET", BUCKET.to_owned()),
            ("COLCA_MOTO_PREFIX", PREFIX.to_owned()),
        ];
        environment.extend(USERS.iter().zip(&self.keys).map(|((name, _), key)| (*name, key.clone())));
        environment
    }

    fn restart(&mut self) -> Result<()> {
        self.process.kill();
        self.process = spawn(&self.python, &self.folder.0, self.port)?;
        ensure!(self.fill()? == self.keys, "its users have other keys than before");
        Ok(())
    }
}

/// Makes a user with a policy and returns its key.
fn user(port: u16, name: &str, policy: &str) -> Result<String> {
    let policy = policy.replace("BUCKET", BUCKET).replace("PREFIX", PREFIX);
    let policy: String = policy.bytes().map(|byte| format!("%{byte:02X}")).collect();
    iam(port, "CreateUser", name, "")?;
    iam(port, "PutUserPolicy", name, &format!("&PolicyName=policy&PolicyDocument={policy}"))?;
    let answer = iam(port, "CreateAccessKey", name, "")?;
    let (id, secret) = (element(&answer, "AccessKeyId"), element(&answer, "SecretAccessKey"));
    let (id, secret) = id.zip(secret).with_context(|| format!("there is no key in {answer}"))?;
    Ok(format!("{id}:{secret}"))
}

/// Asks IAM for an action on a user and returns the body of the answer.
fn iam(port: u16, action: &str, user: &str, parameters: &str) -> Result<String> {
    // The service is known by the scope of the credentials, which are not looked at yet.
    let head = "Authorization: AWS4-HMAC-SHA256 Credential=none/20260101/us-east-1/iam/aws4_request\r\n\
        Content-Type: application/x-www-form-urlencoded\r\n";
    accepted(port, "POST /", head, &format!("Version=2010-05-08&Action={action}&UserName={user}{parameters}"))
}

/// Sends a request that must succeed and returns the body of the answer.
fn accepted(port: u16, request: &str, head: &str, body: &str) -> Result<String> {
    let answer = send(port, request, head, body).with_context(|| format!("`{request}` has no answer"))?;
    ensure!(answer.status == 200, "`{request}` is answered with {}: {}", answer.status, answer.body);
    Ok(answer.body)
}

/// The text in the first element of XML with this name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once('<')?.0)
}

fn spawn(python: &Path, folder: &Path, port: u16) -> Result<Process> {
    Process::spawn(python, folder, |command| {
        command
            .arg(root().join("xtask/src/services/moto_server.py"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .env("INITIAL_NO_AUTH_ACTION_COUNT", UNCHECKED.to_string());
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_is_found_by_its_name() {
        let check = |name, expected| assert_eq!(element("<a><b>one</b><c/><b>two</b></a>", name), expected, "{name}");
        check("b", Some("one"));
        check("c", None);
        check("d", None);
    }
}
