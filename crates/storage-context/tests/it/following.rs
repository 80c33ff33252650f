//! Following a location that others write.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fs_backends::{LocalFs, ObjectFs, Place};
use graphstore::{SimpleGraphStore, Triplet};
use opendal::Operator;
use opendal::services::Memory;
use persist::{
    Abilities, Content, Durability, Expected, FileInfo, Finding, Limits, Lock, Progress, Publication, Step, Stored,
};
use storage_context::{Error, FileNames, OpenOptions, ReopenOptions, Reopened};
use vectorstore::VectorStore;
use vectorstore_simple::SimpleVectorStore;

use super::persisting::OtherStore;
use super::*;

/// Passes calls on, and remembers which files and folders were read. It may forbid to list.
#[derive(Debug)]
struct Watched {
    inner: Place,
    calls: Mutex<Vec<String>>,
    unlisted: AtomicBool,
}

impl Watched {
    fn new(inner: impl PersistFs) -> Arc<Self> {
        Arc::new(Self { inner: Arc::new(inner), calls: Mutex::default(), unlisted: AtomicBool::new(false) })
    }

    /// The published files that were read since the last call, in order.
    fn read_files(&self) -> Vec<String> {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        calls.into_iter().filter(|call| !call.starts_with(['.', ' '])).collect()
    }

    fn note(&self, call: impl Into<String>) {
        self.calls.lock().unwrap().push(call.into());
    }
}

#[async_trait]
impl PersistFs for Watched {
    fn location(&self) -> String {
        self.inner.location()
    }
    fn identity(&self) -> String {
        self.inner.identity()
    }
    async fn abilities(&self) -> persist::Result<Abilities> {
        self.inner.abilities().await
    }
    async fn list(&self, folder: Folder) -> persist::Result<Vec<FileInfo>> {
        self.note(format!(" list {folder:?}"));
        if self.unlisted.load(Ordering::Relaxed) {
            return Err(persist::Error::Forbidden { place: self.location(), source: "not allowed".into() });
        }
        self.inner.list(folder).await
    }
    async fn read(&self, path: &str, limit: u64) -> persist::Result<Option<Bytes>> {
        self.note(path);
        self.inner.read(path, limit).await
    }
    async fn write(&self, path: &str, content: Content, durability: Durability) -> persist::Result<Stored> {
        self.inner.write(path, content, durability).await
    }
    async fn create(&self, path: &str, content: Bytes, durability: Durability) -> persist::Result<bool> {
        self.inner.create(path, content, durability).await
    }
    async fn publish(&self, staged: &str, name: &str, expected: &Expected) -> persist::Result<Publication> {
        self.inner.publish(staged, name, expected).await
    }
    async fn delete(&self, path: &str) -> persist::Result<()> {
        self.inner.delete(path).await
    }
    async fn sync(&self) -> persist::Result<()> {
        self.inner.sync().await
    }
    async fn lock(&self, wait: Duration) -> persist::Result<Lock> {
        self.inner.lock(wait).await
    }
}

fn open_at(place: &Arc<Watched>) -> StorageContext {
    let ctx = block_on(StorageContext::open(Arc::clone(place) as Place)).unwrap();
    place.read_files();
    ctx
}

fn reopen(ctx: &StorageContext) -> Option<StorageContext> {
    block_on(ctx.reopen_if_changed()).unwrap()
}

fn has_node(ctx: &StorageContext, id: &str) -> bool {
    block_on(ctx.docstore().document_exists(id)).unwrap()
}

fn add_triplet(ctx: &StorageContext, subject: &str) {
    let triplet = Triplet { subject: subject.into(), relation: "is".into(), object: "here".into() };
    block_on(ctx.graph_store().upsert_triplets(&[triplet])).unwrap();
}

