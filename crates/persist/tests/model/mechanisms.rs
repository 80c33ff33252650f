//! Each mechanism of the protocol taken out, and each mistake that a place can make: all must be found.

use persist::{Mechanism, without};

use crate::explore::Scenario;
use crate::place::{Kind, Mistake};
use crate::process::Activity::{Follow, Meddle, Read};
use crate::process::Meddling::Put;
use crate::scenarios::{CONDITIONAL, LOCAL, PLAIN, UNLOCKED, explore_and_tell, scenario, states_max, write};

/// How far to go before a mistake has to be found.
const STATES_MAX: usize = 500_000;

/// The scenario is fine as it is, and not without the mechanism.
fn check(mechanism: Mechanism, scenario: &Scenario, expected: &str) {
    println!("without {mechanism:?}:");
    let found = without(mechanism, || explore_and_tell(scenario, STATES_MAX)).violation;
    let found = found.unwrap_or_else(|| panic!("nothing was found without {mechanism:?}")).what;
    assert!(found.contains(expected), "without {mechanism:?}: {found}");
    assert!(explore_and_tell(scenario, states_max()).violation.is_none());
}

fn check_mistake(mistake: Mistake, scenario: &Scenario, expected: &str) {
    println!("{mistake:?}:");
    let wrong = Scenario { mistake: Some(mistake), ..scenario.clone() };
    let found =
        explore_and_tell(&wrong, STATES_MAX).violation.unwrap_or_else(|| panic!("{mistake:?} was not found")).what;
    assert!(found.contains(expected), "{mistake:?}: {found}");
    assert!(explore_and_tell(scenario, states_max()).violation.is_none());
}

fn one(kind: Kind) -> Scenario {
    scenario("a writer", kind, vec![vec![write("c1", &["a", "b"], &[])]])
}

fn one_and_a_reader(kind: Kind) -> Scenario {
    scenario("a writer and a reader", kind, vec![vec![write("c1", &["a", "b"], &[])], vec![Read]])
}

fn two(kind: Kind) -> Scenario {
    scenario("two writers", kind, vec![vec![write("c1", &["a", "b"], &[])], vec![write("c2", &["a", "b"], &[])]])
}

#[test]
fn the_manifest_comes_first() {
    check(Mechanism::CommitFirst, &one(LOCAL), "other programs see");
}

#[test]
fn a_manifest_is_made_if_it_is_absent() {
    check(Mechanism::CreateIfAbsent, &two(CONDITIONAL), "replaced by another");
}

#[test]
fn ones_own_commit_is_recognised() {
    let failing = Scenario { failures: 1, ..one(LOCAL) };
    check(Mechanism::OwnCommitId, &failing, "a reader fails");
}

#[test]
fn the_newest_is_looked_at_again() {
    check(Mechanism::Recheck, &two(PLAIN), "a writer accuses another program");
}

#[test]
fn what_is_pending_is_finished() {
    check(Mechanism::RollForward, &one(LOCAL), "other programs see");
}

#[test]
fn staged_files_are_durable_before_the_manifest() {
    let power = Scenario { power_failures: 1, ..one(LOCAL) };
    check(Mechanism::SyncBeforeCommit, &power, "neither published nor staged");
}

/// A call fails, or a writer is killed, between making the manifest and making its name durable.
#[test]
fn a_manifest_is_durable_before_its_files_are_published() {
    let failing = Scenario { failures: 1, power_failures: 1, ..one(LOCAL) };
    check(Mechanism::SyncBeforePublishing, &failing, "accuses another program");
    let killed = Scenario { kills: 1, power_failures: 1, ..two(LOCAL) };
    check(Mechanism::SyncBeforePublishing, &killed, "accuses another program");
}

#[test]
fn names_are_durable_before_the_marker() {
    let power = Scenario { power_failures: 1, ..one(LOCAL) };
    check(Mechanism::SyncBeforeMarker, &power, "other programs see");
}

#[test]
fn the_hint_is_durable_before_collecting() {
    let processes = vec![vec![write("c1", &["a"], &[]), write("c2", &["b"], &[])]];
    let power = Scenario { power_failures: 2, ..scenario("two commits", LOCAL, processes) };
    check(Mechanism::SyncBeforeCollecting, &power, "a reader");
}

#[test]
fn digests_tell_generations_apart() {
    check(Mechanism::Digests, &one(LOCAL), "which no generation");
}

#[test]
fn staged_files_are_read() {
    check(Mechanism::ReadStaged, &one(LOCAL), "a reader fails");
}

#[test]
fn readers_start_again() {
    check(Mechanism::StartAgain, &one_and_a_reader(LOCAL), "a reader fails");
}

#[test]
fn another_programs_files_are_the_truth() {
    let processes = vec![vec![write("c1", &["a"], &[])], vec![Meddle(vec![Put("a", "foreign")])]];
    check(Mechanism::Foreign, &scenario("another program writes", LOCAL, processes), "another program");
}

#[test]
fn what_was_removed_is_not_read() {
    let processes = vec![vec![write("c1", &["a"], &["b"])]];
    check(Mechanism::Removed, &scenario("a writer that removes", LOCAL, processes), "a reader");
}

#[test]
fn only_what_is_old_is_collected() {
    check(Mechanism::CollectOnlyOld, &two(UNLOCKED), "neither published nor staged");
}

#[test]
fn a_follower_keeps_what_is_unchanged() {
    let processes = vec![vec![write("c1", &["a"], &[])], vec![Follow]];
    check(Mechanism::Unchanged, &scenario("a writer and a follower", LOCAL, processes), "a reader");
}

#[test]
fn a_commit_far_behind_does_not_count() {
    let processes = vec![vec![write("c1", &["a"], &[])], vec![write("c2", &["a"], &[]), write("c3", &["b"], &[])]];
    check(Mechanism::Zombies, &scenario("one commits twice", CONDITIONAL, processes), "another one has that number");
}

#[test]
fn a_hard_link_is_no_move() {
    let processes = vec![vec![write("c1", &["a"], &[])], vec![write("c2", &["a"], &[])]];
    check_mistake(Mistake::HardLink, &scenario("two writers", UNLOCKED, processes), "");
}

#[test]
fn a_disk_must_sync() {
    check_mistake(Mistake::NoSync, &Scenario { power_failures: 1, ..one(LOCAL) }, "other programs see");
}

#[test]
fn a_lock_keeps_others_out() {
    check_mistake(Mistake::LockForAll, &two(LOCAL), "the lock lets two writers in");
}
