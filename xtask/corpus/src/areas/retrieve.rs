//! What indexes find, and which documents they have.

use std::collections::HashSet;

use anyhow::Result;
use colca::indices::{self, KeywordExtractor, KgRetrieverMode, PropertyGraphIndex, SimpleKeywords};
use colca::prelude::*;

use super::det_embedding::DetEmbedding;
use super::docstore::ref_doc_info;
use super::{Answers, Area, Case, Outcome, not_understood};
use crate::expected::{difference, python_error, short, unmark, untag};
use crate::rules;

pub(super) async fn run(case: &Case, ctx: &StorageContext, answers: &mut Answers) -> Result<()> {
    let expected = case.expect.get("retrieve").map(untag).unwrap_or(Value::Null);
    let pointed_at = pointed_at(ctx).await;
    let questions = case.question("retrieve").unwrap_or(Value::Null);
    for (id, recorded) in expected.as_object().into_iter().flatten() {
        let name = id.to_string();
        let asked = questions.get(&name).and_then(Value::as_array).unwrap_or_default();
        let Some(recorded) = recorded.as_array() else {
            let outcome = index_not_loadable(ctx, &name).await;
            answers.put(Area::Retrieve, &["retrieve", &name], outcome);
            continue;
        };
        for (i, (question, recorded)) in asked.iter().zip(recorded).enumerate() {
            let index = load_index_from_storage(ctx, Some(&name)).await?.with_embedder(DetEmbedding::of(case));
            if let Index::PropertyGraph(graph) = &index {
                let outcome = facts(graph, question, recorded).await;
                answers.put(Area::Retrieve, &["retrieve", &name, &i.to_string()], outcome);
                continue;
            }
            let outcome = match retrieve(&index, question).await {
                None => not_understood(question),
                Some(_) if ctx.vector_store().is_some_and(|store| store.to_dict().is_none()) => {
                    Outcome::Deviation(rules::FOREIGN_STORES)
                }
                Some(found) => judge(recorded, found, &pointed_at),
            };
            answers.put(Area::Retrieve, &["retrieve", &name, &i.to_string()], outcome);
        }
    }
    let expected = case.expect.get("simple_keywords").map(untag).unwrap_or(Value::Null);
    let asked = case.question("simple_keywords").unwrap_or(Value::Null);
    let asked = asked.as_array().unwrap_or_default();
    for (i, (text, expected)) in asked.iter().zip(expected.as_array().unwrap_or_default()).enumerate() {
        let text = text.as_str().map(ToString::to_string).unwrap_or_default();
        let ours = SimpleKeywords.extract(&text, 10).await.unwrap_or_default();
        answers.equal(Area::Retrieve, &["simple_keywords", &i.to_string()], expected, &ours.into());
    }
    let expected = case.expect.get("ref_doc_info_by_index").map(untag).unwrap_or(Value::Null);
    for (id, recorded) in expected.as_object().into_iter().flatten() {
        let name = id.to_string();
        let index = load_index_from_storage(ctx, Some(&name)).await?;
        let outcome = judge_documents(&index, recorded).await;
        answers.put(Area::Retrieve, &["ref_doc_info_by_index", &name], outcome);
    }
    Ok(())
}

/// LlamaIndex could not load it; ours must have loaded it as what it is.
async fn index_not_loadable(ctx: &StorageContext, name: &str) -> Outcome {
    match load_index_from_storage(ctx, Some(name)).await {
        Ok(_) => Outcome::Deviation(rules::LOADABLE_INDEXES),
        Err(e) => Outcome::Failed(format!("ours: {e}")),
    }
}

type Found = Result<Vec<NodeWithScore>, indices::Error>;

