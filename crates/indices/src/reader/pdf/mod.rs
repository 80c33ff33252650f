//! Documents from PDF files.

mod font;
mod labels;
mod text;

use async_trait::async_trait;
use lopdf::Document;
use schema::{Node, Value};

use super::{FileContent, FileReader};
use crate::ModelError;

/// Reads PDF files: one document of each page, with its `page_label` in the metadata, as LlamaIndex's `PDFReader`. It
/// is there with the feature `pdf`.
///
/// Text comes in the order in which it is drawn, and where lines and words end is told by where it is drawn. Files that
/// need a password cannot be read; what is only a picture has no text.
#[derive(Debug, Clone, Copy, Default)]
pub struct PdfReader {
    return_full_document: bool,
}

impl PdfReader {
    /// Whether all pages become one document; not by default.
    #[must_use]
    pub fn return_full_document(mut self, full: bool) -> Self {
        self.return_full_document = full;
        self
    }
}

#[async_trait]
impl FileReader for PdfReader {
    async fn load_data(&self, file: FileContent<'_>) -> Result<Vec<Node>, ModelError> {
        let pages = pages(file.bytes)?;
        if self.return_full_document {
            let texts: Vec<String> = pages.into_iter().map(|page| page.text).collect();
            return Ok(vec![file.document(texts.join("\n"), [])]);
        }
        let document = |page: Page| file.document(page.text, [("page_label".into(), Value::from(page.label))]);
        Ok(pages.into_iter().map(document).collect())
    }
}

struct Page {
    label: String,
    text: String,
}

