//! The areas of a case's answers: how each question is put to our stores.

mod chat;
mod context;
pub(crate) mod det_embedding;
pub(crate) mod docstore;
#[cfg(test)]
mod graph_queries;
mod graphs;
mod index_ops;
mod index_store;
mod load;
mod ops;
mod pipeline;
mod property_graph;
mod retrieve;
mod vectors;

use anyhow::Result;

use super::answers::{Answers, Area, Outcome, not_understood};
use super::case::Case;

/// Answers all that can be answered.
pub(super) async fn run(case: &Case, answers: &mut Answers) -> Result<()> {
    match case.kind().as_str() {
        "chat" => return chat::run(case, answers).await,
        "pipeline" => return pipeline::run(case, answers).await,
        "single_file" => return context::single_file(case, answers).await,
        _ => {}
    }
    let Some(ctx) = context::open(case, answers).await? else { return Ok(()) };
    context::repersist(case, &ctx, answers).await?;
    docstore::run(case, &ctx, answers).await?;
    index_store::run(case, &ctx, answers).await?;
    vectors::run(case, &ctx, answers).await?;
    graphs::run(case, &ctx, answers).await?;
    load::run(case, &ctx, answers).await?;
    retrieve::run(case, &ctx, answers).await?;
    ops::run(case, &ctx, answers).await
}