/// What our index finds; `None` if it has no such retriever.
async fn retrieve(index: &Index, question: &Value) -> Option<Found> {
    let text = |key: &str| question.get(key).and_then(Value::as_str).map(ToString::to_string);
    let top_k = |default: Option<i64>| match question.get("top_k") {
        None => default,
        Some(Value::Int(k)) => Some(*k),
        Some(_) => None,
    };
    let mut bundle = QueryBundle::from(text("query").unwrap_or_else(|| "q".to_owned()));
    if let Some(embedding) = question.get("embedding").and_then(Value::as_array) {
        bundle = bundle.with_embedding(embedding.iter().filter_map(Value::as_f64).collect::<Vec<_>>());
    }
    let retriever = text("retriever").unwrap_or_default();
    Some(match (index, retriever.as_str()) {
        (Index::VectorStore(index), "") => {
            let mode = text("mode")?;
            let mode = VectorStoreQueryMode::ALL.into_iter().find(|known| known.name() == mode)?;
            let retriever = index.as_retriever().top_k(top_k(Some(2))).mode(mode);
            let threshold = question.get("mmr_threshold").and_then(Value::as_f64);
            retriever.mmr_threshold(threshold).retrieve(bundle).await
        }
        (Index::Summary(index), "default") => index.as_retriever().retrieve(bundle).await,
        (Index::Summary(index), "embedding") => {
            index.embedding_retriever().top_k(top_k(Some(1))).retrieve(bundle).await
        }
        (Index::DocumentSummary(index), "embedding") => {
            index.as_retriever().top_k(top_k(Some(1))).retrieve(bundle).await
        }
        (Index::KnowledgeGraph(index), "embedding") => {
            let include_text = !matches!(question.get("include_text"), Some(Value::Bool(false)));
            let retriever = index.as_retriever().mode(KgRetrieverMode::Embedding).include_text(include_text);
            retriever.top_k(top_k(Some(2)).unwrap_or(0)).retrieve(bundle).await
        }
        (Index::KeywordTable(index), "simple") => index.as_retriever().retrieve(bundle).await,
        (Index::Tree(index), "all_leaf") => index.all_leaf_retriever().retrieve(bundle).await,
        (Index::Tree(index), "root") => index.root_retriever().retrieve(bundle).await,
        (Index::Tree(index), "select_leaf_embedding") => {
            let factor = match question.get("child_branch_factor") {
                Some(Value::Int(factor)) => usize::try_from(*factor).ok()?,
                _ => 1,
            };
            index.select_leaf_embedding_retriever().child_branch_factor(factor).retrieve(bundle).await
        }
        (Index::Empty(_), "default") => index.as_retriever().retrieve(bundle).await,
        _ => return None,
    })
}

/// What is found in a property graph: text, score and source of each result. The order of triplets comes from a set.
async fn facts(index: &PropertyGraphIndex, question: &Value, recorded: &Value) -> Outcome {
    let embedding = question.get("embedding").and_then(Value::as_array).unwrap_or_default();
    let embedding: Vec<f64> = embedding.iter().filter_map(Value::as_f64).collect();
    let top_k = match question.get("top_k") {
        Some(Value::Int(k)) => *k,
        _ => 4,
    };
    let include_text = !matches!(question.get("include_text"), Some(Value::Bool(false)));
    let retriever = index.vector_context_retriever().top_k(top_k).include_text(include_text);
    let found = match retriever.retrieve(QueryBundle::default().with_embedding(embedding)).await {
        Ok(found) => found,
        Err(e) => return Outcome::Failed(format!("ours: {e}")),
    };
    let lines = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(ToString::to_string);
    let mut theirs: Vec<_> = match unmark(recorded).get("ok") {
        Some(Value::Array(results)) => results
            .iter()
            .filter_map(Value::as_array)
            .map(|result| {
                (
                    lines(&text(result.first()).unwrap_or_default()),
                    text(result.get(2)),
                    result.get(1).and_then(Value::as_f64),
                )
            })
            .collect(),
        _ => {
            // It looks for a relation by its ends and label, where there is one for each label.
            return match python_error(recorded) {
                Some((kind, id)) if kind == "KeyError" && id.split('_').count() == 3 => {
                    Outcome::Deviation(rules::RELATIONS_BY_LABEL)
                }
                _ => Outcome::Failed(format!("LlamaIndex: {}; ours: {found:?}", short(recorded))),
            };
        }
    };
    let source = |node: &Node| node.ref_doc_id().ok().flatten().map(ToString::to_string);
    let mut ours: Vec<_> = found
        .iter()
        .map(|found| (lines(&found.node.text_content().to_string()), source(&found.node), found.score))
        .collect();
    type Fact = (Vec<String>, Option<String>, Option<f64>);
    let by_text = |a: &Fact, b: &Fact| (&a.0, &a.1).cmp(&(&b.0, &b.1));
    theirs.sort_by(by_text);
    ours.sort_by(by_text);
    let near = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-12 + 1e-9 * a.abs(),
        (a, b) => a == b,
    };
    let same =
        theirs.len() == ours.len() && theirs.iter().zip(&ours).all(|(a, b)| a.0 == b.0 && a.1 == b.1 && near(a.2, b.2));
    if same { Outcome::Passed } else { Outcome::Failed(format!("expected {theirs:?}, got {ours:?}")) }
}

