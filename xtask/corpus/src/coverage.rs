//! Whether every recorded answer was compared with something.

use colca::raw_json::Value;

use super::answers::{Answers, Area, Outcome};
use super::case::Case;

/// Parts of `expect.json` that are about the recording itself.
pub(super) const NOT_ANSWERS: [&str; 4] = ["described_by", "generator", "files", "answers_are_after_renaming"];

/// Lists and objects with an answer for each question, index or node. Where there is none, there is nothing to compare.
const ONE_FOR_EACH: [&str; 9] =
    ["by_id", "by_ids", "hash_by_id", "nodes", "queries", "ref_doc_info_by_index", "rel_map", "retrieve", "structs"];

/// Adds a failure for each recorded answer that nothing was compared with: an answer that the comparison does not
/// understand must not pass by being left out.
pub(super) fn demand(case: &Case, answers: &mut Answers) {
    let mut leaves = Vec::new();
    collect_leaves(&case.expect, &mut Vec::new(), &mut leaves);
    leaves.retain(|leaf| !answers.iter().any(|answer| leaf.starts_with(&answer.path)));
    for leaf in leaves {
        let path: Vec<&str> = leaf.iter().map(String::as_str).collect();
        answers.put(Area::StorageContext, &path, Outcome::Failed("compared with nothing".to_owned()));
    }
}

/// The paths of all scalars, empty lists and empty objects that are answers.
pub(super) fn collect_leaves(value: &Value, path: &mut Vec<String>, leaves: &mut Vec<Vec<String>>) {
    let mut below = |key: String, value: &Value| {
        // The value of a tag is judged with the tag; what is there for information only is not compared.
        if key == "$repr" || (path.is_empty() && NOT_ANSWERS.contains(&key.as_str())) {
            return;
        }
        path.push(key);
        collect_leaves(value, path, leaves);
        path.pop();
    };
    match value {
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(i, item)| below(i.to_string(), item));
        }
        Value::Object(entries) if !entries.is_empty() => {
            entries.iter().for_each(|(key, value)| below(key.to_string(), value));
        }
        // Of what is no node an index node makes one with a new id at every read.
        _ if path.iter().any(|key| key == "obj") && path.last().is_some_and(|key| key == "id" || key == "id_") => {}
        Value::Array(_) | Value::Object(_) if path.last().is_some_and(|key| ONE_FOR_EACH.contains(&key.as_str())) => {}
        // What is empty is an answer, too.
        _ => leaves.push(path.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{answer, find_cases};

    #[test]
    fn an_answer_without_a_question_fails() {
        let mut case = find_cases(&[]).unwrap().swap_remove(0);
        let failures = |case: &Case| {
            let mut answers = answer(case).unwrap();
            demand(case, &mut answers);
            answers.iter().filter(|answer| matches!(answer.outcome, Outcome::Failed(_))).count()
        };
        assert_eq!(failures(&case), 0);
        let Value::Object(expect) = &mut case.expect else { panic!("expect.json is an object") };
        expect
            .insert("a new kind of answer".into(), Value::from(vec![Value::from(1), Value::from(Vec::<Value>::new())]));
        assert_eq!(failures(&case), 2);
    }
}
