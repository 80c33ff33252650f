//! The rules about what code does not mention.

use super::text::{SourceFile, text};
use super::{Absence, BESIDE, Rules, find};

/// The list of absences, and its heading.
const ARCHITECTURE: &str = "docs/architecture.md";
const ABSENT_HEADING: &str = "## What is absent";

/// What code must not mention, it does not.
pub(super) fn hold(files: &[SourceFile], rules: &[Rules], absences: &[Absence]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs") && !file.path.starts_with("xtask/src/tidy")) {
        let mut parts = file.path.split('/');
        let name = if parts.next() == Some("crates") { parts.next().unwrap_or_default() } else { "" };
        let floor = find(rules, name).map_or(BESIDE, |rules| rules.floor);
        let is_test =
            ["tests", "examples", "benches"].iter().any(|folder| file.path.split('/').any(|part| part == *folder));
        for absence in absences {
            let excepted = absence.except.iter().any(|place| file.path.starts_with(place));
            if floor > absence.up_to_floor || excepted || (is_test && absence.tests_may) {
                continue;
            }
            if let Some(line) = mention(&code(&file.text, absence.tests_may), absence.what) {
                problems.push(format!(
                    "{}:{line}: `{}` is absent here, says {ARCHITECTURE} (exceptions: ABSENT in xtask/src/tidy.rs)",
                    file.path, absence.what
                ));
            }
        }
    }
    problems
}

/// The section of the architecture about absences names each that is checked.
pub(super) fn are_documented(files: &[SourceFile], absences: &[Absence]) -> Vec<String> {
    let document = text(files, ARCHITECTURE);
    let Some((_, section)) = document.split_once(ABSENT_HEADING) else {
        return vec![format!("{ARCHITECTURE}: the section '{ABSENT_HEADING}' is missing")];
    };
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let bullets: Vec<&str> = section.split("\n- ").skip(1).collect();
    let unnamed = absences.iter().filter(|absence| {
        let quoted = format!("`{}`", absence.what);
        !bullets.iter().any(|bullet| bullet.contains(&quoted))
    });
    unnamed.map(|absence| format!("{ARCHITECTURE}: no item of '{ABSENT_HEADING}' names `{}`", absence.what)).collect()
}

/// The text with empty lines in place of comments and, if asked, of test modules. The code is taken to be formatted.
fn code(text: &str, without_tests: bool) -> String {
    let mut code = String::with_capacity(text.len());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let start = line.trim_start();
        if without_tests && (start.starts_with("#[cfg(test)]") || start.starts_with("#[cfg(all(test")) {
            // The item goes on to a line that is no deeper, and is its closing brace or its end.
            let indent = line.len() - start.len();
            code.push('\n');
            for inner in lines.by_ref() {
                code.push('\n');
                let trimmed = inner.trim_start();
                if inner.len() - trimmed.len() == indent && trimmed.ends_with(['}', ';']) {
                    break;
                }
            }
            continue;
        }
        if !start.starts_with("//") {
            code.push_str(line.split_once(" // ").map_or(line, |(code, _)| code));
        }
        code.push('\n');
    }
    code
}

/// The line that first mentions a word or path, be it in a group of imports: `use std::{fs, io}` mentions `std::fs`.
fn mention(code: &str, what: &str) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let stands_alone = |at: usize, length: usize| {
        let (before, after) = (&code[..at], &code[at + length..]);
        !before.ends_with(is_word) && !after.starts_with(is_word)
    };
    let direct = code.match_indices(what).map(|(at, _)| at).find(|at| stands_alone(*at, what.len()));
    let grouped = what.rsplit_once("::").and_then(|(module, last)| {
        let group = format!("{module}::{{");
        let mut groups = code.match_indices(&group).map(|(at, _)| at);
        groups.find(|at| !code[..*at].ends_with(is_word) && group_has(&code[at + group.len()..], last))
    });
    let at = direct.into_iter().chain(grouped).min()?;
    Some(code[..at].matches('\n').count() + 1)
}

