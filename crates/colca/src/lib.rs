#![doc = include_str!("../README.md")]

#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}
mod error;
pub mod guide;
pub mod prelude;
mod store_path;

pub use chatstore;
pub use docstore;
pub use fs_backends;
pub use graphstore;
pub use indexstore;
pub use indices;
pub use kv_core;
pub use persist;
pub use raw_json;
pub use schema;
pub use storage_context;
pub use vectorstore;
pub use vectorstore_simple;

pub use error::{Error, Result};
pub use store_path::StorePath;
