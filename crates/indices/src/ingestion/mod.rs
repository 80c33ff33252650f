//! From documents to stored nodes, again and again: what has not changed is not done twice.

mod cache;
mod embed_nodes;
mod pipeline;
mod plan;

pub use cache::IngestionCache;
pub use embed_nodes::EmbedNodes;
pub use pipeline::{DocstoreStrategy, Ingested, IngestionPipeline, IngestionProgress};
