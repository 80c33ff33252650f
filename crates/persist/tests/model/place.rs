//! The places: what each call does, what can go wrong there, and what is remembered to judge by.

use persist::{Abilities, Folder};

use crate::process::{Answer, DONE, Expectation, Meddling, NO_SOURCE, Op, UNEXPECTED};
use crate::table::{Id, Table};

/// A kind of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A disk, with a lock or without (as on some network file systems). Publishing looks and then moves: two steps.
    Disk { lock: bool },
    /// An object store. Publishing copies, on the condition that the ETag of what it replaces is as expected, or
    /// whatever is there; so does deleting. The ETag is a hash of the content, as it is on S3.
    Objects { copies: bool, deletes: bool },
}

impl Kind {
    pub(crate) fn abilities(self) -> Abilities {
        match self {
            Self::Disk { .. } => Abilities { create: true, conditional_publish: true, moves: true },
            Self::Objects { copies, .. } => Abilities { create: true, conditional_publish: copies, moves: false },
        }
    }

    pub(crate) fn is_disk(self) -> bool {
        matches!(self, Self::Disk { .. })
    }
}

/// A mistake that a place makes, to see that it is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// Publishing makes a second name for the staged file.
    HardLink,
    /// Nothing is ever made durable but the names that `create` makes.
    NoSync,
    /// Everyone gets the lock.
    LockForAll,
}

/// A file: its content, its version, and when it was written, counted in generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct File {
    pub content: Id,
    pub version: Id,
    time: u16,
}

/// A change of names that a power failure may undo.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Unsynced {
    /// If it is not durable, its content may be lost while its name stays.
    Put(Id, File, bool),
    Move(Id, Id, File),
    Delete(Id),
}

/// Files by path, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Files(Vec<(Id, File)>);

impl Files {
    pub(crate) fn get(&self, path: Id) -> Option<&File> {
        self.0.binary_search_by_key(&path, |(path, _)| *path).ok().map(|at| &self.0[at].1)
    }

    fn put(&mut self, path: Id, file: File) {
        match self.0.binary_search_by_key(&path, |(path, _)| *path) {
            Ok(at) => self.0[at].1 = file,
            Err(at) => self.0.insert(at, (path, file)),
        }
    }

    fn remove(&mut self, path: Id) -> Option<File> {
        let at = self.0.binary_search_by_key(&path, |(path, _)| *path).ok()?;
        Some(self.0.remove(at).1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Id, File)> {
        self.0.iter()
    }
}

/// What another program did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Foreign {
    pub name: Id,
    /// What it left there, if anything.
    pub content: Option<Id>,
    /// The number of generations that there were.
    pub made: u8,
}

/// The whole place at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub files: Files,
    /// The files as they were last made durable, and what has changed since; only on disks whose power can fail.
    durable: Files,
    unsynced: Vec<Unsynced>,
    pub lock: Option<u8>,
    /// Requests whose processes have given them up: they may still be carried out.
    pub late: Vec<Op>,
    /// The manifests of all generations, as they were made.
    pub made: Vec<Id>,
    pub foreign: Vec<Foreign>,
    /// The version of the file that another program has opened.
    opened: Option<Id>,
    /// Whether a commit has returned, and none was made since.
    pub settled: bool,
    /// Whether a file of a generation was published after the next one was made.
    pub stale: bool,
    /// The processes that have done that. Each looks again before the next file.
    stale_by: u64,
}

/// What came of a call.
pub(crate) enum Came {
    Answer(Answer),
    /// Half of it is done: what will be replaced was looked at.
    Looked,
    /// It has to wait.
    Waits,
    /// It was stopped between its look and its deed, and another writer has replaced the file: that cannot be helped.
    Window,
}

/// What the rules of a place are, and how its calls are carried out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub kind: Kind,
    pub mistake: Option<Mistake>,
    pub power_fails: bool,
    /// Whether a condition may be met too late.
    pub late_steps: bool,
}

/// Who makes a call, and whether another program came between its question and its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub process: u8,
    pub looked: bool,
    pub raced: bool,
}

