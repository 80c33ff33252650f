use std::ops::Deref;
use std::sync::Arc;

use indexstore::{DocumentSummary, IndexDict, IndexGraph, IndexStruct, IndexStructData, KeywordTable, KnowledgeGraph};
use raw_json::PyString;
use storage_context::StorageContext;

use crate::builder::private::Sealed;
use crate::{
    Embedder, Error, IndexBuilder, IndexHandle, IndexKind, Llm, RetrievedObject, RetrieverQueryEngine, Transformation,
};

/// Declares the kinds of index: a type for each, the enum of all, and the ways between them.
macro_rules! index_kinds {
    ($($(#[$doc:meta])* $variant:ident($type:ident) = $class:literal;)*) => {
        /// An index of any kind. What all kinds can do is in [`IndexHandle`], which this dereferences to.
        #[derive(Debug, Clone)]
        #[non_exhaustive]
        pub enum Index {
            $($(#[$doc])* $variant($type),)*
        }

        $(
            $(#[$doc])*
            ///
            /// What all kinds can do is in [`IndexHandle`], which this dereferences to.
            #[derive(Debug, Clone)]
            pub struct $type(IndexHandle);

            impl Deref for $type {
                type Target = IndexHandle;

                fn deref(&self) -> &IndexHandle {
                    &self.0
                }
            }

            impl $type {
                /// Gives the index a model for embeddings. It is compared with the one the index was embedded with
                /// whenever it is used.
                #[must_use]
                pub fn with_embedder(mut self, embedder: impl Embedder) -> Self {
                    self.0.settings.embedder = Some(Arc::new(embedder));
                    self
                }

                /// Gives the index a language model.
                #[must_use]
                pub fn with_llm(mut self, llm: impl Llm) -> Self {
                    self.0.settings.llm = Some(Arc::new(llm));
                    self
                }

                /// Says what stands behind index nodes, by their `index_id`: what retrievers return in their place.
                /// None of it is stored. Objects that the index has already stay, except under the same ids.
                #[must_use]
                pub fn with_objects<K: Into<PyString>, O: Into<RetrievedObject>>(
                    mut self,
                    objects: impl IntoIterator<Item = (K, O)>,
                ) -> Self {
                    let objects = objects.into_iter().map(|(id, object)| (id.into(), object.into()));
                    Arc::make_mut(&mut self.0.settings.objects).extend(objects);
                    self
                }

                /// Answers questions with what this kind of index finds by default, as
                /// [`Index::as_query_engine`] does.
                pub fn as_query_engine(&self) -> RetrieverQueryEngine {
                    Index::from(self.clone()).as_query_engine()
                }

                /// Says what makes nodes of documents, one after the other;
                /// a [`SentenceSplitter`](crate::SentenceSplitter) by default, LlamaIndex's.
                #[must_use]
                pub fn with_transformations(mut self, transformations: Vec<Arc<dyn Transformation>>) -> Self {
                    self.0.settings.transformations = transformations;
                    self
                }

                /// Says whether the document store gets the nodes even if the vector store keeps their texts.
                #[must_use]
                pub fn with_store_nodes_override(mut self, store: bool) -> Self {
                    self.0.settings.store_nodes_override = store;
                    self
                }
            }

            impl From<$type> for Index {
                fn from(index: $type) -> Self {
                    Self::$variant(index)
                }
            }

            impl TryFrom<Index> for $type {
                type Error = Error;

                fn try_from(index: Index) -> Result<Self, Error> {
                    match index {
                        Index::$variant(index) => Ok(index),
                        other => {
                            let (id, found) = (other.index_id(), other.class_name());
                            Err(Error::WrongKind { id, expected: $class, found })
                        }
                    }
                }
            }
        )*

        impl Index {
            /// LlamaIndex's name of the class.
            pub fn class_name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $class,)*
                }
            }
        }

        impl Deref for Index {
            type Target = IndexHandle;

            fn deref(&self) -> &IndexHandle {
                match self {
                    $(Self::$variant(index) => index,)*
                }
            }
        }

        impl Index {
            /// Gives the index a model for embeddings. It is compared with the one the index was embedded with whenever
            /// it is used.
            #[must_use]
            pub fn with_embedder(self, embedder: impl Embedder) -> Self {
                match self {
                    $(Self::$variant(index) => Self::$variant(index.with_embedder(embedder)),)*
                }
            }

            /// Gives the index a language model.
            #[must_use]
            pub fn with_llm(self, llm: impl Llm) -> Self {
                match self {
                    $(Self::$variant(index) => Self::$variant(index.with_llm(llm)),)*
                }
            }

            /// Says what stands behind index nodes, by their `index_id`: what retrievers return in their place. None of
            /// it is stored. Objects that the index has already stay, except under the same ids.
            #[must_use]
            pub fn with_objects<K: Into<PyString>, O: Into<RetrievedObject>>(
                self,
                objects: impl IntoIterator<Item = (K, O)>,
            ) -> Self {
                match self {
                    $(Self::$variant(index) => Self::$variant(index.with_objects(objects)),)*
                }
            }

            /// Says what makes nodes of documents, one after the other;
            /// a [`SentenceSplitter`](crate::SentenceSplitter) by default, LlamaIndex's.
            #[must_use]
            pub fn with_transformations(self, transformations: Vec<Arc<dyn Transformation>>) -> Self {
                match self {
                    $(Self::$variant(index) => Self::$variant(index.with_transformations(transformations)),)*
                }
            }
        }
    };
}

index_kinds! {
    /// Nodes by embedding.
    VectorStore(VectorStoreIndex) = "VectorStoreIndex";
    /// Nodes in a row.
    Summary(SummaryIndex) = "SummaryIndex";
    /// A hierarchy of summaries.
    Tree(TreeIndex) = "TreeIndex";
    /// Nodes by keyword.
    KeywordTable(KeywordTableIndex) = "KeywordTableIndex";
    /// Nodes by the triplets found in them.
    KnowledgeGraph(KnowledgeGraphIndex) = "KnowledgeGraphIndex";
    /// A property graph.
    PropertyGraph(PropertyGraphIndex) = "PropertyGraphIndex";
    /// No nodes.
    Empty(EmptyIndex) = "EmptyIndex";
    /// A summary for each document.
    DocumentSummary(DocumentSummaryIndex) = "DocumentSummaryIndex";
    /// Texts and images by embedding.
    MultiModal(MultiModalVectorStoreIndex) = "MultiModalVectorStoreIndex";
    /// Notes on the tables of a database. LlamaIndex loads it with that database only.
    Sql(SqlStructStoreIndex) = "SQLStructStoreIndex";
    /// A data frame. LlamaIndex does not load it any more.
    Pandas(PandasIndex) = "PandasIndex";
    /// An index of an unknown kind, or with a damaged struct. It stays as it is.
    Other(OtherIndex) = "an index of an unknown kind";
}

impl Index {
    /// Makes the index that a struct is of.
    pub(crate) fn new(ctx: StorageContext, index_struct: IndexStruct) -> Self {
        let handle = |index_struct| IndexHandle::new(ctx, index_struct);
        match &index_struct.data {
            IndexStructData::VectorStore(_) => Self::VectorStore(VectorStoreIndex(handle(index_struct))),
            IndexStructData::List { .. } => Self::Summary(SummaryIndex(handle(index_struct))),
            IndexStructData::Tree(_) => Self::Tree(TreeIndex(handle(index_struct))),
            IndexStructData::KeywordTable(_) => Self::KeywordTable(KeywordTableIndex(handle(index_struct))),
            IndexStructData::KnowledgeGraph(_) => Self::KnowledgeGraph(KnowledgeGraphIndex(handle(index_struct))),
            IndexStructData::PropertyGraph => Self::PropertyGraph(PropertyGraphIndex(handle(index_struct))),
            IndexStructData::Empty => Self::Empty(EmptyIndex(handle(index_struct))),
            IndexStructData::DocumentSummary(_) => Self::DocumentSummary(DocumentSummaryIndex(handle(index_struct))),
            IndexStructData::Multimodal(_) => Self::MultiModal(MultiModalVectorStoreIndex(handle(index_struct))),
            IndexStructData::Sql { .. } => Self::Sql(SqlStructStoreIndex(handle(index_struct))),
            IndexStructData::Pandas => Self::Pandas(PandasIndex(handle(index_struct))),
            _ => Self::Other(OtherIndex(handle(index_struct))),
        }
    }
}

/// LlamaIndex's name of the class that a struct is of.
pub(crate) fn class_name(data: &IndexStructData) -> &'static str {
    match data {
        IndexStructData::VectorStore(_) => "VectorStoreIndex",
        IndexStructData::List { .. } => "SummaryIndex",
        IndexStructData::Tree(_) => "TreeIndex",
        IndexStructData::KeywordTable(_) => "KeywordTableIndex",
        IndexStructData::KnowledgeGraph(_) => "KnowledgeGraphIndex",
        IndexStructData::PropertyGraph => "PropertyGraphIndex",
        IndexStructData::Empty => "EmptyIndex",
        IndexStructData::DocumentSummary(_) => "DocumentSummaryIndex",
        IndexStructData::Multimodal(_) => "MultiModalVectorStoreIndex",
        IndexStructData::Sql { .. } => "SQLStructStoreIndex",
        IndexStructData::Pandas => "PandasIndex",
        _ => "an index of an unknown kind",
    }
}

/// The kinds that can be built, each with the struct it begins with.
macro_rules! buildable {
    ($($type:ident = $empty:expr;)*) => {
        $(
            impl Sealed for $type {}

            impl IndexKind for $type {
                fn empty() -> IndexStructData {
                    $empty
                }

                fn from_handle(handle: IndexHandle) -> Self {
                    Self(handle)
                }
            }

            impl $type {
                /// Builds an index of this kind in a context.
                pub fn builder(ctx: &StorageContext) -> IndexBuilder<Self> {
                    IndexBuilder::new(ctx)
                }
            }
        )*
    };
}

buildable! {
    VectorStoreIndex = IndexStructData::VectorStore(IndexDict::default());
    SummaryIndex = IndexStructData::List { nodes: Vec::new() };
    EmptyIndex = IndexStructData::Empty;
    KeywordTableIndex = IndexStructData::KeywordTable(KeywordTable::default());
    DocumentSummaryIndex = IndexStructData::DocumentSummary(DocumentSummary::default());
    TreeIndex = IndexStructData::Tree(IndexGraph::default());
    MultiModalVectorStoreIndex = IndexStructData::Multimodal(IndexDict::default());
    KnowledgeGraphIndex = IndexStructData::KnowledgeGraph(KnowledgeGraph::default());
    PropertyGraphIndex = IndexStructData::PropertyGraph;
}
