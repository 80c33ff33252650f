use storage_context::StorageContext;

use crate::{ComposableGraph, Error, Index, Result};

/// Loads one index: the one with this id, or the only one there is.
///
/// # Errors
/// [`Error::NotFound`], which lists the ids there are; without an id [`Error::NoIndex`] and [`Error::SeveralIndices`].
pub async fn load_index_from_storage(ctx: &StorageContext, index_id: Option<&str>) -> Result<Index> {
    if let Some(id) = index_id {
        return load(ctx, id).await;
    }
    let mut structs = ctx.index_store().index_structs().await?;
    if structs.len() > 1 {
        return Err(Error::SeveralIndices { known: structs.into_iter().map(|found| found.index_id).collect() });
    }
    let only = structs.pop().ok_or(Error::NoIndex)?;
    Ok(Index::new(ctx.clone(), only))
}

/// Loads all indexes in the order of the index store, or those with the given ids in the order given.
///
/// # Errors
/// [`Error::NotFound`] for the first id that is unknown.
pub async fn load_indices_from_storage(ctx: &StorageContext, index_ids: Option<&[&str]>) -> Result<Vec<Index>> {
    let mut indices = Vec::new();
    match index_ids {
        Some(ids) => {
            for id in ids {
                indices.push(load(ctx, id).await?);
            }
        }
        None => {
            let structs = ctx.index_store().index_structs().await?;
            indices.extend(structs.into_iter().map(|index_struct| Index::new(ctx.clone(), index_struct)));
        }
    }
    Ok(indices)
}

/// Loads all indexes as a graph whose root is the index with this id.
///
/// # Errors
/// [`Error::NotFound`] if there is no such index. (LlamaIndex notices that only when the root is used.)
pub async fn load_graph_from_storage(ctx: &StorageContext, root_id: &str) -> Result<ComposableGraph> {
    let indices = load_indices_from_storage(ctx, None).await?;
    ComposableGraph::new(root_id.into(), indices)
}

async fn load(ctx: &StorageContext, id: &str) -> Result<Index> {
    if let Some(found) = ctx.index_store().get_index_struct(id).await? {
        return Ok(Index::new(ctx.clone(), found));
    }
    let structs = ctx.index_store().index_structs().await?;
    Err(Error::NotFound { id: id.into(), known: structs.into_iter().map(|found| found.index_id).collect() })
}
