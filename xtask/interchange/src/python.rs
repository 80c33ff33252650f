use std::path::Path;

use anyhow::{Context, Result, bail};
use colca::raw_json::{Dialect, RawJson, Text, Value, to_json};
use support::python::Script;

/// `driver.py` at work: LlamaIndex in a process of its own.
pub(super) struct Python(Script);

impl Python {
    /// The Python of the environment that has LlamaIndex.
    pub(super) fn new(program: &Path) -> Self {
        Self(Script::new(program, "xtask/interchange/driver.py"))
    }

    /// Puts a request and waits for its answer.
    pub(super) fn ask<const N: usize>(&mut self, what: &str, parts: [(&str, Value); N]) -> Result<Value> {
        let request: Value = [("do", what.into())].into_iter().chain(parts).collect();
        let answer = self.0.ask(&to_json(&request, Dialect::Ascii));
        let answer = answer.and_then(|answer| Ok(RawJson::parse(&Text::from(answer))?.value()));
        let answer = answer.with_context(|| format!("the Python process failed at '{what}'"))?;
        if let Some(error) = answer.get("error") {
            let part = |name: &str| error.get(name).and_then(Value::as_str).cloned().unwrap_or_default();
            bail!("LlamaIndex fails at '{what}': {}: {}", part("type"), part("message"));
        }
        Ok(answer.get("ok").cloned().unwrap_or(Value::Null))
    }
}
