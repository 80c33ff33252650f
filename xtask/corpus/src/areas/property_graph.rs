//! The property graph: the questions put to it, and the operations on it.

use std::collections::BTreeSet;

use anyhow::Result;
use colca::graphstore::{
    LabelledNode, LabelledTriplet, NodeFilter, NodeKind, RelMapOptions, Relation, TRIPLET_SOURCE_KEY, TripletFilter,
};
use colca::prelude::*;
use colca::raw_json::{Object, py_eq, py_repr};

use super::docstore::{describe, ok};
use super::{Answers, Area, Case, Outcome};
use crate::expected::{difference, python_error, short};
use crate::rules::{self, Rule};

/// Puts the questions and compares the answers.
pub(super) async fn run(
    case: &Case,
    graph: &dyn PropertyGraphStore,
    expected: &Value,
    answers: &mut Answers,
) -> Result<()> {
    let plain = PlainGraph::from_dict(&graph.to_dict().unwrap_or(Value::Null));
    let asked = case.question("pg").unwrap_or(Value::Null);
    for part in ["get", "get_triplets", "get_rel_map", "get_llama_nodes"] {
        let list = |value: &Value| value.get(part).and_then(Value::as_array).map(<[_]>::to_vec).unwrap_or_default();
        for (i, (question, expected)) in list(&asked).iter().zip(&list(expected)).enumerate() {
            let outcome = match part {
                "get" => {
                    let filter = NodeFilter { properties: properties(question), ids: strings(question, "ids") };
                    let nodes = graph.get(&filter).await?;
                    judge(expected, Value::Array(nodes.iter().map(told_node).collect()))
                }
                "get_triplets" => {
                    let filter = triplet_filter(question);
                    judge_triplets(&plain, expected, &graph.get_triplets(&filter).await?, || plain.matching(&filter))
                }
                "get_rel_map" => {
                    let (ids, options) = (strings(question, "ids"), rel_map_options(question));
                    let ours = graph.get_rel_map(&ids, &options).await?;
                    judge_triplets(&plain, expected, &ours, || plain.rel_map(&ids, &options))
                }
                _ => {
                    let found = graph.get_llama_nodes(&strings_of(question)).await?;
                    judge(
                        expected,
                        Value::Array(found.nodes.iter().map(|node| Value::Object(describe(node))).collect()),
                    )
                }
            };
            answers.put(Area::Graphs, &["property_graph_store", part, &i.to_string()], outcome);
        }
    }
    Ok(())
}

fn strings_of(value: &Value) -> Vec<PyString> {
    value.as_array().unwrap_or_default().iter().filter_map(Value::as_str).cloned().collect()
}

fn strings(question: &Value, key: &str) -> Vec<PyString> {
    question.get(key).map(strings_of).unwrap_or_default()
}

fn properties(of: &Value) -> Object {
    of.get("properties").and_then(Value::as_object).cloned().unwrap_or_default()
}

fn triplet_filter(question: &Value) -> TripletFilter {
    TripletFilter {
        entity_names: strings(question, "entity_names"),
        relation_names: strings(question, "relation_names"),
        properties: properties(question),
        ids: strings(question, "ids"),
    }
}

fn rel_map_options(question: &Value) -> RelMapOptions {
    let number = |key: &str, default| question.get(key).and_then(Value::as_f64).map_or(default, |n| n as usize);
    let RelMapOptions { depth, limit, .. } = RelMapOptions::default();
    RelMapOptions {
        depth: number("depth", depth),
        limit: number("limit", limit),
        ignore_rels: strings(question, "ignore_rels"),
    }
}

/// A node as LlamaIndex's recording tells it.
fn told_node(node: &LabelledNode) -> Value {
    let class = match node.kind() {
        NodeKind::Entity { .. } => "EntityNode",
        NodeKind::Chunk { .. } => "ChunkNode",
        _ => "neither",
    };
    [("id", Value::from(node.id())), ("label", (&node.label).into()), ("class", class.into())].into_iter().collect()
}

fn told_triplets(triplets: &[LabelledTriplet]) -> Value {
    let told = triplets.iter().map(|t| Value::from(vec![t.subject.id(), &t.relation.label, t.object.id()]));
    Value::Array(told.collect())
}

fn judge(expected: &Value, ours: Value) -> Outcome {
    difference(expected, &ok(ours)).map_or(Outcome::Passed, Outcome::Failed)
}

