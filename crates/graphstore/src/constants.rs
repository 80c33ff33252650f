//! LlamaIndex's names for what an extraction leaves in a graph.

/// The property in which an entity or relation names the node it was found in.
pub const TRIPLET_SOURCE_KEY: &str = "triplet_source_id";

/// The property in which a node of a vector store names the node of the graph that it stands for.
pub const VECTOR_SOURCE_KEY: &str = "vector_source_id";

/// The key of a node's metadata under which an extraction hands over entities.
pub const KG_NODES_KEY: &str = "nodes";

/// The key of a node's metadata under which an extraction hands over relations.
pub const KG_RELATIONS_KEY: &str = "relations";

/// The label of the relation from a node to the document it comes from.
pub const KG_SOURCE_REL: &str = "SOURCE";

/// The property in which a chunk names the document it comes from.
pub(crate) const REF_DOC_ID_KEY: &str = "ref_doc_id";
