//! The index store: every struct, by kind and field.

use anyhow::Result;
use colca::prelude::*;

use super::{Answers, Area, Case, Outcome};
use crate::expected::{difference, python_error, untag};
use crate::rules;

pub(super) async fn run(case: &Case, ctx: &StorageContext, answers: &mut Answers) -> Result<()> {
    let Some(expected) = case.expect.get("index_store").map(untag) else { return Ok(()) };
    let get = |key: &str| expected.get(key).cloned().unwrap_or(Value::Null);
    let stored = ctx.index_store().kv().get_all(ctx.index_store().collection()).await?;
    let order = Value::Array(stored.keys().map(Value::from).collect());
    answers.equal(Area::IndexStore, &["index_store", "order"], &get("order"), &order);
    for (id, answer) in get("structs").as_object().into_iter().flatten() {
        let name = id.to_string();
        let path = ["index_store", "structs", &name];
        let Some(ours) = ctx.index_store().get_index_struct(id).await? else {
            answers.put(Area::IndexStore, &path, Outcome::Failed("ours has no such struct".to_owned()));
            continue;
        };
        compare(&path, answer, &ours, answers);
    }
    let structs = ctx.index_store().index_structs().await?;
    let all = Value::Array(structs.iter().map(|found| (&found.index_id).into()).collect());
    let path = ["index_store", "all"];
    match python_error(&get("all")) {
        None => answers.equal(Area::IndexStore, &path, &get("all"), &super::docstore::ok(all)),
        Some((kind, message)) => {
            let outcome = if structs.iter().any(|found| unknown_to_python(found, &kind, &message))
                && structs.len() == stored.len()
            {
                Outcome::Deviation(rules::UNKNOWN_STRUCTS)
            } else {
                Outcome::Failed(format!("LlamaIndex: {kind}: {message}"))
            };
            answers.put(Area::IndexStore, &path, outcome);
        }
    }
    Ok(())
}

/// Whether LlamaIndex's complaint is that it does not know the kind of this struct, which ours keeps and tells.
pub(super) fn unknown_to_python(found: &IndexStruct, kind: &str, message: &str) -> bool {
    // Written out here too: what is judged does not supply the judge's list.
    const KNOWN: [&str; 11] = [
        "tree",
        "list",
        "keyword_table",
        "vector_store",
        "multimodal",
        "kg",
        "simple_lpg",
        "empty",
        "document_summary",
        "sql",
        "pandas",
    ];
    let stored_as = match &found.data {
        IndexStructData::Other { type_name, problem: None, .. } => type_name.to_string(),
        // Read as a vector store's; the kind that it was stored as is the one that LlamaIndex complains about.
        IndexStructData::VectorStore(_) => message.trim_matches('\'').to_owned(),
        _ => return false,
    };
    kind == "KeyError" && message == format!("'{stored_as}'") && !KNOWN.contains(&stored_as.as_str())
}

fn compare(path: &[&str; 3], answer: &Value, ours: &IndexStruct, answers: &mut Answers) {
    if let Some((kind, message)) = python_error(answer) {
        let outcome = if unknown_to_python(ours, &kind, &message) {
            Outcome::Deviation(rules::UNKNOWN_STRUCTS)
        } else {
            Outcome::Failed(format!("LlamaIndex: {kind}: {message}"))
        };
        answers.put(Area::IndexStore, path, outcome);
        return;
    }
    let part = |key: &str| answer.get("ok").and_then(|ok| ok.get(key)).cloned().unwrap_or(Value::Null);
    let at = |key: &'static str| [path[0], path[1], path[2], "ok", key];
    answers.equal(Area::IndexStore, &at("type"), &part("type"), &ours.type_name().into());
    answers.equal(Area::IndexStore, &at("class"), &part("class"), &class(ours).into());
    let fields = Value::Object(ours.to_dict());
    answers.equal_or(Area::IndexStore, &at("fields"), &part("fields"), &fields, || {
        let known = Value::Object(IndexStruct { extra: Default::default(), ..ours.clone() }.to_dict());
        difference(&part("fields"), &known).is_none().then_some(rules::UNKNOWN_FIELDS)
    });
}

/// LlamaIndex's name of the struct's class.
fn class(index_struct: &IndexStruct) -> &'static str {
    match &index_struct.data {
        IndexStructData::Tree(_) => "IndexGraph",
        IndexStructData::List { .. } => "IndexList",
        IndexStructData::KeywordTable(_) => "KeywordTable",
        IndexStructData::VectorStore(_) => "IndexDict",
        IndexStructData::Multimodal(_) => "MultiModelIndexDict",
        IndexStructData::KnowledgeGraph(_) => "KG",
        IndexStructData::PropertyGraph => "IndexLPG",
        IndexStructData::Empty => "EmptyIndexStruct",
        IndexStructData::DocumentSummary(_) => "IndexDocumentSummary",
        IndexStructData::Sql { .. } => "SQLStructTable",
        IndexStructData::Pandas => "PandasStructTable",
        _ => "unknown",
    }
}
