use std::collections::{BTreeSet, HashSet};

use raw_json::{PyString, RawJson};

use crate::fields::relation_key;
use crate::graph::Graph;
use crate::labelled_node::entity_id;
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

// Changing. Throughout, `incident` lists each triplet under each of its ends, and `uses` counts the triplets of each relation.
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
        if let Some(id) = self.triplets.id(triplet) {
            return id;
        }
        let id = self.triplets.insert(triplet.clone(), None);
        for end in triplet.ends() {
            self.incident.entry(end.clone()).or_default().push(id);
        }
        id
    }

    /// Gives a triplet a relation of its own, under the key that today's Python looks it up by. If another triplet's relation
    /// stands there, because ids with a `_` in them spell the same key, it stands elsewhere until that one is gone.
    pub(crate) fn set_relation(&mut self, triplet: Id, raw: RawJson) {
        let mut todo = vec![(triplet, raw)];
        while let Some((triplet, raw)) = todo.pop() {
            for waiting in self.place_relation(triplet, raw).into_iter().rev() {
                todo.extend(self.relation(waiting).map(|relation| (waiting, relation.encode())));
            }
        }
    }

    /// Returns the triplets that waited for the key from which the relation was taken.
    fn place_relation(&mut self, triplet: Id, raw: RawJson) -> BTreeSet<Id> {
        let Some((ends, old)) = self.triplets.by_id(triplet).map(|(ends, old)| (ends.clone(), *old)) else {
            return BTreeSet::new();
        };
        let key = relation_key(&ends);
        let stands = old.and_then(|old| self.relations.by_id(old));
        let (own, proper) = stands.map_or((false, false), |(now, stored)| (stored.uses == 1, *now == key));
        let taken = !(own && proper) && self.is_taken(&key, &ends);
        if taken {
            self.displaced.entry(key.clone()).or_default().insert(triplet);
        }
        if own && (proper || taken) {
            if let Some(stored) = old.and_then(|old| self.relations.by_id_mut(old)) {
                stored.raw = raw;
            }
            return BTreeSet::new();
        }
        let waiting = old.and_then(|old| self.release(old)).unwrap_or_default();
        let relation = self.relations.insert(self.free_key(&key, &ends), StoredRelation { raw, uses: 1 });
        self.orphans.remove(&relation);
        if let Some(slot) = self.triplets.by_id_mut(triplet) {
            *slot = Some(relation);
        }
        waiting
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

    /// Counts one triplet of a relation less. After the last it is removed; returns the triplets that wait for its key.
    fn release(&mut self, relation: Id) -> Option<BTreeSet<Id>> {
        let stored = self.relations.by_id_mut(relation)?;
        stored.uses -= 1;
        if stored.uses > 0 {
            return None;
        }
        let (key, _) = self.relations.remove_id(relation)?;
        Some(self.displaced.remove(&key).unwrap_or_default())
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
        let mut deleted = Deleted { nodes: doomed.nodes.len(), triplets: doomed.triplets.len(), relations: 0 };
        let (mut ends, mut waiting) = (HashSet::new(), BTreeSet::new());
        for id in doomed.triplets {
            let Some((triplet, relation)) = self.triplets.remove_id(id) else { continue };
            if let Some(freed) = relation.and_then(|relation| self.release(relation)) {
                deleted.relations += 1;
                waiting.extend(freed);
            }
            ends.extend(triplet.ends().cloned());
        }
        for end in ends {
            if let Some(incident) = self.incident.get_mut(&end) {
                incident.retain(|id| self.triplets.by_id(*id).is_some());
                if incident.is_empty() {
                    self.incident.remove(&end);
                }
            }
        }
        for id in &doomed.nodes {
            self.nodes.remove(id);
        }
        let nodes: HashSet<PyString> = doomed.nodes.into_iter().collect();
        let (relations, displaced) = (&mut self.relations, &mut self.displaced);
        self.orphans.retain(|&id| {
            let names = |stored: &StoredRelation| stored.ends().ends().any(|end| nodes.contains(end));
            if !relations.by_id(id).is_some_and(|(_, stored)| names(stored)) {
                return true;
            }
            if let Some((key, _)) = relations.remove_id(id) {
                deleted.relations += 1;
                waiting.extend(displaced.remove(&key).unwrap_or_default());
            }
            false
        });
        for id in waiting {
            if let Some(relation) = self.relation(id) {
                self.set_relation(id, relation.encode());
            }
        }
        deleted
    }
}
