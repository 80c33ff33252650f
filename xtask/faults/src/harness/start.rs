//! What is there before a process is hit.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::Harness;
use super::disk::copy;
use super::tools::{Call, Fault, Tools};
use super::trial::PERSISTED;

/// The name of the place in the folder that is watched.
pub(super) const PLACE: &str = "place";

/// The round whose publication is pending at a starting state.
const PENDING_ROUND: usize = 3;

/// The round that a process persists when it is hit, and the one that is persisted afterwards.
pub(super) const ROUND: usize = 10;
pub(super) const NEXT_ROUND: usize = 11;

/// A directory that LlamaIndex wrote.
const PYTHONS: &str = "v0.14/property_graph/persist";

/// A starting state: a folder, and what is to be expected.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) name: &'static str,
    /// What lies there; nothing if there is no such place yet.
    pub(super) template: Option<PathBuf>,
    /// What a reader finds there, what after a persist, and what after one more.
    pub(super) old: String,
    pub(super) new: String,
    pub(super) next_of_old: String,
    pub(super) next_of_new: String,
    /// The calls that a persist makes.
    pub(super) calls: Vec<Call>,
}

impl Start {
    /// Lays it out in a folder, and gives the place.
    pub(super) fn lay_out(&self, base: &Path) -> Result<PathBuf> {
        lay_out(self.template.as_deref(), base)
    }
}

fn lay_out(template: Option<&Path>, base: &Path) -> Result<PathBuf> {
    let place = base.join(PLACE);
    if place.exists() {
        std::fs::remove_dir_all(&place)?;
    }
    template.map_or(Ok(()), |template| copy(template, &place))?;
    Ok(place)
}

/// All starting states; the first is one where nothing is left to do.
pub(super) fn all(harness: &Harness) -> Result<Vec<Start>> {
    let folder = harness.folder("starts")?;
    let published = folder.join("published");
    for round in [1, 2] {
        persisted(&harness.tools, &published, round)?;
    }
    let published = start(harness, "published", Some(published))?;
    let pending = pending(harness, &published, &folder.join("pending"))?;
    let pythons = corpus::unpack(&support::root())?.join(PYTHONS);
    Ok(vec![
        published,
        start(harness, "half published", Some(pending))?,
        start(harness, "Python's", Some(pythons))?,
        start(harness, "none", None)?,
    ])
}

/// A place whose last writer was killed after the commit, between two files that it published.
fn pending(harness: &Harness, published: &Start, to: &Path) -> Result<PathBuf> {
    let tools = Tools { plain: false, ..harness.tools.clone() };
    let base = harness.folder("pending")?;
    let place = published.lay_out(&base)?;
    let calls = tools.calls(&["write", &PENDING_ROUND.to_string()], &place, &base, &base.join("log"))?;
    let publishes = |call: &Call| {
        let to = call.path.split_once(" -> ").and_then(|(_, to)| to.strip_prefix(PLACE)?.strip_prefix('/'));
        call.function.starts_with("rename") && to.is_some_and(|to| !to.contains('/'))
    };
    let second = calls.iter().enumerate().filter(|(_, call)| publishes(call)).nth(1);
    let (at, _) = second.context("a persist does not rename two files")?;
    let place = published.lay_out(&base)?;
    let said = tools.write(&place, PENDING_ROUND, &base, Fault::At("kill", at + 1))?;
    ensure!(said.is_none(), "it said {said:?} before all was published");
    copy(&place, to)?;
    Ok(to.to_owned())
}

fn persisted(tools: &Tools, place: &Path, round: usize) -> Result<()> {
    let said = tools.write(place, round, place, Fault::None)?;
    ensure!(said.as_deref() == Some(PERSISTED), "without any fault it said {said:?}");
    Ok(())
}

/// Finds out what is to be expected, by trying it without a fault.
fn start(harness: &Harness, name: &'static str, template: Option<PathBuf>) -> Result<Start> {
    let tools = Tools { no_sync: false, ..harness.tools.clone() };
    let base = harness.folder("expected")?;
    let after = |rounds: &[usize]| {
        let place = lay_out(template.as_deref(), &base)?;
        rounds.iter().try_for_each(|round| persisted(&tools, &place, *round))?;
        let told = tools.check(&place)?;
        ensure!(told.starts_with("round "), "without any fault there is: {told}");
        Ok(told)
    };
    let (old, new) = (after(&[])?, after(&[ROUND])?);
    let (next_of_old, next_of_new) = (after(&[NEXT_ROUND])?, after(&[ROUND, NEXT_ROUND])?);
    let place = lay_out(template.as_deref(), &base)?;
    let calls = tools.calls(&["write", &ROUND.to_string()], &place, &base, &base.join("log"))?;
    ensure!(old != new && new != next_of_new, "rounds are not told apart");
    Ok(Start { name, template, old, new, next_of_old, next_of_new, calls })
}
