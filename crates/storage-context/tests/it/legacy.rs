use super::*;

const OLD_VECTORS: &str = r#"{"embedding_dict": {"n": [1.0]}, "text_id_to_doc_id": {"n": "d"}}"#;

fn old_place() -> MemoryFs {
    place_with(&[("vector_store.json", OLD_VECTORS)])
}

#[test]
fn an_old_vector_store_opens_as_the_default_one_and_gets_todays_name_in_a_new_place() {
    let source = old_place();
    let ctx = open(&source);
    assert_eq!(ctx.namespaces(), ["default"]);
    let target = MemoryFs::new();
    let report = persist(&ctx, &target);
    assert_eq!(text(&target, "default__vector_store.json").as_deref(), Some(OLD_VECTORS));
    assert_eq!(text(&target, "vector_store.json"), None);
    assert!(report.python_problems.is_empty() && report.left_behind.is_empty(), "{report}");
}

#[test]
fn in_place_it_keeps_its_name_until_it_changes() {
    let place = old_place();
    let ctx = open(&place);
    let report = persist(&ctx, &place);
    assert_eq!(text(&place, "vector_store.json").as_deref(), Some(OLD_VECTORS));
    assert_eq!(text(&place, "default__vector_store.json"), None);
    assert_eq!(report.python_problems[0].file, "vector_store.json");

    let node = Node::text("t").with_id("m").with_embedding([2.0]);
    block_on(ctx.vector_store().unwrap().add(&[node])).unwrap();
    let report = persist(&ctx, &place);
    assert!(actions(&report).contains(&"vector_store.json removed".to_owned()), "{report}");
    assert_eq!(text(&place, "vector_store.json"), None);
    let expected = r#"{"embedding_dict": {"n": [1.0], "m": [2.0]}, "text_id_to_ref_doc_id": {"n": "d", "m": "None"}, "metadata_dict": {"m": {"_node_type": "TextNode", "document_id": "None", "doc_id": "None", "ref_doc_id": "None"}}}"#;
    assert_eq!(text(&place, "default__vector_store.json").as_deref(), Some(expected));
    assert!(persist(&ctx, &place).python_problems.is_empty());
}

#[test]
fn upgrading_renames_it_without_another_change() {
    let place = old_place();
    let ctx = open(&place);
    assert!(block_on(ctx.upgrade()).unwrap().vector_store_renamed);
    persist(&ctx, &place);
    assert_eq!(names(&place), ["default__vector_store.json", "docstore.json", "graph_store.json", "index_store.json"]);
    assert!(!block_on(ctx.upgrade()).unwrap().vector_store_renamed);
    assert!(!block_on(open(&place).upgrade()).unwrap().vector_store_renamed);
}

#[test]
fn beside_a_default_store_it_is_not_read_and_not_touched() {
    let place = place_with(&[("vector_store.json", OLD_VECTORS), ("default__vector_store.json", VECTORS)]);
    let ctx = open(&place);
    let node = Node::text("t").with_id("m").with_embedding([2.0, 1.0]);
    block_on(ctx.vector_store().unwrap().add(&[node])).unwrap();
    persist(&ctx, &place);
    assert_eq!(text(&place, "vector_store.json").as_deref(), Some(OLD_VECTORS));
}

#[test]
fn upgrading_moves_triplets_out_of_structs_the_right_way_round() {
    let place = place_with(&[(
        "index_store.json",
        r#"{"index_store/data": {"k": {"__type__": "kg", "__data__": {"table": {"s": ["n"]}, "rel_map": {"s": [["o", "r"], ["p", "q"]]}}}}}"#,
    )]);
    let ctx = open(&place);
    let upgraded = block_on(ctx.upgrade()).unwrap();
    assert_eq!((upgraded.triplets, upgraded.index_structs), (2, 0));
    persist(&ctx, &place);
    assert_eq!(text(&place, "graph_store.json").as_deref(), Some(r#"{"graph_dict": {"s": [["r", "o"], ["q", "p"]]}}"#));
    assert_eq!(block_on(ctx.upgrade()).unwrap(), storage_context::Upgraded::default());
}

#[test]
fn the_single_file_of_0_5_becomes_a_context() {
    let file = r#"{"index_struct": {"__type__": "simple_dict", "__data__": {"index_id": "i", "summary": null, "nodes_dict": {"n": "n"}}},
        "docstore": {"__type__": "simple", "__data__": {"docs": {"n": {"text": "t", "doc_id": "n", "embedding": null, "doc_hash": "h", "extra_info": {"k": 1},
            "node_info": {"start": 0, "end": 1}, "relationships": {"1": "d"}, "__type__": "1"}}, "ref_doc_info": {"n": {"doc_hash": "h"}, "d": {"doc_hash": "hd"}}}},
        "vector_store": {"__type__": "simple", "__data__": {"simple_vector_store_data_dict": {"embedding_dict": {"n": [0.5]}, "text_id_to_doc_id": {"n": "d"}}}}}"#;
    let ctx = StorageContext::from_single_file(&Text::from(file)).unwrap();
    let node = block_on(ctx.docstore().require_document("n")).unwrap();
    assert_eq!((node.text_content().to_string().as_str(), node.metadata.len()), ("t", 1));
    assert_eq!(block_on(ctx.docstore().get_ref_doc_info("d")).unwrap().unwrap().node_ids, ["n"]);
    assert_eq!(block_on(ctx.docstore().get_document_hash("d")).unwrap().unwrap(), "hd");
    let index = block_on(ctx.index_store().require_index_struct("i")).unwrap();
    assert_eq!(index.type_name(), "vector_store");
    assert_eq!(block_on(ctx.vector_store().unwrap().get(&"n".into())).unwrap(), Some(vec![0.5]));
    assert_eq!(block_on(ctx.vector_store().unwrap().delete(&"d".into())).unwrap(), 1);
    for (broken, expected) in [
        ("", "expected a value at line 1 column 1 (byte 0)"),
        ("{}", "'docstore.__data__.docs' is not an object"),
        (r#"{"docstore": {"__data__": {"docs": {"n": 1}}}}"#, "node 'n' is not an object"),
        (r#"{"docstore": {"__data__": {"docs": {}}}}"#, "'index_struct' is missing"),
    ] {
        let message = StorageContext::from_single_file(&Text::from(broken)).unwrap_err().to_string();
        assert_eq!(message, format!("not a storage context's dict: {expected}"), "{broken}");
    }
}