fn judge(recorded: &Value, found: Found, pointed_at: &HashSet<PyString>) -> Outcome {
    match (python_error(recorded), found) {
        (None, Err(e)) => Outcome::Failed(format!("ours: {e}")),
        (Some((_, message)), Err(e)) if missing(&e).is_some_and(|id| message.contains(&id)) => Outcome::Passed,
        (Some((kind, message)), found) => Outcome::Failed(format!("LlamaIndex: {kind}: {message}; ours: {found:?}")),
        (None, Ok(found)) => {
            let recorded = recorded.get("ok").cloned().unwrap_or(Value::Null);
            let ours = Value::Array(found.iter().map(told).collect());
            match same(&recorded, &ours, |_| false) {
                true => Outcome::Passed,
                // What an index node points to, and is no node, gets a random id there.
                false if same(&recorded, &ours, |at| pointed_at.contains(&found[at].node.id)) => {
                    Outcome::Deviation(rules::OBJ_OF_INDEX_NODE)
                }
                false => Outcome::Failed(format!("expected {}, got {}", short(&recorded), short(&ours))),
            }
        }
    }
}

/// The first node that the document store lacks.
fn missing(e: &indices::Error) -> Option<String> {
    match e {
        indices::Error::MissingNodes { missing, .. } => missing.first().map(ToString::to_string),
        _ => None,
    }
}

fn told(found: &NodeWithScore) -> Value {
    // The text that tells triplets has a random id and our own words.
    if let Some(texts) = found.node.metadata.get("kg_rel_texts".as_bytes()) {
        return [("rel_texts", texts.clone()), ("score", found.score.into())].into_iter().collect();
    }
    let parts = [
        ("id", Value::from(&found.node.id)),
        ("score", found.score.into()),
        ("text", found.node.text_content().into()),
    ];
    parts.into_iter().collect()
}

/// What index nodes point to that is no node, by the ids that it gets here.
async fn pointed_at(ctx: &StorageContext) -> HashSet<PyString> {
    let mut ids = HashSet::new();
    for id in ctx.docstore().node_ids().await.unwrap_or_default() {
        if let Ok(Some(Node { content: NodeContent::Index(_, index), .. })) = ctx.docstore().get_document(id).await
            && index.obj.as_ref().is_some_and(|obj| Node::from_value(obj, &index.index_id).is_err())
        {
            ids.insert(index.index_id);
        }
    }
    ids
}

/// Whether the same is told, scores within the tolerance that the vector stores' answers have.
fn same(recorded: &Value, ours: &Value, any_id: impl Fn(usize) -> bool) -> bool {
    if difference(recorded, ours).is_none() {
        return true;
    }
    let (Value::Array(a), Value::Array(b)) = (recorded, ours) else { return false };
    let near = |a: f64, b: f64| (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-12 + 1e-9 * a.abs();
    a.len() == b.len()
        && a.iter().zip(b).enumerate().all(|(at, (a, b))| {
            let (theirs, ours) = (a.get("score"), b.get("score"));
            let same_score = match (theirs.and_then(Value::as_f64), ours.and_then(Value::as_f64)) {
                (Some(theirs), Some(ours)) => near(theirs, ours),
                _ => theirs == ours,
            };
            same_score
                && (any_id(at) || a.get("id") == b.get("id"))
                && a.get("text") == b.get("text")
                && keys(a) == keys(b)
        })
}

fn keys(found: &Value) -> Option<usize> {
    found.as_object().map(|found| found.len())
}

async fn judge_documents(index: &Index, recorded: &Value) -> Outcome {
    match (python_error(recorded), index.ref_doc_info().await) {
        (None, Ok(infos)) => {
            let ours: Value = infos.iter().map(|(id, info)| (id, ref_doc_info(info))).collect();
            // Nodes of keywords and of graphs come in arbitrary order, and their documents with them.
            let recorded = unmark(recorded);
            let sorted = |value: &Value| {
                let Some(entries) = value.as_object() else { return value.clone() };
                let mut entries: Vec<_> = entries.clone().into_iter().collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                Value::Object(entries.into_iter().collect())
            };
            let recorded = recorded.get("ok").cloned().unwrap_or(Value::Null);
            difference(&sorted(&recorded), &sorted(&ours)).map_or(Outcome::Passed, Outcome::Failed)
        }
        (Some((_, message)), Err(e)) if missing(&e).is_some_and(|id| message.contains(&id)) => Outcome::Passed,
        (recorded_error, ours) => match recorded_error {
            // Python does not implement it for these.
            Some((kind, _)) if kind == "NotImplementedError" && ours.is_ok() => {
                Outcome::Deviation(rules::DOCUMENTS_OF_GRAPHS)
            }
            recorded_error => Outcome::Failed(format!("LlamaIndex: {recorded_error:?}; ours: {ours:?}")),
        },
    }
}
