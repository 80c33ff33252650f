//! Random texts, in characters that Unicode 14 knows, so that every version of Python prints them alike.

use colca::raw_json::PyString;
use support::Random;

/// Ranges of code points, both ends included. The first are taken most often.
const BLOCKS: [(u32, u32); 25] = [
    (0x61, 0x7A),       // a to z
    (0x20, 0x7E),       // ASCII
    (0xC0, 0x24F),      // Latin
    (0x3B1, 0x3C9),     // Greek
    (0x400, 0x482),     // Cyrillic
    (0x5D0, 0x5EA),     // Hebrew
    (0x620, 0x64A),     // Arabic
    (0x905, 0x939),     // Devanagari
    (0xE01, 0xE3A),     // Thai
    (0x4E00, 0x9FA5),   // Chinese
    (0xAC00, 0xD7A3),   // Hangul
    (0x1F600, 0x1F64F), // faces
    (0x1FAE0, 0x1FAE7), // faces of Unicode 14
    (0x1D400, 0x1D454), // mathematics
    (0x20000, 0x20010), // rare Chinese
    (0x300, 0x34E),     // combining marks
    (0x0, 0x1F),        // controls
    (0x7F, 0xA0),       // more of them
    (0x2000, 0x200F),   // spaces, joiners and marks of direction
    (0x2028, 0x202F),   // ends of lines and paragraphs
    (0xE000, 0xE010),   // private use
    (0xFE0E, 0xFE0F),   // variation selectors
    (0xFEFF, 0xFEFF),   // byte order mark
    (0xFFFD, 0xFFFF),   // replacement character, two that are none
    (0x10FFFE, 0x10FFFF),
];

/// Pieces that formats, quoting and escaping could stumble over.
const PIECES: [&str; 16] = [
    "\"",
    "'",
    "\\",
    "\\n",
    "\n",
    "\r\n",
    "\t",
    "{",
    "}",
    "{}",
    "{key}",
    "{{x}}",
    "%s",
    "\\ud83d",
    "None",
    "  \u{1C} ",
];

/// A text. With `surrogates` it may hold lone ones, none at its end, so that texts can be joined.
pub(super) fn text(random: &mut Random, surrogates: bool) -> PyString {
    let pieces = match random.below(20) {
        0 => 0,
        1 => random.between(20, 60),
        _ => random.between(1, 8),
    };
    let mut points = Vec::new();
    for _ in 0..pieces {
        match random.below(20) {
            0 if surrogates => points.extend([random.between(0xD800, 0xDFFF) as u32, u32::from('s')]),
            0..=3 => points.extend(random.pick(&PIECES).chars().map(u32::from)),
            4..=9 => points.push(code_point(random, BLOCKS[0])),
            _ => {
                let block = *random.pick(&BLOCKS);
                points.push(code_point(random, block));
            }
        }
    }
    PyString::from_code_points(points)
}

/// A text that ends in something of its own, for ids that must not be the same.
pub(super) fn id(random: &mut Random, surrogates: bool, end: usize) -> PyString {
    let start = if random.chance(50) { PyString::from("n") } else { text(random, surrogates) };
    PyString::concat([&start, &PyString::from(format!("-{end}"))])
}

fn code_point(random: &mut Random, (first, last): (u32, u32)) -> u32 {
    random.between(first as usize, last as usize) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_can_be_joined() {
        let mut random = Random::new(3);
        let mut lone = false;
        for _ in 0..2000 {
            let points: Vec<u32> = text(&mut random, true).code_points().collect();
            let is_surrogate = |point: &u32| (0xD800..0xE000).contains(point);
            lone |= points.iter().any(is_surrogate);
            assert!(!points.last().is_some_and(is_surrogate));
            assert!(!points.windows(2).any(|pair| pair.iter().all(is_surrogate)));
            assert!(text(&mut random, false).to_str().is_some());
        }
        assert!(lone);
    }
}
