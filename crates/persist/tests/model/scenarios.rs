//! What is explored: places, processes, and what goes wrong.

use crate::explore::{Report, Scenario, explore};
use crate::place::Kind;
use crate::process::Activity::{self, Follow, Meddle, Read};
use crate::process::Meddling::{Delete, Fill, Put, Truncate};
use crate::process::Plan;

/// A disk of one machine.
pub(crate) const LOCAL: Kind = Kind::Disk { lock: true };
/// A disk without locks, as some network file systems are.
pub(crate) const UNLOCKED: Kind = Kind::Disk { lock: false };
/// An object store that copies and deletes on conditions.
pub(crate) const CONDITIONAL: Kind = Kind::Objects { copies: true, deletes: true };
/// One that deletes whatever is there.
pub(crate) const COPIES: Kind = Kind::Objects { copies: true, deletes: false };
/// One that also copies over whatever is there.
pub(crate) const PLAIN: Kind = Kind::Objects { copies: false, deletes: false };

/// How many states of each scenario are explored, unless the environment says more.
const STATES: usize = 10_000;

/// The variable that says how many.
const STATES_VARIABLE: &str = "COLCA_MODEL_STATES";

/// A commit that writes and removes some files, and keeps no generation but its own.
pub(crate) fn write(commit: &'static str, write: &[&'static str], remove: &[&'static str]) -> Activity {
    let (write, remove) = (write.to_vec(), remove.to_vec());
    Activity::Write(Plan { commit, write, remove, keep_generations: 1, replace_lost: false })
}

/// Processes at a place that holds one generation of two files.
pub(crate) fn scenario(name: &'static str, kind: Kind, processes: Vec<Vec<Activity>>) -> Scenario {
    let before = vec![write("c0", &["a", "b"], &[])];
    let (failures, kills, power_failures, returns) = (0, 0, 0, false);
    Scenario { name, kind, mistake: None, before, processes, failures, kills, power_failures, returns }
}

/// Everything that is tried at every kind of place.
fn everywhere(kind: Kind) -> Vec<Scenario> {
    let a = || write("c1", &["a"], &[]);
    let a_without_b = || write("c1", &["a"], &["b"]);
    let other = || write("c2", &["a"], &[]);
    let again = || write("c3", &["b"], &[]);
    let of = |name, processes| scenario(name, kind, processes);
    let mut all = vec![
        of("a writer, a reader twice", vec![vec![write("c1", &["a", "b"], &[])], vec![Read, Read]]),
        of("a writer that removes, a reader twice", vec![vec![a_without_b()], vec![Read, Read]]),
        of("the first writers of a place", vec![vec![a()], vec![other()]]),
        of("the first writer of a directory, a reader twice", vec![vec![a_without_b()], vec![Read, Read]]),
        of("two writers of two files", vec![vec![write("c1", &["a", "b"], &[])], vec![write("c2", &["a", "b"], &[])]]),
        of("two writers, one removes", vec![vec![a_without_b()], vec![write("c2", &["a", "b"], &[])]]),
        of("removed, and written again", vec![vec![write("c1", &[], &["b"])], vec![write("c2", &["b"], &[])]]),
        of("two writers, one commits twice", vec![vec![a()], vec![other(), again()]]),
        of("two writers and a reader", vec![vec![a()], vec![other()], vec![Read]]),
        of("a writer, a follower", vec![vec![a()], vec![Follow]]),
        of("a writer commits twice, a follower", vec![vec![a(), again()], vec![Follow]]),
        of("three writers", vec![vec![a()], vec![other()], vec![again()]]),
    ];
    all[2].before.clear();
    all[3].before = vec![Meddle(vec![Put("a", "python"), Put("b", "python")])];
    let python = vec![Meddle(vec![Put("a", "python"), Put("b", "python")])];
    all.push(Scenario {
        before: python,
        ..of("the first writer of a directory, a follower", vec![vec![a_without_b()], vec![Follow]])
    });
    let returning = [
        vec![vec![a(), write("c2", &["a=c0"], &[])], vec![Follow]],
        vec![vec![a()], vec![write("c2", &["a=c0"], &[])]],
        vec![vec![write("c1", &["a", "b"], &[])], vec![write("c2", &["a=c0", "b"], &[])]],
        vec![vec![write("c1", &["n"], &[])], vec![write("c2", &[], &["n"])]],
        vec![vec![write("c1", &[], &["b"])], vec![write("c2", &["b=c0"], &[])]],
    ];
    all.extend(returning.map(|processes| Scenario { returns: true, ..of("what was there returns", processes) }));
    for (name, failures) in [("one call fails", 1), ("two calls fail", 2)] {
        let of = |processes| Scenario { failures, ..scenario(name, kind, processes) };
        all.push(of(vec![vec![a_without_b()], vec![Read]]));
        all.push(of(vec![vec![a()], vec![other()]]));
        all.push(of(vec![vec![a()], vec![other(), again()]]));
    }
    all
}

