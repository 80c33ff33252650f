//! What was tried, and how it ended.

use std::fmt;
use std::time::{Duration, Instant};

use crate::without::mechanism;

/// The exit code of a process that has noticed the absence of a mechanism.
pub const NOTICED: i32 = 3;

/// The head of the table.
pub const HEAD: &str = "| fault | place | tried | survived | lost |\n|---|---|---|---|---|\n";

/// Where it stands in docs/reliability.md.
pub const MARKS: [&str; 2] =
    ["<!-- Written by `cargo xtask faults --on s3 --write` from here … -->", "<!-- … to here, S3 -->"];

/// One fault in one situation, tried many times.
#[derive(Debug)]
pub struct Row {
    /// What is done to the writer, the network or the server.
    pub fault: &'static str,
    /// What the place is like before.
    pub start: String,
    /// How often it was tried.
    pub tried: usize,
    /// What went wrong.
    pub lost: Vec<String>,
    told: Instant,
}

impl Row {
    /// Nothing tried yet.
    pub fn new(fault: &'static str, start: impl fmt::Display) -> Self {
        Self { fault, start: start.to_string(), tried: 0, lost: Vec::new(), told: Instant::now() }
    }

    /// Counts a try, and says now and then how far it got.
    pub fn count(&mut self, tried: impl fmt::Display, outcome: Result<(), String>) {
        self.tried += 1;
        if let Err(problem) = outcome {
            eprintln!("LOST: {}, {}, {tried}: {problem}", self.fault, self.start);
            self.lost.push(problem);
            if mechanism().is_some() {
                // That was to be seen.
                std::process::exit(NOTICED);
            }
        }
        if self.told.elapsed() > Duration::from_secs(10) {
            self.told = Instant::now();
            eprintln!("{}, {}: {} tried", self.fault, self.start, self.tried);
        }
    }
}

/// A line of a table in Markdown.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let survived = self.tried - self.lost.len();
        write!(f, "| {} | {} | {} | {survived} | {} |", self.fault, self.start, self.tried, self.lost.len())
    }
}
