use storage_context::{Error, FileNames, PersistOptions};

use super::*;

fn failure(place: &MemoryFs) -> Error {
    block_on(StorageContext::open(place.clone())).unwrap_err()
}

fn check_message(files: &[(&str, &str)], expected: &str) {
    let place = place(files);
    let message = failure(&place).to_string().replace(&place.location(), "PLACE");
    assert_eq!(message, expected);
}

#[test]
fn opening_writes_nothing() {
    let place = place_with(&[("default__vector_store.json", VECTORS)]);
    let before = place.files();
    let ctx = open(&place);
    block_on(ctx.docstore().docs()).unwrap();
    assert_eq!(place.files(), before);
}

#[test]
fn missing_files_are_named_with_what_is_there() {
    check_message(&[], "docstore.json not found in PLACE: there are no files there");
    check_message(
        &[("docstore.json", "{}"), ("notes.txt", "")],
        "index_store.json not found in PLACE; there are: notes.txt",
    );
    check_message(
        &[("doc_store.json", "{}"), ("vector_store.json", "{}")],
        "docstore.json not found in PLACE; doc_store.json is of LlamaIndexTS, whose stores have another form",
    );
    check_message(
        &[("essays.json", r#"{"index_struct": {"__type__": "list", "__data__": {}}, "docstore": {}}"#)],
        "docstore.json not found in PLACE; essays.json is an index saved by LlamaIndex 0.5 or before: \
         StorageContext::from_single_file converts it",
    );
    assert!(failure(&place(&[])).is_not_found());
}

#[test]
fn damaged_files_are_named_with_the_place_in_them() {
    for (file, content, cause) in [
        ("docstore.json", "{\"a\": [}", "expected a value at line 1 column 8 (byte 7)"),
        ("index_store.json", "[]", "expected an object, found a list at line 1 column 1 (byte 0)"),
        ("graph_store.json", "{\"graph_dict\": 1}", "expected an object, found a number at line 1 column 16 (byte 15)"),
        (
            "x__vector_store.json",
            "{\"embedding_dict\": {}} x",
            "unexpected data after the value at line 1 column 24 (byte 23)",
        ),
    ] {
        let place = place_with(&[(file, content)]);
        let error = failure(&place);
        let Error::Damaged { file: named, .. } = &error else { panic!("{error}") };
        assert_eq!(named, file);
        let mut causes = Vec::new();
        let mut source = std::error::Error::source(&error);
        while let Some(e) = source {
            causes.push(e.to_string());
            source = e.source();
        }
        assert_eq!(causes.last().map(String::as_str), Some(cause), "{file}: {causes:?}");
        assert!(!error.to_string().contains(cause), "a cause is told once");
    }
}

#[test]
fn foreign_files_are_recognised() {
    let seems = |bytes: &'static [u8]| {
        let place = place_with(&[]);
        place.put("default__vector_store.json", bytes);
        match failure(&place) {
            Error::Damaged { seems, .. } => seems,
            other => panic!("{other}"),
        }
    };
    assert_eq!(seems(b"IxF2\x08\0\0\0"), Some("a FAISS index"));
    assert!(seems(b"\x1F\x8B\x08\0").is_some());
    assert!(seems(b"PAR1").is_some());
    assert_eq!(seems(b""), Some("an empty file"));
}

#[test]
fn namespaces_are_taken_whole() {
    let place = place_with(&[
        ("__vector_store.json", VECTORS),
        ("team__a__vector_store.json", VECTORS),
        ("béta__vector_store.json", VECTORS),
        ("foovector_store.json", "not a store"),
        ("x__vector_store.json.bak", "not a store"),
    ]);
    let ctx = open(&place);
    assert_eq!(ctx.namespaces(), ["", "béta", "team__a"]);
    assert!(ctx.vector_store().is_none());
    let target = MemoryFs::new();
    let report = persist(&ctx, &target);
    assert_eq!(text(&target, "team__a__vector_store.json").as_deref(), Some(VECTORS));
    assert_eq!(report.python_problems.len(), 1);
    assert_eq!(report.python_problems[0].file, "team__a__vector_store.json");
}

#[test]
fn another_metric_is_kept_and_told_of() {
    let store = vectorstore_simple::SimpleVectorStore::new();
    store.set_similarity_mode(vectorstore_simple::SimilarityMode::Euclidean);
    let ctx = StorageContext::builder().vector_store(std::sync::Arc::new(store)).build();
    let place = MemoryFs::new();
    let report = persist(&ctx, &place);
    let [told] = &report.python_problems[..] else { panic!("{report}") };
    assert_eq!(told.file, "default__vector_store.json");
    assert!(told.problem.contains("euclidean"), "{}", told.problem);
    let again = persist(&open(&place), &MemoryFs::new());
    assert_eq!(again.python_problems.len(), 1);
}

#[test]
fn namespaces_cannot_leave_the_place() {
    let ctx = StorageContext::in_memory();
    for namespace in ["../x", "a/b", "..\\x", "a\0b"] {
        let store = std::sync::Arc::new(vectorstore_simple::SimpleVectorStore::new());
        let added = ctx.add_vector_store(namespace, store.clone());
        assert!(is_invalid_name(added), "{namespace}");
        let built = StorageContext::builder().named_vector_store(namespace, store).build();
        assert!(is_invalid_name(block_on(built.persist(MemoryFs::new()))), "{namespace}");
    }
}

#[test]
fn files_may_have_other_names() {
    let names = FileNames {
        docstore: "d.json".into(),
        index_store: "i.json".into(),
        vector_store: "v.json".into(),
        graph_store: "g.json".into(),
        property_graph_store: "p.json".into(),
    };
    let ctx = StorageContext::in_memory();
    add_node(&ctx, "n");
    let place = MemoryFs::new();
    let options = PersistOptions { file_names: Some(names.clone()), ..PersistOptions::default() };
    let report = block_on(ctx.persist_with(place.clone(), &options)).unwrap();
    assert_eq!(super::names(&place), ["d.json", "default__v.json", "g.json", "i.json", "image__v.json"]);
    assert_eq!(report.python_problems.len(), 5);
    let again = block_on(StorageContext::builder().file_names(names).open(place)).unwrap();
    assert!(block_on(again.docstore().document_exists("n")).unwrap());
    assert_eq!(again.namespaces(), ["default", "image"]);
}

#[test]
fn parts_that_are_given_win_and_their_files_are_not_read() {
    let place = place_with(&[("default__vector_store.json", "not a store"), ("image__vector_store.json", VECTORS)]);
    let own = std::sync::Arc::new(vectorstore_simple::SimpleVectorStore::new());
    let ctx = block_on(StorageContext::builder().vector_store(own).open(place)).unwrap();
    assert_eq!(ctx.namespaces(), ["default", "image"]);
    assert_eq!(block_on(ctx.vector_store().unwrap().count()).unwrap(), Some(0));
}

#[test]
fn a_place_is_opened_or_created_but_never_half() {
    let empty = MemoryFs::new();
    let ctx = block_on(StorageContext::open_or_create(empty.clone())).unwrap();
    assert!(names(&empty).is_empty());
    persist(&ctx, &empty);
    add_node(&block_on(StorageContext::open_or_create(empty)).unwrap(), "n");
    let half = place(&[("default__vector_store.json", VECTORS)]);
    let error = block_on(StorageContext::open_or_create(half)).unwrap_err();
    assert!(matches!(&error, Error::MissingFile { file, .. } if file == "docstore.json"), "{error:?}");
    let foreign = place(&[("doc_store.json", "{}")]);
    let error = block_on(StorageContext::open_or_create(foreign)).unwrap_err();
    assert!(error.to_string().contains("LlamaIndexTS"), "{error}");
}

#[test]
fn dicts_round_trip() {
    let ctx = open(&place_with(&[
        ("default__vector_store.json", VECTORS),
        (
            "property_graph_store.json",
            r#"{"nodes":{"A":{"label":"x","embedding":null,"properties":{},"name":"A"}},"relations":{},"triplets":[]}"#,
        ),
    ]));
    add_node(&ctx, "n");
    let dict = ctx.to_dict().unwrap();
    let keys: Vec<String> = dict.as_object().unwrap().keys().map(ToString::to_string).collect();
    assert_eq!(keys, ["vector_store", "doc_store", "index_store", "graph_store", "property_graph_store"]);
    assert_eq!(StorageContext::from_dict(&dict).unwrap().to_dict().unwrap(), dict);

    let mut without = dict.as_object().unwrap().clone();
    without.shift_remove(&b"graph_store"[..]);
    let error = StorageContext::from_dict(&Value::Object(without)).unwrap_err();
    assert_eq!(error.to_string(), "not a storage context's dict: 'graph_store' is missing");
}
