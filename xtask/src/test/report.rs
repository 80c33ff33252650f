//! What came of the steps.

use std::fmt;
use std::time::{Duration, Instant};

use support::process::minutes;

use super::Step;
use crate::counts::{Counts, Seen};

/// The steps that were run, in order.
#[derive(Default)]
pub(super) struct Report {
    rows: Vec<Row>,
    current: Seen,
    not_run: Option<String>,
    started: Option<(&'static str, Duration, Instant)>,
}

struct Row {
    name: &'static str,
    time: Duration,
    budget: Duration,
    failed: bool,
    not_run: Option<String>,
    seen: Seen,
}

impl Report {
    pub(super) fn begin(&mut self, step: &Step) {
        self.started = Some((step.name, step.budget(), Instant::now()));
        self.current = Seen::default();
        self.not_run = None;
    }

    pub(super) fn end(&mut self, passed: bool) {
        let Some((name, budget, start)) = self.started.take() else { return };
        let (seen, not_run) = (std::mem::take(&mut self.current), self.not_run.take());
        self.rows.push(Row { name, time: start.elapsed(), budget, failed: !passed, not_run, seen });
    }

    /// Where what the current step prints of its results goes.
    pub(super) fn seen(&mut self) -> &mut Seen {
        &mut self.current
    }

    /// The current step is left out.
    pub(super) fn not_run(&mut self, why: &str) {
        self.not_run = Some(why.to_owned());
    }

    /// The tests of all steps.
    pub(super) fn tests(&self) -> Counts {
        self.rows.iter().map(|row| row.seen.tests).fold(Counts::default(), |sum, tests| sum + tests)
    }
}

/// A table: each step with its time, its budget and its results. Recorded answers and random comparisons have lines of
/// their own; only tests are counted as tests.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:<12} {:>7}  {:>7}", "step", "time", "budget")?;
        for row in &self.rows {
            let mut notes = Vec::new();
            notes.extend(row.failed.then(|| "FAILED".to_owned()));
            notes.extend(row.not_run.as_ref().map(|why| format!("NOT RUN: {why}")));
            notes.extend((row.time > row.budget).then(|| "OVER ITS BUDGET".to_owned()));
            notes.extend((row.seen.tests != Counts::default()).then(|| row.seen.tests.to_string()));
            notes.extend(row.seen.results.iter().cloned());
            let (first, rest) = notes.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
            let line = format!("  {:<12} {}  {}  {first}", row.name, minutes(row.time), minutes(row.budget));
            writeln!(f, "{}", line.trim_end())?;
            for note in rest {
                writeln!(f, "  {:<12} {:>7}  {:>7}  {note}", "", "", "")?;
            }
        }
        let sum = |of: fn(&Row) -> Duration| minutes(self.rows.iter().map(of).sum());
        writeln!(f, "  {:<12} {}  {}", "all", sum(|row| row.time), sum(|row| row.budget))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_over_budget_and_failures_are_in_the_table() {
        let seen = |passed, results: &[&str]| Seen {
            tests: Counts { passed, failed: 0, skipped: 0 },
            results: results.iter().map(|&line| line.to_owned()).collect(),
        };
        let row = |name, seconds, failed, seen| Row {
            name,
            time: Duration::from_secs(seconds),
            budget: Duration::from_secs(60),
            failed,
            not_run: None,
            seen,
        };
        let rows = vec![
            row("tests", 59, false, seen(7, &[])),
            row("corpus", 61, true, seen(0, &["22,959 recorded answers", "150 alterations"])),
        ];
        let report = Report { rows, ..Report::default() };
        let expected = [
            "  step            time   budget",
            "  tests         0m 59s   1m 00s  7 passed, 0 failed, 0 skipped",
            "  corpus        1m 01s   1m 00s  FAILED",
            "                                 OVER ITS BUDGET",
            "                                 22,959 recorded answers",
            "                                 150 alterations",
            "  all           2m 00s   2m 00s",
        ];
        assert_eq!(report.to_string().lines().collect::<Vec<_>>(), expected);
        assert_eq!(report.tests().passed, 7);
    }
}
