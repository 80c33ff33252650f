use raw_json::{Dialect, Error as JsonError, Kind, MAX_DEPTH, Object, PyString, Scanner, Text, Value, to_json};
use schema::{MediaResource, Node, NodeContent, ObjectType};

use crate::Result;

/// What LlamaIndex records as the document of a node that comes from none.
pub const NO_REF_DOC: &str = "None";

/// The key of the whole node as a JSON text.
const NODE_CONTENT: &str = "_node_content";

/// The key of the node's class.
const NODE_TYPE: &str = "_node_type";

/// How deep metadata may be nested, so that a file with it in stays readable.
const DEPTH_MAX: usize = MAX_DEPTH - 16;

/// Why a node cannot be made metadata, or metadata a node.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// A store of flat metadata cannot take this entry.
    #[error(
        "node '{id}': metadata '{key}' is {found}; this store takes strings, numbers, booleans and null: \
         leave it out or store it as a string"
    )]
    NotFlat {
        /// The node.
        id: PyString,
        /// The entry.
        key: PyString,
        /// What it is.
        found: &'static str,
    },
    /// An embedding within the node has `NaN` or an infinity in it. JSON has `null` for them, which no reader takes for
    /// a number.
    #[error("node '{id}': its {field} has NaN or an infinity in it and could not be read again; embed it again")]
    NotFinite {
        /// The node.
        id: PyString,
        /// The embedding.
        field: &'static str,
    },
    /// There is nothing that the node could be rebuilt from: it was not stored with
    /// [`node_to_metadata_dict`], or is none.
    #[error(
        "node '{id}': it has no '_node_content', the text that a node is rebuilt from; \
         if it should be one, add it again"
    )]
    NoContent {
        /// The node.
        id: PyString,
    },
    /// What the node would be rebuilt from is no JSON object.
    #[error("node '{id}': its '_node_content' is damaged: {source}; add the node again")]
    Damaged {
        /// The node.
        id: PyString,
        /// What is wrong, and where in that text.
        source: JsonError,
    },
    /// The node cannot be stored as it is, or what was stored is no node.
    #[error(transparent)]
    Node(#[from] schema::Error),
}

/// The document that a vector store records for a node: [`NO_REF_DOC`] if it has none, or one without a name.
///
/// # Errors
/// If the node's source is stored as a list.
pub fn recorded_ref_doc_id(node: &Node) -> Result<PyString> {
    Ok(ref_doc_id(node)?)
}

fn ref_doc_id(node: &Node) -> Result<PyString, schema::Error> {
    let id = node.ref_doc_id()?.filter(|id| !id.is_empty());
    Ok(id.cloned().unwrap_or_else(|| NO_REF_DOC.into()))
}

/// What LlamaIndex keeps of a node's metadata beside its embedding, to filter by.
///
/// The node's own metadata comes first, with `null` in place of `NaN` and infinities and without `_node_content`. Then
/// `_node_type` (the class), and the document as `document_id`, `doc_id` and `ref_doc_id`; these win over the node's
/// own entries of the same name, which keep their places.
///
/// # Errors
/// If the node's source is stored as a list, or its metadata is nested so deeply that no reader would take it.
pub fn metadata_dict(node: &Node) -> Result<Object> {
    let mut metadata = in_json_mode(node, node.metadata.clone())?;
    metadata.shift_remove(NODE_CONTENT.as_bytes());
    add_type_and_document(&mut metadata, node)?;
    Ok(metadata)
}

