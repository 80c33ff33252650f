use super::{FileContent, FileReader};
use crate::ModelError;
use async_trait::async_trait;
use schema::Node;
/// x
#[derive(Debug, Clone, Copy, Default)]
pub struct PdfReader;
#[async_trait]
impl FileReader for PdfReader {
    async fn load_data(&self, _file: FileContent<'_>) -> Result<Vec<Node>, ModelError> {
        Err("x".into())
    }
}