/// The stores that two contexts share.
fn shared(a: &StorageContext, b: &StorageContext) -> Vec<String> {
    let mut shared = Vec::new();
    let mut note = |same: bool, store: &str| shared.extend(same.then(|| store.to_owned()));
    note(Arc::ptr_eq(a.docstore().kv(), b.docstore().kv()), "docstore");
    note(Arc::ptr_eq(a.index_store().kv(), b.index_store().kv()), "index store");
    note(Arc::ptr_eq(a.graph_store(), b.graph_store()), "graph store");
    for (namespace, store) in a.vector_stores() {
        note(b.vector_store_of(&namespace).is_some_and(|other| Arc::ptr_eq(&store, &other)), &namespace);
    }
    shared
}

/// A location with a context of generation 1, and the context that made it.
fn persisted() -> (StorageContext, MemoryFs) {
    let (ctx, place) = (StorageContext::in_memory(), MemoryFs::new());
    add_node(&ctx, "n1");
    persist(&ctx, &place);
    (ctx, place)
}

#[test]
fn nothing_is_read_while_nothing_changes() {
    let (_, place) = persisted();
    let place = Watched::new(place);
    let ctx = open_at(&place);
    for _ in 0..2 {
        assert!(reopen(&ctx).is_none());
        let calls = std::mem::take(&mut *place.calls.lock().unwrap());
        // The hint, whether there is a next generation, the newest, its marker, and one listing.
        assert_eq!(calls, [".colca/latest", ".colca/2.json", ".colca/1.json", ".colca/1.published", " list Published"]);
    }
}

#[test]
fn persists_of_ones_own_are_no_changes() {
    let (_, place) = persisted();
    let place = Watched::new(place);
    let ctx = open_at(&place);
    add_node(&ctx, "n2");
    assert_eq!(block_on(ctx.persist(Arc::clone(&place) as Place)).unwrap().generation, Some(2));
    place.read_files();
    assert!(reopen(&ctx).is_none());
    assert_eq!(place.read_files(), [""; 0]);
}

#[test]
fn a_commit_that_was_broken_off_is_ones_own_too() {
    let (_, place) = persisted();
    let ctx = open(&place);
    add_node(&ctx, "n2");
    let progress = Progress::new(|step| {
        if matches!(step, Step::Publish { .. }) {
            std::panic::resume_unwind(Box::new("broken off"));
        }
    });
    let options = PersistOptions { progress: Some(progress), ..PersistOptions::default() };
    let persisting = || block_on(ctx.persist_with(place.clone(), &options));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(persisting)).is_err());
    assert!(text(&place, ".colca/2.json").is_some() && text(&place, ".colca/2.published").is_none());
    assert!(reopen(&ctx).is_none());
    // The next writer publishes it.
    let other = open(&place);
    add_node(&other, "n3");
    persist(&other, &place);
    let ctx = reopen(&ctx).unwrap();
    assert!(has_node(&ctx, "n2") && has_node(&ctx, "n3"));
}

#[test]
fn only_what_another_writer_changed_is_read() {
    let (writer, place) = persisted();
    let place = Watched::new(place);
    let ctx = open_at(&place);
    add_node(&writer, "n2");
    block_on(writer.persist(Arc::clone(&place) as Place)).unwrap();
    place.read_files();

    let newer = reopen(&ctx).unwrap();
    assert_eq!(place.read_files(), ["docstore.json"]);
    assert_eq!(shared(&ctx, &newer), ["index store", "graph store", "default", "image"]);
    assert_eq!(newer.open_report().unwrap().generation, Some(2));
    assert!(has_node(&newer, "n2") && !has_node(&ctx, "n2") && has_node(&ctx, "n1"));
    assert!(reopen(&newer).is_none());

    // What it has opened it may replace, and what has not changed since is not written.
    add_triplet(&newer, "colca");
    let report = block_on(newer.persist(Arc::clone(&place) as Place)).unwrap();
    let written: Vec<_> = actions(&report).into_iter().filter(|action| !action.ends_with("unchanged")).collect();
    assert_eq!(written, ["graph_store.json written"]);
    // The graph store is the old context's, too, which has not persisted the change.
    let error = block_on(ctx.reopen_if_changed()).unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("graph store"), "{error}");
}

