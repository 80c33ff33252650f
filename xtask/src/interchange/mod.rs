//! Agreement with the real LlamaIndex: random contexts are made, changed, persisted and opened by it and by us, in turn
//! and on each other's files, and everything must come out the same.

mod apply;
mod apply_indexes;
mod cast;
mod compare;
mod example;
mod existing;
mod indexes;
mod models;
mod nodes;
mod operations;
mod plan;
mod python;
mod questions;
mod refreshing;
mod renaming;
mod request;
mod same_folder;
mod scenario;
mod searches;
mod shrink;
mod splitting;
mod tamper;
mod text;
mod values;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, anyhow, ensure};
use colca::raw_json::{Value, py_str};

use crate::test::Counts;
use crate::venv;
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
    let start = Instant::now();
    let mut told = start;
    let mut counts = Counts::default();
    let mut python = Python::new(python()?);
    let folder = target().join(format!("example-{}", std::process::id()));
    let mut compared = check_written_filters(&mut python)?;
    compared += example::check(&mut python, &folder).context("the example 'persist_and_load'")?;
    compared += same_folder::check(&mut python, &folder).context("one folder for both")?;
    compared += refreshing::check(&mut python, &folder)?;
    compared += splitting::check(&mut python, options.from, TEXTS).context("splitting texts")?;
    drop(python);
    let work = |workplace: &mut Workplace, seed| {
        let plan = Plan::random(seed);
        match workplace.carry_out(&plan, &mut Tamper::nothing()) {
            Ok(compared) => Ok(Ok(compared)),
            Err(error) => workplace.report(seed, plan, &error, options.keep.as_deref()).map(Err),
        }
    };
    let seeds: Vec<u64> = (options.from..).take(options.seeds).collect();
    for_each(&seeds, work, |result| {
        match result {
            Ok(n) => {
                counts.passed += 1;
                compared += n;
            }
            Err(report) => {
                counts.failed += 1;
                println!("{report}");
            }
        }
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            println!("{} of {} seeds, {compared} comparisons", counts.passed + counts.failed, options.seeds);
        }
    })?;
    let (seeds, seconds) = (counts.passed + counts.failed, start.elapsed().as_secs_f64());
    println!("{} of {seeds} seeds agree with LlamaIndex, {compared} comparisons, {seconds:.0} seconds", counts.passed);
    Ok(counts)
}

/// What is installed to compare with. The versions are those that the recorded answers come from.
const PACKAGES: [&str; 5] =
    ["llama-index-core==0.14.25", "nltk==3.10.4", "pydantic==2.11.10", "numpy==2.3.5", "scikit-learn==1.7.2"];

/// How many random texts are split.
const TEXTS: usize = 1_000;

/// Demands that LlamaIndex answers what docs/filters.md says. Counts the cells of its table.
fn check_written_filters(python: &mut Python) -> Result<usize> {
    let (questions, written): (Vec<_>, Vec<_>) = searches::written_cells()?.into_iter().unzip();
    python.ask("begin", [("ctx", "filters".into()), ("property_graph", false.into())])?;
    let answers = python.ask("ask", [("ctx", "filters".into()), ("questions", questions.clone().into())])?;
    let answers = compare::theirs(answers);
    ensure!(answers.len() == written.len() && !written.is_empty(), "an answer is missing");
    for ((question, answer), written) in questions.iter().zip(&answers).zip(&written) {
        let told = match answer.get("ok") {
            Some(Value::Bool(true)) => "yes",
            Some(_) => "-",
            None => "error",
        };
        ensure!(told == written, "docs/filters.md says '{written}', LlamaIndex {answer} to {question}");
    }
    Ok(written.len())
}

/// Alters one value in each of so many runs, and demands that each is noticed.
pub(crate) fn self_test(from: u64, alterations: usize) -> Result<()> {
    /// How often a run hands over files or answers.
    const CHANCES: u64 = 20;
    let mut unnoticed = Vec::new();
    let mut tried = 0;
    let work = |workplace: &mut Workplace, seed| {
        let mut tamper = Tamper::after((seed % CHANCES) as usize, seed);
        let result = workplace.carry_out(&Plan::random(seed), &mut tamper);
        Ok((seed, tamper.done, result.is_err()))
    };
    let seeds: Vec<u64> = (from..).take(alterations).collect();
    for_each(&seeds, work, |(seed, done, noticed)| {
        // An empty context has nothing to alter.
        if let Some(change) = done {
            tried += 1;
            if !noticed {
                unnoticed.push(format!("seed {seed}: {change}"));
            }
        }
    })?;
    unnoticed.iter().for_each(|change| println!("unnoticed: {change}"));
    println!("{} of {tried} alterations were noticed", tried - unnoticed.len());
    ensure!(unnoticed.is_empty() && tried > 0, "the comparison has holes");
    Ok(())
}

