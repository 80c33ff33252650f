//! What must hold: for a reader, for a writer, and for other programs.

use std::collections::BTreeSet;

use persist::behavior::Contents;
use persist::{Committed, Error, Finding, Result};

use crate::explore::Process;
use crate::place::{Kind, Place, World};
use crate::table::{Id, Table};

/// A reader sees one generation, none older than the newest when it began, with what other programs made of it.
pub(crate) fn check_reader(
    place: Place,
    world: &World,
    table: &mut Table,
    process: &Process,
    result: &Result<(Contents, Vec<Finding>)>,
) -> Result<(), String> {
    // One that meets a lost file begins anew, and in the end may come upon the writer that marks it.
    let gives_up = matches!(result, Err(Error::Superseded { .. })) && !world.foreign.is_empty();
    if gives_up || is_lost_to_others(world, result.as_ref().err()) {
        return Ok(());
    }
    let (contents, findings) = result.as_ref().map_err(|e| format!("a reader fails: {e}"))?;
    let seen: Vec<(Id, Id)> =
        contents.iter().map(|(name, text)| (table.id(name.clone()), table.id(text.clone()))).collect();
    let accuses = |finding: &&Finding| !matches!(finding, Finding::FromStaged { .. });
    if let (true, Some(finding)) = (world.foreign.is_empty(), findings.iter().find(accuses)) {
        return Err(format!("a reader accuses another program, and there was none: {finding:?}"));
    }
    let fits =
        (usize::from(process.floor)..=world.made.len()).any(|number| is_generation(place, world, table, number, &seen));
    if !fits {
        return Err(format!("a reader sees {contents:?}, which no generation from {} on is", process.floor));
    }
    // What another program wrote before the reader began, and is still there, is what it sees.
    let before = &world.foreign[..usize::from(process.foreign)];
    for (at, foreign) in before.iter().enumerate().filter(|(_, foreign)| foreign.content.is_some()) {
        let is_last = !world.foreign[at + 1..].iter().any(|later| later.name == foreign.name);
        let there = world.files.get(foreign.name).map(|file| file.content) == foreign.content;
        let known = world.made.iter().any(|content| {
            let generation = table.generation(*content).expect("it was made");
            let known = foreign.content.map(|content| (foreign.name, content));
            generation.files.get(&foreign.name).copied() == foreign.content
                || known.is_some_and(|known| generation.replaced.contains(&known))
        });
        let sees = seen.iter().find(|(name, _)| *name == foreign.name).map(|(_, content)| *content);
        if is_last && there && !known && sees != foreign.content {
            return Err(format!("another program wrote {}, and a reader sees {contents:?}", table.text(foreign.name)));
        }
    }
    Ok(())
}

/// Whether another program deleted a file, or put an old one back, before it was known that it had been published: then
/// readers and writers say so.
fn is_lost_to_others(world: &World, error: Option<&Error>) -> bool {
    matches!(error, Some(Error::Lost { .. })) && !world.foreign.is_empty()
}

/// Whether these are the files of a generation, or what another program made of them.
fn is_generation(place: Place, world: &World, table: &mut Table, number: usize, seen: &[(Id, Id)]) -> bool {
    let generation = number.checked_sub(1).map(|at| table.generation(world.made[at]).expect("it was made"));
    let expected = |name: Id| generation.as_ref().and_then(|generation| generation.files.get(&name).copied());
    let mut names: BTreeSet<Id> = seen.iter().map(|(name, _)| *name).collect();
    names.extend(generation.iter().flat_map(|generation| generation.files.keys()));
    names.into_iter().all(|name| {
        let found = seen.iter().find(|(seen, _)| *seen == name).map(|(_, content)| *content);
        found == expected(name)
            || is_foreign(world, table, number, name, found)
            || (!place.kind.abilities().conditional_publish && returns_late(world, table, number, name, found))
    })
}

/// Whether another program has left this under that name, and no generation up to this one has replaced it since.
fn is_foreign(world: &World, table: &mut Table, number: usize, name: Id, found: Option<Id>) -> bool {
    world.foreign.iter().filter(|foreign| foreign.name == name && foreign.content == found).any(|foreign| {
        let later = usize::from(foreign.made).min(number)..number;
        !later.into_iter().any(|at| {
            let generation = table.generation(world.made[at]).expect("it was made");
            found.is_some_and(|content| generation.replaced.contains(&(name, content)))
        })
    })
}

