//! Random operations on indexes that share a context, and questions to them.

use colca::prelude::*;
use colca::raw_json::Object;
use colca::vectorstore::FilterOperator;
use support::Random;

use super::cast::Member;
use super::existing::{Existing, Known};
use super::models::{DIMENSIONS, DIMENSIONS_OF_IMAGES};
use super::searches;
use super::text::{id, text};
use super::values::{Oddities, Precision, embedding, entries, object};

/// What indexes are made of.
pub(super) struct Shelf {
    /// Few, since what one kind does to a document that it shares, another may not bear in LlamaIndex.
    kinds: Vec<&'static str>,
    articles: Vec<Article>,
    /// Nodes that are inserted by hand, some from articles.
    pages: Vec<Member>,
    /// What has become of it.
    pub(super) existing: Existing,
}

/// A document with some versions, as LlamaIndex's constructor takes them.
struct Article {
    id: PyString,
    versions: Vec<Value>,
}

/// Those that do more come up more often.
const KINDS: [&str; 13] = [
    "vector_store",
    "vector_store",
    "vector_store",
    "list",
    "list",
    "keyword_table",
    "keyword_table",
    "document_summary",
    "document_summary",
    "tree",
    "multimodal",
    "kg",
    "empty",
];

/// Words that the language model tells again.
const MARKS: [&str; 8] = ["llama1", "grain2", "cord3", "colca4", "maize5", "road6", "knot7", "stone8"];
const WORDS: [&str; 8] = ["store", "Keeper", "the", "of", "carries", "COUNTS", "día", "the_road"];

/// How many operations are tried for one that is well defined.
const TRIES: usize = 40;

/// What a vector or a keyword cannot be made of is left out.
const ODDITIES: Oddities = Oddities { surrogates: false, surrogate_keys: false, non_finite: true };

impl Shelf {
    pub(super) fn new(random: &mut Random) -> Self {
        let n = random.between(2, 5);
        let articles: Vec<Article> = (0..n)
            .map(|at| {
                let id = id(random, true, 1000 + at);
                let n = random.between(2, 3);
                let versions = (0..n).map(|version| article(random, &id, &format!("article{at}version{version}")));
                Article { versions: versions.collect(), id }
            })
            .collect();
        let pages = (0..random.between(2, 6))
            .map(|at| Member {
                id: id(random, true, 2000 + at),
                source: random.chance(80).then(|| random.pick(&articles).id.clone()),
                hash_only: false,
            })
            .collect();
        let n = random.between(1, 3);
        let kinds = random.list(n, |random| *random.pick(&KINDS));
        Self { kinds, articles, pages, existing: Existing::default() }
    }

    /// Without indexes that have images in a vector store of their own.
    pub(super) fn leave_out_images(&mut self) {
        let others = self.kinds.iter().copied().filter(|kind| *kind != "multimodal").collect::<Vec<_>>();
        self.kinds = if others.is_empty() { vec!["vector_store"] } else { others };
    }
}

/// A document of one part most often: LlamaIndex loses its way when it deletes one with more from some indexes.
fn article(random: &mut Random, id: &PyString, mark: &str) -> Value {
    let n = match random.below(20) {
        0 => 0,
        1 => random.between(11, 23),
        2..=8 => random.between(2, 4),
        _ => 1,
    };
    let mut text = random.list(n, sentence).join("\n\n");
    if random.chance(80) && n > 0 {
        text = format!("{mark} {text}");
    }
    let metadata = if random.chance(40) { Object::new() } else { entries(random, ODDITIES) };
    let excluded = |random: &mut Random| -> Value {
        metadata.keys().filter(|_| random.chance(20)).cloned().collect::<Vec<_>>().into()
    };
    let (embed, llm) = (excluded(random), excluded(random));
    object([
        ("id_", id.into()),
        ("text", text.into()),
        ("metadata", metadata.into()),
        ("excluded_embed_metadata_keys", embed),
        ("excluded_llm_metadata_keys", llm),
    ])
}

fn sentence(random: &mut Random) -> String {
    let n = random.between(1, 7);
    let mut words = random.list(n, |random| {
        let words = if random.chance(60) { &MARKS } else { &WORDS };
        (*random.pick(words)).to_owned()
    });
    if random.chance(25) {
        words.push(text(random, false).to_string());
    }
    words.join(" ")
}

fn op<const N: usize>(name: &str, index: &str, parts: [(&str, Value); N]) -> Value {
    [("op", name.into()), ("id", index.into())].into_iter().chain(parts).collect()
}

