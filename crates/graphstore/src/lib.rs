#![doc = include_str!("../README.md")]

mod error;
mod store;
mod triplet;

mod pairs;
mod simple;

mod filter;
mod labelled_node;
mod relation;

mod change;
mod graph;
mod load;
mod python;
mod simple_property;

mod fields;
mod ordered;

pub use error::{Error, Result};
pub use filter::{NodeFilter, RelMapOptions, TripletFilter};
pub use graph::Deleted;
pub use labelled_node::{LabelledNode, NodeKind};
pub use python::PythonProblem;
pub use relation::{LabelledTriplet, Relation};
pub use simple::SimpleGraphStore;
pub use simple_property::SimplePropertyGraphStore;
pub use store::{DEFAULT_DEPTH, DEFAULT_LIMIT, GraphStore, PropertyGraphStore, RelMap};
pub use triplet::Triplet;

/// The top level of a file: what its store has taken apart is `None`, everything else is kept as it is.
type TopLevel = indexmap::IndexMap<raw_json::PyString, Option<raw_json::RawJson>>;
