#![doc = include_str!("../README.md")]

mod error;
mod handle;
mod index;

mod graph;
mod load;

pub use error::{Error, Result};
pub use graph::ComposableGraph;
pub use handle::IndexHandle;
pub use index::{
    DocumentSummaryIndex, EmptyIndex, Index, KeywordTableIndex, KnowledgeGraphIndex, MultiModalVectorStoreIndex,
    OtherIndex, PandasIndex, PropertyGraphIndex, SqlStructStoreIndex, SummaryIndex, TreeIndex, VectorStoreIndex,
};
pub use load::{load_graph_from_storage, load_index_from_storage, load_indices_from_storage};
