//! Patterns of files by fsspec's rules: `*`, `?` and `[a-z]` stay within a part of a path, and `**` is any number of
//! parts.

use std::path::Path;

use regex::Regex;

use super::ReadError;

/// A pattern of paths. It also matches whatever is below a path that it matches.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: Regex,
    is_absolute: bool,
}

impl Pattern {
    /// Reads a pattern; if it may match `anywhere`, it need not begin at the top.
    pub(super) fn new(pattern: &str, anywhere: bool) -> Result<Self, ReadError> {
        let failed = |problem: String| ReadError::Pattern { pattern: pattern.to_owned(), problem };
        let is_absolute = pattern.starts_with('/');
        let mut parts: Vec<&str> = pattern.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if anywhere && !is_absolute {
            parts.insert(0, "**");
        }
        let mut regex = String::from("^(?s:");
        for (at, part) in parts.iter().enumerate() {
            match *part {
                "**" if at + 1 == parts.len() => regex.push_str("/.*"),
                "**" => regex.push_str("(?:/.+)?"),
                "*" => regex.push_str("/[^/]+"),
                part if part.contains("**") => return Err(failed("'**' must stand between slashes".to_owned())),
                part => {
                    regex.push('/');
                    translate(part, &mut regex);
                }
            }
        }
        regex.push_str("(?:/.*)?)$");
        let regex = Regex::new(&regex).map_err(|e| failed(e.to_string()))?;
        Ok(Self { regex, is_absolute })
    }

    /// Whether it matches a file of a folder, or a folder that the file is in.
    pub(super) fn matches(&self, folder: &Path, name: &Path) -> bool {
        let path = if self.is_absolute { folder.join(name) } else { name.to_owned() };
        let parts = path.components().filter_map(|part| match part {
            std::path::Component::Normal(part) => Some(part.to_string_lossy()),
            std::path::Component::ParentDir => Some("..".into()),
            _ => None,
        });
        let spelled = parts.fold(String::new(), |path, part| path + "/" + &part);
        self.regex.is_match(&spelled)
    }
}

/// Adds the expression for a part of a pattern.
fn translate(part: &str, regex: &mut String) {
    let mut rest = part;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        match first {
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '[' => match class(rest) {
                Some((set, after)) => {
                    push_class(set, regex);
                    rest = after;
                }
                None => regex.push_str(r"\["),
            },
            c => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
}

/// What stands between brackets, and what comes behind them. A bracket that comes first closes nothing.
fn class(rest: &str) -> Option<(&str, &str)> {
    let skipped = usize::from(rest.starts_with('!'));
    let skipped = skipped + usize::from(rest[skipped..].starts_with(']'));
    let end = skipped + rest[skipped..].find(']')?;
    Some((&rest[..end], &rest[end + 1..]))
}

fn push_class(set: &str, regex: &mut String) {
    let (is_negated, set) = set.strip_prefix('!').map_or((false, set), |set| (true, set));
    let chars: Vec<char> = set.chars().collect();
    let escaped = |c: char| regex::escape(c.encode_utf8(&mut [0; 4]));
    let mut members = String::new();
    let mut at = 0;
    while at < chars.len() {
        let (first, is_range) = (chars[at], chars.get(at + 1) == Some(&'-') && at + 2 < chars.len());
        let last = if is_range { chars[at + 2] } else { first };
        at += if is_range { 3 } else { 1 };
        if first <= last {
            members.push_str(&format!("{}-{}", escaped(first), escaped(last)));
        }
    }
    match (is_negated, members.is_empty()) {
        (true, _) => regex.push_str(&format!("[^/{members}]")),
        // A range without members matches nothing.
        (false, true) => regex.push_str("[^\\x00-\\x{10FFFF}]"),
        (false, false) => regex.push_str(&format!("[[{members}]--/]")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, anywhere: bool, expected: &[&str]) {
        let names = [
            "a.txt",
            "b.md",
            ".h",
            "x[1].txt",
            "{a,b}",
            "sub/a.txt",
            "sub/deep/a.txt",
            "subway/a.txt",
            "a/sub",
            "A.TXT",
            "p\\q",
        ];
        let pattern_of = Pattern::new(pattern, anywhere).unwrap();
        let found: Vec<&str> =
            names.into_iter().filter(|name| pattern_of.matches(Path::new("/in"), Path::new(name))).collect();
        assert_eq!(found, expected, "{pattern}");
    }

    #[test]
    fn patterns_match_what_fsspec_matches() {
        check("*.txt", false, &["a.txt", "x[1].txt"]);
        check("*.txt", true, &["a.txt", "x[1].txt", "sub/a.txt", "sub/deep/a.txt", "subway/a.txt"]);
        check("?.md", false, &["b.md"]);
        check("[ab].*", false, &["a.txt", "b.md"]);
        check("[!a].*", false, &["b.md", "A.TXT"]);
        check("[a-b].txt", false, &["a.txt"]);
        check("[b-a].txt", false, &[]);
        check("[+-z].txt", false, &["a.txt"]);
        check("x[[]1].txt", false, &["x[1].txt"]);
        check("x[1.txt", false, &[]);
        check("{a,b}", false, &["{a,b}"]);
        check("p\\q", false, &["p\\q"]);
        check(
            "*",
            false,
            &[
                "a.txt",
                "b.md",
                ".h",
                "x[1].txt",
                "{a,b}",
                "sub/a.txt",
                "sub/deep/a.txt",
                "subway/a.txt",
                "a/sub",
                "A.TXT",
                "p\\q",
            ],
        );
        check("*/a.txt", false, &["sub/a.txt", "subway/a.txt"]);
        check("**/a.txt", false, &["a.txt", "sub/a.txt", "sub/deep/a.txt", "subway/a.txt"]);
        check("sub/**", false, &["sub/a.txt", "sub/deep/a.txt"]);
        check("./sub//deep/", false, &["sub/deep/a.txt"]);
        check("../in/a.txt", false, &[]);
        check("/in/a.txt", true, &["a.txt"]);
        check("/in/*/deep", true, &["sub/deep/a.txt"]);
        check("/a.txt", true, &[]);
    }

    #[test]
    fn folders_take_what_is_in_them_along_and_no_siblings() {
        check("sub", true, &["sub/a.txt", "sub/deep/a.txt", "a/sub"]);
        check("sub", false, &["sub/a.txt", "sub/deep/a.txt"]);
        check("deep", true, &["sub/deep/a.txt"]);
    }

    #[test]
    fn two_stars_stand_alone() {
        let told = Pattern::new("a**", true).unwrap_err();
        assert_eq!(told.to_string(), "'a**' is no pattern of files: '**' must stand between slashes");
    }
}
