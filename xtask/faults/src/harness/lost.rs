//! A power failure on a disk that keeps no more than it must: of what is not durable, any part is gone, names too.
//!
//! No file system loses names in every order that POSIX allows, so here the calls of a process are told to a model of a
//! disk, and what it may have kept is laid out in an ordinary folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use support::Random;

use super::Harness;
use super::start::{NEXT_ROUND, PLACE, ROUND, Start};
use super::sweep::each;
use super::table::Tried;
use super::tools::{Call, Fault};
use super::trial::{PERSISTED, aftermath};

/// How much may be left is tried so often for each call: nothing that is not durable, all of it, and parts.
const CHOICES: u64 = 8;

/// The power fails before each call, and after the last one.
pub(super) fn power(harness: &Harness, start: &Start) -> Result<Tried> {
    let base = harness.folder("lost")?;
    let kept = harness.folder("kept")?;
    let place = start.lay_out(&base)?;
    let mut disk = Disk::new(&files(&base)?, !harness.tools.no_sync);
    let write = |round: usize, fault| {
        let words = ["write", &round.to_string()];
        harness.tools.record(&words, &place, &base, &base.with_file_name("lost log"), fault, Some(&kept))
    };
    let (said, calls) = write(ROUND, Fault::At("count", 0))?;
    ensure!(said.as_deref() == Some(PERSISTED), "without any fault it said {said:?}");
    let tried = try_each(harness, &mut disk, &calls, |work, left, done| {
        left.lay_out(work, start.template.as_deref(), &kept)?;
        aftermath(&harness.tools, start, &work.join(PLACE), done.then_some(PERSISTED))
    })?;
    // A writer is killed when its manifest has its name and before that is durable; the power fails for the next one.
    let makes = |call: &Call| call.function.starts_with("link") && call.path.ends_with(".json");
    let Some(made) = calls.iter().position(makes) else { return Ok(tried) };
    let Some(synced) = (made..calls.len()).find(|at| calls[*at].class == "Sync") else { return Ok(tried) };
    start.lay_out(&base)?;
    let mut disk = Disk::new(&files(&base)?, !harness.tools.no_sync);
    let (_, mut before) = write(ROUND, Fault::At("kill", synced + 1))?;
    before.pop();
    before.iter().for_each(|call| disk.tell(call));
    let (said, calls) = write(NEXT_ROUND, Fault::At("count", 0))?;
    ensure!(said.as_deref() == Some(PERSISTED), "after a killed one it said {said:?}");
    let more = try_each(harness, &mut disk, &calls, |work, left, done| {
        left.lay_out(work, start.template.as_deref(), &kept)?;
        let found = harness.tools.check(&work.join(PLACE))?;
        let fine = found == start.next_of_new || (!done && (found == start.old || found == start.new));
        Ok(if fine { Ok(()) } else { Err(format!("after a killed one there is: {found}")) })
    })?;
    Ok(tried.and(more))
}

/// Tries what may be left before each call that changes something, and after the last one.
fn try_each(
    harness: &Harness,
    disk: &mut Disk,
    calls: &[Call],
    look: impl Fn(&Path, &Left, bool) -> Result<Result<(), String>> + Sync,
) -> Result<Tried> {
    let mut random = harness.random();
    let mut items = Vec::new();
    for at in 0..=calls.len() {
        if at == calls.len() || matches!(&*calls[at].class, "Change" | "Grow" | "Sync") {
            let choices: BTreeSet<Left> = (0..CHOICES).map(|choice| disk.left(choice, &mut random)).collect();
            items.extend(choices.into_iter().map(|left| (at, left)));
        }
        calls.get(at).into_iter().for_each(|call| disk.tell(call));
    }
    while items.len() > harness.options.sample.map_or(usize::MAX, |sample| sample * 4) {
        items.remove(random.below(items.len()));
    }
    each(harness, &items, |work, (at, left)| {
        let verdict = look(work, left, *at == calls.len())?;
        let call = calls.get(*at).map_or("the end".to_owned(), |call| format!("{} {}", call.function, call.path));
        Ok(verdict.map_err(|lost| format!("before call {}, {call}, with {}: {lost}", at + 1, left.names())))
    })
}

/// What is below a folder: a path that ends with `/` is that of a folder.
fn files(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().ok().context("a name is no Unicode")?;
        if entry.file_type()?.is_dir() {
            found.push(format!("{name}/"));
            found.extend(files(&entry.path())?.into_iter().map(|path| format!("{name}/{path}")));
        } else {
            found.push(name);
        }
    }
    Ok(found)
}

