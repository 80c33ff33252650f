//! Reading nodes of every version, by the rules of LlamaIndex 0.14 where it reads them at all.

use raw_json::{Object, PyString, RawJson, Value};

use crate::fields::Fields;
use crate::media::guess_mimetype;
use crate::{
    Error, ImageContent, IndexContent, MediaContent, MediaResource, Node, NodeContent, NodeRelationship, ObjectType,
    RelatedNodeInfo, RelatedNodes, Relationships, Result, TextContent, legacy,
};

impl Node {
    /// Reads a stored node, `{"__data__": {…}, "__type__": "1"}`, of any version. A node without an id gets `key`,
    /// under which it is stored.
    ///
    /// # Errors
    /// [`Error::UnknownType`] and [`Error::Field`].
    pub fn from_value(value: &Value, key: &PyString) -> Result<Self> {
        let mut outer = match value {
            Value::Object(entries) => Fields::new(key, entries.clone()),
            other => return Err(Fields::new(key, Object::new()).wrong("__data__", "in an object", other)),
        };
        let data = outer.take("__data__").unwrap_or(Value::Null);
        let code = outer.take("__type__").unwrap_or(Value::Null);
        let fields = match data {
            Value::Object(fields) => fields,
            other => return Err(outer.wrong("__data__", "an object", &other)),
        };
        Self::from_dict(fields, object_type(&code, key)?, key)
    }

    /// Reads a stored node from its text. A node without an id gets `key`.
    ///
    /// # Errors
    /// As [`from_value`](Self::from_value).
    pub fn from_raw(raw: &RawJson, key: &PyString) -> Result<Self> {
        Self::from_value(&raw.value(), key)
    }

    /// Reads a node's fields, what LlamaIndex's `to_dict` gives. A node without an id gets `key`.
    ///
    /// # Errors
    /// [`Error::Field`].
    pub fn from_dict(dict: Object, object_type: ObjectType, key: &PyString) -> Result<Self> {
        let mut fields = Fields::new(key, dict);
        if fields.rest.contains_key(&b"extra_info"[..]) {
            legacy::modernize(&mut fields)?;
        }
        let class_name = fields.take("class_name");
        let is_document = object_type == ObjectType::Document;
        let id = match fields.string("id_")? {
            None if is_document => fields.string("doc_id")?,
            id => id,
        };
        let embedding = fields.floats("embedding")?;
        let metadata = fields.object("metadata")?;
        let excluded_embed_metadata_keys = fields.strings("excluded_embed_metadata_keys")?;
        let excluded_llm_metadata_keys = fields.strings("excluded_llm_metadata_keys")?;
        let relationships = relationships(&mut fields)?;
        let metadata_template = fields.string("metadata_template")?;
        // Where both spellings stand, the wrong one is what that version went by.
        let separator = fields.string("metadata_separator")?;
        let metadata_separator = fields.string("metadata_seperator")?.or(separator);
        let text_template = fields.string("text_template")?;
        let content = match object_type {
            ObjectType::Text => NodeContent::Text(text_content(&mut fields)?),
            ObjectType::Image => {
                let text = text_content(&mut fields)?;
                NodeContent::Image(text, image_content(&mut fields)?)
            }
            ObjectType::Index => {
                let text = text_content(&mut fields)?;
                let index_id = fields.required_string("index_id")?;
                let obj = fields.take("obj").filter(|obj| !obj.is_null());
                NodeContent::Index(text, IndexContent { index_id, obj })
            }
            ObjectType::Document => document_content(&mut fields, class_name.as_ref())?,
            ObjectType::Multimodal => NodeContent::Multimodal(media_content(&mut fields)?),
        };
        // Written by old versions next to the fields it was made from.
        fields.take("hash");
        let mut node = Node::new(content);
        node.id = id.unwrap_or_else(|| key.clone());
        node.embedding = embedding;
        node.metadata = metadata;
        node.excluded_embed_metadata_keys = excluded_embed_metadata_keys;
        node.excluded_llm_metadata_keys = excluded_llm_metadata_keys;
        node.relationships = relationships;
        node.metadata_template = metadata_template.unwrap_or(node.metadata_template);
        node.metadata_separator = metadata_separator.unwrap_or(node.metadata_separator);
        node.text_template = text_template.unwrap_or(node.text_template);
        node.extra = fields.rest;
        // A class of the user's own: it is read as what its type says, and keeps its name.
        if let Some(Value::String(name)) = class_name
            && name != node.class_name()
        {
            node.extra.insert("class_name".into(), Value::String(name));
        }
        Ok(node)
    }
}

