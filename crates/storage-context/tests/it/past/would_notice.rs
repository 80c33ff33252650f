//! Would the checks notice a wrong expectation, a damaged state, or a reader with a hole?

use std::collections::HashSet;

use persist::{Mechanism, without};

use super::check::{check_at, check_reading_at};
use super::format::{History, Past, State};
use super::location::Kind;
use super::{Check, in_memory, name};

/// Calls `check` with every state of two histories that have nearly all that can be wrong.
fn each_state(past: &Past, check: impl Fn(&History, usize, &State)) {
    for (name, on) in [
        ("a commit over our own generation, which is collected", Kind::Disk),
        ("a commit that removes a store", Kind::Bucket),
    ] {
        let history = past.histories.iter().find(|history| history.name == name && history.on == on.name()).unwrap();
        history.states.iter().enumerate().for_each(|(n, state)| check(history, n, state));
    }
}

/// Checks that a state which was made wrong does not pass.
#[track_caller]
fn fails(past: &Past, history: &History, n: usize, wrong: &State, what: &str) {
    let checked = check_reading_at(in_memory(history), wrong, &past.contexts);
    assert!(checked.is_err(), "{}: nobody notices {what}", name(past, history, n));
}

#[test]
fn wrong_expectations_are_noticed() {
    let past = Past::of_this_version().unwrap();
    each_state(past, |history, n, state| {
        let all: HashSet<_> = history.states.iter().map(|state| &state.opens).chain([&None]).collect();
        for opens in all.into_iter().filter(|opens| **opens != state.opens).cloned() {
            fails(past, history, n, &State { opens, ..state.clone() }, "another context");
        }
        for generation in [None, Some(1), Some(2), Some(3)].into_iter().filter(|other| *other != state.generation) {
            fails(past, history, n, &State { generation, ..state.clone() }, "another generation");
        }
        let findings = vec!["foreign docstore.json".to_owned()];
        fails(past, history, n, &State { findings, ..state.clone() }, "a finding that is not made");
    });
}

#[test]
fn damaged_states_are_noticed() {
    let past = Past::of_this_version().unwrap();
    each_state(past, |history, n, state| {
        let generation = state.generation.unwrap();
        let damaged = |path: &str, text: Option<String>| {
            let mut files = state.files.clone();
            match text {
                Some(text) => files.insert(path.to_owned(), text),
                None => files.remove(path),
            };
            fails(past, history, n, &State { files, ..state.clone() }, &format!("that {path} is damaged"));
        };
        damaged(&format!(".colca/{generation}.json"), None);
        for (path, text) in state.files.iter().filter(|(path, _)| !path.starts_with(".colca")) {
            damaged(path, Some(format!("{text} ")));
        }
    });
}

#[test]
fn what_the_protocol_rests_on_is_noticed_if_it_is_missing() {
    let past = Past::of_this_version().unwrap();
    for (mechanism, check) in [
        (Mechanism::ReadStaged, check_reading_at as Check),
        (Mechanism::Digests, check_reading_at),
        (Mechanism::Removed, check_reading_at),
        (Mechanism::Foreign, check_reading_at),
        (Mechanism::RollForward, check_at),
    ] {
        let fails =
            |history: &History, state| without(mechanism, || check(in_memory(history), state, &past.contexts)).is_err();
        let noticed = past.histories.iter().any(|history| history.states.iter().any(|state| fails(history, state)));
        assert!(noticed, "nobody notices that {mechanism:?} is missing");
    }
}