/// Compares triplets: where LlamaIndex fails on one that it cannot resolve, with what a plain reading of the file
/// finds.
fn judge_triplets(
    plain: &PlainGraph,
    expected: &Value,
    ours: &[LabelledTriplet],
    reading: impl FnOnce() -> Vec<Ends>,
) -> Outcome {
    let told = told_triplets(ours);
    let Some((kind, message)) = python_error(expected) else { return judge(expected, told) };
    let Some(rule) = plain.unresolved(&kind, &message) else {
        return Outcome::Failed(format!("LlamaIndex: {kind}: {message}; ours: {}", short(&told)));
    };
    let mut read: Vec<Ends> = reading();
    let mut found: Vec<Ends> = ours.iter().map(Ends::of).collect();
    let known = ours.iter().all(|triplet| plain.relation(&Ends::of(triplet)) == triplet.relation.properties);
    read.sort();
    found.sort();
    match read == found && known {
        true => Outcome::Deviation(rule),
        false => Outcome::Failed(format!("a plain reading finds {read:?}, ours: {}", short(&told))),
    }
}

/// Subject, label and object as bytes, which have an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Ends([Vec<u8>; 3]);

impl Ends {
    fn of(triplet: &LabelledTriplet) -> Self {
        Self([triplet.subject.id(), &triplet.relation.label, triplet.object.id()].map(|part| part.as_bytes().to_vec()))
    }

    fn read(triplet: &Value) -> Option<Self> {
        let parts: Vec<_> =
            triplet.as_array()?.iter().filter_map(|part| Some(part.as_str()?.as_bytes().to_vec())).collect();
        parts.try_into().ok().map(Self)
    }

    fn touches<'a>(&self, ids: impl IntoIterator<Item = &'a PyString>) -> bool {
        ids.into_iter().any(|id| [&self.0[0], &self.0[2]].contains(&&id.as_bytes().to_vec()))
    }

    /// The key of its relation.
    fn key(&self) -> Vec<u8> {
        self.0.join(&b'_')
    }

    fn label(&self) -> &[u8] {
        &self.0[1]
    }
}

/// A property graph as its file says it, read without any index: what to hold ours against where LlamaIndex errs.
#[derive(Debug, Clone, PartialEq)]
struct PlainGraph {
    nodes: Object,
    relations: Object,
    triplets: BTreeSet<Ends>,
}

impl PlainGraph {
    fn from_dict(dict: &Value) -> Self {
        let part = |name: &str| dict.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
        let triplets = dict.get("triplets").and_then(Value::as_array).unwrap_or_default();
        Self {
            nodes: part("nodes"),
            relations: part("relations"),
            triplets: triplets.iter().filter_map(Ends::read).collect(),
        }
    }

