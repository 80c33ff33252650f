//! What most programs need, in one line: `use colca::prelude::*;`.

pub use chatstore::{ChatMessage, ChatStore, SimpleChatStore};
pub use docstore::{AddOptions, KvDocumentStore, RefDocInfo};
#[cfg(feature = "azblob")]
pub use fs_backends::AzblobConfig;
#[cfg(feature = "gcs")]
pub use fs_backends::GcsConfig;
#[cfg(feature = "r2")]
pub use fs_backends::R2Config;
#[cfg(feature = "s3")]
pub use fs_backends::S3Config;
#[cfg(feature = "opendal")]
pub use fs_backends::{DiskCache, ObjectFs, RequestOptions};
pub use fs_backends::{FsConfig, IntoPlace, LocalFs, Place};
pub use graphstore::{GraphStore, PropertyGraphStore, SimpleGraphStore, SimplePropertyGraphStore, Triplet};
pub use indexstore::{IndexStruct, IndexStructData, KvIndexStore};
pub use indices::{
    ComposableGraph, DeleteOptions, DirectoryReader, DocstoreDelete, DocstoreStrategy, DocumentSummaryIndex, Embedder,
    EmptyIndex, HashEmbedder, Index, IngestionPipeline, KeywordExtractor, KeywordTableIndex, KgExtractor,
    KgRetrieverMode, KnowledgeGraphIndex, Llm, LlmKeywords, MarkdownNodeParser, ModelError, MultiModalVectorStoreIndex,
    NodeWithScore, PropertyGraphIndex, QueryBundle, QueryEngine, QueryEngineExt, RakeKeywords, Response, ResponseMode,
    ResponseSynthesizer, RetrievedObject, Retriever, RetrieverExt, RetrieverQueryEngine, SentenceSplitter,
    SimpleKeywords, StreamingResponse, SummaryIndex, TokenTextSplitter, Transformation, TreeIndex, TripletExtractor,
    TripletFn, VectorStoreIndex, load_graph_from_storage, load_index_from_storage, load_indices_from_storage,
};
pub use kv_core::{KvStore, KvStoreExt, SimpleKvStore, WriteBatch};
pub use persist::{MemoryFs, PersistFs};
pub use raw_json::{PyString, RawJson, Value};
pub use schema::{MetadataMode, Node, NodeContent, NodeRelationship};
pub use storage_context::{
    DEFAULT_PERSIST_DIR, FileNames, OpenOptions, OpenReport, PersistOptions, PersistReport, ReopenOptions, Reopened,
    StorageContext,
};
pub use vectorstore::{
    MetadataFilters, Mismatch, NodeSelection, VectorStore, VectorStoreQuery, VectorStoreQueryMode,
    VectorStoreQueryResult, field,
};
pub use vectorstore_simple::{SimilarityMode, SimpleVectorStore};

pub use crate::StorePath;
