use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use persist::Revision;
use raw_json::{Encoding, JsonWriter, Object, PyString, RawJson, Value};

use crate::TopLevel;
use crate::fields::has_any_property;
use crate::labelled_node::{Shape, StoredNode};
use crate::ordered::{Id, Ordered};
use crate::relation::StoredRelation;
use crate::{
    LabelledNode, LabelledTriplet, NodeFilter, PropertyGraphSchema, RelMapOptions, Relation, Triplet, TripletFilter,
};

/// What [`delete`](crate::SimplePropertyGraphStore::delete) has removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deleted {
    /// How many nodes.
    pub nodes: usize,
    /// How many triplets.
    pub triplets: usize,
    /// How many relations.
    pub relations: usize,
}

/// A labelled property graph as it stands in its file.
///
/// Nodes and relations are texts until someone asks for them; triplets are known by both of their ends.
#[derive(Debug, Clone)]
pub(crate) struct Graph {
    pub(crate) nodes: Ordered<PyString, StoredNode>,
    /// By their keys in the file.
    pub(crate) relations: Ordered<PyString, StoredRelation>,
    /// With the relation that belongs to each, if there is one.
    pub(crate) triplets: Ordered<Triplet, Option<Id>>,
    /// The triplets at each end, in order. An end need not be a node.
    pub(crate) incident: HashMap<PyString, BTreeSet<Id>>,
    /// By their ends, the relations that no triplet named in the file.
    pub(crate) orphans: HashMap<PyString, BTreeSet<Id>>,
    /// For keys of relations, the triplets that spell the same key and whose relation stands elsewhere.
    pub(crate) displaced: HashMap<PyString, BTreeSet<Id>>,
    pub(crate) top: TopLevel,
    /// The file it was loaded from and that file's encoding, while nothing has changed.
    pub(crate) original: Option<(Bytes, Encoding)>,
    pub(crate) revision: Revision,
}

/// The parts of the file that the graph takes apart.
pub(crate) const PARTS: [&str; 3] = ["nodes", "relations", "triplets"];

impl Default for Graph {
    fn default() -> Self {
        Self {
            nodes: Ordered::default(),
            relations: Ordered::default(),
            triplets: Ordered::default(),
            incident: HashMap::new(),
            orphans: HashMap::new(),
            displaced: HashMap::new(),
            top: PARTS.map(|part| (part.into(), None)).into(),
            original: None,
            revision: Revision::next(),
        }
    }
}

// Reading.
impl Graph {
    /// The nodes that match, in order.
    pub(crate) fn matching_nodes(&self, filter: &NodeFilter) -> Vec<Id> {
        let found: Vec<Id> = if filter.ids.is_empty() {
            self.nodes.iter().map(|(id, ..)| id).collect()
        } else {
            let ids: BTreeSet<Id> = filter.ids.iter().filter_map(|id| self.nodes.id(id)).collect();
            ids.into_iter().collect()
        };
        let matches = |id: &Id| self.nodes.by_id(*id).is_some_and(|(_, node)| node_matches(node, &filter.properties));
        found.into_iter().filter(matches).collect()
    }

    /// The triplets that match, in order; also those with an end that is no node.
    pub(crate) fn matching_triplets(&self, filter: &TripletFilter) -> Vec<Id> {
        let set = |keys: &[PyString]| keys.iter().cloned().collect::<HashSet<PyString>>();
        let (names, ids, labels) = (set(&filter.entity_names), set(&filter.ids), set(&filter.relation_names));
        let candidates: Vec<Id> = match (ids.is_empty(), names.is_empty()) {
            (true, true) if filter.is_empty() => Vec::new(),
            (true, true) => self.triplets.iter().map(|(id, ..)| id).collect(),
            (false, _) => self.touching(&ids),
            (true, false) => self.touching(&names),
        };
        let mut nodes = HashMap::new();
        let touches =
            |triplet: &Triplet, ids: &HashSet<PyString>| ids.is_empty() || triplet.ends().any(|end| ids.contains(end));
        let mut matches = |id: &Id| {
            let Some((triplet, relation)) = self.triplets.by_id(*id) else { return false };
            touches(triplet, &ids)
                && touches(triplet, &names)
                && (labels.is_empty() || labels.contains(&triplet.relation))
                && (filter.properties.is_empty()
                    || self.relation_matches(*relation, &filter.properties)
                    || triplet.ends().any(|end| {
                        let node = |end: &PyString| Some(node_matches(self.nodes.get(end)?, &filter.properties));
                        *nodes.entry(end.clone()).or_insert_with_key(|end| node(end).unwrap_or(false))
                    }))
        };
        candidates.into_iter().filter(|id| matches(id)).collect()
    }

    /// Whether the relation of a triplet has any of the properties; if there is none, it has no properties.
    fn relation_matches(&self, relation: Option<Id>, properties: &Object) -> bool {
        match relation.and_then(|id| self.relations.by_id(id)) {
            Some((_, relation)) => has_any_property(&relation.raw, properties),
            None => properties.values().any(Value::is_null),
        }
    }

