//! The driver of the automation: `cargo xtask` lists the commands. What compares, injects faults or measures is a
//! package of its own beneath this folder, which the driver builds and runs.

mod bench;
mod check;
mod counts;
mod faults;
mod features;
mod fuzz;
mod interchange;
mod metadata;
mod programs;
mod recall;
mod services;
mod test;
mod tidy;
mod torture;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use programs::Program;

/// Everything that builds, checks and measures this workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What to run after each edit: format, lints and rules of the whole, tests of the changed packages
    #[command(after_help = check::EXAMPLES)]
    Check(check::Options),
    /// Everything that must pass before a change lands. CI runs this
    #[command(after_help = test::EXAMPLES)]
    Test(test::Options),
    /// The long checks: every fault, fuzzing, Miri, other platforms, a hundred times more random cases
    Torture {
        /// Install what is missing: toolchains, components and targets, a C++ compiler
        #[arg(long)]
        install: bool,
    },
    /// Measures work of ours beside LlamaIndex and the limits of the machine, in one run, and prints ratios
    #[command(disable_help_flag = true)]
    Bench(Rest),
    /// Checks the rules of the workspace: floors, dependencies, READMEs, absences. Takes a second
    Tidy,
    /// Checks that each crate compiles alone: without features, with the default ones, with each by itself
    Features {
        /// Also every pair of features
        #[arg(long)]
        all: bool,
    },
    /// Compares with LlamaIndex's recorded answers, and prints what agrees, by version and area
    #[command(disable_help_flag = true)]
    Corpus(Rest),
    /// Works on the same random contexts as a real LlamaIndex, in turn, and compares all files and answers; --on s3: in a
    /// bucket
    #[command(disable_help_flag = true)]
    Interchange(Rest),
    /// Persists while processes are killed, calls fail, disks are full and the power goes; --on s3: on a real S3 server
    #[command(disable_help_flag = true)]
    Faults(Rest),
    /// Feeds everything that reads texts with mutations of the corpus, for a bounded time. Needs a C++ compiler
    #[command(after_help = fuzz::EXAMPLES)]
    Fuzz {
        /// Which targets. Default: all, one after the other
        targets: Vec<String>,
        /// How long each runs
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Measures how often the passage that answers a question is found, by the embedders that need no service
    Recall {
        /// Also demand that README.md says the same
        #[arg(long)]
        check: bool,
    },
    /// Runs the servers that stores are tested on, and prints how to reach them, until Enter is pressed
    #[command(after_help = services::EXAMPLES)]
    Services,
}

/// The arguments of a program that explains them itself.
#[derive(clap::Args)]
struct Rest {
    /// See `--help` of this command
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Test(options) => return test::run(&options),
        Command::Check(options) => check::run(&options),
        Command::Torture { install } => torture::run(install),
        Command::Bench(Rest { rest }) => bench::run(&rest),
        Command::Tidy => tidy::run(),
        Command::Features { all } => features::run(all).map(drop),
        Command::Corpus(Rest { rest }) => Program::CORPUS.run(&rest),
        Command::Interchange(Rest { rest }) => interchange::run(&rest),
        Command::Faults(Rest { rest }) => faults::run(rest),
        Command::Fuzz { targets, seconds } => fuzz::run(&targets, seconds),
        Command::Recall { check } => recall::run(check),
        Command::Services => services::run(),
    };
    support::exit(result)
}
