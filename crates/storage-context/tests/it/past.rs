//! What earlier versions wrote, in every phase of a commit, opens: see `tests/past/README.md`.

mod check;
mod contents;
mod format;
mod location;
mod record;
mod sample;
mod would_notice;

use std::collections::BTreeMap;

use raw_json::Value;

use check::{block_on, check_at, check_reading_at};
use format::{History, Past, State, VERSION, folder};
use location::Kind;

/// What to set to write what this version writes into `tests/past`.
const WRITE: &str = "COLCA_WRITE_PAST";

type Check = fn(Kind, &State, &BTreeMap<String, Value>) -> Result<(), String>;

/// Checks the states of histories, each at a kind of location, and reports which ones fail.
fn check_all(pasts: &[Past], how: impl Fn(&History) -> Option<(Kind, Check)>) {
    let mut failed = Vec::new();
    let mut checked = 0;
    for past in pasts {
        for history in &past.histories {
            let Some((kind, check)) = how(history) else { continue };
            for (n, state) in history.states.iter().enumerate() {
                checked += 1;
                if let Err(problem) = check(kind, state, &past.contexts) {
                    failed.push(format!("{}, put back to {}: {problem}", name(past, history, n), kind.name()));
                }
            }
        }
    }
    assert!(checked > 0, "nothing was checked");
    let first = &failed[..failed.len().min(10)];
    assert!(failed.is_empty(), "{} of {checked} states failed, such as:\n{}", failed.len(), first.join("\n"));
}

/// A state, so that it can be found in the recorded file.
fn name(past: &Past, history: &History, n: usize) -> String {
    format!("{}, {}, on {}, state {n} from 0", past.version, history.name, history.on)
}

fn copies(history: &History) -> bool {
    history.on != Kind::Disk.name()
}

fn in_memory(history: &History) -> Kind {
    if copies(history) { Kind::Bucket } else { Kind::Memory }
}

#[test]
fn all_states_open_in_memory() {
    check_all(Past::recorded(), |history| Some((in_memory(history), check_at)));
}

#[test]
fn all_states_open_on_a_disk() {
    check_all(Past::recorded(), |_| Some((Kind::Disk, check_at)));
}

#[test]
fn the_states_of_buckets_open_in_an_object_store() {
    check_all(Past::recorded(), |history| match &*history.on {
        on if on == Kind::Unconditional.name() => Some((Kind::Unconditional, check_at)),
        on if on == Kind::Bucket.name() => Some((Kind::Unconditional, check_reading_at)),
        _ => None,
    });
}

/// The course of each history, without what differs from one recording to the next.
fn course(past: &Past) -> Vec<String> {
    let phases = past.histories.iter().flat_map(|History { name, on, states }| {
        let phase = |State { opens, generation, findings, .. }: &State| {
            format!("{name}, on {on}: {opens:?}, generation {generation:?}, {findings:?}")
        };
        states.iter().map(phase).collect::<Vec<_>>()
    });
    let mut phases: Vec<String> = phases.collect();
    phases.dedup();
    phases
}

#[test]
fn what_this_version_writes_is_recorded() {
    let written = block_on(record::record());
    // What comes after opening is checked with the recorded ones, which are these at first.
    check_all(std::slice::from_ref(&written), |history| Some((in_memory(history), check_reading_at)));
    assert_eq!(Past::from_json(&written.to_json().into()), written);
    let file = folder().join(format!("{VERSION}.json"));
    if std::env::var_os(WRITE).is_some() {
        assert!(!file.exists(), "{} exists: a released version is not recorded again", file.display());
        std::fs::write(&file, written.to_json()).unwrap();
    }
    let recorded = Past::of_this_version();
    let recorded = recorded.unwrap_or_else(|| panic!("there is no {}: run this test with {WRITE}=1", file.display()));
    let (recorded, written) = (course(recorded), course(&written));
    for (recorded, written) in recorded.iter().zip(&written) {
        assert_eq!(recorded, written);
    }
    assert_eq!(recorded.len(), written.len());
}
