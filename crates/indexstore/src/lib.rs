#![doc = include_str!("../README.md")]

mod embedding;
mod error;
mod index_struct;
mod store;

mod decode;
mod decoded;
mod encode;

pub use embedding::EmbeddingIdentity;
pub use error::{Error, Result};
pub use index_struct::{
    DocumentSummary, IndexDict, IndexGraph, IndexStruct, IndexStructData, KeywordTable, KnowledgeGraph,
};
pub use store::KvIndexStore;