/// Whether this is what an earlier generation wrote under that name, and another program has replaced it before a later
/// generation did. No manifest that is kept need know it by then, so where copying is unconditional nothing tells it from
/// another program's if a copy that was sent long ago brings it back.
fn returns_late(world: &World, table: &mut Table, number: usize, name: Id, found: Option<Id>) -> bool {
    let Some(content) = found else { return false };
    let mut writes = |at: usize| table.generation(world.made[at]).is_some_and(|g| g.files.get(&name) == Some(&content));
    let Some(written) = (0..number).find(|at| writes(*at)) else { return false };
    world
        .foreign
        .iter()
        .any(|foreign| foreign.name == name && (written + 1..number).contains(&usize::from(foreign.made)))
}

/// A commit that is told to be made is, alone and for good; one that is told not to be made is not.
pub(crate) fn check_writer(
    place: Place,
    world: &mut World,
    table: &mut Table,
    process: &Process,
    began: u64,
    result: &Result<Committed>,
) -> Result<(), String> {
    let commits: Vec<String> =
        world.made.iter().map(|content| table.generation(*content).expect("it was made").commit.clone()).collect();
    match result {
        Ok(committed) => {
            let number = committed.manifest.generation as usize;
            if commits.get(number - 1) != Some(&committed.manifest.commit) {
                return Err(format!("a commit of generation {number} returned, and another one has that number"));
            }
            if let Some(e) = committed.unpublished.as_ref().or(committed.uncollected.as_ref())
                && !process.failed
                && !is_lost_to_others(world, Some(e))
            {
                return Err(format!("a commit is made, and its publication fails for no reason: {e}"));
            }
            if let (true, [name, ..]) = (world.foreign.is_empty(), &*committed.foreign) {
                return Err(format!("a writer accuses another program of {name}, and there was none"));
            }
            if committed.unpublished.is_none() && number == commits.len() {
                world.settled = true;
            }
            Ok(())
        }
        Err(Error::Conflict { .. } | Error::Superseded { .. }) if place.kind == (Kind::Disk { lock: true }) => {
            Err(format!("the lock lets two writers in: {result:?}"))
        }
        Err(Error::Conflict { ours, theirs, .. }) => {
            if commits.len() as u64 <= began || theirs.is_none_or(|theirs| theirs <= began) {
                return Err(format!("a writer began with generation {began}, and is told of a conflict: {result:?}"));
            }
            if ours.unwrap_or(0) != began || own(process, &commits) {
                return Err(format!("a writer is told of a conflict, and its commit was made: {result:?}"));
            }
            Ok(())
        }
        Err(_) if is_lost_to_others(world, result.as_ref().err()) => Ok(()),
        Err(Error::Superseded { .. }) if commits.len() as u64 > began => Ok(()),
        Err(Error::Failed { .. }) if process.failed => Ok(()),
        Err(e) if is_forgotten(e) && commits.len() as u64 > began + 1 => Ok(()),
        Err(e) => Err(format!("a writer fails for no reason: {e}")),
    }
}

/// Whether a writer says that it slept through the collection of its generation.
fn is_forgotten(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.to_string().contains("so many commits"))
}

/// Whether the commit of this process is among those that were made.
fn own(process: &Process, commits: &[String]) -> bool {
    process.commit.is_some_and(|commit| commits.iter().any(|made| made == commit))
}

/// What other programs see after a commit has returned: exactly its files.
pub(crate) fn check_plain(place: Place, world: &World, table: &mut Table) -> Result<(), String> {
    let conditional = matches!(place.kind, Kind::Disk { .. } | Kind::Objects { copies: true, deletes: true });
    if world.stale && (place.late_steps || !conditional) {
        return Ok(());
    }
    let Some(newest) = world.made.last() else { return Ok(()) };
    let newest = table.generation(*newest).expect("it was made");
    let published: Vec<(Id, Id)> = world
        .files
        .iter()
        .filter(|(path, _)| table.own(*path).is_none())
        .map(|(path, file)| (*path, file.content))
        .collect();
    let names: BTreeSet<Id> = published.iter().map(|(name, _)| *name).chain(newest.files.keys().copied()).collect();
    for name in names {
        let found = published.iter().find(|(published, _)| *published == name).map(|(_, content)| *content);
        let touched = world.foreign.iter().any(|foreign| foreign.name == name);
        if found != newest.files.get(&name).copied() && !touched {
            let found = found.map(|content| table.text(content).to_owned());
            return Err(format!(
                "other programs see {} = {found:?} after generation {}",
                table.text(name),
                newest.number
            ));
        }
    }
    Ok(())
}
