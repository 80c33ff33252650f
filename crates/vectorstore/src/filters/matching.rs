//! Whether metadata passes filters, as Python decides it.

use std::cmp::Ordering;

use raw_json::{Kind, NoOrder, Object, PyString, Value, py_cmp, py_eq};

use super::{Filter, FilterCondition, FilterOperator, MetadataFilter, MetadataFilters};
use crate::{Error, Result};

/// What becomes of metadata that a filter cannot be applied to, such as a string that is to be greater than a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Mismatch {
    /// The call fails and names the filter and the node, as in LlamaIndex.
    #[default]
    Error,
    /// The filter does not match. In a group of the condition `not` the node can pass nevertheless.
    NoMatch,
}

/// A filter cannot be applied to what it finds.
struct DoesNotFit;

impl From<NoOrder> for DoesNotFit {
    fn from(_: NoOrder) -> Self {
        Self
    }
}

impl MetadataFilters {
    /// Whether the metadata of node `id` passes. Groups without any filter in them do not count.
    ///
    /// Every filter is applied, also if others have decided already, so whether a mismatch is an error does not depend
    /// on their order.
    ///
    /// # Errors
    /// [`Error::FilterMismatch`] for a value of a type that a filter cannot be applied to, unless `mismatch` lets that
    /// pass.
    pub fn matches(&self, id: &PyString, metadata: &Object, mismatch: Mismatch) -> Result<bool> {
        Ok(self.decide(id, metadata, mismatch)?.unwrap_or(true))
    }

    /// The same, or `None` if there is no filter in it. Looks at each group once, however deep it is.
    fn decide(&self, id: &PyString, metadata: &Object, mismatch: Mismatch) -> Result<Option<bool>> {
        let mut results = Vec::with_capacity(self.filters.len());
        for filter in &self.filters {
            match filter {
                Filter::Group(group) => results.extend(group.decide(id, metadata, mismatch)?),
                Filter::Field(filter) => {
                    let found = metadata.get(&filter.key).unwrap_or(&Value::Null);
                    results.push(match (filter.matches(found), mismatch) {
                        (Ok(matches), _) => matches,
                        (Err(DoesNotFit), Mismatch::NoMatch) => false,
                        (Err(DoesNotFit), Mismatch::Error) => {
                            let filter = filter.to_string();
                            return Err(Error::FilterMismatch { id: id.clone(), filter, found: found.kind().name() });
                        }
                    });
                }
            }
        }
        Ok((!results.is_empty()).then(|| match self.condition {
            FilterCondition::And => results.iter().all(|matches| *matches),
            FilterCondition::Or => results.contains(&true),
            FilterCondition::Not => !results.contains(&true),
        }))
    }
}

impl MetadataFilter {
    fn matches(&self, found: &Value) -> Result<bool, DoesNotFit> {
        let wanted = self.value.as_value();
        let order = || Ok(py_cmp(found, wanted)?);
        let texts = || match (found, wanted) {
            (Value::String(found), Value::String(wanted)) => Ok((found, wanted)),
            _ => Err(DoesNotFit),
        };
        match (self.operator, found) {
            (FilterOperator::IsEmpty, _) => Ok(is_empty(found)),
            (FilterOperator::Ne | FilterOperator::Nin, Value::Null) => Ok(true),
            (_, Value::Null) => Ok(false),
            (FilterOperator::Eq, _) => Ok(py_eq(found, wanted)),
            (FilterOperator::Ne, _) => Ok(!py_eq(found, wanted)),
            (FilterOperator::Gt, _) => order().map(|order| order == Some(Ordering::Greater)),
            (FilterOperator::Lt, _) => order().map(|order| order == Some(Ordering::Less)),
            (FilterOperator::Gte, _) => order().map(|order| order.is_some_and(Ordering::is_ge)),
            (FilterOperator::Lte, _) => order().map(|order| order.is_some_and(Ordering::is_le)),
            (FilterOperator::In, _) => is_in(found, wanted),
            (FilterOperator::Nin, _) => is_in(found, wanted).map(|is_in| !is_in),
            (FilterOperator::Contains, _) => is_in(wanted, found),
            (FilterOperator::Any, _) => one_is(true, wanted, found),
            (FilterOperator::All, _) => one_is(false, wanted, found).map(|missing| !missing),
            (FilterOperator::TextMatch, _) => texts().map(|(found, wanted)| found.contains(wanted)),
            (FilterOperator::TextMatchInsensitive, _) => {
                texts().map(|(found, wanted)| found.to_lowercase().contains(&wanted.to_lowercase()))
            }
        }
    }
}

fn is_empty(found: &Value) -> bool {
    match found {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Python's `item in container`.
fn is_in(item: &Value, container: &Value) -> Result<bool, DoesNotFit> {
    match (container, item) {
        (Value::Array(items), _) => Ok(items.iter().any(|other| py_eq(item, other))),
        (Value::String(whole), Value::String(part)) => Ok(whole.contains(part)),
        (Value::Object(entries), Value::String(key)) => Ok(entries.contains_key(key)),
        // Python looks for a key, which is a string here and equals nothing else; but a list cannot be a key.
        (Value::Object(_), _) if !matches!(item.kind(), Kind::Array | Kind::Object) => Ok(false),
        _ => Err(DoesNotFit),
    }
}

/// Whether one item of `wanted` is in `container`, or is not, as `presence` asks. Python iterates over the items of a
/// list and the characters of a string, and does not look at those behind the one it was after.
fn one_is(presence: bool, wanted: &Value, container: &Value) -> Result<bool, DoesNotFit> {
    let characters: Vec<Value>;
    let items = match wanted {
        Value::Array(items) => items,
        Value::String(text) => {
            characters = text.code_points().map(|point| PyString::from_code_points([point]).into()).collect();
            &characters
        }
        _ => return Err(DoesNotFit),
    };
    for item in items {
        if is_in(item, container)? == presence {
            return Ok(true);
        }
    }
    Ok(false)
}
