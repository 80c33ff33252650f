//! Knowledge graphs, compared with what LlamaIndex 0.14.25 made of the same nodes and triplets.

use graphstore::Triplet;
use indexmap::IndexSet;
use indexstore::{IndexStruct, IndexStructData, KnowledgeGraph};
use indices::{
    Deleted, Error, Index, KgRetrieverMode, KgTableRetriever, KnowledgeGraphIndex, NodeWithScore, RetrieverExt,
    TripletExtractor, TripletFn, load_index_from_storage,
};
use pollster::block_on;
use raw_json::{PyString, RawJson, Value};
use schema::Node;
use storage_context::StorageContext;

use crate::models::{Answer, Keywords, SumEmbedder, TestEmbedder};

fn theirs() -> Value {
    include_str!("data/knowledge_graph.json").parse::<RawJson>().unwrap().value()
}

/// Sentences and lines of three parts with bars between them.
pub(crate) fn by_bars() -> impl TripletExtractor {
    TripletFn(|text: &str| {
        let sentences = text.lines().flat_map(|line| line.split(". "));
        let parts = sentences.map(|sentence| sentence.trim_end_matches('.').split(" | ").collect::<Vec<_>>());
        parts.filter(|parts| parts.len() == 3).map(|parts| Triplet::new(parts[0], parts[1], parts[2])).collect()
    })
}

fn node(id: &str, text: &str, document: &str) -> Node {
    Node::text(text).with_id(id).with_source(document)
}

async fn built(ctx: &StorageContext) -> KnowledgeGraphIndex {
    let nodes = vec![
        node("a", "Llama | Carries | Maize. Llama | Lives in | Puna", "caravans"),
        node("b", "Maize | Is in | Colca. Colca | Isn't | Empty", "stores"),
        node("c", "Maize | Feeds | Llama", "stores"),
        node("d", "nothing here", "stores"),
    ];
    let builder = KnowledgeGraphIndex::builder(ctx).id("kg").triplet_extractor(by_bars()).include_embeddings(true);
    let index = builder.embedder(SumEmbedder).from_nodes(nodes).await.unwrap();
    let more = node("e", "Colca | Is near | Cusco, Peru. Llama | Carries | Maize", "stores");
    index.insert_nodes(vec![more]).await.unwrap();
    index
}

fn known(index: &KnowledgeGraphIndex) -> KnowledgeGraph {
    match &index.index_struct().data {
        IndexStructData::KnowledgeGraph(known) => known.clone(),
        other => panic!("{other:?}"),
    }
}

fn has(index: &KnowledgeGraphIndex, keyword: &str) -> Vec<String> {
    known(index).table.get(keyword.as_bytes()).into_iter().flatten().map(ToString::to_string).collect()
}

/// The ids of the nodes that were found, or the text that says that there are none.
fn names(found: &[NodeWithScore]) -> Vec<String> {
    let nodes = found.iter().filter(|found| facts(found).is_none());
    nodes.map(|found| if found.score == Some(1000.0) { found.node.id.to_string() } else { text(found) }).collect()
}

fn text(found: &NodeWithScore) -> String {
    found.node.text_content().to_string()
}

fn facts(found: &NodeWithScore) -> Option<&Value> {
    found.node.metadata.get(&b"kg_rel_texts"[..])
}

fn told(found: &[NodeWithScore]) -> Vec<String> {
    let facts = found.iter().find_map(facts).and_then(Value::as_array).unwrap_or_default();
    facts.iter().filter_map(Value::as_str).map(ToString::to_string).collect()
}

