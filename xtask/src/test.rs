//! `cargo xtask test`: everything that must pass before a change lands, in one command, the quick checks first.

use std::ops::{Add, AddAssign};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::process::{cargo, display, minutes, probe, run_and_count};
use crate::services::Services;
use crate::{corpus_step, faults, features, interchange, interchange_step, recall, tidy};

/// Runs the steps in order and stops at the first that fails. The last line counts the tests.
pub(crate) fn run() -> ExitCode {
    let mut report = Report::default();
    let result = steps(&mut report);
    println!("\n== summary");
    for line in &report.lines {
        println!("{line}");
    }
    println!();
    if let Err(error) = &result {
        eprintln!("error: {error:#}\n");
    }
    println!("{}", report.counts);
    if result.is_ok() && report.counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn steps(report: &mut Report) -> Result<()> {
    report.component("fmt", ["rustfmt", "rustfmt"], cargo("fmt --all -- --check"))?;
    report.component(
        "clippy",
        ["clippy", "rust-clippy"],
        cargo("clippy --workspace --all-targets --all-features --quiet -- --deny warnings"),
    )?;
    report.step("tidy", "cargo xtask tidy", |_| tidy::run())?;
    let mut doc = cargo("doc --workspace --no-deps --all-features --quiet");
    doc.env("RUSTDOCFLAGS", "--deny warnings");
    report.command("doc", doc)?;
    let mut services = None;
    report.step("services", "cargo xtask services", |_| {
        services = Some(Services::start()?);
        Ok(())
    })?;
    let mut tests = match probe(&mut cargo("nextest --version")) {
        Ok(()) => cargo("nextest run --workspace --all-features --no-fail-fast"),
        Err(_) => cargo("test --workspace --all-features --no-fail-fast --lib --bins --tests"),
    };
    services.iter().for_each(|services| services.tell(&mut tests));
    report.command("tests", tests)?;
    drop(services);
    report.command("doctests", cargo("test --workspace --all-features --no-fail-fast --doc"))?;
    report.step("corpus", "cargo xtask corpus", |counts| {
        let seen = corpus_step()?;
        *counts += seen;
        ensure!(seen.failed == 0, "{} answers differ from LlamaIndex's", seen.failed);
        Ok(())
    })?;
    report.step("interchange", "cargo xtask interchange", |counts| {
        let seen = interchange_step()?;
        *counts += seen;
        interchange::demand(seen)
    })?;
    report.command("faults", faults::command("--sample 10 --rounds 10")?)?;
    report.command("faults seen", faults::command("--self-test --sample 10 --rounds 10")?)?;
    report.command("seen on S3", faults::command("--on s3 --self-test")?)?;
    report.command("faults on S3", faults::command("--on s3 --sample 10 --rounds 4")?)?;
    report.step("recall", "cargo xtask recall --check", |_| recall::run(true))?;
    report.step("features", "cargo xtask features", |_| features::run(false))
}

/// What happened so far.
#[derive(Default)]
struct Report {
    lines: Vec<String>,
    counts: Counts,
}

impl Report {
    /// A step that needs a component of the toolchain, here with its Debian package. Without it the step is left out,
    /// and the summary says so.
    fn component(&mut self, name: &str, [component, package]: [&str; 2], command: Command) -> Result<()> {
        let Err(reason) = probe(&mut cargo(&format!("{name} --version"))) else {
            return self.command(name, command);
        };
        let advice =
            format!("`rustup component add {component}` adds it (with Debian's own Rust: `apt install {package}`)");
        println!("\n== {name}\nNOT RUN: {component} is not installed. {advice}\n({reason})");
        self.lines.push(format!("  {name:<12} NOT RUN: {component} is not installed; {advice}"));
        Ok(())
    }

    fn command(&mut self, name: &str, mut command: Command) -> Result<()> {
        self.step(name, &display(&command), |counts| run_and_count(&mut command, counts))
    }

    fn step(&mut self, name: &str, repeat: &str, work: impl FnOnce(&mut Counts) -> Result<()>) -> Result<()> {
        println!("\n== {name}");
        let start = Instant::now();
        let result = work(&mut self.counts);
        let outcome = if result.is_ok() { "" } else { "  FAILED" };
        self.lines.push(line(name, start.elapsed(), outcome));
        result.with_context(|| format!("step '{name}' failed; `{repeat}` repeats it"))
    }
}

fn line(name: &str, time: Duration, outcome: &str) -> String {
    format!("  {name:<12} {}{outcome}", minutes(time))
}

/// How many tests ran, and how they ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Counts {
    /// The tests that this line of a test runner's output sums up: one of `cargo test`, or the last of nextest.
    pub(crate) fn told_by(line: &str) -> Self {
        let line = without_colors(line);
        // What nextest shows of a failing test is indented, and has such a line too, which must not count again.
        let parts: Vec<&str> = if let Some(rest) = line.strip_prefix("test result: ") {
            rest.split_once(". ").map_or("", |(_, parts)| parts).split(';').collect()
        } else if line.trim_start().starts_with("Summary [") {
            let Some((_, rest)) = line.split_once("run: ") else { return Self::default() };
            rest.split(',').collect()
        } else {
            return Self::default();
        };
        let mut counts = Self::default();
        for part in parts {
            // A parenthesis such as "(1 slow, 2 leaky)" tells of tests that the number before it counts already.
            let mut words = part.split_whitespace();
            let (Some(Ok(number)), Some(word)) = (words.next().map(str::parse::<usize>), words.next()) else {
                continue;
            };
            match word {
                "passed" => counts.passed += number,
                "ignored" | "skipped" => counts.skipped += number,
                "failed" | "timed" | "exec" => counts.failed += number,
                _ => {}
            }
        }
        counts
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// The line without the escape sequences that color it.
fn without_colors(line: &str) -> String {
    let mut pieces = line.split("\x1b[");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        plain += piece.split_once('m').map_or(piece, |(_, rest)| rest);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: [usize; 3]) {
        let [passed, failed, skipped] = expected;
        assert_eq!(Counts::told_by(line), Counts { passed, failed, skipped }, "{line}");
    }

    #[test]
    fn the_last_lines_of_test_runners_are_understood() {
        check(
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.00s",
            [5, 0, 1],
        );
        check("test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n", [5, 2, 0]);
        check("test result: \x1b[32mok\x1b[0m. 5 passed; 0 failed; 1 ignored", [5, 0, 1]);
        check("     Summary [   0.012s] 12 tests run: 12 passed, 3 skipped", [12, 0, 3]);
        check("     Summary [   0.012s] 1 test run: 1 passed, 0 skipped", [1, 0, 0]);
        check(
            "     Summary [   3.1s] 9/20 tests run: 5 passed (1 slow, 2 leaky), 2 failed, 1 timed out, 1 exec failed, 4 skipped",
            [5, 4, 4],
        );
        check(
            "\x1b[31;1m     Summary\x1b[0m [   1s] \x1b[1m4\x1b[0m tests run: \x1b[1m3\x1b[0m \x1b[32;1mpassed\x1b[0m, \x1b[1m1\x1b[0m \x1b[31;1mfailed\x1b[0m, \x1b[1m0\x1b[0m \x1b[33;1mskipped\x1b[0m",
            [3, 1, 0],
        );
    }

    #[test]
    fn other_lines_count_nothing() {
        check("    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured", [0, 0, 0]);
        for line in ["", "test a ... ok", "5 passed", "   Summary [ 1s]", "test result: ", "running 5 tests"] {
            check(line, [0, 0, 0]);
        }
    }

    #[test]
    fn a_step_that_fails_says_what_repeats_it() {
        let mut report = Report::default();
        report.step("one", "cargo one", |_| Ok(())).unwrap();
        let error = report.step("two", "cargo two", |_| anyhow::bail!("broken")).unwrap_err();
        assert_eq!(format!("{error:#}"), "step 'two' failed; `cargo two` repeats it: broken");
        assert_eq!(report.lines, ["  one           0m 00s", "  two           0m 00s  FAILED"]);
        assert_eq!(report.counts.to_string(), "0 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn a_missing_component_is_told_with_what_adds_it() {
        let mut report = Report::default();
        report.component("no-such-command", ["rustnothing", "nothing"], cargo("no-such-command")).unwrap();
        assert!(report.lines[0].contains("NOT RUN: rustnothing is not installed; `rustup component add rustnothing`"));
    }
}
