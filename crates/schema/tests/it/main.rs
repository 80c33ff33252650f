//! What holds for every node, and for values that are no nodes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use proptest::prelude::*;
use schema::{
    ImageContent, IndexContent, MediaContent, MediaResource, Metadata, MetadataMode, Node, NodeContent,
    NodeRelationship, ObjectType, PyString, RelatedNodeInfo, RelatedNodes, TextContent, Value,
};

fn string() -> BoxedStrategy<PyString> {
    prop_oneof![
        4 => "[a-zé{}'\" \n]{0,8}".prop_map(PyString::from),
        1 => (0xD7FEu32..0xE002).prop_map(|point| PyString::from_code_points([point])),
    ]
    .boxed()
}

fn metadata() -> BoxedStrategy<Metadata> {
    let value = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        string().prop_map(Value::from),
        prop::collection::vec(string(), 0..3).prop_map(Value::from),
        Just(Value::Null),
    ];
    prop::collection::vec((string(), value), 0..4).prop_map(|entries| entries.into_iter().collect()).boxed()
}

fn related() -> BoxedStrategy<RelatedNodeInfo> {
    (string(), prop::option::of(string()), metadata(), prop::option::of(string()))
        .prop_map(|(node_id, node_type, metadata, hash)| RelatedNodeInfo {
            node_type,
            metadata,
            hash,
            ..RelatedNodeInfo::new(node_id)
        })
        .boxed()
}

fn resource() -> BoxedStrategy<Option<MediaResource>> {
    let some = (prop::option::of(string()), prop::option::of(string()), prop::option::of(string()));
    prop::option::of(some.prop_map(|(text, path, mimetype)| MediaResource {
        text,
        // One that tells no media type, which reading would add.
        path: path.map(|_| "notes.txt".into()),
        mimetype,
        ..MediaResource::default()
    }))
    .boxed()
}

fn content() -> BoxedStrategy<NodeContent> {
    let text = || {
        (string(), prop::option::of(any::<i64>()))
            .prop_map(|(text, start)| TextContent { start_char_idx: start, ..TextContent::new(text) })
    };
    let media = || {
        (resource(), resource(), resource(), resource()).prop_map(|(text, image, audio, video)| MediaContent {
            text_resource: text,
            image_resource: image,
            audio_resource: audio,
            video_resource: video,
        })
    };
    prop_oneof![
        text().prop_map(NodeContent::Text),
        (text(), prop::option::of(string())).prop_map(|(text, image)| {
            NodeContent::Image(
                text,
                ImageContent { image, text_embedding: Some(vec![0.5, -1.0]), ..ImageContent::default() },
            )
        }),
        (text(), string(), prop::option::of(string())).prop_map(|(text, index_id, obj)| {
            NodeContent::Index(text, IndexContent { index_id, obj: obj.map(Value::from) })
        }),
        media().prop_map(NodeContent::Document),
        media().prop_map(NodeContent::ImageDocument),
        media().prop_map(NodeContent::Multimodal),
    ]
    .boxed()
}

fn node() -> impl Strategy<Value = Node> {
    let fields = (
        string(),
        metadata(),
        prop::option::of(related()),
        prop::collection::vec(related(), 0..3),
        string(),
        content(),
    );
    fields.prop_map(|(id, metadata, source, children, separator, content)| {
        let mut node = Node::new(content).with_id(id);
        node.metadata = metadata;
        node.metadata_separator = separator;
        if let Some(source) = source {
            node.relationships.insert(NodeRelationship::Source, RelatedNodes::One(source));
        }
        if !children.is_empty() {
            node.relationships.insert(NodeRelationship::Child, RelatedNodes::Many(children));
        }
        node
    })
}

proptest! {
    /// But for a text resource of documents: LlamaIndex's form cannot tell no text from an empty one where `text` stands beside it.
    #[test]
    fn nodes_round_trip(node in node()) {
        let value = node.to_value();
        let again = Node::from_value(&value, &"another key".into()).unwrap();
        prop_assert_eq!(&again, &node);
        prop_assert_eq!(again.to_value().to_string(), value.to_string());
        let raw = node.to_raw().unwrap();
        prop_assert_eq!(&Node::from_raw(&raw, &"another key".into()).unwrap(), &node);
    }

    #[test]
    fn what_a_node_tells_of_itself_never_panics(node in node(), template in "[{}a-z:!><^0-9.]{0,16}") {
        let mut node = node;
        for templated in [false, true] {
            for mode in [MetadataMode::All, MetadataMode::Embed, MetadataMode::Llm, MetadataMode::None] {
                let _ = (node.get_content(mode), node.get_metadata_str(mode));
            }
            let _ = (node.hash(), node.as_related_node_info(), node.ref_doc_id(), node.children(), node.obj_node());
            if !templated {
                node.metadata_template = template.as_str().into();
                node.text_template = template.as_str().into();
            }
        }
    }

    #[test]
    fn hashes_depend_on_text_and_metadata_of_a_text_node_and_on_nothing_else(a in string(), b in string(), key in string()) {
        let hash = |node: Node| node.hash().unwrap();
        let node = Node::text(&a).with_metadata(&key, &b);
        let same = Node::text(&a).with_metadata(&key, &b).with_id("other").with_source("d").with_embedding([1.0]);
        prop_assert_eq!(hash(node.clone()), hash(same));
        prop_assert_ne!(hash(node.clone()), hash(node.clone().with_metadata("one more", 1)));
        prop_assert_eq!(hash(node).len(), 64);
    }

    #[test]
    fn any_object_is_a_node_or_an_error(
        fields in prop::collection::vec((field(), any_value()), 0..8),
        code in prop_oneof![Just("1"), Just("2"), Just("3"), Just("4"), Just("5"), Just("Document"), Just("6")],
    ) {
        let data: Value = fields.into_iter().collect();
        let stored: Value = [("__data__", data), ("__type__", code.into())].into_iter().collect();
        if let Ok(node) = Node::from_value(&stored, &"key".into()) {
            // What was read can be written and read again.
            let again = Node::from_value(&node.to_value(), &"key".into()).unwrap();
            prop_assert_eq!(again.to_value().to_string(), node.to_value().to_string());
        }
    }
}

fn field() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "id_",
        "doc_id",
        "embedding",
        "metadata",
        "extra_info",
        "excluded_embed_metadata_keys",
        "relationships",
        "hash",
        "text",
        "text_resource",
        "image_resource",
        "image",
        "image_path",
        "mimetype",
        "start_char_idx",
        "end_char_idx",
        "node_info",
        "metadata_template",
        "metadata_separator",
        "metadata_seperator",
        "text_template",
        "class_name",
        "index_id",
        "obj",
        "other",
    ])
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        string().prop_map(Value::from),
        Just(Value::from("5")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::vec((prop_oneof![Just("1"), Just("5"), Just("node_id"), Just("text")], inner), 0..3)
                .prop_map(|entries| entries.into_iter().collect()),
        ]
    })
}

#[test]
fn types_have_llama_index_codes() {
    let codes = [ObjectType::Text, ObjectType::Image, ObjectType::Index, ObjectType::Document, ObjectType::Multimodal];
    assert_eq!(codes.map(ObjectType::code), ["1", "2", "3", "4", "5"]);
}
