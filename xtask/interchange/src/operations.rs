//! Random operations whose result is well defined in LlamaIndex, in the vocabulary of `driver.py`.

use colca::raw_json::{Object, PyString, Value};
use support::Random;

use super::cast::{Cast, Member};
use super::indexes;
use super::nodes::node;
use super::searches;
use super::text::text;
use super::values::{Oddities, Precision, embedding, entries, object};

/// Operations that make the vector stores beyond the two that are always there.
pub(super) fn beginnings(cast: &Cast) -> Vec<Value> {
    let others = cast.namespaces.iter().skip(2);
    others.map(|namespace| op("context.add_vector_store", [("namespace", namespace.name.as_str().into())])).collect()
}

pub(super) fn operation(random: &mut Random, cast: &mut Cast) -> Value {
    if let Some(shelf) = &mut cast.shelf
        && random.chance(75)
    {
        return indexes::operation(random, shelf);
    }
    match random.below(100) {
        0..25 => add_documents(random, cast),
        25..40 => change_documents(random, cast),
        40..65 if !cast.free_namespaces().is_empty() => vectors(random, cast),
        40..74 => graph(random, cast),
        74..86 if cast.property_graph => property_graph(random, cast),
        74..90 if cast.shelf.is_none() => index(random, cast),
        _ => chat(random, cast),
    }
}

fn op<const N: usize>(name: &str, parts: [(&str, Value); N]) -> Value {
    [("op", name.into())].into_iter().chain(parts).collect()
}

fn add_documents(random: &mut Random, cast: &Cast) -> Value {
    let store_text = random.chance(85);
    let members: Vec<&Member> = cast.nodes.iter().filter(|member| member.hash_only != store_text).collect();
    // Where one of several is refused, LlamaIndex has already put the others on their documents' lists.
    let allow_update = random.chance(85);
    let n = if allow_update { random.between(1, 4) } else { 1 };
    let nodes = random.list(n, |random| {
        // Documents are added like nodes, now and then; their text is always stored.
        if members.is_empty() || (store_text && random.chance(20)) {
            let document = random.pick(&cast.documents);
            return node(random, document, None);
        }
        let member = *random.pick(&members);
        node(random, member, None)
    });
    // Where no member goes without its text, documents have taken the place of members.
    let store_text = store_text || members.is_empty();
    op(
        "docstore.add",
        [("nodes", Value::Array(nodes)), ("allow_update", allow_update.into()), ("store_text", store_text.into())],
    )
}

fn change_documents(random: &mut Random, cast: &Cast) -> Value {
    let document = &random.pick(&cast.documents).id;
    let member = random.pick(&cast.nodes);
    let delete = |id: &PyString, must_exist: bool| {
        op("docstore.delete_document", [("id", id.into()), ("raise_error", must_exist.into())])
    };
    match random.below(10) {
        // What is known by its hash alone is there and is not, for LlamaIndex.
        0..=3 => delete(&member.id, random.chance(30) && member.source.is_some() && !member.hash_only),
        4 => delete(document, false),
        5 => delete(random.pick(&cast.strangers), random.chance(50)),
        6 | 7 => {
            let id = if random.chance(80) { document } else { random.pick(&cast.strangers) };
            op("docstore.delete_ref_doc", [("id", id.into()), ("raise_error", random.chance(50).into())])
        }
        8 => {
            let roots = cast.documents.iter().filter(|document| document.source.is_none());
            let hashes = roots.map(|document| (&document.id, text(random, false)));
            op("docstore.set_hashes", [("hashes", hashes.collect())])
        }
        _ => {
            // Of a node that comes from a document, LlamaIndex would forget which.
            let id = if member.source.is_none() { &member.id } else { &cast.documents[0].id };
            op("docstore.set_hash", [("id", id.into()), ("hash", text(random, false).into())])
        }
    }
}

fn vectors(random: &mut Random, cast: &Cast) -> Value {
    let namespace = random.pick(cast.free_namespaces());
    let name = Value::from(namespace.name.as_str());
    match random.below(20) {
        0 => op("vs.clear", [("namespace", name)]),
        1 | 2 => {
            let none = "None".into();
            let id = match random.below(10) {
                0 => &none,
                1 => random.pick(&cast.strangers),
                _ => &random.pick(&cast.documents).id,
            };
            op("vs.delete", [("namespace", name), ("ref_doc_id", id.into())])
        }
        3 | 4 => {
            let n = random.below(4);
            let ids = random.list(n, |random| Value::from(&random.pick(&cast.nodes).id));
            let filters = if random.chance(70) { Value::Null } else { searches::safe_filters(random) };
            // Asked for nothing, LlamaIndex deletes everything.
            let filters_none = filters.get("filters").and_then(Value::as_array).is_none_or(<[Value]>::is_empty);
            let ids = if filters_none || random.chance(50) { Value::Array(ids) } else { Value::Null };
            op("vs.delete_nodes", [("namespace", name), ("node_ids", ids), ("filters", filters)])
        }
        _ => {
            let most = if random.chance(20) { cast.nodes.len() } else { 6 };
            let n = random.between(1, most);
            let mut nodes = random.list(n, |random| {
                let member = random.pick(&cast.nodes);
                node(random, member, Some(namespace))
            });
            if random.chance(30) {
                copy_embeddings(random, &mut nodes);
            }
            op("vs.add", [("namespace", name), ("nodes", Value::Array(nodes))])
        }
    }
}

