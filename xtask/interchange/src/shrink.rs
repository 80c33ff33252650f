use colca::raw_json::{PyString, Value};

use super::plan::Plan;

/// How many smaller plans are tried.
const TRIES: usize = 600;

/// The parts of an operation that can have less in them and stay what they are.
const SHRINKABLE: [&str; 9] =
    ["nodes", "documents", "metadata", "properties", "additional_kwargs", "messages", "blocks", "node_ids", "ids"];

/// Takes out of a plan what it does not need to go on failing: operations and questions, then what is in them, first by
/// halves, then one by one.
pub(super) fn shrink(plan: Plan, mut fails: impl FnMut(&Plan) -> bool) -> Plan {
    let mut smallest = plan;
    let mut tries = 0;
    loop {
        let before = smallest.to_string();
        for part in 0..3 {
            shrink_place(&mut smallest, &Place { part, steps: Vec::new() }, &mut tries, &mut fails);
        }
        for place in places(&mut smallest) {
            shrink_place(&mut smallest, &place, &mut tries, &mut fails);
        }
        if smallest.to_string() == before || tries >= TRIES {
            return smallest;
        }
    }
}

fn shrink_place(smallest: &mut Plan, place: &Place, tries: &mut usize, fails: &mut impl FnMut(&Plan) -> bool) {
    let mut step = place.remove(&mut smallest.clone(), 0, usize::MAX).div_ceil(2);
    while step > 0 {
        let mut at = 0;
        while *tries < TRIES {
            let mut smaller = smallest.clone();
            if place.remove(&mut smaller, at, step) == 0 {
                break;
            }
            *tries += 1;
            if fails(&smaller) {
                *smallest = smaller;
            } else {
                at += step;
            }
        }
        step /= 2;
    }
}

/// A list or object in a plan.
struct Place {
    /// In the first operations, those after, or the questions.
    part: usize,
    /// At each step, which item or entry leads there. Without any it is the part itself.
    steps: Vec<usize>,
}

impl Place {
    /// Removes so many items or entries from a position on, and counts them.
    fn remove(&self, plan: &mut Plan, at: usize, n: usize) -> usize {
        let part = plan.part(self.part);
        let Some((first, rest)) = self.steps.split_first() else { return drain(part, at, n) };
        let value = rest.iter().try_fold(part.get_mut(*first), |value, &step| {
            Some(match value? {
                Value::Array(items) => items.get_mut(step),
                Value::Object(entries) => entries.get_index_mut(step).map(|(_, value)| value),
                _ => None,
            })
        });
        match value.flatten() {
            Some(Value::Array(items)) => drain(items, at, n),
            Some(Value::Object(entries)) => {
                let keys: Vec<PyString> = entries.keys().skip(at).take(n).cloned().collect();
                keys.iter().for_each(|key| drop(entries.shift_remove(key)));
                keys.len()
            }
            _ => 0,
        }
    }
}

fn drain(items: &mut Vec<Value>, at: usize, n: usize) -> usize {
    let end = at.saturating_add(n).min(items.len());
    if at < end { items.drain(at..end).len() } else { 0 }
}

/// All places within operations and questions that can be made smaller, the outer ones first.
fn places(plan: &mut Plan) -> Vec<Place> {
    let mut found = Vec::new();
    for part in 0..3 {
        for (at, op) in plan.part(part).iter().enumerate() {
            collect(op, part, &mut vec![at], &mut found);
        }
    }
    found
}

fn collect(value: &Value, part: usize, steps: &mut Vec<usize>, found: &mut Vec<Place>) {
    let children: Vec<(bool, &Value)> = match value {
        Value::Array(items) => items.iter().map(|item| (false, item)).collect(),
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| (SHRINKABLE.iter().any(|name| *key == *name), value)).collect()
        }
        _ => return,
    };
    for (at, (shrinkable, child)) in children.into_iter().enumerate() {
        steps.push(at);
        if shrinkable {
            found.push(Place { part, steps: steps.clone() });
        }
        collect(child, part, steps, found);
        steps.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_is_taken_out() {
        let op = |n: usize| Value::from(n);
        let node = |n: usize| -> Value {
            let metadata: Value = [("a", n), ("b", 2)].into_iter().collect();
            [("id", op(n)), ("metadata", metadata)].into_iter().collect()
        };
        let nodes: Value = [("nodes", Value::Array((0..5).map(node).collect()))].into_iter().collect();
        let plan = Plan {
            property_graph: false,
            first: (0..17).map(op).collect(),
            then: vec![op(1), nodes],
            questions: (0..40).map(op).collect(),
        };
        let smallest = shrink(plan, |plan| {
            let then = Value::Array(plan.then.clone()).to_string();
            plan.first.contains(&op(11)) && then.contains(r#""a": 3"#) && plan.questions.contains(&op(39))
        });
        assert_eq!((smallest.first, smallest.questions), (vec![op(11)], vec![op(39)]));
        assert_eq!(Value::Array(smallest.then).to_string(), r#"[{"nodes": [{"id": 3, "metadata": {"a": 3}}]}]"#);
    }
}
