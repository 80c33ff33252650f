#![doc = include_str!("../README.md")]

mod error;
mod store;

mod filters;
mod query;
mod selection;

mod metadata;
mod registry;
pub mod sniff;

#[cfg(feature = "behavior")]
pub mod behavior;

pub use error::{Error, Result};
pub use filters::{
    Field, Filter, FilterCondition, FilterOperator, FilterValue, MetadataFilter, MetadataFilters, Mismatch, field,
};
pub use metadata::{
    MetadataError, NO_REF_DOC, metadata_dict, metadata_dict_to_node, node_to_metadata_dict, recorded_ref_doc_id,
};
pub use query::{Learner, MmrPenalty, VectorStoreQuery, VectorStoreQueryMode, VectorStoreQueryResult};
pub use registry::{VectorStoreLoader, VectorStoreRegistry};
pub use selection::NodeSelection;
pub use sniff::sniff;
pub use store::VectorStore;
