//! Taking fields out of an object, with pydantic's leniency and errors that name the field.

use raw_json::{Object, PyString, Value};

use crate::{Error, Result};

/// The fields of one object that are still to be read. What is left at the end is unknown.
pub(crate) struct Fields<'a> {
    /// The node all this is about.
    pub(crate) id: &'a PyString,
    /// The path of the object within the node, with a dot behind.
    pub(crate) path: String,
    pub(crate) rest: Object,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(id: &'a PyString, rest: Object) -> Self {
        Self { id, path: String::new(), rest }
    }

    /// The fields of an object within this one.
    pub(crate) fn nested(&self, name: &str, value: Value) -> Result<Fields<'a>> {
        match value {
            Value::Object(rest) => Ok(Fields { id: self.id, path: format!("{}{name}.", self.path), rest }),
            other => Err(self.wrong(name, "an object", &other)),
        }
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.rest.shift_remove(name.as_bytes())
    }

    pub(crate) fn wrong(&self, name: &str, expected: &'static str, found: &Value) -> Error {
        self.error(name, expected, found.kind().name())
    }

    fn error(&self, name: &str, expected: &'static str, found: &'static str) -> Error {
        Error::Field { id: self.id.clone(), field: format!("{}{name}", self.path), expected, found }
    }

    /// A string, if the field is there.
    pub(crate) fn string(&mut self, name: &str) -> Result<Option<PyString>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(s)) => Ok(Some(s)),
            Some(other) => Err(self.wrong(name, "a string", &other)),
        }
    }

    /// A string, if the field is there and not null.
    pub(crate) fn string_or_null(&mut self, name: &str) -> Result<Option<PyString>> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(s)) => Ok(Some(s)),
            Some(other) => Err(self.wrong(name, "a string or null", &other)),
        }
    }

    /// A string, if the field is there and says something: whatever Python takes for false counts as nothing.
    pub(crate) fn telling_string(&mut self, name: &str) -> Result<Option<PyString>> {
        match self.take(name) {
            None => Ok(None),
            Some(value) if is_falsy(&value) => Ok(None),
            Some(Value::String(s)) => Ok(Some(s)),
            Some(other) => Err(self.wrong(name, "a string or null", &other)),
        }
    }

    /// A string that must be there.
    pub(crate) fn required_string(&mut self, name: &str) -> Result<PyString> {
        self.string(name)?.ok_or_else(|| self.error(name, "a string", "missing"))
    }

    /// An object, empty if the field is missing.
    pub(crate) fn object(&mut self, name: &str) -> Result<Object> {
        match self.take(name) {
            None => Ok(Object::new()),
            Some(Value::Object(object)) => Ok(object),
            Some(other) => Err(self.wrong(name, "an object", &other)),
        }
    }

    /// A list of strings, empty if the field is missing.
    pub(crate) fn strings(&mut self, name: &str) -> Result<Vec<PyString>> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(s) => Ok(s),
                    other => Err(self.wrong(name, "a list of strings", &other)),
                })
                .collect(),
            Some(other) => Err(self.wrong(name, "a list of strings", &other)),
        }
    }

    /// A list of numbers, if the field is there and not null. Booleans and numeric strings count as numbers.
    pub(crate) fn floats(&mut self, name: &str) -> Result<Option<Vec<f64>>> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| float(item).ok_or_else(|| self.wrong(name, "a list of numbers", item)))
                .collect::<Result<_>>()
                .map(Some),
            Some(other) => Err(self.wrong(name, "a list of numbers or null", &other)),
        }
    }

    /// An integer, if the field is there and not null. Integral floats, booleans and numeric strings count as integers.
    pub(crate) fn int(&mut self, name: &str) -> Result<Option<i64>> {
        let value = match self.take(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value,
        };
        let int = match &value {
            Value::Int(n) => Some(*n),
            Value::Bool(b) => Some(i64::from(*b)),
            Value::Float(x) => whole(*x),
            Value::String(s) => {
                s.to_str().and_then(|s| s.trim().parse().ok().or_else(|| whole(s.trim().parse().ok()?)))
            }
            _ => None,
        };
        int.map(Some).ok_or_else(|| self.wrong(name, "an integer of 64 bits or null", &value))
    }
}

/// Booleans and numeric strings count as numbers; an integer that no double is near does not.
fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(b) => Some(f64::from(u8::from(*b))),
        Value::String(s) => s.to_str()?.trim().parse().ok(),
        Value::BigInt(n) => Some(n.to_f64()).filter(|x| x.is_finite()),
        other => other.as_f64(),
    }
}

/// The integer that a float is, if it is one of 64 bits.
fn whole(x: f64) -> Option<i64> {
    const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;
    (x.fract() == 0.0 && (-TOO_LARGE..TOO_LARGE).contains(&x)).then_some(x as i64)
}

/// Whether Python's `if` would pass over it.
fn is_falsy(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) | Value::Int(0) => true,
        Value::Float(x) => *x == 0.0,
        Value::String(s) => s.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        _ => false,
    }
}
