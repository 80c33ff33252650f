use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use raw_json::PyString;
use schema::{Metadata, Node, Value};

use super::paths;
use crate::ModelError;

/// Makes documents of files of a format.
#[async_trait]
pub trait FileReader: Debug + Send + Sync + 'static {
    /// Makes documents of a file, in their order.
    ///
    /// # Errors
    /// If the file cannot be read.
    async fn load_data(&self, file: FileContent<'_>) -> Result<Vec<Node>, ModelError>;
}

/// A file that documents are made of.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct FileContent<'a> {
    /// Its path.
    pub path: &'a Path,
    /// Its content.
    pub bytes: &'a [u8],
    /// What is known of it, for its documents.
    pub metadata: &'a Metadata,
}

impl FileContent<'_> {
    /// A document of this file, with what LlamaIndex's readers put into the metadata: what the reader knows, the file's
    /// name, and all that is known of the file.
    pub fn document(&self, text: impl Into<PyString>, known: impl IntoIterator<Item = (PyString, Value)>) -> Node {
        let mut document = Node::document(text);
        document.metadata.extend(known);
        let name = paths::string(self.path.file_name().unwrap_or_default());
        document.metadata.insert("file_name".into(), name.into());
        document.metadata.extend(self.metadata.iter().map(|(key, value)| (key.clone(), value.clone())));
        document
    }
}

/// How files of a suffix are read where nobody has said so.
pub(super) enum Format {
    /// As text.
    Text,
    /// With this reader.
    Read(Arc<dyn FileReader>),
    /// Not at all; here is what can be done.
    Unread(String),
}

/// The format that a suffix without its dot, in lower case, tells.
pub(super) fn format(suffix: &str) -> Format {
    match suffix {
        #[cfg(feature = "pdf")]
        "pdf" => Format::Read(Arc::new(super::PdfReader::default())),
        #[cfg(feature = "docx")]
        "docx" => Format::Read(Arc::new(super::DocxReader)),
        #[cfg(not(feature = "pdf"))]
        "pdf" => Format::Unread("switch on the feature 'pdf', or give a reader for '.pdf'".to_owned()),
        #[cfg(not(feature = "docx"))]
        "docx" => Format::Unread("switch on the feature 'docx', or give a reader for '.docx'".to_owned()),
        // For these LlamaIndex has readers in a package of its own.
        "hwp" | "pptx" | "ppt" | "pptm" | "gif" | "jpg" | "png" | "jpeg" | "webp" | "mp3" | "mp4" | "epub" | "xls"
        | "xlsx" => Format::Unread(format!("give a reader for '.{suffix}', or leave such files out")),
        _ => Format::Text,
    }
}