#[test]
fn a_generation_without_a_change_of_stores_shares_them_all() {
    let (_, place) = persisted();
    let place = Watched::new(place);
    let ctx = open_at(&place);
    let files = vec![persist::PersistFile::new("chat_store.json", Content::from("{}"))];
    block_on(persist::commit(&*place, files, &[])).unwrap();
    place.read_files();
    let newer = reopen(&ctx).unwrap();
    assert_eq!(place.read_files(), [""; 0]);
    assert_eq!(shared(&ctx, &newer), ["docstore", "index store", "graph store", "default", "image"]);
    add_node(&newer, "n2");
    block_on(newer.persist(Arc::clone(&place) as Place)).unwrap();
}

/// Writes a file as Python does: it opens it, which empties it, and writes. The clock of an older Linux stands still for
/// some milliseconds.
fn write_as_python(folder: &Path, name: &str, content: &str) {
    std::thread::sleep(Duration::from_millis(20));
    std::fs::write(folder.join(name), content).unwrap();
}

#[test]
fn what_python_writes_into_a_folder_is_noticed() {
    let check = |by_colca: bool| {
        let folder = tempfile::tempdir().unwrap();
        let writer = StorageContext::in_memory();
        add_node(&writer, "n1");
        block_on(writer.persist(folder.path())).unwrap();
        if !by_colca {
            std::fs::remove_dir_all(folder.path().join(".colca")).unwrap();
        }
        let place = Watched::new(LocalFs::new(folder.path()));
        let ctx = open_at(&place);
        assert!(reopen(&ctx).is_none());
        assert_eq!(place.read_files(), [""; 0]);

        // Of the same size.
        let old = std::fs::read_to_string(folder.path().join("docstore.json")).unwrap();
        write_as_python(folder.path(), "docstore.json", &old.replace("n1", "n2"));
        let ctx = reopen(&ctx).unwrap();
        assert_eq!(place.read_files(), ["docstore.json"]);
        assert!(has_node(&ctx, "n2") && !has_node(&ctx, "n1"));
        let findings = &ctx.open_report().unwrap().findings;
        let foreign = [Finding::Foreign { name: "docstore.json".into() }];
        assert_eq!(**findings, foreign[..usize::from(by_colca)]);

        // What is as it was is shared, also where no commit of Colca knows it.
        write_as_python(folder.path(), "graph_store.json", r#"{"graph_dict": {"a": [["is", "b"]]}}"#);
        let newer = reopen(&ctx).unwrap();
        assert_eq!(place.read_files(), ["graph_store.json"]);
        assert_eq!(shared(&ctx, &newer), ["docstore", "index store", "default", "image"]);
        assert_eq!(newer.open_report().unwrap().findings.len(), if by_colca { 2 } else { 0 });
    };
    check(true);
    check(false);
}

#[test]
fn a_file_that_was_written_with_the_same_content_is_no_change() {
    let folder = tempfile::tempdir().unwrap();
    block_on(StorageContext::in_memory().persist(folder.path())).unwrap();
    let place = Watched::new(LocalFs::new(folder.path()));
    let ctx = open_at(&place);
    write_as_python(folder.path(), "docstore.json", "{}");
    assert!(reopen(&ctx).is_none());
    assert_eq!(place.read_files(), ["docstore.json"]);
    // It is read once.
    assert!(reopen(&ctx).is_none());
    assert_eq!(place.read_files(), [""; 0]);
    // For a persist the place is as it was, too.
    add_node(&ctx, "n2");
    assert_eq!(block_on(ctx.persist(folder.path())).unwrap().overwritten, [""; 0]);
}

#[test]
fn files_that_come_and_go_are_noticed() {
    let (writer, place) = persisted();
    let ctx = open(&place);
    place.put("reviews__vector_store.json", VECTORS);
    let ctx = reopen(&ctx).unwrap();
    assert_eq!(ctx.namespaces(), ["default", "image", "reviews"]);
    assert_eq!(ctx.open_report().unwrap().findings.len(), 1);

    // What is of no store makes no difference.
    place.put("notes.txt", "mine");
    assert!(reopen(&ctx).is_none());

    place.remove("reviews__vector_store.json");
    place.remove("graph_store.json");
    let ctx = reopen(&ctx).unwrap();
    assert_eq!(ctx.namespaces(), ["default", "image"]);
    assert!(reopen(&ctx).is_none());

    writer.add_vector_store("more", Arc::new(SimpleVectorStore::new())).unwrap();
    persist(&writer, &place);
    let ctx = reopen(&ctx).unwrap();
    assert!(ctx.vector_store_of("more").is_some());
    writer.remove_vector_store("more");
    persist(&writer, &place);
    let ctx = reopen(&ctx).unwrap();
    assert_eq!(ctx.namespaces(), ["default", "image"]);

    place.remove("docstore.json");
    assert!(matches!(block_on(ctx.reopen_if_changed()), Err(Error::MissingFile { .. })));
    place.put("docstore.json", "{");
    assert!(matches!(block_on(ctx.reopen_if_changed()), Err(Error::Damaged { .. })));
    assert!(has_node(&ctx, "n1"));
    place.put("docstore.json", "{}");
    assert!(!has_node(&reopen(&ctx).unwrap(), "n1"));
}

#[test]
fn a_file_that_gets_its_new_name_is_the_same_store() {
    let place = place_with(&[("vector_store.json", r#"{"embedding_dict":{"a":[1]}}"#)]);
    let ctx = open(&place);
    assert!(reopen(&ctx).is_none());
    let other = open(&place);
    block_on(other.upgrade()).unwrap();
    persist(&other, &place);
    assert!(!names(&place).contains(&"vector_store.json".to_owned()));
    let newer = reopen(&ctx).unwrap();
    assert_eq!(newer.namespaces(), ["default"]);
    // An old file beside the new one is passed over, as on opening.
    place.put("vector_store.json", VECTORS);
    assert!(reopen(&newer).is_none());
}

#[test]
fn a_commit_is_followed_whole_in_each_of_its_phases() {
    for moves in [true, false] {
        let place = MemoryFs::with_abilities(Abilities { create: true, conditional_publish: true, moves });
        let writer = StorageContext::in_memory();
        add_node(&writer, "n1");
        add_triplet(&writer, "t1");
        persist(&writer, &place);
        let ctx = Arc::new(Mutex::new(open(&place)));
        add_node(&writer, "n2");
        add_triplet(&writer, "t2");
        let phases = Arc::new(Mutex::new(Vec::new()));
        let progress = {
            let (ctx, phases, place) = (Arc::clone(&ctx), Arc::clone(&phases), place.clone());
            Progress::new(move |step| {
                let mut ctx = ctx.lock().unwrap();
                let changed = reopen(&ctx);
                let is_new = matches!(step, Step::Publish { done: 0, .. });
                assert_eq!(changed.is_some(), is_new, "{step:?}");
                *ctx = changed.unwrap_or_else(|| ctx.clone());
                let triplets = block_on(ctx.graph_store().get_rel_map(None, 1, 9)).unwrap().len();
                assert_eq!(usize::from(has_node(&ctx, "n2")) + 1, triplets, "{step:?}");
                phases.lock().unwrap().push(place.fork());
            })
        };
        let options = PersistOptions { progress: Some(progress), ..PersistOptions::default() };
        block_on(writer.persist_with(place.clone(), &options)).unwrap();

        // Its writer is killed, and a context follows what is left.
        let phases = std::mem::take(&mut *phases.lock().unwrap());
        assert_eq!(phases.len(), 8);
        for phase in phases {
            let watched = Watched::new(phase.clone());
            let ctx = open_at(&watched);
            let has_both = has_node(&ctx, "n2");
            assert!(reopen(&ctx).is_none());
            assert_eq!(watched.read_files(), [""; 0]);
            // The next writer publishes what is pending.
            let next = open(&phase);
            add_node(&next, "n3");
            persist(&next, &phase);
            let ctx = reopen(&ctx).unwrap();
            assert!(has_node(&ctx, "n3") && has_node(&ctx, "n2") == has_both);
            assert!(reopen(&ctx).is_none());
        }
    }
}

#[test]
fn a_generation_that_is_published_later_is_no_change() {
    let (writer, place) = persisted();
    add_node(&writer, "n2");
    let pending = Arc::new(Mutex::new(None));
    let progress = {
        let (place, pending) = (place.clone(), Arc::clone(&pending));
        Progress::new(move |step| {
            if matches!(step, Step::Publish { .. }) {
                *pending.lock().unwrap() = Some(place.fork());
            }
        })
    };
    let options = PersistOptions { progress: Some(progress), ..PersistOptions::default() };
    block_on(writer.persist_with(place, &options)).unwrap();
    let place = pending.lock().unwrap().take().unwrap();
    let watched = Watched::new(place.clone());
    let ctx = open_at(&watched);
    assert!(has_node(&ctx, "n2"));
    block_on(async {
        let options = persist::CommitOptions::default();
        persist::Writer::begin(&place, options).await.unwrap().prepare().await.unwrap();
    });
    assert!(text(&place, ".colca/2.published").is_some());
    assert!(reopen(&ctx).is_none());
    assert_eq!(watched.read_files(), ["docstore.json"]);
    assert!(reopen(&ctx).is_none());
    assert_eq!(watched.read_files(), [""; 0]);
}

#[test]
fn changes_that_were_not_persisted_are_a_conflict_once_the_location_changes() {
    let check = |change: fn(&StorageContext), store: &str| {
        let (writer, place) = persisted();
        place.remove("graph_store.json");
        place.put("reviews__vector_store.json", VECTORS);
        let ctx = open(&place);
        change(&ctx);
        assert!(reopen(&ctx).is_none());
        add_node(&writer, "n2");
        overwrite(&writer, &place);
        let error = block_on(ctx.reopen_if_changed()).unwrap_err();
        let Error::Unpersisted { stores, .. } = &error else { panic!("{error}") };
        assert_eq!(*stores, [store]);
        assert!(error.is_conflict() && error.to_string().contains(store), "{error}");
        assert!(has_node(&open(&place), "n2"));
    };
    check(|ctx| add_node(ctx, "mine"), "document store");
    // One that has no file.
    check(|ctx| add_triplet(ctx, "mine"), "graph store");
    check(|ctx| drop(ctx.remove_vector_store("reviews")), "vector store 'reviews', which was taken out");
    let add = |ctx: &StorageContext| ctx.add_vector_store("more", Arc::new(SimpleVectorStore::new())).unwrap();
    check(add, "vector store 'more'");
}

#[test]
fn where_listing_is_forbidden_only_commits_are_noticed() {
    let (writer, place) = persisted();
    let watched = Watched::new(place.clone());
    watched.unlisted.store(true, Ordering::Relaxed);
    let ctx = open_at(&watched);
    let follow = |ctx: &StorageContext| block_on(ctx.reopen_if_changed_with(&ReopenOptions::default())).unwrap();
    assert!(matches!(follow(&ctx), Reopened::Unchanged { listed: false }));
    // What Python writes is not seen, and the answer says that it could not be.
    place.put("graph_store.json", r#"{"graph_dict": {"a": [["is", "b"]]}}"#);
    assert!(matches!(follow(&ctx), Reopened::Unchanged { listed: false }));
    assert_eq!(watched.read_files(), [""; 0]);

    add_node(&writer, "n2");
    overwrite(&writer, &place);
    let Reopened::Changed(newer) = follow(&ctx) else { panic!("it has changed") };
    assert_eq!(watched.read_files(), ["docstore.json"]);
    assert_eq!(newer.open_report().unwrap().findings, [Finding::NotListed]);
    assert_eq!(shared(&ctx, &newer), ["index store", "graph store", "default", "image"]);

    // Once it may be listed, each file is compared once.
    watched.unlisted.store(false, Ordering::Relaxed);
    assert!(matches!(follow(&newer), Reopened::Unchanged { listed: true }));
    assert_eq!(watched.read_files().len(), 5);
    assert!(matches!(follow(&newer), Reopened::Unchanged { listed: true }));
    assert_eq!(watched.read_files(), [""; 0]);
}

#[test]
fn a_context_follows_what_it_was_opened_from_or_else_last_persisted_to() {
    let fresh = StorageContext::in_memory();
    let error = block_on(fresh.reopen_if_changed()).unwrap_err();
    assert!(matches!(error, Error::NoLocation), "{error}");
    assert!(!error.is_conflict());

    let commit = |place: &MemoryFs, id: &str| {
        let other = open(place);
        add_node(&other, id);
        persist(&other, place);
    };
    let (one, two) = (MemoryFs::new(), MemoryFs::new());
    persist(&fresh, &one);
    persist(&fresh, &two);
    commit(&one, "one");
    assert!(reopen(&fresh).is_none());
    commit(&two, "two");
    assert!(has_node(&reopen(&fresh).unwrap(), "two"));
    let at = |place: &MemoryFs| ReopenOptions { location: Some(Arc::new(place.clone())), ..ReopenOptions::default() };
    let newer = block_on(fresh.reopen_if_changed_with(&at(&one))).unwrap().into_changed().unwrap();
    assert!(has_node(&newer, "one"));

    let opened = open(&one);
    overwrite(&opened, &two);
    commit(&two, "three");
    assert!(reopen(&opened).is_none());
    assert!(block_on(opened.reopen_if_changed_with(&at(&two))).unwrap().into_changed().is_some());
    let error = block_on(opened.reopen_if_changed_with(&at(&MemoryFs::new()))).unwrap_err();
    assert!(matches!(error, Error::UnknownLocation { .. }), "{error}");
}

#[test]
fn a_context_that_was_made_because_there_was_nothing_follows_what_comes() {
    let place = MemoryFs::new();
    let ctx = block_on(StorageContext::open_or_create(place.clone())).unwrap();
    assert!(reopen(&ctx).is_none());
    let files = vec![persist::PersistFile::new("chat_store.json", Content::from("{}"))];
    block_on(persist::commit(&place, files, &[])).unwrap();
    assert!(reopen(&ctx).is_none());
    let writer = StorageContext::in_memory();
    add_node(&writer, "n1");
    persist(&writer, &place);
    assert!(has_node(&reopen(&ctx).unwrap(), "n1"));
    // Had it been filled, that would be lost.
    add_node(&ctx, "mine");
    assert!(block_on(ctx.reopen_if_changed()).unwrap_err().is_conflict());
}

#[test]
fn a_context_is_opened_again_as_it_was_opened() {
    let names = FileNames { docstore: "docs.json".into(), vector_store: "vecs.json".into(), ..FileNames::default() };
    let place = place(&[("docs.json", "{}"), ("index_store.json", "{}"), ("a__vecs.json", VECTORS)]);
    let scratch: Arc<dyn VectorStore> = Arc::new(SimpleVectorStore::new());
    let open_options = OpenOptions {
        read_only: true,
        limits: Limits { file_size: 500, ..Limits::default() },
        ..OpenOptions::default()
    };
    let builder = StorageContext::builder()
        .file_names(names)
        .graph_store(Arc::new(SimpleGraphStore::new()))
        .named_vector_store("scratch", Arc::clone(&scratch))
        .open_options(open_options);
    let ctx = block_on(builder.open(place.clone())).unwrap();
    ctx.add_vector_store("elsewhere", Arc::new(OtherStore { in_memory: false })).unwrap();
    // Neither what is given nor what keeps itself is the location's.
    add_triplet(&ctx, "mine");
    block_on(scratch.add(&[Node::text("x").with_id("x").with_embedding([1.0])])).unwrap();
    place.put("scratch__vecs.json", VECTORS);
    place.put("graph_store.json", "{}");
    assert!(reopen(&ctx).is_none());

    place.put("docs.json", r#"{"docstore/data": {}}"#);
    let newer = reopen(&ctx).unwrap();
    assert_eq!(shared(&ctx, &newer), ["index store", "graph store", "scratch", "a", "elsewhere"]);
    assert_eq!(newer.docstore().kv().to_dict(), open_dict(r#"{"docstore/data": {}}"#));
    assert!(matches!(block_on(newer.persist(place.clone())), Err(Error::ReadOnly { .. })));
    place.put("docs.json", format!("{{{}}}", " ".repeat(500)));
    assert!(matches!(block_on(newer.reopen_if_changed()), Err(Error::Persist(persist::Error::TooLarge { .. }))));
    let options = ReopenOptions { open: Some(OpenOptions::default()), ..ReopenOptions::default() };
    let newest = block_on(newer.reopen_if_changed_with(&options)).unwrap().into_changed().unwrap();
    assert_eq!(newest.docstore().kv().to_dict(), open_dict("{}"));
    persist(&newest, &place);
}

fn open_dict(text: &str) -> Option<Value> {
    Some(RawJson::parse(&Text::from(text.to_owned())).unwrap().value())
}

#[test]
fn what_is_known_of_other_locations_is_handed_on() {
    let (writer, place) = persisted();
    let mirror = MemoryFs::new();
    let mut ctx = open(&place);
    for n in 2..5 {
        persist(&ctx, &mirror);
        add_node(&writer, &format!("n{n}"));
        persist(&writer, &place);
        ctx = reopen(&ctx).unwrap();
    }
    let report = persist(&ctx, &mirror);
    let written: Vec<_> = actions(&report).into_iter().filter(|action| !action.ends_with("unchanged")).collect();
    assert_eq!((report.generation, &*written), (Some(4), &["docstore.json copied".to_owned()][..]));
    assert!(has_node(&open(&mirror), "n4"));
}

#[test]
fn a_location_that_is_put_back_or_loses_its_manifests_has_changed() {
    let (writer, place) = persisted();
    let backup = place.files();
    add_node(&writer, "n2");
    persist(&writer, &place);
    let ctx = open(&place);
    place.files().keys().for_each(|path| place.remove(path));
    backup.into_iter().for_each(|(path, bytes)| place.put(&path, bytes));
    let ctx = reopen(&ctx).unwrap();
    assert!(!has_node(&ctx, "n2"));
    place.files().keys().filter(|path| path.starts_with(".colca")).for_each(|path| place.remove(path));
    let newer = reopen(&ctx).unwrap();
    assert_eq!(newer.open_report().unwrap().generation, None);
    assert_eq!(shared(&ctx, &newer).len(), 5);
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_elsewhere_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let current = folder.path().join("current");
    let deploy = |version: &str, id: &str| {
        let ctx = StorageContext::in_memory();
        add_node(&ctx, id);
        block_on(ctx.persist(folder.path().join(version))).unwrap();
        let next = folder.path().join("next");
        std::os::unix::fs::symlink(version, &next).unwrap();
        std::fs::rename(next, &current).unwrap();
    };
    deploy("v1", "n1");
    let ctx = block_on(StorageContext::open(&current)).unwrap();
    assert!(reopen(&ctx).is_none());
    deploy("v2", "n2");
    let newer = reopen(&ctx).unwrap();
    assert!(has_node(&newer, "n2") && !has_node(&newer, "n1"));
    assert_eq!(shared(&ctx, &newer), ["index store", "graph store", "default", "image"]);
    assert!(reopen(&newer).is_none());
    // It is the new folder that the new context persists to.
    add_node(&newer, "n3");
    assert_eq!(block_on(newer.persist(&current)).unwrap().generation, Some(2));
}

/// OpenDAL's service in memory lists neither ETags nor times, so that contents are compared.
#[test]
fn an_object_store_is_followed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let service = Operator::new(Memory::default()).unwrap();
        let place = Watched::new(ObjectFs::new(service.clone()));
        let writer = StorageContext::in_memory();
        let options = PersistOptions { allow_unconditional: true, ..PersistOptions::default() };
        let place_of = |place: &Arc<Watched>| Arc::clone(place) as Place;
        writer.persist_with(place_of(&place), &options).await.unwrap();
        let ctx = StorageContext::open(place_of(&place)).await.unwrap();
        assert!(ctx.reopen_if_changed().await.unwrap().is_none());
        writer.docstore().add_documents(&[Node::text("text").with_id("n2")]).await.unwrap();
        writer.persist_with(place_of(&place), &options).await.unwrap();
        let newer = ctx.reopen_if_changed().await.unwrap().unwrap();
        assert!(newer.docstore().document_exists("n2").await.unwrap());
        assert_eq!(shared(&ctx, &newer), ["index store", "graph store", "default", "image"]);
        // Of the same size.
        service.write("graph_store.json", r#"{"graph_dicT": {}}"#).await.unwrap();
        let newest = newer.reopen_if_changed().await.unwrap().unwrap();
        assert_eq!(newest.open_report().unwrap().findings, [Finding::Foreign { name: "graph_store.json".into() }]);
    });
}

/// How many commits followers follow.
const ROUNDS: usize = 50;

/// Brings all stores to the next round.
async fn advance(ctx: &StorageContext, round: usize) {
    let node = Node::text(round.to_string()).with_id("round").with_embedding([round as f64 + 1.0, 1.0]);
    ctx.docstore().add_documents(std::slice::from_ref(&node)).await.unwrap();
    ctx.vector_store().unwrap().add(&[node]).await.unwrap();
    let triplet = Triplet { subject: format!("t{round}").into(), relation: "is".into(), object: "here".into() };
    ctx.graph_store().upsert_triplets(&[triplet]).await.unwrap();
}

/// The round that each store is of.
async fn rounds(ctx: &StorageContext) -> [usize; 3] {
    let node = ctx.docstore().get_document("round").await.unwrap().unwrap();
    let vector = ctx.vector_store().unwrap().get(&"round".into()).await.unwrap().unwrap();
    let triplets = ctx.graph_store().get_rel_map(None, 1, usize::MAX).await.unwrap().len();
    [node.text_content().to_string().parse().unwrap(), vector[0] as usize - 1, triplets - 1]
}

/// Eight followers beside a writer see whole generations, ever newer ones, and in the end the last.
fn follow_a_writer(place: &Place) {
    let writer = StorageContext::in_memory();
    let options = PersistOptions {
        durability: Durability::Relaxed,
        keep_generations: 1,
        min_age: Duration::ZERO,
        ..PersistOptions::default()
    };
    let write = |round| {
        block_on(async {
            advance(&writer, round).await;
            writer.persist_with(place, &options).await.unwrap();
        });
    };
    write(0);
    let follow = || {
        block_on(async {
            let mut ctx = StorageContext::open(place).await.unwrap();
            let mut seen = 0;
            loop {
                let [round, vectors, triplets] = rounds(&ctx).await;
                assert_eq!((round, round), (vectors, triplets));
                assert!(seen <= round, "{round} after {seen}");
                seen = round;
                if round == ROUNDS {
                    return;
                }
                ctx = ctx.reopen_if_changed().await.unwrap().unwrap_or(ctx);
            }
        });
    };
    std::thread::scope(|scope| {
        let followers: Vec<_> = (0..8).map(|_| scope.spawn(follow)).collect();
        (1..=ROUNDS).for_each(write);
        followers.into_iter().for_each(|follower| follower.join().unwrap());
    });
}

#[test]
fn followers_in_memory_see_whole_generations() {
    for moves in [true, false] {
        let place = MemoryFs::with_abilities(Abilities { create: true, conditional_publish: true, moves });
        follow_a_writer(&(Arc::new(place) as Place));
    }
}

#[test]
fn followers_of_a_folder_see_whole_generations() {
    let folder = tempfile::tempdir().unwrap();
    follow_a_writer(&(Arc::new(LocalFs::new(folder.path())) as Place));
}
