//! A change that goes through all stores: each of them then carries the number of the same round.

use std::sync::Arc;

use colca::persist::{Digest, Finding};
use colca::prelude::*;

type Result<T, E = String> = std::result::Result<T, E>;

/// What all our ids begin with.
const OURS: &str = "faults-";

/// The vector store that is ours: others may hold embeddings of any length.
const NAMESPACE: &str = "faults";

/// How many nodes carry the round, and how much text each: so much that files are written in several pieces.
const NODES: usize = 12;
const WORDS: usize = 4000;

const DIMENSIONS: usize = 16;

/// Brings all stores to this round, and adds to the document store who did it.
pub(crate) async fn set(ctx: &StorageContext, round: u64, who: &str) -> Result<()> {
    let nodes: Vec<Node> = (0..NODES).map(|n| Node::text(text(round)).with_id(format!("{OURS}{n}"))).collect();
    let history = Node::text(who).with_id(format!("{OURS}history-{round}"));
    ctx.docstore().add_documents(&[nodes.clone(), vec![history]].concat()).await.map_err(told)?;
    let rows = nodes.into_iter().map(|node| node.with_embedding(vec![round as f64; DIMENSIONS]));
    if ctx.vector_store_of(NAMESPACE).is_none() {
        ctx.add_vector_store(NAMESPACE, Arc::new(SimpleVectorStore::new())).map_err(told)?;
    }
    if let Some(store) = ctx.vector_store_of(NAMESPACE) {
        store.add(&rows.collect::<Vec<_>>()).await.map_err(told)?;
    }
    let mut index = IndexStruct::new(id(), IndexStructData::Empty);
    index.summary = Some(round.to_string().into());
    ctx.index_store().add_index_struct(&index).await.map_err(told)?;
    let graph = ctx.graph_store();
    for (relation, object) in graph.get(&id()).await.map_err(told)? {
        graph.delete(&id(), &relation, &object).await.map_err(told)?;
    }
    graph.upsert_triplet(&id(), &"is".into(), &round.to_string().into()).await.map_err(told)
}

/// Tells the round and what else is there; an error if not all stores are of one round.
pub(crate) async fn tell(ctx: &StorageContext) -> Result<String> {
    let documents = of_documents(ctx).await?;
    let rows = of_vectors(ctx).await?;
    let index = ctx.index_store().get_index_struct(id()).await.map_err(told)?;
    let index = index.and_then(|index| index.summary?.to_str()?.parse().ok());
    let triplets = ctx.graph_store().get(&id()).await.map_err(told)?;
    let triplet = triplets.first().and_then(|(_, object)| object.to_str()?.parse().ok());
    if documents != rows || rows != index || index != triplet || triplets.len() > 1 {
        return Err(format!(
            "mixture: documents of round {documents:?}, vectors {rows:?}, index struct {index:?}, triplet {triplet:?}"
        ));
    }
    let ids = ctx.docstore().node_ids().await.map_err(told)?;
    let (ours, others): (Vec<_>, Vec<_>) = ids.iter().partition(|id| id.to_string_lossy().starts_with(OURS));
    let history: Vec<_> =
        ours.iter().filter_map(|id| id.to_str()?.strip_prefix(OURS)?.strip_prefix("history-")).collect();
    let structs = ctx.index_store().index_structs().await.map_err(told)?.len() - usize::from(index.is_some());
    let (mut rows, mut contents) = (0, String::new());
    for (_, store) in ctx.vector_stores().into_iter().filter(|(name, _)| name != NAMESPACE) {
        rows += store.count().await.map_err(told)?.unwrap_or_default();
        contents += &format!("{:?}", store.to_dict());
    }
    for id in &others {
        let node = ctx.docstore().get_document(*id).await.map_err(told)?.ok_or("a document is gone")?;
        contents += &node.to_value().to_string();
    }
    contents += &format!("{:?}", ctx.property_graph_store().map(|graph| graph.to_dict()));
    let round = documents.map_or("none".to_owned(), |round: u64| round.to_string());
    Ok(format!(
        "round {round}; beside it {} documents, {rows} vectors, {structs} index structs, all {}, {} files of others; \
         after {}",
        others.len(),
        Digest::of(contents.as_bytes()),
        accused(ctx),
        if history.is_empty() { "none".to_owned() } else { history.join(" ") }
    ))
}

/// How many files are said to have been changed by another program.
fn accused(ctx: &StorageContext) -> usize {
    let findings = ctx.open_report().map_or(&[][..], |report| &report.findings);
    findings.iter().filter(|finding| !matches!(finding, Finding::FromStaged { .. })).count()
}

/// The round that all documents are of.
pub(crate) async fn of_documents(ctx: &StorageContext) -> Result<Option<u64>> {
    let mut rounds = Vec::new();
    for n in 0..NODES {
        let node = ctx.docstore().get_document(format!("{OURS}{n}")).await.map_err(told)?;
        rounds.push(node.map(|node| round_of(&node.text_content().to_string_lossy())).transpose()?);
    }
    same(&rounds, "documents")
}

/// The round that all vectors are of.
async fn of_vectors(ctx: &StorageContext) -> Result<Option<u64>> {
    let Some(store) = ctx.vector_store_of(NAMESPACE) else { return Ok(None) };
    let mut rounds = Vec::new();
    for n in 0..NODES {
        let row = store.get(&format!("{OURS}{n}").into()).await.map_err(told)?;
        rounds.push(match row {
            Some(row) if row.iter().any(|number| *number != row[0]) => return Err("mixture in a vector".to_owned()),
            row => row.map(|row| row[0] as u64),
        });
    }
    same(&rounds, "vectors")
}

fn same(rounds: &[Option<u64>], what: &str) -> Result<Option<u64>> {
    let first = rounds.first().copied().flatten();
    if rounds.iter().all(|round| *round == first) { Ok(first) } else { Err(format!("mixture of {what}: {rounds:?}")) }
}

fn text(round: u64) -> String {
    format!("{round} ").repeat(WORDS)
}

fn round_of(found: &str) -> Result<u64> {
    let round = found.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default();
    if found == text(round) { Ok(round) } else { Err("mixture in a document".to_owned()) }
}

fn id() -> PyString {
    OURS.into()
}

fn told(error: impl std::error::Error) -> String {
    format!("failed {error}")
}
