//! A Python script at work: it takes a request a line, and answers each with a line.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

/// A process with the script, which is started when it is first asked, and again if it has ended.
#[derive(Debug)]
pub struct Script {
    python: PathBuf,
    path: PathBuf,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Script {
    /// A script of the workspace, and the Python that runs it.
    pub fn new(python: &Path, path: &str) -> Self {
        Self { python: python.to_owned(), path: crate::root().join(path), running: None }
    }

    /// Puts a request, which is a line without its end, and waits for the answer.
    ///
    /// # Errors
    /// If Python does not start, or ends before it has answered; then the next request starts another process.
    pub fn ask(&mut self, request: &[u8]) -> Result<String> {
        let answer = self.exchange(request);
        if answer.is_err() {
            self.running = None;
        }
        answer
    }

    fn exchange(&mut self, request: &[u8]) -> Result<String> {
        let running = match &mut self.running {
            Some(running) => running,
            none => none.insert(Running::start(&self.python, &self.path)?),
        };
        let sent = running.requests.write_all(&[request, b"\n"].concat()).and_then(|()| running.requests.flush());
        let mut answer = String::new();
        if sent.is_err() || running.answers.read_line(&mut answer)? == 0 {
            bail!("the Python process has ended; its error is above");
        }
        Ok(answer)
    }
}

impl Running {
    fn start(python: &Path, script: &Path) -> Result<Self> {
        let mut command = Command::new(python);
        command.arg(script);
        // Sets are then in the same order in every run, and nothing is written beside the sources.
        command.env("PYTHONHASHSEED", "0").env("PYTHONDONTWRITEBYTECODE", "1").env_remove("PYTHONPATH");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", python.display()))?;
        let requests = child.stdin.take().context("the Python process has no input")?;
        let answers = BufReader::new(child.stdout.take().context("the Python process has no output")?);
        Ok(Self { child, requests, answers })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}
