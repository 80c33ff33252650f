//! Agreement with LlamaIndex's recorded answers: opens each recorded directory, asks what LlamaIndex was asked, and
//! compares.

mod answers;
pub(crate) mod areas;
mod case;
pub(crate) mod expected;
mod report;
mod rules;
mod self_test;
pub(crate) mod splitters;
mod warnings;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use answers::{Answers, Outcome};
use case::Case;
pub(crate) use self_test::{alter, run as self_test};

use crate::test::Counts;

/// Runs the folders of recordings, the repository's own by default, and prints what came of it.
pub(crate) fn run(dirs: &[PathBuf], verbose: bool) -> Result<()> {
    compare(dirs, verbose).and_then(demand)
}

/// Tells how many answers agree, and fails if one does not.
pub(crate) fn demand(counts: Counts) -> Result<()> {
    println!("{} passed, {} failed", counts.passed, counts.failed);
    if counts.failed > 0 {
        bail!("{} answers differ from LlamaIndex's", counts.failed);
    }
    Ok(())
}

/// Compares and prints the table; the counts are of single answers. An agreed deviation counts as passed.
pub(crate) fn compare(dirs: &[PathBuf], verbose: bool) -> Result<Counts> {
    rules::check_documented(&crate::root())?;
    let mut all = Vec::new();
    for case in find_cases(dirs)? {
        let answers = answer(&case).with_context(|| format!("case {}", case.name()))?;
        all.push((case, answers));
    }
    report::print(&all, verbose);
    let count = |wanted: fn(&Outcome) -> bool| {
        all.iter().flat_map(|(_, answers)| answers.iter()).filter(|answer| wanted(&answer.outcome)).count()
    };
    Ok(Counts {
        passed: count(|o| matches!(o, Outcome::Passed | Outcome::Deviation(_))),
        failed: count(|o| matches!(o, Outcome::Failed(_))),
        skipped: 0,
    })
}

/// Answers all questions of a case that can be answered.
fn answer(case: &Case) -> Result<Answers> {
    let mut answers = Answers::default();
    pollster::block_on(areas::run(case, &mut answers))?;
    Ok(answers)
}

/// All cases below the folders, in order of names. A case is a folder with `case.json` in it, at any depth.
fn find_cases(dirs: &[PathBuf]) -> Result<Vec<Case>> {
    let own;
    let dirs = if dirs.is_empty() {
        own = [crate::corpus_data::unpack(&crate::root())?];
        &own[..]
    } else {
        dirs
    };
    let mut cases = Vec::new();
    for dir in dirs {
        let before = cases.len();
        collect(dir, &mut cases)?;
        if cases.len() == before {
            bail!("no case.json below {}; see xtask/corpus/README.md for the layout", dir.display());
        }
    }
    Ok(cases)
}

fn collect(dir: &Path, cases: &mut Vec<Case>) -> Result<()> {
    if dir.join("case.json").is_file() {
        if dir.join("expect.json").is_file() {
            cases.push(Case::read(dir)?);
        }
        return Ok(());
    }
    let mut below: Vec<PathBuf> = std::fs::read_dir(dir)
        .with_context(|| format!("cannot list {}", dir.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    below.sort();
    below.iter().filter(|path| path.is_dir()).try_for_each(|path| collect(path, cases))
}
