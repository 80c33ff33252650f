use crate::{Error, Result};

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
    } else if name.eq_ignore_ascii_case(".colca") {
        "that folder is Colca's own"
    } else {
        return Ok(());
    };
    Err(Error::InvalidName { name: name.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_place() {
        for good in
            ["docstore.json", "béta__vector_store.json", "a__b__vector_store.json", "..json", "__vector_store.json"]
        {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "../x", "a/b", "a\\b", "/etc/passwd", "a\0b", "a\nb", ".colca", &"x".repeat(256)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
