//! Random JSON.

use colca::raw_json::{BigInt, Object, PyString, Value, shortest_f32};
use support::Random;

use super::text::text;

/// What a file can hold beside strict JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Oddities {
    pub(super) surrogates: bool,
    /// Also in the keys of objects.
    pub(super) surrogate_keys: bool,
    pub(super) non_finite: bool,
}

impl Oddities {
    pub(super) const ALL: Self = Self { surrogates: true, surrogate_keys: true, non_finite: true };
    pub(super) const NONE: Self = Self { surrogates: false, surrogate_keys: false, non_finite: false };
}

/// An object with these entries.
pub(super) fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    entries.into_iter().collect()
}

/// Metadata or properties: an object of a few entries, of any shape.
pub(super) fn entries(random: &mut Random, oddities: Oddities) -> Object {
    let n = if random.chance(25) { 0 } else { random.between(1, 5) };
    random.list(n, |random| (key(random, oddities), json(random, oddities, 3))).into_iter().collect()
}

fn key(random: &mut Random, oddities: Oddities) -> PyString {
    const USUAL: [&str; 12] =
        ["author", "year", "a", "b", "", "$x", "a.b", "doc_id", "_node_type", "_node_content", "file name", "None"];
    if random.chance(60) { (*random.pick(&USUAL)).into() } else { text(random, oddities.surrogate_keys) }
}

fn json(random: &mut Random, oddities: Oddities, depth: usize) -> Value {
    match random.below(if depth == 0 { 10 } else { 14 }) {
        0 => Value::Null,
        1 => random.chance(50).into(),
        2 | 3 => integer(random),
        4 | 5 => float(random, oddities.non_finite).into(),
        6..=9 => text(random, oddities.surrogates).into(),
        10 | 11 => {
            let n = random.below(4);
            Value::Array(random.list(n, |random| json(random, oddities, depth - 1)))
        }
        _ => {
            let n = random.below(4);
            let entries = random.list(n, |random| (key(random, oddities), json(random, oddities, depth - 1)));
            entries.into_iter().collect()
        }
    }
}

fn integer(random: &mut Random) -> Value {
    match random.below(6) {
        0 => (random.bits() as i64).into(),
        1 => (*random.pick(&[i64::MIN, i64::MAX, -1, 0, 1 << 53])).into(),
        2 => {
            let sign = if random.chance(50) { "-" } else { "" };
            let digits: String =
                (0..random.between(20, 60)).map(|_| char::from(b'1' + random.below(9) as u8)).collect();
            BigInt::parse(&format!("{sign}{digits}")).expect("digits are a number").into()
        }
        _ => Value::from(random.below(2000) as i64 - 1000),
    }
}

fn float(random: &mut Random, non_finite: bool) -> f64 {
    const EDGES: [f64; 14] = [
        0.0,
        -0.0,
        1.0,
        5e-324,
        f64::MAX,
        1e16,
        1e15,
        1e-4,
        1e-5,
        1e22,
        9007199254740993.0,
        0.1,
        -1.5e300,
        123456789.0,
    ];
    match random.below(8) {
        0 if non_finite => *random.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
        0..=2 => *random.pick(&EDGES),
        3 => (random.below(200) as f64 - 100.0) / 10.0,
        4 => random.below(1000) as f64,
        _ => Some(f64::from_bits(random.bits())).filter(|x| x.is_finite()).unwrap_or(0.25),
    }
}

/// How the numbers of an embedding are spelled.
#[derive(Debug, Clone, Copy)]
pub(super) enum Precision {
    /// Floats of 32 bits, with all the digits that doubles need.
    Exact,
    /// Floats of 32 bits, with the fewest digits that tell them apart.
    Shortest,
    /// Doubles.
    Double,
    /// Small integers, written as such.
    Integer,
}

impl Precision {
    pub(super) const ALL: [Self; 4] = [Self::Exact, Self::Shortest, Self::Double, Self::Integer];
}

/// An embedding that is not zero.
pub(super) fn embedding(random: &mut Random, dimension: usize, precision: Precision) -> Value {
    let scale = *random.pick(&[1.0, 1.0, 1.0, 1e-3, 1e4]);
    let number = |random: &mut Random| -> Value {
        let x = (random.unit() * 2.0 - 1.0) * scale;
        match precision {
            Precision::Exact => f64::from(x as f32).into(),
            Precision::Shortest => shortest_f32(x as f32).into(),
            Precision::Double => x.into(),
            Precision::Integer => (random.below(19) as i64 - 9).into(),
        }
    };
    let mut numbers = random.list(dimension, number);
    if numbers.iter().all(|x| x.as_f64() == Some(0.0)) {
        numbers[0] = Value::Float(1.0);
    }
    Value::Array(numbers)
}
