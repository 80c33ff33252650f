use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use colca::raw_json::{Dialect, RawJson, Text, Value, to_json};

/// `driver.py` at work: a process that is started when it is first asked, and again if it has died.
pub(super) struct Python {
    program: PathBuf,
    running: Option<Running>,
}

struct Running {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Python {
    /// The Python of the environment that has LlamaIndex.
    pub(super) fn new(program: PathBuf) -> Self {
        Self { program, running: None }
    }

    /// Puts a request and waits for its answer.
    pub(super) fn ask<const N: usize>(&mut self, what: &str, parts: [(&str, Value); N]) -> Result<Value> {
        let request: Value = [("do", what.into())].into_iter().chain(parts).collect();
        let answer = self.exchange(&request);
        if answer.is_err() {
            self.running = None;
        }
        let answer = answer.with_context(|| format!("the Python process failed at '{what}'"))?;
        if let Some(error) = answer.get("error") {
            let part = |name: &str| error.get(name).and_then(Value::as_str).cloned().unwrap_or_default();
            bail!("LlamaIndex fails at '{what}': {}: {}", part("type"), part("message"));
        }
        Ok(answer.get("ok").cloned().unwrap_or(Value::Null))
    }

    fn exchange(&mut self, request: &Value) -> Result<Value> {
        let running = match &mut self.running {
            Some(running) => running,
            none => none.insert(Running::start(&self.program)?),
        };
        let mut line = to_json(request, Dialect::Ascii);
        line.push(b'\n');
        running.requests.write_all(&line)?;
        running.requests.flush()?;
        let mut answer = String::new();
        if running.answers.read_line(&mut answer)? == 0 {
            bail!("it has ended; what it said is above");
        }
        Ok(RawJson::parse(&Text::from(answer))?.value())
    }
}

impl Running {
    fn start(program: &PathBuf) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg(support::root().join("xtask/interchange/driver.py"));
        // Sets are then in the same order in every run, and nothing is written beside the sources.
        command.env("PYTHONHASHSEED", "0").env("PYTHONDONTWRITEBYTECODE", "1").env_remove("PYTHONPATH");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let requests = child.stdin.take().context("no way in")?;
        let answers = BufReader::new(child.stdout.take().context("no way out")?);
        Ok(Self { child, requests, answers })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}
