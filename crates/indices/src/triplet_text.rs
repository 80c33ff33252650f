//! Triplets as Python's `str` shows tuples: the keys of a knowledge graph's embeddings.

use graphstore::Triplet;
use raw_json::{PyString, Value, py_repr};

/// The triplet as a tuple of three strings.
pub(crate) fn tuple(triplet: &Triplet) -> PyString {
    let [subject, relation, object] = parts(triplet).map(|part| py_repr(&part));
    format!("({subject}, {relation}, {object})").into()
}

/// The triplet as a list of three strings, which is what a rel map has in it.
pub(crate) fn list(triplet: &Triplet) -> PyString {
    py_repr(&Value::from(parts(triplet).to_vec())).into()
}

fn parts(triplet: &Triplet) -> [Value; 3] {
    [&triplet.subject, &triplet.relation, &triplet.object].map(Value::from)
}

/// The triplet that a tuple shows; `None` if it shows something else.
pub(crate) fn read_tuple(text: &PyString) -> Option<Triplet> {
    let rest = text.to_str()?.strip_prefix('(')?;
    let (subject, rest) = read_string(rest)?;
    let (relation, rest) = read_string(rest.strip_prefix(", ")?)?;
    let (object, rest) = read_string(rest.strip_prefix(", ")?)?;
    (rest == ")").then_some(Triplet { subject, relation, object })
}

/// A string at the beginning of a text, and what follows it.
fn read_string(text: &str) -> Option<(PyString, &str)> {
    let mut chars = text.chars();
    let quote = chars.next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let mut points = Vec::new();
    loop {
        let point = match chars.next()? {
            end if end == quote => return Some((PyString::from_code_points(points), chars.as_str())),
            '\\' => match chars.next()? {
                'n' => u32::from('\n'),
                'r' => u32::from('\r'),
                't' => u32::from('\t'),
                'x' => read_hex(&mut chars, 2)?,
                'u' => read_hex(&mut chars, 4)?,
                'U' => read_hex(&mut chars, 8)?,
                other => u32::from(other),
            },
            other => u32::from(other),
        };
        points.push(point);
    }
}

fn read_hex(chars: &mut std::str::Chars<'_>, digits: usize) -> Option<u32> {
    let point = chars.by_ref().take(digits).try_fold(0_u32, |all, digit| Some(all * 16 + digit.to_digit(16)?))?;
    (point <= u32::from(char::MAX)).then_some(point)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn tuples_are_python_s() {
        let triplet = Triplet::new("Ada", "isn't", "a\\b\n\u{1}\u{e9}");
        assert_eq!(tuple(&triplet), "('Ada', \"isn't\", 'a\\\\b\\n\\x01\u{e9}')");
        assert_eq!(list(&triplet), "['Ada', \"isn't\", 'a\\\\b\\n\\x01\u{e9}']");
        assert_eq!(read_tuple(&tuple(&triplet)), Some(triplet));
    }

    #[test]
    fn what_is_no_tuple_is_not_read() {
        for text in
            ["", "(", "('a', 'b')", "('a', 'b', 'c'", "('a', 'b', 'c'))", "('a' 'b', 'c')", "('a', 'b', '\\x1')"]
        {
            assert_eq!(read_tuple(&text.into()), None, "{text}");
        }
        assert_eq!(read_tuple(&"('a', 'b', '\\Uffffffff')".into()), None);
    }

    proptest! {
        #[test]
        fn every_tuple_is_read(parts in vec(vec(0_u32..0x11_0000, 0..6), 3)) {
            let [subject, relation, object] =
                [0, 1, 2].map(|at: usize| PyString::from_code_points(parts[at].iter().copied()));
            let triplet = Triplet { subject, relation, object };
            prop_assert_eq!(read_tuple(&tuple(&triplet)), Some(triplet));
        }
    }
}
