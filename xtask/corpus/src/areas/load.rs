//! Loading indexes, by the three functions that load them.

use anyhow::Result;
use colca::indices;
use colca::prelude::*;

use super::docstore::ok;
use super::index_store::unknown_to_python;
use super::{Answers, Area, Case, Outcome};
use crate::expected::{difference, python_error, untag};
use crate::rules;

pub(super) async fn run(case: &Case, ctx: &StorageContext, answers: &mut Answers) -> Result<()> {
    let Some(expected) = case.expect.get("load").map(untag) else { return Ok(()) };
    let get = |key: &str| expected.get(key).cloned().unwrap_or(Value::Null);

    let one = load_index_from_storage(ctx, None).await.map(|index| info(&index));
    compare(ctx, &["load", "load_index_from_storage"], &get("load_index_from_storage"), one, answers).await?;
    let all = load_indices_from_storage(ctx, None).await.map(|indices| infos(&indices));
    compare(ctx, &["load", "load_indices_from_storage"], &get("load_indices_from_storage"), all, answers).await?;

    let asked = case.question("load_ids").unwrap_or(Value::Array(Vec::new()));
    for (i, (ids, expected)) in
        asked.as_array().unwrap_or_default().iter().zip(get("by_ids").as_array().unwrap_or_default()).enumerate()
    {
        let ids: Vec<String> =
            ids.as_array().unwrap_or_default().iter().filter_map(|id| Some(id.as_str()?.to_string())).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let ours = load_indices_from_storage(ctx, Some(&ids)).await.map(|indices| infos(&indices));
        compare(ctx, &["load", "by_ids", &i.to_string()], expected, ours, answers).await?;
    }
    for (id, expected) in get("by_id").as_object().into_iter().flatten() {
        let id = id.to_string();
        let ours = load_index_from_storage(ctx, Some(&id)).await.map(|index| info(&index));
        compare(ctx, &["load", "by_id", &id], expected, ours, answers).await?;
    }
    let roots = case.question("graph_root").unwrap_or(Value::Array(Vec::new()));
    for (i, (root, expected)) in
        roots.as_array().unwrap_or_default().iter().zip(get("graph").as_array().unwrap_or_default()).enumerate()
    {
        let root = root.as_str().map(ToString::to_string).unwrap_or_default();
        let ours = load_graph_from_storage(ctx, &root).await.map(|graph| {
            let mut all: Vec<&PyString> = graph.all_indices().keys().collect();
            all.sort();
            let all = Value::Array(all.into_iter().map(Value::from).collect());
            let parts = [
                ("root_id", Value::from(graph.root_id())),
                ("all", all),
                ("root_class", graph.root_index().class_name().into()),
            ];
            parts.into_iter().collect()
        });
        compare(ctx, &["load", "graph", &i.to_string()], expected, ours, answers).await?;
    }
    Ok(())
}

fn info(index: &Index) -> Value {
    let parts = [
        ("id", Value::from(index.index_id())),
        ("class", index.class_name().into()),
        ("summary", index.summary().into()),
    ];
    parts.into_iter().collect()
}

fn infos(indices: &[Index]) -> Value {
    Value::Array(indices.iter().map(info).collect())
}

async fn compare(
    ctx: &StorageContext,
    path: &[&str],
    expected: &Value,
    ours: Result<Value, indices::Error>,
    answers: &mut Answers,
) -> Result<()> {
    let outcome = match (python_error(expected), ours) {
        (None, Ok(ours)) => difference(expected, &ok(ours)).map_or(Outcome::Passed, Outcome::Failed),
        (None, Err(e)) => Outcome::Failed(format!("ours: {e}")),
        (Some((kind, message)), Err(e)) if same_error(&kind, &message, &e) => Outcome::Passed,
        // Where LlamaIndex loads all before it complains that they are several, ours complains at once.
        (Some((kind, message)), Ok(_) | Err(indices::Error::SeveralIndices { .. }))
            if not_loadable(ctx, &kind, &message).await? =>
        {
            Outcome::Deviation(rules::LOADABLE_INDEXES)
        }
        (Some((kind, message)), ours) => Outcome::Failed(format!("LlamaIndex: {kind}: {message}; ours: {ours:?}")),
    };
    answers.put(Area::Load, path, outcome);
    Ok(())
}

/// Whether both complain of the same: nothing there, too much there, or an id that is not there.
fn same_error(kind: &str, message: &str, ours: &indices::Error) -> bool {
    match ours {
        indices::Error::NoIndex => {
            kind == "ValueError"
                && message == "No index in storage context, check if you specified the right persist_dir."
        }
        indices::Error::SeveralIndices { known } => {
            let n = known.len();
            kind == "ValueError"
                && message == format!("Expected to load a single index, but got {n} instead. Please specify index_id.")
        }
        indices::Error::NotFound { id, .. } => {
            (kind == "ValueError" && message == format!("Failed to load index with ID {id}"))
                || (kind == "KeyError" && message == format!("'{id}'"))
        }
        _ => false,
    }
}

/// Whether LlamaIndex failed because of a kind of index that it does not load (any more, or without a database or a
/// model), or because there is no default vector store, which loading does not need.
async fn not_loadable(ctx: &StorageContext, kind: &str, message: &str) -> Result<bool> {
    let structs = ctx.index_store().index_structs().await?;
    let has = |test: fn(&IndexStructData) -> bool| structs.iter().any(|found| test(&found.data));
    Ok(match kind {
        "DeprecationWarning" => has(|data| matches!(data, IndexStructData::Pandas)) && message.contains("Pandas"),
        "ValueError" => {
            has(|data| matches!(data, IndexStructData::Sql { .. })) && message == "sql_database must be specified"
        }
        "ImportError" => has(|data| matches!(data, IndexStructData::Multimodal(_))) && message.contains("clip"),
        "KeyError" if message == "'default'" => ctx.vector_store().is_none(),
        _ => structs.iter().any(|found| unknown_to_python(found, kind, message)),
    })
}
