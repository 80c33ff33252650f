//! Documents from files: which ones, in which order, and what they have. What is expected is what LlamaIndex gives for
//! the same files, but where a comment says so.

use std::fs;
use std::path::Path;

use async_trait::async_trait;
use fs_backends::MemoryFiles;
use futures_util::StreamExt;
use indices::{DecodeErrors, DirectoryReader, Error, FileContent, FileReader, ModelError, OnError, ReadError};
use pollster::block_on;
use raw_json::PyString;
use schema::{Metadata, Node};

/// A folder with much in it that can go wrong.
fn messy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("a/z.txt", &b"z"[..]),
        ("a-b.txt", b"a-b"),
        ("B.TXT", b"B"),
        ("b.txt", b"b"),
        (".hidden", b"hidden"),
        (".hid/x.txt", b"hid"),
        ("sub/deep/q.json", b"{}"),
        ("subway/g.txt", b"g"),
        ("empty.txt", b""),
        ("README", b"readme"),
        ("x.tar.gz", b"gz"),
        ("latin.txt", b"caf\xe9 x\r\n\0"),
    ] {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    dir
}

fn names(reader: &DirectoryReader, root: &Path) -> String {
    let name = |path: &std::path::PathBuf| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    block_on(reader.list_resources()).unwrap().iter().map(name).collect::<Vec<_>>().join(" ")
}

#[test]
fn files_are_chosen_and_in_order() {
    let dir = messy();
    let check = |set: fn(DirectoryReader) -> DirectoryReader, expected: &str| {
        assert_eq!(names(&set(DirectoryReader::new(dir.path())), dir.path()), expected);
    };
    check(|r| r, "B.TXT README a-b.txt b.txt empty.txt latin.txt x.tar.gz");
    let all = "B.TXT README a/z.txt a-b.txt b.txt empty.txt latin.txt sub/deep/q.json subway/g.txt x.tar.gz";
    check(|r| r.recursive(true), all);
    check(|r| r.exclude_hidden(false), ".hidden B.TXT README a-b.txt b.txt empty.txt latin.txt x.tar.gz");
    check(|r| r.exclude_empty(true).required_exts([".txt"]), "a-b.txt b.txt latin.txt");
    check(|r| r.required_exts([".gz", ""]), "README x.tar.gz");
    check(|r| r.exclude(["*.txt", "R*"]), "B.TXT x.tar.gz");
    check(|r| r.recursive(true).exclude(["*.txt"]), "B.TXT README sub/deep/q.json x.tar.gz");
    check(
        |r| r.recursive(true).exclude(["deep", "a"]).required_exts([".txt", ".json"]),
        "a-b.txt b.txt empty.txt latin.txt subway/g.txt",
    );
    // LlamaIndex takes `subway` for something below `sub`.
    check(
        |r| r.recursive(true).exclude(["sub"]).required_exts([".txt", ".json"]),
        "a/z.txt a-b.txt b.txt empty.txt latin.txt subway/g.txt",
    );
    // LlamaIndex takes the first that the disk tells, and leaves out hidden ones after that.
    check(|r| r.num_files_limit(2), "B.TXT README");
    check(|r| r.num_files_limit(0).required_exts([".TXT"]), "B.TXT");
}

#[test]
fn a_hidden_folder_above_hides_nothing() {
    // LlamaIndex finds no files there.
    let dir = messy();
    assert_eq!(names(&DirectoryReader::new(dir.path().join(".hid")), dir.path()), ".hid/x.txt");
}

#[test]
fn documents_tell_their_files() {
    let dir = messy();
    let path = dir.path().join("b.txt");
    let reader = DirectoryReader::new(dir.path()).required_exts([".txt"]).exclude(["latin*"]);
    let documents = block_on(reader.load_data()).unwrap();
    let document = &documents[1];
    assert_eq!((document.class_name(), document.text_content().to_string().as_str()), ("Document", "b"));
    let keys: Vec<String> = document.metadata.keys().map(ToString::to_string).collect();
    assert_eq!(keys, ["file_path", "file_name", "file_type", "file_size", "creation_date", "last_modified_date"]);
    assert_eq!(document.metadata.get(&b"file_path"[..]), Some(&path.to_str().unwrap().into()));
    assert_eq!(document.metadata.get(&b"file_type"[..]), Some(&"text/plain".into()));
    assert_eq!(document.metadata.get(&b"file_size"[..]), Some(&1.into()));
    let excluded = "file_name file_type file_size creation_date last_modified_date last_accessed_date";
    let joined = |keys: &[PyString]| keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(joined(&document.excluded_embed_metadata_keys), excluded);
    assert_eq!(joined(&document.excluded_llm_metadata_keys), excluded);
    assert_eq!(document.id.to_string().len(), 36);
    let documents = block_on(reader.clone().filename_as_id(true).load_data()).unwrap();
    assert_eq!(documents[1].id, path.to_str().unwrap());
    assert_eq!(documents[2].text_content(), "");

    let reader = reader.file_metadata(|path| Metadata::from_iter([("is".into(), path.to_str().unwrap().into())]));
    let documents = block_on(reader.load_data()).unwrap();
    assert_eq!(documents[1].metadata.len(), 1);
    assert_eq!(joined(&documents[1].excluded_llm_metadata_keys), excluded);
}

