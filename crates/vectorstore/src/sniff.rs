//! What a file that is not ours seems to be, by its first bytes.

/// What a file seems to be, in words: `"a FAISS index"`. `None` if nothing is known about such a start.
pub fn sniff(head: &[u8]) -> Option<&'static str> {
    seems(head).map(|(what, _)| what)
}

const DECOMPRESS: &str = "decompress it first";
const OTHER_STORE: &str = "open it with the program that wrote it and pass that store when opening this place";
const RESTORE: &str = "a write was interrupted; restore the file or build the index again";
const NOT_THE_FILE: &str = "this was saved in place of the file; fetch the file again";

/// Files that start with a mark of their own.
const MARKS: &[(&[u8], &str, &str)] = &[
    (b"\x1F\x8B", "gzip data", DECOMPRESS),
    (b"\x28\xB5\x2F\xFD", "zstd data", DECOMPRESS),
    (b"\xFD7zXZ\0", "xz data", DECOMPRESS),
    (b"BZh", "bzip2 data", DECOMPRESS),
    (b"\x04\x22\x4D\x18", "LZ4 data", DECOMPRESS),
    (b"PK\x03\x04", "a zip archive", "unpack it first"),
    (b"PK\x05\x06", "an empty zip archive", "unpack what it was meant to hold"),
    (b"SQLite format 3\0", "an SQLite database", OTHER_STORE),
    (b"redb\x1A\x0A", "a redb database", OTHER_STORE),
    (b"PAR1", "a Parquet file", OTHER_STORE),
    (b"ARROW1", "an Arrow file", OTHER_STORE),
    (b"FEA1", "a Feather file", OTHER_STORE),
    (b"\xFF\xFF\xFF\xFF", "an Arrow stream", OTHER_STORE),
    (b"\x93NUMPY", "a NumPy array", OTHER_STORE),
    (b"\x89HDF\r\n\x1A\n", "an HDF5 file", OTHER_STORE),
    (b"%PDF", "a PDF document", NOT_THE_FILE),
    (b"version https://git-lfs", "a Git LFS pointer", "fetch the file itself with 'git lfs pull'"),
];

/// The codes of FAISS's indices over floats that are met most, and of all over bits, whose headers have no other mark.
const FAISS: &[&[u8; 4]] = &[
    b"IxFI", b"IxF2", b"IxFl", b"IxMp", b"IxM2", b"IxPT", b"IxRF", b"IxPq", b"IxSQ", b"IxHe", b"IwFl", b"IwFd",
    b"IwPQ", b"IwQR", b"IwSq", b"IwSh", b"IvFl", b"IvPQ", b"IvSQ", b"IHNf", b"IHNp", b"IHNs", b"IHN2", b"IHNc",
    b"IHc2", b"INSf", b"INSp", b"INSs", b"INNf", b"IBxF", b"IBwF", b"IBFf", b"IBHf", b"IBMp", b"IBM2", b"IBHh",
    b"IBHm",
];

/// What FAISS writes twice at byte 16 of every index over floats: 2^20 as 64 bits.
const FAISS_FILLER: [u8; 8] = (1_u64 << 20).to_le_bytes();

/// What a file seems to be, and what to do then.
pub(crate) fn seems(head: &[u8]) -> Option<(&'static str, &'static str)> {
    if head.iter().all(|b| b.is_ascii_whitespace()) {
        return Some(("an empty file", RESTORE));
    }
    if head.iter().all(|&b| b == 0) {
        return Some(("nothing but zero bytes", RESTORE));
    }
    if let Some((_, what, advice)) = MARKS.iter().find(|(mark, ..)| head.starts_with(mark)) {
        return Some((what, advice));
    }
    let filler = head.get(16..24) == Some(&FAISS_FILLER) && head.get(24..32) == Some(&FAISS_FILLER);
    if FAISS.iter().any(|code| head.starts_with(*code)) || (head.starts_with(b"I") && filler) {
        return Some(("a FAISS index", "open it with FAISS and pass that store when opening this place"));
    }
    // Protocols 2 to 5 start with PROTO; a frame, a mark, a dictionary, a list or a name follows.
    if let [0x80, 2..=5, 0x95 | b'(' | b'}' | b']' | b'c' | b'X' | 0x8C, ..] = head {
        return Some(("a Python pickle", OTHER_STORE));
    }
    text_seems(head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start())
}

