//! Would the faults be noticed? The rules are broken on purpose, and each fault must then lose something.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Result, ensure};

use super::tools::Tools;
use super::{
    EIO, ENOSPC, EROFS, FILE_SIZE, FSYNC, FULL_DISK, HALF, Harness, KILL, MOMENT, POWER, POWER_HALF, POWER_NAMES, RACE,
    RACE_KILLED, READERS, start,
};
use crate::process::probe;

/// What must lose something if files are written one after the other, where they lie.
const PLAINLY: &[&str] = &[KILL, HALF, MOMENT, EIO, ENOSPC, FULL_DISK, FILE_SIZE, EROFS, RACE, RACE_KILLED];

/// What must lose something if nothing is made durable.
const WITHOUT_SYNC: &[&str] = &[POWER, POWER_NAMES];

/// Breaks the rules in each way.
pub(super) fn run(harness: &Harness) -> Result<()> {
    all_calls_are_seen(harness)?;
    let broken = |plain: bool, no_sync: bool| Harness {
        tools: Tools { plain, no_sync, ..harness.tools.clone() },
        options: harness.options.clone(),
        disk: harness.disk.clone(),
    };
    let plainly = [PLAINLY, &[READERS, POWER, POWER_NAMES, POWER_HALF, FSYNC]].concat();
    notice(&broken(true, false), "without a commit", &plainly)?;
    notice(&broken(false, true), "without fsync", WITHOUT_SYNC)
}

/// Demands that each fault loses something from some starting state.
fn notice(harness: &Harness, how: &str, faults: &[&'static str]) -> Result<()> {
    let starts = start::all(harness)?;
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
    }
    Ok(())
}

/// Compares what the preloaded library sees with what the kernel does, where there is `strace`.
fn all_calls_are_seen(harness: &Harness) -> Result<()> {
    if let Err(why) = probe(Command::new("strace").arg("-V")) {
        println!("SKIPPED: whether all calls are seen is not compared with strace: {why:#}");
        return Ok(());
    }
    let base = harness.folder("seen")?;
    let (place, log, trace) = (base.join("place"), base.join("log"), base.join("trace"));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-qq", "-s", "4096", "-o"]).arg(&trace);
    harness.tools.counted(&mut strace, &place, &log);
    probe(&mut strace)?;
    let mut seen: BTreeMap<&str, i64> = BTreeMap::new();
    let text = std::fs::read_to_string(&log)?;
    let [place, log] = [place, log].map(|path| path.to_string_lossy().into_owned());
    for function in text.lines().filter_map(|line| line.split(' ').nth(2)) {
        for call in kernel_calls(function) {
            *seen.entry(call).or_default() += 1;
        }
    }
    let mut made: BTreeMap<&str, i64> = BTreeMap::new();
    let text = std::fs::read_to_string(&trace)?;
    for line in text.lines().filter(|line| line.contains(&place) && !line.contains("execve(") && !line.contains(&log)) {
        let call = line.split_once(' ').and_then(|(_, rest)| rest.trim_start().split_once('('));
        if let Some((call, _)) = call.filter(|(call, _)| !NOT_COUNTED.contains(call)) {
            *made.entry(call).or_default() += 1;
        }
    }
    println!("calls that are seen: {seen:?}");
    ensure!(seen == made, "the kernel is asked other things: {made:?}");
    Ok(())
}

/// What changes nothing and that no fault is made of; and how the log finds out names.
const NOT_COUNTED: [&str; 6] = ["close", "fcntl", "getdents64", "newfstatat", "readlink", "readlinkat"];

/// What the kernel is asked by a function of the C library; how often folders are read depends on their size.
fn kernel_calls(function: &str) -> Vec<&str> {
    match function {
        "open64" | "open" | "openat64" | "opendir" => vec!["openat"],
        "readdir64" => vec![],
        "ftruncate64" => vec!["ftruncate"],
        other => vec![other],
    }
}
