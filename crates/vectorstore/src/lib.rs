#![doc = include_str!("../README.md")]

mod error;
mod metadata;
mod query;
mod registry;
pub mod sniff;
mod store;

#[cfg(feature = "behavior")]
pub mod behavior;

pub use error::{Error, Result};
pub use metadata::{
    MetadataError, NO_REF_DOC, metadata_dict, metadata_dict_to_node, node_to_metadata_dict, recorded_ref_doc_id,
};
pub use query::{VectorStoreQuery, VectorStoreQueryMode, VectorStoreQueryResult};
pub use registry::{VectorStoreLoader, VectorStoreRegistry};
pub use sniff::sniff;
pub use store::VectorStore;
