//! The process of a server, which never outlives the one that started it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a server may take until it answers. They take a second or two.
const PATIENCE: Duration = Duration::from_secs(60);

/// A shell that runs the server and kills it when it is asked to, or when whoever has started it is gone, however it
/// ended; then its folder is removed, too.
const KEEPER: &str = r#"
    trap '' INT TERM HUP
    exec 3<&0
    "$@" &
    server=$!
    { read -r stop <&3; kill -0 $$ && kill -9 $server; [ "$stop" ] || rm -rf "$0"; } &
    wait $server
"#;

/// A running server process with a folder of its own, in which `log` has what it printed.
pub(super) struct Process {
    folder: PathBuf,
    child: Child,
}

impl Process {
    /// Starts a program in a folder, with the arguments and variables that `set` gives it.
    pub(super) fn spawn(program: &Path, folder: &Path, set: impl FnOnce(&mut Command)) -> Result<Self> {
        let log = File::options().create(true).append(true).open(folder.join("log"))?;
        let mut command = match cfg!(unix) {
            true => Command::new("sh"),
            false => Command::new(program),
        };
        if cfg!(unix) {
            command.args(["-c", KEEPER]).args([folder, program]).stdin(Stdio::piped());
        } else {
            command.stdin(Stdio::null());
        }
        set(&mut command);
        command.current_dir(folder).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
        Ok(Self { folder: folder.to_owned(), child })
    }

    /// Waits until the server answers.
    pub(super) fn wait_until(&mut self, answers: impl Fn() -> bool) -> Result<()> {
        let start = Instant::now();
        while !answers() {
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(5).collect();
                bail!("the server ended ({status}): {}", last.join(" | "));
            }
            if start.elapsed() > PATIENCE {
                bail!("the server does not answer, see {}", self.folder.join("log").display());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Kills it as a failure of its machine would.
    pub(super) fn kill(&mut self) {
        // It may have ended already. On SIGTERM some take their time.
        let _ = match self.child.stdin.take() {
            Some(mut keeper) => keeper.write_all(b"stop\n"),
            None => self.child.kill(),
        };
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
