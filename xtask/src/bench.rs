//! `cargo xtask bench`: measures, in the release build. Absolute times say nothing about another machine; ratios do.

use anyhow::Result;

use crate::process::{self, cargo};

/// The benchmarks that print ratios.
const RATIOS: &[&str] = &["commit"];

/// Runs the benchmarks of these names.
pub(crate) fn run(names: &[String], small: bool) -> Result<()> {
    let names: Vec<&str> = match names {
        [] => RATIOS.to_vec(),
        names => names.iter().map(String::as_str).collect(),
    };
    for name in names {
        let mut bench = cargo("bench --quiet --package benches");
        bench.args(["--bench", name]);
        if small {
            bench.args(["--", "--small"]);
        }
        process::run(&mut bench)?;
    }
    Ok(())
}
