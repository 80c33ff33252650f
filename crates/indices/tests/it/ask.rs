//! Questions with which something is wrong, and indexes with which something is.

use std::sync::Arc;

use graphstore::SimplePropertyGraphStore;
use indices::{
    DocumentSummaryIndex, EmptyIndex, Error, Index, IndexHandle, KeywordExtractor, KeywordTableIndex, LlmKeywords,
    LlmTripletExtractor, MultiModalVectorStoreIndex, NodeWithScore, PropertyGraphIndex, QueryBundle, QueryEngineExt,
    RetrieverExt, SummaryIndex, TreeIndex, TripletExtractor, VectorStoreIndex,
};
use pollster::block_on;
use schema::Node;
use storage_context::StorageContext;

use crate::models::{TestEmbedder, TestLlm};

fn at(id: &str, embedding: impl Into<Vec<f64>>) -> Node {
    Node::text(format!("llama {id}")).with_id(id).with_embedding(embedding)
}

/// An index of each kind that compares embeddings.
async fn comparing(nodes: Vec<Node>) -> [Index; 3] {
    let ctx = StorageContext::in_memory();
    [
        VectorStoreIndex::builder(&ctx).id("v").from_nodes(nodes.clone()).await.unwrap().into(),
        SummaryIndex::builder(&ctx).id("s").from_nodes(nodes.clone()).await.unwrap().into(),
        TreeIndex::builder(&ctx).id("t").from_nodes(nodes).await.unwrap().into(),
    ]
}

fn ids(found: &[NodeWithScore]) -> Vec<String> {
    found.iter().map(|found| found.node.id.to_string()).collect()
}

#[test]
fn a_question_of_another_length_is_an_error_that_names_a_node() {
    block_on(async {
        for index in comparing(vec![at("a", [1.0, 0.0]), at("b", [0.0, 1.0])]).await {
            for embedding in [vec![1.0, 0.0, 0.0], vec![1.0], vec![]] {
                let (class, length) = (index.class_name(), embedding.len());
                let asked = QueryBundle::from("llama").with_embedding(embedding);
                let refused = index.as_retriever().top_k(1).retrieve(asked).await.unwrap_err().to_string();
                let expected = format!("the query's embedding has {length} numbers, that of node 'a' has 2; ");
                assert!(refused.starts_with(&expected), "{class}: {refused}");
            }
        }
    });
}

#[test]
fn a_model_that_changes_its_length_is_noticed() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let nodes = vec![at("a", [1.0, 0.0]), Node::text("llama b").with_id("b")];
        let tree = TreeIndex::builder(&ctx).from_nodes(nodes).await.unwrap();
        let embedder = TestEmbedder::new("m", 3);
        let asked = tree.clone().with_embedder(embedder).select_leaf_embedding_retriever().retrieve("llama").await;
        let refused = asked.unwrap_err().to_string();
        assert!(refused.contains("has 3 numbers, that of node 'a' has 2"), "{refused}");
    });
}

#[test]
fn what_has_no_direction_comes_last() {
    block_on(async {
        let nodes = vec![at("nan", [f64::NAN, 1.0]), at("a", [-1.0, 0.0]), at("zero", [0.0, 0.0]), at("b", [1.0, 0.0])];
        let [_, summary, tree] = comparing(nodes.iter().skip(1).cloned().collect()).await;
        let asked = QueryBundle::from("llama").with_embedding([1.0, 0.0]);
        for index in [summary, tree] {
            // As another program may have stored it.
            let ctx = index.storage_context();
            ctx.docstore().add_documents(&nodes).await.unwrap();
            index.insert_nodes(nodes[..1].to_vec()).await.unwrap();
            let found = index.as_retriever().top_k(4).retrieve(&asked).await.unwrap();
            let class = index.class_name();
            if class == "SummaryIndex" {
                assert_eq!(ids(&found), ["b", "a", "zero", "nan"]);
            }
            let best = index.as_retriever().top_k(2).retrieve(&asked).await.unwrap();
            assert_eq!(ids(&best), ["b", "a"], "{class}");
            assert!(found.iter().all(|found| found.node.embedding.is_some()), "what is stored is returned");
        }
    });
}

