//! Agreement with the real LlamaIndex: random contexts are made, changed, persisted and opened by it and by us, in turn
//! and on each other's files, on a disk and in a bucket, and everything must come out the same.

mod apply;
mod apply_indexes;
mod cast;
mod compare;
mod errors;
mod example;
mod existing;
mod indexes;
mod large_files;
mod location;
mod models;
mod nodes;
mod operations;
mod plan;
mod python;
mod questions;
mod refreshing;
mod renaming;
mod request;
mod same_location;
mod scenario;
mod searches;
mod shrink;
mod splitting;
mod tamper;
mod text;
mod turns;
mod values;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Parser, ValueEnum};
use colca::raw_json::{Value, py_str};
use support::venv::LLAMA_INDEX;
use support::{RESULT, root, thousands};

use location::Location;
use plan::Plan;
use python::Python;
use tamper::Tamper;
use turns::Turns;

/// Works on the same random contexts as a real LlamaIndex, in turn, and compares all files and answers.
#[derive(Parser)]
#[command(bin_name = "cargo xtask interchange", after_help = EXAMPLES)]
struct Args {
    /// Where the contexts are
    #[arg(long, value_enum, default_value_t = On::Disk)]
    on: On,
    /// How many random contexts. Default: 300 on a disk, 12 on S3
    #[arg(long)]
    seeds: Option<usize>,
    /// Only this one
    #[arg(long)]
    seed: Option<u64>,
    /// Where random contexts start
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Where the files of failing contexts are kept, of those on a disk
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Instead alter this many files and answers at random, and demand that each alteration is noticed
    #[arg(long, value_name = "N", conflicts_with_all = ["seeds", "seed", "keep"])]
    self_test: Option<usize>,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask interchange --seeds 50                 50 random contexts
  cargo xtask interchange --seed 17 --keep kept      one that failed, with its files
  cargo xtask interchange --on s3                    contexts in a bucket, changed in turn by both sides";

/// Where contexts are persisted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum On {
    /// In folders.
    Disk,
    /// In a bucket, where LlamaIndex works through s3fs.
    S3,
}