/// What has a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    Folder,
    /// A file that was there, by its path.
    Old(String),
    /// A file that was made, by its first name, which no other file has.
    New(String),
}

/// Names and what they stand for. `None`: nothing.
type Change = Vec<(String, Option<Entry>)>;

/// A disk: what it shows, and what is durable of that.
struct Disk {
    shown: BTreeMap<String, Entry>,
    durable: BTreeMap<String, Entry>,
    /// Changes of names that are not durable, each of which happens as a whole.
    pending: Vec<Change>,
    /// Files whose content is not durable.
    unsynced: BTreeSet<Entry>,
    /// Whether what should make durable does.
    syncs: bool,
}

/// What is left of a disk, and the files of which not all content is.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Left {
    names: BTreeMap<String, Entry>,
    /// How much is left of them, in halves.
    torn: BTreeMap<Entry, u64>,
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl Disk {
    /// One where all this is durable.
    fn new(files: &[String], syncs: bool) -> Self {
        let entry = |path: &String| match path.strip_suffix('/') {
            Some(folder) => (folder.to_owned(), Entry::Folder),
            None => (path.clone(), Entry::Old(path.clone())),
        };
        let shown: BTreeMap<_, _> = files.iter().map(entry).collect();
        Self { durable: shown.clone(), shown, pending: Vec::new(), unsynced: BTreeSet::new(), syncs }
    }

    /// Carries out a call. Whether it succeeds follows from what is there.
    fn tell(&mut self, call: &Call) {
        let is_there = |path: &str| path.is_empty() || self.shown.contains_key(path);
        let path = &*call.path;
        let (from, to) = path.split_once(" -> ").unwrap_or((path, path));
        let entry = self.shown.get(from).cloned();
        let new = entry.is_none() && is_there(parent(path));
        let change = |path: &str, entry| (path.to_owned(), entry);
        match (&*call.function, entry) {
            ("open" | "open64" | "openat" | "openat64", entry) if call.class == "Grow" => {
                let name = path.rsplit('/').next().unwrap_or(path).to_owned();
                self.unsynced.insert(entry.unwrap_or(Entry::New(name.clone())));
                if new {
                    self.change(vec![change(path, Some(Entry::New(name)))]);
                }
            }
            ("write" | "writev" | "ftruncate64", Some(file)) => drop(self.unsynced.insert(file)),
            ("mkdir", None) if new => self.change(vec![change(path, Some(Entry::Folder))]),
            ("link" | "linkat", Some(file)) if !is_there(to) => self.change(vec![change(to, Some(file))]),
            ("rename" | "renameat" | "renameat2", Some(file)) => {
                self.change(vec![change(from, None), change(to, Some(file))]);
            }
            ("unlink" | "unlinkat" | "rmdir", Some(_)) => self.change(vec![change(path, None)]),
            ("fsync" | "fdatasync", entry) if self.syncs => match entry {
                Some(Entry::Folder) => self.sync_names(path),
                Some(file) => drop(self.unsynced.remove(&file)),
                // What is watched itself.
                None if path.starts_with('/') => self.sync_names(""),
                None => {}
            },
            _ => {}
        }
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.shown, &change);
        self.pending.push(change);
    }

    /// Makes the names in a folder durable, and nothing of what the same calls have changed in another one.
    fn sync_names(&mut self, folder: &str) {
        for change in &mut self.pending {
            let (now, later) = change.drain(..).partition(|(path, _)| parent(path) == folder);
            apply(&mut self.durable, &now);
            *change = later;
        }
        self.pending.retain(|change| !change.is_empty());
    }

    /// What a power failure may leave: nothing that is not durable, all names, or any part.
    fn left(&self, choice: u64, random: &mut Random) -> Left {
        let mut names = self.durable.clone();
        for change in &self.pending {
            if choice == 1 || (choice > 1 && random.chance(50)) {
                apply(&mut names, change);
            }
        }
        // What lies in a folder that is gone is gone too.
        let all = names.clone();
        names.retain(|path, _| {
            let mut above = parent(path);
            while !above.is_empty() && all.contains_key(above) {
                above = parent(above);
            }
            above.is_empty()
        });
        let torn = self.unsynced.iter().filter(|file| names.values().any(|left| left == *file));
        let torn = torn.map(|file| (file.clone(), if choice < 2 { 0 } else { random.below(3) as u64 })).collect();
        Left { names, torn }
    }
}

