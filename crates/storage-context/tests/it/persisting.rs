use std::sync::Arc;

use async_trait::async_trait;
use persist::behavior::{Fault, FlakyFs, Looking, WatchedFs};
use persist::{Content, Limits, Progress, Revision, Step, StoreFile};
use raw_json::PyString;
use storage_context::{Error, FileNames, PersistOptions};
use vectorstore::{VectorStore, VectorStoreQuery, VectorStoreQueryResult};

use super::*;

#[test]
fn an_empty_context_is_the_files_that_llama_index_writes() {
    let place = MemoryFs::new();
    persist(&StorageContext::in_memory(), &place);
    let vectors = r#"{"embedding_dict": {}, "text_id_to_ref_doc_id": {}, "metadata_dict": {}}"#;
    let expected = [
        ("default__vector_store.json", vectors),
        ("docstore.json", "{}"),
        ("graph_store.json", r#"{"graph_dict": {}}"#),
        ("image__vector_store.json", vectors),
        ("index_store.json", "{}"),
    ];
    let found: Vec<(String, String)> =
        names(&place).into_iter().map(|name| (name.clone(), text(&place, &name).unwrap())).collect();
    assert_eq!(found, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
}

#[test]
fn only_what_changed_is_written_again() {
    let place = MemoryFs::new();
    let ctx = StorageContext::in_memory();
    persist(&ctx, &place);
    let again = persist(&ctx, &place);
    assert!(actions(&again).iter().all(|action| action.ends_with("unchanged")), "{again}");
    add_node(&ctx, "n");
    let changed = persist(&ctx, &place);
    assert_eq!(actions(&changed).iter().filter(|action| action.ends_with("written")).count(), 1, "{changed}");
    assert!(value(&place, "docstore.json").get("docstore/data").is_some());

    let opened = open(&place);
    assert!(actions(&persist(&opened, &place)).iter().all(|action| action.ends_with("unchanged")));
}

#[test]
fn another_program_s_write_is_a_conflict_and_is_told_if_overwritten() {
    let place = MemoryFs::new();
    let ctx = StorageContext::in_memory();
    persist(&ctx, &place);
    place.remove("graph_store.json");
    // Of the same size.
    place.put("index_store.json", "[]");
    let error = block_on(ctx.persist(place.clone())).unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("index_store.json"), "{error}");
    assert_eq!(text(&place, "index_store.json").as_deref(), Some("[]"));
    let report = overwrite(&ctx, &place);
    assert_eq!(report.files.iter().filter(|file| file.action.to_string() != "unchanged").count(), 2, "{report}");
    assert_eq!(report.overwritten, ["index_store.json"]);
    // So is a file that was added under a store's name.
    place.put("reviews__vector_store.json", VECTORS);
    ctx.add_vector_store("reviews", Arc::new(vectorstore_simple::SimpleVectorStore::new())).unwrap();
    assert!(block_on(ctx.persist(place.clone())).unwrap_err().is_conflict());
    assert_eq!(overwrite(&ctx, &place).overwritten, ["reviews__vector_store.json"]);
    assert_eq!(text(&place, "index_store.json").as_deref(), Some("{}"));
}

#[test]
fn a_file_that_was_written_again_with_the_same_content_is_no_conflict() {
    let place = MemoryFs::new();
    let ctx = StorageContext::in_memory();
    persist(&ctx, &place);
    place.put("docstore.json", "{}");
    place.put("index_store.json", "{}");
    add_node(&ctx, "n");
    assert!(actions(&persist(&ctx, &place)).contains(&"index_store.json unchanged".to_owned()));
}

#[test]
fn two_stores_never_share_a_file_not_even_one_that_stays_as_it_is() {
    let place = MemoryFs::new();
    let ctx = StorageContext::in_memory();
    add_node(&ctx, "n");
    persist(&ctx, &place);
    let before = text(&place, "docstore.json");
    let names = FileNames { index_store: "docstore.json".into(), ..FileNames::default() };
    let options = PersistOptions { file_names: Some(names), ..PersistOptions::default() };
    let failed = block_on(ctx.persist_with(place.clone(), &options)).unwrap_err();
    assert!(failed.to_string().contains("docstore.json"), "{failed}");
    assert_eq!(text(&place, "docstore.json"), before);
}

#[test]
fn a_context_opened_under_other_names_is_persisted_under_them() {
    let place = place(&[("d.json", "{}"), ("index_store.json", "{}")]);
    let names = FileNames { docstore: "d.json".into(), ..FileNames::default() };
    let ctx = block_on(StorageContext::builder().file_names(names).open(place.clone())).unwrap();
    add_node(&ctx, "n");
    persist(&ctx, &place);
    assert!(value(&place, "d.json").get("docstore/data").is_some());
    assert_eq!(text(&place, "docstore.json"), None);
}

#[test]
fn stores_that_were_at_the_target_already_are_told() {
    let place = place(&[("stale__vector_store.json", VECTORS), ("property_graph_store.json", "{}"), ("notes.txt", "")]);
    let report = overwrite(&StorageContext::in_memory(), &place);
    assert_eq!(report.already_there, ["property_graph_store.json", "stale__vector_store.json"]);
}

#[test]
fn every_future_can_be_sent_to_another_thread() {
    fn check<T: Send>(_: T) {}
    let ctx = StorageContext::in_memory();
    check(ctx.persist("nowhere"));
    check(ctx.persist_with(MemoryFs::new(), &PersistOptions::default()));
    check(ctx.upgrade());
    check(StorageContext::open("nowhere"));
    check(StorageContext::open_or_create("nowhere"));
    check(ctx.reopen_if_changed());
    check(ctx.docstore().add_documents(&[]));
    check(ctx.docstore().delete_ref_doc("d"));
}

#[test]
fn unchanged_stores_are_copied_byte_for_byte() {
    let docstore = "{\n \"docstore/data\" : {\"n\":{\"__type__\": \"1\", \"__data__\": {\"text\":\"\\u00e9\", \"new\": 1.50}}}, \"top\": 7}\n";
    let source = place_with(&[("docstore.json", docstore), ("default__vector_store.json", VECTORS)]);
    let ctx = open(&source);
    let target = MemoryFs::new();
    let report = persist(&ctx, &target);
    assert_eq!(text(&target, "docstore.json").as_deref(), Some(docstore));
    assert_eq!(text(&target, "default__vector_store.json").as_deref(), Some(VECTORS));
    assert!(actions(&report).contains(&"default__vector_store.json copied".to_owned()), "{report}");

    // One node more, and all other values are still the texts that were read.
    add_node(&ctx, "m");
    persist(&ctx, &target);
    let changed = text(&target, "docstore.json").unwrap();
    assert!(
        changed.starts_with(
            r#"{"docstore/data": {"n": {"__type__": "1", "__data__": {"text":"\u00e9", "new": 1.50}}, "m": {"#
        ),
        "{changed}"
    );
    assert!(changed.contains(r#""top": 7"#));
}

#[test]
fn a_source_that_is_gone_or_changed_is_made_anew_from_memory() {
    for change in [
        |place: &MemoryFs| place.remove("default__vector_store.json"),
        |place: &MemoryFs| place.put("default__vector_store.json", "{}"),
    ] {
        let source = place_with(&[("default__vector_store.json", VECTORS)]);
        let ctx = open(&source);
        change(&source);
        let target = MemoryFs::new();
        let report = persist(&ctx, &target);
        assert!(actions(&report).contains(&"default__vector_store.json written".to_owned()), "{report}");
        let expected = r#"{"embedding_dict": {"a": [1.0, 2.5]}, "text_id_to_ref_doc_id": {"a": "d"}, "metadata_dict": {"a": {"k":1E5}}, "more": [1.0]}"#;
        assert_eq!(text(&target, "default__vector_store.json").as_deref(), Some(expected));
    }
}

#[test]
fn files_are_copied_one_after_the_other() {
    let source = place_with(&[("default__vector_store.json", VECTORS)]);
    let ctx = open(&source);
    // When its turn comes, the file is gone.
    let progress = Progress::new(move |step| {
        if let Step::Stage { name: name @ "default__vector_store.json", .. } = step {
            source.remove(name);
        }
    });
    let options = PersistOptions { progress: Some(progress), ..PersistOptions::default() };
    let report = block_on(ctx.persist_with(MemoryFs::new(), &options)).unwrap();
    assert!(actions(&report).contains(&"default__vector_store.json written".to_owned()), "{report}");
}

#[test]
fn files_in_other_encodings_stay_in_place_and_travel_as_utf_8() {
    let utf16: Vec<u8> = "{\"a\": {\"é\": 1.50}}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let source = place_with(&[]);
    source.put("docstore.json", utf16.clone());
    source.put("index_store.json", b"\xEF\xBB\xBF{}".to_vec());
    let ctx = open(&source);
    let target = MemoryFs::new();
    persist(&ctx, &target);
    assert_eq!(text(&target, "docstore.json").as_deref(), Some("{\"a\": {\"é\": 1.50}}"));
    assert_eq!(block_on(target.read("index_store.json", u64::MAX)).unwrap().as_deref(), Some(&b"\xEF\xBB\xBF{}"[..]));
    persist(&ctx, &source);
    assert_eq!(block_on(source.read("docstore.json", u64::MAX)).unwrap().as_deref(), Some(&utf16[..]));
}

#[test]
fn files_beside_the_context_come_along_or_are_told() {
    let source = place_with(&[
        ("default__vector_store.json", VECTORS),
        ("vector_store.json", "{\"old\": 1}"),
        ("llama_cache", "{}"),
        ("chat_store.json", "{}"),
        ("notes.txt", "mine"),
        ("package.json", "{}"),
    ]);
    let ctx = open(&source);
    let target = place(&[("chat_store.json", "the target's own")]);
    let report = persist(&ctx, &target);
    assert_eq!(report.left_behind, ["chat_store.json", "notes.txt", "package.json"]);
    assert_eq!(text(&target, "vector_store.json").as_deref(), Some("{\"old\": 1}"));
    assert_eq!(text(&target, "llama_cache").as_deref(), Some("{}"));
    assert_eq!(text(&target, "chat_store.json").as_deref(), Some("the target's own"));
    assert_eq!(text(&target, "notes.txt"), None);
    // What has come along is not left behind the next time.
    assert_eq!(persist(&ctx, &target).left_behind, ["chat_store.json", "notes.txt", "package.json"]);
    assert_eq!(overwrite(&open(&source), &target).left_behind, ["chat_store.json", "notes.txt", "package.json"]);
    // In its own place everything is where it was.
    assert!(persist(&ctx, &source).left_behind.is_empty());
    assert_eq!(text(&source, "notes.txt").as_deref(), Some("mine"));
}

#[test]
fn a_store_that_is_replaced_is_written_though_its_predecessor_was_not_changed() {
    let place = place_with(&[("default__vector_store.json", VECTORS)]);
    let ctx = open(&place);
    ctx.add_vector_store("default", Arc::new(vectorstore_simple::SimpleVectorStore::new())).unwrap();
    persist(&ctx, &place);
    assert_eq!(value(&place, "default__vector_store.json").get("more"), None);
}

#[test]
fn a_store_that_is_replaced_during_a_persist_is_written_by_the_next() {
    let place = MemoryFs::new();
    let ctx = StorageContext::in_memory();
    let change = {
        let ctx = ctx.clone();
        move || {
            let store = vectorstore_simple::SimpleVectorStore::from_text(&Text::from(VECTORS)).unwrap();
            ctx.add_vector_store("default", Arc::new(store)).unwrap();
        }
    };
    block_on(ctx.persist(meddled(&place, change))).unwrap();
    persist(&ctx, &place);
    assert!(value(&place, "default__vector_store.json").get("more").is_some());
}

/// A vector store that keeps itself, or whose content cannot be written.
#[derive(Debug)]
pub(super) struct OtherStore {
    pub(super) in_memory: bool,
}

#[async_trait]
impl VectorStore for OtherStore {
    async fn add(&self, _: &[Node]) -> vectorstore::Result<Vec<PyString>> {
        Ok(Vec::new())
    }
    async fn delete(&self, _: &PyString) -> vectorstore::Result<usize> {
        Ok(0)
    }
    async fn delete_nodes(&self, _: &vectorstore::NodeSelection) -> vectorstore::Result<usize> {
        Ok(0)
    }
    async fn clear(&self) -> vectorstore::Result<()> {
        Ok(())
    }
    async fn get(&self, _: &PyString) -> vectorstore::Result<Option<Vec<f64>>> {
        Ok(None)
    }
    async fn query(&self, _: &VectorStoreQuery) -> vectorstore::Result<VectorStoreQueryResult> {
        Ok(VectorStoreQueryResult::default())
    }
    fn stores_text(&self) -> bool {
        false
    }
    fn to_file(&self) -> Option<StoreFile> {
        let content = Content::writer(|out| {
            out.write_all(b"{\"half\"")?;
            Err(std::io::Error::other("no more"))
        });
        self.in_memory.then_some(StoreFile { content, revision: Revision::next() })
    }
}

#[test]
fn stores_that_keep_themselves_are_told_and_not_written() {
    let store = || Arc::new(OtherStore { in_memory: false });
    // Without a file its name may be what it likes.
    let ctx = StorageContext::builder().vector_store(store()).named_vector_store("a/b", store()).build();
    let place = MemoryFs::new();
    let report = persist(&ctx, &place);
    assert_eq!(report.self_managed, ["vector store 'default'", "vector store 'a/b'"]);
    assert_eq!(text(&place, "default__vector_store.json"), None);
    assert!(matches!(ctx.to_dict(), Err(Error::NotInMemory { .. })));
}

#[test]
fn a_name_that_is_none_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let names = FileNames { docstore: "../docstore.json".into(), ..FileNames::default() };
    let options = PersistOptions { file_names: Some(names), ..PersistOptions::default() };
    let path = dir.path().join("storage");
    let persisted = block_on(StorageContext::in_memory().persist_with(&path, &options));
    assert!(is_invalid_name(persisted));
    assert!(!path.exists());
}

/// A context of another size than usual is read and written with other limits.
#[test]
fn limits_hold_for_writers_too() {
    let place = MemoryFs::new();
    let ctx = StorageContext::in_memory();
    persist(&ctx, &place);
    add_node(&ctx, "n");
    let limits = Limits { files: 3, ..Limits::default() };
    let options = PersistOptions { limits, ..PersistOptions::default() };
    let error = block_on(ctx.persist_with(place.clone(), &options)).unwrap_err();
    assert!(error.to_string().contains("more than 3 files"), "{error}");
    assert_eq!(persist(&ctx, &place).generation, Some(2));
}

#[test]
fn content_that_cannot_be_written_changes_nothing() {
    let place = MemoryFs::new();
    persist(&StorageContext::in_memory(), &place);
    let ctx = StorageContext::builder().vector_store(Arc::new(OtherStore { in_memory: true })).build();
    add_node(&ctx, "n");
    let error = block_on(ctx.persist_with(place.clone(), &PersistOptions::overwrite())).unwrap_err();
    assert!(error.to_string().contains(".staged"), "{error}");
    assert_eq!(text(&place, "docstore.json").as_deref(), Some("{}"));
    assert!(!place.files().keys().any(|path| path.ends_with(".staged")), "{:?}", place.files());
}

#[test]
fn whichever_call_fails_the_place_opens_as_the_old_or_the_new_state_and_the_same_context_goes_on() {
    for fault in [Fault::Before, Fault::After] {
        for fail_at in 1.. {
            let place = MemoryFs::new();
            let ctx = StorageContext::in_memory();
            add_node(&ctx, "old");
            persist(&ctx, &place);
            add_node(&ctx, "new");
            let flaky = Arc::new(FlakyFs::new(Arc::new(place.clone()), fail_at, fault));
            let result = block_on(ctx.persist(Arc::clone(&flaky) as fs_backends::Place));
            let ids = block_on(open(&place).docstore().node_ids()).unwrap();
            match &result {
                Ok(_) | Err(Error::Unpublished { .. }) => assert_eq!(ids, ["old", "new"]),
                Err(_) => assert!(ids == ["old"] || ids == ["old", "new"], "call {fail_at}: {ids:?}"),
            }
            // Neither its own half-made commit nor its own files are a conflict.
            add_node(&ctx, "last");
            persist(&ctx, &place);
            assert_eq!(block_on(open(&place).docstore().node_ids()).unwrap(), ["old", "new", "last"]);
            if !flaky.has_failed() {
                assert!(fail_at > 10, "no call failed");
                break;
            }
        }
    }
}

/// A place at which someone changes the context while it is being persisted.
fn meddled(place: &MemoryFs, change: impl Fn() + Send + Sync + 'static) -> fs_backends::Place {
    let change = move || {
        change();
        Box::pin(async {}) as Looking
    };
    Arc::new(WatchedFs::new(Arc::new(place.clone()), change))
}

#[test]
fn a_change_during_a_persist_is_written_by_the_next() {
    let place = MemoryFs::new();
    let ctx = StorageContext::in_memory();
    add_node(&ctx, "early");
    let change = {
        let ctx = ctx.clone();
        move || add_node(&ctx, "late")
    };
    block_on(ctx.persist(meddled(&place, change))).unwrap();
    assert_eq!(block_on(open(&place).docstore().node_ids()).unwrap(), ["early"]);
    let report = persist(&ctx, &place);
    assert!(actions(&report).contains(&"docstore.json written".to_owned()), "{report}");
    assert_eq!(block_on(open(&place).docstore().node_ids()).unwrap(), ["early", "late"]);
}