fn object_type(code: &Value, id: &PyString) -> Result<ObjectType> {
    let known = [ObjectType::Text, ObjectType::Image, ObjectType::Index, ObjectType::Document, ObjectType::Multimodal];
    let unknown = || Error::UnknownType { id: id.clone(), code: code.to_string() };
    let code = code.as_str().ok_or_else(unknown)?;
    if *code == "Document" {
        // LlamaIndex 0.6.0 to 0.6.3x
        return Ok(ObjectType::Document);
    }
    known.into_iter().find(|known| *code == known.code()).ok_or_else(unknown)
}

fn relationships(fields: &mut Fields<'_>) -> Result<Relationships> {
    let Some(value) = fields.take("relationships") else { return Ok(Relationships::new()) };
    let object = fields.nested("relationships", value)?;
    let mut relationships = Relationships::new();
    for (code, value) in object.rest.clone() {
        let kind = NodeRelationship::from_code(&code)
            .ok_or_else(|| object.wrong(&code.to_string(), "under a key from \"1\" to \"5\"", &value))?;
        let related = match value {
            Value::Array(items) => {
                let infos = items.into_iter().map(|item| related_node(&object, &code, item));
                RelatedNodes::Many(infos.collect::<Result<_>>()?)
            }
            other => RelatedNodes::One(related_node(&object, &code, other)?),
        };
        relationships.insert(kind, related);
    }
    Ok(relationships)
}

fn related_node(relationships: &Fields<'_>, code: &PyString, value: Value) -> Result<RelatedNodeInfo> {
    let mut fields = relationships.nested(&code.to_string(), value)?;
    fields.take("class_name");
    Ok(RelatedNodeInfo {
        node_id: fields.required_string("node_id")?,
        node_type: fields.string_or_null("node_type")?,
        metadata: fields.object("metadata")?,
        hash: fields.string_or_null("hash")?,
        extra: fields.rest,
    })
}

fn text_content(fields: &mut Fields<'_>) -> Result<TextContent> {
    let mut text = fields.string("text")?;
    if let Some(value) = fields.take("text_resource")
        && let Some(resource) = media_resource(fields, "text_resource", value)?
    {
        text = resource.text.or(text);
    }
    let mut content = TextContent::new(text.unwrap_or_default());
    if let Some(mimetype) = fields.string("mimetype")? {
        content.mimetype = mimetype;
    }
    content.start_char_idx = fields.int("start_char_idx")?;
    content.end_char_idx = fields.int("end_char_idx")?;
    Ok(content)
}

fn image_content(fields: &mut Fields<'_>) -> Result<ImageContent> {
    let mut image = ImageContent {
        image: fields.string_or_null("image")?,
        image_path: fields.string_or_null("image_path")?,
        image_url: fields.string_or_null("image_url")?,
        image_mimetype: fields.string_or_null("image_mimetype")?,
        text_embedding: fields.floats("text_embedding")?,
    };
    if let Some(value) = fields.take("image_resource")
        && let Some(resource) = media_resource(fields, "image_resource", value)?
    {
        // As LlamaIndex: what the resource has counts, and what it has not, too.
        image.image = image.image.or(resource.data);
        image.image_path = resource.path;
        image.image_url = resource.url;
        image.image_mimetype = resource.mimetype;
    }
    if image.image_mimetype.as_ref().is_none_or(PyString::is_empty) {
        image.image_mimetype = image.image_path.as_ref().and_then(guess_mimetype).or(image.image_mimetype);
    }
    Ok(image)
}

