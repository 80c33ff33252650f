//! Faults that hit one call after the other.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};

use super::Harness;
use super::disk::{Image, mount};
use super::start::{NEXT_ROUND, PLACE, ROUND, Start};
use super::table::Tried;
use super::tools::{Call, Fault};
use super::trial::{PERSISTED, Verdict, aftermath, hit, judge, look, look_again};

/// The process is hit at each call of some kind.
pub(super) fn calls(
    harness: &Harness,
    start: &Start,
    kind: &'static str,
    which: impl Fn(&Call) -> bool,
) -> Result<Tried> {
    let calls = chosen(harness, &start.calls, which);
    each(harness, &calls, |base, at| {
        let verdict = hit(&harness.tools, start, base, Fault::At(kind, *at))?;
        Ok(verdict.map_err(|lost| at_call(start, *at, &lost)))
    })
}

/// The same, and then the power fails: what is not durable is gone, or only contents are. It also fails without any other
/// fault.
pub(super) fn power(
    harness: &Harness,
    start: &Start,
    kind: &'static str,
    names_are_there: bool,
    which: impl Fn(&Call) -> bool,
) -> Result<Tried> {
    let mut faults: Vec<Fault> =
        chosen(harness, &start.calls, which).into_iter().map(|at| Fault::At(kind, at)).collect();
    faults.push(Fault::None);
    let original = Image::new(&harness.folder("image")?, start.template.as_deref())?;
    each(harness, &faults, |base, fault| {
        let verdict = lose_power(harness, start, &original.copy_to(base)?, *fault, names_are_there)?;
        Ok(verdict.map_err(|lost| match fault {
            Fault::At(_, at) => at_call(start, *at, &lost),
            _ => lost,
        }))
    })
}

fn lose_power(harness: &Harness, start: &Start, image: &Image, fault: Fault, names_are_there: bool) -> Result<Verdict> {
    let tools = &harness.tools;
    let mounted = image.mount()?;
    let place = mounted.folder().join(PLACE);
    let said = tools.write(&place, ROUND, mounted.folder(), fault)?;
    tools.power_off(mounted.folder(), names_are_there)?;
    drop(mounted);
    let mounted = image.mount()?;
    let expected = match look(tools, start, &place, said.as_deref())? {
        Ok(expected) => expected,
        Err(lost) => return Ok(Err(lost)),
    };
    let said = tools.write(&place, NEXT_ROUND, mounted.folder(), Fault::None)?;
    tools.power_off(mounted.folder(), names_are_there)?;
    drop(mounted);
    let _mounted = image.mount()?;
    look_again(tools, &place, said.as_deref(), expected)
}

/// A call of a reader fails: it tells so, or finds what is there.
pub(super) fn reader(harness: &Harness, start: &Start) -> Result<Tried> {
    let base = harness.folder("reader")?;
    let place = start.lay_out(&base)?;
    let calls = harness.tools.calls(&["check"], &place, &base, &base.join("log"))?;
    each(harness, &chosen(harness, &calls, |_| true), |_, at| {
        let found = harness.tools.check_under(&place, &base, Fault::At("eio", *at))?.unwrap_or_default();
        let fine = found == start.old || found.starts_with("failed ");
        Ok(if fine { Ok(()) } else { Err(format!("call {at}: it found: {found}")) })
    })
}

/// A disk has so many pages left, from none to as many as it takes.
pub(super) fn full_disk(harness: &Harness, start: &Start) -> Result<Tried> {
    const PAGE: u64 = 4096;
    let step = if harness.options.sample.is_some() { 4 } else { 1 };
    let base = harness.folder("full")?;
    let mut tried = Tried::default();
    for spare in (0..).step_by(step) {
        let disk = mount("tmpfs", "size=64m", Path::new("tmpfs"), &base)?;
        let place = start.lay_out(&base)?;
        disk.remount(&format!("size={}", (pages(&base)?.max(1) + spare) * PAGE))?;
        let said = harness.tools.write(&place, ROUND, &base, Fault::None)?;
        let found = harness.tools.check(&place)?;
        disk.remount("size=64m")?;
        let verdict = match judge(start, said.as_deref(), &found) {
            Ok(_) => aftermath(&harness.tools, start, &place, said.as_deref())?,
            Err(lost) => Err(lost),
        };
        tried.count += 1;
        tried.lost.extend(verdict.err().map(|lost| format!("{spare} pages left: {lost}")));
        if said.as_deref() == Some(PERSISTED) {
            break;
        }
        ensure!(spare < 10_000, "it is never enough");
    }
    ensure!(tried.count > 1, "the disk was never full");
    Ok(tried)
}

