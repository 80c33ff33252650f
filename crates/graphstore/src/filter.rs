use raw_json::{Object, PyString, Value};

use crate::{DEFAULT_DEPTH, DEFAULT_LIMIT};

/// Which nodes are meant: those for which every list that is not empty holds. An empty filter means all nodes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeFilter {
    /// The node has any of these properties, as Python's `==` compares them. A property that is missing equals `null`.
    pub properties: Object,
    /// The node has one of these ids.
    pub ids: Vec<PyString>,
}

impl NodeFilter {
    /// Adds a property.
    pub fn with_property(mut self, key: impl Into<PyString>, value: impl Into<Value>) -> Self {
        self.properties.insert(key.into(), value.into());
        self
    }

    /// Adds ids.
    pub fn with_ids<I: Into<PyString>>(mut self, ids: impl IntoIterator<Item = I>) -> Self {
        self.ids.extend(ids.into_iter().map(Into::into));
        self
    }
}

/// Which triplets are meant: those for which every list that is not empty holds. An empty filter means none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TripletFilter {
    /// One end has one of these ids. LlamaIndex calls them names; an entity's id is its name with each `"` made a
    /// space.
    pub entity_names: Vec<PyString>,
    /// The relation has one of these labels.
    pub relation_names: Vec<PyString>,
    /// One end or the relation has any of these properties, as Python's `==` compares them. A property that is missing
    /// equals `null`.
    pub properties: Object,
    /// One end has one of these ids.
    pub ids: Vec<PyString>,
}

impl TripletFilter {
    /// Adds ids under the name that LlamaIndex has for them.
    pub fn with_entity_names<I: Into<PyString>>(mut self, names: impl IntoIterator<Item = I>) -> Self {
        self.entity_names.extend(names.into_iter().map(Into::into));
        self
    }

    /// Adds labels of relations.
    pub fn with_relation_names<I: Into<PyString>>(mut self, names: impl IntoIterator<Item = I>) -> Self {
        self.relation_names.extend(names.into_iter().map(Into::into));
        self
    }

    /// Adds a property.
    pub fn with_property(mut self, key: impl Into<PyString>, value: impl Into<Value>) -> Self {
        self.properties.insert(key.into(), value.into());
        self
    }

    /// Adds ids.
    pub fn with_ids<I: Into<PyString>>(mut self, ids: impl IntoIterator<Item = I>) -> Self {
        self.ids.extend(ids.into_iter().map(Into::into));
        self
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.entity_names.is_empty()
            && self.relation_names.is_empty()
            && self.properties.is_empty()
            && self.ids.is_empty()
    }
}

/// How far a rel map goes.
#[derive(Debug, Clone, PartialEq)]
pub struct RelMapOptions {
    /// How many steps to take, 2 if nothing else is said.
    pub depth: usize,
    /// How many triplets to take altogether, 30 if nothing else is said.
    pub limit: usize,
    /// Labels of relations that are followed and left out of the answer.
    pub ignore_rels: Vec<PyString>,
}

impl Default for RelMapOptions {
    fn default() -> Self {
        Self { depth: DEFAULT_DEPTH, limit: DEFAULT_LIMIT, ignore_rels: Vec::new() }
    }
}

impl RelMapOptions {
    /// Sets how many steps to take.
    pub fn with_depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// Sets how many triplets to take.
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Adds labels to be left out.
    pub fn with_ignore_rels<I: Into<PyString>>(mut self, labels: impl IntoIterator<Item = I>) -> Self {
        self.ignore_rels.extend(labels.into_iter().map(Into::into));
        self
    }
}
