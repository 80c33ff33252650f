//! Agreement with LlamaIndex's recorded answers: opens each recorded directory, asks what LlamaIndex was asked, and
//! compares.

mod answers;
mod areas;
mod case;
mod coverage;
mod expected;
mod recordings;
mod report;
mod rules;
mod seeds;
mod self_test;
mod splitters;
mod warnings;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use answers::{Answers, Outcome};
use case::Case;

pub use areas::det_embedding::DetEmbedding;
pub use areas::docstore::{by_hash, describe, ref_doc_info};
pub use expected::{difference, short};
pub use recordings::{archives, pack, splitters as recorded_splitters, unpack};
pub use seeds::lay_out as lay_out_seeds;
pub use self_test::{alter, run as self_test};
pub use splitters::{Splitter, compare as compare_splitters, split, splitter};

/// How many recorded answers ours agree with. An agreed deviation counts as agreement.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    /// Answers that agree.
    pub agree: usize,
    /// Answers that differ, or that could not be compared.
    pub differ: usize,
}

impl Counts {
    /// Fails if an answer differs.
    ///
    /// # Errors
    /// With the number of answers that do.
    pub fn demand(self) -> Result<()> {
        ensure!(self.differ == 0, "{} answers differ from LlamaIndex's", self.differ);
        Ok(())
    }
}

/// Compares with the recordings in these folders, the repository's own by default, and prints the table. An answer that
/// is compared with nothing counts as one that differs.
///
/// # Errors
/// If a recording cannot be read, or a rule has no row in `docs/compatibility.md`.
pub fn compare(dirs: &[PathBuf], verbose: bool) -> Result<Counts> {
    rules::check_documented(&support::root())?;
    let mut all = Vec::new();
    for case in find_cases(dirs)? {
        let mut answers = answer(&case).with_context(|| format!("case {}", case.name()))?;
        coverage::demand(&case, &mut answers);
        all.push((case, answers));
    }
    report::print(&all, verbose);
    let count = |wanted: fn(&Outcome) -> bool| {
        all.iter().flat_map(|(_, answers)| answers.iter()).filter(|answer| wanted(&answer.outcome)).count()
    };
    Ok(Counts {
        agree: count(|o| matches!(o, Outcome::Passed | Outcome::Deviation(_))),
        differ: count(|o| matches!(o, Outcome::Failed(_))),
    })
}

/// Answers all questions of a case.
fn answer(case: &Case) -> Result<Answers> {
    let mut answers = Answers::default();
    pollster::block_on(areas::run(case, &mut answers))?;
    Ok(answers)
}

/// All cases below the folders, in order of names. A case is a folder with `case.json` in it, at any depth.
fn find_cases(dirs: &[PathBuf]) -> Result<Vec<Case>> {
    let own;
    let dirs = if dirs.is_empty() {
        own = [unpack(&support::root())?];
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
