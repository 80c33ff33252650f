use raw_json::{MAX_DEPTH, Object, PyString, Value};
use schema::Node;

use crate::Result;

/// What LlamaIndex records as the document of a node that comes from none.
pub const NO_REF_DOC: &str = "None";

/// How deep metadata may be nested, so that a file with it in stays readable.
const DEPTH_MAX: usize = MAX_DEPTH - 16;

/// The document that a vector store records for a node: [`NO_REF_DOC`] if it has none, or one without a name.
///
/// # Errors
/// If the node's source is stored as a list.
pub fn recorded_ref_doc_id(node: &Node) -> Result<PyString> {
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
    let ref_doc_id = recorded_ref_doc_id(node)?;
    let mut metadata = Value::Object(node.metadata.clone());
    let depth = metadata.depth();
    if depth > DEPTH_MAX {
        return Err(schema::Error::TooDeep { id: node.id.clone(), depth, max: DEPTH_MAX }.into());
    }
    let mut todo = vec![&mut metadata];
    while let Some(value) = todo.pop() {
        match value {
            Value::Float(x) if !x.is_finite() => *value = Value::Null,
            Value::Array(items) => todo.extend(items),
            Value::Object(entries) => todo.extend(entries.values_mut()),
            _ => {}
        }
    }
    let Value::Object(mut metadata) = metadata else { unreachable!("it was made an object above") };
    metadata.shift_remove(&b"_node_content"[..]);
    metadata.insert("_node_type".into(), node.class_name().into());
    for key in ["document_id", "doc_id", "ref_doc_id"] {
        metadata.insert(key.into(), (&ref_doc_id).into());
    }
    Ok(metadata)
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

    #[test]
    fn metadata_too_deep_to_be_read_again_is_refused() {
        let mut deep = Value::Null;
        for _ in 0..DEPTH_MAX {
            deep = Value::Array(vec![deep]);
        }
        let node = Node::text("t").with_metadata("k", deep);
        assert!(matches!(metadata_dict(&node), Err(crate::Error::Node(schema::Error::TooDeep { .. }))));
    }
}