impl On {
    /// How many random contexts there are if nothing else is said.
    fn seeds(self) -> usize {
        match self {
            Self::Disk => 300,
            Self::S3 => 12,
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    support::exit(match args.self_test {
        Some(alterations) => self_test(args.on, args.from, alterations),
        None => run(&args),
    })
}

/// Compares what does not depend on chance, unless one seed is wanted, and carries out the plans of the seeds.
fn run(args: &Args) -> Result<()> {
    let start = Instant::now();
    let mut compared = 0;
    if args.seed.is_none() {
        let (fixed, of_what) = match args.on {
            On::Disk => (fixed_comparisons(args.from)?, "filters, splitters and whole folders"),
            On::S3 => (fixed_comparisons_on_s3()?, "whole prefixes on S3"),
        };
        println!("{RESULT}{} comparisons of {of_what} agree", thousands(fixed));
    }
    let (mut shown, mut agree, mut differ) = (start, 0, 0);
    let work = |workplace: &mut Workplace, seed| match args.on {
        On::Disk => {
            let plan = Plan::random(seed);
            match workplace.carry_out(&plan, &mut Tamper::nothing()) {
                Ok(compared) => Ok(Ok(compared)),
                Err(error) => workplace.report(seed, plan, &error, args.keep.as_deref()).map(Err),
            }
        }
        On::S3 => Ok(workplace.take_turns(seed, &mut Tamper::nothing()).map_err(|error| {
            let repeat = format!("`cargo xtask interchange --on s3 --seed {seed}` repeats it");
            format!("seed {seed} differs:\n{}\n{repeat}\n", printable(&error))
        })),
    };
    let seeds: Vec<u64> = match args.seed {
        Some(seed) => vec![seed],
        None => (args.from..).take(args.seeds.unwrap_or(args.on.seeds())).collect(),
    };
    for_each(&seeds, work, |result| {
        match result {
            Ok(n) => {
                agree += 1;
                compared += n;
            }
            Err(report) => {
                differ += 1;
                println!("{report}");
            }
        }
        if shown.elapsed() > Duration::from_secs(10) {
            shown = Instant::now();
            println!("{} of {} seeds, {compared} comparisons", agree + differ, seeds.len());
        }
    })?;
    println!(
        "{RESULT}{} of {} random contexts {}agree with LlamaIndex, {} comparisons",
        thousands(agree),
        thousands(seeds.len()),
        if args.on == On::S3 { "on S3 " } else { "" },
        thousands(compared)
    );
    ensure!(differ == 0, "{differ} seeds differ from LlamaIndex");
    Ok(())
}

/// Compares what is the same in every run, and random texts. Counts the comparisons.
fn fixed_comparisons(seed: u64) -> Result<usize> {
    let mut python = Python::new(&LLAMA_INDEX.python()?);
    let folder = target().join(format!("example-{}", std::process::id()));
    let mut compared = check_written_filters(&mut python)?;
    compared += example::check(&mut python, &folder).context("the example 'persist_and_load'")?;
    compared += same_location::check(&mut python, &Location::folder(&folder)?).context("one folder for both")?;
    fs::remove_dir_all(&folder)?;
    compared += refreshing::check(&mut python, &folder)?;
    compared += splitting::check(&mut python, seed, TEXTS).context("splitting texts")?;
    Ok(compared)
}

/// The same in a bucket.
fn fixed_comparisons_on_s3() -> Result<usize> {
    let mut python = Python::new(&LLAMA_INDEX.python()?);
    let mut compared = same_location::check(&mut python, &Location::in_bucket()?).context("one prefix for both")?;
    compared += large_files::check(&mut python, &Location::in_bucket()?).context("large files")?;
    Ok(compared)
}

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
fn self_test(on: On, from: u64, alterations: usize) -> Result<()> {
    /// How often a run hands over files or answers.
    const CHANCES: u64 = 20;
    let mut unnoticed = Vec::new();
    let mut tried = 0;
    let work = |workplace: &mut Workplace, seed| {
        let mut tamper = Tamper::after((seed % CHANCES) as usize, seed);
        let result = match on {
            On::Disk => workplace.carry_out(&Plan::random(seed), &mut tamper),
            On::S3 => workplace.take_turns(seed, &mut tamper),
        };
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
    let noticed = thousands(tried - unnoticed.len());
    let of_what = if on == On::S3 { "files and answers on S3" } else { "files and answers" };
    println!("{RESULT}{noticed} of {} alterations of {of_what} were noticed", thousands(tried));
    ensure!(unnoticed.is_empty() && tried > 0, "the comparison has holes");
    Ok(())
}

/// Where all of this happens.
fn target() -> PathBuf {
    root().join("target/interchange")
}

/// Works on the seeds, several at a time, and hands over the results as they come.
fn for_each<T: Send>(
    seeds: &[u64],
    work: impl Fn(&mut Workplace, u64) -> Result<T> + Sync,
    mut each: impl FnMut(T),
) -> Result<()> {
    let target = target();
    let python = LLAMA_INDEX.python()?;
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
        received.into_iter().try_for_each(|result| result.map(&mut each))
    })
}

/// A Python with LlamaIndex and a folder to work in.
struct Workplace {
    python: Python,
    folder: PathBuf,
}

impl Workplace {
    fn new(python: &Path, target: &Path, worker: usize) -> Result<Self> {
        let mut python = Python::new(python);
        let hello = python.ask("hello", []);
        let advice = "LlamaIndex does not start; when target/venvs/llama-index is deleted, it is installed again";
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

    /// Takes the turns of a seed in a bucket.
    fn take_turns(&mut self, seed: u64, tamper: &mut Tamper) -> Result<usize> {
        turns::run(&mut self.python, &Turns::random(seed), &Location::in_bucket()?, &self.folder, tamper)
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
