//! The corpus as this repository carries it: one archive per recorded version in `recordings`, unpacked when needed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use tar::{Archive, Builder, EntryType, Header};

/// What of a case is packed. `persist` is a folder.
const PARTS: [&str; 3] = ["case.json", "expect.json", "persist"];

/// The folder of the archives.
pub fn archives(root: &Path) -> PathBuf {
    root.join("xtask/corpus/recordings")
}

/// Packs every version below `source` into an archive in `to`. The same recordings give the same bytes.
///
/// # Errors
/// If there are no recordings, or a file cannot be read or written.
pub fn pack(source: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let mut total = 0;
    for version in sorted(source)? {
        let cases: Vec<PathBuf> = match version.is_dir() {
            true => sorted(&version)?.into_iter().filter(|case| case.join("case.json").is_file()).collect(),
            false => continue,
        };
        if cases.is_empty() {
            continue;
        }
        let name = version.file_name().unwrap_or_default();
        let mut archive = Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
        for case in &cases {
            for part in PARTS {
                append(&mut archive, source, &case.join(part))?;
            }
        }
        let bytes = archive.into_inner()?.finish()?;
        let target = to.join(format!("{}.tar.gz", name.to_string_lossy()));
        fs::write(&target, &bytes).with_context(|| format!("cannot write {}", target.display()))?;
        println!("{:>9} bytes, {:>3} cases: {}", bytes.len(), cases.len(), target.display());
        total += bytes.len();
    }
    let recorded = source.join("splitters/cases.json");
    if recorded.is_file() {
        let target = to.with_file_name("splitters.json.gz");
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        io::copy(&mut File::open(&recorded)?, &mut packed)?;
        fs::write(&target, packed.finish()?).with_context(|| format!("cannot write {}", target.display()))?;
    }
    ensure!(total > 0, "{} holds no recordings: no <version>/<case>/case.json there", source.display());
    println!("{total:>9} bytes in all");
    Ok(())
}

/// The recorded answers of the splitters.
pub fn splitters(root: &Path) -> PathBuf {
    root.join("xtask/corpus/splitters.json.gz")
}

/// The text of a file, which may be compressed.
pub(crate) fn read_text(file: &Path) -> Result<String> {
    let cannot = || format!("cannot read {}", file.display());
    let bytes = fs::read(file).with_context(cannot)?;
    if file.extension() != Some(OsStr::new("gz")) {
        return String::from_utf8(bytes).with_context(cannot);
    }
    io::read_to_string(GzDecoder::new(bytes.as_slice())).with_context(cannot)
}

fn append<W: io::Write>(archive: &mut Builder<W>, source: &Path, path: &Path) -> Result<()> {
    let cannot = || format!("cannot pack {}", path.display());
    let metadata = fs::symlink_metadata(path).with_context(cannot)?;
    let name = path.strip_prefix(source).with_context(cannot)?;
    let mut header = Header::new_gnu();
    if metadata.is_dir() {
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        archive.append_data(&mut header, name, io::empty()).with_context(cannot)?;
        return sorted(path)?.iter().try_for_each(|inner| append(archive, source, inner));
    }
    ensure!(metadata.is_file(), "{} is neither a file nor a folder", path.display());
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(metadata.len());
    archive.append_data(&mut header, name, File::open(path).with_context(cannot)?).with_context(cannot)
}

/// Unpacks the archives and returns the folder that holds `<version>/<case>`. Its name is a digest of the archives, so
/// that nothing is done when they have not changed. It appears complete or not at all, whoever else unpacks meanwhile.
///
/// # Errors
/// If an archive is damaged or leads out of its folder, or the folder cannot be written.
pub fn unpack(root: &Path) -> Result<PathBuf> {
    let archives: Vec<PathBuf> =
        sorted(&archives(root))?.into_iter().filter(|path| path.extension() == Some(OsStr::new("gz"))).collect();
    ensure!(!archives.is_empty(), "no archives in {}", self::archives(root).display());
    let folder = root.join("target/corpus");
    let ready = folder.join(digest(&archives)?);
    if ready.is_dir() {
        return Ok(ready);
    }
    static UNPACKED: AtomicUsize = AtomicUsize::new(0);
    let number = UNPACKED.fetch_add(1, Ordering::Relaxed);
    let unfinished = folder.join(format!("unfinished-{}-{number}", std::process::id()));
    remove(&unfinished)?;
    for path in &archives {
        unpack_one(File::open(path)?, &unfinished).with_context(|| format!("cannot unpack {}", path.display()))?;
    }
    cases(&unfinished)?;
    let old: Vec<PathBuf> =
        sorted(&folder)?.into_iter().filter(|old| !name_of(old).starts_with("unfinished-")).collect();
    if let Err(error) = fs::rename(&unfinished, &ready) {
        remove(&unfinished)?;
        ensure!(ready.is_dir(), "cannot make {}: {error}", ready.display());
        return Ok(ready);
    }
    old.iter().filter(|old| **old != ready).try_for_each(|old| remove(old))?;
    Ok(ready)
}

/// Unpacks one archive. Only plain files and folders below `to` are made.
fn unpack_one(archive: impl io::Read, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let mut archive = Archive::new(GzDecoder::new(archive));
    archive.set_preserve_mtime(false);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let plain = matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Directory);
        ensure!(plain, "{} is neither a file nor a folder", path.display());
        let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        ensure!(inside && entry.unpack_in(to)?, "{} leads out of the folder", path.display());
    }
    Ok(())
}

