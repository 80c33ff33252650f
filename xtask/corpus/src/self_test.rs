//! Whether the comparison would notice a wrong answer: alters recorded answers at random and demands that each
//! alteration is reported.

use std::path::PathBuf;

use anyhow::{Result, bail};
use colca::raw_json::{PyString, Value};
use support::{RESULT, Random, thousands};

use super::answers::{Answer, Outcome};
use super::case::Case;
use super::coverage::collect_leaves;
use super::{answer, find_cases};

/// Alters `alterations` answers, one at a time, in cases chosen at random from the folders.
///
/// # Errors
/// If one is not noticed, or a recording cannot be read.
pub fn run(dirs: &[PathBuf], alterations: usize, seed: u64) -> Result<()> {
    let cases = find_cases(dirs)?;
    let mut random = Random::new(seed);
    let mut tried = 0;
    let mut unnoticed = Vec::new();
    let mut rounds = 0;
    while tried < alterations && rounds < 20 * alterations {
        rounds += 1;
        let case = &cases[random.below(cases.len())];
        let before = answer(case)?;
        let mut leaves = Vec::new();
        collect_leaves(&case.expect, &mut Vec::new(), &mut leaves);
        if leaves.is_empty() {
            continue;
        }
        let path = &leaves[random.below(leaves.len())];
        let covering =
            before.iter().filter(|answer| path.starts_with(&answer.path)).max_by_key(|answer| answer.path.len());
        match covering {
            // Deviations say why an answer is not LlamaIndex's.
            Some(Answer { outcome: Outcome::Deviation(_) | Outcome::Failed(_), .. }) => continue,
            Some(Answer { outcome: Outcome::Passed, .. }) => {}
            None => {
                unnoticed.push(format!("{} {}: compared with nothing", case.name(), path.join("/")));
                continue;
            }
        }
        tried += 1;
        let mut altered = case.clone();
        let change = alter(at(&mut altered.expect, path), &mut random);
        let failures = |case: &Case| -> Result<usize> {
            // A recording that cannot be understood any more is noticed too.
            Ok(answer(case).map_or(usize::MAX, |answers| {
                answers.iter().filter(|answer| matches!(answer.outcome, Outcome::Failed(_))).count()
            }))
        };
        if failures(&altered)? <= failures(case)? {
            unnoticed.push(format!("{} {}: {change}", case.name(), path.join("/")));
        }
    }
    for place in &unnoticed {
        println!("unnoticed: {place}");
    }
    let noticed = thousands(tried - unnoticed.len().min(tried));
    println!("{RESULT}{noticed} of {} alterations of recorded answers were noticed", thousands(tried));
    if !unnoticed.is_empty() || tried == 0 {
        bail!("the comparison has holes");
    }
    Ok(())
}

fn at<'a>(value: &'a mut Value, path: &[String]) -> &'a mut Value {
    path.iter().fold(value, |value, key| match value {
        Value::Array(items) => &mut items[key.parse::<usize>().expect("a list is entered by a position")],
        Value::Object(entries) => {
            let (_, _, value) = entries.get_full_mut(&PyString::from(key.as_str())).expect("the place was just found");
            value
        }
        _ => unreachable!("scalars have nothing below them"),
    })
}

/// Makes a scalar another one, and returns how.
pub fn alter(value: &mut Value, random: &mut Random) -> String {
    let before = value.to_string();
    *value = match &*value {
        Value::Null => Value::from("not null"),
        Value::Bool(b) => Value::from(!b),
        Value::Int(n) => Value::from(n.wrapping_add(1)),
        Value::Float(x) if random.below(2) == 0 => Value::from(1.5 * x + 1.1),
        Value::Float(x) => Value::from(-2.0 * x - 0.7371),
        Value::String(s) => {
            let mut points: Vec<u32> = s.code_points().collect();
            let at = random.below(points.len() + 1);
            points.insert(at, u32::from('q'));
            Value::String(PyString::from_code_points(points))
        }
        other => Value::from(vec![other.clone()]),
    };
    format!("{before} made {value}")
}
