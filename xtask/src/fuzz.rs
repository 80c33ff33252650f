//! `cargo xtask fuzz`: the targets of the package `fuzz`, each for a bounded time.
//!
//! libFuzzer works with the stable toolchain: all it needs are counters on the branches, which LLVM's own pass adds. The
//! fuzzer itself is C++.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use colca::persist::Digest;
use colca::raw_json::{RawJson, Text, Value};

use crate::process::{self, cargo, output, probe, program};
use crate::{corpus, corpus_data, root};

/// The targets, and the files of the corpus that they start from.
const TARGETS: [(&str, &str); 12] = [
    ("values", "index_store.json"),
    ("node", ""),
    ("docstore", "docstore.json"),
    ("index_store", "index_store.json"),
    ("vector_store", "default__vector_store.json"),
    ("graph_store", "graph_store.json"),
    ("property_graph_store", "property_graph_store.json"),
    ("chat_store", "chat_store.json"),
    ("single_file", "index.json"),
    ("filters", ""),
    ("splitters", ""),
    ("manifest", ""),
];

/// Larger files are slow to mutate and show nothing more.
const SEED_BYTES_MAX: u64 = 16 << 10;

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
    let build = format!("build --release --manifest-path fuzz/Cargo.toml --target {triple} --target-dir target/fuzz");
    process::run(cargo(&build).env("RUSTFLAGS", COVERAGE))?;
    seeds(&folder)?;
    let chosen = |name: &str| names.is_empty() || names.iter().any(|chosen| chosen == name);
    let mut findings = Vec::new();
    for (name, _) in TARGETS.into_iter().filter(|(name, _)| chosen(name)) {
        println!("\n== {name}");
        let found = format!("target/fuzz/findings/{name}/");
        fs::create_dir_all(root().join(&found))?;
        fs::create_dir_all(folder.join("corpus").join(name))?;
        let binary = folder.join(&triple).join("release").join(name);
        let mut command = program(&binary.to_string_lossy(), LIMITS);
        command.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={found}"));
        command.args([format!("target/fuzz/corpus/{name}"), format!("target/fuzz/seeds/{name}")]);
        if root().join("fuzz/seeds").join(name).is_dir() {
            command.arg(format!("fuzz/seeds/{name}"));
        }
        if process::run(&mut command).is_err() {
            findings.push(name);
        }
    }
    ensure!(findings.is_empty(), "found something: see target/fuzz/findings of {}", findings.join(", "));
    Ok(())
}

fn host() -> Result<String> {
    let told = String::from_utf8(output(&mut program("rustc", "-vV"))?)?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not tell its host")
}

/// Lays out what each target starts from: the corpus's small files, and the nodes in them.
fn seeds(folder: &Path) -> Result<()> {
    for (target, _) in TARGETS {
        fs::create_dir_all(folder.join("seeds").join(target))?;
    }
    for text in corpus::splitters::texts()?.iter().filter(|text| text.len() as u64 <= SEED_BYTES_MAX) {
        let name = Digest::of(text.as_bytes()).to_string();
        fs::write(folder.join("seeds/splitters").join(name), text)?;
    }
    for case in corpus_data::cases(&corpus_data::unpack(&root())?)? {
        for entry in fs::read_dir(case.join("persist"))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if entry.metadata()?.len() > SEED_BYTES_MAX {
                continue;
            }
            let file = fs::read(entry.path())?;
            let seed = |target: &str, bytes: &[u8]| {
                fs::write(folder.join("seeds").join(target).join(Digest::of(bytes).to_string()), bytes)
            };
            for (target, _) in TARGETS.iter().filter(|(_, file)| *file == name) {
                seed(target, &file)?;
            }
            for node in nodes(file) {
                seed("node", &node)?;
            }
        }
    }
    Ok(())
}

/// The texts of the nodes in a file, if it is one of a document store.
fn nodes(file: Vec<u8>) -> Vec<Vec<u8>> {
    let Ok(raw) = Text::decode(file).and_then(|text| RawJson::parse(&text)) else { return Vec::new() };
    let value = raw.value();
    let nodes = value.get("docstore/data").and_then(Value::as_object).into_iter().flatten();
    nodes.map(|(_, node)| node.to_string().into_bytes()).collect()
}