/// Gives some nodes the embedding of the first, so that their similarities are equal.
fn copy_embeddings(random: &mut Random, nodes: &mut [Value]) {
    let Some(first) = nodes[0].get("__data__").and_then(|data| data.get("embedding")).cloned() else { return };
    for node in &mut nodes[1..] {
        if let Value::Object(node) = node
            && let Some(Value::Object(data)) = node.get_mut(&b"__data__"[..])
            && random.chance(60)
        {
            data.insert("embedding".into(), first.clone());
        }
    }
}

fn graph(random: &mut Random, cast: &Cast) -> Value {
    if random.chance(5) {
        // LlamaIndex deletes nothing, which is right for what is not there.
        let triplet = vec![random.pick(&cast.strangers).clone(), "r".into(), "o".into()];
        return op("graph.delete", [("triplet", triplet.into())]);
    }
    let relation = if random.chance(60) { (*random.pick(&["r", "s"])).into() } else { text(random, true) };
    let (subject, object) = (random.pick(&cast.subjects).clone(), random.pick(&cast.subjects).clone());
    op("graph.upsert_triplet", [("triplet", vec![subject, relation, object].into())])
}

fn property_graph(random: &mut Random, cast: &mut Cast) -> Value {
    match random.below(10) {
        0..=3 if !cast.relations.is_empty() => {
            let at = random.below(cast.relations.len());
            let [source, label, target] = cast.relations.swap_remove(at);
            let relation = object([
                ("label", label.into()),
                ("source_id", source.into()),
                ("target_id", target.into()),
                ("properties", properties(random)),
            ]);
            op("pg.upsert_relation", [("relation", relation)])
        }
        4 => {
            let loner = random.pick(&cast.loners);
            match random.chance(70) {
                true => op("pg.delete", [("ids", vec![loner.clone()].into())]),
                false => op("pg.delete", [("properties", object([("loner", loner.into())]))]),
            }
        }
        5 => {
            let loner = random.pick(&cast.loners).clone();
            let mut properties = entries(random, Oddities::NONE);
            properties.insert("loner".into(), (&loner).into());
            match random.below(3) {
                0 => chunk(random, &loner, Value::Object(properties)),
                1 => entity(random, &loner, Value::Object(properties)),
                _ => llama_node(random, &loner, Value::Object(properties)),
            }
        }
        _ => {
            let (id, name) = random.pick(&cast.entities);
            let properties = properties(random);
            match random.chance(25) {
                true => chunk(random, &id.as_str().into(), properties),
                false => entity(random, name, properties),
            }
        }
    }
}

fn properties(random: &mut Random) -> Value {
    Value::Object(entries(random, Oddities::NONE))
}

fn entity(random: &mut Random, name: &PyString, properties: Value) -> Value {
    let node = object([
        ("name", name.into()),
        ("label", label(random, "entity")),
        ("embedding", graph_embedding(random)),
        ("properties", properties),
    ]);
    op("pg.upsert_entity", [("node", node)])
}

fn chunk(random: &mut Random, id: &PyString, properties: Value) -> Value {
    let node = object([
        ("text", text(random, false).into()),
        ("id_", id.into()),
        ("label", label(random, "text_chunk")),
        ("embedding", graph_embedding(random)),
        ("properties", properties),
    ]);
    op("pg.upsert_chunk", [("node", node)])
}

fn llama_node(random: &mut Random, id: &PyString, metadata: Value) -> Value {
    let source = random.chance(60).then(|| {
        let document = object([("node_id", text(random, false).into()), ("node_type", "4".into())]);
        ("1", document)
    });
    let data = object([
        ("id_", id.into()),
        ("embedding", graph_embedding(random)),
        ("metadata", metadata),
        ("relationships", source.into_iter().collect()),
        ("text", text(random, false).into()),
        ("class_name", "TextNode".into()),
    ]);
    let node = object([("__data__", data), ("__type__", "1".into())]);
    op("pg.upsert_llama_nodes", [("nodes", Value::Array(vec![node]))])
}

fn label(random: &mut Random, usual: &str) -> Value {
    if random.chance(60) { usual.into() } else { text(random, false).into() }
}

fn graph_embedding(random: &mut Random) -> Value {
    let precision = *random.pick(&Precision::ALL);
    if random.chance(30) { embedding(random, 3, precision) } else { Value::Null }
}