#[test]
fn it_is_stored_as_llama_index_stores_it() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = built(&ctx).await;
        let theirs = theirs();
        let stored = theirs.get("struct").unwrap();
        let raw: Value = [("__type__", Value::from("kg")), ("__data__", RawJson::from(stored).text().as_str().into())]
            .into_iter()
            .collect();
        let expected = IndexStruct::from_raw(&raw.into(), &"kg".into());
        assert_eq!(*index.index_struct(), expected);
        let IndexStructData::KnowledgeGraph(expected) = expected.data else { panic!("another kind") };
        assert!(known(&index).table.keys().eq(expected.table.keys()), "in the same order");
        assert!(known(&index).embedding_dict.keys().eq(expected.embedding_dict.keys()));
        let graph = ctx.graph_store().to_dict().unwrap();
        assert_eq!(RawJson::from(graph.get("graph_dict").unwrap()), RawJson::from(theirs.get("graph").unwrap()));
        let nodes = ctx.docstore().node_ids().await.unwrap();
        assert_eq!(nodes, ["a", "b", "c", "d", "e"]);
    });
}

#[test]
fn what_is_found_is_what_llama_index_finds() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = built(&ctx).await;
        let theirs = theirs();
        for asked in theirs.get("found").and_then(Value::as_array).unwrap() {
            let text = |key: &str| asked.get(key).and_then(Value::as_str).unwrap().to_string();
            let strings = |value: Option<&Value>| -> Vec<String> {
                let list = value.and_then(Value::as_array).unwrap_or_default();
                list.iter().map(|string| string.as_str().unwrap().to_string()).collect()
            };
            let index = index.clone().with_keyword_extractor(Keywords(strings(asked.get("keywords"))));
            let (retriever, is_hybrid) = retriever(&index, asked.get("args").unwrap());
            let found = retriever.retrieve(text("query")).await.unwrap();
            // Sets and what is sorted by length have no order there.
            let mut ours = names(&found);
            ours.sort();
            // In `Cusco, Peru` it looks for the end of the name at the comma; here the node is found all the same.
            assert_eq!(ours, strings(asked.get("nodes")), "{asked}");
            let facts = asked.get("facts").unwrap();
            let (mut ours, mut expected) = (told(&found), strings(facts.get("kg_rel_texts")));
            if is_hybrid {
                assert!(ours.is_sorted_by_key(|text| std::cmp::Reverse(text.chars().count())), "{ours:?}");
                ours.sort();
                expected.sort();
            }
            assert_eq!(ours, expected, "{asked}");
            let rel_map = found.iter().find_map(|found| found.node.metadata.get(&b"kg_rel_map"[..]));
            assert_eq!(rel_map, facts.get("kg_rel_map"), "{asked}");
        }
    });
}

/// The retriever that LlamaIndex made of these arguments, and whether its mode is `Hybrid`.
fn retriever(index: &KnowledgeGraphIndex, args: &Value) -> (KgTableRetriever, bool) {
    let mut retriever = index.as_retriever();
    match args.get("retriever_mode").and_then(Value::as_str).map(ToString::to_string).as_deref() {
        Some("keyword") => retriever = retriever.mode(KgRetrieverMode::Keyword),
        Some("embedding") => retriever = retriever.mode(KgRetrieverMode::Embedding),
        _ => {}
    }
    if let Some(Value::Bool(include)) = args.get("include_text") {
        retriever = retriever.include_text(*include);
    }
    if let Some(Value::Int(k)) = args.get("similarity_top_k") {
        retriever = retriever.top_k(*k);
    }
    if let Some(Value::Int(depth)) = args.get("graph_store_query_depth") {
        retriever = retriever.depth(usize::try_from(*depth).unwrap());
    }
    (retriever, args.get("retriever_mode").is_none())
}

#[test]
fn names_with_commas_and_parentheses_find_their_nodes() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let builder = KnowledgeGraphIndex::builder(&ctx).triplet_extractor(by_bars()).include_embeddings(true);
        let nodes = vec![node("n", "Cusco (city) | Is in | \"Peru\", south", "d")];
        let index = builder.embedder(SumEmbedder).from_nodes(nodes).await.unwrap();
        let retriever = index.as_retriever().mode(KgRetrieverMode::Embedding);
        assert_eq!(names(&retriever.retrieve("q").await.unwrap()), ["n"]);
        assert!(retriever.chunks(0).retrieve("q").await.unwrap().iter().all(|found| facts(found).is_some()));
    });
}

