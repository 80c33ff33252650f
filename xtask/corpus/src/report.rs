//! The table of what came of a run.

use std::collections::BTreeMap;

use super::answers::{Answer, Answers, Area, Outcome};
use super::case::Case;

#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    passed: usize,
    failed: usize,
    deviations: usize,
}

impl Tally {
    fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed(_) => self.failed += 1,
            Outcome::Deviation(_) => self.deviations += 1,
        }
    }

    fn cell(&self) -> String {
        let mut parts = Vec::new();
        if self.passed > 0 {
            parts.push(self.passed.to_string());
        }
        if self.failed > 0 {
            parts.push(format!("!{}", self.failed));
        }
        if self.deviations > 0 {
            parts.push(format!("~{}", self.deviations));
        }
        if parts.is_empty() { "·".to_owned() } else { parts.join(" ") }
    }
}

/// Prints failures, the table by version and area, and how often each rule applied.
pub(super) fn print(all: &[(Case, Answers)], verbose: bool) {
    let mut versions: Vec<String> = Vec::new();
    let mut cells: BTreeMap<(String, Area), Tally> = BTreeMap::new();
    let mut rules: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for (case, answers) in all {
        if !versions.contains(&case.version()) {
            versions.push(case.version());
        }
        for Answer { area, path, outcome } in answers.iter() {
            cells.entry((case.version(), *area)).or_default().add(outcome);
            let place = || format!("{} {}: {}", case.name(), area.name(), path.join("/"));
            match outcome {
                Outcome::Failed(why) => println!("FAILED {}\n       {why}", place()),
                Outcome::Deviation(rule) => {
                    rules.entry(rule.id).or_insert((rule.title, 0)).1 += 1;
                    if verbose {
                        println!("{} {}", rule.id, place());
                    }
                }
                Outcome::Passed => {}
            }
        }
    }
    let mut rows =
        vec![std::iter::once("version".to_owned()).chain(Area::ALL.map(|a| a.name().to_owned())).collect::<Vec<_>>()];
    for version in &versions {
        let cell = |area| cells.get(&(version.clone(), area)).copied().unwrap_or_default().cell();
        rows.push(std::iter::once(version.clone()).chain(Area::ALL.map(cell)).collect());
    }
    print_columns(&rows);
    println!("  12 passed  !1 failed  ~3 deviations by a rule of docs/compatibility.md");
    if !rules.is_empty() {
        println!();
        let rows = rules.into_iter().map(|(id, (title, n))| vec![id.to_owned(), n.to_string(), title.to_owned()]);
        print_columns(&rows.collect::<Vec<_>>());
    }
    println!();
}

fn print_columns(rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        println!("  {}", cells.join("  ").trim_end());
    }
}
