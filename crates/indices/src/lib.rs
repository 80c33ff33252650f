#![doc = include_str!("../README.md")]

mod error;
mod handle;
mod index;

mod hash_embedder;
mod identity;
mod models;
#[cfg(feature = "openai")]
mod openai;
mod settings;
#[cfg(feature = "static-embeddings")]
mod static_embedder;
mod transformation;

mod builder;
mod delete;
mod graph_change;
mod insertion;
mod kinds;
mod leaving;
mod needs;
mod refresh;

mod index_retriever;
mod objects;
mod retriever;
mod vector_retriever;

mod extract;
mod query_engine;
mod response;
mod summarize;
mod synthesizer;

mod document_summary;
mod empty;
mod extracted;
mod ingestion;
mod keyword_table;
mod keywords;
mod kg_extractor;
mod kg_retriever;
mod knowledge_graph;
mod multi_modal;
mod property_graph;
mod reader;
mod splitter;
mod summary;
mod tree;
mod tree_graph;
mod tree_retriever;
mod vector_context_retriever;
mod vector_store;

mod capitalize;
mod triplet_text;
mod triplets;

mod graph;
mod graph_query_engine;
mod load;

pub use builder::{IndexBuilder, IndexKind};
pub use delete::{DeleteOptions, Deleted, DocstoreDelete};
pub use document_summary::DocumentSummaryRetriever;
pub use error::{Error, Result};
pub use graph::ComposableGraph;
pub use graph_query_engine::ComposableGraphQueryEngine;
pub use handle::IndexHandle;
pub use hash_embedder::HashEmbedder;
pub use index::{
    DocumentSummaryIndex, EmptyIndex, Index, KeywordTableIndex, KnowledgeGraphIndex, MultiModalVectorStoreIndex,
    OtherIndex, PandasIndex, PropertyGraphIndex, SqlStructStoreIndex, SummaryIndex, TreeIndex, VectorStoreIndex,
};
pub use index_retriever::IndexRetriever;
pub use ingestion::{DocstoreStrategy, EmbedNodes, Ingested, IngestionCache, IngestionPipeline, IngestionProgress};
pub use keyword_table::KeywordTableRetriever;
pub use keywords::{KeywordExtractor, LlmKeywords, RakeKeywords, SimpleKeywords};
pub use kg_extractor::{Extraction, ImplicitPathExtractor, KgExtractor, SimpleLlmPathExtractor};
pub use kg_retriever::{KgRetrieverMode, KgTableRetriever};
pub use load::{load_graph_from_storage, load_index_from_storage, load_indices_from_storage};
pub use models::{Embedder, Llm, ModelError};
pub use objects::RetrievedObject;
#[cfg(feature = "openai")]
pub use openai::{OpenAi, OpenAiEmbedder, OpenAiError, OpenAiLlm, ServedModel};
pub use query_engine::{QueryEngine, QueryEngineExt, RetrieverQueryEngine};
#[cfg(feature = "docx")]
pub use reader::DocxReader;
#[cfg(feature = "pdf")]
pub use reader::PdfReader;
pub use reader::{DecodeErrors, DirectoryReader, FileContent, FileReader, Loaded, OnError, ReadError, Skipped};
pub use response::{Response, StreamingResponse};
pub use retriever::{NodeWithScore, QueryBundle, Retriever, RetrieverExt};
pub use splitter::{
    Cl100kBase, JsonNodeParser, MarkdownNodeParser, NodeOptions, SentenceSplitter, SimpleFileNodeParser, SplitError,
    SplitWith, TokenTextSplitter, Tokenizer, sentences,
};
#[cfg(feature = "static-embeddings")]
pub use static_embedder::{StaticEmbedder, StaticModelError};
pub use summary::{SummaryIndexEmbeddingRetriever, SummaryIndexRetriever};
pub use synthesizer::{ResponseMode, ResponseSynthesizer};
pub use transformation::{Transformation, WholeDocuments};
pub use tree_retriever::{TreeRetriever, TreeSelectLeafRetriever};
pub use triplets::{LlmTripletExtractor, TripletExtractor, TripletFn};
pub use vector_context_retriever::VectorContextRetriever;
pub use vector_retriever::VectorIndexRetriever;