    /// The triplets that have one of these ends, in order.
    pub(crate) fn touching<'a>(&self, ends: impl IntoIterator<Item = &'a PyString>) -> Vec<Id> {
        let found: BTreeSet<Id> =
            ends.into_iter().filter_map(|end| self.incident.get(end)).flatten().copied().collect();
        found.into_iter().collect()
    }

    /// The triplets around some nodes, level by level.
    pub(crate) fn rel_map(&self, ids: &[PyString], options: &RelMapOptions) -> Vec<Id> {
        let ignored: HashSet<&PyString> = options.ignore_rels.iter().collect();
        let mut found = Vec::new();
        let mut level = self.whole(self.touching(ids));
        // LlamaIndex does not count the first level as seen, so its triplets come again.
        let mut seen = HashSet::new();
        let mut expanded = HashSet::new();
        for _ in 0..options.depth {
            if level.is_empty() || found.len() >= options.limit {
                break;
            }
            let triplets: Vec<&Triplet> = level.iter().filter_map(|id| Some(self.triplets.by_id(*id)?.0)).collect();
            let kept = level.iter().zip(&triplets).filter(|(_, triplet)| !ignored.contains(&triplet.relation));
            found.extend(kept.map(|(id, _)| *id));
            let objects: Vec<&PyString> =
                triplets.iter().map(|triplet| &triplet.object).filter(|object| expanded.insert(*object)).collect();
            level = self.whole(self.touching(objects));
            level.retain(|id| seen.insert(*id));
        }
        found.truncate(options.limit);
        found
    }

    /// Those of the triplets whose ends are nodes.
    fn whole(&self, mut triplets: Vec<Id>) -> Vec<Id> {
        triplets.retain(|id| self.triplets.by_id(*id).is_some_and(|(triplet, _)| self.is_whole(triplet)));
        triplets
    }

    pub(crate) fn is_whole(&self, triplet: &Triplet) -> bool {
        triplet.ends().all(|end| self.nodes.contains(end))
    }

    /// The triplets with their nodes and relations; those with an end that is no node are passed over.
    pub(crate) fn resolve(&self, triplets: &[Id]) -> Vec<LabelledTriplet> {
        let mut nodes: HashMap<&PyString, Arc<LabelledNode>> = HashMap::new();
        let mut node = |id| {
            if let Some(node) = nodes.get(id) {
                return Some(Arc::clone(node));
            }
            let node = Arc::new(self.nodes.get(id)?.decode(id));
            nodes.insert(id, Arc::clone(&node));
            Some(node)
        };
        let resolved = triplets.iter().filter_map(|id| {
            let (triplet, _) = self.triplets.by_id(*id)?;
            let (subject, object) = (node(&triplet.subject)?, node(&triplet.object)?);
            Some(LabelledTriplet { subject, relation: self.relation(*id)?, object })
        });
        resolved.collect()
    }

    /// The relation of a triplet; one without properties if the file has none.
    pub(crate) fn relation(&self, triplet: Id) -> Option<Relation> {
        let (triplet, relation) = self.triplets.by_id(triplet)?;
        let stored = relation.and_then(|id| self.relations.by_id(id));
        Some(stored.map_or_else(|| Relation::of(triplet), |(_, stored)| stored.decode(triplet)))
    }

    /// What kinds of nodes and relations there are; triplets with an end that is no node are passed over.
    pub(crate) fn schema(&self) -> PropertyGraphSchema {
        let mut schema = PropertyGraphSchema::default();
        let mut labels = HashMap::new();
        for (_, id, node) in self.nodes.iter() {
            let node = node.decode(id);
            schema.add_node(&node.label, &node.properties);
            labels.insert(id, node.label);
        }
        for (id, triplet, _) in self.triplets.iter() {
            let ends = (labels.get(&triplet.subject), labels.get(&triplet.object), self.relation(id));
            if let (Some(subject), Some(object), Some(relation)) = ends {
                schema.add_relation(subject, &relation, object);
            }
        }
        schema
    }

    pub(crate) fn to_dict(&self) -> Value {
        let part = |key: &str| match key {
            "nodes" => self.nodes.iter().map(|(_, id, node)| (id.clone(), node.raw.value())).collect(),
            "relations" => {
                self.relations.iter().map(|(_, key, relation)| (key.clone(), relation.raw.value())).collect()
            }
            _ => Value::Array(
                self.triplets.iter().map(|(_, t, _)| vec![&t.subject, &t.relation, &t.object].into()).collect(),
            ),
        };
        let top = self.top.iter().map(|(key, raw)| {
            let value = raw.as_ref().map_or_else(|| part(&key.to_string_lossy()), RawJson::value);
            (key.clone(), value)
        });
        Value::Object(top.collect())
    }

    pub(crate) fn write(&self, json: &mut JsonWriter<&mut dyn io::Write>) -> io::Result<()> {
        json.begin_object()?;
        for (key, raw) in &self.top {
            json.key(key)?;
            match raw {
                Some(raw) => json.raw(raw)?,
                None if key == "nodes" => write_object(json, self.nodes.iter().map(|(_, id, node)| (id, &node.raw)))?,
                None if key == "relations" => {
                    write_object(json, self.relations.iter().map(|(_, key, relation)| (key, &relation.raw)))?;
                }
                None => {
                    json.begin_array()?;
                    for (_, triplet, _) in self.triplets.iter() {
                        json.begin_array()?;
                        for string in [&triplet.subject, &triplet.relation, &triplet.object] {
                            json.string(string)?;
                        }
                        json.end_array()?;
                    }
                    json.end_array()?;
                }
            }
        }
        json.end_object()
    }
}

fn node_matches(node: &StoredNode, properties: &Object) -> bool {
    properties.is_empty() || (node.shape != Shape::Other && has_any_property(&node.raw, properties))
}

fn write_object<'a>(
    json: &mut JsonWriter<&mut dyn io::Write>,
    entries: impl Iterator<Item = (&'a PyString, &'a RawJson)>,
) -> io::Result<()> {
    json.begin_object()?;
    for (key, raw) in entries {
        json.key(key)?;
        json.raw(raw)?;
    }
    json.end_object()
}
