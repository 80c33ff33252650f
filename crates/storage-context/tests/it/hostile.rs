//! Whatever the files say, nothing panics, and what opens can be read, upgraded and persisted.

use proptest::prelude::*;
use storage_context::Error;

use super::*;

const FILES: [(&str, &str); 5] = [
    (
        "docstore.json",
        r#"{"docstore/data": {"n": {"__data__": {"id_": "n", "embedding": [1.0], "metadata": {"k": "v"}, "relationships": {"1": {"node_id": "d"}, "5": [{"node_id": "c"}]}, "metadata_template": "{key}", "text": "t", "start_char_idx": 0, "class_name": "TextNode"}, "__type__": "1"}, "o": {"__data__": {"text": "old", "doc_id": "o", "extra_info": {}, "node_info": {"start": 0}, "relationships": {"1": "d"}}, "__type__": "Document"}}, "docstore/metadata": {"n": {"doc_hash": "h", "ref_doc_id": "d"}}, "docstore/ref_doc_info": {"d": {"node_ids": ["n"], "metadata": {}}}}"#,
    ),
    (
        "index_store.json",
        r#"{"index_store/data": {"l": {"__type__": "list", "__data__": "{\"index_id\": \"l\", \"nodes\": [\"n\"]}"}, "k": {"__type__": "kg", "__data__": {"rel_map": {"s": [["o", "r"]]}}}, "t": {"__type__": "tree", "__data__": "{\"all_nodes\": {\"0\": \"n\"}}"}}}"#,
    ),
    ("graph_store.json", r#"{"graph_dict": {"s": [["r", "o"]]}}"#),
    (
        "property_graph_store.json",
        r#"{"nodes":{"A":{"label":"x","embedding":[1.0],"properties":{"p":1},"name":"A"},"c":{"label":"text_chunk","embedding":null,"properties":{},"text":"t","id_":"c"}},"relations":{"R":{"label":"R","source_id":"A","target_id":"c","properties":{}}},"triplets":[["A","R","c"]]}"#,
    ),
    (
        "default__vector_store.json",
        r#"{"embedding_dict": {"n": [1.0, -0.010299738], "m": [1, 2]}, "text_id_to_ref_doc_id": {"n": "d"}, "metadata_dict": {"n": {"k": 1}}}"#,
    ),
];

/// Opens, reads everything, upgrades, persists, and opens again.
fn exercise(place: &MemoryFs) {
    let Ok(ctx) = block_on(StorageContext::open(place.clone())) else { return };
    let _ = block_on(ctx.docstore().docs());
    let _ = block_on(ctx.docstore().get_all_ref_doc_info());
    let _ = block_on(ctx.docstore().get_all_document_hashes());
    for id in block_on(ctx.docstore().node_ids()).unwrap_or_default() {
        if let Ok(Some(node)) = block_on(ctx.docstore().get_document(&id)) {
            let _ = node.get_content(schema::MetadataMode::All);
            let _ = (node.hash(), node.ref_doc_id(), node.children());
        }
    }
    let _ = block_on(ctx.docstore().add_documents(&[Node::text("t").with_id("n").with_source("d")]));
    let _ = block_on(ctx.docstore().delete_ref_doc("d"));
    for found in block_on(ctx.index_store().index_structs()).unwrap_or_default() {
        let _ = found.node_ids();
    }
    if let Some(vectors) = ctx.vector_store() {
        let _ = block_on(vectors.query(&vectorstore::VectorStoreQuery::new(vec![1.0, 2.0]).with_top_k(10)));
    }
    let _ = block_on(ctx.graph_store().get_rel_map(None, 2, 30));
    let _ = block_on(ctx.upgrade());
    let target = MemoryFs::new();
    persist(&ctx, &target);
    let again = open(&target);
    assert_eq!(again.to_dict().unwrap().to_string(), ctx.to_dict().unwrap().to_string());
}

#[test]
fn texts_cut_off_anywhere_are_errors_or_whole() {
    for (name, text) in FILES {
        for end in 0..text.len() {
            let place = place(&FILES);
            place.put(name, text[..end].to_owned());
            let message = block_on(StorageContext::open(place)).unwrap_err().to_string();
            assert!(message.contains(name), "{name} cut off at {end}: {message}");
        }
    }
}

#[test]
fn values_of_every_wrong_type_in_every_place() {
    let wrong = ["null", "true", "7", "-1.5e400", "\"x\"", "[]", "[[1]]", "{}", "{\"a\": {}}", "NaN"];
    for (name, text) in FILES {
        // Each value starts behind a colon, a comma or an opening bracket.
        let scanned = Text::from(text);
        for start in text.char_indices().filter(|(_, c)| ":,[".contains(*c)).map(|(i, _)| i + 1) {
            let rest = Text::from(&scanned.as_str()[start..]);
            let Ok(old) = raw_json::Scanner::new(&rest).raw() else { continue };
            let at = start + rest.as_str().find(old.as_str()).unwrap();
            for wrong in wrong {
                let place = place(&FILES);
                place.put(name, format!("{}{wrong}{}", &text[..at], &text[at + old.as_str().len()..]));
                exercise(&place);
            }
        }
    }
}

#[test]
fn depth_and_repetition_cost_no_more_than_the_text() {
    let deep = "[".repeat(900) + &"]".repeat(900);
    let node = format!(
        r#"{{"docstore/data": {{"n": {{"__data__": {{"text": "t", "metadata": {{"k": {deep}}}}}, "__type__": "1"}}}}}}"#
    );
    exercise(&place_with(&[("docstore.json", &node)]));
    let too_deep = "[".repeat(1_000_000);
    let error = |text: &str| block_on(StorageContext::open(place_with(&[("docstore.json", text)]))).unwrap_err();
    let list = error(&too_deep);
    assert!(matches!(list, Error::Damaged { seems: Some("a JSON list"), .. }), "{list:?}");
    let within = error(&format!("{{\"docstore/data\": {too_deep}"));
    let Error::Damaged { source, .. } = &within else { panic!("{within:?}") };
    assert_eq!(
        source.source().unwrap().to_string(),
        "values nested more than 1024 deep at line 1 column 1042 (byte 1041)"
    );
    let repeated = format!("{{\"c\": {{{}\"k\": 1}}}}", "\"k\": 1, ".repeat(100_000));
    exercise(&place_with(&[("docstore.json", &repeated)]));
    let template = format!(
        r#"{{"docstore/data": {{"n": {{"__data__": {{"text": "t", "metadata": {{"k": 1}}, "metadata_template": "{}"}}, "__type__": "1"}}}}}}"#,
        "{key:65536}".repeat(3)
    );
    exercise(&place_with(&[("docstore.json", &template)]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn flipped_bytes_never_panic(file in 0..FILES.len(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let (name, text) = FILES[file];
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let place = place(&FILES);
        place.put(name, bytes);
        exercise(&place);
    }
}
