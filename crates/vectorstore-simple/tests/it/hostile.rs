//! Nothing that a file may hold makes the store panic, and what it holds comes back.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use vectorstore::VectorStoreLoader;

fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec!["1.5", " nan ", "x", "", "-inf"]).prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((any_key(), inner), 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect::<Object>())),
        ]
    })
}

fn any_key() -> impl Strategy<Value = PyString> {
    let keys =
        vec!["a", "b", "c", "embedding_dict", "text_id_to_ref_doc_id", "metadata_dict", "text_id_to_doc_id", "é"];
    prop_oneof![prop::sample::select(keys).prop_map(PyString::from), Just(PyString::from_code_points([0xD83D])),]
}

/// A file that is nearly one.
fn any_file() -> impl Strategy<Value = Value> {
    let row = prop_oneof![
        3 => prop::collection::vec(any::<f64>().prop_map(Value::from), 2).prop_map(Value::Array),
        1 => any_value(),
    ];
    let map = |value: BoxedStrategy<Value>| {
        let entries = prop::collection::vec((any_key(), value), 0..6);
        prop_oneof![6 => entries.prop_map(|e| Value::Object(e.into_iter().collect())), 1 => any_value()]
    };
    (map(row.boxed()), map(any_value().boxed()), map(any_value().boxed()), any_key(), any_value()).prop_map(
        |(embeddings, docs, metadata, key, other)| {
            let mut file = Object::from_iter([
                ("embedding_dict".into(), embeddings),
                ("text_id_to_ref_doc_id".into(), docs),
                ("metadata_dict".into(), metadata),
            ]);
            file.entry(key).or_insert(other);
            Value::Object(file)
        },
    )
}

fn use_it(store: &SimpleVectorStore) {
    for query in [&[][..], &[1.0], &[1.0, f64::NAN], &[0.0, 1.0]] {
        for top_k in [-1, 0, 1, 3] {
            let query = VectorStoreQuery::new(query).with_top_k(top_k);
            let _ = block_on(store.query(&query));
            let _ = block_on(store.query(&query.clone().with_node_ids(["a"])));
            let _ = block_on(store.query(&query.with_doc_ids(["None"])));
        }
    }
    let _ = block_on(store.get(&"a".into()));
    let _ = block_on(store.add(&[node("b", &[1.0, 2.0]), node("z", &[0.1, 0.2])]));
    block_on(store.delete(&"None".into())).unwrap();
    block_on(store.delete_nodes(&these(&["a".into(), "c".into()]))).unwrap();
    parse(&dump(store));
    block_on(store.clear()).unwrap();
    assert_eq!(block_on(store.count()).unwrap(), Some(0));
}

proptest! {
    #[test]
    fn whatever_loads_is_written_and_loaded_again(file in any_file()) {
        if let Ok(store) = SimpleVectorStore::from_text(&RawJson::from(&file).text()) {
            let text = dump(&store);
            let again = load(&text);
            prop_assert_eq!(again.to_dict(), store.to_dict());
            prop_assert_eq!(&dump(&again), &text);
            use_it(&store);
        }
    }

    #[test]
    fn texts_that_are_cut_or_changed_do_no_harm(
        file in any_file(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = RawJson::from(&file).bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = SimpleVectorStore::loader().load(Bytes::from(bytes.clone()));
        let _ = SimpleVectorStore::loader().load(Bytes::from(bytes[..at].to_vec()));
        let _ = SimpleVectorStore::loader().recognises(&bytes[at..]);
    }
}

#[test]
fn deep_and_long_files_are_read_in_linear_time() {
    const ROWS: usize = if cfg!(miri) { 100 } else { 20_000 };
    let deep = format!("{{\"embedding_dict\": {{\"a\": {}}}}}", "[".repeat(100_000));
    let too_deep = SimpleVectorStore::from_text(&Text::from(deep)).unwrap_err().to_string();
    assert_eq!(too_deep, "not a vector store: values nested more than 1024 deep at line 1 column 1048 (byte 1047)");
    // Every row but the first is of another length than the one before.
    let rows: Vec<String> = (0..ROWS).map(|i| format!("\"n{i}\": {:?}", vec![0.5; i % 7])).collect();
    let store = load(&format!("{{\"embedding_dict\": {{{}}}}}", rows.join(", ")));
    assert_eq!(block_on(store.count()).unwrap(), Some(ROWS));
    let ids: Vec<PyString> = (0..ROWS).map(|i| format!("n{i}").into()).collect();
    assert_eq!(block_on(store.delete_nodes(&these(&ids))).unwrap(), ROWS);
    // The same key again and again.
    let again = "\"a\": [0.5], \"a\": null, ".repeat(ROWS);
    assert_eq!(get(&load(&format!("{{\"embedding_dict\": {{{again}\"a\": [1.5]}}}}")), "a"), Some(vec![1.5]));
}
