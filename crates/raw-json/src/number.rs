//! Numbers as Python reads and writes them.

use std::cmp::Ordering;
use std::fmt;

/// An integer outside the range of `i64`, as its decimal digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BigInt(Box<str>);

impl BigInt {
    /// Takes a JSON integer literal: an optional minus and digits without leading zeros.
    pub(crate) fn from_literal(literal: &str) -> Self {
        Self(literal.into())
    }

    /// Parses decimal digits with an optional sign; `None` if there is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", text.strip_prefix('+').unwrap_or(text)),
        };
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let digits = digits.trim_start_matches('0');
        Some(if digits.is_empty() { Self("0".into()) } else { Self(format!("{sign}{digits}").into()) })
    }

    /// The decimal digits, with a minus if it is negative.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest double, or an infinity.
    pub fn to_f64(&self) -> f64 {
        parse_f64(&self.0)
    }
}

impl PartialOrd for BigInt {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for BigInt {
    fn cmp(&self, other: &Self) -> Ordering {
        let split = |n: &Self| match n.0.strip_prefix('-') {
            Some(digits) => (true, digits.len(), digits.to_owned()),
            None => (false, n.0.len(), n.0.to_string()),
        };
        let ((a_negative, a_len, a), (b_negative, b_len, b)) = (split(self), split(other));
        let magnitude = a_len.cmp(&b_len).then_with(|| a.cmp(&b));
        match (a_negative, b_negative) {
            (false, false) => magnitude,
            (true, true) => magnitude.reverse(),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The double nearest to a JSON number literal.
pub(crate) fn parse_f64(literal: &str) -> f64 {
    match literal {
        "Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        // The scanner lets only JSON literals through; what is left is `NaN`. An integer `-0` has no sign in Python.
        "-0" => 0.0,
        _ => literal.parse().unwrap_or(f64::NAN),
    }
}

/// The number at the start of `bytes` and its length, if it has one digit before the point and some behind, as the
/// numbers of embeddings have. Anything else, well-formed or not, is left to the general way.
pub(crate) fn parse_fraction(bytes: &[u8]) -> Option<(f64, usize)> {
    let unsigned = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let [b'0'..=b'9', b'.', b'0'..=b'9', ..] = unsigned else { return None };
    fast_float2::parse_partial(bytes).ok()
}

/// The double nearest to the shortest decimal that reads back as this single.
///
/// Embedding services send singles as such decimals, and Python reads them as doubles: `-0.010299738_f32` arrives as
/// the double `-0.010299738`, which is not the same number.
pub fn shortest_f32(value: f32) -> f64 {
    if !value.is_finite() {
        return f64::from(value);
    }
    shortest_of_common(value).unwrap_or_else(|| shortest_by_spelling(value))
}

fn shortest_by_spelling(value: f32) -> f64 {
    zmij::Buffer::new().format_finite(value).parse().unwrap_or(f64::from(value))
}

/// The same for most singles of common size, without spelling them.
///
/// Scaled to nine digits before the point, a single *t* and its neighbours lie some 6 to 120 apart, and every number
/// nearer to *t* than half of that reads back as it. The shortest decimal is the one on the coarsest grid of powers of
/// ten, and the nearest there. No grid above 1000 need be looked at: at most one multiple of 1000 is near enough. What
/// is too close to call in doubles is left to the caller, as are powers of two, whose neighbours are not equally far.
fn shortest_of_common(value: f32) -> Option<f64> {
    const POWERS: [f64; 23] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22,
    ];
    /// Far above the rounding errors of scaling.
    const MARGIN: f64 = 1e-6;
    let x = f64::from(value.abs());
    let power_of_two = value.to_bits() & 0x7F_FFFF == 0;
    if !(1e-13..1e8).contains(&x) || power_of_two {
        return None;
    }
    let binade = f64::from(f32::from_bits(value.to_bits() & 0x7F80_0000));
    // log10(2) is 1233 / 4096.
    let exponent = (((value.to_bits() >> 23 & 0xFF) as i32 - 127) * 1233) >> 12;
    let mut power = POWERS[usize::try_from(8 - exponent).ok()?.min(22)];
    if x * power >= 1e9 {
        power /= 10.0;
    }
    let (t, half_gap) = (x * power, binade * power / f64::from(1 << 24));
    for (grid, inverse) in [(1000.0, 0.001), (100.0, 0.01), (10.0, 0.1), (1.0, 1.0)] {
        let nearest = ((t * inverse + 0.5) as i64) as f64 * grid;
        let distance = (nearest - t).abs();
        if distance > half_gap + MARGIN {
            continue;
        }
        let clear = distance < half_gap - MARGIN && distance < grid / 2.0 - MARGIN;
        return clear.then(|| (nearest / power).copysign(f64::from(value)));
    }
    None
}

/// How the two writers spell doubles.
#[derive(Clone, Copy)]
pub(crate) struct FloatStyle {
    /// Decimal exponents below this are written with an `e`.
    pub(crate) min_exponent: i32,
    /// Whether an exponent has a sign in any case and at least two digits.
    pub(crate) full_exponent: bool,
    pub(crate) nan: &'static str,
    pub(crate) infinity: &'static str,
    pub(crate) negative_infinity: &'static str,
}

/// Appends a double as Python's `json` does: the shortest digits that read back as the same number, as `repr` lays them
/// out.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    write_float(out, value, PYTHON);
}

pub(crate) const PYTHON: FloatStyle = FloatStyle {
    min_exponent: -4,
    full_exponent: true,
    nan: "NaN",
    infinity: "Infinity",
    negative_infinity: "-Infinity",
};
pub(crate) const PYTHON_REPR: FloatStyle =
    FloatStyle { nan: "nan", infinity: "inf", negative_infinity: "-inf", ..PYTHON };
pub(crate) const PYDANTIC: FloatStyle =
    FloatStyle { min_exponent: -5, full_exponent: false, nan: "null", infinity: "null", negative_infinity: "null" };

pub(crate) fn write_float(out: &mut Vec<u8>, value: f64, style: FloatStyle) {
    if !value.is_finite() {
        let word = match value {
            f64::INFINITY => style.infinity,
            f64::NEG_INFINITY => style.negative_infinity,
            _ => style.nan,
        };
        out.extend_from_slice(word.as_bytes());
        return;
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if value == 0.0 {
        out.extend_from_slice(b"0.0");
        return;
    }
    if (1e-4..1e16).contains(&value.abs()) {
        // No style has an exponent here, nor has this.
        out.extend_from_slice(zmij::Buffer::new().format_finite(value.abs()).as_bytes());
        return;
    }
    let mut digits = [0; 20];
    let (len, exponent) = shortest_digits(value.abs(), &mut digits);
    let digits = &digits[..len];
    if exponent < style.min_exponent || exponent >= 16 {
        out.push(digits[0]);
        if len > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.push(b'e');
        let magnitude = exponent.unsigned_abs();
        match (exponent < 0, style.full_exponent) {
            (true, _) => out.push(b'-'),
            (false, true) => out.push(b'+'),
            (false, false) => {}
        }
        if magnitude < 10 && style.full_exponent {
            out.push(b'0');
        }
        push_u32(out, magnitude);
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + (-exponent - 1) as usize, b'0');
        out.extend_from_slice(digits);
    } else {
        let whole = exponent as usize + 1;
        if len <= whole {
            out.extend_from_slice(digits);
            out.resize(out.len() + whole - len, b'0');
            out.extend_from_slice(b".0");
        } else {
            out.extend_from_slice(&digits[..whole]);
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        }
    }
}

fn push_u32(out: &mut Vec<u8>, n: u32) {
    if n >= 10 {
        push_u32(out, n / 10);
    }
    out.push(b'0' + (n % 10) as u8);
}

/// The shortest significant digits of a positive finite double, and the exponent of the first of them.
fn shortest_digits(value: f64, digits: &mut [u8; 20]) -> (usize, i32) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value).as_bytes();
    let (mantissa, exponent) = match text.iter().position(|&b| b == b'e') {
        Some(e) => (&text[..e], parse_exponent(&text[e + 1..])),
        None => (text, 0),
    };
    let (mut len, mut point, mut leading_zeros) = (0, None, 0);
    for &b in mantissa {
        match b {
            b'.' => point = Some(len as i32 - leading_zeros),
            b'0' if len == 0 => leading_zeros += 1,
            _ => {
                digits[len] = b;
                len += 1;
            }
        }
    }
    // With no digit before it, `point` counts the zeros before the point too; those behind it push the exponent down.
    let exponent = exponent
        + match point {
            None => len as i32 - 1,
            Some(point) if point >= 0 && leading_zeros == 0 => point - 1,
            Some(_) => -leading_zeros,
        };
    while len > 1 && digits[len - 1] == b'0' {
        len -= 1;
    }
    (len, exponent)
}

