//! Random nodes of every class, as LlamaIndex stores them.

use colca::raw_json::{Object, PyString, Value};
use support::Random;

use super::cast::{Member, Namespace};
use super::text::text;
use super::values::{Oddities, Precision, embedding, entries, object};

const CLASSES: [(&str, &str); 6] = [
    ("TextNode", "1"),
    ("ImageNode", "2"),
    ("IndexNode", "3"),
    ("Document", "4"),
    ("ImageDocument", "4"),
    ("Node", "5"),
];

const METADATA_TEMPLATES: [&str; 7] =
    ["{key}: {value}", "{key}={value}", "{value}", "{{{key}}} {value!r}", "[{key:>8}|{value:<12}]", "{key!s:*^9}", ""];

const TEXT_TEMPLATES: [&str; 6] = [
    "{metadata_str}\n\n{content}",
    "{content}",
    "{metadata_str}",
    "{{x}} {content!s} -- {metadata_str:>30}",
    "  {metadata_str}\u{1F}{content}\u{2028}",
    "{content:.5}",
];

/// Paths that mean the same on every system, with extensions that have media types and without.
const PATHS: [&str; 9] =
    ["a.png", "dir/b.jpg", "c.txt", "noext", "x.MP3", "vidéo.mp4", ".hidden", "a.tar.gz", "d/e.webp"];

/// A node that plays this part, with an embedding if it is for a vector store.
pub(super) fn node(random: &mut Random, member: &Member, namespace: Option<&Namespace>) -> Value {
    let class = if random.chance(40) { CLASSES[0] } else { *random.pick(&CLASSES) };
    // LlamaIndex spoils lone surrogates in keys on a node's way into a vector store, or fails at them.
    let oddities = Oddities { surrogate_keys: namespace.is_none(), ..Oddities::ALL };
    let vector = match namespace {
        Some(namespace) => embedding(random, namespace.dimension, namespace.precision),
        None => optional(random, |random| {
            let precision = *random.pick(&Precision::ALL);
            embedding(random, 4, precision)
        }),
    };
    let mut fields = common(random, member, vector, oddities);
    let mut put = |name: &str, value: Value| drop(fields.insert(name.into(), value));
    match class.0 {
        "TextNode" => text_fields(random, &mut put),
        "ImageNode" => {
            text_fields(random, &mut put);
            put("image", optional(random, |random| text(random, true).into()));
            put("image_path", optional(random, |random| (*random.pick(&PATHS)).into()));
            put("image_url", optional(random, |random| text(random, true).into()));
            put("image_mimetype", optional(random, |random| text(random, true).into()));
            put("text_embedding", optional(random, |random| embedding(random, 3, Precision::Double)));
        }
        "IndexNode" => {
            text_fields(random, &mut put);
            put("index_id", text(random, true).into());
            put("obj", optional(random, |random| pointed_at(random, oddities)));
        }
        _ => {
            for kind in ["text_resource", "image_resource", "audio_resource", "video_resource"] {
                let percent = if kind == "text_resource" { 85 } else { 25 };
                let resource = if random.chance(percent) { resource(random, kind) } else { Value::Null };
                put(kind, resource);
            }
            put("text_template", text_template(random));
        }
    }
    put("class_name", class.0.into());
    object([("__data__", Value::Object(fields)), ("__type__", class.1.into())])
}

fn common(random: &mut Random, member: &Member, vector: Value, oddities: Oddities) -> Object {
    let metadata = entries(random, oddities);
    let excluded = |random: &mut Random| -> Value {
        let mut keys: Vec<PyString> = metadata.keys().filter(|_| random.chance(30)).cloned().collect();
        if random.chance(20) {
            keys.push(text(random, true));
        }
        keys.into()
    };
    let (embed, llm) = (excluded(random), excluded(random));
    let separator = if random.chance(70) { "\n".into() } else { text(random, true) };
    let fields = object([
        ("id_", (&member.id).into()),
        ("embedding", vector),
        ("metadata", Value::Object(metadata)),
        ("excluded_embed_metadata_keys", embed),
        ("excluded_llm_metadata_keys", llm),
        ("relationships", relationships(random, member.source.as_ref(), oddities)),
        ("metadata_template", usually(random, &METADATA_TEMPLATES)),
        ("metadata_separator", separator.into()),
    ]);
    fields.as_object().cloned().unwrap_or_default()
}