/// What LlamaIndex keeps of a node in a store that has nothing else of it: its metadata, to filter by, and the whole
/// node as a JSON text, to rebuild it from.
///
/// The node's own metadata comes first, with `null` in place of `NaN` and infinities. Then `_node_content` (the text,
/// spelled as Python's `json.dumps` does with `ensure_ascii=False`), `_node_type` (the class), and the document as
/// `document_id`, `doc_id` and `ref_doc_id`. These win over the node's own entries of the same name, which keep their
/// places, and are still found in `_node_content`.
///
/// The embedding is not in `_node_content`. With `remove_text` the node's text is not, either, nor anything else of its
/// text resource: the store keeps the text by itself. `flat_metadata` demands that no entry is a list or an object.
///
/// # Errors
/// [`MetadataError::NotFlat`] if that is demanded, [`MetadataError::NotFinite`] for the embedding of an image's text,
/// and [`MetadataError::Node`] if the node's source is a list or it is nested so deeply that no reader would take it.
pub fn node_to_metadata_dict(node: &Node, remove_text: bool, flat_metadata: bool) -> Result<Object, MetadataError> {
    if let NodeContent::Image(_, image) = &node.content
        && image.text_embedding.iter().flatten().any(|x| !x.is_finite())
    {
        return Err(MetadataError::NotFinite { id: node.id.clone(), field: "text_embedding" });
    }
    let mut fields = in_json_mode(node, node.to_dict())?;
    let mut metadata = match fields.get(&b"metadata"[..]) {
        Some(Value::Object(metadata)) => metadata.clone(),
        _ => Object::new(),
    };
    let nested = |(_, value): &(&PyString, &Value)| matches!(value.kind(), Kind::Array | Kind::Object);
    if let Some((key, value)) = metadata.iter().find(|entry| flat_metadata && nested(entry)) {
        return Err(MetadataError::NotFlat { id: node.id.clone(), key: key.clone(), found: value.kind().name() });
    }
    if remove_text {
        if let Some(text) = fields.get_mut(&b"text"[..]) {
            *text = "".into();
        }
        fields.shift_remove(&b"text_resource"[..]);
    }
    fields.insert("embedding".into(), Value::Null);
    let content = to_json(&Value::Object(fields), Dialect::Unicode);
    let content = String::from_utf8(content).expect("lone surrogates are written as escapes");
    metadata.insert(NODE_CONTENT.into(), content.into());
    add_type_and_document(&mut metadata, node)?;
    Ok(metadata)
}

/// The node that [`node_to_metadata_dict`] has kept, with this text instead of its own if one is given. A node without
/// an id gets `key`, under which it is stored.
///
/// As in LlamaIndex, `_node_type` decides between `Node`, `IndexNode` and `ImageNode`, and anything else is a
/// `TextNode`: a document comes back as one.
///
/// # Errors
/// [`MetadataError::NoContent`], [`MetadataError::Damaged`], and [`MetadataError::Node`] if what was kept is no node.
pub fn metadata_dict_to_node(metadata: &Object, key: &PyString, text: Option<PyString>) -> Result<Node, MetadataError> {
    let entry = |key: &str| metadata.get(key.as_bytes()).and_then(Value::as_str);
    let content = entry(NODE_CONTENT).ok_or_else(|| MetadataError::NoContent { id: key.clone() })?;
    let damaged = |source| MetadataError::Damaged { id: key.clone(), source };
    let mut fields = read_object(content).map_err(damaged)?;
    let object_type = match entry(NODE_TYPE).and_then(PyString::to_str) {
        Some("Node") => ObjectType::Multimodal,
        Some("IndexNode") => ObjectType::Index,
        Some("ImageNode") => ObjectType::Image,
        _ => ObjectType::Text,
    };
    if object_type == ObjectType::Text {
        forget_document(&mut fields);
    }
    let mut node = Node::from_dict(fields, object_type, key)?;
    if let Some(text) = text {
        match &mut node.content {
            NodeContent::Text(content) | NodeContent::Image(content, _) | NodeContent::Index(content, _) => {
                content.text = text;
            }
            NodeContent::Document(media) | NodeContent::ImageDocument(media) | NodeContent::Multimodal(media) => {
                media.text_resource = Some(MediaResource::text(text));
            }
        }
    }
    Ok(node)
}

