#![doc = include_str!("../README.md")]

mod constants;
mod error;
mod store;
mod triplet;

mod pairs;
mod simple;

mod filter;
mod labelled_node;
mod llama_node;
mod relation;
mod schema;

mod change;
mod graph;
mod load;
mod python;
mod simple_property;

mod fields;
mod ordered;

#[cfg(feature = "behavior")]
pub mod behavior;

pub use constants::{KG_NODES_KEY, KG_RELATIONS_KEY, KG_SOURCE_REL, TRIPLET_SOURCE_KEY, VECTOR_SOURCE_KEY};
pub use error::{Error, Result};
pub use filter::{NodeFilter, RelMapOptions, TripletFilter};
pub use graph::Deleted;
pub use labelled_node::{LabelledNode, NodeKind};
pub use llama_node::{LlamaNodes, SkippedNode};
pub use python::PythonProblem;
pub use relation::{LabelledTriplet, Relation};
pub use schema::{GraphSchema, LabelSchema, PropertyGraphSchema, PropertyType};
pub use simple::SimpleGraphStore;
pub use simple_property::SimplePropertyGraphStore;
pub use store::{DEFAULT_DEPTH, DEFAULT_LIMIT, GraphStore, PropertyGraphStore, RelMap};
pub use triplet::Triplet;

/// The top level of a file: what its store has taken apart is `None`, everything else is kept as it is.
type TopLevel = indexmap::IndexMap<raw_json::PyString, Option<raw_json::RawJson>>;
