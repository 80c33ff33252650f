//! What makes chunks of documents.

mod chunk;
mod error;
mod json;
mod markdown;
mod nodes;
mod parts;
mod sentence_splitter;
mod sentences;
mod simple_file;
mod split_with;
mod token_splitter;
mod tokenizer;

pub use error::SplitError;
pub use json::JsonNodeParser;
pub use markdown::MarkdownNodeParser;
pub use nodes::NodeOptions;
pub use sentence_splitter::SentenceSplitter;
pub use sentences::sentences;
pub use simple_file::SimpleFileNodeParser;
pub use split_with::SplitWith;
pub use token_splitter::TokenTextSplitter;
pub use tokenizer::{Cl100kBase, Tokenizer};
