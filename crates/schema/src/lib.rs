#![doc = include_str!("../README.md")]

mod error;
mod node;

mod content;
mod decode;
mod encode;
mod fields;
mod hash;
mod legacy;
mod media;
mod relationship;
mod template;

pub use content::MetadataMode;
pub use error::{Error, Result};
pub use media::{MediaResource, guess_mimetype};
pub use node::{ImageContent, IndexContent, MediaContent, Node, NodeContent, ObjectType, TextContent};
pub use raw_json::{Object as Metadata, PyString, Value};
pub use relationship::{NodeRelationship, RelatedNodeInfo, RelatedNodes, Relationships};
