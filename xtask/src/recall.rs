//! `cargo xtask recall`: how often the passage that answers a question is found, as the README says. The static model
//! is downloaded once, to `target/recall`, and never committed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use support::process::{self, output};
use support::root;
use support::venv::LLAMA_INDEX;

use crate::programs::Program;

/// The package that has the model.
const MODEL: &str = "wordllama==0.4.0.post1";

/// One of its archives for all platforms: only the model is taken from it, and no code of it runs.
const ARCHIVE: &str = "--platform manylinux2014_x86_64 --implementation cp --python-version 3.11 --abi cp311 \
    --only-binary :all: --no-deps";

/// Measures and prints the table; with `check`, the README must have the same one.
pub(crate) fn run(check: bool) -> Result<()> {
    Program::RECALL.build()?;
    match check {
        true => compare(&root().join("README.md")),
        false => measure().map(|table| print!("{table}")),
    }
}

/// Measures and prints the table, and demands that this document has the same one. The example must have been compiled.
pub(crate) fn compare(document: &Path) -> Result<()> {
    let table = measure()?;
    print!("{table}");
    has_table(&fs::read_to_string(document)?, &table)
}

fn measure() -> Result<String> {
    let model = model(&root().join("target/recall"))?;
    Ok(String::from_utf8(output(Program::RECALL.command()?.arg(model))?)?)
}

/// The folder with the model; it is downloaded if need be.
fn model(target: &Path) -> Result<PathBuf> {
    let folder = target.join(MODEL);
    if !folder.exists() {
        let part = target.join("part");
        if part.exists() {
            fs::remove_dir_all(&part).with_context(|| format!("cannot remove {}", part.display()))?;
        }
        let mut pip = Command::new(LLAMA_INDEX.python()?);
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off", "--no-compile"]);
        pip.args(ARCHIVE.split_whitespace()).arg("--target").arg(&part).arg(MODEL);
        process::run(&mut pip).context("cannot download the model; once it is there, no network is needed any more")?;
        fs::rename(&part, &folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    Ok(folder.join("wordllama"))
}

/// Demands that the README has this table.
fn has_table(readme: &str, table: &str) -> Result<()> {
    ensure!(!table.trim().is_empty(), "nothing was measured");
    let same = format!("\n{}\n", readme.replace("\r\n", "\n")).contains(&format!("\n\n{}\n\n", table.trim()));
    ensure!(same, "README.md has another table under 'Finding'; this is what was measured:\n{}", table.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "| recall | at 1 |\n|---|---|\n| `A` | 0.50 |\n";

    fn check(readme: &str, expected: bool) {
        assert_eq!(has_table(readme, TABLE).is_ok(), expected, "{readme}");
    }

    #[test]
    fn the_whole_table_must_be_there_and_the_same() {
        check(&format!("Before.\n\n{TABLE}\nAfter.\n"), true);
        check(&format!("Before.\n\n{TABLE}\nAfter.\n").replace('\n', "\r\n"), true);
        check(&format!("Before.\n\n{}\nAfter.\n", TABLE.replace("0.50", "0.52")), false);
        check(&format!("Before.\n\n{TABLE}| `B` | 0.70 |\n\nAfter.\n"), false);
        check("Before.\n\n| recall | at 1 |\n|---|---|\n\nAfter.\n", false);
        assert!(has_table("Before.\n\n\n\nAfter.\n", "\n").is_err());
    }
}
