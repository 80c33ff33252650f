//! The steps of `cargo xtask test`, in order, each with its budget.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Result;
use support::process::{cargo, probe};
use support::root;

use super::Run;
use crate::programs::Program;
use crate::services::Service;
use crate::{features, recall, tidy};

/// One kind of check.
pub(super) struct Step {
    pub(super) name: &'static str,
    /// What it may take on two cores, in seconds: where everything was compiled before, and in a fresh clone.
    pub(super) warm_s: u64,
    pub(super) clean_s: u64,
    /// The servers that it needs.
    pub(super) needs: &'static [Service],
    pub(super) run: fn(&mut Run<'_>) -> Result<()>,
}

impl Step {
    pub(super) fn budget(&self) -> Duration {
        Duration::from_secs(if starts_warm() { self.warm_s } else { self.clean_s })
    }
}

/// Whether everything was compiled before this run.
fn starts_warm() -> bool {
    static WARM: OnceLock<bool> = OnceLock::new();
    *WARM.get_or_init(|| Program::INTERCHANGE.command().is_ok_and(|command| Path::new(command.get_program()).exists()))
}

/// All steps. Where a check is longer than fits here, this is a fixed sample of it, and `torture` runs the whole.
pub(super) const STEPS: &[Step] = &[
    Step { name: "fmt", warm_s: 5, clean_s: 5, needs: &[], run: fmt },
    Step { name: "tidy", warm_s: 5, clean_s: 20, needs: &[], run: |_| tidy::run() },
    Step { name: "clippy", warm_s: 60, clean_s: 240, needs: &[], run: clippy },
    Step { name: "build", warm_s: 60, clean_s: 420, needs: &[], run: build },
    Step { name: "tests", warm_s: 150, clean_s: 150, needs: &[Service::S3], run: tests },
    Step { name: "doctests", warm_s: 60, clean_s: 60, needs: &[], run: doctests },
    Step { name: "doc", warm_s: 30, clean_s: 90, needs: &[], run: doc },
    Step { name: "corpus", warm_s: 30, clean_s: 30, needs: &[], run: corpus },
    Step { name: "interchange", warm_s: 120, clean_s: 180, needs: &[], run: interchange },
    Step { name: "faults", warm_s: 60, clean_s: 60, needs: &[], run: faults },
    Step { name: "faults-s3", warm_s: 90, clean_s: 90, needs: &[Service::S3], run: faults_s3 },
    Step { name: "recall", warm_s: 20, clean_s: 30, needs: &[], run: recall },
    Step { name: "features", warm_s: 30, clean_s: 120, needs: &[], run: features },
];

fn fmt(run: &mut Run<'_>) -> Result<()> {
    run.component("rustfmt", "rustfmt", cargo("fmt --all -- --check"))
}

fn clippy(run: &mut Run<'_>) -> Result<()> {
    let lint = cargo("clippy --workspace --all-targets --all-features --quiet -- --deny warnings");
    run.component("clippy", "rust-clippy", lint)
}

/// Programs, tests and examples, in one go.
fn build(run: &mut Run<'_>) -> Result<()> {
    run.command(cargo("build --workspace --all-features --all-targets --quiet"))?;
    run.built = true;
    Ok(())
}

fn tests(run: &mut Run<'_>) -> Result<()> {
    let mut tests = match probe(&mut cargo("nextest --version")) {
        Ok(()) => {
            // Half of the long ones wait for a server.
            let threads = 2 * std::thread::available_parallelism().map_or(1, |n| n.get());
            cargo(&format!("nextest run --workspace --all-features --no-fail-fast --test-threads {threads}"))
        }
        Err(_) => cargo("test --workspace --all-features --no-fail-fast --lib --bins --tests"),
    };
    run.services()?.add_to(&mut tests);
    run.command(tests)
}

fn doctests(run: &mut Run<'_>) -> Result<()> {
    run.command(cargo("test --workspace --all-features --no-fail-fast --quiet --doc"))
}

fn doc(run: &mut Run<'_>) -> Result<()> {
    let mut doc = cargo("doc --workspace --no-deps --all-features --quiet");
    doc.env("RUSTDOCFLAGS", "--deny warnings");
    run.command(doc)
}

fn corpus(run: &mut Run<'_>) -> Result<()> {
    run.program(Program::CORPUS, "")?;
    run.program(Program::CORPUS, "--self-test 150")
}

fn interchange(run: &mut Run<'_>) -> Result<()> {
    run.program(Program::INTERCHANGE, "")?;
    run.program(Program::INTERCHANGE, "--self-test 40")
}

fn faults(run: &mut Run<'_>) -> Result<()> {
    run.program(Program::FAULTS, "--sample 10 --rounds 10")?;
    run.program(Program::FAULTS, "--sample 10 --rounds 10 --self-test")
}

fn faults_s3(run: &mut Run<'_>) -> Result<()> {
    for arguments in ["--self-test", "--one-in 12 --rounds 4"] {
        run.build()?;
        let mut command = Program::FAULTS_REMOTE.command()?;
        command.args(arguments.split_whitespace());
        run.services()?.add_to(&mut command);
        run.command(command)?;
    }
    Ok(())
}

fn features(run: &mut Run<'_>) -> Result<()> {
    let compile = features::run(false)?;
    run.report.seen().results.push(format!("{compile} selections of features compile"));
    Ok(())
}

fn recall(run: &mut Run<'_>) -> Result<()> {
    run.build()?;
    recall::compare(&root().join("README.md"))
}
