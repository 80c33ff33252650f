use std::fmt;

use raw_json::{Object, PyString, RawJson, Value, py_repr};

use crate::fields::{check_new, shape_of};
use crate::{Error, Result};

/// A node of a property graph.
///
/// Its id is what the store keeps it under and what triplets name it by. What a file says of it beside the known fields
/// stays in [`extra`](Self::extra).
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledNode {
    id: PyString,
    kind: NodeKind,
    /// What kind of thing it is.
    pub label: PyString,
    /// Its embedding. A `null` in the list, which Python writes for `NaN`, is `NaN`.
    pub embedding: Option<Vec<f64>>,
    /// Whatever else is known of it.
    pub properties: Object,
    /// The fields of its JSON that LlamaIndex does not know.
    pub extra: Object,
}

/// What a node stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeKind {
    /// Something that texts speak of.
    Entity {
        /// Its name.
        name: PyString,
    },
    /// A piece of text.
    Chunk {
        /// The text.
        text: PyString,
    },
    /// Neither: it came from a file, without a name or a text, and all of it is in [`LabelledNode::extra`]. Today's
    /// Python does not open such a file.
    Other,
}

impl LabelledNode {
    /// An entity with the label `entity`. Its id is the name, with each `"` made a space.
    pub fn entity(name: impl Into<PyString>) -> Self {
        let name = name.into();
        Self::new(entity_id(&name), "entity".into(), NodeKind::Entity { name })
    }

    /// A chunk of text with the label `text_chunk`. LlamaIndex lets the id be absent and makes up another one in each
    /// process; here it is always given.
    pub fn chunk(id: impl Into<PyString>, text: impl Into<PyString>) -> Self {
        Self::new(id.into(), "text_chunk".into(), NodeKind::Chunk { text: text.into() })
    }

    fn new(id: PyString, label: PyString, kind: NodeKind) -> Self {
        Self { id, kind, label, embedding: None, properties: Object::new(), extra: Object::new() }
    }

    /// Sets the label.
    pub fn with_label(mut self, label: impl Into<PyString>) -> Self {
        self.label = label.into();
        self
    }

    /// Sets the embedding.
    pub fn with_embedding(mut self, embedding: impl Into<Vec<f64>>) -> Self {
        self.embedding = Some(embedding.into());
        self
    }

    /// Sets a property.
    pub fn with_property(mut self, key: impl Into<PyString>, value: impl Into<Value>) -> Self {
        self.properties.insert(key.into(), value.into());
        self
    }

    /// Reads the JSON that LlamaIndex makes of a node: with a `name` an entity, with `text` and `id_` a chunk. `None`
    /// if it is neither, or has a field of the wrong type.
    pub fn from_value(value: &Value) -> Option<Self> {
        let stored = StoredNode::from_raw(RawJson::from(value)).ok()?;
        let id = match stored.shape {
            Shape::Entity => entity_id(value.get("name")?.as_str()?),
            Shape::Chunk => value.get("id_")?.as_str()?.clone(),
            Shape::Other => return None,
        };
        Some(stored.decode(&id))
    }

    /// Checks that a file can hold the node, as adding it does.
    ///
    /// # Errors
    /// [`Error::NotFinite`], [`Error::TooDeep`] or [`Error::ReservedField`].
    pub fn check(&self) -> Result<()> {
        self.clone().encode().map(drop)
    }

    /// The id.
    pub fn id(&self) -> &PyString {
        &self.id
    }

    /// What it stands for.
    pub fn kind(&self) -> &NodeKind {
        &self.kind
    }

    /// The name, if it is an entity.
    pub fn name(&self) -> Option<&PyString> {
        match &self.kind {
            NodeKind::Entity { name } => Some(name),
            _ => None,
        }
    }

    /// The text, if it is a chunk.
    pub fn text(&self) -> Option<&PyString> {
        match &self.kind {
            NodeKind::Chunk { text } => Some(text),
            _ => None,
        }
    }

    /// A property.
    pub fn property(&self, key: &str) -> Option<&Value> {
        self.properties.get(key.as_bytes())
    }

    /// Checks that the file can hold the node, and writes it.
    pub(crate) fn encode(self) -> Result<StoredNode> {
        let part = || format!("node '{}'", self.id);
        if self.embedding.iter().flatten().any(|x| !x.is_finite()) {
            return Err(Error::NotFinite { part: part(), field: "the embedding".to_owned() });
        }
        let reserved: &[&str] = match self.kind {
            NodeKind::Entity { .. } => &["label", "embedding", "properties", "name"],
            NodeKind::Chunk { .. } => &["label", "embedding", "properties", "name", "text", "id_"],
            NodeKind::Other => &["name", "text"],
        };
        check_new(part, &self.properties, &self.extra, reserved)?;
        Ok(StoredNode { shape: self.shape(), gaps: false, raw: RawJson::compact(&self.into_value()) })
    }

