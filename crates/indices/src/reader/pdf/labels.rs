//! What pages are called.

use lopdf::{Dictionary, Document, Object};

/// The labels of pages, by section 12.4.2 of ISO 32000-1. Where there are none, pages are counted from 1.
pub(super) fn of(document: &Document, pages: usize) -> Vec<String> {
    let mut ranges = ranges(document);
    ranges.sort_by_key(|(first, _)| *first);
    let mut labels = Vec::with_capacity(pages);
    let mut ranges = ranges.into_iter().peekable();
    let mut current: Option<(usize, Range)> = None;
    for page in 0..pages {
        while let Some(next) = ranges.next_if(|(first, _)| *first <= page) {
            current = Some(next);
        }
        labels.push(match &current {
            Some((first, range)) => range.label(page - first),
            None => (page + 1).to_string(),
        });
    }
    labels
}

/// How pages from one on are called.
struct Range {
    style: Option<u8>,
    prefix: String,
    start: usize,
}

impl Range {
    fn new(dictionary: &Dictionary) -> Self {
        let style = dictionary.get(b"S").and_then(Object::as_name).ok().and_then(|name| name.first().copied());
        let prefix = dictionary.get(b"P").and_then(lopdf::decode_text_string).unwrap_or_default();
        let start = dictionary.get(b"St").and_then(Object::as_i64).ok().and_then(|start| usize::try_from(start).ok());
        Self { style, prefix, start: start.unwrap_or(1) }
    }

    fn label(&self, at: usize) -> String {
        let number = self.start.saturating_add(at);
        let number = match self.style {
            Some(b'D') => number.to_string(),
            Some(b'R') => roman(number),
            Some(b'r') => roman(number).to_lowercase(),
            Some(b'A') => letters(number),
            Some(b'a') => letters(number).to_lowercase(),
            _ => String::new(),
        };
        format!("{}{number}", self.prefix)
    }
}

/// The leaves of the tree of labels: from which page on each counts.
fn ranges(document: &Document) -> Vec<(usize, Range)> {
    let mut ranges = Vec::new();
    let root = document.catalog().and_then(|catalog| catalog.get_deref(b"PageLabels", document));
    let mut nodes: Vec<&Dictionary> = root.and_then(Object::as_dict).ok().into_iter().collect();
    // A tree of labels that leads back to itself ends here.
    for _ in 0..MAX_NODES {
        let Some(node) = nodes.pop() else { break };
        if let Ok(kids) = node.get_deref(b"Kids", document).and_then(Object::as_array) {
            nodes.extend(kids.iter().filter_map(|kid| document.dereference(kid).ok()?.1.as_dict().ok()));
        }
        if let Ok(numbers) = node.get_deref(b"Nums", document).and_then(Object::as_array) {
            for pair in numbers.chunks_exact(2) {
                let first = pair[0].as_i64().ok().and_then(|first| usize::try_from(first).ok());
                let range = document.dereference(&pair[1]).ok().and_then(|(_, range)| range.as_dict().ok());
                ranges.extend(first.zip(range.map(Range::new)));
            }
        }
    }
    ranges
}

const MAX_NODES: usize = 10_000;

fn roman(mut number: usize) -> String {
    const DIGITS: [(usize, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    // Longer than anyone counts pages so.
    if number > 100_000 {
        return number.to_string();
    }
    let mut roman = String::new();
    for (value, digit) in DIGITS {
        roman.push_str(&digit.repeat(number / value));
        number %= value;
    }
    roman
}

/// A to Z, then AA to ZZ, and so on.
fn letters(number: usize) -> String {
    let Some(at) = number.checked_sub(1) else { return String::new() };
    let letter = char::from(b'A' + u8::try_from(at % 26).unwrap_or_default());
    letter.to_string().repeat((at / 26 + 1).min(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled() {
        let check = |number, expected: (&str, &str)| {
            assert_eq!((roman(number).as_str(), letters(number).as_str()), expected);
        };
        check(0, ("", ""));
        check(1, ("I", "A"));
        check(14, ("XIV", "N"));
        check(1994, ("MCMXCIV", &"R".repeat(77)));
        check(27, ("XXVII", "AA"));
    }
}
