/// Python's `str.capitalize`: the first character in title case, the others in lower case.
pub(crate) fn capitalize(text: &str) -> String {
    let Some(first) = text.chars().next() else { return String::new() };
    let first_in_lower: usize = first.to_lowercase().map(char::len_utf8).sum();
    // Of the whole, since a sigma is another one at the end of a word.
    let lower = text.to_lowercase();
    title_case(first) + &lower[first_in_lower..]
}

/// Title case by Unicode's rules. Where it is not the upper case, it mostly is the upper case with its further
/// characters in lower case.
fn title_case(c: char) -> String {
    const DIGRAPHS: [(char, char); 4] =
        [('\u{1C4}', '\u{1C6}'), ('\u{1C7}', '\u{1C9}'), ('\u{1CA}', '\u{1CC}'), ('\u{1F1}', '\u{1F3}')];
    if let Some((upper, _)) = DIGRAPHS.iter().find(|(upper, lower)| (*upper..=*lower).contains(&c)) {
        // It stands between the two.
        return char::from_u32(u32::from(*upper) + 1).unwrap_or(c).into();
    }
    let mut upper: Vec<char> = c.to_uppercase().collect();
    match (c, upper.as_mut_slice()) {
        // Georgian has no title case.
        ('\u{10D0}'..='\u{10FF}', _) => c.into(),
        ('\u{149}', _) => upper.into_iter().collect(),
        // Greek with an iota below.
        ('\u{1F80}'..='\u{1FAF}', _) => char::from_u32(u32::from(c) | 8).unwrap_or(c).into(),
        ('\u{1FBC}' | '\u{1FCC}' | '\u{1FFC}', _) => c.into(),
        ('\u{1FB3}' | '\u{1FC3}' | '\u{1FF3}', _) => char::from_u32(u32::from(c) + 9).unwrap_or(c).into(),
        ('\u{1FB2}'..='\u{1FF7}', [.., iota @ '\u{399}']) => {
            *iota = '\u{345}';
            upper.into_iter().collect()
        }
        (_, [first, further @ ..]) => {
            let further: String = further.iter().copied().flat_map(char::to_lowercase).collect();
            first.to_string() + &further
        }
        (_, []) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(capitalize(text), expected, "{text}");
    }

    #[test]
    fn it_is_python_s() {
        check("", "");
        check("machu PICCHU", "Machu picchu");
        check("1A", "1a");
        check("\u{3a3}\u{391}\u{3a3} \u{3a3}", "\u{3a3}\u{3b1}\u{3c2} \u{3c3}");
        check("\u{130}I", "\u{130}i");
    }

    #[test]
    fn title_case_is_not_upper_case() {
        check("\u{1c6}a \u{1c4}", "\u{1c5}a \u{1c6}");
        check("\u{1f2}A", "\u{1f2}a");
        check("\u{df}S", "Sss");
        check("\u{fb03}X", "Ffix");
        check("\u{149}A", "\u{2bc}Na");
        check("\u{10d0}\u{1c90}", "\u{10d0}\u{10d0}");
        check("\u{1f90}\u{1f98}", "\u{1f98}\u{1f90}");
        check("\u{1fb3}", "\u{1fbc}");
        check("\u{1fb7}", "\u{391}\u{342}\u{345}");
        check("\u{1fc4}A", "\u{389}\u{345}a");
    }
}
