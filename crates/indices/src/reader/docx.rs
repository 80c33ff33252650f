use std::borrow::Cow;
use std::io::{BufReader, Cursor, Read};

use async_trait::async_trait;
use quick_xml::events::{BytesRef, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;
use schema::Node;
use zip::ZipArchive;

use super::{FileContent, FileReader};
use crate::ModelError;

/// Reads Word's files (`.docx`): one document of all their text, headers first and footers last, as LlamaIndex's
/// `DocxReader`. It is there with the feature `docx`.
///
/// There is an empty line between paragraphs. Footnotes and comments are left out, as there.
#[derive(Debug, Clone, Copy, Default)]
pub struct DocxReader;

#[async_trait]
impl FileReader for DocxReader {
    async fn load_data(&self, file: FileContent<'_>) -> Result<Vec<Node>, ModelError> {
        Ok(vec![file.document(text(file.bytes)?, [])])
    }
}

/// How long the parts of a file that are read may be together. A few bytes can be unpacked into gigabytes.
const MAX_UNPACKED: u64 = 1 << 28;

const NAMESPACES: [&str; 2] = [
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    "http://purl.oclc.org/ooxml/wordprocessingml/main",
];

fn text(bytes: &[u8]) -> Result<String, ModelError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))?;
    let names: Vec<String> = archive.file_names().map(|name| name.map(Cow::into_owned)).collect::<Result<_, _>>()?;
    let numbered = |kind: &str| {
        let is_one = |name: &&String| {
            let number = name.strip_prefix("word/").and_then(|name| name.strip_prefix(kind)?.strip_suffix(".xml"));
            number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        };
        names.iter().filter(is_one).cloned().collect::<Vec<String>>()
    };
    let mut text = String::new();
    let mut room = MAX_UNPACKED;
    for name in numbered("header").into_iter().chain(["word/document.xml".to_owned()]).chain(numbered("footer")) {
        let mut part = archive.by_name(&name)?.take(room);
        add_text(&mut part, &mut text)?;
        room = part.limit();
        if room == 0 {
            return Err(format!("it unpacks to more than {MAX_UNPACKED} bytes").into());
        }
    }
    Ok(text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)).to_owned())
}

/// Adds the text of a part.
fn add_text(part: impl Read, text: &mut String) -> Result<(), ModelError> {
    let mut reader = NsReader::from_reader(BufReader::new(part));
    let mut buffer = Vec::new();
    let mut is_text = false;
    // Tab stops are spelled as tabs are, and a picture's fallback repeats its text.
    let mut within_skipped = 0_u64;
    loop {
        let (namespace, event) = reader.read_resolved_event_into(&mut buffer)?;
        let is_word = matches!(namespace, ResolveResult::Bound(Namespace(uri)) if NAMESPACES.contains(&uri));
        match event {
            Event::Start(tag) if within_skipped > 0 || is_skipped(tag.local_name().as_ref()) => within_skipped += 1,
            Event::End(_) if within_skipped > 0 => within_skipped -= 1,
            _ if within_skipped > 0 => {}
            Event::Start(tag) | Event::Empty(tag) if is_word => match tag.local_name().as_ref() {
                "t" => is_text = true,
                "tab" => text.push('\t'),
                "br" | "cr" => text.push('\n'),
                "p" => text.push_str("\n\n"),
                _ => {}
            },
            Event::End(_) => is_text = false,
            Event::Text(piece) if is_text => text.push_str(&piece.xml10_content()),
            Event::CData(piece) if is_text => text.push_str(&piece.xml10_content()),
            Event::GeneralRef(reference) if is_text => text.push(character(&reference)?),
            Event::Eof => return Ok(()),
            _ => {}
        }
        buffer.clear();
    }
}

fn is_skipped(tag: &str) -> bool {
    matches!(tag, "tabs" | "Fallback")
}

/// The character that `&…;` stands for.
fn character(reference: &BytesRef<'_>) -> Result<char, ModelError> {
    if let Some(character) = reference.resolve_char_ref()? {
        return Ok(character);
    }
    let name = reference.xml10_content();
    match &*name {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(format!("the entity '{name}' is not known").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::result::ZipError;
    use zip::write::{SimpleFileOptions, ZipWriter};

    fn docx(parts: &[(&str, &str)]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, body) in parts {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            write!(zip, "<?xml version=\"1.0\"?><w:document xmlns:w=\"{}\">{body}</w:document>", NAMESPACES[0])
                .unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn check(body: &str, expected: &str) {
        assert_eq!(text(&docx(&[("word/document.xml", body)])).unwrap(), expected, "{body}");
    }

    #[test]
    fn paragraphs_tabs_and_breaks_are_text() {
        check("<w:p><w:r><w:t>One</w:t><w:tab/><w:t>two</w:t><w:br/><w:t>three</w:t></w:r></w:p>", "One\ttwo\nthree");
        check("<w:p><w:t>One</w:t></w:p><w:p/><w:p><w:t>two</w:t></w:p>", "One\n\n\n\ntwo");
        check("<w:p><w:t>a &amp; b &lt;&#233;&#x20AC;<![CDATA[<c>]]></w:t></w:p>", "a & b <é€<c>");
        check("<w:p><w:delText>old</w:delText><w:t xml:space=\"preserve\"> new\r\n</w:t>no text</w:p>", "new");
        check("<w:p><x:t xmlns:x=\"other\">no</x:t><t>no</t><w:t>yes</w:t></w:p>", "yes");
        check("<w:p><w:pPr><w:tabs><w:tab w:pos=\"1\"/></w:tabs></w:pPr><w:t>x</w:t></w:p>", "x");
        check("<w:p><m:Fallback xmlns:m=\"m\"><w:t>again</w:t></m:Fallback><w:t>once</w:t></w:p>", "once");
    }

    #[test]
    fn headers_come_first_and_footers_last() {
        let part = |text: &str| format!("<w:p><w:t>{text}</w:t></w:p>");
        let (footer, body, header, notes) = (part("footer"), part("body"), part("header"), part("notes"));
        let parts = [
            ("word/footer1.xml", footer.as_str()),
            ("word/document.xml", &body),
            ("word/header2.xml", &header),
            ("word/footnotes.xml", &notes),
        ];
        assert_eq!(text(&docx(&parts)).unwrap(), "header\n\nbody\n\nfooter");
    }

    #[test]
    fn what_is_damaged_is_an_error() {
        let whole = docx(&[("word/document.xml", "<w:p><w:t>text</w:t></w:p>")]);
        for len in 0..whole.len() {
            assert!(text(&whole[..len]).unwrap_err().is::<ZipError>(), "{len}");
        }
        let check = |name: &str, content: &str, expected: &str| {
            assert_eq!(text(&docx(&[(name, content)])).unwrap_err().to_string(), expected);
        };
        check("other.xml", "", "specified file not found in archive");
        check("word/document.xml", "<w:p>", "ill-formed document: expected `</w:p>`, but `</w:document>` was found");
        check("word/document.xml", "<w:t>&unknown;</w:t>", "the entity 'unknown' is not known");
        let deep = "<w:p>".repeat(100_000) + &"</w:p>".repeat(100_000);
        check("word/document.xml", &deep, "document nests elements deeper than the supported limit of 65535");
    }
}
