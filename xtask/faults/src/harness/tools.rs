//! The processes that things happen to.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The programs, and which rules they break on purpose.
#[derive(Debug, Clone)]
pub(super) struct Tools {
    pub(super) child: PathBuf,
    /// The folder of the library that is preloaded.
    pub(super) library: PathBuf,
    /// Files are written one after the other where they lie, as LlamaIndex does.
    pub(super) plain: bool,
    /// What should make durable does nothing.
    pub(super) no_sync: bool,
}

/// The library that is preloaded.
const LIBRARY: &str = "libfaults_preload.so";

/// What happens to a process.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    None,
    /// What the package `faults` calls so happens at the nth call.
    At(&'static str, usize),
    /// No file may be longer than so many blocks of 512 bytes.
    FileSize(usize),
}

/// A call that a process has made.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// What it does: `Look`, `Change`, `Grow`, `Write`, `Sync` or `Lock`.
    pub(super) class: String,
    pub(super) function: String,
    /// The path in the folder that is watched, or two of them with an arrow in between.
    pub(super) path: String,
}

impl Tools {
    /// Copies both, which are built with this program, to a folder, where no other build changes them meanwhile.
    pub(super) fn copy_to(folder: &Path) -> Result<Self> {
        let own = std::env::current_exe()?;
        let copy = |name: &str| {
            let (from, to) = (own.with_file_name(name), folder.join(name));
            fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
            anyhow::Ok(to)
        };
        copy(LIBRARY)?;
        Ok(Self { child: copy("faults-child")?, library: folder.to_owned(), plain: false, no_sync: false })
    }

