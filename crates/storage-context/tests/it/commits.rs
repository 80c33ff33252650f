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
    assert!(report.to_string().contains("index 'i' names 1 nodes"), "{report}");
    drop(ctx);
}

#[test]
fn a_persist_that_was_broken_off_is_known_again() {
    let steps = Arc::new(Mutex::new(0));
    // Broken off at the first step of publishing: the commit is made.
    let (ctx, place) = persisted();
    add_node(&ctx, "new");
    let count = Arc::clone(&steps);
    let progress = Progress::new(move |step| {
        if matches!(step, Step::Publish { .. }) {
            *count.lock().unwrap() += 1;
            std::panic::resume_unwind(Box::new("broken off"));
        }
    });
    let options = PersistOptions { progress: Some(progress), ..PersistOptions::default() };
    let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        block_on(ctx.persist_with(place.clone(), &options)).map(drop)
    }));
    assert!(broken.is_err() && *steps.lock().unwrap() == 1);
    assert!(!text(&place, "docstore.json").unwrap().contains("new"), "nothing is published yet");
    assert_eq!(node_ids(&place), ["n", "new"], "and a reader of ours sees it nevertheless");
    add_node(&ctx, "last");
    assert_eq!(persist(&ctx, &place).generation, Some(3));
    assert_eq!(node_ids(&place), ["n", "new", "last"]);
}
