//! Who plays in a plan: the ids, with what is settled for each.
//!
//! LlamaIndex has operations whose result depends on the past in ways that we do not copy: a node that moves to another
//! document stays on both lists, setting a hash forgets where a node came from, adding a relation again does nothing.
//! Here each id keeps to what it may do, whatever comes before, so that a plan stays well defined when operations are
//! taken out of it.

use colca::raw_json::PyString;
use support::Random;

use super::indexes::Shelf;
use super::models::{DIMENSIONS, DIMENSIONS_OF_IMAGES};
use super::text::{id, text};
use super::values::Precision;

pub(super) struct Cast {
    /// Documents, some of which come from the first.
    pub(super) documents: Vec<Member>,
    pub(super) nodes: Vec<Member>,
    pub(super) namespaces: Vec<Namespace>,
    /// Of the triplet store, subjects and objects alike.
    pub(super) subjects: Vec<PyString>,
    /// Ids in the property graph that relations may join, with the names of entities that have them.
    pub(super) entities: Vec<(String, PyString)>,
    /// Ids in the property graph that no relation touches, so that they can be deleted alone.
    pub(super) loners: Vec<PyString>,
    /// Relations that have not been added so far: subject, label, object.
    pub(super) relations: Vec<[PyString; 3]>,
    pub(super) indices: Vec<PyString>,
    pub(super) chats: Vec<PyString>,
    /// Ids that nothing has.
    pub(super) strangers: Vec<PyString>,
    pub(super) property_graph: bool,
    /// Of indexes that are built and changed, if there are any. They have the two vector stores that are always there
    /// for themselves, and all of the index store.
    pub(super) shelf: Option<Shelf>,
}

/// A node of the document store and the vector stores.
pub(super) struct Member {
    pub(super) id: PyString,
    /// The document that it always comes from.
    pub(super) source: Option<PyString>,
    /// Stored without its text, always.
    pub(super) hash_only: bool,
}

/// A vector store.
pub(super) struct Namespace {
    pub(super) name: String,
    pub(super) dimension: usize,
    pub(super) precision: Precision,
}

impl Cast {
    pub(super) fn new(random: &mut Random) -> Self {
        let mut count = 0;
        let mut ids = |random: &mut Random, n: usize, surrogates: bool| {
            random.list(n, |random| {
                count += 1;
                id(random, surrogates, count)
            })
        };
        let n = random.between(1, 4);
        let documents = ids(random, n, true);
        let source = |random: &mut Random, at: usize| (at > 0 && random.chance(30)).then(|| documents[0].clone());
        let members = documents.iter().enumerate().map(|(at, id)| Member {
            id: id.clone(),
            source: source(random, at),
            hash_only: false,
        });
        let members = members.collect();
        let n = if random.chance(10) { random.between(20, 50) } else { random.between(2, 9) };
        let nodes = ids(random, n, true);
        let nodes = nodes.into_iter().map(|id| Member {
            id,
            source: random.chance(75).then(|| random.pick(&documents).clone()),
            hash_only: random.chance(15),
        });
        let nodes = nodes.collect();
        let subjects = ids(random, 6, true);
        let strangers = ids(random, 3, true);
        let n = random.between(1, 6);
        let indices = ids(random, n, true);
        let n = random.between(1, 4);
        let chats = ids(random, n, false);
        // LlamaIndex joins ids by "_", and takes quotes out of an entity's name to make its id.
        let graph_id = |id: PyString| id.to_string().replace(['_', '"'], " ");
        let entities: Vec<(String, PyString)> = ids(random, 6, false)
            .into_iter()
            .map(graph_id)
            .map(|id| {
                let quoted = random.chance(20) && id.contains(' ');
                let name = if quoted { id.replacen(' ', "\"", 1) } else { id.clone() };
                (id, name.into())
            })
            .collect();
        let loners = ids(random, 3, false).into_iter().map(|id| graph_id(id).into()).collect();
        let mut relations: Vec<[PyString; 3]> = Vec::new();
        for _ in 0..random.below(14) {
            let label = if random.chance(70) {
                (*random.pick(&["KNOWS", "part_of", "SOURCE", "知"])).into()
            } else {
                text(random, false)
            };
            let mut end = || PyString::from(random.pick(&entities).0.as_str());
            let relation = [end(), label, end()];
            if !relations.contains(&relation) {
                relations.push(relation);
            }
        }
        let mut namespaces = namespaces(random);
        let shelf = random.chance(45).then(|| Shelf::new(random));
        if shelf.is_some() {
            for (namespace, dimension) in namespaces.iter_mut().zip([DIMENSIONS, DIMENSIONS_OF_IMAGES]) {
                *namespace = Namespace { dimension, precision: Precision::Double, name: namespace.name.clone() };
            }
        }
        Self {
            documents: members,
            nodes,
            namespaces,
            subjects,
            entities,
            loners,
            relations,
            indices,
            chats,
            strangers,
            property_graph: random.chance(70),
            shelf,
        }
    }

    /// The vector stores that nodes are put into by hand.
    pub(super) fn free_namespaces(&self) -> &[Namespace] {
        &self.namespaces[if self.shelf.is_some() { 2 } else { 0 }..]
    }
}

/// The two that are always there, and others.
fn namespaces(random: &mut Random) -> Vec<Namespace> {
    const OTHERS: [&str; 6] = ["team", "a_b", "two words", "ünïcode", "v1.5", "-"];
    let mut names = vec!["default", "image"];
    for _ in 0..random.below(3) {
        let name = *random.pick(&OTHERS);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let namespace = |name: &str| Namespace {
        name: name.to_owned(),
        dimension: random.between(1, 33),
        precision: *random.pick(&Precision::ALL),
    };
    names.into_iter().map(namespace).collect()
}