#[test]
fn texts_are_decoded_as_asked() {
    let dir = messy();
    let reader = DirectoryReader::from_files([dir.path().join("latin.txt")]);
    let text = |reader: DirectoryReader| block_on(reader.load_data()).map(|read| read[0].text_content().to_string());
    assert_eq!(text(reader.clone()).unwrap(), "caf x\r\n\0");
    assert_eq!(text(reader.clone().errors(DecodeErrors::Replace)).unwrap(), "caf\u{fffd} x\r\n\0");
    assert_eq!(text(reader.clone().encoding("latin-1")).unwrap(), "café x\r\n\0");
    let told = text(reader.clone().errors(DecodeErrors::Strict)).unwrap_err().to_string();
    assert!(told.contains("latin.txt is not in the encoding utf-8: byte 3 is wrong"), "{told}");
    let told = text(reader.encoding("klingon")).unwrap_err().to_string();
    assert_eq!(told, "unknown encoding: klingon");
}

#[test]
fn files_that_are_named_are_read_as_they_are_named() {
    let dir = messy();
    let at = |name: &str| dir.path().join(name);
    let reader = DirectoryReader::from_files([at("b.txt"), at(".hidden"), at("sub/../empty.txt"), at("b.txt")]);
    let told = names(&reader.exclude_empty(true).exclude(["*"]), dir.path());
    assert_eq!(told, "b.txt .hidden sub/../empty.txt b.txt");
}

#[test]
fn what_is_not_there_is_an_error() {
    let check = |reader: DirectoryReader, expected: &str| {
        let told = block_on(reader.load_data()).unwrap_err();
        assert_eq!(told.to_string(), expected);
    };
    let dir = messy();
    let path = dir.path().display();
    check(DirectoryReader::new("no/such"), "Directory no/such does not exist.");
    check(DirectoryReader::new(dir.path().join("b.txt")), &format!("Directory {path}/b.txt does not exist."));
    check(DirectoryReader::new(dir.path()).required_exts([".rs"]), &format!("No files found in {path}."));
    check(DirectoryReader::from_files(["no.txt"]), "File no.txt does not exist.");
    check(DirectoryReader::from_files([dir.path().join("sub")]), &format!("File {path}/sub does not exist."));
    check(DirectoryReader::from_files([""; 0]), "no files were given; name some, or a folder");
    assert!(block_on(DirectoryReader::new("no/such").load()).unwrap_err().is_not_found());
}

/// Makes two documents of each file, and fails on one.
#[derive(Debug)]
struct Halves;

#[async_trait]
impl FileReader for Halves {
    async fn load_data(&self, file: FileContent<'_>) -> Result<Vec<Node>, ModelError> {
        if file.bytes == b"bad" {
            return Err("it is bad".into());
        }
        let half = |at: i64| file.document(format!("half {at}"), [("half".into(), at.into())]);
        Ok(vec![half(0), half(1)])
    }
}

#[test]
fn readers_make_documents_of_their_formats() {
    let files = MemoryFiles::new([("a.x", &b"good"[..]), ("b.X", b"bad"), ("c.png", b"\x89PNG"), ("d.txt", b"text")]);
    let reader = DirectoryReader::of_place(files.unwrap()).file_extractor(".x", Halves).filename_as_id(true);
    let loaded = block_on(reader.load()).unwrap();
    let ids: Vec<String> = loaded.documents.iter().map(|document| document.id.to_string()).collect();
    assert_eq!(ids, ["/a.x_part_0", "/a.x_part_1", "/d.txt"]);
    let keys: Vec<String> = loaded.documents[0].metadata.keys().map(ToString::to_string).collect();
    assert_eq!(keys, ["half", "file_name", "file_path", "file_size"]);
    let skipped: Vec<String> = loaded.skipped.iter().map(|skipped| skipped.reason.to_string()).collect();
    let png = "/c.png is of a format that is no text, and nothing here reads it: give a reader for '.png', or leave such \
               files out";
    assert_eq!(skipped, ["/b.X cannot be read", png]);
    assert_eq!(loaded.skipped[0].path, Path::new("/b.X"));

    let told = block_on(reader.on_error(OnError::Raise).num_workers(3).load_data()).unwrap_err();
    assert!(matches!(told, Error::Read(ReadError::Reader { .. })), "{told}");
}

