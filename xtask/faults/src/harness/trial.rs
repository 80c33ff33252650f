//! One trial: a process is hit, and what is there afterwards is looked at, also by the process that comes next.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::start::{NEXT_ROUND, PLACE, ROUND, Start};
use super::tools::{Fault, Tools};

/// Nothing was lost, or what was.
pub(super) type Verdict = Result<(), String>;

/// What a process says when it has persisted.
pub(super) const PERSISTED: &str = "persisted";

/// What a reader may find after a process was hit: the old state or the new one, and the new one if it was told that it
/// is there. Gives what a reader has to find after one more round.
pub(super) fn judge<'a>(start: &'a Start, said: Option<&str>, found: &str) -> Result<&'a str, String> {
    let said_so = match said {
        None => false,
        Some(PERSISTED) => true,
        Some(said) if said.starts_with("failed ") => false,
        Some(said) => return Err(format!("it said: {said}")),
    };
    if found == start.new {
        Ok(&start.next_of_new)
    } else if found != start.old {
        Err(format!("there is: {found}"))
    } else if said_so {
        Err("it said that it had persisted, and there is the old state".to_owned())
    } else {
        Ok(&start.next_of_old)
    }
}

/// Hits a process that persists, in an ordinary folder.
pub(super) fn hit(tools: &Tools, start: &Start, base: &Path, fault: Fault) -> Result<Verdict> {
    let place = start.lay_out(base)?;
    let said = tools.write(&place, ROUND, base, fault)?;
    aftermath(tools, start, &place, said.as_deref())
}

/// Looks at what is there, and gives what has to be there after one more round.
pub(super) fn look<'a>(
    tools: &Tools,
    start: &'a Start,
    place: &Path,
    said: Option<&str>,
) -> Result<Result<&'a str, String>> {
    let expected = judge(start, said, &tools.check(place)?);
    if expected.is_ok() && said == Some(PERSISTED) {
        let found = tools.check(&published(place)?)?;
        if found != start.new {
            return Ok(Err(format!("it said that it had persisted, and Python finds: {found}")));
        }
    }
    Ok(expected)
}

/// Looks at what is there, persists once more, and looks again: also with the eyes of a program that knows published
/// files only.
pub(super) fn aftermath(tools: &Tools, start: &Start, place: &Path, said: Option<&str>) -> Result<Verdict> {
    let expected = match look(tools, start, place, said)? {
        Ok(expected) => expected,
        Err(lost) => return Ok(Err(lost)),
    };
    let said = tools.write(place, NEXT_ROUND, place, Fault::None)?;
    look_again(tools, place, said.as_deref(), expected)
}

/// Looks at what is there after one more round, which no fault has hit.
pub(super) fn look_again(tools: &Tools, place: &Path, said: Option<&str>, expected: &str) -> Result<Verdict> {
    if said != Some(PERSISTED) {
        return Ok(Err(format!("the next persist said: {said:?}")));
    }
    let found = tools.check(place)?;
    if found != expected {
        return Ok(Err(format!("after the next persist there is: {found}")));
    }
    let found = tools.check(&published(place)?)?;
    if found != expected {
        return Ok(Err(format!("after the next persist Python finds: {found}")));
    }
    Ok(Ok(()))
}

/// A copy of the published files alone.
fn published(place: &Path) -> Result<PathBuf> {
    let copy = place.with_file_name(format!("{PLACE}-published"));
    let cannot = || format!("cannot copy to {}", copy.display());
    if copy.exists() {
        fs::remove_dir_all(&copy).with_context(cannot)?;
    }
    fs::create_dir(&copy).with_context(cannot)?;
    for entry in fs::read_dir(place).with_context(cannot)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), copy.join(entry.file_name())).with_context(cannot)?;
        }
    }
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: Option<&str>, found: &str, expected: Result<&str, &str>) {
        let text = str::to_owned;
        let start = Start {
            name: "",
            template: None,
            old: text("round 1"),
            new: text("round 2"),
            next_of_old: text("round 3 after 1"),
            next_of_new: text("round 3 after 1 2"),
            calls: Vec::new(),
        };
        assert_eq!(judge(&start, said, found), expected.map_err(str::to_owned), "{said:?}, {found}");
    }

    #[test]
    fn only_the_old_state_or_the_new_one_may_be_there() {
        check(None, "round 1", Ok("round 3 after 1"));
        check(None, "round 2", Ok("round 3 after 1 2"));
        check(Some("failed no space"), "round 1", Ok("round 3 after 1"));
        check(Some("failed to tidy up"), "round 2", Ok("round 3 after 1 2"));
        check(Some("persisted"), "round 2", Ok("round 3 after 1 2"));
        check(Some("persisted"), "round 1", Err("it said that it had persisted, and there is the old state"));
        check(None, "mixture", Err("there is: mixture"));
        check(Some("conflict"), "round 1", Err("it said: conflict"));
        check(Some("crashed"), "round 2", Err("it said: crashed"));
    }
}
