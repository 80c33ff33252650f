//! Reading a property graph from its file.

use std::collections::HashMap;

use raw_json::{Error as JsonError, ErrorKind, Kind, PyString, RawJson, Scanner, Text};

use crate::TopLevel;
use crate::fields::relation_key;
use crate::graph::{Graph, PARTS};
use crate::labelled_node::{StoredNode, entity_id};
use crate::ordered::{Id, Ordered};
use crate::relation::StoredRelation;
use crate::{Error, Result, Triplet};

impl Graph {
    pub(crate) fn load(text: &Text) -> Result<Self> {
        let mut graph =
            Self { top: TopLevel::new(), original: Some((text.bytes().clone(), text.encoding())), ..Self::default() };
        let mut part = None;
        let ends = graph.read(text, &mut part).map_err(|source| Error::DamagedPropertyGraph { part, source })?;
        if !graph.top.contains_key(b"nodes".as_slice()) {
            return Err(Error::NoNodes);
        }
        for part in PARTS {
            graph.top.entry(part.into()).or_insert(None);
        }
        graph.match_relations(&ends);
        Ok(graph)
    }

    /// Reads a file into an empty graph and returns the ends of each relation. `at` tells what was being read when it
    /// fails.
    fn read(&mut self, text: &Text, at: &mut Option<String>) -> Result<Vec<Triplet>, JsonError> {
        let mut ends = Vec::new();
        let mut scanner = Scanner::new(text);
        scanner.object(|key, scanner| {
            match key.to_str() {
                Some("nodes") => {
                    self.nodes = Ordered::default();
                    scanner.object(|id, scanner| {
                        let node = read_object(text, scanner, StoredNode::from_raw);
                        let node = node.inspect_err(|_| *at = Some(format!("node '{id}'")))?;
                        self.nodes.insert(id, node);
                        Ok::<_, JsonError>(())
                    })?;
                }
                Some("relations") => {
                    self.relations = Ordered::default();
                    ends.clear();
                    scanner.object(|key, scanner| {
                        let relation = read_object(text, scanner, StoredRelation::from_raw);
                        let (stored, triplet) = relation.inspect_err(|_| *at = Some(format!("relation '{key}'")))?;
                        let id = self.relations.insert(key, stored);
                        // Ids count from 0; one that is there already is that of a key written twice.
                        match ends.get_mut(id) {
                            Some(slot) => *slot = triplet,
                            None => ends.push(triplet),
                        }
                        Ok::<_, JsonError>(())
                    })?;
                }
                Some("triplets") => {
                    self.triplets = Ordered::default();
                    self.incident.clear();
                    let mut number = 0;
                    scanner.array(|scanner| {
                        number += 1;
                        let triplet = read_triplet(scanner).inspect_err(|_| *at = Some(format!("triplet {number}")))?;
                        self.add_triplet(&triplet);
                        Ok::<_, JsonError>(())
                    })?;
                }
                _ => {
                    self.top.insert(key, Some(scanner.raw()?));
                    return Ok(());
                }
            }
            self.top.insert(key, None);
            Ok(())
        })?;
        scanner.finish()?;
        Ok(ends)
    }

    /// Finds the relation of each triplet, given the ends that the relations themselves name.
    ///
    /// Today's Python looks under the key that the ids spell. Different ids can spell the same key, so the relation's
    /// own ids decide first. Ends with a `"` were cleaned in triplets but not in relations. Python 0.10.37 to 0.10.42
    /// knew one relation for each label, under the label.
    fn match_relations(&mut self, ends: &[Triplet]) {
        let mut by_ends: Option<HashMap<Triplet, Id>> = None;
        let mut matches = Vec::new();
        for (id, triplet, _) in self.triplets.iter() {
            let key = relation_key(triplet);
            let spelled = self.relations.id(&key);
            let found = spelled.filter(|&id| ends[id] == *triplet).or_else(|| {
                let of_another = |id: Id| self.triplets.contains(&ends[id]);
                let by_ends = by_ends.get_or_insert_with(|| index(ends, of_another));
                let by_label =
                    || self.relations.id(&triplet.relation).filter(|&id| ends[id].relation == triplet.relation);
                by_ends.get(triplet).copied().or(spelled.filter(|&id| !of_another(id))).or_else(by_label)
            });
            if spelled.is_some() && spelled != found {
                self.displaced.entry(key).or_default().insert(id);
            }
            matches.push((id, found));
        }
        for (triplet, relation) in matches {
            let Some(relation) = relation else { continue };
            if let Some(stored) = self.relations.by_id_mut(relation) {
                stored.uses += 1;
            }
            if let Some(slot) = self.triplets.by_id_mut(triplet) {
                *slot = Some(relation);
            }
        }
        for (id, ..) in self.relations.iter().filter(|(.., stored)| stored.uses == 0) {
            for end in ends[id].ends() {
                self.orphans.entry(end.clone()).or_default().insert(id);
            }
        }
    }
}

/// The relations by their ends: as they stand there, or else cleaned, unless there is a triplet with them as they stand.
/// Of several with the same ends, the first.
fn index(ends: &[Triplet], has_triplet: impl Fn(Id) -> bool) -> HashMap<Triplet, Id> {
    let mut by_ends = HashMap::new();
    for (id, triplet) in ends.iter().enumerate() {
        by_ends.entry(triplet.clone()).or_insert(id);
    }
    for (id, triplet) in ends.iter().enumerate().filter(|(id, _)| !has_triplet(*id)) {
        by_ends.entry(triplet.clone().map_ends(entity_id)).or_insert(id);
    }
    by_ends
}

/// Reads an object and looks at what it is. Errors get their places in the whole text.
fn read_object<T>(
    text: &Text,
    scanner: &mut Scanner<'_>,
    read: impl FnOnce(RawJson) -> Result<T, JsonError>,
) -> Result<T, JsonError> {
    scanner.expect(Kind::Object)?;
    let raw = scanner.raw()?;
    read(raw.clone()).map_err(|e| text.locate(&raw, e))
}

/// Reads a list of three strings.
fn read_triplet(scanner: &mut Scanner<'_>) -> Result<Triplet, JsonError> {
    let mut strings = Vec::new();
    scanner.array(|scanner| {
        strings.push(scanner.string()?);
        Ok::<_, JsonError>(())
    })?;
    match <[PyString; 3]>::try_from(strings) {
        Ok([subject, relation, object]) => Ok(Triplet { subject, relation, object }),
        Err(_) => Err(scanner.error(ErrorKind::Expected("three strings before this"))),
    }
}