fn text_fields(random: &mut Random, put: &mut impl FnMut(&str, Value)) {
    put("text", text(random, true).into());
    put("mimetype", if random.chance(80) { "text/plain".into() } else { text(random, true).into() });
    put("start_char_idx", optional(random, |random| random.below(1000).into()));
    put("end_char_idx", optional(random, |random| random.below(100_000).into()));
    put("text_template", text_template(random));
}

fn text_template(random: &mut Random) -> Value {
    usually(random, &TEXT_TEMPLATES)
}

/// The first choice most often.
fn usually(random: &mut Random, choices: &[&str]) -> Value {
    if random.chance(60) { choices[0].into() } else { (*random.pick(choices)).into() }
}

fn relationships(random: &mut Random, source: Option<&PyString>, oddities: Oddities) -> Value {
    let mut relationships = Object::new();
    if let Some(source) = source {
        relationships.insert("1".into(), related(random, source.into(), oddities));
    }
    for kind in ["2", "3", "4"] {
        if random.chance(20) {
            let id = text(random, true);
            relationships.insert(kind.into(), related(random, id.into(), oddities));
        }
    }
    if random.chance(20) {
        let n = random.below(3);
        let children = random.list(n, |random| {
            let id = text(random, true);
            related(random, id.into(), oddities)
        });
        relationships.insert("5".into(), Value::Array(children));
    }
    Value::Object(relationships)
}

fn related(random: &mut Random, id: Value, oddities: Oddities) -> Value {
    let kind = optional(random, |random| (*random.pick(&["1", "2", "3", "4", "5", "else"])).into());
    let metadata = if random.chance(60) { Object::new() } else { entries(random, oddities) };
    object([
        ("node_id", id),
        ("node_type", kind),
        ("metadata", Value::Object(metadata)),
        ("hash", optional(random, |random| text(random, true).into())),
        ("class_name", "RelatedNodeInfo".into()),
    ])
}

/// What an index node points to. Its own id is settled, for LlamaIndex makes one up only if there is no node.
fn pointed_at(random: &mut Random, oddities: Oddities) -> Value {
    let member = Member { id: text(random, true), source: None, hash_only: false };
    let mut fields = common(random, &member, Value::Null, oddities);
    let mut put = |name: &str, value: Value| drop(fields.insert(name.into(), value));
    text_fields(random, &mut put);
    put("class_name", "TextNode".into());
    object([("__data__", Value::Object(fields)), ("__type__", "1".into())])
}

/// A media resource. Its URL stays empty: LlamaIndex cannot store a node that has one.
fn resource(random: &mut Random, kind: &str) -> Value {
    let words = kind == "text_resource" || random.chance(20);
    let embeddings = optional(random, |random| {
        let kind = *random.pick(&["dense", "sparse"]);
        object([(kind, embedding(random, 3, Precision::Double))])
    });
    object([
        ("embeddings", embeddings),
        // LlamaIndex cannot hash texts with lone surrogates here.
        ("text", if words { text(random, false).into() } else { Value::Null }),
        ("path", optional(random, |random| (*random.pick(&PATHS)).into())),
        ("url", Value::Null),
        ("mimetype", optional(random, |random| text(random, true).into())),
    ])
}

fn optional(random: &mut Random, make: impl FnOnce(&mut Random) -> Value) -> Value {
    if random.chance(30) { make(random) } else { Value::Null }
}