#[cfg(not(feature = "pdf"))]
#[test]
fn a_format_that_is_not_switched_on_names_its_feature() {
    let files = MemoryFiles::new([("a.PDF", "%PDF-1.4"), ("b.txt", "")]).unwrap();
    let loaded = block_on(DirectoryReader::of_place(files).load()).unwrap();
    assert!(loaded.skipped[0].reason.to_string().ends_with("switch on the feature 'pdf', or give a reader for '.pdf'"));
}

#[test]
fn what_cannot_be_read_is_an_error_or_skipped_as_asked() {
    let files = || MemoryFiles::new([("a.txt", &b"good"[..]), ("b.txt", b"\xff")]).unwrap();
    let strict = DirectoryReader::of_place(files()).errors(DecodeErrors::Strict);
    assert!(matches!(block_on(strict.load()), Err(Error::Read(ReadError::Decode { position: 0, .. }))));
    let loaded = block_on(strict.clone().on_error(OnError::Skip).load()).unwrap();
    assert_eq!((loaded.documents.len(), loaded.skipped.len()), (1, 1));
    block_on(async {
        let mut read = strict.iter_data().await.unwrap();
        assert_eq!(read.next().await.unwrap().unwrap().documents[0].text_content(), "good");
        let failed = read.next().await.unwrap();
        assert!(matches!(failed, Err(Error::Read(ReadError::Decode { position: 0, .. }))), "{failed:?}");
        assert!(read.next().await.is_none());
    });
}

#[cfg(unix)]
#[test]
fn links_are_followed_to_files_only() {
    use std::os::unix::fs::symlink;
    let dir = messy();
    symlink("b.txt", dir.path().join("link.txt")).unwrap();
    symlink("sub", dir.path().join("linked")).unwrap();
    let reader = DirectoryReader::new(dir.path()).recursive(true).required_exts([".txt", ".json"]);
    assert_eq!(
        names(&reader, dir.path()),
        "a/z.txt a-b.txt b.txt empty.txt latin.txt link.txt sub/deep/q.json subway/g.txt"
    );
    assert_eq!(block_on(reader.read_file_content("link.txt")).unwrap(), b"b");
    symlink("nowhere", dir.path().join("broken.txt")).unwrap();
    assert!(matches!(block_on(reader.load()), Err(Error::Read(ReadError::NoFile { .. }))));
    let loaded = block_on(reader.on_error(OnError::Skip).load()).unwrap();
    assert_eq!((loaded.documents.len(), loaded.skipped.len()), (8, 1));
}

#[test]
fn resources_are_looked_at_one_by_one() {
    let dir = messy();
    let reader = DirectoryReader::new(dir.path());
    let paths = block_on(reader.list_resources()).unwrap();
    let info = block_on(reader.resource_info(&paths[0])).unwrap();
    let keys: Vec<String> = info.keys().map(ToString::to_string).collect();
    assert_eq!(keys, ["file_path", "file_size", "creation_date", "last_modified_date"]);
    assert_eq!(info[&b"last_modified_date"[..]].as_str().unwrap().to_string().len(), "2000-02-29T12:34:56Z".len());
    let document = block_on(reader.load_resource(&paths[0])).unwrap().remove(0);
    assert_eq!((document.text_content().to_string().as_str(), document.excluded_llm_metadata_keys.len()), ("B", 0));
    assert_eq!(block_on(reader.read_file_content("sub/deep/q.json")).unwrap(), b"{}");
    for foreign in ["../x", "/etc/hostname", "sub/../../x"] {
        let told = block_on(reader.read_file_content(foreign));
        assert!(matches!(told, Err(Error::Read(ReadError::Foreign { .. }))), "{foreign}");
    }
    let some = DirectoryReader::from_files([&paths[0]]);
    assert!(block_on(some.load_resource(&paths[0])).is_ok());
    assert!(matches!(block_on(some.load_resource(&paths[1])), Err(Error::Read(ReadError::Foreign { .. }))));
}