#[test]
fn a_question_s_words_are_found_in_any_case() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        built(&ctx).await;
        let index = load_index_from_storage(&ctx, None).await.unwrap().with_embedder(SumEmbedder);
        let Index::KnowledgeGraph(graph) = &index else { panic!("another kind") };
        let keyword = graph.as_retriever().mode(KgRetrieverMode::Keyword);
        let found = keyword.retrieve("Where does a llama live?").await.unwrap();
        assert_eq!(names(&found), ["a", "c", "e"]);
        assert!(told(&found).contains(&"['Llama', 'Lives in', 'Puna']".to_owned()));
        assert_eq!(
            names(&keyword.clone().max_keywords(0).retrieve("llama").await.unwrap()),
            ["No relationships found."]
        );
        let found = index.as_retriever().top_k(1).retrieve("llama").await.unwrap();
        assert_eq!((found.len(), facts(&found[1]).is_some()), (2, true));
    });
}

#[test]
fn a_keyword_brings_three_nodes() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = built(&ctx).await;
        let retriever = index.as_retriever().mode(KgRetrieverMode::Keyword);
        assert_eq!(names(&retriever.retrieve("maize").await.unwrap()), ["a", "b", "c"]);
        assert_eq!(names(&retriever.retrieve("maize colca").await.unwrap()), ["a", "b", "c", "e"]);
    });
}

#[test]
fn each_triplet_is_embedded_once() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let embedder = TestEmbedder::new("m", 8);
        let builder = KnowledgeGraphIndex::builder(&ctx).triplet_extractor(by_bars()).include_embeddings(true);
        let builder = builder.embedder(embedder.clone());
        let index = builder.from_nodes(vec![node("a", "A | R | B. A | R | B", "d"), node("b", "A | R | B", "d")]).await;
        let index = index.unwrap();
        assert_eq!(embedder.texts(), 2, "the triplet, and the sentence that is remembered");
        index.insert_nodes(vec![node("c", "A | R | B. B | R | A", "d")]).await.unwrap();
        assert_eq!((embedder.texts(), known(&index).embedding_dict.len()), (3, 2));
    });
}

#[test]
fn nodes_go_and_triplets_stay() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = built(&ctx).await;
        let documents = index.ref_doc_info().await.unwrap();
        assert_eq!(
            documents.keys().map(ToString::to_string).collect::<IndexSet<_>>(),
            ["caravans", "stores"].map(str::to_owned).into()
        );
        let deleted = index.delete_nodes(&["a".into(), "nobody".into()]).await.unwrap();
        assert_eq!(deleted, Deleted { entries: 1, vectors: 0, nodes: 1, ref_docs: 1 });
        assert_eq!((has(&index, "Llama"), has(&index, "Puna").len()), (vec!["c".to_owned(), "e".to_owned()], 0));
        assert_eq!(
            index.delete_ref_doc("stores").await.unwrap(),
            Deleted { entries: 3, vectors: 0, nodes: 4, ref_docs: 1 }
        );
        assert_eq!(index.delete_ref_doc("stores").await.unwrap(), Deleted::default());
        assert!(known(&index).table.is_empty() && ctx.docstore().node_ids().await.unwrap().is_empty());
        assert_eq!(
            (ctx.graph_store().get(&"Llama".into()).await.unwrap().len(), known(&index).embedding_dict.len()),
            (2, 6)
        );

        let gone = Triplet::new("Colca", "Isn't", "Empty");
        assert!(index.delete_triplet(&gone).await.unwrap());
        assert!(!index.delete_triplet(&gone).await.unwrap());
        assert_eq!(
            (ctx.graph_store().get(&"Colca".into()).await.unwrap().len(), known(&index).embedding_dict.len()),
            (1, 5)
        );
        index.set_index_id("renamed").await.unwrap();
        index.drop_index().await.unwrap();
        assert!(ctx.index_store().index_structs().await.unwrap().is_empty());
        assert_eq!(ctx.graph_store().get(&"Llama".into()).await.unwrap().len(), 2);
    });
}

