//! Filters in LlamaIndex's JSON.

use raw_json::{Object, PyString, Value};

use super::{Filter, FilterCondition, FilterOperator, FilterValue, MetadataFilter, MetadataFilters};
use crate::{Error, Result};

impl MetadataFilters {
    /// Reads what LlamaIndex's `model_dump` writes: `filters` with members `{"key", "value", "operator"}` or groups of
    /// their own, and `condition`. The operator is `==` if it is missing, the condition `and` if it is missing or
    /// `null`; everything else must be there.
    ///
    /// # Errors
    /// [`Error::Filter`] with the place, for a wrong type, an unknown operator, condition or field, and for a value that
    /// nothing can be compared with.
    pub fn from_value(value: &Value) -> Result<Self> {
        group(value, &Place::Top)
    }

    /// The filters in LlamaIndex's JSON. Its own stores answer with an error if there are groups in groups.
    pub fn to_value(&self) -> Value {
        let filters = self.filters.iter().map(|filter| match filter {
            Filter::Group(group) => group.to_value(),
            Filter::Field(filter) => [
                ("key", Value::from(&filter.key)),
                ("value", filter.value.as_value().clone()),
                ("operator", filter.operator.name().into()),
            ]
            .into_iter()
            .collect(),
        });
        let filters = Value::Array(filters.collect());
        [("filters", filters), ("condition", self.condition.name().into())].into_iter().collect()
    }
}

/// Where a member stands: `filters[1].filters[0]`.
enum Place<'a> {
    Top,
    Member(&'a Place<'a>, usize),
}

impl Place<'_> {
    fn field(&self, name: &str) -> String {
        let (mut members, mut place) = (Vec::new(), self);
        while let Place::Member(group, i) = place {
            members.push(format!("filters[{i}]"));
            place = group;
        }
        members.reverse();
        members.extend((!name.is_empty()).then(|| name.to_owned()));
        members.join(".")
    }

    fn error(&self, field: &str, problem: impl Into<String>) -> Error {
        let place = self.field(field);
        let place = if place.is_empty() { "the filters".to_owned() } else { format!("'{place}'") };
        Error::Filter { place, problem: problem.into() }
    }
}

fn group(value: &Value, place: &Place<'_>) -> Result<MetadataFilters> {
    let fields = object(value, place, &["filters", "condition"])?;
    let members = require(fields, place, "filters")?;
    let Some(members) = members.as_array() else {
        return Err(wrong_type(place, "filters", "a list", members));
    };
    // A loop, since an iterator takes kilobytes of stack for each level.
    let mut filters = Vec::with_capacity(members.len());
    for (i, value) in members.iter().enumerate() {
        filters.push(member(value, &Place::Member(place, i))?);
    }
    let condition = match fields.get(&b"condition"[..]) {
        None | Some(Value::Null) => FilterCondition::And,
        Some(name) => named(name, place, "condition", &FilterCondition::ALL, FilterCondition::name)?,
    };
    Ok(MetadataFilters { filters, condition })
}

fn member(value: &Value, place: &Place<'_>) -> Result<Filter> {
    if value.get("filters").is_some() {
        return group(value, place).map(Filter::Group);
    }
    let fields = object(value, place, &["key", "value", "operator"])?;
    let key = require(fields, place, "key")?;
    let Some(key) = key.as_str() else { return Err(wrong_type(place, "key", "a string", key)) };
    let value = require(fields, place, "value")?;
    let Some(value) = FilterValue::new(value.clone()) else {
        return Err(wrong_type(place, "value", "null, a number, a string, or a list of numbers or of strings", value));
    };
    let operator = match fields.get(&b"operator"[..]) {
        None => FilterOperator::Eq,
        Some(name) => named(name, place, "operator", &FilterOperator::ALL, FilterOperator::name)?,
    };
    Ok(Filter::Field(MetadataFilter { key: key.clone(), value, operator }))
}

fn object<'a>(value: &'a Value, place: &Place<'_>, known: &[&str]) -> Result<&'a Object> {
    let Some(fields) = value.as_object() else { return Err(wrong_type(place, "", "an object", value)) };
    let unknown = |key: &&PyString| !known.iter().any(|known| **key == **known);
    match fields.keys().find(unknown) {
        None => Ok(fields),
        Some(key) => Err(place.error(&key.to_string_lossy(), format!("unknown; known are {}", known.join(", ")))),
    }
}