/// Another program beside ours. Only a disk lets it write in place.
fn with_another_program(kind: Kind) -> Vec<Scenario> {
    let mut programs = vec![
        ("another program writes", vec![Put("a", "foreign")]),
        ("another program writes what goes", vec![Put("b", "foreign")]),
        ("another program puts back", vec![Put("a", "c0")]),
        ("another program deletes", vec![Delete("a")]),
    ];
    if kind.is_disk() {
        programs.push(("another program writes in place", vec![Truncate("a"), Fill("a", "foreign")]));
    }
    let mut all = Vec::new();
    for (name, steps) in programs {
        let writer = vec![write("c1", &["a"], &["b"])];
        all.push(scenario(name, kind, vec![writer.clone(), vec![Meddle(steps.clone())], vec![Read]]));
        all.push(scenario(name, kind, vec![writer.clone(), vec![Meddle(steps.clone())], vec![Follow]]));
        all.push(scenario(name, kind, vec![writer, vec![Meddle(steps)], vec![write("c2", &["b"], &[])]]));
    }
    all
}

/// What only happens on disks.
fn of_disks(kind: Kind) -> Vec<Scenario> {
    let writer = || vec![write("c1", &["a"], &["b"])];
    let other = || vec![write("c2", &["b"], &[])];
    let kills = |n| Scenario { kills: n, ..scenario("writers are killed", kind, vec![writer(), other(), vec![Read]]) };
    let power = |name, n, processes| Scenario { power_failures: n, ..scenario(name, kind, processes) };
    let follower = scenario("a writer is killed beside a follower", kind, vec![writer(), other(), vec![Follow]]);
    vec![
        kills(1),
        kills(2),
        Scenario { kills: 1, ..follower },
        power("the power fails", 1, vec![vec![write("c1", &["a", "b"], &[])], vec![Read]]),
        power("the power fails", 1, vec![writer(), other()]),
        power("the power fails twice", 2, vec![writer(), other()]),
        Scenario { kills: 1, ..power("a writer is killed, then the power fails", 1, vec![writer(), other()]) },
        Scenario { failures: 1, ..power("a call fails, and the power", 1, vec![writer(), other()]) },
    ]
}

/// How many states of each scenario are explored.
pub(crate) fn states_max() -> usize {
    std::env::var(STATES_VARIABLE).map_or(STATES, |text| text.parse().unwrap())
}

/// Explores, tells, and fails if something was found.
fn check(scenarios: Vec<Scenario>) {
    let found =
        scenarios.iter().filter(|scenario| explore_and_tell(scenario, states_max()).violation.is_some()).count();
    assert_eq!(found, 0, "scenarios with a violation; they are printed above");
}

pub(crate) fn explore_and_tell(scenario: &Scenario, states_max: usize) -> Report {
    let report = explore(scenario, states_max);
    let Report { states, transitions, stops, nodes, windows, complete, violation } = &report;
    let place = match scenario.kind {
        LOCAL => "disk",
        UNLOCKED => "disk, no lock",
        CONDITIONAL => "objects, conditional",
        COPIES => "objects, conditional copies",
        _ => "objects, unconditional",
    };
    let all = if *complete { "all" } else { "first" };
    println!(
        "| {place} | {} | {} | {all} {states} | {transitions} | {stops} | {nodes} | {windows} | {} |",
        scenario.name,
        scenario.processes.len(),
        usize::from(violation.is_some()),
    );
    if let Some(violation) = violation {
        println!("{}", violation.what);
        violation.steps.iter().for_each(|step| println!("    {step}"));
    }
    report
}

#[test]
fn a_disk() {
    check(everywhere(LOCAL));
    check(of_disks(LOCAL));
    check(with_another_program(LOCAL));
}

#[test]
fn a_disk_without_locks() {
    check(everywhere(UNLOCKED));
    check(of_disks(UNLOCKED));
    check(with_another_program(UNLOCKED));
}

#[test]
fn an_object_store_with_conditions() {
    check(everywhere(CONDITIONAL));
    check(with_another_program(CONDITIONAL));
}

#[test]
fn an_object_store_that_deletes_without_conditions() {
    check(everywhere(COPIES));
}

#[test]
fn an_object_store_without_conditions() {
    check(everywhere(PLAIN));
    check(with_another_program(PLAIN));
}
