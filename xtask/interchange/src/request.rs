use colca::graphstore::TripletFilter;
use colca::prelude::*;
use colca::raw_json::Object;

/// The parts of an operation or question.
pub(super) struct Request<'a>(pub(super) &'a Value);

impl Request<'_> {
    /// A part, or null if it is not there.
    pub(super) fn part(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }

    pub(super) fn text(&self, name: &str) -> Result<&PyString, String> {
        self.part(name).as_str().ok_or_else(|| format!("'{name}' is no text"))
    }

    pub(super) fn texts(&self, name: &str) -> Result<Vec<PyString>, String> {
        let items = self.part(name).as_array().ok_or_else(|| format!("'{name}' is no list"))?;
        items.iter().map(|item| item.as_str().cloned().ok_or_else(|| format!("'{name}' holds no texts"))).collect()
    }

    pub(super) fn texts_or_none(&self, name: &str) -> Result<Vec<PyString>, String> {
        if self.part(name).is_null() { Ok(Vec::new()) } else { self.texts(name) }
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        *self.part(name) == Value::Bool(true)
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        match self.part(name) {
            Value::Int(n) => Some(*n),
            _ => None,
        }
    }

    pub(super) fn size(&self, name: &str) -> Result<usize, String> {
        let n = self.number(name).and_then(|n| usize::try_from(n).ok());
        n.ok_or_else(|| format!("'{name}' is no size"))
    }

    pub(super) fn object(&self, name: &str) -> Object {
        self.part(name).as_object().cloned().unwrap_or_default()
    }

    pub(super) fn nodes(&self) -> Result<Vec<Node>, String> {
        let given = self.part("nodes").as_array().unwrap_or_default().iter();
        given.map(|node| Node::from_value(node, &PyString::default()).map_err(|e| e.to_string())).collect()
    }

    pub(super) fn selection(&self) -> Result<NodeSelection, String> {
        let mut selection = NodeSelection::default();
        if !self.part("node_ids").is_null() {
            selection.node_ids = Some(self.texts("node_ids")?);
        }
        if !self.part("filters").is_null() {
            selection.filters = Some(MetadataFilters::from_value(self.part("filters")).map_err(|e| e.to_string())?);
        }
        Ok(selection)
    }

    pub(super) fn triplet_filter(&self) -> Result<TripletFilter, String> {
        Ok(TripletFilter {
            entity_names: self.texts_or_none("entity_names")?,
            relation_names: self.texts_or_none("relation_names")?,
            properties: self.object("properties"),
            ids: self.texts_or_none("ids")?,
        })
    }
}
