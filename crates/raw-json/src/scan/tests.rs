use super::*;

fn skip(text: &str) -> Result<()> {
    let text = Text::from(text);
    let mut scanner = Scanner::new(&text);
    scanner.skip()?;
    scanner.finish()
}

fn value(text: &str) -> Result<Value> {
    let text = Text::from(text);
    let mut scanner = Scanner::new(&text);
    let value = scanner.value()?;
    scanner.finish()?;
    Ok(value)
}

fn check_err(text: &str, kind: ErrorKind, line: usize, column: usize) {
    let err = skip(text).unwrap_err();
    assert_eq!((err.kind.clone(), err.line, err.column), (kind, line, column), "{text:?}");
    assert_eq!(value(text).unwrap_err(), err, "{text:?}");
}

#[test]
fn accepts_what_python_accepts() {
    for text in [
        "0",
        "-0",
        "-0.0",
        "1E5",
        "1e+5",
        "1.5e-10",
        "1e400",
        "NaN",
        "Infinity",
        "-Infinity",
        "[]",
        "{}",
        " [ ] ",
        "\t{\r\n}\n",
        r#""""#,
        r#""\/\b\f\n\r\t\"\\\u00E9\ud83d""#,
        "true",
        "false",
        "null",
        r#"{"": {"a": [1, {}]}}"#,
        "\"\u{7f}\u{2028}\"",
        "[NaN, -Infinity]",
    ] {
        assert_eq!(skip(text), Ok(()), "{text:?}");
        assert!(value(text).is_ok(), "{text:?}");
    }
}

#[test]
fn refuses_what_python_refuses_and_says_where() {
    use ErrorKind::*;
    check_err("", ExpectedValue, 1, 1);
    check_err("  ", ExpectedValue, 1, 3);
    check_err("{\"docstore/data\": {", ExpectedKey, 1, 20);
    check_err("{}x", ExtraData, 1, 3);
    check_err("[1,]", ExpectedValue, 1, 4);
    check_err("[1 2]", Expected("',' or ']'"), 1, 4);
    check_err("{\"a\" 1}", Expected("':'"), 1, 6);
    check_err("{\"a\": 1 \"b\"}", Expected("',' or '}'"), 1, 9);
    check_err("{\"a\": 1,}", ExpectedKey, 1, 9);
    check_err("{a: 1}", ExpectedKey, 1, 2);
    check_err("{\n \"é\": \"\n\"}", ControlCharacter, 2, 8);
    check_err("[\"abc", UnterminatedString, 1, 2);
    check_err(r#""\x""#, InvalidEscape, 1, 2);
    check_err(r#""\u12g4""#, InvalidEscape, 1, 2);
    check_err(r#""\u123"#, InvalidEscape, 1, 2);
    for number in ["-", "+1", ".5", "-NaN", "nan", "inf", "-I", "--1"] {
        check_err(number, ExpectedValue, 1, 1);
    }
    for (number, column) in
        [("01", 2), ("1.", 2), ("1.e5", 2), ("1e", 2), ("1e+", 2), ("-01", 3), ("0x1", 2), ("1_0", 2)]
    {
        check_err(number, ExtraData, 1, column);
    }
    check_err("tru", ExpectedValue, 1, 1);
    check_err("[1}", Expected("',' or ']'"), 1, 3);
    check_err("\u{0}", ExpectedValue, 1, 1);
}

#[test]
fn depth_is_bounded_and_does_not_use_the_stack() {
    let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
    assert_eq!(skip(&nested(MAX_DEPTH)), Ok(()));
    assert_eq!(skip(&nested(MAX_DEPTH + 1)).unwrap_err().kind, ErrorKind::TooDeep);
    assert_eq!(skip(&"[".repeat(if cfg!(miri) { 10_000 } else { 10_000_000 })).unwrap_err().kind, ErrorKind::TooDeep);
    const DEPTH: usize = if cfg!(miri) { 50 } else { MAX_DEPTH };
    let objects = "{\"k\":".repeat(DEPTH) + "1" + &"}".repeat(DEPTH);
    let deep = value(&objects).unwrap();
    assert_eq!(deep.clone(), deep);
}

#[test]
fn integers_beyond_pythons_limit_are_refused() {
    assert!(value(&"9".repeat(MAX_INT_DIGITS)).is_ok());
    assert!(value(&format!("-{}", "9".repeat(MAX_INT_DIGITS))).is_ok());
    assert_eq!(value(&"9".repeat(MAX_INT_DIGITS + 1)).unwrap_err().kind, ErrorKind::IntegerTooLong);
    assert_eq!(value(&format!("{}.0", "9".repeat(MAX_INT_DIGITS + 1))), Ok(Value::Float(f64::INFINITY)));
}

#[test]
fn numbers_become_python_numbers() {
    assert_eq!(value("-0"), Ok(Value::Int(0)));
    assert_eq!(value("-0.0"), Ok(Value::Float(-0.0)));
    assert_eq!(value("1E5"), Ok(Value::Float(1e5)));
    assert_eq!(value("1e400"), Ok(Value::Float(f64::INFINITY)));
    assert_eq!(value("9223372036854775808").unwrap().to_string(), "9223372036854775808");
    assert_eq!(value("true"), Ok(Value::Bool(true)));
    assert_eq!(value("false"), Ok(Value::Bool(false)));
}

#[test]
fn strings_are_unescaped_and_surrogates_paired() {
    let string = |text: &str| value(text).unwrap().as_str().cloned().unwrap();
    assert_eq!(string(r#""\ud83d\ude00""#), PyString::from("\u{1F600}"));
    assert_eq!(string(r#""\uD83D\u0041""#), PyString::from_code_points([0xD83D, 0x41]));
    assert_eq!(string(r#""\ud83d\ud83d\ude00""#), PyString::from_code_points([0xD83D, 0x1F600]));
    assert_eq!(string(r#""\ude00\ud83d""#), PyString::from_code_points([0xDE00, 0xD83D]));
    assert_eq!(string(r#""a\n\/\\\"""#), PyString::from("a\n/\\\""));
}

#[test]
fn duplicate_keys_keep_the_first_place_and_the_last_value() {
    assert_eq!(value(r#"{"a": 1, "b": 2, "a": 3}"#).unwrap().to_string(), r#"{"a": 3, "b": 2}"#);
}

#[test]
fn plain_len_agrees_with_a_plain_loop() {
    for stop in 0u8..=255 {
        for at in 0..20 {
            let mut bytes = [b'x'; 24];
            bytes[at] = stop;
            bytes[23] = b'"';
            let slow = bytes.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20).unwrap();
            assert_eq!(plain_len(&bytes), slow, "{stop} at {at}");
        }
    }
}

#[test]
fn values_nobody_reads_are_passed_over() {
    let text = Text::from(r#"{"a": [1, [2]], "b": 3}"#);
    let mut keys = Vec::new();
    let mut scanner = Scanner::new(&text);
    scanner
        .object(|key, value| {
            value.kind()?;
            keys.push(key.to_string());
            Ok::<_, Error>(())
        })
        .unwrap();
    assert_eq!(keys, ["a", "b"]);
}
