//! Nodes as LlamaIndex 0.14 writes them, field by field in its order.

use raw_json::{MAX_DEPTH, Object, RawJson, Value};

use crate::{
    Error, ImageContent, IndexContent, MediaContent, MediaResource, Node, NodeContent, RelatedNodeInfo, RelatedNodes,
    Result, TextContent,
};

/// How deep a node may be, so that a file with it in stays readable.
const DEPTH_MAX: usize = MAX_DEPTH - 16;

impl Node {
    /// The stored form: `{"__data__": {…}, "__type__": "1"}`.
    pub fn to_value(&self) -> Value {
        [("__data__", Value::Object(self.to_dict())), ("__type__", self.object_type().code().into())]
            .into_iter()
            .collect()
    }

    /// The stored form as text.
    ///
    /// # Errors
    /// [`Error::TooDeep`] if no reader would take it.
    pub fn to_raw(&self) -> Result<RawJson> {
        let value = self.to_value();
        let depth = value.depth();
        if depth > DEPTH_MAX {
            return Err(Error::TooDeep { id: self.id.clone(), depth, max: DEPTH_MAX });
        }
        Ok(value.into())
    }

    /// The node's fields, LlamaIndex's `to_dict`. Unknown fields come last.
    pub fn to_dict(&self) -> Object {
        let mut out = Fields::default();
        out.put("id_", &self.id);
        out.put("embedding", self.embedding.clone());
        out.put("metadata", self.metadata.clone());
        out.put("excluded_embed_metadata_keys", self.excluded_embed_metadata_keys.clone());
        out.put("excluded_llm_metadata_keys", self.excluded_llm_metadata_keys.clone());
        let relationships = self.relationships.iter().map(|(kind, related)| (kind.code(), related.to_value()));
        out.put("relationships", relationships.collect::<Value>());
        out.put("metadata_template", &self.metadata_template);
        out.put("metadata_separator", &self.metadata_separator);
        match &self.content {
            NodeContent::Text(text) => out.text(text, self),
            NodeContent::Image(text, image) => {
                out.text(text, self);
                out.image(image);
            }
            NodeContent::Index(text, IndexContent { index_id, obj }) => {
                out.text(text, self);
                out.put("index_id", index_id);
                out.put("obj", obj.clone());
            }
            NodeContent::Document(media) | NodeContent::ImageDocument(media) | NodeContent::Multimodal(media) => {
                out.media(media, self);
            }
        }
        out.put("class_name", self.class_name());
        if let NodeContent::Document(_) | NodeContent::ImageDocument(_) = &self.content {
            out.put("text", self.text_content());
        }
        out.0.extend(self.extra.clone());
        out.0
    }
}

#[derive(Default)]
struct Fields(Object);

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.into(), value.into());
    }

    fn text(&mut self, text: &TextContent, node: &Node) {
        self.put("text", &text.text);
        self.put("mimetype", &text.mimetype);
        self.put("start_char_idx", text.start_char_idx);
        self.put("end_char_idx", text.end_char_idx);
        self.put("text_template", &node.text_template);
    }

    fn image(&mut self, image: &ImageContent) {
        self.put("image", image.image.clone());
        self.put("image_path", image.image_path.clone());
        self.put("image_url", image.image_url.clone());
        self.put("image_mimetype", image.image_mimetype.clone());
        self.put("text_embedding", image.text_embedding.clone());
    }

    fn media(&mut self, media: &MediaContent, node: &Node) {
        let value = |resource: &Option<MediaResource>| resource.as_ref().map(MediaResource::to_value);
        self.put("text_resource", value(&media.text_resource));
        self.put("image_resource", value(&media.image_resource));
        self.put("audio_resource", value(&media.audio_resource));
        self.put("video_resource", value(&media.video_resource));
        self.put("text_template", &node.text_template);
    }
}

impl RelatedNodes {
    fn to_value(&self) -> Value {
        match self {
            Self::One(info) => info.to_value(),
            Self::Many(infos) => Value::Array(infos.iter().map(RelatedNodeInfo::to_value).collect()),
        }
    }
}

impl RelatedNodeInfo {
    fn to_value(&self) -> Value {
        let mut out = Fields::default();
        out.put("node_id", &self.node_id);
        out.put("node_type", self.node_type.clone());
        out.put("metadata", self.metadata.clone());
        out.put("hash", self.hash.clone());
        out.put("class_name", "RelatedNodeInfo");
        out.0.extend(self.extra.clone());
        Value::Object(out.0)
    }
}

impl MediaResource {
    fn to_value(&self) -> Value {
        let mut out = Fields::default();
        out.put("embeddings", self.embeddings.clone());
        out.put("text", self.text.clone());
        out.put("path", self.path.clone());
        out.put("url", self.url.clone());
        out.put("mimetype", self.mimetype.clone());
        if let Some(data) = &self.data {
            out.put("data", data);
        }
        out.0.extend(self.extra.clone());
        Value::Object(out.0)
    }
}

impl From<&Node> for Value {
    fn from(node: &Node) -> Self {
        node.to_value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raw_json::{Dialect, PyString, to_json};

    fn check(node: &Node, json: &str) {
        let text = String::from_utf8(to_json(&node.to_value(), Dialect::Ascii)).unwrap();
        assert_eq!(text, json);
    }

    #[test]
    fn a_text_node_is_written_as_python_writes_it() {
        check(
            &Node::text("text node")
                .with_id("text")
                .with_metadata("a", 1)
                .with_source("the-doc")
                .with_embedding([0.25, -1.0]),
            r#"{"__data__": {"id_": "text", "embedding": [0.25, -1.0], "metadata": {"a": 1}, "excluded_embed_metadata_keys": [], "excluded_llm_metadata_keys": [], "relationships": {"1": {"node_id": "the-doc", "node_type": null, "metadata": {}, "hash": null, "class_name": "RelatedNodeInfo"}}, "metadata_template": "{key}: {value}", "metadata_separator": "\n", "text": "text node", "mimetype": "text/plain", "start_char_idx": null, "end_char_idx": null, "text_template": "{metadata_str}\n\n{content}", "class_name": "TextNode"}, "__type__": "1"}"#,
        );
    }

    #[test]
    fn a_document_is_written_as_python_writes_it() {
        check(
            &Node::document("document text").with_id("doc"),
            r#"{"__data__": {"id_": "doc", "embedding": null, "metadata": {}, "excluded_embed_metadata_keys": [], "excluded_llm_metadata_keys": [], "relationships": {}, "metadata_template": "{key}: {value}", "metadata_separator": "\n", "text_resource": {"embeddings": null, "text": "document text", "path": null, "url": null, "mimetype": null}, "image_resource": null, "audio_resource": null, "video_resource": null, "text_template": "{metadata_str}\n\n{content}", "class_name": "Document", "text": "document text"}, "__type__": "4"}"#,
        );
    }

    #[test]
    fn metadata_too_deep_to_be_read_again_is_refused() {
        let mut deep = Value::Null;
        for _ in 0..DEPTH_MAX {
            deep = Value::Array(vec![deep]);
        }
        let node = Node::text("").with_metadata("k", deep);
        assert!(matches!(node.to_raw(), Err(Error::TooDeep { .. })));
    }

    #[test]
    fn ids_are_random() {
        assert_ne!(Node::text("").id, Node::text("").id);
        assert_eq!(Node::text("").id.len(), PyString::from("00000000-0000-0000-0000-000000000000").len());
    }
}
