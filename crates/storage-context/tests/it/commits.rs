//! Persisting as one commit: who wins, who is told, what comes back.

use std::sync::{Arc, Mutex};

use persist::{Finding, Progress, Step};
use storage_context::{Error, OpenOptions};

use super::*;

fn try_persist(ctx: &StorageContext, place: &MemoryFs) -> Result<PersistReport, Error> {
    block_on(ctx.persist(place.clone()))
}

fn node_ids(place: &MemoryFs) -> Vec<raw_json::PyString> {
    block_on(open(place).docstore().node_ids()).unwrap()
}

/// A place with a context of generation 1.
fn persisted() -> (StorageContext, MemoryFs) {
    let (ctx, place) = (StorageContext::in_memory(), MemoryFs::new());
    add_node(&ctx, "n");
    assert_eq!(persist(&ctx, &place).generation, Some(1));
    (ctx, place)
}

#[test]
fn of_two_contexts_the_later_is_told_which_generation_won() {
    let (_, place) = persisted();
    let (one, two) = (open(&place), open(&place));
    assert_eq!(one.open_report().unwrap().generation, Some(1));
    add_node(&one, "one");
    add_node(&two, "two");
    assert_eq!(persist(&one, &place).generation, Some(2));
    let error = try_persist(&two, &place).unwrap_err();
    let Error::Persist(persist::Error::Conflict { ours: Some(1), theirs: Some(2), .. }) = &error else {
        panic!("{error}")
    };
    assert!(error.to_string().contains("holds generation 2, and 1 is expected"), "{error}");
    assert_eq!(node_ids(&place), ["n", "one"]);
    overwrite(&two, &place);
    assert_eq!(node_ids(&place), ["n", "two"]);
    // And the winner of before is now the one that knows less.
    assert!(try_persist(&one, &place).unwrap_err().is_conflict());
}

#[test]
fn a_context_that_knows_nothing_of_a_place_does_not_replace_what_is_there() {
    let (_, place) = persisted();
    let fresh = StorageContext::in_memory();
    assert!(try_persist(&fresh, &place).unwrap_err().is_conflict());
    let python = place_with(&[]);
    let error = try_persist(&fresh, &python).unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("docstore.json"), "{error}");
    // What is no context's is in nobody's way.
    let other = super::place(&[("notes.txt", "mine"), ("llama_cache", "{}")]);
    assert_eq!(persist(&fresh, &other).generation, Some(1));
}

#[test]
fn the_expected_generation_can_be_named() {
    let (_, place) = persisted();
    let fresh = StorageContext::in_memory();
    let with = |generation| block_on(fresh.persist_with(place.clone(), &PersistOptions::expecting(generation)));
    assert!(with(2).unwrap_err().is_conflict());
    assert_eq!(with(1).unwrap().generation, Some(2));
    assert!(with(1).unwrap_err().is_conflict());
}

#[test]
fn who_expects_a_generation_does_not_replace_what_another_program_wrote_over_it() {
    let check = |name: &str, seen: bool| {
        let (winner, place) = persisted();
        let ctx = if seen { open(&place) } else { StorageContext::in_memory() };
        winner.add_vector_store("reviews", Arc::new(vectorstore_simple::SimpleVectorStore::new())).unwrap();
        assert_eq!(persist(&winner, &place).generation, Some(2));
        place.put(name, "{\"python\": {}}");
        let expecting = PersistOptions::expecting(2);
        let error = block_on(ctx.persist_with(place.clone(), &expecting)).unwrap_err();
        assert!(error.is_conflict() && error.to_string().contains(name), "{error}");
        let insisting = PersistOptions { overwrite: true, ..expecting };
        assert_eq!(block_on(ctx.persist_with(place.clone(), &insisting)).unwrap().generation, Some(3));
        assert_eq!(text(&place, "reviews__vector_store.json"), None);
    };
    for seen in [false, true] {
        check("docstore.json", seen);
        // One that the context has no store for, and that would be deleted.
        check("reviews__vector_store.json", seen);
    }
}