fn media_content(fields: &mut Fields<'_>) -> Result<MediaContent> {
    let mut take = |name: &str| match fields.take(name) {
        Some(value) => media_resource(fields, name, value),
        None => Ok(None),
    };
    Ok(MediaContent {
        text_resource: take("text_resource")?,
        image_resource: take("image_resource")?,
        audio_resource: take("audio_resource")?,
        video_resource: take("video_resource")?,
    })
}

/// A document, in today's form or in that of 0.12.5 and before, when it was a text node (and an image document an image
/// node).
fn document_content(fields: &mut Fields<'_>, class_name: Option<&Value>) -> Result<NodeContent> {
    let mut media = media_content(fields)?;
    // The fields of the old form; those that say nothing are dropped.
    let text = fields.telling_string("text")?;
    if media.text_resource.is_none() {
        media.text_resource = text.map(MediaResource::text);
    }
    for (name, nothing) in
        [("mimetype", "text/plain".into()), ("start_char_idx", Value::Null), ("end_char_idx", Value::Null)]
    {
        if fields.rest.get(name.as_bytes()) == Some(&nothing) {
            fields.take(name);
        }
    }
    let named = class_name.is_some_and(|name| name.as_str().is_some_and(|name| *name == "ImageDocument"));
    let old_image = ["image", "image_path", "image_url"]
        .iter()
        .any(|name| fields.rest.get(name.as_bytes()).is_some_and(|value| !value.is_null()));
    let is_image = named || (class_name.is_none() && old_image);
    if !is_image {
        return Ok(NodeContent::Document(media));
    }
    let (data, path, url) =
        (fields.telling_string("image")?, fields.telling_string("image_path")?, fields.telling_string("image_url")?);
    let mimetype = fields.telling_string("image_mimetype")?;
    if fields.rest.get(&b"text_embedding"[..]) == Some(&Value::Null) {
        fields.take("text_embedding");
    }
    if media.image_resource.is_none() && (data.is_some() || path.is_some() || url.is_some()) {
        media.image_resource = Some(old_image_resource(data, path, url, mimetype));
    }
    Ok(NodeContent::ImageDocument(media))
}

/// LlamaIndex takes the first of data, path and URL, and hashes that. The others are kept beside, where it does not look.
fn old_image_resource(
    data: Option<PyString>,
    path: Option<PyString>,
    url: Option<PyString>,
    mimetype: Option<PyString>,
) -> MediaResource {
    let mut resource = MediaResource { data, path, url, mimetype, ..MediaResource::default() };
    let mut shadow = |name: &str, value: Option<PyString>| {
        if let Some(value) = value {
            resource.extra.insert(name.into(), value.into());
        }
    };
    if resource.data.is_some() {
        shadow("image_path", resource.path.take());
    }
    if resource.data.is_some() || resource.path.is_some() {
        shadow("image_url", resource.url.take());
    }
    resource.with_guessed_mimetype()
}

fn media_resource(fields: &Fields<'_>, name: &str, value: Value) -> Result<Option<MediaResource>> {
    if value.is_null() {
        return Ok(None);
    }
    let mut fields = fields.nested(name, value)?;
    let embeddings = match fields.take("embeddings") {
        None | Some(Value::Null) => None,
        Some(Value::Object(embeddings)) => Some(embeddings),
        Some(other) => return Err(fields.wrong("embeddings", "an object or null", &other)),
    };
    let resource = MediaResource {
        embeddings,
        data: fields.string_or_null("data")?,
        text: fields.string_or_null("text")?,
        path: fields.string_or_null("path")?,
        url: fields.string_or_null("url")?,
        mimetype: fields.string_or_null("mimetype")?,
        extra: fields.rest,
    };
    Ok(Some(resource.with_guessed_mimetype()))
}
