use std::collections::BTreeSet;

use graphstore::{
    Deleted, LabelledNode, NodeFilter, PythonProblem, RelMapOptions, Relation, SimplePropertyGraphStore, Triplet,
    TripletFilter,
};
use proptest::prelude::*;
use raw_json::{Dialect, Object, PyString, Text, Value, to_json};

use crate::{any_value, parse, written};

/// Ids that spell the same keys, and one that is cleaned into another.
const IDS: [&str; 6] = ["a", "b", "a_b", "b_a", "q ", "q\""];
const LABELS: [&str; 4] = ["a", "b", "a_b", "b_a"];

/// Subject, label, object.
type Ends = (&'static str, &'static str, &'static str);

/// Nodes by id and relations by ends, in order, each with its property `p`.
#[derive(Debug, Default)]
struct Model {
    nodes: Vec<(&'static str, Option<i64>)>,
    relations: Vec<(Ends, Option<i64>)>,
}

#[derive(Debug, Clone)]
enum Op {
    Node(&'static str, Option<i64>),
    Relation(&'static str, &'static str, &'static str, Option<i64>),
    Delete(Filter),
    Get(Filter),
    RelMap { ids: Vec<&'static str>, depth: usize, limit: usize, ignore: Option<&'static str> },
    Reload,
    Upgrade,
}

#[derive(Debug, Clone)]
struct Filter {
    names: Vec<&'static str>,
    labels: Vec<&'static str>,
    p: Option<Option<i64>>,
    ids: Vec<&'static str>,
}

fn filter() -> impl Strategy<Value = Filter> {
    let some = |from: &'static [&'static str]| prop_oneof![2 => Just(vec![]), 1 => proptest::collection::vec(proptest::sample::select(from), 0..3)];
    let p = prop_oneof![3 => Just(None), 1 => property().prop_map(Some)];
    (some(&IDS), some(&LABELS), p, some(&IDS)).prop_map(|(names, labels, p, ids)| Filter { names, labels, p, ids })
}

fn property() -> impl Strategy<Value = Option<i64>> {
    proptest::option::of(0..3_i64)
}

fn op() -> impl Strategy<Value = Op> {
    let id = || proptest::sample::select(&IDS[..]);
    let label = || proptest::sample::select(&LABELS[..]);
    prop_oneof![
        3 => (id(), property()).prop_map(|(id, p)| Op::Node(id, p)),
        6 => (id(), label(), id(), property()).prop_map(|(s, r, o, p)| Op::Relation(s, r, o, p)),
        2 => filter().prop_map(Op::Delete),
        2 => filter().prop_map(Op::Get),
        1 => (proptest::collection::vec(id(), 0..3), 0..5_usize, 0..20_usize, proptest::option::of(label()))
            .prop_map(|(ids, depth, limit, ignore)| Op::RelMap { ids, depth, limit, ignore }),
        1 => Just(Op::Reload),
        1 => Just(Op::Upgrade),
    ]
}

fn clean(id: &'static str) -> &'static str {
    if id == "q\"" { "q " } else { id }
}

fn triplet((s, r, o): (&str, &str, &str)) -> Triplet {
    Triplet::new(s, r, o)
}

impl Model {
    fn put_node(&mut self, id: &'static str, p: Option<i64>) {
        match self.nodes.iter_mut().find(|(found, _)| *found == clean(id)) {
            Some(node) => node.1 = p,
            None => self.nodes.push((clean(id), p)),
        }
    }

    fn node(&self, id: &str) -> Option<Option<i64>> {
        self.nodes.iter().find(|(found, _)| *found == id).map(|(_, p)| *p)
    }

    fn put_relation(&mut self, ends: Ends, p: Option<i64>) {
        let ends = (clean(ends.0), ends.1, clean(ends.2));
        for end in [ends.0, ends.2] {
            if self.node(end).is_none() {
                self.nodes.push((end, None));
            }
        }
        match self.relations.iter_mut().find(|(found, _)| *found == ends) {
            Some(relation) => relation.1 = p,
            None => self.relations.push((ends, p)),
        }
    }

    fn triplet_matches(&self, filter: &Filter, (s, r, o): Ends, p: Option<i64>) -> bool {
        let touches = |ids: &[&str]| ids.is_empty() || ids.contains(&s) || ids.contains(&o);
        let asked =
            !(filter.names.is_empty() && filter.labels.is_empty() && filter.ids.is_empty() && filter.p.is_none());
        asked
            && touches(&filter.names)
            && touches(&filter.ids)
            && (filter.labels.is_empty() || filter.labels.contains(&r))
            && filter.p.is_none_or(|wanted| p == wanted || self.node(s) == Some(wanted) || self.node(o) == Some(wanted))
    }

    fn matching(&self, filter: &Filter) -> Vec<Triplet> {
        let found = self.relations.iter().filter(|(ends, p)| self.triplet_matches(filter, *ends, *p));
        found.map(|(ends, _)| triplet(*ends)).collect()
    }

    fn delete(&mut self, filter: &Filter) -> Deleted {
        let has = |ids: &[&str], id: &str| ids.is_empty() || ids.contains(&id);
        let asks_for_nodes =
            filter.labels.is_empty() && !(filter.names.is_empty() && filter.ids.is_empty() && filter.p.is_none());
        let gone: BTreeSet<&str> = self
            .nodes
            .iter()
            .filter(|(id, p)| {
                asks_for_nodes
                    && has(&filter.names, id)
                    && has(&filter.ids, id)
                    && filter.p.is_none_or(|wanted| wanted == *p)
            })
            .map(|(id, _)| *id)
            .collect();
        let before = self.relations.len();
        let matching = self.matching(filter);
        self.relations.retain(|(ends, _)| {
            !matching.contains(&triplet(*ends)) && !gone.contains(ends.0) && !gone.contains(ends.2)
        });
        self.nodes.retain(|(id, _)| !gone.contains(id));
        let removed = before - self.relations.len();
        Deleted { nodes: gone.len(), triplets: removed, relations: removed }
    }

    /// The spec's levels, by scanning.
    fn rel_map(&self, ids: &[&str], depth: usize, limit: usize, ignore: Option<&str>) -> Vec<Triplet> {
        let touching = |ids: &[&str]| -> Vec<Ends> {
            let found = self.relations.iter().map(|(ends, _)| *ends);
            found.filter(|ends| ids.contains(&ends.0) || ids.contains(&ends.2)).collect()
        };
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        let mut level = touching(ids);
        for _ in 0..depth {
            found.extend(level.clone());
            let objects: Vec<&str> = level.iter().map(|ends| ends.2).collect();
            level = touching(&objects);
            level.retain(|ends| seen.insert(*ends));
        }
        found.retain(|ends| ignore != Some(ends.1));
        found.into_iter().take(limit).map(triplet).collect()
    }
}

fn query(filter: &Filter) -> TripletFilter {
    let query = TripletFilter::default()
        .with_entity_names(filter.names.clone())
        .with_relation_names(filter.labels.clone())
        .with_ids(filter.ids.clone());
    match filter.p {
        Some(p) => query.with_property("p", p),
        None => query,
    }
}

fn with_property(node: LabelledNode, p: Option<i64>) -> LabelledNode {
    if p.is_some() { node.with_property("p", p) } else { node }
}

fn check(store: &SimplePropertyGraphStore, model: &Model) {
    let nodes = store.get(&NodeFilter::default());
    let nodes: Vec<_> = nodes.iter().map(|node| (node.id().to_string(), node.property("p").cloned())).collect();
    let expected: Vec<_> = model.nodes.iter().map(|(id, p)| ((*id).to_owned(), p.map(Value::from))).collect();
    assert_eq!(nodes, expected);

    let triplets: Vec<Triplet> = model.relations.iter().map(|(ends, _)| triplet(*ends)).collect();
    assert_eq!(store.triplets(), triplets);
    let found = store.get_triplets(&TripletFilter::default().with_relation_names(LABELS));
    let found: Vec<_> = found.iter().map(|t| (t.triplet(), t.relation.property("p").cloned())).collect();
    let expected: Vec<_> = model.relations.iter().map(|(ends, p)| (triplet(*ends), p.map(Value::from))).collect();
    assert_eq!(found, expected);

    assert_eq!(store.relation_count(), model.relations.len());
    assert_eq!(store.dangling_triplets(), []);
    assert!(matches!(store.python_problem(), None | Some(PythonProblem::AmbiguousKey(_))));
}

proptest! {
    #[test]
    fn the_store_does_what_plain_lists_do(ops in proptest::collection::vec(op(), 0..60)) {
        let mut store = SimplePropertyGraphStore::new();
        let mut model = Model::default();
        for op in ops {
            match op {
                Op::Node(id, p) => {
                    store.upsert_nodes([with_property(LabelledNode::entity(id), p)]).unwrap();
                    model.put_node(id, p);
                }
                Op::Relation(s, r, o, p) => {
                    let relation = Relation::new(r, s, o);
                    let relation = if p.is_some() { relation.with_property("p", p) } else { relation };
                    store.upsert_relations([relation]).unwrap();
                    model.put_relation((s, r, o), p);
                }
                Op::Delete(filter) => prop_assert_eq!(store.delete(&query(&filter)), model.delete(&filter)),
                Op::Get(filter) => {
                    let found: Vec<Triplet> = store.get_triplets(&query(&filter)).iter().map(|t| t.triplet()).collect();
                    prop_assert_eq!(found, model.matching(&filter));
                }
                Op::RelMap { ids, depth, limit, ignore } => {
                    let options = RelMapOptions::default().with_depth(depth).with_limit(limit).with_ignore_rels(ignore);
                    let names: Vec<PyString> = ids.iter().map(|id| PyString::from(*id)).collect();
                    let found: Vec<Triplet> = store.get_rel_map(&names, &options).iter().map(|t| t.triplet()).collect();
                    prop_assert_eq!(found, model.rel_map(&ids, depth, limit, ignore));
                }
                Op::Reload => {
                    store = SimplePropertyGraphStore::from_text(&Text::from(written(store.store_file().content))).unwrap();
                }
                Op::Upgrade => prop_assert!(!store.upgrade()),
            }
            check(&store, &model);
        }
    }

    #[test]
    fn one_change_leaves_all_else_as_it_was(
        other in any_value(),
        extra in any_value(),
        properties in proptest::collection::vec(any_value(), 1..4),
        dialect in proptest::sample::select(&[Dialect::Ascii, Dialect::Unicode][..]),
    ) {
        let properties: Object = properties.into_iter().enumerate().map(|(i, v)| (format!("k{i}").into(), v)).collect();
        let text = |value: &Value| String::from_utf8(to_json(value, dialect)).unwrap();
        let fields = |fields: &[(&str, Value)]| -> Value { fields.iter().cloned().collect() };
        let node = fields(&[("extra", extra.clone()), ("properties", properties.clone().into()), ("name", "a".into())]);
        let ends = [("label", "r".into()), ("source_id", "a".into()), ("target_id", "a".into())];
        let relation = fields(&[&ends[..], &[("extra", extra), ("properties", properties.into())]].concat());
        let file = |nodes: &[(&str, Value)]| {
            fields(&[
                ("nodes", fields(nodes)),
                ("other", other.clone()),
                ("relations", fields(&[("a_r_a", relation.clone())])),
                ("triplets", Value::Array(vec![Value::from(vec!["a", "r", "a"])])),
            ])
        };
        let before = text(&file(&[("a", node.clone())]));
        let store = SimplePropertyGraphStore::from_text(&Text::from(before.as_str())).unwrap();
        prop_assert_eq!(written(store.store_file().content), before);

        store.upsert_nodes([LabelledNode::entity("new")]).unwrap();
        let new = parse(r#"{"label": "entity", "embedding": null, "properties": {}, "name": "new"}"#);
        let after = file(&[("a", node), ("new", new)]);
        prop_assert_eq!(parse(&written(store.store_file().content)).to_string(), after.to_string());
    }
}
