//! Values compared as Python compares them.

use std::cmp::Ordering;

use crate::{BigInt, Value};

/// Two values between which Python knows no order: it raises `TypeError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoOrder;

/// Python's `==`: `1`, `1.0` and `true` are equal, `NaN` equals nothing, the order of keys does not count.
pub fn py_eq(a: &Value, b: &Value) -> bool {
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
                (Some(a), Some(b)) => compare_numbers(&a, &b) == Some(Ordering::Equal),
                _ => false,
            },
        };
        if !equal {
            return false;
        }
    }
    true
}

/// What Python's `<`, `<=`, `>` and `>=` go by: numbers and booleans by value, strings by code point, lists by the first
/// items that differ. `None` if one side is `NaN`, for which Python denies all four.
///
/// # Errors
/// [`NoOrder`] where Python raises `TypeError`.
pub fn py_cmp(a: &Value, b: &Value) -> Result<Option<Ordering>, NoOrder> {
    let (mut a, mut b) = (a, b);
    loop {
        match (a, b) {
            (Value::String(a), Value::String(b)) => return Ok(Some(a.cmp(b))),
            (Value::Array(these), Value::Array(those)) => match these.iter().zip(those).find(|(a, b)| !py_eq(a, b)) {
                Some(differ) => (a, b) = differ,
                None => return Ok(Some(these.len().cmp(&those.len()))),
            },
            (a, b) => {
                return match (number(a), number(b)) {
                    (Some(a), Some(b)) => Ok(compare_numbers(&a, &b)),
                    _ => Err(NoOrder),
                };
            }
        }
    }
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
fn compare_numbers(a: &Number<'_>, b: &Number<'_>) -> Option<Ordering> {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => Some(a.cmp(b)),
        (Number::Float(a), Number::Float(b)) => a.partial_cmp(b),
        (Number::BigInt(a), Number::BigInt(b)) => Some(a.cmp(b)),
        (Number::Int(a), Number::BigInt(b)) => Some(big(*a).cmp(b)),
        (Number::BigInt(a), Number::Int(b)) => Some((*a).cmp(&big(*b))),
        // The cast is exact, or far outside the range of 64 bits.
        (Number::Int(n), Number::Float(x)) => compare_to_float(*x, |whole| i128::from(*n).cmp(&(whole as i128))),
        // Such a float is printed with all its digits.
        (Number::BigInt(n), Number::Float(x)) => compare_to_float(*x, |whole| {
            BigInt::parse(&format!("{whole:.0}")).map_or(Ordering::Equal, |x| (*n).cmp(&x))
        }),
        (Number::Float(_), _) => compare_numbers(b, a).map(Ordering::reverse),
    }
}

fn big(n: i64) -> BigInt {
    BigInt::from_literal(&n.to_string())
}

/// Compares an integer with a float, given how it compares with the float's whole part.
fn compare_to_float(x: f64, compare: impl FnOnce(f64) -> Ordering) -> Option<Ordering> {
    if x.is_infinite() {
        return Some(if x > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    Some(compare(x.trunc()).then(0.0.partial_cmp(&x.fract())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RawJson;

    fn value(json: &str) -> Value {
        json.parse::<RawJson>().unwrap().value()
    }

    fn check(a: &str, b: &str, expected: bool) {
        assert_eq!(py_eq(&value(a), &value(b)), expected, "{a} == {b}");
        assert_eq!(py_eq(&value(b), &value(a)), expected, "{b} == {a}");
    }

    fn check_order(a: &str, b: &str, expected: Result<Option<Ordering>, NoOrder>) {
        assert_eq!(py_cmp(&value(a), &value(b)), expected, "{a}, {b}");
        let reversed = expected.map(|order| order.map(Ordering::reverse));
        assert_eq!(py_cmp(&value(b), &value(a)), reversed, "{b}, {a}");
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

    #[test]
    fn values_are_ordered_as_in_python() {
        const LESS: Result<Option<Ordering>, NoOrder> = Ok(Some(Ordering::Less));
        const EQUAL: Result<Option<Ordering>, NoOrder> = Ok(Some(Ordering::Equal));
        check_order("1", "1.5", LESS);
        check_order("-1.5", "-1", LESS);
        check_order("0", "-0.0", EQUAL);
        check_order("false", "1", LESS);
        check_order("9007199254740992.0", "9007199254740993", LESS);
        check_order("9223372036854775807", "9223372036854775808.0", LESS);
        check_order("9223372036854775807", "9223372036854775808", LESS);
        check_order("99999999999999991611391", "1e23", LESS);
        check_order("1e23", "100000000000000000000000", LESS);
        check_order("-100000000000000000000000", "-1e23", LESS);
        check_order("1e300", "Infinity", LESS);
        check_order("-Infinity", "-100000000000000000000000", LESS);
        check_order("NaN", "1", Ok(None));
        check_order("NaN", "100000000000000000000000", Ok(None));
        check_order("\"Z\"", "\"a\"", LESS);
        check_order("\"\u{ffff}\"", "\"\u{10000}\"", LESS);
        check_order("\"\"", "\"a\"", LESS);
        check_order("[]", "[1]", LESS);
        check_order("[1, 2]", "[1, 2.0]", EQUAL);
        check_order("[1, [2, \"b\"], 0]", "[1.0, [2, \"c\"]]", LESS);
        check_order("[NaN]", "[1]", Ok(None));
        check_order("[{}, 1]", "[{}, 2]", LESS);
        for (a, b) in [("1", "\"1\""), ("null", "null"), ("{}", "{}"), ("[]", "\"\""), ("[1]", "[\"1\"]")] {
            check_order(a, b, Err(NoOrder));
        }
    }
}
