//! Paths as Python spells them.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use raw_json::PyString;

/// A path, or a part of one, as Python's string of it.
#[cfg(unix)]
pub(super) fn string(path: impl AsRef<OsStr>) -> PyString {
    use std::os::unix::ffi::OsStrExt;
    // Bytes that are no Unicode become lone surrogates.
    let chunks = path.as_ref().as_bytes().utf8_chunks();
    PyString::from_code_points(chunks.flat_map(|chunk| {
        let invalid = chunk.invalid().iter().map(|byte| 0xdc00 + u32::from(*byte));
        chunk.valid().chars().map(u32::from).chain(invalid)
    }))
}

/// A path, or a part of one, as Python's string of it.
#[cfg(windows)]
pub(super) fn string(path: impl AsRef<OsStr>) -> PyString {
    use std::os::windows::ffi::OsStrExt;
    PyString::from_utf16(&path.as_ref().encode_wide().collect::<Vec<u16>>())
}

/// A path, or a part of one, as Python's string of it.
#[cfg(not(any(unix, windows)))]
pub(super) fn string(path: impl AsRef<OsStr>) -> PyString {
    PyString::from(path.as_ref().to_string_lossy().into_owned())
}

/// A path without `.` in it and with single separators, as Python's `Path` keeps it.
pub(super) fn normal(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, Component::CurDir)).collect()
}

/// The last suffix of a path's last part without its dot; empty if there is none.
pub(super) fn suffix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match name.rfind('.') {
        Some(dot) if dot > 0 => name[dot + 1..].to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_the_last_ones() {
        let check = |path: &str, expected: &str| assert_eq!(suffix(Path::new(path)), expected, "{path}");
        check("a/x.tar.gz", "gz");
        check("a/README", "");
        check("a/.hidden", "");
        check("a/.hidden.TXT", "TXT");
        check("a.b/x.", "");
        check("..txt", "txt");
    }

    #[test]
    fn paths_are_spelled_as_in_python() {
        let check = |path: &str, expected: &str| assert_eq!(normal(Path::new(path)), Path::new(expected), "{path}");
        check("./a//b/./c.txt", "a/b/c.txt");
        check("../a/", "../a");
        check("/a/../b", "/a/../b");
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_unicode_have_lone_surrogates() {
        use std::os::unix::ffi::OsStrExt;
        let name = OsStr::from_bytes(b"caf\xe9.txt");
        let points = [0x63, 0x61, 0x66, 0xdce9, 0x2e, 0x74, 0x78, 0x74];
        assert_eq!(string(name), PyString::from_code_points(points));
        assert_eq!(string("día/x"), "día/x");
    }
}
