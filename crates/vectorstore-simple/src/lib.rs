#![doc = include_str!("../README.md")]

mod loader;
mod store;

mod load;
mod state;
mod write;

mod query;
mod topk;

mod blocks;
mod coding;
mod matrix;
mod vectors;

pub use loader::SimpleVectorStoreLoader;
pub use store::SimpleVectorStore;
