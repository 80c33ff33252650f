use std::collections::{BTreeSet, HashSet};

use raw_json::{PyString, RawJson};

use crate::constants::{REF_DOC_ID_KEY, TRIPLET_SOURCE_KEY};
use crate::fields::{has_property_among, relation_key};
use crate::graph::Graph;
use crate::labelled_node::{Shape, StoredNode, entity_id};
use crate::ordered::Id;
use crate::relation::StoredRelation;
use crate::{Deleted, NodeFilter, Relation, Triplet, TripletFilter};

/// What a deletion is going to remove.
#[derive(Debug, Default)]
pub(crate) struct Doomed {
    nodes: Vec<PyString>,
    triplets: BTreeSet<Id>,
}

impl Doomed {
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.triplets.is_empty()
    }
}

// Changing. Throughout, `incident` lists each triplet under each of its ends, and `uses` counts the triplets of each
// relation.
impl Graph {
    /// The id of the node that a relation means by an end: a `"` in the id of an entity is a space.
    pub(crate) fn end(&self, id: &PyString) -> PyString {
        if self.nodes.contains(id) { id.clone() } else { entity_id(id) }
    }

    /// Whether the relation is there as it is, and belongs to this triplet alone.
    pub(crate) fn has_relation(&self, triplet: &Triplet, relation: &Relation) -> bool {
        let Some(Some(id)) = self.triplets.get(triplet) else { return false };
        self.relations
            .by_id(*id)
            .is_some_and(|(_, stored)| stored.uses == 1 && stored.decode(triplet).encode() == relation.encode())
    }

    /// Adds a triplet, unless it is there.
    pub(crate) fn add_triplet(&mut self, triplet: &Triplet) -> Id {
        let (id, is_new) = self.triplets.insert_new(triplet, None);
        if is_new {
            for end in triplet.ends() {
                self.incident.entry(end.clone()).or_default().insert(id);
            }
        }
        id
    }

    /// Gives a triplet a relation of its own, under the key that today's Python looks it up by. If another triplet's
    /// relation stands there, because ids with a `_` in them spell the same key, it stands elsewhere until that one is
    /// gone.
    pub(crate) fn set_relation(&mut self, triplet: Id, raw: RawJson) {
        let freed = self.place_relation(triplet, raw);
        self.settle(freed.into_iter().collect());
    }

    /// Returns the key that the relation stood under, if it was moved.
    fn place_relation(&mut self, triplet: Id, raw: RawJson) -> Option<PyString> {
        let (ends, old) = self.triplets.by_id(triplet).map(|(ends, old)| (ends.clone(), *old))?;
        let key = relation_key(&ends);
        let stands = old.and_then(|old| self.relations.by_id(old));
        let (own, proper) = stands.map_or((false, false), |(now, stored)| (stored.uses == 1, *now == key));
        let taken = !(own && proper) && self.is_taken(&key, &ends);
        if taken {
            self.displaced.entry(key.clone()).or_default().insert(triplet);
        }
        if own && (proper || taken) {
            self.relations.by_id_mut(old?)?.raw = raw;
            return None;
        }
        let freed = old.and_then(|old| self.release(old));
        let relation = self.relations.insert(self.free_key(&key, &ends), StoredRelation { raw, uses: 1 });
        *self.triplets.by_id_mut(triplet)? = Some(relation);
        freed
    }

    /// Gives each of the keys to the first triplet that waits for it.
    fn settle(&mut self, mut freed: Vec<PyString>) {
        while let Some(key) = freed.pop() {
            while let Some(triplet) = self.displaced.get_mut(&key).and_then(BTreeSet::pop_first) {
                if let Some(relation) = self.relation(triplet) {
                    freed.extend(self.place_relation(triplet, relation.encode()));
                    break;
                }
            }
            if self.displaced.get(&key).is_some_and(BTreeSet::is_empty) {
                self.displaced.remove(&key);
            }
        }
    }

    /// Whether another relation stands under the key.
    fn is_taken(&self, key: &PyString, ends: &Triplet) -> bool {
        self.relations.get(key).is_some_and(|stored| stored.uses > 0 || stored.ends() != *ends)
    }

    fn free_key(&self, spelled: &PyString, ends: &Triplet) -> PyString {
        let mut key = spelled.clone();
        let mut number = self.relations.unused_id();
        while self.is_taken(&key, ends) {
            key = PyString::concat([spelled, &format!(" ({number})").into()]);
            number += 1;
        }
        key
    }

