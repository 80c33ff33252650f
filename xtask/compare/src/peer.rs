//! LlamaIndex at work, which answers how long some work took.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use support::python::Script;
use support::venv::LLAMA_INDEX;

/// `driver.py` in a process that keeps the context that it has opened last.
pub(crate) struct Peer {
    script: Option<Script>,
    opened: bool,
}

impl Peer {
    /// Its environment is made when it is first asked.
    pub(crate) fn llama_index() -> Self {
        Self { script: None, opened: false }
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
        let script = match &mut self.script {
            Some(script) => script,
            none => none.insert(Script::new(&LLAMA_INDEX.python()?, "xtask/compare/driver.py")),
        };
        let answer = script.ask(request.to_string().as_bytes()).with_context(|| format!("LlamaIndex at {request}"))?;
        let answer: Value = serde_json::from_str(&answer).with_context(|| format!("LlamaIndex answers {answer}"))?;
        let seconds = answer["seconds"].as_f64().with_context(|| format!("LlamaIndex fails at {request}: {answer}"))?;
        Ok(Duration::from_secs_f64(seconds))
    }
}