/// How many pages a file system has in use.
fn pages(folder: &Path) -> Result<u64> {
    let text = support::process::output(support::process::program("stat", "-f -c %b/%f").arg(folder))?;
    let text = String::from_utf8(text)?;
    let (all, free) = text.trim().split_once('/').context("`stat -f` prints no sizes")?;
    Ok(all.parse::<u64>()? - free.parse::<u64>()?)
}

/// No file may be longer than so much, from nothing to as long as it takes.
pub(super) fn file_size(harness: &Harness, start: &Start) -> Result<Tried> {
    let step = if harness.options.sample.is_some() { 16 } else { 4 };
    let base = harness.folder("file size")?;
    let mut tried = Tried::default();
    for blocks in (0..).step_by(step) {
        let place = start.lay_out(&base)?;
        let said = harness.tools.write(&place, ROUND, &base, Fault::FileSize(blocks))?;
        let verdict = aftermath(&harness.tools, start, &place, said.as_deref())?;
        tried.count += 1;
        tried.lost.extend(verdict.err().map(|lost| format!("{blocks} blocks: {lost}")));
        if said.as_deref() == Some(PERSISTED) {
            break;
        }
        ensure!(blocks < 100_000, "it is never enough");
    }
    ensure!(tried.count > 1, "no file was ever too long");
    Ok(tried)
}

/// A folder is mounted read-only: reading works, persisting says that it cannot and changes nothing.
pub(super) fn read_only(harness: &Harness, start: &Start) -> Result<Tried> {
    let base = harness.folder("read-only")?;
    let place = start.lay_out(&base)?;
    let before = files(&base)?;
    let mounted = mount("", "bind", &base, &base)?;
    mounted.remount("ro,bind")?;
    let found = harness.tools.check(&place)?;
    let said = harness.tools.write(&place, ROUND, &base, Fault::None)?.unwrap_or_default();
    let again = harness.tools.check(&place)?;
    drop(mounted);
    let mut lost = Vec::new();
    if found != start.old || again != start.old {
        lost.push(format!("a reader finds: {found}; then: {again}"));
    }
    if !said.starts_with("failed ") {
        lost.push(format!("a writer said: {said}"));
    }
    if files(&base)? != before {
        lost.push("something has changed".to_owned());
    }
    Ok(Tried { count: 1, lost })
}

/// All files below a folder, with their content.
fn files(folder: &Path) -> Result<Vec<(std::path::PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => files.extend(self::files(&path)?),
            false => files.push((path.clone(), fs::read(&path)?)),
        }
    }
    files.sort();
    Ok(files)
}

/// The numbers of the calls that are hit, counting from 1.
fn chosen(harness: &Harness, calls: &[Call], which: impl Fn(&Call) -> bool) -> Vec<usize> {
    let mut all: Vec<usize> = (1..=calls.len()).filter(|at| which(&calls[at - 1])).collect();
    let mut random = harness.random();
    while all.len() > harness.options.sample.unwrap_or(usize::MAX) {
        all.remove(random.below(all.len()));
    }
    all
}

fn at_call(start: &Start, at: usize, lost: &str) -> String {
    let Call { function, path, .. } = &start.calls[at - 1];
    format!("call {at}, {function} {path}: {lost}")
}

/// Tries all, on every processor, each in a folder of its own.
pub(super) fn each<T: Sync>(
    harness: &Harness,
    items: &[T],
    trial: impl Fn(&Path, &T) -> Result<Verdict> + Sync,
) -> Result<Tried> {
    ensure!(!items.is_empty(), "there is no call to hit");
    let (next, done, lost) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = |worker: usize| -> Result<()> {
        let base = harness.folder(&format!("worker {worker}"))?;
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(what) = trial(&base, item)? {
                lost.lock().map_err(|_| anyhow::anyhow!("another thread has panicked"))?.push(what);
            }
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, items.len());
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, |n| n.get());
        let workers: Vec<_> = (0..threads).map(|worker| scope.spawn(move || work(worker))).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| anyhow::anyhow!("a thread has panicked"))?)
    })?;
    let lost = lost.into_inner().map_err(|_| anyhow::anyhow!("a thread has panicked"))?;
    Ok(Tried { count: items.len(), lost })
}

/// Shows on a terminal how far it is.
pub(super) fn progress(done: usize, all: usize) {
    if io::stderr().is_terminal() {
        let end = if done == all { "\r\x1b[K" } else { "" };
        eprint!("\r{done} of {all} {end}");
        let _ = io::stderr().flush();
    }
}
