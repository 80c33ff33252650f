//! The bytes that are reported while a context is persisted and opened.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use fs_backends::{LocalFs, Place};
use persist::{Progress, Step};
use storage_context::OpenOptions;
use tempfile::TempDir;

use super::*;

/// What was reported: a file, how many bytes are done and, when reading, how many there are.
#[derive(Debug, PartialEq)]
struct Report {
    name: String,
    done: u64,
    total: Option<u64>,
}

#[derive(Debug, Default, Clone)]
struct Reports(Arc<Mutex<Vec<Report>>>);

impl Reports {
    fn progress(&self) -> Progress {
        let reports = self.clone();
        Progress::new(move |step| {
            let (name, done, total) = match *step {
                Step::Staged { name, bytes } => (name, bytes, None),
                Step::Read { name, bytes_done, bytes_total } => (name, bytes_done, Some(bytes_total)),
                _ => return,
            };
            reports.0.lock().unwrap().push(Report { name: name.to_owned(), done, total });
        })
    }

    fn to_persist(&self) -> PersistOptions {
        PersistOptions { progress: Some(self.progress()), ..PersistOptions::default() }
    }

    fn to_open(&self) -> OpenOptions {
        OpenOptions { progress: Some(self.progress()), ..OpenOptions::default() }
    }

    fn take(&self) -> Vec<Report> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// Checks that what is read grows from nothing to all bytes of these files, and returns how often that was reported.
    #[track_caller]
    fn check_read(&self, sizes: &BTreeMap<String, u64>) -> usize {
        let reports = self.take();
        let total = Some(sizes.values().sum());
        let (mut before, mut by_file) = (0, BTreeMap::new());
        for Report { name, done, total: of } in &reports {
            assert!(before < *done && *of == total, "{reports:?}");
            *by_file.entry(name.clone()).or_insert(0) += done - before;
            before = *done;
        }
        assert_eq!(&by_file, sizes);
        reports.len()
    }
}

/// The sizes of the files that opening reads.
fn sizes(place: &Place) -> BTreeMap<String, u64> {
    let files = block_on(place.list(Folder::Published)).unwrap().into_iter();
    files.filter(|file| file.name != "notes.txt").map(|file| (file.name, file.size)).collect()
}

/// A context with a document store of some megabytes.
fn large() -> StorageContext {
    let ctx = StorageContext::in_memory();
    let text = "storehouse ".repeat(200_000);
    let nodes: Vec<Node> = (0..3).map(|n| Node::text(text.as_str()).with_id(format!("n{n}"))).collect();
    block_on(ctx.docstore().add_documents(&nodes)).unwrap();
    ctx
}

/// A folder, of which the bytes are counted piece by piece, and a map, each with the least number of reports for a file of
/// some megabytes.
fn places() -> (TempDir, [(Place, usize); 2]) {
    let folder = tempfile::tempdir().unwrap();
    let local: Place = Arc::new(LocalFs::new(folder.path()));
    (folder, [(local, 6), (Arc::new(MemoryFs::new()), 1)])
}

#[test]
fn the_bytes_of_a_persist_add_up_to_its_files() {
    let (_folder, places) = places();
    for (place, pieces) in places {
        let (ctx, reports) = (large(), Reports::default());
        let persisted = block_on(ctx.persist_with(&place, &reports.to_persist())).unwrap();
        let staged = reports.take();
        for file in &persisted.files {
            let bytes: Vec<u64> = staged.iter().filter(|r| r.name == file.name).map(|r| r.done).collect();
            assert!(bytes.is_sorted_by(|a, b| a < b) && bytes.last() == Some(&file.size), "{bytes:?}");
        }
        assert!(staged.iter().filter(|report| report.name == "docstore.json").count() >= pieces);

        // What has not changed is not written.
        ctx.add_vector_store("more", Arc::new(vectorstore_simple::SimpleVectorStore::new())).unwrap();
        block_on(ctx.persist_with(&place, &reports.to_persist())).unwrap();
        assert!(reports.take().iter().all(|report| report.name == "more__vector_store.json"));
    }
}

#[test]
fn the_bytes_of_opening_add_up_to_the_files_that_are_read() {
    let (_folder, places) = places();
    for (place, pieces) in places {
        let writer = large();
        block_on(writer.persist(&place)).unwrap();
        block_on(persist::commit(&*place, vec![persist::PersistFile::new("notes.txt", "mine".into())], &[])).unwrap();
        let reports = Reports::default();
        let ctx = block_on(StorageContext::open_with(&place, &reports.to_open())).unwrap();
        let all = sizes(&place);
        assert!(reports.check_read(&all) >= all.len() - 1 + pieces);

        // Opened again, only what has changed counts.
        assert!(block_on(ctx.reopen_if_changed()).unwrap().is_none());
        assert_eq!(reports.take(), []);
        let other = block_on(StorageContext::open(&place)).unwrap();
        add_node(&other, "more");
        other.add_vector_store("more", Arc::new(vectorstore_simple::SimpleVectorStore::new())).unwrap();
        block_on(other.persist(&place)).unwrap();
        assert!(block_on(ctx.reopen_if_changed()).unwrap().is_some());
        let mut changed = sizes(&place);
        changed.retain(|name, _| ["docstore.json", "more__vector_store.json"].contains(&&**name));
        reports.check_read(&changed);
    }
}

#[test]
fn what_is_read_in_two_places_counts_once() {
    let place = MemoryFs::new();
    let (writer, pending) = (large(), Arc::new(Mutex::new(None)));
    persist(&writer, &place);
    add_node(&writer, "more");
    let progress = {
        let (place, pending) = (place.clone(), Arc::clone(&pending));
        Progress::new(move |step| {
            if matches!(step, Step::Publish { .. }) {
                *pending.lock().unwrap() = Some(place.fork());
            }
        })
    };
    let options = PersistOptions { progress: Some(progress), ..PersistOptions::default() };
    block_on(writer.persist_with(place.clone(), &options)).unwrap();
    let published = sizes(&(Arc::new(place) as Place));
    let pending = pending.lock().unwrap().take().unwrap();
    let reports = Reports::default();
    block_on(StorageContext::open_with(pending, &reports.to_open())).unwrap();
    reports.check_read(&published);
}

#[test]
fn what_another_program_wrote_counts_as_it_is() {
    let (writer, place) = (large(), MemoryFs::new());
    persist(&writer, &place);
    place.put("docstore.json", format!("{{{}}}", " ".repeat(1000)));
    place.remove("graph_store.json");
    place.put("reviews__vector_store.json", VECTORS);
    let reports = Reports::default();
    block_on(StorageContext::open_with(place, &reports.to_open())).unwrap();
    let reported = reports.take();
    let last = reported.last().unwrap();
    assert_eq!(Some(last.done), last.total);
    assert!(reported.iter().any(|report| report.name == "reviews__vector_store.json"));
}
