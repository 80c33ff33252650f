//! The automation of the workspace: `cargo xtask` lists the commands. Each lives in the file of its name.

mod bench;
mod corpus;
mod corpus_data;
mod faults;
mod features;
mod fuzz;
mod interchange;
mod metadata;
mod process;
mod random;
mod recall;
mod services;
mod test;
mod tidy;
mod torture;
mod venv;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Everything that builds, checks and measures this workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that must pass before a change lands. CI runs this
    Test,
    /// Measures, and prints ratios: against the disk or a peer, within one run
    #[command(after_help = BENCH_EXAMPLES)]
    Bench {
        /// Which questions, each a file in benches/benches. Default: those that answer in ratios
        names: Vec<String>,
        /// With a tenth of the data
        #[arg(long)]
        small: bool,
    },
    /// Checks the rules of the house: floors, dependencies, READMEs, absences. Takes a second
    Tidy,
    /// Checks that each crate compiles alone: without features, with the default ones, with each by itself
    Features {
        /// Also every pair of features
        #[arg(long)]
        all: bool,
    },
    /// The long checks: fuzzing, Miri, other platforms, the oldest Rust, a hundred times more random cases
    Torture {
        /// Install what is missing: toolchains, components and targets, a C++ compiler
        #[arg(long)]
        install: bool,
    },
    /// Compares with LlamaIndex's recorded answers, and prints what agrees, by version and area
    #[command(after_help = CORPUS_EXAMPLES)]
    Corpus {
        /// Folders of recordings, laid out as xtask/corpus/README.md says. Default: the repository's own
        dirs: Vec<PathBuf>,
        /// Also name every deviation and every question that cannot be answered yet
        #[arg(long, short)]
        verbose: bool,
        /// Instead alter this many recorded answers at random, and demand that each alteration is noticed
        #[arg(long, value_name = "N")]
        self_test: Option<usize>,
        /// What the self-test's random choices start from
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Instead compare the splitters with the recorded answers in this file
        #[arg(long, value_name = "FILE")]
        splitters: Option<PathBuf>,
    },
    /// Persists while processes are killed, calls fail, disks are full and the power goes, and looks at what is left
    #[command(after_help = faults::EXAMPLES)]
    Faults(faults::Options),
    /// Feeds everything that reads texts with mutations of the corpus, for a bounded time. Needs a C++ compiler
    #[command(after_help = FUZZ_EXAMPLES)]
    Fuzz {
        /// Which targets. Default: all, one after the other
        targets: Vec<String>,
        /// How long each runs
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Works on the same random contexts as a real LlamaIndex, in turn, and compares all files and answers
    #[command(after_help = INTERCHANGE_EXAMPLES)]
    Interchange {
        /// How many random contexts
        #[arg(long, default_value_t = SEEDS)]
        seeds: usize,
        /// Only this one
        #[arg(long)]
        seed: Option<u64>,
        /// Where random contexts start
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// Where the files of failing contexts are kept
        #[arg(long, value_name = "DIR")]
        keep: Option<PathBuf>,
        /// Instead alter this many files and answers at random, and demand that each alteration is noticed
        #[arg(long, value_name = "N")]
        self_test: Option<usize>,
    },
    /// Measures how often the passage that answers a question is found, by the embedders that need no service
    Recall {
        /// Also demand that README.md says the same
        #[arg(long)]
        check: bool,
    },
    /// Runs the servers that places and stores are tested on, and says how to reach them, until Enter is pressed
    #[command(after_help = SERVICES_EXAMPLES)]
    Services,
    /// For maintainers: packs recorded LlamaIndex directories into xtask/corpus
    CorpusPack {
        /// The folder of recordings, laid out as xtask/corpus/README.md says
        source: PathBuf,
    },
}

const BENCH_EXAMPLES: &str = "\
Examples:
  cargo xtask bench                                  what a commit costs, in a minute
  cargo xtask bench --small commit                   the same with a tenth of the data
  cargo xtask bench vector_query persist_load        times, by criterion";