fn apply(names: &mut BTreeMap<String, Entry>, change: &Change) {
    for (path, entry) in change {
        match entry {
            Some(entry) => drop(names.insert(path.clone(), entry.clone())),
            None => drop(names.remove(path)),
        }
    }
}

impl Left {
    /// Lays it out in a folder. Old files come from the template, new ones from where they were kept.
    fn lay_out(&self, base: &Path, template: Option<&Path>, kept: &Path) -> Result<()> {
        let place = base.join(PLACE);
        if place.exists() {
            fs::remove_dir_all(&place)?;
        }
        for (path, entry) in &self.names {
            let (from, to) = (
                match entry {
                    Entry::Folder => {
                        fs::create_dir(base.join(path))?;
                        continue;
                    }
                    Entry::Old(path) => {
                        let path = path.strip_prefix(PLACE).unwrap_or(path).trim_start_matches('/');
                        template.context("there was nothing")?.join(path)
                    }
                    Entry::New(name) => kept.join(name),
                },
                base.join(path),
            );
            let size = fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
            if let Some(halves) = self.torn.get(entry) {
                fs::File::options().write(true).open(&to)?.set_len(size * halves / 2)?;
            }
        }
        Ok(())
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.names.keys().map(|path| path.strip_prefix(PLACE).unwrap_or(path)).collect();
        names.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What may be left after these calls, each written as class, function and path.
    fn check(calls: &[&str], expected: &[&str]) {
        let mut disk = Disk::new(&["place/".into(), "place/a".into()], true);
        for call in calls {
            let mut words = call.splitn(3, ' ').map(str::to_owned);
            let mut word = || words.next().unwrap();
            disk.tell(&Call { class: word(), function: word(), path: word() });
        }
        let mut random = Random::new(1);
        let left: BTreeSet<String> = (0..200).map(|choice| disk.left(choice, &mut random)).map(told).collect();
        assert_eq!(left.iter().collect::<Vec<_>>(), expected, "{calls:?}");
    }

    fn told(left: Left) -> String {
        let told = left.names.iter().filter(|(_, entry)| **entry != Entry::Folder).map(|(path, entry)| {
            let (Entry::Old(file) | Entry::New(file)) = entry else { unreachable!() };
            format!("{}={file}{}", &path[6..], if left.torn.contains_key(entry) { "?" } else { "" })
        });
        told.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_not_durable_may_be_gone_in_any_order() {
        let make = ["Grow open64 place/t", "Write write place/t"];
        let old = "a=place/a";
        check(&[], &[old]);
        check(&make, &[old, "a=place/a t=t?"]);
        let synced = [&make[..], &["Sync fsync place/t"]].concat();
        check(&synced, &[old, "a=place/a t=t"]);
        let renamed = [&synced[..], &["Grow rename place/t -> place/a"]].concat();
        check(&renamed, &["a=place/a", "a=place/a t=t", "a=t"]);
        check(&[&renamed[..], &["Sync fsync place"]].concat(), &["a=t"]);
        check(&[&renamed[..], &["Sync fsync place/a"]].concat(), &["a=place/a", "a=place/a t=t", "a=t"]);
        check(&["Change unlink place/a"], &["", old]);
        check(
            &["Grow linkat place/a -> place/b", "Change unlink place/a"],
            &["", "a=place/a", "a=place/a b=place/a", "b=place/a"],
        );
    }

    #[test]
    fn folders_are_made_durable_one_by_one() {
        let made = ["Grow mkdir place/own", "Grow open64 place/own/t", "Sync fsync place/own/t"];
        let [old, new] = ["a=place/a", "a=place/a own/t=t"];
        check(&[&made[..], &["Sync fsync place/own"]].concat(), &[old, new]);
        check(&[&made[..], &["Sync fsync place/own", "Sync fsync place"]].concat(), &[new]);
        let moved =
            [&made[..], &["Sync fsync place/own", "Sync fsync place", "Grow rename place/own/t -> place/a"]].concat();
        check(&moved, &["a=place/a own/t=t", "a=t"]);
        // The old name is durably gone, and the new one is not there for sure.
        check(&[&moved[..], &["Sync fsync place/own"]].concat(), &["a=place/a", "a=t"]);
        check(&[&moved[..], &["Sync fsync place"]].concat(), &["a=t", "a=t own/t=t"]);
    }

    #[test]
    fn calls_that_fail_change_nothing() {
        check(&["Grow open64 place/own/t", "Grow mkdir place/a", "Grow linkat place/x -> place/y"], &["a=place/a"]);
        check(&["Grow linkat place/a -> place/a", "Grow rename place/x -> place/a"], &["a=place/a"]);
    }
}
