//! LlamaIndex at work: a Python process that takes a line of JSON with what to do, and answers with the seconds it took.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use support::root;
use support::venv::LLAMA_INDEX;

/// The process. It keeps the context that it has opened last.
pub(crate) struct Peer {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    opened: bool,
}

impl Peer {
    pub(crate) fn llama_index() -> Result<Self> {
        let mut command = Command::new(LLAMA_INDEX.python()?);
        command.arg(root().join("xtask/compare/driver.py"));
        command.env("PYTHONDONTWRITEBYTECODE", "1").env_remove("PYTHONPATH");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot run Python")?;
        let requests = child.stdin.take().context("the Python process has no input")?;
        let answers = BufReader::new(child.stdout.take().context("the Python process has no output")?);
        Ok(Self { child, requests, answers, opened: false })
    }

    /// Opens a context, and keeps it. Returns how long that took.
    pub(crate) fn open(&mut self, folder: &Path) -> Result<Duration> {
        self.opened = true;
        self.ask(json!({"do": "open", "dir": folder}))
    }

    /// Opens a context unless one is open: for work that is not about opening.
    pub(crate) fn have_open(&mut self, folder: &Path) -> Result<()> {
        if !self.opened {
            self.open(folder)?;
        }
        Ok(())
    }

    /// Asks for some work, and returns how long it took.
    pub(crate) fn ask(&mut self, request: Value) -> Result<Duration> {
        let sent = writeln!(self.requests, "{request}").and_then(|()| self.requests.flush());
        let mut line = String::new();
        if sent.is_err() || self.answers.read_line(&mut line)? == 0 {
            bail!("the Python process has ended at {request}; its error is above");
        }
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("LlamaIndex answers {line}"))?;
        let seconds = answer["seconds"].as_f64().with_context(|| format!("LlamaIndex fails at {request}: {answer}"))?;
        Ok(Duration::from_secs_f64(seconds))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}
