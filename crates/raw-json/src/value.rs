use std::fmt;

use indexmap::IndexMap;

use crate::number::BigInt;
use crate::scan::Kind;
use crate::string::PyString;

/// An object's entries, in the order they were written.
pub type Object = IndexMap<PyString, Value>;

/// A JSON value as Python holds it: integers of any size apart from floats, `NaN` and infinities, objects in order.
///
/// Equality is that of what would be written: `1` and `1.0` differ, as do `0.0` and `-0.0`, and `NaN` equals itself.
/// The order of an object's keys does not count, as in Python.
pub enum Value {
    /// `null`, Python's `None`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// An integer that needs more.
    BigInt(BigInt),
    /// A float.
    Float(f64),
    /// A string.
    String(PyString),
    /// A list.
    Array(Vec<Value>),
    /// An object.
    Object(Object),
}

impl Value {
    /// The value's type.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Null => Kind::Null,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) | Self::BigInt(_) | Self::Float(_) => Kind::Number,
            Self::String(_) => Kind::String,
            Self::Array(_) => Kind::Array,
            Self::Object(_) => Kind::Object,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&PyString> {
        match self {
            Self::String(s) => Some(s),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if it is an object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(entries) => Some(entries),
            _ => None,
        }
    }

    /// The number as a double, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(n) => Some(*n as f64),
            Self::BigInt(n) => Some(n.to_f64()),
            Self::Float(x) => Some(*x),
            _ => None,
        }
    }

    /// The entry of an object, or `None` if it is no object or lacks the key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_object()?.get(key.as_bytes())
    }

    /// Whether there is no `NaN` and no infinity in it, at any depth.
    pub fn is_finite(&self) -> bool {
        let mut todo = vec![self];
        while let Some(value) = todo.pop() {
            match value {
                Self::Float(x) if !x.is_finite() => return false,
                Self::Array(items) => todo.extend(items),
                Self::Object(entries) => todo.extend(entries.values()),
                _ => {}
            }
        }
        true
    }

    /// How deep lists and objects are nested in it: 0 for anything else, 1 for `[]`.
    pub fn depth(&self) -> usize {
        let mut deepest = 0;
        let mut todo = vec![(self, 0)];
        while let Some((value, depth)) = todo.pop() {
            deepest = deepest.max(depth + usize::from(matches!(value, Self::Array(_) | Self::Object(_))));
            match value {
                Self::Array(items) => todo.extend(items.iter().map(|item| (item, depth + 1))),
                Self::Object(entries) => todo.extend(entries.values().map(|item| (item, depth + 1))),
                _ => {}
            }
        }
        deepest
    }
}

// Copying and comparing go without recursion: a derived copy takes more than a kilobyte of stack for each level.

impl Clone for Value {
    fn clone(&self) -> Self {
        enum Copying<'a> {
            Array(std::slice::Iter<'a, Value>, Vec<Value>),
            Object(indexmap::map::Iter<'a, PyString, Value>, Object, &'a PyString),
        }
        let mut stack = Vec::new();
        let mut from = self;
        'value: loop {
            let mut copy = match from {
                Self::Null => Self::Null,
                Self::Bool(b) => Self::Bool(*b),
                Self::Int(n) => Self::Int(*n),
                Self::BigInt(n) => Self::BigInt(n.clone()),
                Self::Float(x) => Self::Float(*x),
                Self::String(s) => Self::String(s.clone()),
                Self::Array(items) => {
                    let mut rest = items.iter();
                    if let Some(first) = rest.next() {
                        stack.push(Copying::Array(rest, Vec::with_capacity(items.len())));
                        from = first;
                        continue 'value;
                    }
                    Self::Array(Vec::new())
                }
                Self::Object(entries) => {
                    let mut rest = entries.iter();
                    if let Some((key, first)) = rest.next() {
                        stack.push(Copying::Object(rest, Object::with_capacity(entries.len()), key));
                        from = first;
                        continue 'value;
                    }
                    Self::Object(Object::new())
                }
            };
            loop {
                match stack.pop() {
                    None => return copy,
                    Some(Copying::Array(mut rest, mut items)) => {
                        items.push(copy);
                        if let Some(next) = rest.next() {
                            stack.push(Copying::Array(rest, items));
                            from = next;
                            continue 'value;
                        }
                        copy = Self::Array(items);
                    }
                    Some(Copying::Object(mut rest, mut entries, key)) => {
                        entries.insert(key.clone(), copy);
                        if let Some((key, next)) = rest.next() {
                            stack.push(Copying::Object(rest, entries, key));
                            from = next;
                            continue 'value;
                        }
                        copy = Self::Object(entries);
                    }
                }
            }
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        let mut todo = vec![(self, other)];
        while let Some(pair) = todo.pop() {
            let equal = match pair {
                (Self::Null, Self::Null) => true,
                (Self::Bool(a), Self::Bool(b)) => a == b,
                (Self::Int(a), Self::Int(b)) => a == b,
                (Self::BigInt(a), Self::BigInt(b)) => a == b,
                (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
                (Self::String(a), Self::String(b)) => a == b,
                (Self::Array(a), Self::Array(b)) => {
                    todo.extend(a.iter().zip(b));
                    a.len() == b.len()
                }
                (Self::Object(a), Self::Object(b)) => {
                    let pairs = a.iter().map_while(|(key, value)| Some((value, b.get(key)?)));
                    let before = todo.len();
                    todo.extend(pairs);
                    a.len() == b.len() && todo.len() - before == a.len()
                }
                _ => false,
            };
            if !equal {
                return false;
            }
        }
        true
    }
}

impl Eq for Value {}

/// As [`Dialect::Unicode`](crate::Dialect::Unicode).
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = crate::to_json(self, crate::Dialect::Unicode);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or_else(|_| Self::BigInt(BigInt::from_literal(&value.to_string())), Self::Int)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::from(value as u64)
    }
}