/// An operation that is well defined after all that came before.
pub(super) fn operation(random: &mut Random, shelf: &mut Shelf) -> Value {
    for _ in 0..TRIES {
        let operation = any_operation(random, shelf);
        let mut existing = shelf.existing.clone();
        if existing.apply(&operation).is_some() {
            shelf.existing = existing;
            return operation;
        }
    }
    op("indexes.summarize", "none", [("summary", "there is no such index".into())])
}

fn any_operation(random: &mut Random, shelf: &Shelf) -> Value {
    let indexes = &shelf.existing.indexes;
    if indexes.is_empty() || (indexes.len() < 4 && random.chance(20)) {
        return build(random, shelf);
    }
    let index = random.pick(indexes);
    let id = index.id.as_str();
    let always = |random: &mut Random| ("always", random.chance(60).into());
    match random.below(100) {
        0..15 => op("indexes.insert", id, [("document", document(random, shelf))]),
        15..28 => op("indexes.insert_nodes", id, [("nodes", nodes(random, shelf, &index.kind))]),
        28..43 => op("indexes.update", id, [("document", document(random, shelf))]),
        43..60 => op("indexes.refresh", id, [("documents", documents(random, shelf))]),
        60..76 => {
            let ids = some_nodes(random, shelf, index);
            op("indexes.delete_nodes", id, [("node_ids", ids.into()), always(random)])
        }
        76..92 => {
            let document = if random.chance(5) { "none".into() } else { random.pick(&shelf.articles).id.clone() };
            op("indexes.delete_document", id, [("ref_doc_id", document.into()), always(random)])
        }
        92..95 => op("indexes.rename", id, [("to", new_id(random).into())]),
        _ => op("indexes.summarize", id, [("summary", text(random, true).into())]),
    }
}

fn build(random: &mut Random, shelf: &Shelf) -> Value {
    let kind = *random.pick(&shelf.kinds);
    let id = new_id(random);
    let content = match kind {
        "empty" => None,
        _ if random.chance(70) => Some(("documents", documents(random, shelf))),
        _ if random.chance(80) => Some(("nodes", nodes(random, shelf, kind))),
        _ => Some(("documents", Value::Array(Vec::new()))),
    };
    [("op", "indexes.build".into()), ("id", id.into()), ("kind", kind.into())].into_iter().chain(content).collect()
}

fn new_id(random: &mut Random) -> String {
    let end = random.below(100);
    id(random, false, end).to_string()
}

fn document(random: &mut Random, shelf: &Shelf) -> Value {
    let article = random.pick(&shelf.articles);
    random.pick(&article.versions).clone()
}

/// Documents, each once.
fn documents(random: &mut Random, shelf: &Shelf) -> Value {
    let some = shelf.articles.iter().filter(|_| random.chance(50)).collect::<Vec<_>>();
    some.into_iter().map(|article| random.pick(&article.versions).clone()).collect::<Vec<_>>().into()
}

/// Nodes that are inserted by hand, each once.
fn nodes(random: &mut Random, shelf: &Shelf, kind: &str) -> Value {
    let mut some: Vec<&Member> = shelf.pages.iter().filter(|_| random.chance(50)).collect();
    if random.chance(30) {
        some.reverse();
    }
    let mut nodes: Vec<Value> = some.into_iter().map(|page| node(random, page)).collect();
    if kind == "multimodal" && random.chance(70) {
        nodes.push(image(random, &shelf.pages[0]));
    }
    nodes.into()
}

fn node(random: &mut Random, page: &Member) -> Value {
    let metadata = entries(random, ODDITIES);
    let vector = if random.chance(25) { embedding(random, DIMENSIONS, Precision::Double) } else { Value::Null };
    let text = if random.chance(90) { sentence(random) } else { String::new() };
    let template = *random.pick(&["{metadata_str}\n\n{content}", "{content}", "{metadata_str}: {content}"]);
    let data = object([
        ("id_", (&page.id).into()),
        ("embedding", vector),
        ("metadata", metadata.into()),
        ("relationships", source(page)),
        ("text", text.into()),
        ("text_template", template.into()),
        ("class_name", "TextNode".into()),
    ]);
    object([("__data__", data), ("__type__", "1".into())])
}

/// An image beside a page.
fn image(random: &mut Random, page: &Member) -> Value {
    let n = random.below(3);
    let data = object([
        ("id_", PyString::concat([&page.id, &format!("-image-{n}").into()]).into()),
        ("embedding", embedding(random, DIMENSIONS_OF_IMAGES, Precision::Double)),
        ("metadata", object([("title", sentence(random).into())])),
        ("relationships", source(page)),
        ("text", "".into()),
        ("image_url", "https://e.org/a.png".into()),
        ("class_name", "ImageNode".into()),
    ]);
    object([("__data__", data), ("__type__", "2".into())])
}

