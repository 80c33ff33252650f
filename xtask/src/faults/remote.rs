//! Faults of places on real servers: the servers are started, and the package `faults-remote` does the rest.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use super::Options;
use super::table::write_between;
use crate::process::{cargo, display};
use crate::services::Services;

const HEAD: &str = "| fault | place | tried | survived | lost |\n|---|---|---|---|---|\n";

const MARKS: [&str; 2] =
    ["<!-- Written by `cargo xtask faults --on s3 --write` from here … -->", "<!-- … to here, S3 -->"];

/// Tries all faults on S3 and prints the table. Fails if anything was lost.
pub(super) fn run(options: &Options) -> Result<()> {
    let services = Services::start()?;
    let mut command = cargo("run --quiet --package faults-remote --");
    if options.self_test {
        command.arg("--self-test");
        services.tell(&mut command);
        println!("$ {}", display(&command));
        ensure!(command.status()?.success(), "the trials have holes");
        return Ok(());
    }
    command.args(["--seed", &options.seed.to_string(), "--rounds", &options.rounds.to_string()]);
    command.args(options.only.iter().flat_map(|only| ["--only", only]));
    if options.sample.is_none() {
        command.arg("--all");
    }
    services.tell(&mut command);
    println!("$ {}", display(&command));
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let mut rows = Vec::new();
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        let line = line?;
        println!("{line}");
        rows.extend(row(&line).map(|[tried, lost]| (line, tried, lost)));
    }
    let status = child.wait()?;
    let (tried, lost) = rows.iter().fold((0, 0), |sum, (_, tried, lost)| (sum.0 + tried, sum.1 + lost));
    let word = if lost == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {} passed; {lost} failed; 0 ignored", tried - lost);
    if options.write {
        let lines: Vec<_> = rows.into_iter().map(|(line, ..)| line + "\n").collect();
        write_between(MARKS, &(HEAD.to_owned() + &lines.concat()), &crate::root().join("docs/reliability.md"))?;
    }
    ensure!(status.success() && lost == 0, "{lost} of {tried} trials lost something");
    ensure!(tried > 0, "nothing was tried");
    Ok(())
}

/// How many trials a line of the table tells of, and how many of them lost something.
fn row(line: &str) -> Option<[usize; 2]> {
    let cells: Vec<&str> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
    let [_, _, tried, _, lost] = cells[..] else { return None };
    Some([tried.parse().ok()?, lost.parse().ok()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_table_are_counted() {
        assert_eq!(row("| a writer | an empty prefix | 12 | 10 | 2 |"), Some([12, 2]));
        assert_eq!(HEAD.lines().filter_map(row).count(), 0);
        assert_eq!(row("LOST: a writer"), None);
    }
}