/// Does something before a step of a persist.
fn meddling(place: &MemoryFs, meddle: impl Fn(&MemoryFs, &Step<'_>) + Send + Sync + 'static) -> PersistOptions {
    let place = place.clone();
    let progress = Progress::new(move |step| meddle(&place, step));
    PersistOptions { progress: Some(progress), ..PersistOptions::default() }
}

#[test]
fn what_another_program_writes_during_a_persist_is_a_conflict_for_the_next() {
    let check = |name: &'static str, at: fn(&Step<'_>) -> bool, overtaken: &[&str]| {
        let (ctx, place) = persisted();
        add_node(&ctx, "m");
        let options = meddling(&place, move |place, step| {
            if at(step) {
                place.put(name, VECTORS);
            }
        });
        let report = block_on(ctx.persist_with(place.clone(), &options)).unwrap();
        assert_eq!(
            (report.generation, report.overtaken),
            (Some(2), overtaken.iter().map(ToString::to_string).collect())
        );
        for namespace in ["default", "reviews"] {
            ctx.add_vector_store(namespace, Arc::new(vectorstore_simple::SimpleVectorStore::new())).unwrap();
        }
        let error = try_persist(&ctx, &place).unwrap_err();
        assert!(error.is_conflict() && error.to_string().contains(name), "{error}");
        assert_eq!(text(&place, name).as_deref(), Some(VECTORS));
        assert_eq!(overwrite(&ctx, &place).overwritten, [name]);
    };
    let commit = |step: &Step<'_>| matches!(step, Step::Commit { .. });
    let publish = |step: &Step<'_>| matches!(step, Step::Publish { .. });
    let collect = |step: &Step<'_>| matches!(step, Step::Collect);
    // A file that stays as it is, one that is written, and one of a store that the context gets later.
    check("default__vector_store.json", commit, &[]);
    check("docstore.json", publish, &["docstore.json"]);
    check("reviews__vector_store.json", collect, &[]);
}

#[test]
fn a_store_that_another_program_deleted_is_told_once() {
    let (ctx, place) = persisted();
    ctx.add_vector_store("reviews", Arc::new(vectorstore_simple::SimpleVectorStore::new())).unwrap();
    persist(&ctx, &place);
    place.remove("reviews__vector_store.json");
    let opened = open(&place);
    let name = "reviews__vector_store.json".to_owned();
    assert_eq!(opened.open_report().unwrap().findings, [Finding::Deleted { name }]);
    // It is nothing to write a generation for.
    assert_eq!(persist(&opened, &place).generation, Some(2));
    add_node(&opened, "m");
    persist(&opened, &place);
    assert_eq!(open(&place).open_report().unwrap().findings, []);
}

#[test]
fn a_store_that_is_taken_out_does_not_come_back() {
    let place = place_with(&[("reviews__vector_store.json", VECTORS)]);
    let ctx = open(&place);
    assert!(ctx.remove_vector_store("reviews").is_some());
    assert!(ctx.remove_vector_store("reviews").is_none());
    let report = persist(&ctx, &place);
    assert!(actions(&report).contains(&"reviews__vector_store.json removed".to_owned()), "{report}");
    assert_eq!(text(&place, "reviews__vector_store.json"), None);
    assert_eq!(open(&place).vector_store_of("reviews").map(|_| ()), None);
    // It is gone for good: the next persist has nothing to do with it.
    assert!(!actions(&persist(&ctx, &place)).iter().any(|action| action.contains("reviews")));
}

#[test]
fn overwriting_replaces_a_context_of_ours_and_leaves_strangers() {
    let (ctx, place) = persisted();
    ctx.add_vector_store("reviews", Arc::new(vectorstore_simple::SimpleVectorStore::new())).unwrap();
    persist(&ctx, &place);
    place.put("python__vector_store.json", VECTORS);
    let report = overwrite(&StorageContext::in_memory(), &place);
    assert_eq!(report.already_there, ["python__vector_store.json"]);
    assert_eq!(open(&place).namespaces(), ["default", "image", "python"]);
}

#[test]
fn a_place_that_was_opened_to_be_read_is_not_written() {
    let (_, place) = persisted();
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    let ctx = block_on(StorageContext::open_with(place.clone(), &options)).unwrap();
    assert!(matches!(try_persist(&ctx, &place), Err(Error::ReadOnly { .. })));
    persist(&ctx, &MemoryFs::new());
    let nothing = MemoryFs::new();
    let ctx = StorageContext::builder().open_options(options);
    let ctx = block_on(ctx.open_or_create(nothing.clone())).unwrap();
    assert!(matches!(try_persist(&ctx, &nothing), Err(Error::ReadOnly { .. })));
    assert!(nothing.files().is_empty());
}

