use std::collections::{BTreeMap, BTreeSet};

use graphstore::{
    Deleted, LabelledNode, NodeFilter, PythonProblem, RelMapOptions, Relation, SimplePropertyGraphStore,
    TRIPLET_SOURCE_KEY, Triplet, TripletFilter,
};
use proptest::prelude::*;
use raw_json::{Dialect, Object, PyString, Text, Value, to_json};
use schema::Node;

use crate::{any_value, parse, written};

/// Ids that spell the same keys, and one that is cleaned into another.
const IDS: [&str; 6] = ["a", "b", "a_b", "b_a", "q ", "q\""];
const LABELS: [&str; 4] = ["a", "b", "a_b", "b_a"];
/// One is an id too.
const DOCUMENTS: [&str; 4] = ["doc", "other", "b", "None"];

/// Subject, label, object.
type Ends = (&'static str, &'static str, &'static str);

#[derive(Debug, Clone, PartialEq)]
struct ModelNode {
    id: &'static str,
    /// The property `p`.
    p: Option<i64>,
    /// The property `triplet_source_id`.
    source: Option<&'static str>,
    /// For a chunk, the document it comes from.
    chunk: Option<Option<&'static str>>,
}

impl ModelNode {
    fn entity(id: &'static str, p: Option<i64>, source: Option<&'static str>) -> Self {
        Self { id, p, source, chunk: None }
    }

    fn label(&self) -> &'static str {
        if self.chunk.is_some() { "text_chunk" } else { "entity" }
    }

    fn to_node(&self) -> LabelledNode {
        let mut node = LabelledNode::entity(self.id);
        if self.p.is_some() {
            node = node.with_property("p", self.p);
        }
        if let Some(source) = self.source {
            node = node.with_property(TRIPLET_SOURCE_KEY, source);
        }
        node
    }
}

fn llama_node(id: &str, document: Option<&str>) -> Node {
    let node = Node::text(format!("text of {id}")).with_id(id).with_metadata("k", 1);
    document.into_iter().fold(node, Node::with_source)
}

/// Nodes and relations in order, each relation with its property `p`.
#[derive(Debug, Default)]
struct Model {
    nodes: Vec<ModelNode>,
    relations: Vec<(Ends, Option<i64>)>,
    /// Whether triplets may share relations, as in files of 0.10.37 to 0.10.42.
    shared: bool,
}

