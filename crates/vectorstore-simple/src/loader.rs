use std::sync::Arc;

use bytes::Bytes;
use raw_json::Text;
use vectorstore::{Result, VectorStore, VectorStoreLoader, sniff};

use crate::SimpleVectorStore;

/// Recognises and loads the files of [`SimpleVectorStore`]: JSON objects, in any encoding that Python reads.
#[derive(Debug, Clone, Copy)]
pub struct SimpleVectorStoreLoader;

impl VectorStoreLoader for SimpleVectorStoreLoader {
    fn name(&self) -> &'static str {
        "SimpleVectorStore"
    }

    fn recognises(&self, head: &[u8]) -> bool {
        // In UTF-16 and -32 zero bytes stand around the bracket.
        let marks = [&b"\xEF\xBB\xBF"[..], b"\xFF\xFE", b"\xFE\xFF", b"\0\0\xFE\xFF"];
        let body = marks.iter().find_map(|mark| head.strip_prefix(*mark)).unwrap_or(head);
        let first = body.iter().find(|b| !b.is_ascii_whitespace() && **b != 0);
        first == Some(&b'{') && sniff(head).is_none()
    }

    fn load(&self, file: Bytes) -> Result<Arc<dyn VectorStore>> {
        Ok(Arc::new(SimpleVectorStore::from_text(&Text::decode(file)?)?))
    }
}
