//! Faults of timing: kills at any moment, several writers, readers beside a writer.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Harness;
use super::start::{ROUND, Start};
use super::sweep::progress;
use super::table::Tried;
use super::tools::{Fault, Talk};
use super::trial::{PERSISTED, aftermath};

const WRITERS: usize = 16;
const READERS: usize = 2;

/// How often a process is killed, and a reader's place is written, for each round of the options.
const MOMENTS: usize = 3;
const READ_ROUNDS: usize = 5;

/// A process is killed at a random moment of its persist.
pub(super) fn random_moments(harness: &Harness, start: &Start) -> Result<Tried> {
    let base = harness.folder("moments")?;
    let begin = || -> Result<_> {
        let place = start.lay_out(&base)?;
        let mut talk = harness.tools.talk(&["write", &ROUND.to_string(), "wait"], &place, Fault::None)?;
        talk.expect("ready")?;
        talk.send("go");
        Ok((place, talk))
    };
    let mut longest = Duration::MAX;
    for _ in 0..5 {
        let (_, mut whole) = begin()?;
        let clock = Instant::now();
        whole.expect(PERSISTED)?;
        // Some are to be hit after their work is done.
        longest = longest.min(clock.elapsed() * 3 / 2);
    }
    let (mut random, mut tried) = (harness.random(), Tried::default());
    for round in 0..MOMENTS * harness.options.rounds {
        let (place, mut talk) = begin()?;
        let wait = longest.mul_f64(random.unit());
        spin(wait);
        talk.child.kill()?;
        let said = talk.hear()?;
        drop(talk);
        let verdict = aftermath(&harness.tools, start, &place, said.as_deref())?;
        tried.count += 1;
        tried.lost.extend(verdict.err().map(|lost| format!("after {wait:?}: {lost}")));
        progress(round + 1, MOMENTS * harness.options.rounds);
    }
    Ok(tried)
}

/// Waits more exactly than a sleep does.
fn spin(wait: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < wait {
        thread::yield_now();
    }
}

/// Processes that have all seen the same state persist at once, and some are killed: one wins, and what winners wrote is
/// never lost.
pub(super) fn writers(harness: &Harness, start: &Start, killed: usize, fault: Fault) -> Result<Tried> {
    let place = start.lay_out(&harness.folder("writers")?)?;
    let names: Vec<String> = (0..WRITERS).map(|n| format!("writer-{n}")).collect();
    let begin = |name: &String| harness.tools.talk(&["race", name], &place, fault);
    let mut talks = names.iter().map(begin).collect::<Result<Vec<_>>>()?;
    let (mut random, mut tried) = (harness.random(), Tried::default());
    let mut before = harness.tools.check(&place)?;
    for round in ROUND..ROUND + harness.options.rounds {
        talks.iter_mut().for_each(|talk| talk.send(&round.to_string()));
        talks.iter_mut().try_for_each(|talk| talk.expect("ready"))?;
        talks.iter_mut().for_each(|talk| talk.send("go"));
        let victims = random.list(killed, |random| random.below(WRITERS));
        for victim in &victims {
            spin(Duration::from_micros(random.below(2000) as u64));
            talks[*victim].child.kill()?;
        }
        let said = talks.iter_mut().map(Talk::hear).collect::<Result<Vec<_>>>()?;
        for victim in victims {
            talks[victim] = begin(&names[victim])?;
        }
        let found = harness.tools.check(&place)?;
        let lost = race_is_wrong(&said, killed, &found, &before, &one_round_more(&before, round));
        tried.count += 1;
        tried.lost.extend(lost.map(|lost| format!("round {round}: {lost}")));
        before = found;
        progress(tried.count, harness.options.rounds);
    }
    Ok(tried)
}

/// What a reader finds one round later, if nothing is lost.
fn one_round_more(state: &str, round: usize) -> String {
    match state.split_once("; ") {
        Some((_, rest)) => format!("round {round}; {} {round}", rest.trim_end_matches(" none")),
        None => state.to_owned(),
    }
}

/// What is wrong with the answers of writers, of which some may have been killed before they answered.
fn race_is_wrong(said: &[Option<String>], killed: usize, found: &str, before: &str, after: &str) -> Option<String> {
    let said: Vec<&str> = said.iter().flatten().map(String::as_str).collect();
    let winners = said.iter().filter(|said| **said == PERSISTED).count();
    let conflicts = said.iter().filter(|said| said.starts_with("conflict ")).count();
    let locked = said.iter().filter(|said| said.starts_with("locked ")).count();
    if winners > 1 || (winners == 0 && killed == 0) {
        return Some(format!("{winners} have won"));
    }
    if winners + conflicts + locked < said.len() {
        return Some(format!("one said neither that it has won nor that it has lost: {said:?}"));
    }
    if winners + conflicts > 0 && found != after {
        return Some(format!("there is: {found}; it should be: {after}"));
    }
    (found != before && found != after).then(|| format!("there is: {found}"))
}

/// Readers open the place again and again while a writer persists: they see whole rounds, never an older one again, and
/// no error.
pub(super) fn readers(harness: &Harness, start: &Start) -> Result<Tried> {
    let place = start.lay_out(&harness.folder("readers")?)?;
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(harness.tools.talk(&["read"], &place, Fault::None)?);
    }
    let mut tried = Tried::default();
    write_rounds(harness, &place)?;
    for reader in &mut readers {
        reader.send("stop");
        let said = reader.hear()?.context("a reader was killed")?;
        match said.strip_prefix("read ").and_then(|count| count.parse::<usize>().ok()) {
            Some(count) => tried.count += count,
            None => tried.lost.push(format!("a reader said: {said}")),
        }
    }
    tried.count += tried.lost.len();
    ensure!(tried.count > 0, "nothing was read");
    Ok(tried)
}

fn write_rounds(harness: &Harness, place: &Path) -> Result<()> {
    let mut writer: Talk = harness.tools.talk(&["race", "writer"], place, Fault::None)?;
    for round in ROUND..ROUND + READ_ROUNDS * harness.options.rounds {
        writer.send(&round.to_string());
        writer.expect("ready")?;
        writer.send("go");
        writer.expect(PERSISTED)?;
        progress(round + 1 - ROUND, READ_ROUNDS * harness.options.rounds);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_race_has_one_winner_whose_round_is_there() {
        let check = |said: &[&str], killed: usize, found: &str, fine: bool| {
            let answers: Vec<_> = said.iter().map(|&said| Some(said.to_owned())).chain([None]).collect();
            let before = "round 1; x; after 1";
            let wrong = race_is_wrong(&answers, killed, found, before, &one_round_more(before, 2));
            assert_eq!(wrong.is_none(), fine, "{said:?} {found} {wrong:?}");
        };
        let (before, after) = ("round 1; x; after 1", "round 2; x; after 1 2");
        check(&["conflict with 2", "persisted", "locked by 1"], 0, after, true);
        check(&["persisted", "persisted"], 0, after, false);
        check(&["conflict with 2"], 0, after, false);
        check(&["persisted", "failed otherwise"], 0, after, false);
        check(&["persisted", "conflict with 2"], 0, "round 2; x; after 2", false);
        check(&["persisted", "conflict with 2"], 0, before, false);
        check(&["conflict with 2"], 1, after, true);
        check(&["conflict with 2"], 1, before, false);
        check(&["locked by 1"], 1, before, true);
        check(&["locked by 1"], 1, "mixture", false);
        assert_eq!(one_round_more("round none; x; after none", 2), "round 2; x; after 2");
    }
}