#[test]
fn prompts_are_no_longer_than_the_model_reads_and_nothing_is_left_out() {
    let text = "día ".repeat(1_000);
    let days = |prompts: &[String]| prompts.iter().map(|prompt| prompt.matches("día").count()).sum::<usize>();

    let llm = TestLlm::new(|n, _| format!("(day {n}, follows, night)")).window(900);
    let found = block_on(LlmTripletExtractor::new(llm.clone()).extract(&text)).unwrap();
    let calls = llm.prompts().len();
    assert!(calls > 8 && found.len() == calls && days(&llm.prompts()) == 1_000, "{calls}");
    assert_eq!(found[1].to_string(), "Day 1 -> Follows -> Night");

    let llm = TestLlm::new(|n, _| format!("KEYWORDS: best{n}, day, good{n}")).window(900);
    let found = block_on(LlmKeywords::new(llm.clone()).extract(&text, 10)).unwrap();
    let calls = llm.prompts().len();
    assert!((6..9).contains(&calls) && days(&llm.prompts()) == 1_000, "{calls}");
    let best: Vec<String> = (0..calls).map(|n| format!("best{n}")).chain(["day".to_owned()]).collect();
    assert_eq!(found[..=calls], best);
    assert_eq!(found.len(), 10);

    for refused in [
        block_on(LlmTripletExtractor::new(TestLlm::counting().window(300)).extract(&text)).unwrap_err(),
        block_on(LlmKeywords::new(TestLlm::counting().window(200)).extract(&text, 10)).unwrap_err(),
    ] {
        assert!(refused.to_string().contains("leaves no room for texts"), "{refused}");
    }
}

#[test]
fn a_tree_grows_with_long_texts_too() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let long = |id: &str| Node::text(format!("{id} {}", "día ".repeat(800))).with_id(id);
        let llm = TestLlm::new(|n, prompt| match prompt.contains("numbered summaries") {
            true => "2".to_owned(),
            false => format!("summary {n} {}", "día ".repeat(60)),
        });
        let builder = TreeIndex::builder(&ctx).num_children(4).llm(llm.clone().window(1_000));
        let tree = builder.from_nodes((0..6).map(|n| long(&format!("leaf {n}"))).collect()).await.unwrap();
        tree.insert_nodes(vec![long("new"), Node::text("short").with_id("short")]).await.unwrap();
        let chosen: Vec<String> =
            llm.prompts().into_iter().filter(|prompt| prompt.contains("numbered summaries")).collect();
        assert!(chosen[0].contains("\n\n(2) summary") && chosen[0].contains("\n\nnew día"), "{}", chosen[0]);
        assert!(chosen[1].contains("\n\nshort\n\nAnswer"), "{}", chosen[1]);
        assert_eq!(tree.node_ids().await.unwrap().iter().filter(|id| *id == "new" || *id == "short").count(), 2);
    });
}

#[test]
fn nobody_asks_a_model_about_a_question_with_an_embedding() {
    block_on(async {
        let nodes = vec![at("a", [1.0, 0.0]), at("b", [0.0, 1.0])];
        for index in comparing(nodes).await {
            let without: &IndexHandle = &index;
            assert!(matches!(without.verify_embedder().await, Err(Error::NoModel { .. })));
            let embedder = TestEmbedder::new("m", 2);
            let retriever = index.retriever(embedder.clone()).top_k(1);
            let found = retriever.retrieve(QueryBundle::from("llama").with_embedding([0.0, 1.0])).await.unwrap();
            assert_eq!((ids(&found), embedder.texts()), (vec!["b".to_owned()], 0), "{}", index.class_name());
        }
    });
}

#[test]
fn an_empty_index_finds_nothing_and_needs_no_model() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        // Another index's vector is in the store.
        VectorStoreIndex::builder(&ctx).id("other").from_nodes(vec![at("a", [1.0, 0.0])]).await.unwrap();
        let graph = StorageContext::builder().property_graph_store(Arc::new(SimplePropertyGraphStore::new())).build();
        let empty: [Index; 8] = [
            VectorStoreIndex::builder(&ctx).id("v").from_nodes(Vec::new()).await.unwrap().into(),
            SummaryIndex::builder(&ctx).id("s").from_nodes(Vec::new()).await.unwrap().into(),
            KeywordTableIndex::builder(&ctx).id("k").from_nodes(Vec::new()).await.unwrap().into(),
            TreeIndex::builder(&ctx).id("t").from_nodes(Vec::new()).await.unwrap().into(),
            DocumentSummaryIndex::builder(&ctx).id("d").from_nodes(Vec::new()).await.unwrap().into(),
            MultiModalVectorStoreIndex::builder(&ctx).id("m").from_nodes(Vec::new()).await.unwrap().into(),
            EmptyIndex::builder(&ctx).id("e").from_nodes(Vec::new()).await.unwrap().into(),
            PropertyGraphIndex::builder(&graph).id("p").from_nodes(Vec::new()).await.unwrap().into(),
        ];
        for index in empty {
            for top_k in [-1, 0, 3] {
                let found = index.as_retriever().top_k(top_k).retrieve("llama").await;
                assert_eq!(found.unwrap(), [], "{} {top_k}", index.class_name());
            }
            let answer = index.as_query_engine().query("llama").await.unwrap();
            assert_eq!(answer.to_string(), "Empty Response", "{}", index.class_name());
        }
    });
}