#[derive(Debug, Clone)]
enum Op {
    Node(ModelNode),
    Relation(&'static str, &'static str, &'static str, Option<i64>),
    Delete(Filter),
    Get(Filter),
    RelMap { ids: Vec<&'static str>, depth: usize, limit: usize, ignore: Option<&'static str> },
    PutLlama(&'static str, Option<&'static str>),
    GetLlama(Vec<&'static str>),
    DeleteLlama(Vec<&'static str>, Vec<&'static str>),
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

/// What the graph is read from.
#[derive(Debug, Clone)]
struct Start {
    nodes: Vec<(&'static str, Option<i64>)>,
    relations: Vec<(Ends, Option<i64>)>,
    /// One relation for each label, under the label.
    by_label: bool,
    /// Whether LlamaIndex has deleted neighbours: triplets dangle.
    dangling: bool,
}

fn filter() -> impl Strategy<Value = Filter> {
    let some = |from: &'static [&'static str]| prop_oneof![2 => Just(vec![]), 1 => proptest::collection::vec(proptest::sample::select(from), 0..3)];
    let p = prop_oneof![3 => Just(None), 1 => property().prop_map(Some)];
    (some(&IDS), some(&LABELS), p, some(&IDS)).prop_map(|(names, labels, p, ids)| Filter { names, labels, p, ids })
}

fn property() -> impl Strategy<Value = Option<i64>> {
    proptest::option::of(0..3_i64)
}

fn start() -> impl Strategy<Value = Start> {
    // Without a `_` in ids and labels no two relations have the same key.
    let id = || proptest::sample::select(&["a", "b", "q "][..]);
    let nodes = proptest::collection::vec((id(), property()), 0..3);
    let relation = ((id(), proptest::sample::select(&["a", "b"][..]), id()), property());
    let relations = proptest::collection::vec(relation, 0..6);
    (nodes, relations, any::<bool>(), any::<bool>()).prop_map(|(nodes, relations, by_label, dangling)| Start {
        nodes,
        relations,
        by_label,
        dangling,
    })
}

fn op() -> impl Strategy<Value = Op> {
    let id = || proptest::sample::select(&IDS[..]);
    let ids = || proptest::collection::vec(id(), 0..3);
    let label = || proptest::sample::select(&LABELS[..]);
    let document = || proptest::sample::select(&DOCUMENTS[..]);
    prop_oneof![
        3 => (id(), property(), proptest::option::of(id())).prop_map(|(id, p, source)| Op::Node(ModelNode::entity(id, p, source))),
        6 => (id(), label(), id(), property()).prop_map(|(s, r, o, p)| Op::Relation(s, r, o, p)),
        2 => filter().prop_map(Op::Delete),
        2 => filter().prop_map(Op::Get),
        1 => (ids(), 0..5_usize, 0..20_usize, proptest::option::of(label()))
            .prop_map(|(ids, depth, limit, ignore)| Op::RelMap { ids, depth, limit, ignore }),
        3 => (id(), proptest::option::of(document())).prop_map(|(id, document)| Op::PutLlama(id, document)),
        1 => ids().prop_map(Op::GetLlama),
        2 => (ids(), proptest::collection::vec(document(), 0..2))
            .prop_map(|(ids, documents)| Op::DeleteLlama(ids, documents)),
        1 => Just(Op::Reload),
        1 => Just(Op::Upgrade),
    ]
}

fn clean(id: &'static str) -> &'static str {
    if id == "q\"" { "q " } else { id }
}

fn triplet((s, r, o): Ends) -> Triplet {
    Triplet::new(s, r, o)
}

impl Start {
    fn model(&self) -> Model {
        let mut model = Model::default();
        for &(id, p) in &self.nodes {
            model.put_node(ModelNode::entity(id, p, None));
        }
        for &(ends, p) in &self.relations {
            model.put_relation(ends, p);
        }
        if self.by_label {
            model.shared = true;
            let last: BTreeMap<&str, Option<i64>> = model.relations.iter().map(|(ends, p)| (ends.1, *p)).collect();
            model.relations.iter_mut().for_each(|(ends, p)| *p = last[ends.1]);
        }
        if self.dangling {
            model.nodes.truncate(self.nodes.len());
        }
        model
    }

    /// The model as a file. Of relations with one key, the last is there.
    fn file(&self) -> String {
        let model = self.model();
        let properties = |p: Option<i64>| -> Object { p.map(|p| ("p".into(), p.into())).into_iter().collect() };
        let node = |node: &ModelNode| -> (PyString, Value) {
            let fields =
                [("label", Value::from("entity")), ("properties", properties(node.p).into()), ("name", node.id.into())];
            (node.id.into(), fields.into_iter().collect())
        };
        let relation = |((s, r, o), p): &(Ends, Option<i64>)| -> (PyString, Value) {
            let key = if self.by_label { (*r).to_owned() } else { format!("{s}_{r}_{o}") };
            let ends = [("label", *r), ("source_id", *s), ("target_id", *o)];
            let fields = ends.into_iter().map(|(key, value)| (key, Value::from(value)));
            (key.into(), fields.chain([("properties", properties(*p).into())]).collect())
        };
        let triplets = model.relations.iter().map(|((s, r, o), _)| Value::from(vec![*s, *r, *o]));
        let parts = [
            ("nodes", Value::Object(model.nodes.iter().map(node).collect())),
            ("relations", Value::Object(model.relations.iter().map(relation).collect())),
            ("triplets", Value::Array(triplets.collect())),
        ];
        parts.into_iter().collect::<Value>().to_string()
    }
}

impl Model {
    fn node(&self, id: &str) -> Option<&ModelNode> {
        self.nodes.iter().find(|node| node.id == id)
    }

    fn put_node(&mut self, node: ModelNode) {
        match self.nodes.iter_mut().find(|found| found.id == node.id) {
            Some(found) => *found = node,
            None => self.nodes.push(node),
        }
    }

    fn put_relation(&mut self, (s, r, o): Ends, p: Option<i64>) {
        let end = |id: &'static str| if self.node(id).is_some() { id } else { clean(id) };
        let ends = (end(s), r, end(o));
        for id in [ends.0, ends.2] {
            if self.node(id).is_none() {
                self.nodes.push(ModelNode::entity(id, None, None));
            }
        }
        match self.relations.iter_mut().find(|(found, _)| *found == ends) {
            Some(relation) => relation.1 = p,
            None => self.relations.push((ends, p)),
        }
    }

    fn is_whole(&self, (s, _, o): Ends) -> bool {
        self.node(s).is_some() && self.node(o).is_some()
    }

    fn triplet_matches(&self, filter: &Filter, (s, r, o): Ends, p: Option<i64>) -> bool {
        let touches = |ids: &[&str]| ids.is_empty() || ids.contains(&s) || ids.contains(&o);
        let asked =
            !(filter.names.is_empty() && filter.labels.is_empty() && filter.ids.is_empty() && filter.p.is_none());
        let has = |id, wanted| self.node(id).is_some_and(|node| node.p == wanted);
        asked
            && touches(&filter.names)
            && touches(&filter.ids)
            && (filter.labels.is_empty() || filter.labels.contains(&r))
            && filter.p.is_none_or(|wanted| p == wanted || has(s, wanted) || has(o, wanted))
    }

    fn matching(&self, filter: &Filter) -> Vec<Triplet> {
        let found = self.relations.iter().filter(|(ends, p)| self.triplet_matches(filter, *ends, *p));
        found.filter(|(ends, _)| self.is_whole(*ends)).map(|(ends, _)| triplet(*ends)).collect()
    }

    fn delete(&mut self, filter: &Filter) -> Deleted {
        let has = |ids: &[&str], id: &str| ids.is_empty() || ids.contains(&id);
        let asks_for_nodes =
            filter.labels.is_empty() && !(filter.names.is_empty() && filter.ids.is_empty() && filter.p.is_none());
        let is_gone = |node: &&ModelNode| {
            asks_for_nodes
                && has(&filter.names, node.id)
                && has(&filter.ids, node.id)
                && filter.p.is_none_or(|wanted| wanted == node.p)
        };
        let gone = self.nodes.iter().filter(is_gone).map(|node| node.id).collect();
        let matching = self.relations.iter().filter(|(ends, p)| self.triplet_matches(filter, *ends, *p));
        let matching = matching.map(|(ends, _)| *ends).collect();
        self.remove(&gone, &matching)
    }

    fn delete_llama(&mut self, ids: &[&str], documents: &[&str]) -> Deleted {
        let is_gone = |node: &&ModelNode| {
            let document = node.chunk.map(|document| document.unwrap_or("None"));
            ids.contains(&node.id)
                || documents.contains(&node.id)
                || node.source.is_some_and(|source| ids.contains(&source))
                || document.is_some_and(|document| documents.contains(&document))
        };
        let gone = self.nodes.iter().filter(is_gone).map(|node| node.id).collect();
        self.remove(&gone, &BTreeSet::new())
    }

    /// Removes these nodes with what is incident, and these triplets.
    fn remove(&mut self, nodes: &BTreeSet<&str>, triplets: &BTreeSet<Ends>) -> Deleted {
        let before = self.relations.len();
        self.relations
            .retain(|(ends, _)| !triplets.contains(ends) && !nodes.contains(ends.0) && !nodes.contains(ends.2));
        self.nodes.retain(|node| !nodes.contains(node.id));
        let removed = before - self.relations.len();
        Deleted { nodes: nodes.len(), triplets: removed, relations: removed }
    }

    /// The spec's levels, by scanning.
    fn rel_map(&self, ids: &[&str], depth: usize, limit: usize, ignore: Option<&str>) -> Vec<Triplet> {
        let touching = |ids: &[&str]| -> Vec<Ends> {
            let found = self.relations.iter().map(|(ends, _)| *ends).filter(|ends| self.is_whole(*ends));
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

fn strings(strings: &[&str]) -> Vec<PyString> {
    strings.iter().map(|string| PyString::from(*string)).collect()
}

fn reloaded(store: &SimplePropertyGraphStore) -> SimplePropertyGraphStore {
    SimplePropertyGraphStore::from_text(&Text::from(written(store.store_file().content))).unwrap()
}

fn check(store: &SimplePropertyGraphStore, model: &Model) {
    let found = store.get(&NodeFilter::default());
    assert_eq!(
        found.iter().map(|node| node.id().to_string()).collect::<Vec<_>>(),
        model.nodes.iter().map(|node| node.id).collect::<Vec<_>>()
    );
    for (node, expected) in found.iter().zip(&model.nodes) {
        assert_eq!(node.property("p").cloned(), expected.p.map(Value::from));
        assert_eq!(node.property(TRIPLET_SOURCE_KEY).cloned(), expected.source.map(Value::from));
        assert_eq!((node.text().is_some(), &*node.label.to_string()), (expected.chunk.is_some(), expected.label()));
    }

    let triplets: Vec<Triplet> = model.relations.iter().map(|(ends, _)| triplet(*ends)).collect();
    assert_eq!(store.triplets(), triplets);
    let (whole, dangling): (Vec<_>, Vec<_>) = model.relations.iter().partition(|(ends, _)| model.is_whole(*ends));
    assert_eq!(store.dangling_triplets(), dangling.iter().map(|(ends, _)| triplet(*ends)).collect::<Vec<_>>());
    let scanned = store.get_triplets(&TripletFilter::default().with_relation_names(LABELS));
    let found: Vec<_> = scanned.iter().map(|t| (t.triplet(), t.relation.property("p").cloned())).collect();
    let expected: Vec<_> = whole.iter().map(|(ends, p)| (triplet(*ends), p.map(Value::from))).collect();
    assert_eq!(found, expected);

    // What is looked up by an end is what a scan finds there.
    for id in IDS {
        let touches = |triplet: &Triplet| triplet.subject == id || triplet.object == id;
        let expected: Vec<Triplet> = scanned.iter().map(|t| t.triplet()).filter(touches).collect();
        let found = store.get_triplets(&TripletFilter::default().with_ids([id]));
        assert_eq!(found.iter().map(|t| t.triplet()).collect::<Vec<_>>(), expected, "{id}");
    }

    let labels: BTreeSet<&str> = model.relations.iter().map(|(ends, _)| ends.1).collect();
    let exact = if model.shared { labels.len() } else { model.relations.len() };
    assert!((exact..=model.relations.len()).contains(&store.relation_count()), "{}", store.relation_count());
    assert_eq!(store.to_dict().get("relations").unwrap().as_object().unwrap().len(), store.relation_count());
    let told = match store.python_problem() {
        Some(PythonProblem::Dangling(_)) => !dangling.is_empty(),
        Some(PythonProblem::RelationKey(_)) => model.shared,
        Some(PythonProblem::AmbiguousKey(_)) => true,
        Some(_) => false,
        None => dangling.is_empty(),
    };
    assert!(told, "{:?}", store.python_problem());
    check_schema(store, model);
}

fn check_schema(store: &SimplePropertyGraphStore, model: &Model) {
    let schema = store.get_schema();
    let mut labels: BTreeMap<String, usize> = BTreeMap::new();
    model.nodes.iter().for_each(|node| *labels.entry(node.label().to_owned()).or_default() += 1);
    let found: BTreeMap<_, _> = schema.node_props.iter().map(|(label, of)| (label.to_string(), of.count)).collect();
    assert_eq!(found, labels);
    let mut joints: BTreeMap<String, usize> = BTreeMap::new();
    for ((s, r, o), _) in &model.relations {
        if let (Some(s), Some(o)) = (model.node(s), model.node(o)) {
            *joints.entry(format!("{} -> {r} -> {}", s.label(), o.label())).or_default() += 1;
        }
    }
    let found: BTreeMap<_, _> = schema.relationships.iter().map(|(joint, count)| (joint.to_string(), *count)).collect();
    assert_eq!(found, joints);
    assert_eq!(schema.rel_props.values().map(|of| of.count).sum::<usize>(), joints.values().sum::<usize>());
}

proptest! {
    #[test]
    fn the_store_does_what_plain_lists_do(start in start(), ops in proptest::collection::vec(op(), 0..40)) {
        let mut store = SimplePropertyGraphStore::from_text(&Text::from(start.file())).unwrap();
        let mut model = start.model();
        check(&store, &model);
        for op in ops {
            let before = store.relation_count();
            let same_deleted = |store: &SimplePropertyGraphStore, found: Deleted, expected: Deleted| {
                assert_eq!((found.nodes, found.triplets), (expected.nodes, expected.triplets));
                assert_eq!(found.relations, before - store.relation_count());
            };
            match op {
                Op::Node(node) => {
                    store.upsert_nodes([node.to_node()]).unwrap();
                    model.put_node(ModelNode { id: clean(node.id), ..node });
                }
                Op::Relation(s, r, o, p) => {
                    let relation = Relation::new(r, s, o);
                    let relation = if p.is_some() { relation.with_property("p", p) } else { relation };
                    store.upsert_relations([relation]).unwrap();
                    model.put_relation((s, r, o), p);
                }
                Op::Delete(filter) => same_deleted(&store, store.delete(&query(&filter)), model.delete(&filter)),
                Op::Get(filter) => {
                    let found: Vec<Triplet> = store.get_triplets(&query(&filter)).iter().map(|t| t.triplet()).collect();
                    prop_assert_eq!(found, model.matching(&filter));
                }
                Op::RelMap { ids, depth, limit, ignore } => {
                    let options = RelMapOptions::default().with_depth(depth).with_limit(limit).with_ignore_rels(ignore);
                    let found = store.get_rel_map(&strings(&ids), &options);
                    let found: Vec<Triplet> = found.iter().map(|t| t.triplet()).collect();
                    prop_assert_eq!(found, model.rel_map(&ids, depth, limit, ignore));
                }
                Op::PutLlama(id, document) => {
                    store.upsert_llama_nodes(&[llama_node(id, document).with_embedding([0.1, 1e-300])]).unwrap();
                    model.put_node(ModelNode { id, p: None, source: None, chunk: Some(document) });
                }
                Op::GetLlama(ids) => {
                    let found = store.get_llama_nodes(&strings(&ids));
                    let asked = || model.nodes.iter().filter(|node| ids.contains(&node.id));
                    let nodes: Vec<Node> = asked().filter_map(|node| Some(llama_node(node.id, node.chunk?))).collect();
                    prop_assert_eq!(found.nodes, nodes);
                    let skipped: Vec<&str> = asked().filter(|node| node.chunk.is_none()).map(|node| node.id).collect();
                    prop_assert_eq!(found.skipped.iter().map(|node| node.id.to_string()).collect::<Vec<_>>(), skipped);
                }
                Op::DeleteLlama(ids, documents) => {
                    let found = store.delete_llama_nodes(&strings(&ids), &strings(&documents));
                    same_deleted(&store, found, model.delete_llama(&ids, &documents));
                }
                Op::Reload => store = reloaded(&store),
                Op::Upgrade => {
                    prop_assert!(!store.upgrade() || model.shared);
                    prop_assert!(!matches!(store.python_problem(), Some(PythonProblem::RelationKey(_))));
                    prop_assert!(!store.upgrade());
                }
            }
            check(&store, &model);
            let again = reloaded(&store);
            prop_assert_eq!(again.to_dict().to_string(), store.to_dict().to_string());
            check(&again, &model);
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