fn parse_exponent(text: &[u8]) -> i32 {
    let (sign, digits) = match text.split_first() {
        Some((b'-', digits)) => (-1, digits),
        Some((b'+', digits)) => (1, digits),
        _ => (1, text),
    };
    sign * digits.iter().fold(0, |n, d| n * 10 + i32::from(d - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: f64, python: &str, pydantic: &str) {
        let text = |style| {
            let mut out = Vec::new();
            write_float(&mut out, value, style);
            String::from_utf8(out).unwrap()
        };
        assert_eq!((text(PYTHON).as_str(), text(PYDANTIC).as_str()), (python, pydantic), "{value:e}");
    }

    #[test]
    fn floats_are_spelled_as_in_python_and_pydantic() {
        check(0.0, "0.0", "0.0");
        check(-0.0, "-0.0", "-0.0");
        check(1.0, "1.0", "1.0");
        check(-2.5, "-2.5", "-2.5");
        check(0.1, "0.1", "0.1");
        check(100.0, "100.0", "100.0");
        check(123.456, "123.456", "123.456");
        check(0.0001, "0.0001", "0.0001");
        check(0.00012, "0.00012", "0.00012");
        check(1e-5, "1e-05", "0.00001");
        check(1.5e-5, "1.5e-05", "0.000015");
        check(1e-7, "1e-07", "1e-7");
        check(2.5e-8, "2.5e-08", "2.5e-8");
        check(1e15, "1000000000000000.0", "1000000000000000.0");
        check(1e16, "1e+16", "1e16");
        check(9007199254740993.0, "9007199254740992.0", "9007199254740992.0");
        check(1e22, "1e+22", "1e22");
        check(1e300, "1e+300", "1e300");
        check(1.7976931348623157e308, "1.7976931348623157e+308", "1.7976931348623157e308");
        check(5e-324, "5e-324", "5e-324");
        check(123456789.12345679, "123456789.12345679", "123456789.12345679");
        check(f64::NAN, "NaN", "null");
        check(f64::INFINITY, "Infinity", "null");
        check(f64::NEG_INFINITY, "-Infinity", "null");
    }

    #[test]
    fn what_is_written_reads_back() {
        for i in 0..if cfg!(miri) { 200 } else { 200_000_u64 } {
            // A multiplier that visits exponents and mantissas of all kinds.
            let value = f64::from_bits(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            if value.is_finite() {
                for style in [PYTHON, PYDANTIC] {
                    let mut out = Vec::new();
                    write_float(&mut out, value, style);
                    let text = String::from_utf8(out).unwrap();
                    assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits(), "{text}");
                }
            }
        }
    }

    #[test]
    fn big_integers_compare_by_value() {
        let n = |text| BigInt::parse(text).unwrap();
        assert!(n("9223372036854775808") < n("18446744073709551616"));
        assert!(n("-18446744073709551616") < n("-9223372036854775808"));
        assert!(n("-1") < n("0") && n("9") < n("10"));
        assert_eq!(n("+007"), n("7"));
        assert_eq!(n("-0"), n("0"));
        assert_eq!(BigInt::parse("1x"), None);
        assert_eq!(BigInt::parse("-"), None);
    }

    #[test]
    fn the_short_way_to_the_shortest_decimal_is_right() {
        const COUNT: u32 = if cfg!(miri) { 200 } else { 2_000_000 };
        let mut short = 0;
        for i in 0..COUNT {
            // Scattered over all bits, and in a row around 1.
            for value in [f32::from_bits(i.wrapping_mul(0x9E37_79B1)), f32::from_bits(0x3F70_0000 + i)] {
                if let Some(decimal) = shortest_of_common(value) {
                    assert_eq!(decimal.to_bits(), shortest_by_spelling(value).to_bits(), "{value:e}");
                    short += 1;
                }
            }
        }
        assert!(short > COUNT);
    }

    #[test]
    fn singles_arrive_as_the_double_of_their_decimal() {
        assert_eq!(shortest_f32(-0.010299738_f32), -0.010299738);
        assert_ne!(f64::from(-0.010299738_f32), -0.010299738);
        assert_eq!(shortest_f32(0.5), 0.5);
    }
}