    /// Counts one triplet of a relation less. After the last it is removed, and its key returned.
    fn release(&mut self, relation: Id) -> Option<PyString> {
        let stored = self.relations.by_id_mut(relation)?;
        stored.uses -= 1;
        if stored.uses > 0 {
            return None;
        }
        self.relations.remove_id(relation).map(|(key, _)| key)
    }

    /// What a deletion with this filter removes.
    pub(crate) fn doomed(&self, filter: &TripletFilter) -> Doomed {
        if filter.is_empty() {
            return Doomed::default();
        }
        let mut triplets: BTreeSet<Id> = self.matching_triplets(filter).into_iter().collect();
        let mut nodes = Vec::new();
        if filter.relation_names.is_empty() {
            nodes = self.named_nodes(filter);
            triplets.extend(self.touching(&nodes));
        }
        Doomed { nodes, triplets }
    }

    /// What a deletion of single triplets removes.
    pub(crate) fn doomed_triplets<'a>(&self, triplets: impl IntoIterator<Item = &'a Triplet>) -> Doomed {
        let triplets = triplets.into_iter().filter_map(|triplet| self.triplets.id(triplet)).collect();
        Doomed { nodes: Vec::new(), triplets }
    }

    /// What a deletion of LlamaIndex's nodes and documents removes. Looks at each node once.
    pub(crate) fn doomed_llama_nodes(&self, node_ids: &[PyString], ref_doc_ids: &[PyString]) -> Doomed {
        if node_ids.is_empty() && ref_doc_ids.is_empty() {
            return Doomed::default();
        }
        let wanted = [(TRIPLET_SOURCE_KEY, node_ids), (REF_DOC_ID_KEY, ref_doc_ids)];
        let wanted = wanted.map(|(key, ids)| (key, ids.iter().collect::<HashSet<_>>()));
        let is_doomed = |id: &PyString, node: &StoredNode| {
            wanted.iter().any(|(_, ids)| ids.contains(id))
                || (node.shape != Shape::Other && has_property_among(&node.raw, &wanted))
        };
        let nodes = self.nodes.iter().filter(|(_, id, node)| is_doomed(id, node));
        let nodes: Vec<PyString> = nodes.map(|(_, id, _)| id.clone()).collect();
        let triplets = self.touching(&nodes).into_iter().collect();
        Doomed { nodes, triplets }
    }

    /// The nodes for which every list of the filter that is not empty holds.
    fn named_nodes(&self, filter: &TripletFilter) -> Vec<PyString> {
        let mut ids = filter.ids.clone();
        if ids.is_empty() {
            ids.clone_from(&filter.entity_names);
        } else if !filter.entity_names.is_empty() {
            let names: HashSet<&PyString> = filter.entity_names.iter().collect();
            ids.retain(|id| names.contains(id));
            if ids.is_empty() {
                // Without ids, all nodes would be meant.
                return Vec::new();
            }
        }
        let found = self.matching_nodes(&NodeFilter { properties: filter.properties.clone(), ids });
        found.into_iter().filter_map(|id| Some(self.nodes.by_id(id)?.0.clone())).collect()
    }

    /// Removes what is doomed, and the relations that belong to nothing else.
    pub(crate) fn delete(&mut self, doomed: Doomed) -> Deleted {
        let (nodes, triplets) = (doomed.nodes.len(), doomed.triplets.len());
        let mut freed = Vec::new();
        for id in doomed.triplets {
            let Some((triplet, relation)) = self.triplets.remove_id(id) else { continue };
            freed.extend(relation.and_then(|relation| self.release(relation)));
            for end in triplet.ends() {
                if let Some(incident) = self.incident.get_mut(end) {
                    incident.remove(&id);
                    if incident.is_empty() {
                        self.incident.remove(end);
                    }
                }
            }
        }
        for id in &doomed.nodes {
            self.nodes.remove(id);
            for relation in self.orphans.remove(id).unwrap_or_default() {
                // Since the file was read, a triplet may have got it.
                if self.relations.by_id(relation).is_some_and(|(_, stored)| stored.uses == 0) {
                    freed.extend(self.relations.remove_id(relation).map(|(key, _)| key));
                }
            }
        }
        let relations = freed.len();
        self.settle(freed);
        Deleted { nodes, triplets, relations }
    }
}
