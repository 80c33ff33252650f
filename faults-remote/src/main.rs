//! Tries what can happen to places on real servers, and prints a table of how it ended: `cargo xtask faults` starts the
//! servers and this.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::env;
use std::process::{Command, ExitCode};

use faults_remote::rows::{self, Plan};
use faults_remote::{child, without};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(("child", rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        child::run(rest);
        return ExitCode::SUCCESS;
    }
    let value = |name: &str| arguments.iter().skip_while(|word| *word != name).nth(1).cloned();
    let number = |name: &str, default: u64| value(name).map_or(default, |text| text.parse().unwrap());
    if arguments.iter().any(|word| word == "--self-test") {
        return self_test();
    }
    let plan = Plan {
        seed: number("--seed", 1),
        rounds: number("--rounds", 8) as usize,
        all: arguments.iter().any(|word| word == "--all"),
    };
    let only = value("--only").unwrap_or_default();
    let mut lost = 0;
    println!("| fault | place | tried | survived | lost |\n|---|---|---|---|---|");
    without::on_this_thread(rows::run(plan, &only, |row| {
        println!("{row}");
        lost += row.lost.len();
    }));
    if lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Takes one mechanism after the other out of the protocol, and demands that something is lost.
fn self_test() -> ExitCode {
    let mut unnoticed = 0;
    for (mechanism, only) in without::MECHANISMS {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--only", only, "--rounds", "4"]).env(without::VARIABLE, format!("{mechanism:?}"));
        let noticed = !command.output().unwrap().status.success();
        println!("without {mechanism:?}: {}", if noticed { "noticed" } else { "NOT NOTICED" });
        unnoticed += usize::from(!noticed);
    }
    if unnoticed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
