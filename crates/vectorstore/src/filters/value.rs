use std::fmt;

use raw_json::{PyString, Value};

/// What a filter compares with: `null`, a boolean, a number, a string, or a list of numbers or of strings.
///
/// LlamaIndex takes no booleans here; to be read there, write `1` for `true`, which is equal.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterValue(Value);

impl FilterValue {
    /// `null`.
    pub const NULL: Self = Self(Value::Null);

    /// Takes a value of one of these kinds, and `None` for any other. As in LlamaIndex, integers beside floats in a
    /// list become floats; there it takes no integer that is beyond all floats.
    pub fn new(value: Value) -> Option<Self> {
        let items = match value {
            Value::Object(_) => return None,
            Value::Array(items) => items,
            scalar => return Some(Self(scalar)),
        };
        let all = |is: fn(&Value) -> bool| items.iter().all(is);
        let is_int = |item: &Value| matches!(item, Value::Int(_) | Value::BigInt(_));
        if all(|item| matches!(item, Value::String(_))) || all(is_int) {
            return Some(Self(Value::Array(items)));
        }
        let float = |item: &Value| item.as_f64().filter(|x| !is_int(item) || x.is_finite());
        let floats: Option<Vec<f64>> = items.iter().map(float).collect();
        floats.map(|floats| Self(floats.into()))
    }

    /// The value as JSON.
    pub fn as_value(&self) -> &Value {
        &self.0
    }
}

/// As JSON, with characters beyond ASCII as they are.
impl fmt::Display for FilterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Types of one value, which lists may hold too.
macro_rules! items {
    ($($item:ty),*) => {
        $(impl From<$item> for FilterValue {
            fn from(value: $item) -> Self {
                Self(value.into())
            }
        }

        impl From<Vec<$item>> for FilterValue {
            fn from(items: Vec<$item>) -> Self {
                Self(items.into())
            }
        }

        impl<const N: usize> From<[$item; N]> for FilterValue {
            fn from(items: [$item; N]) -> Self {
                Self(Vec::from(items).into())
            }
        })*
    };
}

items!(i32, u32, i64, u64, usize, f64, &str, String, PyString, &PyString);

impl From<bool> for FilterValue {
    fn from(value: bool) -> Self {
        Self(value.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raw_json::RawJson;

    fn check(json: &str, expected: Option<&str>) {
        let value = json.parse::<RawJson>().unwrap().value();
        assert_eq!(FilterValue::new(value).map(|value| value.to_string()).as_deref(), expected, "{json}");
    }

    #[test]
    fn what_a_filter_compares_with() {
        for json in ["null", "1", "1.5", "12345678901234567890123", "\"a\"", "true", "[]", "[1, 2]", "[\"a\", \"b\"]"] {
            check(json, Some(json));
        }
        check("[1, 2.5]", Some("[1.0, 2.5]"));
        check("[9007199254740993, 0.5]", Some("[9007199254740992.0, 0.5]"));
        for json in ["{}", "[true]", "[1, true]", "[1, \"a\"]", "[null]", "[[1]]"] {
            check(json, None);
        }
        let beyond = format!("1{}", "0".repeat(400));
        check(&format!("[{beyond}]"), Some(&format!("[{beyond}]")));
        check(&format!("[{beyond}, 0.5]"), None);
        check("[1, Infinity, NaN]", Some("[1.0, Infinity, NaN]"));
    }

    #[test]
    fn rust_values_are_taken_as_they_are() {
        assert_eq!(FilterValue::from(vec![1_i64, 2]).to_string(), "[1, 2]");
        assert_eq!(FilterValue::from(["é"]).to_string(), "[\"é\"]");
        assert_eq!(FilterValue::from(u64::MAX).to_string(), "18446744073709551615");
        assert_eq!(FilterValue::from(true).to_string(), "true");
    }
}
