#![doc = include_str!("../README.md")]

mod batch;
mod error;
mod ext;
mod simple;
mod store;

#[cfg(feature = "behavior")]
pub mod behavior;

pub use batch::{Op, Precondition, WriteBatch};
pub use error::{Error, Result};
pub use ext::KvStoreExt;
pub use simple::SimpleKvStore;
pub use store::{Applied, Atomicity, KvStore, Layout, Page, Persistence};
