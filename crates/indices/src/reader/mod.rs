//! Documents from files.

mod decode;
mod directory_reader;
#[cfg(feature = "docx")]
mod docx;
mod error;
mod file_reader;
mod glob;
mod media_type;
mod metadata;
mod paths;
#[cfg(feature = "pdf")]
mod pdf;
mod selection;

pub use decode::DecodeErrors;
pub use directory_reader::{DirectoryReader, Loaded, OnError, Skipped};
#[cfg(feature = "docx")]
pub use docx::DocxReader;
pub use error::ReadError;
pub use file_reader::{FileContent, FileReader};
#[cfg(feature = "pdf")]
pub use pdf::PdfReader;
