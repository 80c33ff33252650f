use std::collections::BTreeSet;
use std::fmt;

use indexmap::IndexMap;
use raw_json::{Object, PyString, Value};

use crate::{Relation, Triplet};

/// What kinds of relations a store of triplets has.
///
/// Shown as one line for each: `2 x knows`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GraphSchema {
    /// How many triplets there are of each relation, in order of first appearance.
    pub relations: IndexMap<PyString, usize>,
}

impl fmt::Display for GraphSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relations:")?;
        self.relations.iter().try_for_each(|(relation, count)| write!(f, "\n{count} x {relation}"))
    }
}

/// What kinds of nodes and relations a property graph has: what a model has to know to ask it something.
///
/// It is shown like this, everything in order of first appearance:
///
/// ```text
/// Nodes:
/// 2 x PERSON {born: INTEGER, died: INTEGER | STRING}
/// 1 x MACHINE {}
/// Relations:
/// 1 x BUILT {year: INTEGER}
/// Relationships:
/// 1 x (PERSON)-[BUILT]->(MACHINE)
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PropertyGraphSchema {
    /// The labels of nodes.
    pub node_props: IndexMap<PyString, LabelSchema>,
    /// The labels of relations.
    pub rel_props: IndexMap<PyString, LabelSchema>,
    /// How many triplets join nodes of which labels: the label of the subject, of the relation, and of the object.
    pub relationships: IndexMap<Triplet, usize>,
}

/// What is known of the nodes or relations with one label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSchema {
    /// How many there are.
    pub count: usize,
    /// Their properties, each with all types that its values have.
    pub properties: IndexMap<PyString, BTreeSet<PropertyType>>,
}

/// The type of a property's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PropertyType {
    /// `true` or `false`.
    Boolean,
    /// An integer of any size.
    Integer,
    /// A float.
    Float,
    /// A string.
    String,
    /// A list.
    List,
    /// An object.
    Map,
    /// `null`.
    Null,
}

impl PropertyType {
    /// The type of a value.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Int(_) | Value::BigInt(_) => Self::Integer,
            Value::Float(_) => Self::Float,
            Value::String(_) => Self::String,
            Value::Array(_) => Self::List,
            Value::Object(_) => Self::Map,
        }
    }

    /// Its name, in capitals as graph databases write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Integer => "INTEGER",
            Self::Float => "FLOAT",
            Self::String => "STRING",
            Self::List => "LIST",
            Self::Map => "MAP",
            Self::Null => "NULL",
        }
    }
}

impl PropertyGraphSchema {
    pub(crate) fn add_node(&mut self, label: &PyString, properties: &Object) {
        self.node_props.entry(label.clone()).or_default().add(properties);
    }

    /// Adds a relation between nodes of these labels.
    pub(crate) fn add_relation(&mut self, subject: &PyString, relation: &Relation, object: &PyString) {
        self.rel_props.entry(relation.label.clone()).or_default().add(&relation.properties);
        *self.relationships.entry(Triplet::new(subject, &relation.label, object)).or_default() += 1;
    }
}

impl LabelSchema {
    fn add(&mut self, properties: &Object) {
        self.count += 1;
        for (key, value) in properties {
            self.properties.entry(key.clone()).or_default().insert(PropertyType::of(value));
        }
    }
}

impl fmt::Display for PropertyGraphSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, labels) in [("Nodes", &self.node_props), ("\nRelations", &self.rel_props)] {
            write!(f, "{title}:")?;
            labels.iter().try_for_each(|(label, schema)| write!(f, "\n{} x {label} {schema}", schema.count))?;
        }
        write!(f, "\nRelationships:")?;
        self.relationships.iter().try_for_each(|(Triplet { subject, relation, object }, count)| {
            write!(f, "\n{count} x ({subject})-[{relation}]->({object})")
        })
    }
}

/// The properties with their types.
impl fmt::Display for LabelSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let property = |(key, types): (&PyString, &BTreeSet<PropertyType>)| {
            let names: Vec<_> = types.iter().map(|known| known.name()).collect();
            format!("{key}: {}", names.join(" | "))
        };
        write!(f, "{{{}}}", self.properties.iter().map(property).collect::<Vec<_>>().join(", "))
    }
}

/// Its name.
impl fmt::Display for PropertyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raw_json::BigInt;

    fn check(value: impl Into<Value>, expected: &str) {
        assert_eq!(PropertyType::of(&value.into()).to_string(), expected);
    }

    #[test]
    fn types_are_those_of_json_with_integers_apart() {
        check(Value::Null, "NULL");
        check(true, "BOOLEAN");
        check(1, "INTEGER");
        check(Value::from(BigInt::parse("100000000000000000000").unwrap()), "INTEGER");
        check(1.0, "FLOAT");
        check("1", "STRING");
        check(vec![1], "LIST");
        check(Object::new(), "MAP");
    }

    #[test]
    fn it_is_shown_in_order_of_first_appearance() {
        let mut schema = PropertyGraphSchema::default();
        assert_eq!(schema.to_string(), "Nodes:\nRelations:\nRelationships:");
        let properties = |entries: &[(&str, Value)]| -> Object {
            entries.iter().map(|(key, value)| ((*key).into(), value.clone())).collect()
        };
        schema.add_node(&"PERSON".into(), &properties(&[("born", 1815.into()), ("died", "?".into())]));
        schema.add_node(&"MACHINE".into(), &Object::new());
        schema.add_node(&"PERSON".into(), &properties(&[("died", 1871.into())]));
        let built = Relation::new("BUILT", "Charles", "Engine").with_property("year", 1837);
        schema.add_relation(&"PERSON".into(), &built, &"MACHINE".into());
        let expected = concat!(
            "Nodes:\n2 x PERSON {born: INTEGER, died: INTEGER | STRING}\n1 x MACHINE {}\n",
            "Relations:\n1 x BUILT {year: INTEGER}\nRelationships:\n1 x (PERSON)-[BUILT]->(MACHINE)"
        );
        assert_eq!(schema.to_string(), expected);
    }
}
