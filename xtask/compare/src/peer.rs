//! LlamaIndex at work: a Python process that takes a line of JSON with what to do, and answers with the seconds it took.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use support::root;
use support::venv::LLAMA_INDEX;

/// The process, which is started when it is first asked. It keeps the context that it has opened last.
pub(crate) struct Peer {
    running: Option<Running>,
    opened: bool,
}

struct Running {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    pub(crate) fn llama_index() -> Self {
        Self { running: None, opened: false }
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
        let running = match &mut self.running {
            Some(running) => running,
            none => none.insert(Running::start()?),
        };
        let sent = writeln!(running.requests, "{request}").and_then(|()| running.requests.flush());
        let mut line = String::new();
        if sent.is_err() || running.answers.read_line(&mut line)? == 0 {
            bail!("the Python process has ended at {request}; its error is above");
        }
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("LlamaIndex answers {line}"))?;
        let seconds = answer["seconds"].as_f64().with_context(|| format!("LlamaIndex fails at {request}: {answer}"))?;
        Ok(Duration::from_secs_f64(seconds))
    }
}

impl Running {
    fn start() -> Result<Self> {
        let mut command = Command::new(LLAMA_INDEX.python()?);
        command.arg(root().join("xtask/compare/driver.py"));
        command.env("PYTHONDONTWRITEBYTECODE", "1").env_remove("PYTHONPATH");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot run Python")?;
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