/// Whether a group of imports, from behind its opening brace, has such an item.
fn group_has(group: &str, item: &str) -> bool {
    let (mut depth, mut word) = (0, String::new());
    let mut path_goes_on = false;
    for c in group.chars() {
        match c {
            _ if depth == 0 && (c.is_alphanumeric() || c == '_') => {
                word.push(c);
                continue;
            }
            '{' => depth += 1,
            '}' if depth == 0 => return !path_goes_on && word == item,
            '}' => depth -= 1,
            _ => {}
        }
        if !path_goes_on && word == item {
            return true;
        }
        if !word.is_empty() {
            path_goes_on = true;
            word.clear();
        }
        if depth == 0 && c == ',' {
            path_goes_on = false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::{ABSENT, rules};

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_owned(), text: text.to_owned() }
    }

    fn check_absences(path: &str, text: &str, expected: &[&str]) {
        let table = [rules(3, "docstore", "", ""), rules(4, "storage-context", "", "")];
        let found = hold(&[file(path, text)], &table, ABSENT);
        let short: Vec<_> = found.iter().map(|problem| problem.split(" is absent").next().unwrap()).collect();
        assert_eq!(short, expected, "{path}: {text}");
    }

    #[test]
    fn disks_networks_threads_and_unsafe_code_stay_where_they_belong() {
        let lib = "crates/docstore/src/lib.rs";
        check_absences(lib, "fn a() {}\n\nuse std::fs;\n", &["crates/docstore/src/lib.rs:3: `std::fs`"]);
        check_absences(lib, "use std::{\n    io,\n    fs::File,\n};\n", &["crates/docstore/src/lib.rs:1: `std::fs`"]);
        check_absences(lib, "use std::{io::{self, fs}, fmt, path::fs};\nstd::fsync(); mystd::fs();\n", &[]);
        check_absences(
            lib,
            "let a = std::net::TcpStream::connect(b);\n",
            &["crates/docstore/src/lib.rs:1: `std::net`"],
        );
        check_absences(lib, "thread::spawn(|| {});\n", &["crates/docstore/src/lib.rs:1: `thread::spawn`"]);
        check_absences(lib, "unsafe { a() }\n", &["crates/docstore/src/lib.rs:1: `unsafe`"]);
        check_absences(lib, "// unsafe\n/// `std::fs`\nlet unsafe_code = 1; // unsafe as it is\n", &[]);
        check_absences("xtask/src/a.rs", "unsafe { std::fs::a() }\n", &["xtask/src/a.rs:1: `unsafe`"]);
    }

    #[test]
    fn some_places_are_excepted() {
        check_absences("crates/fs-backends/src/fs.rs", "use std::{fs, net};\n", &[]);
        check_absences("crates/raw-json/src/raw.rs", "unsafe { a() }\n", &[]);
        check_absences("crates/storage-context/src/lib.rs", "thread::spawn(a);\n", &[]);
        check_absences("crates/docstore/tests/it/main.rs", "use std::fs; thread::spawn(a);\n", &[]);
        check_absences(
            "crates/docstore/tests/it/main.rs",
            "unsafe {}\n",
            &["crates/docstore/tests/it/main.rs:1: `unsafe`"],
        );
    }

    #[test]
    fn test_modules_are_told_from_code() {
        let path = "crates/docstore/src/a.rs";
        let module = "#[cfg(test)]\nmod tests {\n    use std::fs;\n    fn a() {\n    }\n}\n";
        check_absences(path, module, &[]);
        check_absences(path, &format!("{module}use std::fs;\n"), &["crates/docstore/src/a.rs:7: `std::fs`"]);
        check_absences(path, "#[cfg(test)]\nmod tests;\nuse std::fs;\n", &["crates/docstore/src/a.rs:3: `std::fs`"]);
        check_absences(
            path,
            "#[cfg(test)]\nmod tests {\n    unsafe {}\n}\n",
            &["crates/docstore/src/a.rs:3: `unsafe`"],
        );
    }

    #[test]
    fn the_architecture_lists_what_is_absent() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(are_documented(&[file(ARCHITECTURE, text)], ABSENT), expected);
        };
        let section =
            "# A\n\n## What is absent\n\n- `std::fs` and `std::net`\n- `thread::spawn`\n- `unsafe` code\n\n## More\n";
        check(section, &[]);
        check("# A\n", &["docs/architecture.md: the section '## What is absent' is missing"]);
        check(
            &section.replace("- `thread::spawn`\n", ""),
            &["docs/architecture.md: no item of '## What is absent' names `thread::spawn`"],
        );
        check(
            &section.replace("- `unsafe` code\n\n## More\n", "## More\n\n- `unsafe`\n"),
            &["docs/architecture.md: no item of '## What is absent' names `unsafe`"],
        );
    }
}