#[test]
fn what_python_does_to_a_place_of_ours_is_opened_and_told() {
    let (ctx, place) = persisted();
    let docstore = text(&place, "docstore.json").unwrap();
    place.put("docstore.json", docstore.replace("\"text\"", "\"txet\""));
    place.put("python__vector_store.json", VECTORS);
    place.remove("graph_store.json");
    let opened = open(&place);
    let report = opened.open_report().unwrap();
    let name = |name: &str| name.to_owned();
    assert_eq!(
        report.findings,
        [
            Finding::Foreign { name: name("docstore.json") },
            Finding::Deleted { name: name("graph_store.json") },
            Finding::Added { name: name("python__vector_store.json") },
        ]
    );
    assert!(report.to_string().contains("another program has written docstore.json"), "{report}");
    let first = r#"{"kind": "foreign", "file": "docstore.json", "message": "another program has written docstore.json; its version was opened"}"#;
    assert_eq!(report.to_value().get("findings").unwrap().as_array().unwrap()[0].to_string(), first);
    // It has seen them, so it may persist; the context from before has not.
    add_node(&opened, "m");
    assert!(try_persist(&ctx, &place).unwrap_err().is_conflict());
    assert_eq!(persist(&opened, &place).generation, Some(2));
    assert_eq!(open(&place).open_report().unwrap().findings, []);
    assert_eq!(open(&place).namespaces(), ["default", "image", "python"]);
}

#[test]
fn an_index_whose_nodes_are_gone_is_told_where_another_program_has_written() {
    let (ctx, place) = persisted();
    let raw = r#"{"index_store/data": {"i": {"__type__": "list", "__data__": "{\"index_id\": \"i\", \"summary\": null, \"nodes\": [\"n\", \"lost\"]}"}}}"#;
    place.put("index_store.json", raw);
    let report = open(&place).open_report().unwrap().clone();
    assert_eq!(report.absent_nodes.len(), 1, "{report}");
    assert_eq!((report.absent_nodes[0].count, report.absent_nodes[0].example.to_string()), (1, "lost".to_owned()));
    assert!(report.to_string().contains("index 'i' names nodes that the document store does not have: 1"), "{report}");
    drop(ctx);

    // Where Colca has never written, and where the nodes are kept elsewhere.
    let others = place_with(&[("docstore.json", &text(&place, "docstore.json").unwrap()), ("index_store.json", raw)]);
    assert_eq!(open(&others).open_report().unwrap().absent_nodes, report.absent_nodes);
    let index_store = StorageContext::builder().index_store(open(&others).index_store().clone());
    let opened = block_on(index_store.open(others)).unwrap();
    assert_eq!(opened.open_report().unwrap().absent_nodes, []);
}

/// Persists, and breaks off at the first step of publishing: the commit is made.
fn break_off(ctx: &StorageContext, place: &MemoryFs, tell: impl Fn() + Send + Sync + 'static) {
    let options = meddling(place, move |_, step| {
        if matches!(step, Step::Publish { .. }) {
            tell();
            std::panic::resume_unwind(Box::new("broken off"));
        }
    });
    let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        block_on(ctx.persist_with(place.clone(), &options)).map(drop)
    }));
    assert_eq!(broken.unwrap_err().downcast_ref(), Some(&"broken off"));
}

#[test]
fn files_beside_the_stores_come_along_from_a_persist_that_was_broken_off() {
    let ctx = open(&place_with(&[("llama_cache", "{}")]));
    let half = MemoryFs::new();
    break_off(&ctx, &half, || ());
    assert!(names(&half).is_empty());
    let target = MemoryFs::new();
    persist(&open(&half), &target);
    assert_eq!(text(&target, "llama_cache").as_deref(), Some("{}"));
}

#[test]
fn a_persist_that_was_broken_off_is_known_again() {
    let steps = Arc::new(Mutex::new(0));
    let (ctx, place) = persisted();
    add_node(&ctx, "new");
    let count = Arc::clone(&steps);
    break_off(&ctx, &place, move || *count.lock().unwrap() += 1);
    assert_eq!(*steps.lock().unwrap(), 1);
    assert!(!text(&place, "docstore.json").unwrap().contains("new"), "nothing is published yet");
    assert_eq!(node_ids(&place), ["n", "new"], "and a reader of ours sees it nevertheless");
    add_node(&ctx, "last");
    assert_eq!(persist(&ctx, &place).generation, Some(3));
    assert_eq!(node_ids(&place), ["n", "new", "last"]);
}
