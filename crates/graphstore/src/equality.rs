use raw_json::{BigInt, Value};

/// Python's `==`: `1`, `1.0` and `true` are equal, `NaN` equals nothing, the order of keys does not count.
pub(crate) fn py_eq(a: &Value, b: &Value) -> bool {
    let mut todo = vec![(a, b)];
    while let Some(pair) = todo.pop() {
        let equal = match pair {
            (Value::Null, Value::Null) => true,
            (Value::String(a), Value::String(b)) => a == b,
            (Value::Array(a), Value::Array(b)) => {
                todo.extend(a.iter().zip(b));
                a.len() == b.len()
            }
            (Value::Object(a), Value::Object(b)) => {
                todo.extend(a.iter().filter_map(|(key, value)| Some((value, b.get(key)?))));
                a.len() == b.len() && a.keys().all(|key| b.contains_key(key))
            }
            (a, b) => match (number(a), number(b)) {
                (Some(a), Some(b)) => numbers_equal(&a, &b),
                _ => false,
            },
        };
        if !equal {
            return false;
        }
    }
    true
}

enum Number<'a> {
    Int(i64),
    BigInt(&'a BigInt),
    Float(f64),
}

fn number(value: &Value) -> Option<Number<'_>> {
    match value {
        Value::Bool(b) => Some(Number::Int(i64::from(*b))),
        Value::Int(n) => Some(Number::Int(*n)),
        Value::BigInt(n) => Some(Number::BigInt(n)),
        Value::Float(x) => Some(Number::Float(*x)),
        _ => None,
    }
}

/// Integers and floats compare exactly: no integer is rounded first.
fn numbers_equal(a: &Number<'_>, b: &Number<'_>) -> bool {
    let is_whole = |x: &f64| x.is_finite() && x.fract() == 0.0;
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => a == b,
        (Number::BigInt(a), Number::BigInt(b)) => a == b,
        (Number::Float(a), Number::Float(b)) => a == b,
        // The cast is exact, or far outside the range of 64 bits.
        (Number::Int(n), Number::Float(x)) | (Number::Float(x), Number::Int(n)) => {
            is_whole(x) && *x as i128 == i128::from(*n)
        }
        // Such a float is printed with all its digits.
        (Number::BigInt(n), Number::Float(x)) | (Number::Float(x), Number::BigInt(n)) => {
            is_whole(x) && format!("{x:.0}") == n.as_str()
        }
        (Number::Int(_), Number::BigInt(_)) | (Number::BigInt(_), Number::Int(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raw_json::RawJson;

    fn check(a: &str, b: &str, expected: bool) {
        let value = |json: &str| json.parse::<RawJson>().unwrap().value();
        assert_eq!(py_eq(&value(a), &value(b)), expected, "{a} == {b}");
        assert_eq!(py_eq(&value(b), &value(a)), expected, "{b} == {a}");
    }

    #[test]
    fn values_are_equal_as_in_python() {
        check("null", "null", true);
        check("null", "0", false);
        check("null", "false", false);
        check("1", "1.0", true);
        check("1", "true", true);
        check("0.0", "false", true);
        check("0.0", "-0.0", true);
        check("1", "\"1\"", false);
        check("NaN", "NaN", false);
        check("Infinity", "Infinity", true);
        check("Infinity", "1", false);
        check("1.5", "1", false);
        check("9007199254740993", "9007199254740993.0", false);
        check("9007199254740992", "9007199254740993.0", true);
        check("9223372036854775807", "9223372036854775808.0", false);
        check("9223372036854775808", "9223372036854775808.0", true);
        check("100000000000000000000000", "1e23", false);
        check("99999999999999991611392", "1e23", true);
        check("[1, [true]]", "[1.0, [1]]", true);
        check("[1]", "[1, 2]", false);
        check("[]", "{}", false);
        check(r#"{"a": 1, "b": [2]}"#, r#"{"b": [2.0], "a": true}"#, true);
        check(r#"{"a": 1}"#, r#"{"b": 1}"#, false);
        check(r#"{"a": 1}"#, r#"{"a": 1, "b": 1}"#, false);
    }
}
