//! `cargo xtask faults --on s3`: tries what can happen to locations on a real server, and prints a table of how it ended.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::env;
use std::process::{Command, ExitCode};

use clap::Parser;
use faults_remote::rows::{self, Plan};
use faults_remote::{child, table, without};
use support::{RESULT, thousands};

/// Writes to a bucket while writers are killed, late or racing, readers read and the network breaks, and looks at what
/// is left.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask faults --on s3", after_help = EXAMPLES)]
struct Options {
    /// What the random choices start from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many rounds races go, and how often a writer is killed at a random moment
    #[arg(long, default_value_t = 100)]
    rounds: usize,
    /// Only rows whose names have this in them
    #[arg(long, value_name = "WORDS", default_value = "")]
    only: String,
    /// Faults that are tried on single requests: on one in N, chosen at random. Default: on every request
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    one_in: u64,
    /// Also write the table into docs/reliability.md
    #[arg(long, conflicts_with_all = ["only", "one_in", "self_test"])]
    write: bool,
    /// Instead take mechanisms out of the protocol, and demand that each absence is noticed
    #[arg(long)]
    self_test: bool,
}

const EXAMPLES: &str = "\
Rows: races, kills, moments, late, pauses, readers, network, conditions, restarts

Examples:
  cargo xtask faults --on s3 --one-in 12 --rounds 4  a part of it, in a minute
  cargo xtask faults --on s3 --only kills            every request that a killed writer makes";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(("child", rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        child::run(rest);
        return ExitCode::SUCCESS;
    }
    let options = Options::parse();
    let passed = if options.self_test { self_test() } else { run(&options) };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tries everything. Returns true if something was tried and nothing was lost.
fn run(options: &Options) -> bool {
    let plan = Plan { seed: options.seed, rounds: options.rounds, one_in: options.one_in };
    let (mut tried, mut lost, mut lines) = (0, 0, String::new());
    print!("{}", table::HEAD);
    without::on_this_thread(rows::run(plan, &options.only, |row| {
        println!("{row}");
        lines += &format!("{row}\n");
        tried += row.tried;
        lost += row.lost.len();
    }));
    println!("{RESULT}{} faults on S3 tried, {lost} lost something", thousands(tried));
    if options.write {
        let document = support::root().join("docs/reliability.md");
        support::marked::write(table::MARKS, &(table::HEAD.to_owned() + &lines), &document).unwrap();
    }
    tried > 0 && lost == 0
}

/// Takes one mechanism after the other out of the protocol. Returns true if something is lost each time.
fn self_test() -> bool {
    let mut noticed = 0;
    for (mechanism, only) in without::MECHANISMS {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--only", only, "--rounds", "4", "--one-in", "12"]);
        command.env(without::VARIABLE, format!("{mechanism:?}"));
        let output = command.output().unwrap();
        // A process that fails in any other way has noticed nothing.
        let lost = output.status.code() == Some(table::NOTICED);
        println!("without {mechanism:?}: {}", if lost { "noticed" } else { "NOT NOTICED" });
        if !lost {
            println!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        noticed += usize::from(lost);
    }
    let all = without::MECHANISMS.len();
    println!("{RESULT}{noticed} of {all} holes in the protocol are noticed on S3");
    noticed == all
}