fn source(page: &Member) -> Value {
    let related = |id: &PyString| {
        let info = object([
            ("node_id", id.into()),
            ("node_type", "4".into()),
            ("metadata", object([])),
            ("hash", Value::Null),
            ("class_name", "RelatedNodeInfo".into()),
        ]);
        ("1", info)
    };
    page.source.as_ref().map(related).into_iter().collect()
}

/// Nodes of an index, or all of a document, and now and then one that is none.
fn some_nodes(random: &mut Random, shelf: &Shelf, index: &Known) -> Vec<PyString> {
    let mut ids: Vec<PyString> = if random.chance(40) {
        let article = random.pick(&shelf.articles);
        let of_article = |id: &&PyString| {
            shelf.existing.stored.get(*id).is_some_and(|(source, _)| source.as_ref() == Some(&article.id))
        };
        index.nodes.iter().filter(of_article).cloned().collect()
    } else {
        let percent = random.between(10, 60);
        index.nodes.iter().filter(|_| random.chance(percent)).cloned().collect()
    };
    if random.chance(10) {
        ids.push("none".into());
    }
    ids
}

/// Questions about all indexes.
pub(super) fn questions(random: &mut Random, shelf: &Shelf) -> Vec<Value> {
    let mut all = vec![object([("op", "indexes.all".into())])];
    for index in &shelf.existing.indexes {
        all.push(op("index.get", &index.id, []));
        all.push(op("indexes.summary", &index.id, []));
        all.push(op("indexes.documents", &index.id, [("kind", index.kind.as_str().into())]));
        all.extend(random.list(5, |random| retrieval(random, index)));
    }
    let mut stored: Vec<&PyString> =
        shelf.existing.indexes.iter().flat_map(|known| &known.nodes).filter(|_| random.chance(40)).collect();
    stored.truncate(6);
    all.extend(stored.into_iter().map(|id| object([("op", "docstore.get_doc".into()), ("id", id.into())])));
    all.retain(|question| shelf.existing.can_tell(question));
    all
}

fn retrieval(random: &mut Random, index: &Known) -> Value {
    let top_k = if random.chance(15) { Value::Null } else { random.between(1, 8).into() };
    let mut find = "retrieve";
    let options = match index.kind.as_str() {
        "vector_store" => vector_options(random, top_k),
        "list" if random.chance(30) => object([]),
        "list" => object([("retriever_mode", "embedding".into()), ("similarity_top_k", top_k)]),
        "keyword_table" => object([
            ("retriever_mode", "simple".into()),
            ("max_keywords_per_query", random.between(1, 10).into()),
            ("num_chunks_per_query", random.between(1, 12).into()),
        ]),
        "document_summary" => object([("similarity_top_k", top_k)]),
        "tree" => match random.below(4) {
            0 => object([("retriever_mode", "all_leaf".into())]),
            1 => object([("retriever_mode", "root".into())]),
            _ => object([
                ("retriever_mode", "select_leaf_embedding".into()),
                ("child_branch_factor", random.between(1, 4).into()),
            ]),
        },
        "multimodal" => {
            find = *random.pick(&["text_retrieve", "text_to_image_retrieve"]);
            let name = if find == "text_retrieve" { "similarity_top_k" } else { "image_similarity_top_k" };
            object([(name, random.between(1, 8).into())])
        }
        "kg" if random.chance(40) => object([("retriever_mode", "keyword".into())]),
        "kg" => object([("retriever_mode", "embedding".into()), ("similarity_top_k", random.between(1, 5).into())]),
        _ => object([]),
    };
    // Now and then all is as it is by default.
    let options = match options {
        Value::Object(options) if random.chance(20) => {
            options.into_iter().filter(|(name, _)| *name == *"retriever_mode").collect()
        }
        options => options,
    };
    // Knowledge graphs embed the question whatever is given.
    let given = if index.kind != "kg" && random.chance(30) {
        embedding(random, DIMENSIONS, Precision::Double)
    } else {
        Value::Null
    };
    let query = sentence(random);
    op(
        "indexes.retrieve",
        &index.id,
        [
            ("kind", index.kind.as_str().into()),
            ("query", query.into()),
            ("embedding", given),
            ("options", options),
            ("find", find.into()),
        ],
    )
}

fn vector_options(random: &mut Random, top_k: Value) -> Value {
    match random.below(4) {
        0 => object([]),
        1 => object([
            ("similarity_top_k", random.between(1, 8).into()),
            ("vector_store_query_mode", "mmr".into()),
            ("vector_store_kwargs", object([("mmr_threshold", random.unit().into())])),
        ]),
        2 => {
            let known = entries(random, ODDITIES);
            let filters = searches::filters(random, &known, &FilterOperator::ALL);
            object([("similarity_top_k", top_k), ("filters", filters)])
        }
        _ => object([("similarity_top_k", top_k)]),
    }
}