    fn shape(&self) -> Shape {
        match self.kind {
            NodeKind::Entity { .. } => Shape::Entity,
            NodeKind::Chunk { .. } => Shape::Chunk,
            NodeKind::Other => Shape::Other,
        }
    }

    /// The fields in LlamaIndex's order, then those it does not know.
    fn into_value(self) -> Value {
        let mut fields = Object::new();
        if self.kind != NodeKind::Other {
            fields.insert("label".into(), self.label.into());
            fields.insert("embedding".into(), self.embedding.into());
            fields.insert("properties".into(), self.properties.into());
        }
        match self.kind {
            NodeKind::Entity { name } => {
                fields.insert("name".into(), name.into());
            }
            NodeKind::Chunk { text } => {
                fields.insert("text".into(), text.into());
                fields.insert("id_".into(), self.id.into());
            }
            NodeKind::Other => {}
        }
        fields.extend(self.extra);
        fields.into()
    }
}

/// As LlamaIndex tells a model of it: an entity by its name, with its properties as Python shows them if it has any, a
/// chunk by its text.
impl fmt::Display for LabelledNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            NodeKind::Entity { name } if self.properties.is_empty() => name.fmt(f),
            NodeKind::Entity { name } => {
                write!(f, "{name} ({})", py_repr(&Value::Object(self.properties.clone())))
            }
            NodeKind::Chunk { text } => text.fmt(f),
            NodeKind::Other => self.id.fmt(f),
        }
    }
}

/// The id of an entity.
pub(crate) fn entity_id(name: &PyString) -> PyString {
    if !name.as_bytes().contains(&b'"') {
        return name.clone();
    }
    let (quote, space) = (u32::from('"'), u32::from(' '));
    PyString::from_code_points(name.code_points().map(|point| if point == quote { space } else { point }))
}

/// A node as it stands in the file.
#[derive(Debug, Clone)]
pub(crate) struct StoredNode {
    pub(crate) shape: Shape,
    /// Whether the embedding has a `null` in it, which today's Python does not read.
    pub(crate) gaps: bool,
    pub(crate) raw: RawJson,
}

/// Which kind of node a JSON object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Entity,
    Chunk,
    Other,
}

impl StoredNode {
    /// Takes a JSON object that is a node.
    pub(crate) fn from_raw(raw: RawJson) -> Result<Self, raw_json::Error> {
        let (shape, gaps) = shape_of(&raw)?;
        Ok(Self { shape, gaps, raw })
    }

    /// The node that is kept under `id`.
    pub(crate) fn decode(&self, id: &PyString) -> LabelledNode {
        let mut fields = match self.raw.value() {
            Value::Object(fields) => fields,
            _ => Object::new(),
        };
        let (default_label, kind) = match self.shape {
            Shape::Entity => {
                ("entity", NodeKind::Entity { name: take_string(&mut fields, "name").unwrap_or_default() })
            }
            Shape::Chunk => {
                fields.shift_remove(b"id_".as_slice());
                ("text_chunk", NodeKind::Chunk { text: take_string(&mut fields, "text").unwrap_or_default() })
            }
            Shape::Other => {
                let node = LabelledNode::new(id.clone(), PyString::default(), NodeKind::Other);
                return LabelledNode { extra: fields, ..node };
            }
        };
        let embedding = match fields.shift_remove(b"embedding".as_slice()) {
            Some(Value::Array(numbers)) => Some(numbers.iter().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect()),
            _ => None,
        };
        LabelledNode {
            id: id.clone(),
            kind,
            label: take_string(&mut fields, "label").unwrap_or_else(|| default_label.into()),
            embedding,
            properties: take_properties(&mut fields),
            extra: fields,
        }
    }
}

pub(crate) fn take_string(fields: &mut Object, key: &str) -> Option<PyString> {
    match fields.shift_remove(key.as_bytes())? {
        Value::String(string) => Some(string),
        _ => None,
    }
}

pub(crate) fn take_properties(fields: &mut Object) -> Object {
    match fields.shift_remove(b"properties".as_slice()) {
        Some(Value::Object(properties)) => properties,
        _ => Object::new(),
    }
}