    /// The rule for the error that LlamaIndex raises when it resolves the triplets, if one of them gives cause to it.
    fn unresolved(&self, kind: &str, message: &str) -> Option<&'static Rule> {
        let rule = |ends: &Ends| {
            let [subject, _, object] = &ends.0;
            let missing = |known: &Object, key: &[u8], rule| (!known.contains_key(key)).then(|| (key.to_vec(), rule));
            let (key, rule) = missing(&self.nodes, subject, rules::DANGLING)
                .or_else(|| missing(&self.relations, &ends.key(), rules::RELATIONS_BY_LABEL))
                .or_else(|| missing(&self.nodes, object, rules::DANGLING))?;
            let key = String::from_utf8(key).ok()?;
            (kind == "KeyError" && py_repr(&Value::from(key)) == *message).then_some(rule)
        };
        self.triplets.iter().find_map(rule)
    }

    fn is_whole(&self, ends: &Ends) -> bool {
        self.nodes.contains_key(&ends.0[0][..]) && self.nodes.contains_key(&ends.0[2][..])
    }

    /// The key of a triplet's relation: what the ends spell, or the label.
    fn relation_key(&self, ends: &Ends) -> Option<Vec<u8>> {
        let keys = [ends.key(), ends.label().to_vec()];
        keys.into_iter().find(|key| self.relations.contains_key(&key[..]))
    }

    /// The properties of a triplet's relation.
    fn relation(&self, ends: &Ends) -> Object {
        let relation = self.relation_key(ends).and_then(|key| self.relations.get(&key[..]));
        relation.map(properties).unwrap_or_default()
    }

    fn has_property(&self, wanted: &Object, found: &Object) -> bool {
        wanted.iter().any(|(key, value)| py_eq(found.get(key).unwrap_or(&Value::Null), value))
    }

    fn node_has(&self, id: &[u8], wanted: &Object) -> bool {
        self.nodes.get(id).is_some_and(|node| self.has_property(wanted, &properties(node)))
    }

    fn matching(&self, filter: &TripletFilter) -> Vec<Ends> {
        let matches = |ends: &&Ends| {
            let [subject, _, object] = &ends.0;
            !filter.is_empty()
                && (filter.ids.is_empty() || ends.touches(&filter.ids))
                && (filter.entity_names.is_empty() || ends.touches(&filter.entity_names))
                && (filter.relation_names.is_empty()
                    || filter.relation_names.iter().any(|label| label.as_bytes() == ends.label()))
                && (filter.properties.is_empty()
                    || self.has_property(&filter.properties, &self.relation(ends))
                    || [subject, object].iter().any(|id| self.node_has(id, &filter.properties)))
        };
        self.triplets.iter().filter(|ends| self.is_whole(ends)).filter(matches).cloned().collect()
    }

    fn rel_map(&self, ids: &[PyString], options: &RelMapOptions) -> Vec<Ends> {
        let touching = |ids: &[Vec<u8>]| -> Vec<Ends> {
            let touches = |ends: &&Ends| ids.contains(&ends.0[0]) || ids.contains(&ends.0[2]);
            self.triplets.iter().filter(|ends| self.is_whole(ends)).filter(touches).cloned().collect()
        };
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        let mut level = touching(&ids.iter().map(|id| id.as_bytes().to_vec()).collect::<Vec<_>>());
        for _ in 0..options.depth {
            found.extend(level.clone());
            level = touching(&level.iter().map(|ends| ends.0[2].clone()).collect::<Vec<_>>());
            level.retain(|ends| seen.insert(ends.clone()));
        }
        found.retain(|ends| !options.ignore_rels.iter().any(|label| label.as_bytes() == ends.label()));
        found.truncate(options.limit);
        found
    }

    /// The nodes that came from these nodes and documents.
    fn llama_nodes(&self, node_ids: &[PyString], ref_doc_ids: &[PyString]) -> Vec<PyString> {
        let names = |node: &Value, key: &str, ids: &[PyString]| {
            properties(node).get(key.as_bytes()).and_then(Value::as_str).is_some_and(|id| ids.contains(id))
        };
        let wanted = |(id, node): &(&PyString, &Value)| {
            node_ids.contains(id)
                || ref_doc_ids.contains(id)
                || names(node, TRIPLET_SOURCE_KEY, node_ids)
                || names(node, "ref_doc_id", ref_doc_ids)
        };
        self.nodes.iter().filter(wanted).map(|(id, _)| id.clone()).collect()
    }

    /// The graph without these nodes and what is incident, and without these triplets; relations go with their last
    /// triplet.
    fn without(&self, nodes: &[PyString], triplets: &[Ends]) -> Self {
        let mut left = self.clone();
        left.nodes.retain(|id, _| !nodes.contains(id));
        left.triplets.retain(|ends| !triplets.contains(ends) && !ends.touches(nodes));
        let used = |triplets: &BTreeSet<Ends>| -> BTreeSet<Vec<u8>> {
            triplets.iter().filter_map(|ends| self.relation_key(ends)).collect()
        };
        let (before, after) = (used(&self.triplets), used(&left.triplets));
        left.relations.retain(|key, _| !before.contains(key.as_bytes()) || after.contains(key.as_bytes()));
        left
    }
}

/// An operation on the property graph.
pub(super) enum GraphOp {
    UpsertRelation(Relation),
    UpsertEntity(LabelledNode),
    GetTriplets(TripletFilter),
    Delete(TripletFilter),
    DeleteLlamaNodes { node_ids: Vec<PyString>, ref_doc_ids: Vec<PyString> },
}