fn text_seems(text: &[u8]) -> Option<(&'static str, &'static str)> {
    let starts_with = |mark: &str| text.get(..mark.len()).is_some_and(|t| t.eq_ignore_ascii_case(mark.as_bytes()));
    if starts_with("<!doctype html") || starts_with("<html") {
        return Some(("an HTML page", NOT_THE_FILE));
    }
    if starts_with("<?xml") || starts_with("<error>") {
        return Some(("an XML document", NOT_THE_FILE));
    }
    if text.starts_with(b"[") {
        return Some(("a JSON list", "a store's file is a JSON object; look for the right file"));
    }
    let first_key = text.strip_prefix(b"{")?.trim_ascii_start();
    let camel_case = [r#""embeddingDict""#, r#""textIdToRefDocId""#, r#""metadataDict""#];
    if camel_case.iter().any(|key| first_key.starts_with(key.as_bytes())) {
        let advice = "its layout differs; rename embeddingDict, textIdToRefDocId and metadataDict to \
                      embedding_dict, text_id_to_ref_doc_id and metadata_dict";
        return Some(("a vector store of LlamaIndexTS", advice));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &[u8], expected: Option<&str>) {
        assert_eq!(sniff(head), expected, "{:?}", String::from_utf8_lossy(head));
    }

    #[test]
    fn what_other_programs_leave_behind() {
        check(b"", Some("an empty file"));
        check(b" \n", Some("an empty file"));
        check(&[0; 100], Some("nothing but zero bytes"));
        check(b"IxFI\x08\0\0\0", Some("a FAISS index"));
        check(b"IxM2\x08\0\0\0", Some("a FAISS index"));
        check(b"IHNf\x08\0\0\0", Some("a FAISS index"));
        check(b"IBwF\x08\0\0\0", Some("a FAISS index"));
        check(b"\x1F\x8B\x08\0", Some("gzip data"));
        check(b"PK\x03\x04\x14", Some("a zip archive"));
        check(b"SQLite format 3\0\x10", Some("an SQLite database"));
        check(b"PAR1\x15", Some("a Parquet file"));
        check(b"ARROW1\0\0", Some("an Arrow file"));
        check(b"\x80\x04\x95\x10", Some("a Python pickle"));
        check(b"<!DOCTYPE html><html>", Some("an HTML page"));
        check(b"\n<HTML>", Some("an HTML page"));
        check(b"<?xml version=\"1.0\"?><Error>", Some("an XML document"));
        check(b"version https://git-lfs.github.com/spec/v1", Some("a Git LFS pointer"));
        check(b"{\"embeddingDict\": {}}", Some("a vector store of LlamaIndexTS"));
        check(b"[1, 2]", Some("a JSON list"));
    }

    #[test]
    fn an_unknown_faiss_index_is_known_by_its_header() {
        let header = [&b"IxZZ\x08\0\0\0\x06\0\0\0\0\0\0\0"[..], &FAISS_FILLER, &FAISS_FILLER, b"\x01"].concat();
        check(&header, Some("a FAISS index"));
        check(&header[..31], None);
    }

    #[test]
    fn ours_and_the_unknown_have_no_name() {
        check(b"{}", None);
        check(b"{\"embedding_dict\": {}}", None);
        check(b"\xEF\xBB\xBF{\"embedding_dict\": {}}", None);
        check(b"\xFF\xFE{\0}\0", None);
        check(b"anything", None);
    }
}