impl Place {
    /// Carries out a call. What must never happen is an error.
    pub(crate) fn execute(self, world: &mut World, table: &mut Table, op: &Op, caller: Caller) -> Result<Came, String> {
        let answer = match *op {
            Op::List(folder) => Answer::Files(self.list(world, table, folder)),
            Op::Read(path) => Answer::Content(world.files.get(path).map(|file| file.content)),
            Op::Write(path, content, durable) => {
                self.put(world, table, path, content, durable, caller)?;
                Answer::Done
            }
            Op::Create(path, content, durable) => {
                let absent = world.files.get(path).is_none();
                if absent {
                    self.put(world, table, path, content, durable, caller)?;
                }
                Answer::Made(absent)
            }
            Op::SyncName(path) => {
                let is_put = |change: &Unsynced| matches!(change, Unsynced::Put(put, ..) if *put == path);
                if let Some(at) = world.unsynced.iter().position(is_put)
                    && let Unsynced::Put(_, file, _) = world.unsynced.remove(at)
                {
                    world.durable.put(path, file);
                }
                Answer::Done
            }
            Op::Publish { staged, name, expected } => {
                if self.kind.is_disk() && !caller.looked {
                    if !self.is_as_expected(world, name, expected) {
                        return Ok(Came::Answer(Answer::Published(UNEXPECTED)));
                    }
                    return Ok(Came::Looked);
                }
                Answer::Published(self.publish(world, table, staged, name, expected, caller)?)
            }
            Op::Unpublish { name, expected } => {
                let found = world.files.get(name).is_some();
                let as_expected = !found || self.is_as_expected(world, name, expected);
                if caller.looked && !as_expected {
                    return Ok(Came::Window);
                }
                if (self.kind.is_disk() || self.deletes_on_condition()) && !as_expected {
                    return Ok(Came::Answer(Answer::Published(UNEXPECTED)));
                }
                if self.kind.is_disk() && found && !caller.looked {
                    return Ok(Came::Looked);
                }
                let newest = world.made.last().and_then(|content| table.generation(*content));
                if found && newest.is_some_and(|newest| newest.files.contains_key(&name)) {
                    world.stale = true;
                }
                self.delete(world, table, name, caller)?;
                Answer::Published(DONE)
            }
            Op::Delete(path) => {
                self.delete(world, table, path, caller)?;
                Answer::Done
            }
            Op::Sync => {
                if self.power_fails && self.mistake != Some(Mistake::NoSync) {
                    world.durable = world.files.clone();
                    world.unsynced.clear();
                }
                Answer::Done
            }
            Op::LookAgain => Answer::Done,
            Op::Lock => {
                if self.kind == (Kind::Disk { lock: true }) && self.mistake != Some(Mistake::LockForAll) {
                    if world.lock.is_some() {
                        return Ok(Came::Waits);
                    }
                    world.lock = Some(caller.process);
                }
                Answer::Done
            }
        };
        Ok(Came::Answer(answer))
    }

    fn deletes_on_condition(self) -> bool {
        matches!(self.kind, Kind::Objects { deletes: true, .. })
    }

    fn delete(self, world: &mut World, table: &mut Table, path: Id, caller: Caller) -> Result<(), String> {
        if let Some(file) = world.files.get(path).copied() {
            self.check_replaced(world, table, path, file, true, caller)?;
            check_needed(world, table, path, self.kind)?;
            world.files.remove(path);
            self.unsynced(world, Unsynced::Delete(path));
        }
        Ok(())
    }

    fn list(self, world: &World, table: &Table, folder: Folder) -> Vec<(Id, Id, Id, u16)> {
        let own = folder == Folder::Own;
        let files = world.files.iter().filter(|(path, _)| table.own(*path).is_some() == own);
        // Nobody looks at the version of a file of ours, or at the time of a published one.
        let mut files: Vec<_> = files
            .map(|(path, file)| match own {
                true => (*path, file.content, Id::MAX, file.time),
                false => (*path, file.content, file.version, 0),
            })
            .collect();
        files.sort_by(|(a, ..), (b, ..)| table.text(*a).cmp(table.text(*b)));
        files
    }

