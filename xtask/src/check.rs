//! `cargo xtask check`: what to run after each edit.

use std::time::Instant;

use anyhow::{Result, ensure};
use support::process::{self, cargo, output, probe, program};
use support::root;

use crate::metadata::{Metadata, Package};
use crate::tidy;

/// How the command is used.
pub(crate) const EXAMPLES: &str = "\
It does not run the tests of other packages, doctests, servers, or comparisons with LlamaIndex: `cargo xtask test` does.

Examples:
  cargo xtask check                                  the packages with changes that are not committed
  cargo xtask check --since main                     those that differ from a revision
  cargo xtask check raw-json docstore                these packages";

/// What is checked.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The packages whose tests are run. Default: those with changes
    packages: Vec<String>,
    /// The revision that changes are counted from
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    since: String,
}

/// Checks formatting, rules and lints of the workspace, and runs the tests of some packages.
pub(crate) fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    let metadata = Metadata::load()?;
    let packages = match &options.packages[..] {
        [] => changed(&metadata, &changed_files(&options.since)?),
        names => named(&metadata, names)?,
    };
    process::run(&mut cargo("fmt --all -- --check"))?;
    tidy::run()?;
    process::run(&mut cargo("clippy --workspace --all-targets --all-features --quiet -- --deny warnings"))?;
    let runner = match probe(&mut cargo("nextest --version")) {
        Ok(()) => "nextest run --no-tests pass --status-level fail --cargo-quiet",
        Err(_) => "test --quiet --tests",
    };
    for name in &packages {
        // One package at a time: what it depends on is then compiled with the same features at each check.
        // What lies beside the crates has features for tests that need servers.
        let is_crate = metadata.crates().iter().any(|package| package.name == *name);
        let features = if is_crate { "--all-features" } else { "" };
        process::run(&mut cargo(&format!("{runner} --package {name} {features}")))?;
    }
    match &packages[..] {
        [] => println!("no file of a package has changed since {}, so no tests were run", options.since),
        names => println!("tests were run of {}", names.join(", ")),
    }
    println!("checked in {:.0?}; `cargo xtask test` runs everything", start.elapsed());
    Ok(())
}

/// The packages of these names, which must exist.
fn named(metadata: &Metadata, names: &[String]) -> Result<Vec<String>> {
    let workspace = metadata.workspace();
    for name in names {
        ensure!(workspace.iter().any(|package| package.name == *name), "there is no package '{name}'");
    }
    Ok(names.to_vec())
}

/// Files that differ from a revision, and those that git does not know yet, relative to the root.
fn changed_files(since: &str) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for command in [&["diff", "--name-only", since, "--"][..], &["ls-files", "--others", "--exclude-standard"]] {
        let list = output(program("git", "").args(command))?;
        files.extend(String::from_utf8_lossy(&list).lines().map(str::to_owned));
    }
    Ok(files)
}

/// The packages that these files are in, by name.
fn changed(metadata: &Metadata, files: &[String]) -> Vec<String> {
    let root = root();
    let workspace = metadata.workspace();
    let owner = |file: &String| {
        let path = root.join(file);
        let holds = |package: &&&Package| path.starts_with(package.folder());
        // The folder of one package may lie in that of another; fuzzing is outside the workspace.
        workspace
            .iter()
            .filter(|_| !file.starts_with("xtask/fuzz/"))
            .filter(holds)
            .max_by_key(|package| package.folder().components().count())
    };
    let mut names: Vec<_> = files.iter().filter_map(owner).map(|package| package.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_belongs_to_the_innermost_package() {
        let metadata = Metadata::load().unwrap();
        let check = |files: &[&str], expected: &[&str]| {
            let files: Vec<_> = files.iter().map(|&file| file.to_owned()).collect();
            assert_eq!(changed(&metadata, &files), expected, "{files:?}");
        };
        check(&["README.md", "docs/testing.md", "Cargo.lock", "xtask/fuzz/src/lib.rs"], &[]);
        check(&["crates/raw-json/src/scan.rs", "crates/raw-json/README.md"], &["raw-json"]);
        check(&["xtask/src/main.rs", "xtask/corpus/src/lib.rs"], &["corpus", "xtask"]);
    }

    #[test]
    fn a_package_that_does_not_exist_is_named() {
        let metadata = Metadata::load().unwrap();
        let error = named(&metadata, &["raw-jsn".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "there is no package 'raw-jsn'");
    }
}