fn pages(bytes: &[u8]) -> Result<Vec<Page>, ModelError> {
    let mut document = Document::load_mem(bytes)?;
    if document.is_encrypted() {
        document.decrypt("").map_err(|e| format!("it needs a password: {e}"))?;
    }
    if document.trailer.has(b"Encrypt") {
        return Err("it needs a password, or is encrypted in a way that is not known".into());
    }
    let ids = document.get_pages();
    if ids.is_empty() {
        return Err("it has no pages".into());
    }
    let labels = labels::of(&document, ids.len());
    let pages = ids.values().zip(labels).map(|(id, label)| Ok(Page { label, text: text::of_page(&document, *id)? }));
    pages.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with these objects besides two pages that draw `first` and `second` with the font `F`.
    fn pdf(first: &str, second: &str, more: &str) -> Vec<u8> {
        let stream = |text: &str| format!("<</Length {}>>stream\n{text}\nendstream", text.len());
        let page = "<</Type/Page/Parent 2 0 R/Resources 7 0 R/Contents";
        let file = format!(
            "%PDF-1.5\n1 0 obj<</Type/Catalog/Pages 2 0 R/PageLabels<</Nums[0<</S/r>>1<</S/D/P(A-)/St 5>>]>>>>endobj\n\
             2 0 obj<</Type/Pages/Kids[3 0 R 4 0 R]/Count 2>>endobj\n3 0 obj{page} 5 0 R>>endobj\n\
             4 0 obj{page} 6 0 R>>endobj\n5 0 obj{}endobj\n6 0 obj{}endobj\n\
             7 0 obj<</Font<</F 8 0 R/G 9 0 R>>/XObject<</X 10 0 R>>>>endobj\n\
             8 0 obj<</Type/Font/Subtype/Type1/Encoding/WinAnsiEncoding/FirstChar 0/Widths[{}]>>endobj\n{more}\n\
             trailer<</Root 1 0 R/Size 11>>",
            stream(first),
            stream(second),
            "600 ".repeat(256),
        );
        file.into_bytes()
    }

    fn check(drawn: &str, expected: &str) {
        let pages = pages(&pdf(drawn, "", "")).unwrap();
        assert_eq!(pages[0].text, expected, "{drawn}");
    }

    #[test]
    fn lines_and_words_end_where_they_are_drawn_apart() {
        check("BT /F 10 Tf 10 700 Td (Hello) Tj 0 -12 Td (world) Tj ET", "Hello\nworld");
        check("BT /F 10 Tf 12 TL (Hello) Tj T* (new) Tj (line) ' ET", "Hello\nnew\nline");
        // Five characters of 6 points each are drawn, so 30 is where they end.
        check("BT /F 10 Tf (Hello) Tj 30 0 Td (world) Tj ET", "Helloworld");
        check("BT /F 10 Tf (Hello) Tj 36 0 Td (world) Tj ET", "Hello world");
        check("BT /F 10 Tf [(Hel) 20 (lo) -600 (world)] TJ ET", "Hello world");
        check("q 2 0 0 2 0 0 cm BT /F 10 Tf (a) Tj ET Q BT /F 10 Tf 12 0 Td (b) Tj ET", "ab");
        check("BT /F 10 Tf (caf\\351) Tj ET", "café");
        check("BT (no font) Tj ET", "");
    }

    #[test]
    fn pages_have_their_labels() {
        let pages = pages(&pdf("BT /F 9 Tf (one) Tj ET", "BT /F 9 Tf (two) Tj ET", "")).unwrap();
        let told: Vec<(&str, &str)> = pages.iter().map(|page| (page.label.as_str(), page.text.as_str())).collect();
        assert_eq!(told, [("i", "one"), ("A-5", "two")]);
    }

    #[test]
    fn fonts_say_what_their_codes_mean() {
        let map = "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CMapName /X def\n/CMapType 2 def\n\
                   1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n1 beginbfchar\n<0001> <3042>\nendbfchar\n\
                   endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend";
        let more = format!(
            "9 0 obj<</Type/Font/Subtype/Type0/Encoding/Identity-H/ToUnicode 10 0 R>>endobj\n\
             10 0 obj<</Length {}>>stream\n{map}\nendstream endobj",
            map.len()
        );
        let told = pages(&pdf("BT /G 9 Tf <0001> Tj ET", "", &more)).unwrap();
        assert_eq!(told[0].text, "あ");
        let utf16 = "9 0 obj<</Type/Font/Subtype/Type0/Encoding/UniKS-UCS2-H>>endobj";
        assert_eq!(pages(&pdf("BT /G 9 Tf <D55CAE00> Tj ET", "", utf16)).unwrap()[0].text, "한글");
        let unknown = "9 0 obj<</Type/Font/Subtype/Type0/Encoding/90ms-RKSJ-H>>endobj";
        assert_eq!(pages(&pdf("BT /G 9 Tf <82A0> Tj ET", "", unknown)).unwrap()[0].text, "\u{fffd}");
    }

    #[test]
    fn forms_are_drawn_where_they_are_used_and_end() {
        let form = |drawn: &str| {
            let len = drawn.len();
            format!(
                "10 0 obj<</Type/XObject/Subtype/Form/Resources 7 0 R/Length {len}>>stream\n{drawn}\nendstream endobj"
            )
        };
        let once = form("BT /F 9 Tf (within) Tj ET");
        let drawn = "/X Do BT /F 9 Tf 0 -20 Td (after) Tj ET";
        assert_eq!(pages(&pdf(drawn, "", &once)).unwrap()[0].text, "within\nafter");
        let itself = form("BT /F 9 Tf (x) Tj ET /X Do");
        assert_eq!(pages(&pdf("/X Do", "", &itself)).unwrap()[0].text.matches('x').count(), 16);
        let often = form(&"/X Do ".repeat(1000));
        let told = pages(&pdf("/X Do", "", &often)).map(drop).unwrap_err();
        assert_eq!(told.to_string(), "the pictures of a page draw more than any page shows");
    }

    #[test]
    fn what_is_damaged_is_an_error_and_no_panic() {
        let whole = pdf("BT /F 10 Tf 10 700 Td (Hello) Tj ET", "", "");
        for len in 0..whole.len() {
            let _ = pages(&whole[..len]);
        }
        for none in [&b""[..], b"no such file"] {
            assert_eq!(pages(none).map(drop).unwrap_err().to_string(), "couldn't parse input");
        }
    }
}
