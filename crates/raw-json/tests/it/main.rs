//! What holds for every text and every value.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use proptest::prelude::*;
use raw_json::{BigInt, Dialect, Object, PyString, RawJson, Scanner, Text, Value, py_repr, to_json};

fn string() -> impl Strategy<Value = PyString> {
    let point = prop_oneof![
        4 => 0x20u32..0x7F,
        1 => 0u32..0x20,
        1 => 0x7Fu32..0x300,
        1 => 0xD7F0u32..0xE010,
        1 => 0x1_0000u32..0x11_0000,
    ];
    prop::collection::vec(point, 0..12).prop_map(|points| joined(PyString::from_code_points(points)))
}

/// Surrogates that happen to make a pair come back as one code point.
fn joined(string: PyString) -> PyString {
    let units: Vec<u16> = string
        .code_points()
        .flat_map(|point| match char::from_u32(point) {
            Some(c) => c.encode_utf16(&mut [0; 2]).to_vec(),
            None => vec![point as u16],
        })
        .collect();
    PyString::from_utf16(&units)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "-?[1-9][0-9]{18,60}".prop_map(|digits| Value::from(BigInt::parse(&digits).unwrap())),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(|bits| Value::from(f64::from_bits(bits))),
        string().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((string(), inner), 0..6)
                .prop_map(|entries| entries.into_iter().collect::<Object>().into()),
        ]
    })
}

/// Values that `Dialect::Compact` can hold.
fn finite(value: &Value) -> bool {
    match value {
        Value::Float(x) => x.is_finite(),
        Value::Array(items) => items.iter().all(finite),
        Value::Object(entries) => entries.values().all(finite),
        _ => true,
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back_as_the_same_value_in_the_same_order(value in value()) {
        for dialect in [Dialect::Ascii, Dialect::Unicode, Dialect::Compact] {
            if dialect == Dialect::Compact && !finite(&value) {
                continue;
            }
            let text = to_json(&value, dialect);
            let raw = RawJson::parse(&Text::decode(text.clone()).unwrap()).unwrap();
            prop_assert_eq!(&raw.value(), &value);
            // Writing again gives the same bytes, so the order of keys is the same too.
            prop_assert_eq!(to_json(&raw.value(), dialect), text);
        }
    }

    #[test]
    fn ascii_is_ascii_and_repr_is_text(value in value()) {
        prop_assert!(to_json(&value, Dialect::Ascii).is_ascii());
        let repr = py_repr(&value);
        prop_assert!(!repr.chars().any(char::is_control));
    }

    #[test]
    fn a_text_in_any_encoding_is_the_same_text(value in value()) {
        let text = String::from_utf8(to_json(&value, Dialect::Unicode)).unwrap();
        let units: Vec<u16> = text.encode_utf16().collect();
        let le16: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let be16: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        let le32: Vec<u8> = text.chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
        let be32: Vec<u8> = text.chars().flat_map(|c| (c as u32).to_be_bytes()).collect();
        let marked = [&b"\xFF\xFE"[..], &le16].concat();
        for file in [text.clone().into_bytes(), be16, be32, marked] {
            let decoded = Text::decode(file).unwrap();
            prop_assert_eq!(decoded.as_str(), text.as_str());
        }
        // Without a mark little-endian is told by the zero bytes, which takes two characters of ASCII.
        if text.is_ascii() {
            for file in [le16, le32] {
                let decoded = Text::decode(file).unwrap();
                prop_assert_eq!(decoded.as_str(), text.as_str());
            }
        }
    }

    #[test]
    fn the_ways_to_read_agree_on_every_text(text in "[\\[\\]{}:,\"\\\\ntfalsrueNI0-9.eE+\\- \u{e9}\\x00-\\x1f]{0,40}") {
        let text = Text::from(text);
        let mut skipping = Scanner::new(&text);
        let skipped = skipping.skip().and_then(|_| skipping.finish());
        let mut reading = Scanner::new(&text);
        let read = reading.value().and_then(|_| reading.finish());
        prop_assert_eq!(&skipped, &read);
        prop_assert_eq!(skipped.is_ok(), RawJson::parse(&text).is_ok());
    }

    #[test]
    fn any_bytes_are_an_error_or_a_value(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(text) = Text::decode(bytes) {
            let _ = RawJson::parse(&text).map(|raw| raw.value());
        }
    }

    #[test]
    fn copies_and_comparisons_see_the_whole_value(value in value()) {
        let copy = value.clone();
        prop_assert_eq!(&copy, &value);
        prop_assert_ne!(Value::Array(vec![copy, Value::Null]), Value::Array(vec![value, Value::Bool(true)]));
    }
}
