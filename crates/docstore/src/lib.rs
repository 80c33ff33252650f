#![doc = include_str!("../README.md")]

mod error;
mod ref_doc_info;
mod store;

mod add;
mod delete;
mod hashes;
mod replace;
mod upgrade;

#[cfg(test)]
mod tests;

pub use add::{AddOptions, PreparedNodes};
pub use delete::Deleted;
pub use error::{Error, Result};
pub use ref_doc_info::RefDocInfo;
pub use store::KvDocumentStore;
pub use upgrade::Upgraded;
