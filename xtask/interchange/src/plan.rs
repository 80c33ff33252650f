use colca::raw_json::{Dialect, Value, to_json};
use support::Random;

use super::cast::Cast;
use super::existing::Existing;
use super::operations::{beginnings, operation};
use super::questions::questions;

/// What is done in a run: operations on an empty context, operations on what was persisted after them, and questions
/// at the end.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Whether the context has a property graph store.
    pub(super) property_graph: bool,
    pub(super) first: Vec<Value>,
    pub(super) then: Vec<Value>,
    pub(super) questions: Vec<Value>,
}

impl Plan {
    /// The plan of this seed.
    pub(super) fn random(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut cast = Cast::new(&mut random);
        let mut first = beginnings(&cast);
        // Some contexts stay empty, and some are not changed any more.
        let (n, m) = (random.below(16), random.below(16));
        first.extend(random.list(n, |random| operation(random, &mut cast)));
        let then = random.list(m, |random| operation(random, &mut cast));
        let questions = questions(&mut random, &cast);
        Self { property_graph: cast.property_graph, first, then, questions }
    }

    /// Whether all operations still have what they need, and all questions one right answer.
    pub(super) fn is_well_defined(&self) -> bool {
        let existing = Existing::after(self.first.iter().chain(&self.then));
        existing.is_some_and(|existing| self.questions.iter().all(|question| existing.can_tell(question)))
    }

    /// The first operations, those after, or the questions.
    pub(super) fn part(&mut self, part: usize) -> &mut Vec<Value> {
        match part {
            0 => &mut self.first,
            1 => &mut self.then,
            _ => &mut self.questions,
        }
    }
}

/// One operation or question a line, as Python and ours read it.
impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "a context with{} property graph", if self.property_graph { " a" } else { "out" })?;
        for (title, lines) in
            [("first", &self.first), ("after persisting and opening", &self.then), ("questions", &self.questions)]
        {
            writeln!(f, "{title}:")?;
            for line in lines {
                writeln!(f, "  {}", String::from_utf8_lossy(&to_json(line, Dialect::Ascii)))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_plan() {
        let plan = |seed| Plan::random(seed).to_string();
        assert_eq!(plan(5), plan(5));
        assert_ne!(plan(5), plan(6));
    }

    #[test]
    fn every_plan_is_well_defined() {
        for seed in 0..200 {
            assert!(Plan::random(seed).is_well_defined(), "seed {seed}");
        }
    }

    #[test]
    fn every_operation_and_kind_of_index_of_the_driver_comes_up() {
        let mut seen = std::collections::BTreeSet::new();
        let mut kinds = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let plan = Plan::random(seed);
            for line in plan.first.iter().chain(&plan.then).chain(&plan.questions) {
                let name = line.get("op").unwrap().as_str().unwrap().to_string();
                if name == "indexes.build" {
                    kinds.insert(line.get("kind").unwrap().as_str().unwrap().to_string());
                }
                seen.insert(name);
            }
        }
        let driver = std::fs::read_to_string(support::root().join("xtask/interchange/driver.py")).unwrap();
        let known = |start: &str| {
            let (_, table) = driver.split_once(start).unwrap();
            let (table, _) = table.split_once("\n}\n").unwrap();
            let keys = table.lines().filter_map(|line| line.strip_prefix("    \"")?.split_once("\":"));
            keys.map(|(key, _)| key.to_owned()).collect()
        };
        assert_eq!(seen, known("OPERATIONS: "));
        assert_eq!(kinds, known("KINDS = "));
    }
}