const CORPUS_EXAMPLES: &str = "\
Examples:
  cargo xtask corpus --verbose                       the repository's own recordings, with every deviation
  cargo xtask corpus ~/recordings                    others
  cargo xtask corpus --self-test 1000                would a wrong answer be noticed?";

const FUZZ_EXAMPLES: &str = "\
Examples:
  cargo xtask fuzz                                   all targets, a minute each
  cargo xtask fuzz docstore manifest --seconds 600   two of them, longer

What is found lies in target/fuzz/findings; the command that is shown repeats it with that file as its only argument.";

const INTERCHANGE_EXAMPLES: &str = "\
Examples:
  cargo xtask interchange --seeds 50                 50 random contexts
  cargo xtask interchange --seed 17 --keep kept      one that failed, with its files";

const SERVICES_EXAMPLES: &str = "\
Example: cargo xtask services, then in another terminal the lines that it prints, and
  cargo test --package faults-remote --all-features";

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Test => return test::run(),
        Command::Bench { names, small } => bench::run(&names, small),
        Command::Tidy => tidy::run(),
        Command::Features { all } => features::run(all),
        Command::Torture { install } => torture::run(install),
        Command::Corpus { splitters: Some(file), .. } => corpus::splitters::compare(&file).and_then(corpus::demand),
        Command::Corpus { dirs, self_test: Some(alterations), seed, .. } => corpus::self_test(&dirs, alterations, seed),
        Command::Corpus { dirs, verbose, .. } => corpus::run(&dirs, verbose),
        Command::Faults(options) => faults::run(&options),
        Command::Fuzz { targets, seconds } => fuzz::run(&targets, seconds),
        Command::Interchange { self_test: Some(alterations), from, .. } => interchange::self_test(from, alterations),
        Command::Interchange { seeds, seed, from, keep, .. } => {
            let options = interchange::Options {
                from: seed.unwrap_or(from),
                seeds: if seed.is_some() { 1 } else { seeds },
                keep,
            };
            interchange::run(&options).and_then(interchange::demand)
        }
        Command::Recall { check } => recall::run(check),
        Command::Services => services::run(),
        Command::CorpusPack { source } => corpus_data::pack(&source, &corpus_data::archives(&root())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// How many random contexts are tried with LlamaIndex.
const SEEDS: usize = 300;
const SEEDS_OF_TORTURE: usize = 2000;

/// How many files and answers are altered there, to see whether it is noticed.
const CHANGES: usize = 40;
const CHANGES_OF_TORTURE: usize = 500;

/// How many alterations of recorded answers the self-test tries.
const ALTERATIONS: usize = 150;
const ALTERATIONS_OF_TORTURE: usize = 5000;

/// The corpus step of `test`: the comparison, and whether it would notice a wrong answer. Every answer counts as a
/// test.
fn corpus_step() -> Result<test::Counts> {
    let mut counts = corpus::compare(&[], false)?;
    corpus::self_test(&[], ALTERATIONS, 1)?;
    counts += corpus::splitters::compare(&corpus_data::splitters(&root()))?;
    Ok(counts)
}

/// The step of `test` with a real LlamaIndex: random contexts, and whether a wrong value would be noticed. Every context
/// counts as a test.
fn interchange_step() -> Result<test::Counts> {
    let counts = interchange::run(&interchange::Options { from: 1, seeds: SEEDS, keep: None })?;
    interchange::self_test(1, CHANGES)?;
    Ok(counts)
}

/// That of `torture`, with other contexts.
fn interchange_torture() -> Result<()> {
    interchange::self_test(10_001, CHANGES_OF_TORTURE)?;
    let options = interchange::Options { from: 10_001, seeds: SEEDS_OF_TORTURE, keep: None };
    interchange::run(&options).and_then(interchange::demand)
}

/// The corpus step of `torture`.
fn corpus_self_test() -> Result<()> {
    corpus::self_test(&[], ALTERATIONS_OF_TORTURE, 2)
}

/// The root of the workspace.
fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().expect("xtask lies in the workspace").to_path_buf()
}