/// Small integers become [`Value::Int`], whatever they were parsed from.
impl From<BigInt> for Value {
    fn from(value: BigInt) -> Self {
        value.as_str().parse().map_or_else(|_| Self::BigInt(value), Self::Int)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value.into())
    }
}

impl From<PyString> for Value {
    fn from(value: PyString) -> Self {
        Self::String(value)
    }
}

impl From<&PyString> for Value {
    fn from(value: &PyString) -> Self {
        Self::String(value.clone())
    }
}

impl From<Object> for Value {
    fn from(value: Object) -> Self {
        Self::Object(value)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

/// `None` becomes `null`.
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<K: Into<PyString>, V: Into<Value>> FromIterator<(K, V)> for Value {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self::Object(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

/// Every `serde_json` value has its counterpart.
#[cfg(feature = "serde_json")]
impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match value {
            Json::Null => Self::Null,
            Json::Bool(b) => Self::Bool(b),
            Json::Number(n) => match (n.as_i64(), n.as_u64()) {
                (Some(int), _) => Self::Int(int),
                (None, Some(int)) => Self::from(int),
                (None, None) => Self::Float(n.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(s) => Self::from(s),
            Json::Array(items) => Self::from(items),
            Json::Object(entries) => entries.into_iter().collect(),
        }
    }
}

/// What `serde_json` cannot hold changes: `NaN` and infinities become `null`, integers beyond 64 bits the nearest
/// double, lone surrogates U+FFFD.
#[cfg(feature = "serde_json")]
impl From<&Value> for serde_json::Value {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(b) => Self::Bool(*b),
            Value::Int(n) => Self::from(*n),
            Value::BigInt(n) => n.as_str().parse::<u64>().map_or_else(|_| Self::from(n.to_f64()), Self::from),
            Value::Float(x) => Self::from(*x),
            Value::String(s) => Self::from(s.to_string_lossy()),
            Value::Array(items) => items.iter().map(Self::from).collect(),
            Value::Object(entries) => entries.iter().map(|(k, v)| (k.to_string(), Self::from(v))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_is_that_of_what_is_written() {
        assert_ne!(Value::from(1), Value::from(1.0));
        assert_ne!(Value::from(0.0), Value::from(-0.0));
        assert_eq!(Value::from(f64::NAN), Value::from(f64::NAN));
        let ab: Value = [("a", 1), ("b", 2)].into_iter().collect();
        let ba: Value = [("b", 2), ("a", 1)].into_iter().collect();
        assert_eq!(ab, ba);
        assert_eq!(Value::from(u64::MAX).to_string(), "18446744073709551615");
        assert_eq!(Value::from(BigInt::parse("12").unwrap()), Value::Int(12));
    }

    #[test]
    fn finite_means_all_the_way_down() {
        let deep = |x: f64| Value::from(vec![[("k", x)].into_iter().collect::<Value>()]);
        assert!(deep(1.0).is_finite() && !deep(f64::NAN).is_finite() && !deep(f64::NEG_INFINITY).is_finite());
    }

    #[test]
    fn depth_counts_containers() {
        assert_eq!(Value::from(1).depth(), 0);
        assert_eq!(Value::Array(vec![]).depth(), 1);
        assert_eq!(Value::from(vec![vec![1], vec![]]).depth(), 2);
    }

    #[cfg(feature = "serde_json")]
    #[test]
    fn serde_json_and_back() {
        let json = serde_json::json!({"a": [1, 2.5, "x", null, true], "b": {"c": u64::MAX}});
        assert_eq!(serde_json::Value::from(&Value::from(json.clone())), json);
    }
}