fn read_object(content: &PyString) -> Result<Object, JsonError> {
    let text = Text::decode(content.as_bytes().to_vec())?;
    let mut scanner = Scanner::new(&text);
    let mut fields = Object::new();
    scanner.object(|key, scanner| {
        fields.insert(key, scanner.value()?);
        Ok::<_, JsonError>(())
    })?;
    scanner.finish()?;
    Ok(fields)
}

/// Takes out of a document's fields what a text node does not have: its class, and the media that it has none of.
fn forget_document(fields: &mut Object) {
    let is_document =
        |class: &Value| class.as_str().is_some_and(|class| *class == "Document" || *class == "ImageDocument");
    if !fields.get(&b"class_name"[..]).is_some_and(is_document) {
        return;
    }
    fields.shift_remove(&b"class_name"[..]);
    for media in ["image_resource", "audio_resource", "video_resource"] {
        if fields.get(media.as_bytes()).is_some_and(Value::is_null) {
            fields.shift_remove(media.as_bytes());
        }
    }
}

/// An object with `null` in place of `NaN` and infinities, as pydantic's JSON mode has it.
fn in_json_mode(node: &Node, mut fields: Object) -> Result<Object, schema::Error> {
    let depth = 1 + fields.values().map(Value::depth).max().unwrap_or(0);
    if depth > DEPTH_MAX {
        return Err(schema::Error::TooDeep { id: node.id.clone(), depth, max: DEPTH_MAX });
    }
    let mut todo: Vec<&mut Value> = fields.values_mut().collect();
    while let Some(value) = todo.pop() {
        match value {
            Value::Float(x) if !x.is_finite() => *value = Value::Null,
            Value::Array(items) => todo.extend(items),
            Value::Object(entries) => todo.extend(entries.values_mut()),
            _ => {}
        }
    }
    Ok(fields)
}

