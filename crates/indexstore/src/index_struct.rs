use indexmap::{IndexMap, IndexSet};
use raw_json::{Object, PyString, RawJson, Value};

/// What an index store keeps of an index.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexStruct {
    /// The index's id, and the key it is stored under.
    pub index_id: PyString,
    /// What the index is about, if someone said so.
    pub summary: Option<PyString>,
    /// Which nodes it has, by its kind.
    pub data: IndexStructData,
    /// Fields that this crate does not know; they are written back.
    pub extra: Object,
}

/// The kinds of index structs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum IndexStructData {
    /// `tree`: a hierarchy of summaries.
    Tree(IndexGraph),
    /// `list`: nodes in a row, repeated ones too.
    List {
        /// The nodes.
        nodes: Vec<PyString>,
    },
    /// `keyword_table`: nodes by keyword.
    KeywordTable(KeywordTable),
    /// `vector_store`: nodes by vector id. The kinds `dict` and `simple_dict` of 0.5 and before, and those named after
    /// databases, are read as this one.
    VectorStore(IndexDict),
    /// `multimodal`: as `vector_store`, with images.
    Multimodal(IndexDict),
    /// `kg`: nodes by the keywords of their triplets.
    KnowledgeGraph(KnowledgeGraph),
    /// `simple_lpg`: nothing but id and summary; the graph is all.
    PropertyGraph,
    /// `empty`: no nodes.
    Empty,
    /// `document_summary`: a summary for each document.
    DocumentSummary(DocumentSummary),
    /// `sql`: notes on tables.
    Sql {
        /// What is known of each table.
        context_dict: IndexMap<PyString, PyString>,
    },
    /// `pandas`: nothing but id and summary.
    Pandas,
    /// A kind that this crate does not know, or a struct that cannot be read. It is kept as it is.
    Other {
        /// The kind's name.
        type_name: PyString,
        /// The stored value, as it stands.
        raw: RawJson,
        /// Why it could not be read; `None` for a kind that is merely unknown.
        problem: Option<String>,
    },
}

/// The struct of a tree index. Node indices count from 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexGraph {
    /// All nodes by index.
    pub all_nodes: IndexMap<i64, PyString>,
    /// The nodes at the top, by index.
    pub root_nodes: IndexMap<i64, PyString>,
    /// The nodes right below each node.
    pub node_id_to_children_ids: IndexMap<PyString, Vec<PyString>>,
}

/// The struct of a keyword table index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeywordTable {
    /// The nodes of each keyword. LlamaIndex writes these sets in arbitrary order; here the order stays.
    pub table: IndexMap<PyString, IndexSet<PyString>>,
}

/// The struct of a vector store index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexDict {
    /// The node of each vector.
    pub nodes_dict: IndexMap<PyString, PyString>,
    /// Unused since 0.6, and kept.
    pub doc_id_dict: Object,
    /// Unused since 0.6, and kept.
    pub embeddings_dict: Object,
}

/// The struct of a knowledge graph index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnowledgeGraph {
    /// The nodes of each keyword, as in [`KeywordTable`].
    pub table: IndexMap<PyString, IndexSet<PyString>>,
    /// The triplets of 0.6.2x and before, `{subject: [[object, relation], …]}` (the object first). Later ones are in
    /// the graph store.
    pub rel_map: Object,
    /// Embeddings by Python's `str` of a triplet.
    pub embedding_dict: Object,
}

/// The struct of a document summary index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentSummary {
    /// The nodes that each summary node stands for.
    pub summary_id_to_node_ids: IndexMap<PyString, Vec<PyString>>,
    /// The summary node of each node.
    pub node_id_to_summary_id: IndexMap<PyString, PyString>,
    /// The summary node of each document.
    pub doc_id_to_summary_id: IndexMap<PyString, PyString>,
}

impl KnowledgeGraph {
    /// The triplets of [`rel_map`](Self::rel_map), each as subject, relation and object.
    ///
    /// # Errors
    /// The first subject under which something stands that is no list of pairs of strings.
    pub fn rel_map_triplets(&self) -> Result<Vec<[PyString; 3]>, PyString> {
        let mut triplets = Vec::new();
        for (subject, pairs) in &self.rel_map {
            for pair in pairs.as_array().ok_or_else(|| subject.clone())? {
                let Some([Value::String(object), Value::String(relation)]) = pair.as_array() else {
                    return Err(subject.clone());
                };
                triplets.push([subject.clone(), relation.clone(), object.clone()]);
            }
        }
        Ok(triplets)
    }
}

impl IndexStruct {
    /// A struct without a summary.
    pub fn new(index_id: impl Into<PyString>, data: IndexStructData) -> Self {
        Self { index_id: index_id.into(), summary: None, data, extra: Object::new() }
    }

    /// The name of the kind, as it is stored.
    pub fn type_name(&self) -> PyString {
        match &self.data {
            IndexStructData::Other { type_name, .. } => type_name.clone(),
            IndexStructData::Tree(_) => "tree".into(),
            IndexStructData::List { .. } => "list".into(),
            IndexStructData::KeywordTable(_) => "keyword_table".into(),
            IndexStructData::VectorStore(_) => "vector_store".into(),
            IndexStructData::Multimodal(_) => "multimodal".into(),
            IndexStructData::KnowledgeGraph(_) => "kg".into(),
            IndexStructData::PropertyGraph => "simple_lpg".into(),
            IndexStructData::Empty => "empty".into(),
            IndexStructData::DocumentSummary(_) => "document_summary".into(),
            IndexStructData::Sql { .. } => "sql".into(),
            IndexStructData::Pandas => "pandas".into(),
        }
    }

    /// The nodes that the struct names, each once, in its order. `None` if that cannot be told: the struct is of an
    /// unknown kind or damaged.
    ///
    /// A property graph index names none here; its nodes are those in the graph.
    pub fn node_ids(&self) -> Option<IndexSet<PyString>> {
        let ids = match &self.data {
            IndexStructData::Tree(graph) => graph.all_nodes.values().cloned().collect(),
            IndexStructData::List { nodes } => nodes.iter().cloned().collect(),
            IndexStructData::KeywordTable(KeywordTable { table })
            | IndexStructData::KnowledgeGraph(KnowledgeGraph { table, .. }) => {
                table.values().flatten().cloned().collect()
            }
            IndexStructData::VectorStore(dict) | IndexStructData::Multimodal(dict) => {
                dict.nodes_dict.values().cloned().collect()
            }
            IndexStructData::DocumentSummary(summary) => {
                let summarized = summary.summary_id_to_node_ids.iter();
                summarized.flat_map(|(summary, nodes)| std::iter::once(summary).chain(nodes)).cloned().collect()
            }
            IndexStructData::PropertyGraph
            | IndexStructData::Empty
            | IndexStructData::Sql { .. }
            | IndexStructData::Pandas => IndexSet::new(),
            IndexStructData::Other { .. } => return None,
        };
        Some(ids)
    }
}
