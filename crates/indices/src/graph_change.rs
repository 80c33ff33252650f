use std::sync::Arc;

use graphstore::Triplet;
use schema::Node;
use storage_context::StorageContext;
use vectorstore::VectorStore;

use crate::extracted::{Extracted, Settled};
use crate::{IndexHandle, Result};

/// What a graph store is to get.
#[derive(Debug)]
pub(crate) enum GraphChange {
    /// Nothing.
    None,
    /// Triplets.
    Triplets(Vec<Triplet>),
    /// What was found for a property graph.
    Extracted(Extracted),
}

/// The same, in view of what the store has.
pub(crate) enum SettledChange<'a> {
    None,
    Triplets(&'a [Triplet]),
    Extracted(Settled),
}

impl GraphChange {
    /// Compares with what the store has. Nothing is changed.
    pub(crate) async fn settle(&self, index: &IndexHandle) -> Result<SettledChange<'_>> {
        Ok(match self {
            Self::None => SettledChange::None,
            Self::Triplets(triplets) => SettledChange::Triplets(triplets),
            Self::Extracted(extracted) => SettledChange::Extracted(extracted.settle(index).await?),
        })
    }
}

impl SettledChange<'_> {
    /// What vector stores get before the graph store gets the rest.
    pub(crate) fn rows(&self) -> &[(Arc<dyn VectorStore>, Vec<Node>)] {
        match self {
            Self::Extracted(settled) => &settled.rows,
            Self::None | Self::Triplets(_) => &[],
        }
    }

    /// Changes the store.
    pub(crate) async fn store(self, ctx: &StorageContext) -> Result<()> {
        match self {
            Self::None | Self::Triplets([]) => Ok(()),
            Self::Triplets(triplets) => Ok(ctx.graph_store().upsert_triplets(triplets).await?),
            Self::Extracted(settled) => settled.store(ctx).await,
        }
    }
}
