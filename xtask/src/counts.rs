//! What test runners and the programs of the automation print about their results.

use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::ops::{Add, AddAssign};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result};
use support::RESULT;
use support::process::{cannot_start, check, display};

/// What was seen in the output of a command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) tests: Counts,
    /// What programs of the automation gave as their results.
    pub(crate) results: Vec<String>,
}

impl Seen {
    fn line(&mut self, line: &str) {
        self.tests += Counts::of(line);
        self.results.extend(line.trim_end().strip_prefix(RESULT).map(str::to_owned));
    }

    fn add(&mut self, other: Self) {
        self.tests += other.tests;
        self.results.extend(other.results);
    }
}

/// Shows a command and runs it. Its output passes through, and what it says of results is added to `seen`. The caller
/// names the command in an error.
pub(crate) fn run_and_see(command: &mut Command, seen: &mut Seen) -> Result<()> {
    println!("$ {}", display(command));
    if io::stderr().is_terminal() && std::env::var_os("CARGO_TERM_COLOR").is_none() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = piped.with_context(|| cannot_start(command))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let err = scope.spawn(|| pass_through(err, io::stderr()));
        seen.add(pass_through(out, io::stdout()));
        seen.add(err.join().unwrap_or_default());
    });
    check(child.wait().with_context(|| cannot_start(command))?)
}

/// Copies a stream line by line. When nobody reads our output any more, reading goes on, so that the child can end.
fn pass_through(stream: Option<impl Read>, mut to: impl Write) -> Seen {
    let mut seen = Seen::default();
    let Some(stream) = stream else { return seen };
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while stream.read_until(b'\n', &mut line).is_ok_and(|size| size > 0) {
        seen.line(&String::from_utf8_lossy(&line));
        let _ = to.write_all(&line).and_then(|()| to.flush());
        line.clear();
    }
    seen
}

/// How many tests ran, and how they ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Counts {
    /// The tests that a line of a test runner's output sums up: one of `cargo test`, or the last of nextest.
    pub(crate) fn of(line: &str) -> Self {
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
            // A parenthesis such as "(1 slow, 2 leaky)" is about tests that the number before it counts already.
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

    #[test]
    fn output_passes_through_and_is_counted() {
        let mut to = Vec::new();
        let stream = &b"running\ntest result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\nresult: 7 of 7\n\xff"[..];
        let seen = pass_through(Some(stream), &mut to);
        assert_eq!(to, stream);
        let tests = Counts { passed: 3, failed: 0, skipped: 1 };
        assert_eq!(seen, Seen { tests, results: vec!["7 of 7".to_owned()] });
    }

    fn check(line: &str, expected: [usize; 3]) {
        let [passed, failed, skipped] = expected;
        assert_eq!(Counts::of(line), Counts { passed, failed, skipped }, "{line}");
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
}
