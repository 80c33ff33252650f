//! `cargo xtask fuzz`: the targets of the package in `xtask/fuzz`, each for a bounded time.
//!
//! libFuzzer works with the stable toolchain: all it needs are counters on the branches, which LLVM's own pass adds. The
//! fuzzer itself is C++.

use std::fs;

use anyhow::{Context, Result, ensure};
use support::process::{self, cargo, output, probe, program};
use support::root;

use crate::programs::Program;

/// How the command is used.
pub(crate) const EXAMPLES: &str = "\
Examples:
  cargo xtask fuzz                                   all targets, a minute each
  cargo xtask fuzz docstore manifest --seconds 600   two of them, longer

What is found lies in target/fuzz/findings; the command that is shown repeats it with that file as its only argument.";

/// The targets, and where in the seeds that the corpus gives lies what each starts from.
const TARGETS: [(&str, &str); 12] = [
    ("values", "index_store.json"),
    ("node", "nodes"),
    ("docstore", "docstore.json"),
    ("index_store", "index_store.json"),
    ("vector_store", "default__vector_store.json"),
    ("graph_store", "graph_store.json"),
    ("property_graph_store", "property_graph_store.json"),
    ("chat_store", "chat_store.json"),
    ("single_file", "index.json"),
    ("filters", ""),
    ("splitters", "texts"),
    ("manifest", ""),
];

const COVERAGE: &str = "--cfg fuzzing --deny warnings -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// What a target may take for one input.
const LIMITS: &str = "-timeout=10 -rss_limit_mb=4096 -max_len=16384 -verbosity=0 -print_final_stats=1";

/// Whether there is a compiler for the fuzzer.
pub(crate) fn ready() -> Result<()> {
    probe(&mut program("c++", "--version")).context("there is no C++ compiler")
}

/// Runs targets, all if none is named, each for so many seconds.
pub(crate) fn run(names: &[String], seconds: u64) -> Result<()> {
    for name in names {
        ensure!(
            TARGETS.iter().any(|(target, _)| target == name),
            "there is no target '{name}'; there are {}",
            TARGETS.map(|(target, _)| target).join(", ")
        );
    }
    ready()?;
    let folder = root().join("target/fuzz");
    let triple = host()?;
    let build =
        format!("build --release --manifest-path xtask/fuzz/Cargo.toml --target {triple} --target-dir target/fuzz");
    process::run(cargo(&build).env("RUSTFLAGS", COVERAGE))?;
    Program::CORPUS.run(&["--seeds".into(), folder.join("seeds").into_os_string()])?;
    let chosen = |name: &str| names.is_empty() || names.iter().any(|chosen| chosen == name);
    let mut findings = Vec::new();
    for (name, seeds) in TARGETS.into_iter().filter(|(name, _)| chosen(name)) {
        println!("\n== {name}");
        let found = format!("target/fuzz/findings/{name}/");
        fs::create_dir_all(root().join(&found))?;
        fs::create_dir_all(folder.join("corpus").join(name))?;
        let binary = folder.join(&triple).join("release").join(name);
        let mut command = program(&binary.to_string_lossy(), LIMITS);
        command.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={found}"));
        command.arg(format!("target/fuzz/corpus/{name}"));
        if !seeds.is_empty() {
            command.arg(format!("target/fuzz/seeds/{seeds}"));
        }
        if root().join("xtask/fuzz/seeds").join(name).is_dir() {
            command.arg(format!("xtask/fuzz/seeds/{name}"));
        }
        if process::run(&mut command).is_err() {
            findings.push(name);
        }
    }
    ensure!(findings.is_empty(), "found something: see target/fuzz/findings of {}", findings.join(", "));
    Ok(())
}

fn host() -> Result<String> {
    let version = String::from_utf8(output(&mut program("rustc", "-vV"))?)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}