/// The folders of all cases below an unpacked corpus: `<version>/<case>`, sorted.
pub(crate) fn cases(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut cases = Vec::new();
    for version in sorted(folder)? {
        cases.extend(sorted(&version)?);
    }
    match cases.iter().find(|case| PARTS.iter().any(|part| !case.join(part).exists())) {
        Some(case) => bail!("{} is not a case: it needs {}", case.display(), PARTS.join(", ")),
        None => Ok(cases),
    }
}

fn digest(archives: &[PathBuf]) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for path in archives {
        name_of(path).hash(&mut hasher);
        fs::read(path).with_context(|| format!("cannot read {}", path.display()))?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot list {}", folder.display());
    let entries = fs::read_dir(folder).with_context(cannot)?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>().with_context(cannot)?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for one test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(test: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("xtask-{test}-{}", std::process::id()));
            remove(&folder).unwrap();
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn write(&self, path: &str, content: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn recorded(test: &str) -> Scratch {
        let scratch = Scratch::new(test);
        let deep = format!("persist/deep/{}", "long".repeat(40));
        for file in ["case.json", "expect.json", "persist/béta__vector_store.json", &deep, "notes.txt"] {
            scratch.write(&format!("source/v1/one/{file}"), file);
        }
        scratch.write("source/README.md", "not packed");
        scratch.write("source/generate/helper.py", "not packed");
        scratch
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        let scratch = recorded("round-trip");
        pack(&scratch.0.join("source"), &archives(&scratch.0)).unwrap();
        assert_eq!(sorted(&archives(&scratch.0)).unwrap(), [archives(&scratch.0).join("v1.tar.gz")]);
        let folder = unpack(&scratch.0).unwrap();
        let cases = cases(&folder).unwrap();
        assert_eq!(cases, [folder.join("v1/one")]);
        assert_eq!(
            fs::read_to_string(cases[0].join("persist/béta__vector_store.json")).unwrap(),
            "persist/béta__vector_store.json"
        );
        assert_eq!(sorted(&cases[0].join("persist/deep")).unwrap().len(), 1);
        assert!(!cases[0].join("notes.txt").exists());
    }

    #[test]
    fn packing_is_deterministic_and_unpacking_happens_once_per_content() {
        let scratch = recorded("stamp");
        let archive = archives(&scratch.0).join("v1.tar.gz");
        pack(&scratch.0.join("source"), &archives(&scratch.0)).unwrap();
        let (bytes, first) = (fs::read(&archive).unwrap(), unpack(&scratch.0).unwrap());
        scratch.write("source/v1/one/case.json", "case.json");
        pack(&scratch.0.join("source"), &archives(&scratch.0)).unwrap();
        assert_eq!(fs::read(&archive).unwrap(), bytes);
        fs::write(first.join("mark"), "").unwrap();
        assert_eq!(unpack(&scratch.0).unwrap(), first);
        assert!(first.join("mark").exists());

        scratch.write("source/v1/one/case.json", "changed");
        pack(&scratch.0.join("source"), &archives(&scratch.0)).unwrap();
        let second = unpack(&scratch.0).unwrap();
        assert_eq!(fs::read_to_string(second.join("v1/one/case.json")).unwrap(), "changed");
        assert_eq!(sorted(&scratch.0.join("target/corpus")).unwrap(), [second]);
    }

    fn check_refused(kind: EntryType, name: &str, expected: &str) {
        let scratch = Scratch::new(&format!("refused-{}", kind.as_byte()));
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(0o644);
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        let mut archive = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        archive.append(&header, io::empty()).unwrap();
        let bytes = archive.into_inner().unwrap().finish().unwrap();
        let error = unpack_one(&bytes[..], &scratch.0.join("inside")).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(sorted(&scratch.0).unwrap(), [scratch.0.join("inside")]);
    }

    #[test]
    fn links_and_paths_that_leave_the_folder_are_refused() {
        check_refused(EntryType::Regular, "../evil", "../evil leads out of the folder");
        check_refused(EntryType::Regular, "a/../../evil", "a/../../evil leads out of the folder");
        check_refused(EntryType::Regular, "/evil", "/evil leads out of the folder");
        check_refused(EntryType::Symlink, "evil", "evil is neither a file nor a folder");
        check_refused(EntryType::Link, "evil", "evil is neither a file nor a folder");
    }

    #[test]
    fn a_folder_without_recordings_and_an_incomplete_case_are_errors() {
        let scratch = recorded("incomplete");
        let error = pack(&scratch.0.join("target"), &scratch.0).unwrap_err();
        assert!(error.to_string().starts_with("cannot list"), "{error}");
        scratch.write("empty/README.md", "");
        let error = pack(&scratch.0.join("empty"), &scratch.0).unwrap_err();
        assert!(error.to_string().contains("holds no recordings"), "{error}");
        fs::remove_file(scratch.0.join("source/v1/one/expect.json")).unwrap();
        let error = pack(&scratch.0.join("source"), &scratch.0).unwrap_err();
        assert!(error.to_string().starts_with("cannot pack"), "{error}");
        fs::remove_dir_all(scratch.0.join("source/generate")).unwrap();
        fs::remove_file(scratch.0.join("source/README.md")).unwrap();
        let error = cases(&scratch.0.join("source")).unwrap_err();
        assert!(error.to_string().contains("is not a case"), "{error}");
    }

    #[test]
    fn the_archives_of_this_repository_are_complete() {
        let folder = unpack(&support::root()).unwrap();
        assert!(cases(&folder).unwrap().len() >= 250);
    }
}
