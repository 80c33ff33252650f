use std::sync::Arc;

use async_trait::async_trait;
use schema::{MetadataMode, Node};

use crate::identity::embed_all;
use crate::{Embedder, ModelError, Transformation};

/// Embeds the nodes that have no embedding: a model as a transformation, as LlamaIndex's pipelines have it.
#[derive(Debug, Clone)]
pub struct EmbedNodes(Arc<dyn Embedder>);

impl EmbedNodes {
    /// Embeds with this model.
    pub fn new(embedder: impl Embedder) -> Self {
        Self(Arc::new(embedder))
    }
}

#[async_trait]
impl Transformation for EmbedNodes {
    async fn transform(&self, mut nodes: Vec<Node>) -> Result<Vec<Node>, ModelError> {
        let missing: Vec<&mut Node> = nodes.iter_mut().filter(|node| node.embedding.is_none()).collect();
        let mut texts = Vec::with_capacity(missing.len());
        for node in &missing {
            texts.push(node.get_content(MetadataMode::Embed)?.to_string_lossy().into_owned());
        }
        let embeddings = embed_all(&*self.0, &texts).await?;
        for (node, embedding) in missing.into_iter().zip(embeddings) {
            node.embedding = Some(embedding);
        }
        Ok(nodes)
    }

    fn cache_settings(&self) -> Option<String> {
        Some(format!("EmbedNodes {:?}", self.0.model_name()))
    }
}