    fn put(
        self,
        world: &mut World,
        table: &mut Table,
        path: Id,
        content: Id,
        durable: bool,
        caller: Caller,
    ) -> Result<(), String> {
        let mut time = 2 * world.made.len() as u16 + 1;
        if let Some(number) = table.manifest_number(path) {
            let newest = world.made.len() as u64;
            let old = world.files.get(path).copied();
            if let Some(old) = old.filter(|old| old.content != content) {
                return Err(format!(
                    "the manifest {} is replaced by another: {}",
                    table.text(old.content),
                    table.text(content)
                ));
            }
            if number > newest && old.is_none() {
                let made = table.generation(content).ok_or("a manifest is made that cannot be read")?;
                let parent = world.made.last().and_then(|content| table.generation(*content));
                if number != newest + 1 || made.parent != parent.map(|parent| parent.commit.clone()) {
                    return Err(format!("generation {number} is made by one that did not see the one before"));
                }
                world.made.push(content);
                world.settled = false;
                time = 2 * world.made.len() as u16;
            }
        }
        let version = match self.kind.is_disk() {
            true => table.id(format!("version {path} {content} {}", caller.process)),
            false => content,
        };
        let file = File { content, version, time };
        world.files.put(path, file);
        self.unsynced(world, Unsynced::Put(path, file, durable));
        Ok(())
    }

    fn is_as_expected(self, world: &World, name: Id, expected: Expectation) -> bool {
        let found = world.files.get(name).map(|file| file.version);
        match expected {
            Expectation::Anything => true,
            Expectation::Absent => found.is_none(),
            Expectation::Version(version) => found == Some(version),
        }
    }

    fn publish(
        self,
        world: &mut World,
        table: &mut Table,
        staged: Id,
        name: Id,
        expected: Expectation,
        caller: Caller,
    ) -> Result<u8, String> {
        let Some(mut file) = world.files.get(staged).copied() else { return Ok(NO_SOURCE) };
        if matches!(self.kind, Kind::Objects { copies: true, .. }) && !self.is_as_expected(world, name, expected) {
            return Ok(UNEXPECTED);
        }
        let replaced = world.files.get(name).copied();
        if let Some(replaced) = replaced {
            self.check_replaced(world, table, name, replaced, false, caller)?;
        }
        if replaced.is_none_or(|replaced| replaced.content != file.content) && is_stale(world, table, staged) {
            world.stale = true;
            if caller.process < 64 {
                let bit = 1 << caller.process;
                if world.stale_by & bit != 0 {
                    return Err("a writer that was overtaken goes on publishing".to_owned());
                }
                world.stale_by |= bit;
            }
        }
        file.time = 0;
        if self.kind.is_disk() && self.mistake != Some(Mistake::HardLink) {
            world.files.remove(staged);
        }
        world.files.put(name, file);
        self.unsynced(world, Unsynced::Move(staged, name, file));
        Ok(DONE)
    }

    /// What another program wrote is only replaced by a commit that knew of it, or in the window between the last look
    /// and the step itself.
    fn check_replaced(
        self,
        world: &World,
        table: &mut Table,
        name: Id,
        old: File,
        deletes: bool,
        caller: Caller,
    ) -> Result<(), String> {
        let is_foreign = |foreign: &Foreign| foreign.name == name && foreign.content == Some(old.content);
        let atomic =
            if deletes { self.deletes_on_condition() } else { matches!(self.kind, Kind::Objects { copies: true, .. }) };
        let window = caller.raced && !atomic;
        if window || table.own(name).is_some() || !world.foreign.iter().any(is_foreign) {
            return Ok(());
        }
        // Earlier generations count: what they replaced was seen and is not another program's any more.
        for content in &world.made {
            let generation = table.generation(*content).expect("it was made");
            if generation.replaced.contains(&(name, old.content)) || generation.files.get(&name) == Some(&old.content) {
                return Ok(());
            }
        }
        Err(format!("{} of another program is destroyed: {}", table.text(name), table.text(old.content)))
    }

    fn unsynced(self, world: &mut World, change: Unsynced) {
        if self.power_fails {
            world.unsynced.push(change);
        }
    }

