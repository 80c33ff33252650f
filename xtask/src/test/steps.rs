//! The steps of `cargo xtask test`, in order, each with its budget.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Result;
use support::process::{cargo, probe};
use support::root;

use super::Run;
use crate::programs::Program;
use crate::services::Service;
use crate::{features, programs, recall, tidy};

/// One kind of check.
pub(super) struct Step {
    pub(super) name: &'static str,
    /// What it may take on two cores, in seconds: where everything was compiled before, and in a fresh clone.
    pub(super) warm_s: u64,
    pub(super) clean_s: u64,
    /// The servers that it needs.
    pub(super) needs: &'static [Service],
    /// Whether it runs what the step `build` compiles.
    pub(super) needs_programs: bool,
    pub(super) run: fn(&mut Run<'_>) -> Result<()>,
}

impl Step {
    pub(super) fn budget(&self) -> Duration {
        Duration::from_secs(if starts_warm() { self.warm_s } else { self.clean_s })
    }
}

/// Whether all steps have passed in this target folder before.
fn starts_warm() -> bool {
    static WARM: OnceLock<bool> = OnceLock::new();
    *WARM.get_or_init(|| warm().exists())
}

/// The file that says so.
pub(super) fn warm() -> PathBuf {
    root().join("target/tested")
}

/// The step that compiles the programs.
pub(super) const BUILD: &str = "build";

const fn step(name: &'static str, [warm_s, clean_s]: [u64; 2], run: fn(&mut Run<'_>) -> Result<()>) -> Step {
    Step { name, warm_s, clean_s, needs: &[], needs_programs: false, run }
}

impl Step {
    const fn needs(self, needs: &'static [Service]) -> Self {
        Self { needs, ..self }
    }

    const fn needs_programs(self) -> Self {
        Self { needs_programs: true, ..self }
    }
}

/// All steps; together 12 minutes warm, and 25 in a fresh clone. Where a check is longer than fits here, this is a fixed
/// sample of it, and `torture` runs the whole.
pub(super) const STEPS: &[Step] = &[
    step("fmt", [5, 5], fmt),
    step("tidy", [5, 15], |_| tidy::run()),
    step("clippy", [60, 170], clippy),
    step(BUILD, [60, 260], build),
    step("tests", [140, 300], tests).needs(&Service::ALL),
    step("doctests", [40, 45], doctests),
    step("doc", [30, 75], doc),
    step("corpus", [20, 25], corpus).needs_programs(),
    step("interchange", [140, 220], interchange).needs_programs().needs(&[Service::S3]),
    step("faults", [50, 60], faults).needs_programs(),
    step("faults-s3", [120, 130], faults_s3).needs_programs().needs(&[Service::S3]),
    step("recall", [10, 25], recall).needs_programs(),
    step("features", [40, 170], features),
];

fn fmt(run: &mut Run<'_>) -> Result<()> {
    run.component("rustfmt", "rustfmt", cargo("fmt --all -- --check"))
}

fn clippy(run: &mut Run<'_>) -> Result<()> {
    let lint = cargo("clippy --workspace --all-targets --all-features --quiet -- --deny warnings");
    run.component("clippy", "rust-clippy", lint)
}

fn build(run: &mut Run<'_>) -> Result<()> {
    run.command(cargo(&format!("{} --quiet", programs::BUILD)))
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
    run.program(Program::INTERCHANGE, "--self-test 40")?;
    run.program_with_services(Program::INTERCHANGE, "--on s3")?;
    run.program_with_services(Program::INTERCHANGE, "--on s3 --self-test 12")
}

fn faults(run: &mut Run<'_>) -> Result<()> {
    run.program(Program::FAULTS, "--sample 10 --rounds 10")?;
    run.program(Program::FAULTS, "--sample 10 --rounds 10 --self-test")
}

fn faults_s3(run: &mut Run<'_>) -> Result<()> {
    run.program_with_services(Program::FAULTS_REMOTE, "--self-test")?;
    run.program_with_services(Program::FAULTS_REMOTE, "--one-in 12 --rounds 4")
}

fn features(run: &mut Run<'_>) -> Result<()> {
    let compile = features::run(false)?;
    run.report.seen().results.push(format!("{compile} selections of features compile"));
    Ok(())
}

fn recall(_: &mut Run<'_>) -> Result<()> {
    recall::compare(&root().join("README.md"))
}
