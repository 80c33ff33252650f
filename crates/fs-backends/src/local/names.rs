//! The names that a disk takes as they are.

use persist::{Error, Result};

/// As [`persist::check_name`], and nothing that the operating system makes something else of.
pub(super) fn check_name(name: &str) -> Result<()> {
    persist::check_name(name)?;
    match made_of_it_by_windows(name) {
        Some(reason) if cfg!(windows) => Err(Error::InvalidName { name: name.to_owned(), reason }),
        _ => Ok(()),
    }
}

/// As [`persist::check_own_path`] likewise.
pub(super) fn check_own_path(path: &str) -> Result<()> {
    check_name(persist::check_own_path(path)?)
}

/// As [`persist::check_path`] likewise.
pub(super) fn check_path(path: &str) -> Result<()> {
    persist::check_path(path)?;
    check_name(path.rsplit('/').next().unwrap_or(path))
}

/// What Windows makes of a name other than a file of that name, if it does: another folder (`C:x`), a stream of another
/// file (`x:y`), another file (`x.`), or a device (`NUL.json`).
fn made_of_it_by_windows(name: &str) -> Option<&'static str> {
    if name.contains(['<', '>', ':', '"', '|', '?', '*']) {
        return Some("it has a character in it that Windows does not take");
    }
    if name.ends_with(['.', ' ']) {
        return Some("it ends with a dot or a space, which Windows cuts off");
    }
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    let numbered = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    let is_number = |rest: &str| rest.chars().count() == 1 && rest.chars().all(|c| "123456789¹²³".contains(c));
    let is_device = matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$");
    (is_device || numbered.is_some_and(is_number)).then_some("it is a device on Windows")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: &str) {
        let made = made_of_it_by_windows(name);
        assert!(made.map_or(expected.is_empty(), |told| !expected.is_empty() && told.contains(expected)), "{name}");
    }

    #[test]
    fn names_that_windows_makes_something_else_of_are_told() {
        for name in ["C:x", "docstore.json:x", "a?", "a|b", "\"a\""] {
            check(name, "does not take");
        }
        for name in [".colca.", "a.json ", "lock."] {
            check(name, "cuts off");
        }
        for name in ["NUL", "nul.json", "con .json", "Aux", "COM1.json", "lpt³", "CONIN$"] {
            check(name, "device");
        }
        for name in ["docstore.json", "COM.json", "COM10", "NULL.json", "console", "é__vector_store.json", "..json"] {
            check(name, "");
        }
    }

    #[test]
    fn they_are_refused_where_that_is_so() {
        for check in [check_name, check_path, |name: &str| check_own_path(&format!(".colca/{name}"))] {
            match check("C:x") {
                Err(persist::Error::InvalidName { reason, .. }) if cfg!(windows) => {
                    assert_eq!(reason, "it has a character in it that Windows does not take");
                }
                other => assert!(other.is_ok() && cfg!(not(windows)), "{other:?}"),
            }
            assert!(check("x").is_ok());
            assert!(matches!(check(".."), Err(persist::Error::InvalidName { .. })));
        }
    }
}