#[test]
fn documents_are_updated_and_refreshed() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let builder = KnowledgeGraphIndex::builder(&ctx).id("kg").triplet_extractor(by_bars());
        let document = |id: &str, text: &str| Node::document(text).with_id(id);
        let old = vec![document("x", "A | R | B"), document("y", "B | R | C")];
        let index = builder.from_documents(old).await.unwrap();
        let deleted = index.update_ref_doc(document("x", "A | R | D")).await.unwrap();
        assert_eq!(deleted, Deleted { entries: 1, vectors: 0, nodes: 1, ref_docs: 0 });
        assert_eq!((has(&index, "B").len(), has(&index, "A"), has(&index, "D").len()), (1, has(&index, "D"), 1));
        let new = vec![document("x", "A | R | D"), document("y", "B | R | E"), document("z", "F | R | G")];
        assert_eq!(index.refresh_ref_docs(new.clone()).await.unwrap(), [false, true, true]);
        assert_eq!(index.refresh_ref_docs(new).await.unwrap(), [false; 3]);
        assert_eq!((has(&index, "C").len(), index.node_ids().await.unwrap().len()), (0, 3));
        assert_eq!(ctx.docstore().node_ids().await.unwrap().len(), 3);
    });
}

#[test]
fn triplets_and_nodes_are_added_by_hand() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let builder = KnowledgeGraphIndex::builder(&ctx).id("kg").embedder(SumEmbedder);
        let index = builder.from_nodes(Vec::new()).await.unwrap();
        index.upsert_triplet(Triplet::new("A", "R", "B")).await.unwrap();
        index.add_node(["A", "K"], node("n", "text", "d")).await.unwrap();
        assert!(known(&index).embedding_dict.is_empty());
        let index = index.with_include_embeddings(true);
        index.upsert_triplet_and_node(Triplet::new("B", "R", "C"), node("m", "text", "d")).await.unwrap();

        let stored = load_index_from_storage(&ctx, None).await.unwrap();
        let Index::KnowledgeGraph(stored) = stored else { panic!("another kind") };
        assert_eq!((has(&stored, "A"), has(&stored, "K")), (vec!["n".to_owned()], vec!["n".to_owned()]));
        assert_eq!((has(&stored, "B"), has(&stored, "C")), (vec!["m".to_owned()], vec!["m".to_owned()]));
        let embedded: Vec<PyString> = known(&stored).embedding_dict.keys().cloned().collect();
        assert_eq!(embedded, ["('B', 'R', 'C')"]);
        assert_eq!(ctx.graph_store().get(&"A".into()).await.unwrap(), [("R".into(), "B".into())]);
        let verified = stored.verify_embedder().await;
        assert!(matches!(verified, Err(Error::NoModel { model: "embedder", .. })), "{verified:?}");
        assert!(stored.with_embedder(SumEmbedder).verify_embedder().await.unwrap());
    });
}

#[test]
fn a_language_model_is_asked_if_nothing_else_is_given() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let build = || KnowledgeGraphIndex::builder(&ctx).id("kg");
        let refused = build().from_nodes(vec![node("n", "text", "d")]).await.unwrap_err();
        assert!(matches!(refused, Error::NoModel { model: "language model", .. }), "{refused}");
        assert!(ctx.docstore().node_ids().await.unwrap().is_empty());
        let llm = Answer("Here they are:\n(llama, IS a, animal)\n(too, few)");
        let index = build().llm(llm).from_nodes(vec![node("n", "text", "d")]).await.unwrap();
        assert_eq!(known(&index).table.keys().map(ToString::to_string).collect::<Vec<_>>(), ["Llama", "Animal"]);
        assert_eq!(ctx.graph_store().get(&"Llama".into()).await.unwrap(), [("Is a".into(), "Animal".into())]);
    });
}

