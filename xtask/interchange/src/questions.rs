//! Random questions: what is asked of all contexts that should be the same.

use colca::raw_json::{PyString, Value};
use support::Random;

use super::cast::{Cast, Namespace};
use super::indexes;
use super::searches;
use super::text::text;
use super::values::{embedding, object};

/// Whatever a context of this cast can be asked in general, and random questions of every kind.
pub(super) fn questions(random: &mut Random, cast: &Cast) -> Vec<Value> {
    let mut all: Vec<Value> = [
        "context.namespaces",
        "docstore.ids",
        "docstore.get_all_hashes",
        "docstore.get_all_ref_doc_info",
        "index.ids",
        "chat.keys",
    ]
    .map(|name| op(name, []))
    .into();
    let ids = cast.nodes.iter().chain(&cast.documents).map(|member| &member.id).chain(&cast.strangers);
    for id in ids.filter(|_| random.chance(70)) {
        for name in ["docstore.get_doc", "docstore.get_hash", "docstore.exists", "docstore.get_ref_doc_info"] {
            all.push(op(name, [("id", id.into())]));
        }
    }
    for namespace in &cast.namespaces {
        let name = Value::from(namespace.name.as_str());
        for _ in 0..3 {
            all.push(vector_query(random, cast, namespace));
        }
        let id = random.pick(&cast.nodes).id.clone();
        all.push(op("vs.get", [("namespace", name), ("id", id.into())]));
    }
    all.extend(random.list(6, searches::passing));
    all.extend(random.list(2, searches::search));
    all.extend(random.list(4, |random| graph(random, cast)));
    if cast.property_graph {
        all.extend(random.list(6, |random| property_graph(random, cast)));
    }
    for id in cast.indices.iter().chain(&cast.strangers) {
        all.push(op("index.get", [("id", id.into())]));
    }
    if let Some(shelf) = &cast.shelf {
        all.extend(indexes::questions(random, shelf));
    }
    for key in &cast.chats {
        all.push(op("chat.get", [("key", key.into())]));
    }
    all
}

fn op<const N: usize>(name: &str, parts: [(&str, Value); N]) -> Value {
    [("op", name.into())].into_iter().chain(parts).collect()
}

/// A query by vector.
fn vector_query(random: &mut Random, cast: &Cast, namespace: &Namespace) -> Value {
    let top_k = match random.below(6) {
        0 => Value::Null,
        1 => (random.below(3) as i64 - 1).into(),
        _ => random.between(1, 8).into(),
    };
    let node_ids = if random.chance(70) {
        Value::Null
    } else {
        let n = random.below(6);
        Value::Array(random.list(n, |random| some_id(random, cast).into()))
    };
    let dimension = if random.chance(3) { namespace.dimension + 1 } else { namespace.dimension };
    let vector = embedding(random, dimension, namespace.precision);
    let [filters, mode, threshold] = searches::mode(random, namespace.precision, dimension);
    op(
        "vs.query",
        [
            ("namespace", namespace.name.as_str().into()),
            ("embedding", vector),
            ("top_k", top_k),
            ("node_ids", node_ids),
            filters,
            mode,
            threshold,
        ],
    )
}

fn some_id(random: &mut Random, cast: &Cast) -> PyString {
    if random.chance(85) { random.pick(&cast.nodes).id.clone() } else { random.pick(&cast.strangers).clone() }
}

fn graph(random: &mut Random, cast: &Cast) -> Value {
    let subject = |random: &mut Random| {
        let ids = if random.chance(85) { &cast.subjects } else { &cast.strangers };
        random.pick(ids).clone()
    };
    if random.chance(40) {
        return op("graph.get", [("subj", subject(random).into())]);
    }
    let n = random.below(4);
    let subjects = if random.chance(50) { Value::Null } else { random.list(n, subject).into() };
    let (depth, limit) = (random.below(4), if random.chance(50) { 30 } else { random.below(12) });
    op("graph.rel_map", [("subjs", subjects), ("depth", depth.into()), ("limit", limit.into())])
}

fn property_graph(random: &mut Random, cast: &Cast) -> Value {
    let n = random.between(1, 3);
    let ids: Value = random.list(n, |random| PyString::from(random.pick(&cast.entities).0.as_str())).into();
    let labels = || Value::from(vec!["KNOWS", "SOURCE"]);
    match random.below(10) {
        0 => op("pg.get", []),
        8 | 9 => {
            let n = random.between(1, 3);
            let loners: Value = random.list(n, |random| random.pick(&cast.loners).clone()).into();
            op("pg.get_llama_nodes", [("ids", loners)])
        }
        1 => op("pg.get", [("ids", ids)]),
        2 => op("pg.get", [("properties", properties(random))]),
        3 => op("pg.get_triplets", [("entity_names", ids)]),
        4 => op("pg.get_triplets", [("relation_names", labels())]),
        5 => op("pg.get_triplets", [("ids", ids), ("properties", properties(random))]),
        _ => op(
            "pg.get_rel_map",
            [
                ("ids", ids),
                ("depth", random.below(4).into()),
                // LlamaIndex's order is arbitrary, so all must be told.
                ("limit", 100_000.into()),
                ("ignore_rels", if random.chance(70) { Value::Array(Vec::new()) } else { labels() }),
            ],
        ),
    }
}

fn properties(random: &mut Random) -> Value {
    let key = *random.pick(&["a", "year", "author"]);
    let value = match random.below(4) {
        0 => Value::Null,
        1 => true.into(),
        2 => 1.0.into(),
        _ => text(random, false).into(),
    };
    object([(key, value)])
}
