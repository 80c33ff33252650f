use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use bytes::Bytes;
use colca::persist::{Changes, CommitOptions, Content, Digest, Durability, Manifest, PersistFile, Writer};
use colca::prelude::*;
use pollster::block_on;

use crate::Bench;
use crate::limits::write_files;
use crate::row::{Line, Row};
use crate::timing::{in_turn, timed};

pub(super) const ROW: Row =
    Row { name: "commit", work: "Commits files whose bytes are at hand, durably.", full_s: 20, quick_s: 3, measure };

/// Files by name.
type Files = Vec<(String, Bytes)>;

fn measure(bench: &mut Bench) -> Result<Vec<Line>> {
    let all = files_in(&bench.data.context)?;
    let docstore = all.iter().filter(|(name, _)| name == "docstore.json").cloned().collect();
    let empty = bench.data.scratch("empty")?;
    block_on(StorageContext::in_memory().persist(empty.as_path()))?;
    let files = [
        ("commit all files", all),
        ("commit the document store", docstore),
        ("commit an empty context", files_in(&empty)?),
    ];
    fs::remove_dir_all(empty)?;
    files.into_iter().map(|(work, files)| commit_beside_plain_writing(bench, work, &files)).collect()
}

fn files_in(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?.into()));
        }
    }
    Ok(files)
}

fn commit_beside_plain_writing(bench: &Bench, work: &str, files: &Files) -> Result<Line> {
    let (plain, committed) = (bench.data.scratch("plain")?, bench.data.scratch("committed")?);
    let location = LocalFs::new(&committed);
    let mut previous = None;
    let [ours, limit] = in_turn([
        Box::new(timed(|| {
            previous = Some(commit(&location, files, previous.as_ref())?);
            Ok(())
        })),
        Box::new(timed(|| write_files(&plain, files))),
    ])?;
    fs::remove_dir_all(plain)?;
    fs::remove_dir_all(committed)?;
    Ok(Line { work: work.to_owned(), ours, theirs: None, limit: Some(("writing them with fsync", limit)) })
}

/// As a context does it that knows what it replaces.
fn commit(location: &LocalFs, files: &Files, previous: Option<&Manifest>) -> Result<Manifest> {
    let known = previous.iter().flat_map(|manifest| &manifest.files).map(|file| (file.name.clone(), file.digest));
    let known: HashMap<String, Digest> = known.collect();
    let write = files.iter().map(|(name, bytes)| PersistFile::new(name, Content::Bytes(bytes.clone()))).collect();
    let options = CommitOptions { durability: Durability::Full, ..CommitOptions::default() };
    block_on(async {
        let writer = Writer::begin(location, options).await?.prepare().await?;
        let committed = writer.commit(Changes { write, known, ..Changes::default() }).await?;
        ensure!(committed.unpublished.is_none(), "the commit was not published");
        Ok(committed.manifest)
    })
}