/// The Python environment of all this; it is made if need be.
pub(crate) fn python() -> Result<PathBuf> {
    venv::find(&target().join("venv"), &PACKAGES, "python")
}

/// Where all of this happens.
fn target() -> PathBuf {
    crate::root().join("target/interchange")
}

/// Works on the seeds, several at a time, and hands over the results as they come.
fn for_each<T: Send>(
    seeds: &[u64],
    work: impl Fn(&mut Workplace, u64) -> Result<T> + Sync,
    mut told: impl FnMut(T),
) -> Result<()> {
    let target = target();
    let python = python()?;
    // Half of the time goes into waiting for disks and pipes.
    let workers = thread::available_parallelism().map_or(2, |n| 2 * n.get()).min(seeds.len());
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (results, received) = mpsc::channel();
        for worker in 0..workers {
            let (python, target, next, work, results) = (&python, &target, &next, &work, results.clone());
            scope.spawn(move || {
                let mut workplace = Workplace::new(python, target, worker);
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = workplace.as_mut().map_err(|e| anyhow!("{e:#}")).and_then(|place| work(place, *seed));
                    let failed = result.is_err();
                    if results.send(result).is_err() || failed {
                        break;
                    }
                }
            });
        }
        drop(results);
        received.into_iter().try_for_each(|result| result.map(&mut told))
    })
}

/// A Python with LlamaIndex and a folder to work in.
struct Workplace {
    python: Python,
    folder: PathBuf,
}

impl Workplace {
    fn new(python: &Path, target: &Path, worker: usize) -> Result<Self> {
        let mut python = Python::new(python.to_owned());
        let hello = python.ask("hello", []);
        let advice = "LlamaIndex does not start; when target/interchange is deleted, it is installed again";
        let hello = hello.context(advice)?;
        if worker == 0 {
            let version = |name: &str| hello.get(name).map(py_str).unwrap_or_default();
            println!("llama-index-core {}, Python {}", version("llama-index-core"), version("python"));
        }
        // Processes that run at the same time do not disturb each other.
        Ok(Self { python, folder: target.join(format!("run-{}-{worker}", std::process::id())) })
    }

    fn carry_out(&mut self, plan: &Plan, tamper: &mut Tamper) -> Result<usize> {
        scenario::run(&mut self.python, plan, &self.folder, tamper)
    }

    /// Tells of a failing plan: the smallest that fails, how, and what repeats it.
    fn report(&mut self, seed: u64, plan: Plan, error: &anyhow::Error, keep: Option<&Path>) -> Result<String> {
        let smallest = shrink::shrink(plan, |plan| {
            plan.is_well_defined() && self.carry_out(plan, &mut Tamper::nothing()).is_err()
        });
        let mut report = format!("seed {seed} differs:\n{smallest}");
        report += &match self.carry_out(&smallest, &mut Tamper::nothing()) {
            Ok(_) => format!("it differs no more. Before: {}", printable(error)),
            Err(error) => printable(&error),
        };
        if let Some(keep) = keep {
            let to = keep.join(format!("seed-{seed}"));
            fs::create_dir_all(keep)?;
            if to.exists() {
                fs::remove_dir_all(&to)?;
            }
            fs::rename(&self.folder, &to).with_context(|| format!("cannot move the files to {}", to.display()))?;
            report += &format!("\nits files are in {}", to.display());
        }
        Ok(report + &format!("\n`cargo xtask interchange --seed {seed}` repeats it\n"))
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// An error without what a terminal would not show, or obey.
fn printable(error: &anyhow::Error) -> String {
    let print = |c: char| if c.is_ascii_graphic() || c == ' ' { c.to_string() } else { c.escape_default().to_string() };
    format!("{error:#}").chars().map(print).collect()
}

/// Whatever failed is an error of the command.
pub(crate) fn demand(counts: Counts) -> Result<()> {
    ensure!(counts.failed == 0, "{} seeds differ from LlamaIndex", counts.failed);
    Ok(())
}
