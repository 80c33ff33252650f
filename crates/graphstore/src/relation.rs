use std::sync::Arc;

use raw_json::{Error as JsonError, Object, PyString, RawJson, Value};

use crate::fields::{check_new, ends_of};
use crate::labelled_node::take_properties;
use crate::{LabelledNode, Result, Triplet};

/// A labelled relation between two nodes of a property graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Relation {
    /// How the two are related.
    pub label: PyString,
    /// The id of the node that it goes out from.
    pub source_id: PyString,
    /// The id of the node that it leads to.
    pub target_id: PyString,
    /// Whatever else is known of it.
    pub properties: Object,
    /// The fields of its JSON that LlamaIndex does not know.
    pub extra: Object,
}

impl Relation {
    /// A relation without properties.
    pub fn new(label: impl Into<PyString>, source_id: impl Into<PyString>, target_id: impl Into<PyString>) -> Self {
        let (label, source_id, target_id) = (label.into(), source_id.into(), target_id.into());
        Self { label, source_id, target_id, properties: Object::new(), extra: Object::new() }
    }

    /// Sets a property.
    pub fn with_property(mut self, key: impl Into<PyString>, value: impl Into<Value>) -> Self {
        self.properties.insert(key.into(), value.into());
        self
    }

    /// A property.
    pub fn property(&self, key: &str) -> Option<&Value> {
        self.properties.get(key.as_bytes())
    }

    /// Reads the JSON that LlamaIndex makes of a relation. `None` if it is none.
    pub fn from_value(value: &Value) -> Option<Self> {
        value.as_object()?;
        let (stored, ends) = StoredRelation::from_raw(RawJson::from(value)).ok()?;
        Some(stored.decode(&ends))
    }

    /// The ids of its ends and its label.
    pub fn triplet(&self) -> Triplet {
        Triplet::new(&self.source_id, &self.label, &self.target_id)
    }

    /// The relation between the ends of `triplet` that nothing else is known of.
    pub(crate) fn of(triplet: &Triplet) -> Self {
        Self::new(&triplet.relation, &triplet.subject, &triplet.object)
    }

    /// The same between other ends.
    pub(crate) fn between(self, triplet: &Triplet) -> Self {
        Self { properties: self.properties, extra: self.extra, ..Self::of(triplet) }
    }

    /// Checks that a file can hold the relation, as adding it does.
    ///
    /// # Errors
    /// [`Error::NotFinite`](crate::Error::NotFinite), [`Error::TooDeep`](crate::Error::TooDeep) or
    /// [`Error::ReservedField`](crate::Error::ReservedField).
    pub fn check(&self) -> Result<()> {
        let reserved = ["label", "source_id", "target_id", "properties"];
        check_new(|| format!("relation '{}'", self.triplet()), &self.properties, &self.extra, &reserved)
    }

    /// The fields in LlamaIndex's order, then those it does not know.
    pub(crate) fn encode(&self) -> RawJson {
        let mut fields = Object::new();
        fields.insert("label".into(), Value::from(&self.label));
        fields.insert("source_id".into(), Value::from(&self.source_id));
        fields.insert("target_id".into(), Value::from(&self.target_id));
        fields.insert("properties".into(), self.properties.clone().into());
        fields.extend(self.extra.clone());
        RawJson::compact(&fields.into())
    }
}

/// A triplet with all that is known of its three parts.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledTriplet {
    /// The node that the relation goes out from.
    pub subject: Arc<LabelledNode>,
    /// The relation.
    pub relation: Relation,
    /// The node that it leads to.
    pub object: Arc<LabelledNode>,
}

impl LabelledTriplet {
    /// The ids of its ends and its label.
    pub fn triplet(&self) -> Triplet {
        Triplet::new(self.subject.id(), &self.relation.label, self.object.id())
    }
}

/// A relation as it stands in the file.
#[derive(Debug, Clone)]
pub(crate) struct StoredRelation {
    pub(crate) raw: RawJson,
    /// How many triplets it belongs to: one, but several in files of old versions, and none if no triplet names it.
    pub(crate) uses: usize,
}

impl StoredRelation {
    /// Takes a JSON object, and its ends and label from it.
    pub(crate) fn from_raw(raw: RawJson) -> Result<(Self, Triplet), JsonError> {
        let ends = ends_of(&raw)?;
        Ok((Self { raw, uses: 0 }, ends))
    }

    /// The ends and label that it says itself.
    pub(crate) fn ends(&self) -> Triplet {
        ends_of(&self.raw).expect("it was checked when it came in")
    }

    /// The relation, between the ends of a triplet that it belongs to.
    pub(crate) fn decode(&self, triplet: &Triplet) -> Relation {
        let mut fields = match self.raw.value() {
            Value::Object(fields) => fields,
            _ => Object::new(),
        };
        let properties = take_properties(&mut fields);
        fields.retain(|key, _| !matches!(key.as_bytes(), b"label" | b"source_id" | b"target_id"));
        Relation { properties, extra: fields, ..Relation::of(triplet) }
    }
}
