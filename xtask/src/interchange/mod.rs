//! Agreement with the real LlamaIndex: random contexts are made, changed, persisted and opened by it and by us, in turn
//! and on each other's files, and everything must come out the same.

mod apply;
mod cast;
mod compare;
mod nodes;
mod operations;
mod plan;
mod python;
mod questions;
mod scenario;
mod shrink;
mod tamper;
mod text;
mod values;
mod venv;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use colca::raw_json::{PyString, Value};

use crate::test::Counts;
use plan::Plan;
use python::Python;
use tamper::Tamper;

/// Which plans are carried out.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The first seed and how many.
    pub(crate) from: u64,
    pub(crate) seeds: usize,
    /// Where the files of a failing plan are kept.
    pub(crate) keep: Option<PathBuf>,
}

/// Carries out the plans of these seeds. The counts are of seeds.
pub(crate) fn run(options: &Options) -> Result<Counts> {
    let mut work = Workplace::new()?;
    let start = Instant::now();
    let mut told = start;
    let mut counts = Counts::default();
    let mut compared = 0;
    for seed in (options.from..).take(options.seeds) {
        let plan = Plan::random(seed);
        match work.carry_out(&plan, &mut Tamper::nothing()) {
            Ok(n) => {
                counts.passed += 1;
                compared += n;
            }
            Err(error) => {
                counts.failed += 1;
                work.report(seed, plan, &error, options.keep.as_deref())?;
            }
        }
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            println!("{} of {} seeds, {compared} comparisons", counts.passed + counts.failed, options.seeds);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} of {} seeds agree with LlamaIndex, {compared} comparisons, {seconds:.0} seconds",
        counts.passed,
        counts.passed + counts.failed
    );
    Ok(counts)
}

/// Alters one value in each of so many runs, and demands that each is noticed.
pub(crate) fn self_test(from: u64, alterations: usize) -> Result<()> {
    /// How often a run hands over files or answers.
    const CHANCES: u64 = 20;
    let mut work = Workplace::new()?;
    let mut unnoticed = Vec::new();
    let mut tried = 0;
    let mut seed = from;
    while tried < alterations {
        ensure!(seed < from + 20 * alterations as u64, "there is hardly anything to alter");
        let mut tamper = Tamper::after((seed % CHANCES) as usize, seed);
        let result = work.carry_out(&Plan::random(seed), &mut tamper);
        if let Some(change) = tamper.done {
            tried += 1;
            if result.is_ok() {
                unnoticed.push(format!("seed {seed}: {change}"));
            }
        }
        seed += 1;
    }
    for change in &unnoticed {
        println!("unnoticed: {change}");
    }
    println!("{} of {tried} alterations were noticed", tried - unnoticed.len());
    ensure!(unnoticed.is_empty(), "the comparison has holes");
    Ok(())
}

/// A Python with LlamaIndex and a folder to work in.
struct Workplace {
    python: Python,
    folder: PathBuf,
}

impl Workplace {
    fn new() -> Result<Self> {
        let target = crate::root().join("target/interchange");
        let mut python = Python::new(venv::python(&target)?);
        let hello = python
            .ask("hello", [])
            .context("LlamaIndex does not start; does target/interchange/venv need to be made again?")?;
        let version = |name: &str| hello.get(name).and_then(Value::as_str).map(PyString::to_string).unwrap_or_default();
        println!("llama-index-core {}, Python {}", version("llama-index-core"), version("python"));
        // Runs of different processes do not disturb each other.
        Ok(Self { python, folder: target.join(format!("run-{}", std::process::id())) })
    }

    fn carry_out(&mut self, plan: &Plan, tamper: &mut Tamper) -> Result<usize> {
        scenario::run(&mut self.python, plan, &self.folder, tamper)
    }

    /// Tells of a failing plan: the smallest that fails like it, how, and what repeats it.
    fn report(&mut self, seed: u64, plan: Plan, error: &anyhow::Error, keep: Option<&Path>) -> Result<()> {
        println!("seed {seed}: {error:#}\nmaking it smaller...");
        let smallest = shrink::shrink(plan, |plan| self.carry_out(plan, &mut Tamper::nothing()).is_err());
        println!("{smallest}");
        match self.carry_out(&smallest, &mut Tamper::nothing()) {
            Ok(_) => println!("it failed before, and does not fail now"),
            Err(error) => println!("{error:#}"),
        }
        if let Some(keep) = keep {
            let to = keep.join(format!("seed-{seed}"));
            fs::create_dir_all(keep)?;
            if to.exists() {
                fs::remove_dir_all(&to)?;
            }
            fs::rename(&self.folder, &to).with_context(|| format!("cannot move the files to {}", to.display()))?;
            println!("its files are in {}", to.display());
        }
        println!("`cargo xtask interchange --seed {seed}` repeats it\n");
        Ok(())
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Whatever failed is an error of the command.
pub(crate) fn demand(counts: Counts) -> Result<()> {
    if counts.failed > 0 {
        bail!("{} seeds differ from LlamaIndex", counts.failed);
    }
    Ok(())
}
