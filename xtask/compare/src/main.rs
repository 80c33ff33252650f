//! `cargo xtask bench`: work of ours beside the same work of LlamaIndex and beside what the machine can do at best, in
//! turn and in one run. Ratios are the result; times are those of the machine of the day.

mod data;
mod limits;
mod output;
mod peer;
mod row;
mod rows;
mod timing;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use support::root;

use data::{Data, Size};
use peer::Peer;
use row::Row;
use rows::ROWS;

/// Measures work of ours beside LlamaIndex and the limits of the machine, in one run, and prints ratios.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench", after_help = EXAMPLES)]
struct Args {
    /// Which rows. Default: all
    rows: Vec<String>,
    /// With a tenth of the nodes and half of the dimensions
    #[arg(long)]
    quick: bool,
    /// Also write all times and ratios into this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write the ratios into docs/benchmarks.md, each row into its own section
    #[arg(long, conflicts_with = "quick")]
    write: bool,
}

const EXAMPLES: &str = "\
Rows: commit, open, query, get-nodes, persist, s3

Examples:
  cargo xtask bench --quick                          every row, in half a minute
  cargo xtask bench open query --json times.json     two of them, for a program to read
  cargo xtask bench --write                          everything, into docs/benchmarks.md";

/// What rows work with.
struct Bench {
    data: Data,
    llama_index: Peer,
}

fn main() -> ExitCode {
    support::exit(run(&Args::parse()))
}

fn run(args: &Args) -> Result<()> {
    let rows = chosen(&args.rows)?;
    let size = if args.quick { Size::QUICK } else { Size::FULL };
    println!("This measures, with {size}:\n");
    for row in &rows {
        println!("  {:<10} {:>4} s   {}", row.name, row.seconds(args.quick), row.work);
    }
    let seconds: u64 = rows.iter().map(|row| row.seconds(args.quick)).sum();
    println!("\nIt takes about {seconds} seconds.\n");
    let mut bench = Bench { data: Data::find(size)?, llama_index: Peer::llama_index() };
    let mut measured = Vec::new();
    for row in rows {
        println!("{} …", row.name);
        let lines = (row.measure)(&mut bench).with_context(|| format!("row '{}'", row.name))?;
        measured.push((row, lines));
    }
    print!("\n{}", output::table(&measured));
    if let Some(file) = &args.json {
        std::fs::write(file, output::json(&measured, size))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    if args.write {
        let document = root().join("docs/benchmarks.md");
        measured.iter().try_for_each(|(row, lines)| output::write(row, lines, size, &document))?;
    }
    Ok(())
}

/// The rows of these names, all if none is named.
fn chosen(names: &[String]) -> Result<Vec<&'static Row>> {
    for name in names {
        let known = || ROWS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
        ensure!(ROWS.iter().any(|row| row.name == name), "there is no row '{name}'; there are {}", known());
    }
    Ok(ROWS.iter().filter(|row| names.is_empty() || names.iter().any(|name| name == row.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_by_name() {
        assert_eq!(chosen(&[]).unwrap().len(), ROWS.len());
        assert_eq!(chosen(&["query".to_owned()]).unwrap()[0].name, "query");
        let error = chosen(&["opne".to_owned()]).err().unwrap().to_string();
        assert!(error.starts_with("there is no row 'opne'; there are commit, open, "), "{error}");
    }

    #[test]
    fn the_help_lists_the_rows_and_each_has_a_section() {
        let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        assert!(EXAMPLES.starts_with(&format!("Rows: {}\n", names.join(", "))));
        let document = std::fs::read_to_string(root().join("docs/benchmarks.md")).unwrap();
        for name in names {
            let marks = output::marks(name);
            assert!(marks.iter().all(|mark| document.contains(mark)), "docs/benchmarks.md lacks {marks:?}");
        }
    }
}