fn index(random: &mut Random, cast: &Cast) -> Value {
    let id = random.pick(&cast.indices);
    if random.chance(20) {
        let id = if random.chance(80) { id } else { random.pick(&cast.strangers) };
        return op("index.delete", [("id", id.into())]);
    }
    let (kind, fields) = index_struct(random, cast);
    let summary = if random.chance(50) { Value::Null } else { text(random, true).into() };
    let mut all = Object::from_iter([("index_id".into(), id.into()), ("summary".into(), summary)]);
    all.extend(fields.as_object().cloned().unwrap_or_default());
    op("index.add", [("type", kind.into()), ("fields", Value::Object(all))])
}

/// The kind of an index struct, and its fields as they are stored.
fn index_struct(random: &mut Random, cast: &Cast) -> (&'static str, Value) {
    let node = |random: &mut Random| random.pick(&cast.nodes).id.clone();
    let ids = |random: &mut Random| {
        let n = random.below(4);
        random.list(n, node)
    };
    let set = |random: &mut Random| {
        let mut ids = ids(random);
        ids.sort_by_key(|id| id.as_bytes().to_vec());
        ids.dedup();
        ids
    };
    let map = |random: &mut Random, value: &dyn Fn(&mut Random) -> Value| -> Value {
        let n = random.below(4);
        random.list(n, |random| (text(random, true), value(random))).into_iter().collect()
    };
    let one = |random: &mut Random| Value::from(node(random));
    let many = |random: &mut Random| Value::from(ids(random));
    let some = |random: &mut Random| Value::from(set(random));
    let floats = |random: &mut Random| embedding(random, 3, Precision::Double);
    let positions = |random: &mut Random| -> Value {
        let n = random.below(5);
        (0..n).map(|at| ((at * 3).to_string(), node(random))).collect()
    };
    match random.below(11) {
        0 => {
            let (all, root) = (positions(random), positions(random));
            let children = map(random, &many);
            ("tree", object([("all_nodes", all), ("root_nodes", root), ("node_id_to_children_ids", children)]))
        }
        1 => ("list", object([("nodes", ids(random).into())])),
        2 => ("keyword_table", object([("table", map(random, &some))])),
        kind @ (3 | 4) => {
            let fields = object([
                ("nodes_dict", map(random, &one)),
                ("doc_id_dict", map(random, &many)),
                ("embeddings_dict", map(random, &floats)),
            ]);
            (if kind == 3 { "vector_store" } else { "multimodal" }, fields)
        }
        5 => {
            let pairs = |random: &mut Random| Value::Array(vec![Value::from(vec![text(random, true), node(random)])]);
            let fields = object([
                ("table", map(random, &some)),
                ("rel_map", map(random, &pairs)),
                ("embedding_dict", map(random, &floats)),
            ]);
            ("kg", fields)
        }
        6 => ("simple_lpg", object([])),
        7 => ("empty", object([])),
        8 => {
            let fields = object([
                ("summary_id_to_node_ids", map(random, &many)),
                ("node_id_to_summary_id", map(random, &one)),
                ("doc_id_to_summary_id", map(random, &one)),
            ]);
            ("document_summary", fields)
        }
        9 => ("sql", object([("context_dict", map(random, &|random| text(random, true).into()))])),
        _ => ("pandas", object([])),
    }
}

fn chat(random: &mut Random, cast: &Cast) -> Value {
    let key = Value::from(random.pick(&cast.chats));
    match random.below(10) {
        0 => {
            let n = random.below(4);
            op("chat.set", [("key", key), ("messages", Value::Array(random.list(n, message)))])
        }
        1 => op("chat.delete", [("key", key)]),
        2 => op("chat.delete_message", [("key", key), ("index", random.below(4).into())]),
        3 => op("chat.delete_last", [("key", key)]),
        _ => {
            let index = if random.chance(70) { Value::Null } else { (random.below(9) as i64 - 4).into() };
            op("chat.add", [("key", key), ("message", message(random)), ("index", index)])
        }
    }
}

fn message(random: &mut Random) -> Value {
    const ROLES: [&str; 8] = ["system", "developer", "user", "assistant", "function", "tool", "chatbot", "model"];
    let n = if random.chance(70) { 1 } else { random.below(4) };
    let blocks = random.list(n, |random| match random.chance(90) {
        true => object([("block_type", "text".into()), ("text", text(random, false).into())]),
        false => object([
            ("block_type", "image".into()),
            ("image", Value::Null),
            ("path", Value::Null),
            ("url", "https://e.org/a.png".into()),
            ("image_mimetype", "image/png".into()),
            ("detail", if random.chance(50) { Value::Null } else { text(random, false).into() }),
        ]),
    });
    object([
        ("role", (*random.pick(&ROLES)).into()),
        (
            "additional_kwargs",
            Value::Object(if random.chance(60) { Object::new() } else { entries(random, Oddities::NONE) }),
        ),
        ("blocks", Value::Array(blocks)),
    ])
}