/// Adds the entries that are recorded of every node.
fn add_type_and_document(metadata: &mut Object, node: &Node) -> Result<(), schema::Error> {
    let ref_doc_id = ref_doc_id(node)?;
    metadata.insert(NODE_TYPE.into(), node.class_name().into());
    for key in ["document_id", "doc_id", "ref_doc_id"] {
        metadata.insert(key.into(), (&ref_doc_id).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(node: &Node, expected: &str) {
        assert_eq!(Value::Object(metadata_dict(node).unwrap()).to_string(), expected);
    }

    #[test]
    fn the_document_and_the_class_are_appended() {
        check(
            &Node::text("t").with_metadata("a", 1).with_source("d"),
            r#"{"a": 1, "_node_type": "TextNode", "document_id": "d", "doc_id": "d", "ref_doc_id": "d"}"#,
        );
        let none = r#"{"_node_type": "Document", "document_id": "None", "doc_id": "None", "ref_doc_id": "None"}"#;
        check(&Node::document("t"), none);
        check(&Node::document("t").with_source(""), none);
    }

    #[test]
    fn own_entries_of_these_names_are_overwritten_in_place() {
        check(
            &Node::text("t")
                .with_metadata("ref_doc_id", 5)
                .with_metadata("_node_content", "c")
                .with_metadata("_node_type", "u")
                .with_metadata("z", 1),
            r#"{"ref_doc_id": "None", "_node_type": "TextNode", "z": 1, "document_id": "None", "doc_id": "None"}"#,
        );
    }

    #[test]
    fn numbers_that_are_none_become_null_at_any_depth() {
        let deep: Value = [("l", vec![f64::INFINITY, 1.5, f64::NAN])].into_iter().collect();
        check(
            &Node::text("t").with_metadata("x", f64::NEG_INFINITY).with_metadata("d", vec![deep]),
            concat!(
                r#"{"x": null, "d": [{"l": [null, 1.5, null]}], "_node_type": "TextNode", "#,
                r#""document_id": "None", "doc_id": "None", "ref_doc_id": "None"}"#
            ),
        );
    }

    /// What the node is kept as, and the node that is read from it, given the text again.
    fn kept(node: &Node) -> (Object, Node) {
        let metadata = node_to_metadata_dict(node, true, false).unwrap();
        let read = metadata_dict_to_node(&metadata, &"key".into(), Some(node.text_content())).unwrap();
        (metadata, read)
    }

    #[test]
    fn a_text_node_is_kept_as_python_keeps_it() {
        let node = Node::text("tä😀x")
            .with_id("t")
            .with_metadata("a", 1)
            .with_metadata("_node_content", "u")
            .with_metadata("é", f64::NAN)
            .with_source("d")
            .with_embedding([1.0]);
        let content = |text: &str| {
            let fields = concat!(
                r#"{"id_": "t", "embedding": null, "metadata": {"a": 1, "_node_content": "u", "é": null}, "#,
                r#""excluded_embed_metadata_keys": [], "excluded_llm_metadata_keys": [], "relationships": "#,
                r#"{"1": {"node_id": "d", "node_type": null, "metadata": {}, "hash": null, "#,
                r#""class_name": "RelatedNodeInfo"}}, "metadata_template": "{key}: {value}", "#,
                r#""metadata_separator": "\n", "text": "TEXT", "mimetype": "text/plain", "start_char_idx": null, "#,
                r#""end_char_idx": null, "text_template": "{metadata_str}\n\n{content}", "class_name": "TextNode"}"#
            );
            fields.replace("TEXT", text)
        };
        for (remove_text, text) in [(false, "tä😀x"), (true, "")] {
            let metadata = node_to_metadata_dict(&node, remove_text, false).unwrap();
            let expected = [
                ("a", Value::from(1)),
                ("_node_content", content(text).into()),
                ("é", Value::Null),
                ("_node_type", "TextNode".into()),
                ("document_id", "d".into()),
                ("doc_id", "d".into()),
                ("ref_doc_id", "d".into()),
            ];
            assert_eq!(Value::Object(metadata).to_string(), expected.into_iter().collect::<Value>().to_string());
        }
    }

    #[test]
    fn every_class_comes_back_but_documents_are_text_nodes() {
        let image = schema::ImageContent {
            image_path: Some("x/y.jpg".into()),
            image_mimetype: Some("image/jpeg".into()),
            ..schema::ImageContent::default()
        };
        let media = schema::MediaContent {
            text_resource: Some(MediaResource::text("text")),
            audio_resource: Some(MediaResource { url: Some("http://e.org".into()), ..MediaResource::default() }),
            ..schema::MediaContent::default()
        };
        let mut index = Node::index("index", "I");
        if let NodeContent::Index(_, content) = &mut index.content {
            content.obj = Some(Node::text("obj").to_value());
        }
        let nodes = [Node::text("text"), Node::image("image", image), index, Node::new(NodeContent::Multimodal(media))];
        for node in nodes {
            let node = node.with_metadata("k", vec![1.5]).with_source("d").with_embedding([1.0]);
            let (_, read) = kept(&node);
            assert_eq!(read, Node { embedding: None, ..node });
        }
        let (metadata, read) = kept(&Node::document("text").with_id("d"));
        let content = metadata[&b"_node_content"[..]].to_string();
        assert!(!content.contains("text_resource") && content.contains("Document"), "{content}");
        assert_eq!(read, Node::text("text").with_id("d"));
    }

    #[test]
    fn lone_surrogates_survive() {
        let half = PyString::from_code_points([0xD83D]);
        let node = Node::text(&half).with_id(&half).with_metadata(&half, &half);
        assert_eq!(kept(&node).1, node);
    }

    #[test]
    fn the_kept_text_stays_unless_another_is_given() {
        let metadata = node_to_metadata_dict(&Node::text("own"), false, false).unwrap();
        let read = |text| metadata_dict_to_node(&metadata, &"key".into(), text).unwrap().text_content();
        assert_eq!((read(None), read(Some("other".into()))), ("own".into(), "other".into()));
    }

    #[test]
    fn flat_metadata_has_no_lists_and_objects() {
        let check = |value: Value, found: Option<&str>| {
            let node = Node::text("t").with_id("n").with_metadata("k", value);
            let failed = node_to_metadata_dict(&node, true, true).err().map(|e| e.to_string());
            let advice = "this store takes strings, numbers, booleans and null: leave it out or store it as a string";
            assert_eq!(failed, found.map(|found| format!("node 'n': metadata 'k' is {found}; {advice}")));
            assert!(node_to_metadata_dict(&node, true, false).is_ok());
        };
        check(Value::Null, None);
        check(true.into(), None);
        check(f64::NAN.into(), None);
        check("s".into(), None);
        check(vec![1].into(), Some("a list"));
        check(Object::new().into(), Some("an object"));
    }

    #[test]
    fn what_could_not_be_read_again_is_refused() {
        let image = schema::ImageContent { text_embedding: Some(vec![0.5, f64::NAN]), ..Default::default() };
        let failed = node_to_metadata_dict(&Node::image("t", image).with_id("n"), true, false).unwrap_err();
        assert_eq!(failed, MetadataError::NotFinite { id: "n".into(), field: "text_embedding" });
        assert!(failed.to_string().starts_with("node 'n': its text_embedding has NaN"), "{failed}");
    }

    #[test]
    fn what_is_no_kept_node_is_refused() {
        let check = |content: Value, class: &str, expected: &str| {
            let metadata = [("_node_content".into(), content), ("_node_type".into(), class.into())];
            let failed = metadata_dict_to_node(&metadata.into_iter().collect(), &"n".into(), None).unwrap_err();
            assert_eq!(failed.to_string(), format!("node 'n': {expected}"));
        };
        let none = "it has no '_node_content', the text that a node is rebuilt from; if it should be one, add it again";
        check(Value::Null, "TextNode", none);
        check(Object::new().into(), "TextNode", none);
        let damaged = |what: &str| format!("its '_node_content' is damaged: {what}; add the node again");
        check("".into(), "TextNode", &damaged("expected a value at line 1 column 1 (byte 0)"));
        check("[]".into(), "TextNode", &damaged("expected an object, found a list at line 1 column 1 (byte 0)"));
        check("{} x".into(), "TextNode", &damaged("unexpected data after the value at line 1 column 4 (byte 3)"));
        let deep = "[".repeat(100_000);
        check(
            format!("{{\"k\":{deep}").into(),
            "Node",
            &damaged("values nested more than 1024 deep at line 1 column 1029 (byte 1028)"),
        );
        check("{}".into(), "IndexNode", "field 'index_id' is missing, expected a string");
        check(r#"{"metadata": 5}"#.into(), "TextNode", "field 'metadata' is a number, expected an object");
        let none = metadata_dict_to_node(&Object::new(), &"n".into(), None).unwrap_err();
        assert_eq!(none, MetadataError::NoContent { id: "n".into() });
    }

    #[test]
    fn a_kept_node_without_an_id_gets_its_key() {
        let metadata = [("_node_content".into(), "{}".into())].into_iter().collect();
        assert!(metadata_dict_to_node(&metadata, &"key".into(), None).unwrap().id == "key");
    }

    #[test]
    fn metadata_too_deep_to_be_read_again_is_refused() {
        let mut deep = Value::Null;
        for _ in 0..DEPTH_MAX {
            deep = Value::Array(vec![deep]);
        }
        let node = Node::text("t").with_metadata("k", deep);
        assert!(matches!(metadata_dict(&node), Err(crate::Error::Node(schema::Error::TooDeep { .. }))));
        let kept = node_to_metadata_dict(&node, true, false);
        assert!(matches!(kept, Err(MetadataError::Node(schema::Error::TooDeep { .. }))));
    }
}
