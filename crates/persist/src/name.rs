use crate::{Error, OWN_FOLDER, Result};

/// The longest file name that common disks take, in bytes.
const LENGTH_MAX: usize = 255;

/// Checks that `name` is a plain file name, which cannot lead out of a place: no separators, no `..`, no control
/// characters, no name of ours (`.colca`).
///
/// # Errors
/// [`Error::InvalidName`] with the reason.
pub fn check_name(name: &str) -> Result<()> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name == "." || name == ".." {
        "it names a folder"
    } else if name.contains(['/', '\\']) {
        "it has a path separator in it"
    } else if name.chars().any(char::is_control) {
        "it has a control character in it"
    } else if name.len() > LENGTH_MAX {
        "it is longer than 255 bytes"
    } else if name.eq_ignore_ascii_case(OWN_FOLDER) {
        "that folder is Colca's own"
    } else {
        return Ok(());
    };
    Err(Error::InvalidName { name: name.to_owned(), reason })
}

/// Checks that `path` is a plain file name, or one within [`OWN_FOLDER`].
///
/// # Errors
/// [`Error::InvalidName`] with the reason.
pub fn check_path(path: &str) -> Result<()> {
    check_name(own_name(path).unwrap_or(path))
}

/// Checks that `path` is of a file within [`OWN_FOLDER`], and gives its name there.
///
/// # Errors
/// [`Error::InvalidName`] with the reason.
pub fn check_own_path(path: &str) -> Result<&str> {
    let reason = "it is not within Colca's own folder";
    let name = own_name(path).ok_or_else(|| Error::InvalidName { name: path.to_owned(), reason })?;
    check_name(name)?;
    Ok(name)
}

/// The path of a file within [`OWN_FOLDER`].
pub(crate) fn own_path(name: &str) -> String {
    format!("{OWN_FOLDER}/{name}")
}

fn own_name(path: &str) -> Option<&str> {
    path.strip_prefix(OWN_FOLDER)?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: [&str; 11] = ["", ".", "..", "../x", "a/b", "a\\b", "/etc/passwd", "a\0b", "a\nb", ".colca", ".COLCA"];

    #[test]
    fn names_cannot_leave_the_place() {
        for good in
            ["docstore.json", "béta__vector_store.json", "a__b__vector_store.json", "..json", "__vector_store.json"]
        {
            assert!(check_name(good).is_ok(), "{good}");
            assert!(check_path(good).is_ok(), "{good}");
            assert_eq!(check_own_path(&own_path(good)).unwrap(), good);
            assert!(check_own_path(good).is_err(), "{good}");
        }
        for bad in BAD.into_iter().chain([&*"x".repeat(256)]) {
            assert!(check_name(bad).is_err(), "{bad}");
            assert!(check_path(bad).is_err(), "{bad}");
            assert!(check_path(&own_path(bad)).is_err(), "{bad}");
            assert!(check_own_path(&own_path(bad)).is_err(), "{bad}");
        }
    }
}
