//! `cargo xtask corpus`: compares with LlamaIndex's recorded answers.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use corpus::Counts;
use support::{RESULT, root, thousands};

/// Compares with LlamaIndex's recorded answers, and prints what agrees, by version and area.
#[derive(Parser)]
#[command(bin_name = "cargo xtask corpus", after_help = EXAMPLES)]
struct Args {
    /// Folders of recordings, laid out as xtask/corpus/README.md says. Default: the repository's own
    dirs: Vec<PathBuf>,
    /// Also name every deviation
    #[arg(long, short)]
    verbose: bool,
    /// Instead alter this many recorded answers at random, and demand that each alteration is noticed
    #[arg(long, value_name = "N", conflicts_with = "verbose")]
    self_test: Option<usize>,
    /// What the self-test's random choices start from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Instead compare the splitters with the recorded answers in this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dirs", "self_test", "verbose"])]
    splitters: Option<PathBuf>,
    /// For maintainers: pack these recorded directories into xtask/corpus
    #[arg(long, value_name = "DIR", conflicts_with_all = ["dirs", "self_test", "splitters", "verbose"])]
    pack: Option<PathBuf>,
    /// For fuzzing: lay out small files, nodes and texts of the recordings in this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["dirs", "self_test", "splitters", "verbose", "pack"])]
    seeds: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask corpus --verbose                       the repository's own recordings, with every deviation
  cargo xtask corpus ~/recordings                    others
  cargo xtask corpus --self-test 1000                would a wrong answer be noticed?";

fn main() -> ExitCode {
    support::exit(run(&Args::parse()))
}

fn run(args: &Args) -> Result<()> {
    match args {
        Args { pack: Some(source), .. } => corpus::pack(source, &corpus::archives(&root())),
        Args { seeds: Some(folder), .. } => corpus::lay_out_seeds(folder),
        Args { splitters: Some(file), .. } => demand("splitters", corpus::compare_splitters(file)?),
        Args { self_test: Some(alterations), .. } => corpus::self_test(&args.dirs, *alterations, args.seed),
        _ => {
            let recorded = corpus::compare(&args.dirs, args.verbose)?;
            if args.dirs.is_empty() {
                let splitters = corpus::compare_splitters(&corpus::recorded_splitters(&root()))?;
                demand("splitters", splitters)?;
            }
            demand("stores and indexes", recorded)
        }
    }
}

fn demand(of: &str, counts: Counts) -> Result<()> {
    println!("{RESULT}{} recorded answers agree ({of}), {} differ", thousands(counts.agree), thousands(counts.differ));
    counts.demand()
}