fn require<'a>(fields: &'a Object, place: &Place<'_>, field: &str) -> Result<&'a Value> {
    fields.get(field.as_bytes()).ok_or_else(|| place.error(field, "missing"))
}

fn wrong_type(place: &Place<'_>, field: &str, expected: &str, found: &Value) -> Error {
    place.error(field, format!("must be {expected}, and is {}", found.kind().name()))
}

fn named<T: Copy>(
    name: &Value,
    place: &Place<'_>,
    field: &str,
    all: &[T],
    name_of: fn(T) -> &'static str,
) -> Result<T> {
    let known = all.iter().find(|one| name.as_str().is_some_and(|name| *name == *name_of(**one)));
    let unknown = || {
        let names: Vec<_> = all.iter().map(|one| name_of(*one)).collect();
        place.error(field, format!("{name} is none of {}", names.join(", ")))
    };
    known.copied().ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use raw_json::RawJson;

    fn read(json: &str) -> Result<MetadataFilters> {
        MetadataFilters::from_value(&json.parse::<RawJson>().unwrap().value())
    }

    fn check(json: &str, expected: &str) {
        let filters = read(json).unwrap();
        assert_eq!(filters.to_string(), expected);
        assert_eq!(MetadataFilters::from_value(&filters.to_value()).unwrap(), filters);
    }

    fn check_error(json: &str, expected: &str) {
        assert_eq!(read(json).unwrap_err().to_string(), format!("cannot read a filter: {expected}"));
    }

    #[test]
    fn llamaindex_json_is_read_and_written() {
        check(r#"{"filters": []}"#, "anything");
        check(r#"{"filters": [{"key": "a", "value": 1}], "condition": null}"#, "a == 1");
        check(
            r#"{"filters": [{"key": "a", "value": ["x"], "operator": "nin"}], "condition": "and"}"#,
            r#"a nin ["x"]"#,
        );
        check(
            r#"{"condition": "or", "filters": [
                {"filters": [{"key": "a", "operator": "is_empty", "value": null}], "condition": "not"},
                {"value": 2.5, "key": "b.c", "operator": ">"}]}"#,
            "not a is_empty or b.c > 2.5",
        );
        for operator in FilterOperator::ALL {
            let json = format!(r#"{{"filters": [{{"key": "a", "value": "x", "operator": "{}"}}]}}"#, operator.name());
            assert_eq!(read(&json).unwrap().fields().next().unwrap().operator, operator);
        }
    }

    #[test]
    fn as_deep_as_json_may_be() {
        let group = |inner: &str| format!("{}{inner}{}", "{\"filters\":[".repeat(511), "]}".repeat(511));
        let filters = read(&group(r#"{"key": "a", "value": 1}"#)).unwrap();
        assert!(filters.to_string() == "a == 1" && filters.clone() == filters);
        assert!(!filters.matches(&"n".into(), &Object::new(), crate::Mismatch::Error).unwrap());
        assert_eq!(MetadataFilters::from_value(&filters.to_value()).unwrap(), filters);
        assert!(read(&group("{}")).unwrap_err().to_string().contains("filters[0].filters[0].key"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        check_error("[]", "the filters must be an object, and is a list");
        check_error("{}", "'filters' missing");
        check_error(r#"{"filters": {}}"#, "'filters' must be a list, and is an object");
        check_error(r#"{"filters": [], "condition": "xor"}"#, r#"'condition' "xor" is none of and, or, not"#);
        check_error(r#"{"filters": [1]}"#, "'filters[0]' must be an object, and is a number");
        check_error(r#"{"filters": [{"key": "a"}]}"#, "'filters[0].value' missing");
        check_error(
            r#"{"filters": [{"key": "a", "value": 1, "op": ">"}]}"#,
            "'filters[0].op' unknown; known are key, value, operator",
        );
        check_error(
            r#"{"filters": [{"key": "a", "value": 1}, {"filters": [{"key": "b", "value": {}}]}]}"#,
            "'filters[1].filters[0].value' must be null, a number, a string, or a list of numbers or of strings, and is an object",
        );
    }
}