impl GraphOp {
    pub(super) fn read(op: &Value) -> Option<Self> {
        let text = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).cloned();
        Some(match text(op, "op")?.to_str()? {
            "pg.upsert_relation" => {
                let given = op.get("relation")?;
                let ends = (text(given, "label")?, text(given, "source_id")?, text(given, "target_id")?);
                Self::UpsertRelation(Relation {
                    properties: properties(given),
                    ..Relation::new(ends.0, ends.1, ends.2)
                })
            }
            "pg.upsert_entity" => {
                let given = op.get("node")?;
                let mut node = LabelledNode::entity(text(given, "name")?).with_label(text(given, "label")?);
                node.properties = properties(given);
                Self::UpsertEntity(node)
            }
            "pg.get_triplets" => Self::GetTriplets(triplet_filter(op)),
            "pg.delete" => Self::Delete(triplet_filter(op)),
            "pg.delete_llama_nodes" => {
                Self::DeleteLlamaNodes { node_ids: strings(op, "node_ids"), ref_doc_ids: strings(op, "ref_doc_ids") }
            }
            _ => return None,
        })
    }

    /// Applies the operation. An error is told in words.
    pub(super) async fn apply(&self, ctx: &StorageContext) -> Result<Value, String> {
        let graph = ctx.property_graph_store().ok_or_else(|| "there is no property graph".to_owned())?;
        let done = match self {
            Self::UpsertRelation(relation) => {
                graph.upsert_relations(vec![relation.clone()]).await.map(|()| Value::Null)
            }
            Self::UpsertEntity(node) => graph.upsert_nodes(vec![node.clone()]).await.map(|()| Value::Null),
            Self::GetTriplets(filter) => graph.get_triplets(filter).await.map(|found| told_triplets(&found)),
            Self::Delete(filter) => graph.delete(filter).await.map(|_| Value::Null),
            Self::DeleteLlamaNodes { node_ids, ref_doc_ids } => {
                graph.delete_llama_nodes(node_ids, ref_doc_ids).await.map(|_| Value::Null)
            }
        };
        done.map_err(|e| e.to_string())
    }

    /// The rule by which LlamaIndex fails and ours does not, given the graph as it was.
    pub(super) fn failure_rule(
        &self,
        before: &Value,
        kind: &str,
        message: &str,
        ours: &Value,
    ) -> Option<&'static Rule> {
        let before = PlainGraph::from_dict(before);
        let told = match self {
            Self::GetTriplets(filter) => {
                let mut found: Vec<Ends> = ours.as_array()?.iter().filter_map(Ends::read).collect();
                found.sort();
                found == before.matching(filter)
            }
            Self::Delete(_) | Self::DeleteLlamaNodes { .. } => ours.is_null(),
            _ => false,
        };
        before.unresolved(kind, message).filter(|_| told)
    }

    /// The rule by which ours is in another state: ours must be what a plain deletion leaves of the graph as it was.
    pub(super) fn state_rule(
        &self,
        before: &Value,
        result: &Value,
        theirs: &Value,
        ours: &Value,
    ) -> Option<&'static Rule> {
        let [before, theirs, ours] = [before, theirs, ours].map(PlainGraph::from_dict);
        let (nodes, triplets) = match self {
            Self::Delete(filter) => {
                // With labels, single triplets are meant.
                let named = filter.ids.iter().chain(&filter.entity_names).filter(|_| filter.relation_names.is_empty());
                let nodes: Vec<PyString> = named.filter(|id| before.nodes.contains_key(*id)).cloned().collect();
                (nodes, before.matching(filter))
            }
            Self::DeleteLlamaNodes { node_ids, ref_doc_ids } => (before.llama_nodes(node_ids, ref_doc_ids), Vec::new()),
            _ => return None,
        };
        if ours != before.without(&nodes, &triplets) {
            return None;
        }
        if let Some((kind, message)) = python_error(result) {
            return before.unresolved(&kind, &message).filter(|_| theirs == before);
        }
        if nodes.is_empty() && triplets.is_empty() {
            return theirs.nodes.is_empty().then_some(rules::EMPTY_GRAPH_REQUEST);
        }
        // What LlamaIndex has deleted beyond that are the ends of the triplets that it has found.
        let found = before.triplets.iter().filter(|ends| triplets.contains(ends) || ends.touches(&nodes));
        let found: Vec<&Ends> = found.collect();
        let mut lost = ours.nodes.keys().filter(|id| !theirs.nodes.contains_key(*id)).peekable();
        let neighbours = lost.peek().is_some() && lost.all(|id| found.iter().any(|ends| ends.touches([id])));
        let else_equal = theirs.triplets == ours.triplets && theirs.relations == ours.relations;
        (neighbours && else_equal).then_some(rules::EXACT_DELETES)
    }
}
