use std::fmt::Debug;

use async_trait::async_trait;
use schema::{
    ImageContent, MediaContent, MediaResource, Node, NodeContent, NodeRelationship, RelatedNodes, Relationships,
    TextContent,
};

use crate::ModelError;

/// Makes nodes of nodes. A splitter is one: it makes chunks of documents.
#[async_trait]
pub trait Transformation: Debug + Send + Sync + 'static {
    /// Makes nodes of nodes, keeping their order.
    ///
    /// # Errors
    /// If it fails, for whatever reason.
    async fn transform(&self, nodes: Vec<Node>) -> Result<Vec<Node>, ModelError>;

    /// What tells this transformation from others that make something else of the same nodes: its name and all of its
    /// settings. With it, an [`IngestionPipeline`](crate::IngestionPipeline) keeps the results; by default there is none.
    fn cache_settings(&self) -> Option<String> {
        None
    }
}

/// Makes one text node of each document, and leaves other nodes as they are.
///
/// The node has the document's text, metadata, excluded keys, templates and embedding, and its source is the document;
/// an image document becomes an image node.
#[derive(Debug, Clone, Copy, Default)]
pub struct WholeDocuments;

#[async_trait]
impl Transformation for WholeDocuments {
    async fn transform(&self, nodes: Vec<Node>) -> Result<Vec<Node>, ModelError> {
        nodes.into_iter().map(|node| Ok(whole(node)?)).collect()
    }

    fn cache_settings(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }
}

fn whole(document: Node) -> schema::Result<Node> {
    let source = document.as_related_node_info();
    let text = document.text_content();
    let end = i64::try_from(text.code_points().count()).ok();
    let text = TextContent { start_char_idx: Some(0), end_char_idx: end, ..TextContent::new(text) };
    let content = match &document.content {
        NodeContent::Document(_) => NodeContent::Text(text),
        NodeContent::ImageDocument(media) => NodeContent::Image(text, image(media)),
        _ => return Ok(document),
    };
    // A document that comes from another one passes its source on.
    let source = match document.related(NodeRelationship::Source)? {
        Some(of_document) => of_document.clone(),
        None => source?,
    };
    let relationships = Relationships::from([(NodeRelationship::Source, RelatedNodes::One(source))]);
    Ok(Node {
        embedding: document.embedding,
        metadata: document.metadata,
        excluded_embed_metadata_keys: document.excluded_embed_metadata_keys,
        excluded_llm_metadata_keys: document.excluded_llm_metadata_keys,
        metadata_template: document.metadata_template,
        metadata_separator: document.metadata_separator,
        text_template: document.text_template,
        relationships,
        ..Node::new(content)
    })
}

pub(crate) fn image(media: &MediaContent) -> ImageContent {
    let resource: Option<&MediaResource> = media.image_resource.as_ref();
    ImageContent {
        image: resource.and_then(|image| image.data.clone()),
        image_path: resource.and_then(|image| image.path.clone()),
        image_url: resource.and_then(|image| image.url.clone()),
        image_mimetype: resource.and_then(|image| image.mimetype.clone()),
        text_embedding: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raw_json::Value;

    fn run(document: &Node) -> Node {
        pollster::block_on(WholeDocuments.transform(vec![document.clone()])).unwrap().remove(0)
    }

    #[test]
    fn a_document_becomes_a_node_that_comes_from_it() {
        let mut document = Node::document("día").with_id("d").with_metadata("k", 1);
        document.excluded_embed_metadata_keys = vec!["k".into()];
        document.metadata_separator = "; ".into();
        let node = run(&document);
        assert_eq!((node.class_name(), node.ref_doc_id().unwrap()), ("TextNode", Some(&"d".into())));
        let source = node.related(NodeRelationship::Source).unwrap().unwrap();
        assert_eq!(source, &document.as_related_node_info().unwrap());
        assert_eq!(node.metadata.get(&b"k"[..]), Some(&Value::from(1)));
        assert_eq!(node.excluded_embed_metadata_keys, document.excluded_embed_metadata_keys);
        assert_eq!(node.metadata_separator, "; ");
        let NodeContent::Text(text) = &node.content else { panic!("not a text") };
        assert_eq!((text.start_char_idx, text.end_char_idx), (Some(0), Some(3)));
        assert_ne!(node.id, document.id);
    }

    #[test]
    fn other_nodes_stay_and_sources_are_passed_on() {
        let node = Node::text("x").with_source("d");
        assert_eq!(run(&node), node);
        let part = Node::document("x").with_source("whole");
        assert_eq!(run(&part).ref_doc_id().unwrap(), Some(&"whole".into()));
    }
}