/// A struct of 0.6.20, which has its triplets in itself, the object first.
async fn old(ctx: &StorageContext) -> KnowledgeGraphIndex {
    ctx.docstore().add_documents(&[node("n", "text", "d")]).await.unwrap();
    let data = KnowledgeGraph {
        table: [("A".into(), IndexSet::from(["n".into()]))].into(),
        rel_map: [(PyString::from("A"), Value::from(vec![Value::from(vec!["B", "r"])]))].into_iter().collect(),
        ..KnowledgeGraph::default()
    };
    let index_struct = IndexStruct::new("old", IndexStructData::KnowledgeGraph(data));
    ctx.index_store().add_index_struct(&index_struct).await.unwrap();
    load_index_from_storage(ctx, None).await.unwrap().try_into().unwrap()
}

#[test]
fn triplets_in_old_structs_are_found_and_move_when_others_come() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = old(&ctx).await;
        let retriever = index.as_retriever();
        let found = retriever.retrieve("a").await.unwrap();
        assert_eq!(told(&found), [""; 0], "'a' is a stop word");
        let retriever = index.with_keyword_extractor(Keywords(vec!["A".to_owned()])).as_retriever();
        let found = retriever.retrieve("q").await.unwrap();
        assert_eq!((names(&found), told(&found)), (vec!["n".to_owned()], vec!["['A', 'r', 'B']".to_owned()]));
        let before = ctx.to_dict().unwrap();
        assert!(
            known(&old(&ctx).await).rel_map.len() == 1 && ctx.to_dict().unwrap() == before,
            "reading moves nothing"
        );

        let index = old(&ctx).await;
        index.upsert_triplet(Triplet::new("B", "r", "C")).await.unwrap();
        assert!(known(&index).rel_map.is_empty());
        let graph = ctx.graph_store();
        assert_eq!(graph.get(&"A".into()).await.unwrap(), [("r".into(), "B".into())]);
        let retriever = index.with_keyword_extractor(Keywords(vec!["A".to_owned()])).as_retriever();
        assert_eq!(told(&retriever.retrieve("q").await.unwrap()), ["['A', 'r', 'B']", "['B', 'r', 'C']"]);
    });
}

#[test]
fn damage_in_a_struct_is_named() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = built(&ctx).await;
        let spoil = async |spoil: fn(&mut KnowledgeGraph)| {
            let change = |index_struct: &mut IndexStruct| match &mut index_struct.data {
                IndexStructData::KnowledgeGraph(known) => spoil(known),
                _ => panic!("another kind"),
            };
            ctx.index_store().update_index_struct("kg", change).await.unwrap();
            index.reload().await.unwrap();
        };
        spoil(|known| drop(known.embedding_dict.insert("('A', 'R', 'B')".into(), Value::from("none")))).await;
        let failed = index.as_retriever().retrieve("q").await.unwrap_err().to_string();
        assert!(failed.contains("embedding of the triplet ('A', 'R', 'B')"), "{failed}");
        index.delete_triplet(&Triplet::new("A", "R", "B")).await.unwrap();
        assert!(index.as_retriever().retrieve("q").await.is_ok());
        spoil(|known| drop(known.rel_map.insert("A".into(), Value::from(vec!["B"])))).await;
        let failed = index.as_retriever().retrieve("q").await.unwrap_err().to_string();
        assert_eq!(failed, "the triplets of 'A' in index 'kg' are not pairs of strings; correct them in its struct");
        let before = ctx.to_dict().unwrap();
        let inserted = index.insert_nodes(vec![node("x", "A | R | B", "d")]).await;
        assert!(matches!(&inserted, Err(Error::DamagedTriplets { subject, .. }) if *subject == *"A"), "{inserted:?}");
        assert_eq!(ctx.to_dict().unwrap(), before);
    });
}

#[test]
fn everything_may_be_done_on_any_thread() {
    fn check<T: Send>(_: &T) {}
    let ctx = StorageContext::in_memory();
    let index = block_on(KnowledgeGraphIndex::builder(&ctx).from_nodes(Vec::new())).unwrap();
    check(&index.upsert_triplet(Triplet::new("A", "R", "B")));
    check(&index.add_node(["A"], Node::text("x")));
    check(&index.upsert_triplet_and_node(Triplet::new("A", "R", "B"), Node::text("x")));
    check(&index.delete_triplet(&Triplet::new("A", "R", "B")));
    check(&index.as_retriever().retrieve("x"));
}
