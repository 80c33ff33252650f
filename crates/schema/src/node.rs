use raw_json::{Object, PyString, Value};
use uuid::Uuid;

use crate::{MediaResource, NodeRelationship, RelatedNodeInfo, RelatedNodes, Relationships};

/// A node of any of LlamaIndex's classes.
///
/// The fields are public, named as in LlamaIndex's JSON. Two nodes are equal if all fields are.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The id, unique within a document store. New nodes get a random UUID.
    pub id: PyString,
    /// The embedding, if it is kept with the node.
    pub embedding: Option<Vec<f64>>,
    /// What is known about the node, in order.
    pub metadata: Object,
    /// Keys of `metadata` that are not shown to embedding models.
    pub excluded_embed_metadata_keys: Vec<PyString>,
    /// Keys of `metadata` that are not shown to language models.
    pub excluded_llm_metadata_keys: Vec<PyString>,
    /// Other nodes this one has to do with.
    pub relationships: Relationships,
    /// How one entry of the metadata is put into text, with `{key}` and `{value}`.
    pub metadata_template: PyString,
    /// What stands between the entries.
    pub metadata_separator: PyString,
    /// How metadata and text are put together, with `{metadata_str}` and `{content}`.
    pub text_template: PyString,
    /// What the class of the node decides.
    pub content: NodeContent,
    /// Fields that this crate does not know; they are written back.
    pub extra: Object,
}

/// What distinguishes the classes of nodes.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeContent {
    /// `TextNode`: a piece of text.
    Text(TextContent),
    /// `ImageNode`: an image with a text.
    Image(TextContent, ImageContent),
    /// `IndexNode`: a text that points to something else, another index for example.
    Index(TextContent, IndexContent),
    /// `Document`: a whole document.
    Document(MediaContent),
    /// `ImageDocument`: an image as a document.
    ImageDocument(MediaContent),
    /// `Node`: text, image, audio and video side by side.
    Multimodal(MediaContent),
}

/// A text and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextContent {
    /// The text.
    pub text: PyString,
    /// Its media type, `text/plain` by default.
    pub mimetype: PyString,
    /// Where it starts in its document, in characters.
    pub start_char_idx: Option<i64>,
    /// Where it ends in its document, in characters.
    pub end_char_idx: Option<i64>,
}

/// The image of an `ImageNode`. Nothing here is ever opened or fetched.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImageContent {
    /// The image itself, in base64.
    pub image: Option<PyString>,
    /// Its path.
    pub image_path: Option<PyString>,
    /// Its URL.
    pub image_url: Option<PyString>,
    /// Its media type.
    pub image_mimetype: Option<PyString>,
    /// The embedding of the node's text; `Node::embedding` is the image's.
    pub text_embedding: Option<Vec<f64>>,
}

/// What an `IndexNode` points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexContent {
    /// The id of what it points to.
    pub index_id: PyString,
    /// The thing itself as JSON, as LlamaIndex stored it: a node's `{"__data__", "__type__"}`, or a string.
    pub obj: Option<Value>,
}

/// The resources of a document or a multimodal node.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MediaContent {
    /// The text.
    pub text_resource: Option<MediaResource>,
    /// The image.
    pub image_resource: Option<MediaResource>,
    /// The audio.
    pub audio_resource: Option<MediaResource>,
    /// The video.
    pub video_resource: Option<MediaResource>,
}

/// LlamaIndex's type codes, the `__type__` of a stored node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectType {
    /// `"1"`
    Text,
    /// `"2"`
    Image,
    /// `"3"`
    Index,
    /// `"4"`
    Document,
    /// `"5"`
    Multimodal,
}

impl ObjectType {
    /// The code as it is stored.
    pub fn code(self) -> &'static str {
        match self {
            Self::Text => "1",
            Self::Image => "2",
            Self::Index => "3",
            Self::Document => "4",
            Self::Multimodal => "5",
        }
    }
}

impl Node {
    /// A `TextNode` with a random id.
    pub fn text(text: impl Into<PyString>) -> Self {
        Self::new(NodeContent::Text(TextContent::new(text)))
    }

    /// A `Document` with a random id.
    pub fn document(text: impl Into<PyString>) -> Self {
        let text = text.into();
        // As LlamaIndex's constructor: an empty text is no resource.
        let text_resource = (!text.is_empty()).then(|| MediaResource::text(text));
        Self::new(NodeContent::Document(MediaContent { text_resource, ..MediaContent::default() }))
    }

    /// An `ImageNode` with a random id.
    pub fn image(text: impl Into<PyString>, image: ImageContent) -> Self {
        Self::new(NodeContent::Image(TextContent::new(text), image))
    }

    /// An `IndexNode` with a random id that points to `index_id`.
    pub fn index(text: impl Into<PyString>, index_id: impl Into<PyString>) -> Self {
        Self::new(NodeContent::Index(TextContent::new(text), IndexContent { index_id: index_id.into(), obj: None }))
    }

    /// A node of any class with a random id and LlamaIndex's defaults.
    pub fn new(content: NodeContent) -> Self {
        Self {
            id: Uuid::new_v4().to_string().into(),
            embedding: None,
            metadata: Object::new(),
            excluded_embed_metadata_keys: Vec::new(),
            excluded_llm_metadata_keys: Vec::new(),
            relationships: Relationships::new(),
            metadata_template: "{key}: {value}".into(),
            metadata_separator: "\n".into(),
            text_template: "{metadata_str}\n\n{content}".into(),
            content,
            extra: Object::new(),
        }
    }

    /// Sets the id.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<PyString>) -> Self {
        self.id = id.into();
        self
    }

    /// Sets one entry of the metadata.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<PyString>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Sets the embedding.
    #[must_use]
    pub fn with_embedding(mut self, embedding: impl Into<Vec<f64>>) -> Self {
        self.embedding = Some(embedding.into());
        self
    }

    /// Sets the document this node comes from.
    #[must_use]
    pub fn with_source(mut self, document_id: impl Into<PyString>) -> Self {
        let info = RelatedNodeInfo::new(document_id);
        self.relationships.insert(NodeRelationship::Source, RelatedNodes::One(info));
        self
    }

    /// The class's type code.
    pub fn object_type(&self) -> ObjectType {
        match self.content {
            NodeContent::Text(_) => ObjectType::Text,
            NodeContent::Image(..) => ObjectType::Image,
            NodeContent::Index(..) => ObjectType::Index,
            NodeContent::Document(_) | NodeContent::ImageDocument(_) => ObjectType::Document,
            NodeContent::Multimodal(_) => ObjectType::Multimodal,
        }
    }

    /// LlamaIndex's name of the class.
    pub fn class_name(&self) -> &'static str {
        match self.content {
            NodeContent::Text(_) => "TextNode",
            NodeContent::Image(..) => "ImageNode",
            NodeContent::Index(..) => "IndexNode",
            NodeContent::Document(_) => "Document",
            NodeContent::ImageDocument(_) => "ImageDocument",
            NodeContent::Multimodal(_) => "Node",
        }
    }
}

impl TextContent {
    /// Plain text.
    pub fn new(text: impl Into<PyString>) -> Self {
        Self { text: text.into(), mimetype: "text/plain".into(), start_char_idx: None, end_char_idx: None }
    }
}