    /// A process that brings a place to a round, with a fault that concerns the folder `under`; what it said, if it
    /// came to say something.
    pub(super) fn write(&self, place: &Path, round: usize, under: &Path, fault: Fault) -> Result<Option<String>> {
        let mut command = match fault {
            Fault::FileSize(blocks) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")).arg(&self.child);
                shell
            }
            _ => Command::new(&self.child),
        };
        command.arg("write").arg(place).arg(round.to_string());
        if self.plain {
            command.arg("plain");
        }
        self.preload(&mut command, under, fault);
        said(command)
    }

    /// What a place holds, told by a process of its own: the state, or what is wrong with it.
    pub(super) fn check(&self, place: &Path) -> Result<String> {
        self.check_under(place, place, Fault::None)?.context("the process that checks was killed")
    }

    pub(super) fn check_under(&self, place: &Path, under: &Path, fault: Fault) -> Result<Option<String>> {
        let mut command = Command::new(&self.child);
        command.arg("check").arg(place);
        self.preload(&mut command, under, fault);
        said(command)
    }

    /// The calls that a command makes below a folder.
    pub(super) fn calls(&self, words: &[&str], place: &Path, under: &Path, log: &Path) -> Result<Vec<Call>> {
        let (said, calls) = self.record(words, place, under, log, Fault::At("count", 0), None)?;
        said.context("the process that counts was killed")?;
        Ok(calls)
    }

    /// What a command said, and the calls that it made below a folder, the one that it was killed at included. Files
    /// that it makes can be kept in another folder, whatever becomes of their names.
    pub(super) fn record(
        &self,
        words: &[&str],
        place: &Path,
        under: &Path,
        log: &Path,
        fault: Fault,
        kept: Option<&Path>,
    ) -> Result<(Option<String>, Vec<Call>)> {
        let mut command = Command::new(&self.child);
        command.arg(words[0]).arg(place).args(&words[1..]);
        if self.plain && words[0] == "write" {
            command.arg("plain");
        }
        self.preload(&mut command, under, fault);
        let _ = fs::remove_file(log);
        command.env("FAULTS_LOG", log);
        if let Some(kept) = kept {
            command.env("FAULTS_KEPT", kept);
        }
        let said = said(command)?;
        let text = fs::read_to_string(log).context("the preloaded library has not counted")?;
        let text = text.replace(&format!("{}/", under.display()), "");
        let call = |line: &str| {
            let mut words = line.splitn(4, ' ').skip(1).map(str::to_owned);
            Some(Call { class: words.next()?, function: words.next()?, path: words.next()? })
        };
        let calls: Result<_> =
            text.lines().map(|line| call(line).with_context(|| format!("'{line}' is no call"))).collect();
        Ok((said, calls?))
    }

    fn preload(&self, command: &mut Command, under: &Path, fault: Fault) {
        let (kind, at) = match fault {
            Fault::At(kind, at) => (kind, at),
            Fault::None | Fault::FileSize(_) if self.no_sync => ("nosync", 0),
            Fault::None | Fault::FileSize(_) => return,
        };
        command.envs(self.preloaded()).env("FAULTS_UNDER", under);
        command.env("FAULTS_KIND", kind).env("FAULTS_AT", at.to_string());
    }

    /// What makes the loader preload the library. A list of paths cannot name one with a space in it, so it is searched.
    fn preloaded(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", Path::new(LIBRARY)), ("LD_LIBRARY_PATH", &self.library)]
    }

    /// The command that counts, for a program that watches it.
    pub(super) fn counted(&self, watcher: &mut Command, words: &[&str], place: &Path, log: &Path) {
        for (name, value) in self.preloaded().into_iter().chain([("FAULTS_UNDER", place), ("FAULTS_LOG", log)]) {
            watcher.arg("-E").arg(format!("{name}={}", value.display()));
        }
        watcher.arg(&self.child).arg(words[0]).arg(place).args(&words[1..]);
    }

    /// Loses the power of the file system that a folder is on; before, another program may have made all names durable,
    /// but not the contents of files.
    pub(super) fn power_off(&self, folder: &Path, names_are_there: bool) -> Result<()> {
        let mut command = Command::new(&self.child);
        command.arg("power-off").arg(folder);
        if names_are_there {
            command.arg("names");
        }
        let said = said(command)?;
        ensure!(said.as_deref() == Some("off"), "the power does not fail: {said:?}");
        Ok(())
    }

    /// A process to talk to.
    pub(super) fn talk(&self, words: &[&str], place: &Path, fault: Fault) -> Result<Talk> {
        let mut command = Command::new(&self.child);
        command.arg(words[0]).arg(place).args(&words[1..]);
        if self.plain && words[0] != "read" {
            command.arg("plain");
        }
        self.preload(&mut command, place, fault);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let to = child.stdin.take().context("it has no input")?;
        let from = BufReader::new(child.stdout.take().context("it has no output")?);
        Ok(Talk { child, to: Some(to), from })
    }
}

/// The last line that a command prints; none if it was killed before. It must not end in any other way.
fn said(mut command: Command) -> Result<Option<String>> {
    let output = command.stdin(Stdio::null()).output().context("cannot start the process")?;
    let last = String::from_utf8_lossy(&output.stdout).lines().last().map(str::to_owned);
    if output.status.success() || output.status.to_string().starts_with("signal: 9") {
        return Ok(last);
    }
    Ok(Some(format!("crashed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim())))
}

/// A process that reads lines and answers them. It is killed when it is dropped.
pub(super) struct Talk {
    pub(super) child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Talk {
    /// Says a line. Who has been killed does not listen; that shows when it is to answer.
    pub(super) fn send(&mut self, line: &str) {
        if let Some(to) = &mut self.to {
            let _ = to.write_all(format!("{line}\n").as_bytes()).and_then(|()| to.flush());
        }
    }

    /// The next line, if there comes one.
    pub(super) fn hear(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        let length = self.from.read_line(&mut line)?;
        Ok((length > 0).then(|| line.trim_end().to_owned()))
    }

    /// The next line, which must be this one.
    pub(super) fn expect(&mut self, expected: &str) -> Result<()> {
        match self.hear()? {
            Some(line) if line == expected => Ok(()),
            other => bail!("expected '{expected}' and heard {other:?}"),
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.to = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
