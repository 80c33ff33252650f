//! `cargo xtask torture`: the checks that take long or need more than a stable toolchain. None stops the others.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use support::process::{self, cargo, minutes, output, probe, program};

use crate::metadata::Metadata;
use crate::programs::Program;
use crate::{faults, features, fuzz, interchange, tidy};

/// The crates whose memory accesses Miri watches.
const MIRI: &str = "--package raw-json --package vectorstore-simple";

/// How long each target is fuzzed.
const FUZZING_SECONDS: u64 = 60;

/// How many cases each property test tries.
const PROPTEST_CASES: &str = "20000";

/// How many states of each scenario the model check explores.
const MODEL_STATES: &str = "3000000";

/// How many it tries under Miri, which is some hundred times slower.
const PROPTEST_CASES_MIRI: &str = "4";

/// Tries every check and ends with a table. With `install`, what is missing is installed.
pub(crate) fn run(install: bool) -> Result<()> {
    let metadata = Metadata::load()?;
    let mut torture = Torture { install, table: Vec::new() };
    torture.check("features, also in pairs", || features::run(true).map(drop));
    torture.check("corpus self-test", || run_program(Program::CORPUS, "--self-test 5000 --seed 2"));
    torture.check("LlamaIndex, both ways", || run_program(Program::INTERCHANGE, "--from 10001 --seeds 2000"));
    torture.check("LlamaIndex in a bucket", || interchange::run(&words("--on s3 --from 10001 --seeds 200")));
    torture.check("differences are noticed", || run_program(Program::INTERCHANGE, "--from 10001 --self-test 500"));
    torture.check("differences in a bucket", || interchange::run(&words("--on s3 --from 10001 --self-test 100")));
    torture.check("faults are noticed", || run_program(Program::FAULTS, "--self-test"));
    torture.check("faults", || run_program(Program::FAULTS, "--rounds 300 --write"));
    torture.check("faults on S3", || faults::run(words("--on s3 --rounds 40 --write")));
    torture.check("many random cases", || process::run(&mut properties(&metadata)?));
    torture.check("model of the commit", || {
        let mut command = cargo("test --release --package persist --test model -- --nocapture --test-threads=2");
        process::run(command.env("COLCA_MODEL_STATES", MODEL_STATES))
    });
    torture.check_with("fuzzing", "apt-get install g++", fuzz::ready, || fuzz::run(&[], FUZZING_SECONDS));
    torture.check_with("Miri", "rustup component add --toolchain nightly miri rust-src", miri_works, || {
        let mut command = cargo(&format!("+nightly miri test --lib --tests {MIRI}"));
        // Tests may look at the clock and the disk, as anywhere else.
        command.env("MIRIFLAGS", "-Zmiri-disable-isolation").env("PROPTEST_CASES", PROPTEST_CASES_MIRI);
        process::run(&mut command)
    });
    for (target, packages) in targets() {
        let adds = format!("rustup target add {target}");
        torture.check_with(
            target,
            &adds,
            || has_target(target),
            || process::run(&mut cargo(&format!("check --quiet --target {target} {packages}"))),
        );
    }
    let oldest = metadata.rust_version()?;
    let adds = format!("rustup toolchain install --profile minimal {oldest}");
    torture.check_with(
        &format!("Rust {oldest}"),
        &adds,
        || probe(&mut cargo(&format!("+{oldest} --version"))),
        || process::run(&mut cargo(&format!("+{oldest} check --quiet --workspace --all-features"))),
    );
    torture.finish()
}

fn run_program(program: Program, arguments: &str) -> Result<()> {
    program.run(&words(arguments))
}

fn words(text: &str) -> Vec<OsString> {
    text.split_whitespace().map(OsString::from).collect()
}

