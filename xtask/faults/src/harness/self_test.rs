//! Would the faults be noticed? The rules are broken on purpose, and each fault must then lose something.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use support::RESULT;
use support::process::probe;

use super::start::Start;
use super::tools::Tools;
use super::{
    EIO, ENOSPC, EROFS, FILE_SIZE, FSYNC, FULL_DISK, HALF, Harness, KILL, MOMENT, POWER, POWER_ANY, POWER_HALF,
    POWER_NAMES, RACE, RACE_KILLED, READERS, start,
};

/// What must lose something if files are written one after the other, where they lie.
const PLAINLY: &[&str] = &[KILL, HALF, MOMENT, EIO, ENOSPC, FULL_DISK, FILE_SIZE, EROFS, RACE, RACE_KILLED];

/// What must lose something if nothing is made durable.
const WITHOUT_SYNC: &[&str] = &[POWER, POWER_NAMES, POWER_ANY];

/// Breaks the rules in each way.
pub(super) fn run(harness: &Harness) -> Result<()> {
    all_calls_are_seen(harness)?;
    let broken = |plain: bool, no_sync: bool| Harness {
        tools: Tools { plain, no_sync, ..harness.tools.clone() },
        options: harness.options.clone(),
        disk: harness.disk.clone(),
    };
    let plainly = [PLAINLY, &[READERS, POWER, POWER_NAMES, POWER_HALF, POWER_ANY, FSYNC]].concat();
    let noticed = notice(&broken(true, false), "without a commit", &plainly)?
        + notice(&broken(false, true), "without fsync", WITHOUT_SYNC)?;
    let all = plainly.len() + WITHOUT_SYNC.len();
    println!("{RESULT}{noticed} of {all} kinds of faults are noticed where rules are broken");
    Ok(())
}

/// Demands that each fault loses something from some starting state. Counts those that do; the others could not be tried.
fn notice(harness: &Harness, how: &str, faults: &[&'static str]) -> Result<usize> {
    let starts = start::all(harness)?;
    let mut noticed = 0;
    for fault in faults {
        let mut lost = 0;
        let mut skipped = false;
        for start in &starts {
            let row = harness.row(fault, start)?;
            println!("{how}: {row}");
            skipped |= row.lost().is_none();
            lost += row.lost().unwrap_or_default();
            if lost > 0 {
                break;
            }
        }
        ensure!(lost > 0 || skipped, "'{fault}' is not noticed {how}");
        noticed += usize::from(lost > 0);
    }
    Ok(noticed)
}

/// Compares what the preloaded library sees with what the kernel does, where there is `strace`.
fn all_calls_are_seen(harness: &Harness) -> Result<()> {
    if let Err(why) = probe(Command::new("strace").arg("-V")) {
        println!("SKIPPED: whether all calls are seen is not compared with strace: {why:#}");
        return Ok(());
    }
    for start in start::all(harness)? {
        for words in [&["check"][..], &["write", "9"]] {
            let counted = all_calls_are_seen_of(harness, &start, words);
            let counted = counted.with_context(|| format!("{}, {words:?}", start.name))?;
            println!("calls that are seen, {words:?}, {}: {counted:?}", start.name);
        }
    }
    Ok(())
}

/// How often each call was made.
type Counted = BTreeMap<String, usize>;

fn all_calls_are_seen_of(harness: &Harness, start: &Start, words: &[&str]) -> Result<Counted> {
    let base = harness.folder("seen")?;
    let (place, log, trace) = (start.lay_out(&base)?, base.join("log"), base.join("trace"));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-qq", "-s", "4096", "-o"]).arg(&trace);
    harness.tools.counted(&mut strace, words, &place, &log);
    probe(&mut strace)?;
    let (mut seen, mut made) = (Counted::new(), Counted::new());
    let text = std::fs::read_to_string(&log)?;
    for call in text.lines().filter_map(|line| line.split(' ').nth(2)).filter_map(kernel_call) {
        *seen.entry(call.to_owned()).or_default() += 1;
    }
    let text = std::fs::read_to_string(&trace)?;
    let [place, log] = [place, log].map(|path| path.to_string_lossy().into_owned());
    for line in text.lines().filter(|line| line.contains(&place) && !line.contains("execve(") && !line.contains(&log)) {
        let call = line.split_once(' ').and_then(|(_, rest)| rest.trim_start().split_once('('));
        if let Some((call, _)) = call.filter(|(call, _)| !NOT_COUNTED.contains(call) || line.contains("SETLK")) {
            *made.entry(call.to_owned()).or_default() += 1;
        }
    }
    ensure!(seen == made, "seen is {seen:?}, and the kernel is asked {made:?}");
    Ok(seen)
}

/// What changes nothing and that no fault is made of; and how the log finds out names.
const NOT_COUNTED: [&str; 8] =
    ["close", "faccessat", "faccessat2", "fcntl", "getdents64", "newfstatat", "readlink", "readlinkat"];

/// What the kernel is asked by a function of the C library; how often folders are read depends on their size.
fn kernel_call(function: &str) -> Option<&str> {
    match function {
        "open64" | "open" | "openat64" | "opendir" => Some("openat"),
        "readdir64" => None,
        "ftruncate64" => Some("ftruncate"),
        other => Some(other),
    }
}
