#![doc = include_str!("../README.md")]

mod loader;
mod store;

mod load;
mod state;
mod write;

mod learner;
mod mmr;
mod query;
mod select;
mod similarity;
mod topk;

mod blocks;
mod coding;
mod matrix;
mod vectors;

pub use loader::SimpleVectorStoreLoader;
pub use similarity::SimilarityMode;
pub use store::SimpleVectorStore;
