//! Documents from PDF files.

mod font;
mod labels;
mod text;

use async_trait::async_trait;
use lopdf::Document;
use schema::{Node, Value};

use super::{FileContent, FileReader};
use crate::ModelError;

/// Reads PDF files: one document of each page, with its `page_label` in the metadata, as LlamaIndex's `PDFReader`. It is
/// there with the feature `pdf`.
///
/// Text comes in the order in which it is drawn. Where lines and words end is told by where it is drawn. Files that need
/// a password cannot be read; what is only a picture has no text.
#[derive(Debug, Clone, Copy, Default)]
pub struct PdfReader {
    return_full_document: bool,
}

impl PdfReader {
    /// Whether all pages become one document; not by default.
    #[must_use]
    pub fn return_full_document(mut self, full: bool) -> Self {
        self.return_full_document = full;
        self
    }
}

#[async_trait]
impl FileReader for PdfReader {
    async fn load_data(&self, file: FileContent<'_>) -> Result<Vec<Node>, ModelError> {
        let pages = pages(file.bytes)?;
        if self.return_full_document {
            let texts: Vec<String> = pages.into_iter().map(|page| page.text).collect();
            return Ok(vec![file.document(texts.join("\n"), [])]);
        }
        let document = |page: Page| file.document(page.text, [("page_label".into(), Value::from(page.label))]);
        Ok(pages.into_iter().map(document).collect())
    }
}

struct Page {
    label: String,
    text: String,
}

fn pages(bytes: &[u8]) -> Result<Vec<Page>, ModelError> {
    let mut document = Document::load_mem(bytes)?;
    if document.is_encrypted() {
        document.decrypt("").map_err(|e| format!("it needs a password: {e}"))?;
    }
    if document.trailer.has(b"Encrypt") {
        return Err("it needs a password, or is encrypted in a way that is not known".into());
    }
    let ids = document.get_pages();
    if ids.is_empty() {
        return Err("it has no pages".into());
    }
    let labels = labels::of(&document, ids.len());
    let pages = ids.values().zip(labels).map(|(id, label)| Ok(Page { label, text: text::of_page(&document, *id)? }));
    pages.collect()
}
