use colca::raw_json::Value;

use super::plan::Plan;

/// How many smaller plans are tried.
const TRIES: usize = 400;

/// Takes out of a plan what it does not need to go on failing: operations, questions and nodes, first by halves, then
/// one by one.
pub(super) fn shrink(plan: Plan, mut fails: impl FnMut(&Plan) -> bool) -> Plan {
    let mut smallest = plan;
    let mut tries = 0;
    loop {
        let before = size(&smallest);
        for list in lists(&smallest) {
            // Half of the list at a time, then a quarter, and so on.
            let mut step = list.get(&mut smallest.clone()).map_or(0, |items| items.len().div_ceil(2));
            while step > 0 {
                let mut at = 0;
                while tries < TRIES {
                    let mut smaller = smallest.clone();
                    let Some(items) = list.get(&mut smaller) else { break };
                    if at >= items.len() {
                        break;
                    }
                    items.drain(at..(at + step).min(items.len()));
                    tries += 1;
                    if fails(&smaller) {
                        smallest = smaller;
                    } else {
                        at += step;
                    }
                }
                step /= 2;
            }
        }
        if size(&smallest) == before || tries >= TRIES {
            return smallest;
        }
    }
}

fn size(plan: &Plan) -> usize {
    plan.to_string().len()
}

/// A list in a plan that can be made shorter.
#[derive(Debug, Clone, Copy)]
enum List {
    Questions,
    First,
    Then,
    /// The nodes of an operation.
    NodesOfFirst(usize),
    NodesOfThen(usize),
}

fn lists(plan: &Plan) -> Vec<List> {
    let mut lists = vec![List::Questions, List::First, List::Then];
    lists.extend((0..plan.first.len()).map(List::NodesOfFirst));
    lists.extend((0..plan.then.len()).map(List::NodesOfThen));
    lists
}

impl List {
    fn get(self, plan: &mut Plan) -> Option<&mut Vec<Value>> {
        fn nodes(op: Option<&mut Value>) -> Option<&mut Vec<Value>> {
            let Value::Object(op) = op? else { return None };
            match op.get_mut(&b"nodes"[..]) {
                Some(Value::Array(nodes)) => Some(nodes),
                _ => None,
            }
        }
        match self {
            Self::Questions => Some(&mut plan.questions),
            Self::First => Some(&mut plan.first),
            Self::Then => Some(&mut plan.then),
            Self::NodesOfFirst(at) => nodes(plan.first.get_mut(at)),
            Self::NodesOfThen(at) => nodes(plan.then.get_mut(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_is_taken_out() {
        let op = |n: usize| Value::from(n);
        let nodes: Value = [("nodes", Value::Array((0..5).map(op).collect()))].into_iter().collect();
        let plan = Plan {
            property_graph: false,
            first: (0..17).map(op).collect(),
            then: vec![op(1), nodes],
            questions: (0..40).map(op).collect(),
        };
        let smallest = shrink(plan, |plan| {
            let in_nodes =
                |op: &Value| op.get("nodes").is_some_and(|nodes| nodes.as_array().unwrap().contains(&3.into()));
            plan.first.contains(&op(11)) && plan.then.iter().any(in_nodes) && plan.questions.contains(&op(39))
        });
        assert_eq!((smallest.first, smallest.questions), (vec![op(11)], vec![op(39)]));
        assert_eq!(Value::Array(smallest.then).to_string(), r#"[{"nodes": [3]}]"#);
    }
}
