//! Sections of documents that programs write, between two marks.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Replaces what stands between the two marks in a document; the marks stay.
///
/// # Errors
/// If the document cannot be read or written, or a mark is missing. It is then as it was.
pub fn write(marks: [&str; 2], section: &str, document: &Path) -> Result<()> {
    let cannot = || format!("cannot write between the marks of {}", document.display());
    let text = fs::read_to_string(document).with_context(cannot)?;
    fs::write(document, replaced(marks, &text, section).with_context(cannot)?).with_context(cannot)
}

fn replaced([begin, end]: [&str; 2], text: &str, section: &str) -> Result<String> {
    let (before, rest) = text.split_once(begin).with_context(|| format!("'{begin}' is missing"))?;
    let (_, after) = rest.split_once(end).with_context(|| format!("'{end}' is missing"))?;
    Ok(format!("{before}{begin}\n\n{}\n\n{end}{after}", section.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let written = replaced(["<a>", "</a>"], "before\n<a>\nold\n</a>\nafter\n", "new\n").unwrap();
        assert_eq!(written, "before\n<a>\n\nnew\n\n</a>\nafter\n");
        assert_eq!(replaced(["<a>", "</a>"], &written, "new\n").unwrap(), written);
    }

    #[test]
    fn a_missing_mark_is_named() {
        let check = |text, expected: &str| {
            assert_eq!(replaced(["<a>", "</a>"], text, "").unwrap_err().to_string(), expected);
        };
        check("no marks", "'<a>' is missing");
        check("<a> only one", "'</a>' is missing");
        check("</a> in the wrong order <a>", "'</a>' is missing");
    }
}
