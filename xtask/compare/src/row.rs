//! What a row is.

use std::time::Duration;

use anyhow::Result;

use crate::Bench;

/// A kind of work that is measured.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What is done, in a sentence.
    pub(crate) work: &'static str,
    /// About how long it takes, with all of the data and with `--quick`.
    pub(crate) full_s: u64,
    pub(crate) quick_s: u64,
    pub(crate) measure: fn(&mut Bench) -> Result<Vec<Line>>,
}

impl Row {
    pub(crate) fn seconds(&self, quick: bool) -> u64 {
        if quick { self.quick_s } else { self.full_s }
    }
}

/// One measurement of a row: medians of one run.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// What was done, where a row has several lines.
    pub(crate) work: String,
    pub(crate) ours: Duration,
    /// LlamaIndex, if it can do it.
    pub(crate) theirs: Option<Duration>,
    /// What the machine needs at least, and for what.
    pub(crate) limit: Option<(&'static str, Duration)>,
}

impl Line {
    /// How many times as long LlamaIndex takes.
    pub(crate) fn times_theirs(&self) -> Option<f64> {
        self.theirs.map(|theirs| theirs.as_secs_f64() / self.ours.as_secs_f64())
    }

    /// How many times as long ours takes as the limit.
    pub(crate) fn times_limit(&self) -> Option<f64> {
        self.limit.map(|(_, limit)| self.ours.as_secs_f64() / limit.as_secs_f64())
    }
}