    /// A step of another program.
    pub(crate) fn meddle(self, world: &mut World, table: &mut Table, step: Meddling, process: u8) {
        let made = world.made.len() as u8;
        let version = |table: &mut Table, name: Id, content: Id, disk: bool| match disk {
            true => table.id(format!("version {name} {content} {process}")),
            false => content,
        };
        let (name, content) = match step {
            Meddling::Put(name, text) | Meddling::Fill(name, text) => (table.id(name), Some(table.id(text))),
            Meddling::Truncate(name) => (table.id(name), Some(table.id(""))),
            Meddling::Delete(name) => (table.id(name), None),
        };
        match (step, content) {
            (Meddling::Truncate(_), Some(content)) => {
                let before = world.files.get(name).map(|file| file.version);
                let now = version(table, name, content, true);
                match before {
                    Some(before) => write_into(world, before, content, now),
                    None => world.files.put(name, File { content, version: now, time: 0 }),
                }
                world.opened = Some(now);
            }
            (Meddling::Fill(..), Some(content)) => {
                let now = version(table, name, content, true);
                if let Some(opened) = world.opened.take() {
                    // If it was replaced meanwhile, the program writes into a file that has no name any more.
                    write_into(world, opened, content, now);
                }
            }
            (_, Some(content)) => {
                let version = version(table, name, content, self.kind.is_disk());
                world.files.put(name, File { content, version, time: 0 });
            }
            (_, None) => drop(world.files.remove(name)),
        }
        world.foreign.push(Foreign { name, content, made });
    }

    /// What may be left after a power failure.
    pub(crate) fn after_power_failure(self, world: &World, table: &mut Table) -> Vec<World> {
        let empty = table.id("");
        let mut all = vec![world.durable.clone()];
        for change in &world.unsynced {
            let mut more = Vec::new();
            for files in &all {
                let mut files = files.clone();
                match change {
                    Unsynced::Put(path, file, durable) => {
                        files.put(*path, *file);
                        if !durable && file.content != empty {
                            let mut torn = files.clone();
                            torn.put(*path, File { content: empty, ..*file });
                            more.push(torn);
                        }
                    }
                    Unsynced::Move(from, to, file) => {
                        files.remove(*from);
                        files.put(*to, *file);
                    }
                    Unsynced::Delete(path) => drop(files.remove(*path)),
                }
                more.push(files);
            }
            all.extend(more);
            all.sort_by(|a, b| a.0.iter().map(key).cmp(b.0.iter().map(key)));
            all.dedup();
        }
        // A manifest that is not durable may be gone, as long as nobody was told of its commit.
        let newest = world.made.len() as u64;
        let fresh = world.unsynced.iter().find_map(|change| match change {
            Unsynced::Put(path, ..) if table.manifest_number(*path) == Some(newest) => Some(*path),
            _ => None,
        });
        let fresh = fresh.filter(|_| !world.settled);
        let after = |files: Files| {
            let mut made = world.made.clone();
            if fresh.is_some_and(|path| files.get(path).is_none()) {
                made.pop();
            }
            let durable = files.clone();
            World { durable, files, made, unsynced: Vec::new(), lock: None, settled: false, ..world.clone() }
        };
        all.into_iter().map(after).collect()
    }
}

fn key((path, file): &(Id, File)) -> (Id, Id, Id, u16) {
    (*path, file.content, file.version, file.time)
}

/// Writes in place: whatever names the file has show it.
fn write_into(world: &mut World, before: Id, content: Id, version: Id) {
    for (_, file) in &mut world.files.0 {
        if file.version == before {
            (file.content, file.version) = (content, version);
        }
    }
}

/// Whether a staged file is of another commit than the newest.
fn is_stale(world: &World, table: &mut Table, staged: Id) -> bool {
    let newest = world.made.last().and_then(|content| table.generation(*content));
    newest.is_some_and(|newest| !newest.staged.contains(&staged))
}

/// Where publishing copies, what the manifest of the newest generation names must stay.
fn check_needed(world: &World, table: &mut Table, path: Id, kind: Kind) -> Result<(), String> {
    let newest = world.made.last().and_then(|content| table.generation(*content));
    match newest {
        Some(newest) if !kind.is_disk() && newest.staged.contains(&path) => {
            Err(format!("{} is deleted, and the newest generation needs it", table.text(path)))
        }
        Some(newest) if table.manifest_number(path) == Some(newest.number) => {
            Err(format!("the newest manifest {} is deleted", table.text(path)))
        }
        _ => Ok(()),
    }
}
