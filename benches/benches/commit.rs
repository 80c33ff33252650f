//! What a commit costs beyond writing the same bytes durably, and what a persist of one changed document writes.
//!
//! Prints ratios within this run; each is the median of rounds in which both sides take turns. `cargo bench --bench
//! commit -- --small` takes a tenth of the nodes.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use benches::{context, embedded_nodes, persisted};
use bytes::Bytes;
use colca::persist::{
    Changes, CommitOptions, Content, Digest, Durability, Folder, Manifest, PersistFile, Progress, Step, Writer,
};
use colca::prelude::*;
use colca::storage_context::Action;
use pollster::block_on;

const NODES: usize = 20_000;
const DIMENSION: usize = 768;
const ROUNDS: usize = 7;

/// Files by name, as bytes at hand, so that serialising them is not measured.
type Files = Vec<(String, Bytes)>;

fn main() {
    let nodes = if std::env::args().any(|arg| arg == "--small") { NODES / 10 } else { NODES };
    let dir = tempfile::tempdir_in(target()).expect("the target folder takes files");
    println!(
        "A commit, against the same bytes written plainly, each file and the folder with fsync (median of {ROUNDS}):"
    );
    let ctx = context(&embedded_nodes(nodes, DIMENSION));
    let all = files(&persisted(&ctx));
    let docstore: Files = all.iter().filter(|(name, _)| name == "docstore.json").cloned().collect();
    let empty = files(&persisted(&StorageContext::in_memory()));
    let whole = format!("all files of {nodes} × {DIMENSION}");
    for (what, files) in [(&*whole, all), ("its document store only", docstore), ("an empty context", empty)] {
        overhead(what, &files, dir.path());
    }
    one_document(&ctx, nodes, &dir.path().join("context"));
}

/// Beside this file's build, where a disk is and no memory file system.
fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

fn files(place: &MemoryFs) -> Files {
    let files = block_on(place.list(Folder::Published)).expect("memory can be listed");
    let read = |name: String| {
        let bytes = block_on(place.read(&name, u64::MAX)).expect("memory can be read").expect("it was listed");
        (name, bytes)
    };
    files.into_iter().map(|file| read(file.name)).collect()
}

fn overhead(what: &str, files: &Files, dir: &Path) {
    let (plain, commit) = (dir.join("plain"), LocalFs::new(dir.join("commit")));
    fs::create_dir_all(&plain).expect("the folder can be made");
    let mut previous = None;
    let mut times = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let by_hand = time(|| write_plainly(&plain, files));
        let by_commit = time(|| previous = Some(write_as_commit(&commit, files, previous.as_ref())));
        // In the first round the files do not exist yet.
        if round > 0 {
            times.0.push(by_hand);
            times.1.push(by_commit);
        }
    }
    let (by_hand, by_commit) = (median(times.0), median(times.1));
    let size = files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() as f64 / 1e6;
    let extra = (by_commit.as_secs_f64() - by_hand.as_secs_f64()) * 1e3;
    let ratio = by_commit.as_secs_f64() / by_hand.as_secs_f64();
    println!("  {what:<32} {size:>8.3} MB   {ratio:.2} ×   ({extra:+.1} ms)");
    fs::remove_dir_all(plain).expect("it was made here");
    fs::remove_dir_all(commit.root()).expect("it was made here");
}

fn write_plainly(dir: &Path, files: &Files) {
    for (name, bytes) in files {
        let mut file = File::create(dir.join(name)).expect("the file can be made");
        file.write_all(bytes).expect("the disk has room");
        file.sync_all().expect("the disk is well");
    }
    File::open(dir).and_then(|dir| dir.sync_all()).expect("the disk is well");
}

/// As a context does it that knows what it replaces.
fn write_as_commit(place: &LocalFs, files: &Files, previous: Option<&Manifest>) -> Manifest {
    block_on(async {
        let known = previous.iter().flat_map(|manifest| &manifest.files).map(|file| (file.name.clone(), file.digest));
        let write = files.iter().map(|(name, bytes)| PersistFile::new(name, Content::Bytes(bytes.clone())));
        let known: HashMap<String, Digest> = known.collect();
        let changes = Changes { write: write.collect(), known, ..Changes::default() };
        let options = CommitOptions { durability: Durability::Full, ..CommitOptions::default() };
        let writer = Writer::begin(place, options).await.expect("nobody else writes").prepare().await;
        let committed = writer.expect("nobody else writes").commit(changes).await.expect("the disk is well");
        assert!(committed.unpublished.is_none());
        committed.manifest
    })
}

/// How much a persist writes after one document has changed, and how long it takes, against persisting everything.
fn one_document(ctx: &StorageContext, nodes: usize, dir: &Path) {
    let staged = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&staged);
    let progress = Progress::new(move |step| {
        if matches!(step, Step::Stage { .. }) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let options = PersistOptions { progress: Some(progress), ..PersistOptions::default() };
    let whole = time(|| drop(block_on(ctx.persist(dir)).expect("the disk is well")));
    let changed = Node::text("The key lies under the third stone.").with_id("node-7").with_source("doc-0");
    block_on(ctx.docstore().add_documents(&[changed])).expect("the node is good");
    let mut report = None;
    let one = time(|| report = Some(block_on(ctx.persist_with(dir, &options)).expect("the disk is well")));
    let report = report.expect("it was just made");
    let size = |written: bool| {
        let files = report.files.iter().filter(|file| !written || file.action == Action::Written);
        files.map(|file| file.size).sum::<u64>() as f64 / 1e6
    };
    println!("One changed document among {nodes} nodes, persisted where the context was persisted before:");
    println!(
        "  {} of {} files are written, {:.1} of {:.1} MB, in {:.3} of the time of the whole",
        staged.load(Ordering::Relaxed),
        report.files.len(),
        size(true),
        size(false),
        one.as_secs_f64() / whole.as_secs_f64()
    );
    assert_eq!(staged.load(Ordering::Relaxed), 1, "only the document store has changed");
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
