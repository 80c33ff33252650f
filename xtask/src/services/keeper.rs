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
                bail!("the server ended ({status}): {}", self.last_lines());
            }
            if start.elapsed() > PATIENCE {
                bail!("the server does not answer: {}", self.last_lines());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// What it printed last.
    fn last_lines(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(5)..].join(" | ")
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

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::services::Folder;

    fn run(script: &str, folder: &Folder) -> Process {
        let set = |command: &mut Command| {
            command.args(["-c", script]);
        };
        Process::spawn(Path::new("sh"), &folder.0, set).unwrap()
    }

    fn sleeper(folder: &Folder) -> Process {
        run("echo one; echo two; echo $$ > pid; exec sleep 600", folder)
    }

    fn wait_for(what: impl Fn() -> bool) {
        let start = Instant::now();
        while !what() {
            assert!(start.elapsed() < PATIENCE, "it does not happen");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn pid(folder: &Path) -> Option<String> {
        let pid = fs::read_to_string(folder.join("pid")).ok()?;
        Some(pid.trim().to_owned()).filter(|pid| !pid.is_empty())
    }

    fn lives(pid: &str) -> bool {
        Command::new("kill").args(["-0", pid]).stderr(Stdio::null()).status().unwrap().success()
    }

    #[test]
    fn a_server_ends_with_its_handle_and_keeps_its_folder() {
        let folder = Folder::new("keeper-test").unwrap();
        let process = sleeper(&folder);
        wait_for(|| pid(&folder.0).is_some());
        let pid = pid(&folder.0).unwrap();
        assert!(lives(&pid));
        assert_eq!(process.last_lines(), "one | two");
        drop(process);
        wait_for(|| !lives(&pid));
        assert!(folder.0.exists());
    }

    #[test]
    fn a_server_and_its_folder_go_with_the_process_that_started_it() {
        let folder = Folder::new("orphan-test").unwrap();
        let mut process = sleeper(&folder);
        wait_for(|| pid(&folder.0).is_some());
        let pid = pid(&folder.0).unwrap();
        // What the system does when that process ends, however it ends.
        drop(process.child.stdin.take());
        wait_for(|| !lives(&pid) && !folder.0.exists());
    }

    #[test]
    fn a_server_that_ends_at_once_is_an_error_with_what_it_said() {
        let folder = Folder::new("ending-test").unwrap();
        let mut process = run("echo no such option; exit 7", &folder);
        let error = process.wait_until(|| false).unwrap_err().to_string();
        assert!(error.ends_with(": no such option"), "{error}");
    }
}
