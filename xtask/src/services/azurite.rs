//! A server of Azure Blob Storage: Azurite, from npm.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use support::npm::NodePackage;

use super::http::send;
use super::keeper::Process;
use super::ports::free_ports;
use super::{Folder, Server};

const PACKAGE: NodePackage = NodePackage { name: "azurite", version: "3.35.0" };

/// The part of the package that serves blobs.
const SCRIPT: &str = "dist/src/blob/main.js";

/// The account that every Azurite has, and its key; Microsoft documents both.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

const CONTAINER: &str = "test-container";

/// A shared access signature of that account, which may create containers until 2099: no request needs to be signed here.
const MAY_CREATE: &str =
    "sv=2018-11-09&ss=b&srt=c&sp=c&se=2099-01-01T00:00:00Z&sig=vwCTbNdtmCTJFAhMegL18CRZbJK8CnlTH4HLkH0VM%2Fw%3D";

/// A running server. It writes its index of blobs every few seconds only: what was acknowledged shortly before it is
/// killed is lost.
pub(super) struct Azurite {
    // Dropped before its folder.
    process: Process,
    script: PathBuf,
    folder: Folder,
    port: u16,
}

impl Azurite {
    /// Starts it on a port that is free, with an empty container. It is installed below `target` the first time.
    pub(super) fn start() -> Result<Self> {
        let script = PACKAGE.script(SCRIPT)?;
        let folder = Folder::new("azurite")?;
        fs::create_dir(folder.0.join("data"))?;
        let [port] = free_ports()?;
        let process = spawn(&script, &folder.0, port)?;
        let mut server = Self { process, script, folder, port };
        server.wait()?;
        Ok(server)
    }

    /// Waits until the container exists.
    fn wait(&mut self) -> Result<()> {
        let port = self.port;
        let create = format!("PUT /{ACCOUNT}/{CONTAINER}?restype=container&{MAY_CREATE}");
        self.process.wait_until(|| send(port, &create, "", "").is_ok_and(|answer| matches!(answer.status, 201 | 409)))
    }
}

impl Server for Azurite {
    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("COLCA_AZURITE_ENDPOINT", format!("http://127.0.0.1:{}/{ACCOUNT}", self.port)),
            ("COLCA_AZURITE_CONTAINER", CONTAINER.to_owned()),
            ("COLCA_AZURITE_ACCOUNT", format!("{ACCOUNT}:{KEY}")),
        ]
    }

    fn restart(&mut self) -> Result<()> {
        self.process.kill();
        self.process = spawn(&self.script, &self.folder.0, self.port)?;
        self.wait()
    }
}

fn spawn(script: &Path, folder: &Path, port: u16) -> Result<Process> {
    Process::spawn(Path::new("node"), folder, |command| {
        command
            .arg(script)
            .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--location", "data"])
            // Clients may be newer than it is.
            .arg("--skipApiVersionCheck")
            // Without these it reports its use and logs every request.
            .args(["--disableTelemetry", "--silent"]);
    })
}
