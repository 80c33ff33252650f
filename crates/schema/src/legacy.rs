//! Nodes of LlamaIndex 0.6.0 to 0.6.3x, known by their field `extra_info`.

use raw_json::{Object, PyString, Value};

use crate::Result;
use crate::fields::Fields;

/// Renames and reshapes the old fields into today's.
///
/// Python drops the embedding and the character range of such nodes and mangles their children; here they are kept.
pub(crate) fn modernize(fields: &mut Fields<'_>) -> Result<()> {
    let metadata = match fields.take("extra_info") {
        None | Some(Value::Null) => Object::new(),
        Some(Value::Object(metadata)) => metadata,
        Some(other) => return Err(fields.wrong("extra_info", "an object or null", &other)),
    };
    put(fields, "metadata", metadata);
    if let Some(id) = fields.string_or_null("doc_id")? {
        put(fields, "id_", id);
    }
    let text = fields.string_or_null("text")?.unwrap_or_default();
    put(fields, "text", text);
    // What it was hashed from is still there, and the hash itself stands in the store's metadata.
    fields.take("doc_hash");
    match fields.take("node_info") {
        None | Some(Value::Null) => {}
        Some(value) => {
            let mut info = fields.nested("node_info", value)?;
            let (start, end) = (info.int("start")?, info.int("end")?);
            info.take("_node_type");
            put(fields, "start_char_idx", start);
            put(fields, "end_char_idx", end);
            if !info.rest.is_empty() {
                put(fields, "node_info", info.rest);
            }
        }
    }
    match fields.take("relationships") {
        None | Some(Value::Null) => {}
        Some(value) => {
            let related = fields.nested("relationships", value)?;
            let infos: Object = related
                .rest
                .into_iter()
                .map(|(code, ids)| {
                    let info = match ids {
                        Value::Array(ids) => Value::Array(ids.into_iter().map(id_to_info).collect()),
                        id => id_to_info(id),
                    };
                    (code, info)
                })
                .collect();
            put(fields, "relationships", infos);
        }
    }
    Ok(())
}

/// An id becomes the least that today's form can say; what is no id is left for the reader to complain about.
fn id_to_info(id: Value) -> Value {
    match id {
        Value::String(id) => [("node_id", id)].into_iter().collect(),
        other => other,
    }
}

fn put(fields: &mut Fields<'_>, name: &str, value: impl Into<Value>) {
    fields.rest.insert(PyString::from(name), value.into());
}