/// Which crates must compile for which other platforms. A browser has no disks, so only what lies beside and below
/// `fs-backends` is asked of it.
fn targets() -> [(&'static str, String); 3] {
    let in_memory = tidy::CRATES.iter().filter(|rules| rules.floor <= 3 && rules.name != tidy::DISKS);
    let in_memory: Vec<_> = in_memory.map(|rules| format!("--package {}", rules.name)).collect();
    [
        ("x86_64-pc-windows-gnu", String::new()),
        ("aarch64-apple-darwin", String::new()),
        ("wasm32-unknown-unknown", in_memory.join(" ")),
    ]
}

/// The tests of all crates with property tests, in release and with many cases.
fn properties(metadata: &Metadata) -> Result<Command> {
    let mut command = cargo("test --release --all-features --no-fail-fast --lib --tests");
    command.env("PROPTEST_CASES", PROPTEST_CASES);
    let mut found = false;
    for package in metadata.crates() {
        if package.dependencies.iter().any(|dependency| dependency.name == "proptest") {
            command.args(["--package", &package.name]);
            found = true;
        }
    }
    ensure!(found, "no crate has property tests");
    Ok(command)
}

fn miri_works() -> Result<()> {
    probe(&mut cargo("+nightly miri --version"))
}

/// Whether the toolchain has the standard library of this target.
fn has_target(target: &str) -> Result<()> {
    let printed = output(&mut program("rustc", &format!("--print target-libdir --target {target}")))?;
    let libraries = String::from_utf8(printed)?;
    ensure!(Path::new(libraries.trim()).is_dir(), "this toolchain has no standard library for {target}");
    Ok(())
}

/// How a check ended.
#[derive(Debug, PartialEq)]
enum Outcome {
    Done,
    Failed(String),
    /// Something it needs is not on this machine: what adds it, or why that did not work.
    Missing(String),
}

/// What was tried so far.
struct Torture {
    install: bool,
    table: Vec<(String, String, Outcome)>,
}

impl Torture {
    fn check(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        self.check_with(name, "", || Ok(()), work);
    }

    /// A check that needs something which `ready` looks for and the command `adds` brings.
    fn check_with(
        &mut self,
        name: &str,
        adds: &str,
        ready: impl Fn() -> Result<()>,
        work: impl FnOnce() -> Result<()>,
    ) {
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = match self.prepare(adds, ready) {
            Err(error) => Outcome::Missing(format!("{error:#}")),
            Ok(()) => work().map_or_else(|error| Outcome::Failed(format!("{error:#}")), |()| Outcome::Done),
        };
        println!("{outcome}");
        self.table.push((name.to_owned(), minutes(start.elapsed()), outcome));
    }

    fn prepare(&self, adds: &str, ready: impl Fn() -> Result<()>) -> Result<()> {
        let Err(missing) = ready() else { return Ok(()) };
        if !self.install {
            return Err(missing.context(format!("not installed; `{adds}` adds it, as does --install")));
        }
        let (name, arguments) = adds.split_once(' ').unwrap_or((adds, ""));
        let installed = process::run(&mut program(name, arguments));
        installed.and_then(|()| ready()).context("could not install")
    }

    fn finish(self) -> Result<()> {
        println!("\n== summary");
        for (name, time, outcome) in &self.table {
            println!("  {name:<24} {time}  {outcome}");
        }
        let failed = self.table.iter().filter(|(_, _, outcome)| matches!(outcome, Outcome::Failed(_))).count();
        ensure!(failed == 0, "{failed} of {} checks failed", self.table.len());
        Ok(())
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Failed(reason) => write!(f, "FAILED: {reason}"),
            Self::Missing(reason) => f.write_str(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn check(install: bool, ready: Result<()>, work: Result<()>) -> String {
        let mut torture = Torture { install, table: Vec::new() };
        let ready = ready.map_err(|error| error.to_string());
        let ready = || ready.clone().map_err(anyhow::Error::msg);
        torture.check_with("name", "no-such-command", ready, || work);
        torture.table[0].2.to_string()
    }

    #[test]
    fn each_check_is_done_failed_or_could_not_install() {
        assert_eq!(check(false, Ok(()), Ok(())), "done");
        assert_eq!(check(false, Ok(()), Err(anyhow::anyhow!("no"))), "FAILED: no");
        let missing = check(false, Err(anyhow::anyhow!("absent")), Ok(()));
        assert_eq!(missing, "not installed; `no-such-command` adds it, as does --install: absent");
        let missing = check(true, Err(anyhow::anyhow!("absent")), Ok(()));
        assert!(missing.starts_with("could not install: "), "{missing}");
    }

    #[test]
    fn a_failure_does_not_stop_the_others() {
        let mut torture = Torture { install: false, table: Vec::new() };
        torture.check("one", || bail!("broken"));
        torture.check("two", || Ok(()));
        assert_eq!(torture.finish().unwrap_err().to_string(), "1 of 2 checks failed");
    }

    #[test]
    fn the_host_has_its_own_target_and_the_moon_is_none() {
        has_target(&format!("{}-unknown-linux-gnu", std::env::consts::ARCH)).unwrap();
        assert!(has_target("moon").is_err());
    }
}
