//! What stands behind index nodes.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use indices::{
    DocumentSummaryIndex, Error, Index, KeywordTableIndex, NodeWithScore, QueryBundle, QueryEngine, QueryEngineExt,
    Response, ResponseMode, Result, RetrievedObject, Retriever, RetrieverExt, SummaryIndex, TreeIndex,
    VectorStoreIndex, load_index_from_storage,
};
use persist::MemoryFs;
use pollster::block_on;
use raw_json::Value;
use schema::{MetadataMode, Node, NodeContent};
use storage_context::StorageContext;

use crate::models::{TestEmbedder, TestLlm};

fn text(id: &str) -> Node {
    Node::text(format!("{id} text")).with_id(id)
}

fn pointer(id: &str) -> Node {
    Node::index(format!("about {id}"), id).with_id(format!("to {id}"))
}

fn told(found: &[NodeWithScore]) -> Vec<(String, Option<f64>)> {
    found.iter().map(|found| (found.node.id.to_string(), found.score)).collect()
}

/// Finds what it was given, in this order, whatever the question.
async fn list(ctx: &StorageContext, nodes: &[Node]) -> SummaryIndex {
    SummaryIndex::builder(ctx).from_nodes(nodes.to_vec()).await.unwrap()
}

#[test]
fn every_kind_of_object_takes_its_node_s_place() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let inner = list(&ctx, &[text("p"), text("q")]).await;
        let measured = NodeWithScore { node: text("measured"), score: Some(0.25) };
        let index = SummaryIndex::builder(&ctx)
            .object(pointer("node"), text("plain"))
            .object(pointer("scored"), measured)
            .object(pointer("retriever"), inner.as_retriever())
            .object(pointer("engine"), inner.as_query_engine())
            .from_nodes(vec![text("q"), pointer("nothing"), text("plain")])
            .await
            .unwrap();
        let found = index.as_retriever().retrieve("What is in q?").await.unwrap();
        let answer = &found[5].node;
        let expected = [("q", None), ("to nothing", None), ("plain", None), ("measured", Some(0.25)), ("p", None)];
        assert_eq!(told(&found[..5]), expected.map(|(id, score)| (id.to_owned(), score)));
        assert_eq!((found.len(), found[5].score), (6, Some(1.0)));
        assert_eq!(answer.text_content(), "q text");
        let sources: Vec<String> = answer.metadata.keys().map(ToString::to_string).collect();
        assert_eq!((answer.class_name(), sources), ("TextNode", vec!["p".to_owned(), "q".to_owned()]));
    });
}

#[test]
fn scores_are_passed_on_to_nodes_and_answers_only() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let inner = list(&ctx, &[text("inner")]).await;
        for (score, expected) in [(0.5, 0.5), (0.0, 1.0), (-0.5, -0.5)] {
            // The cosine with the question is the score.
            let at = |node: Node| node.with_embedding([score, (1.0_f64 - score * score).sqrt()]);
            let asked = QueryBundle::from("inner").with_embedding([1.0, 0.0]);
            for (object, expected) in [
                (RetrievedObject::from(text("n")), Some(expected)),
                (inner.as_query_engine().into(), Some(expected)),
                (inner.as_retriever().into(), None),
            ] {
                let builder = VectorStoreIndex::builder(&StorageContext::in_memory()).object(at(pointer("x")), object);
                let index = builder.from_nodes(Vec::new()).await.unwrap();
                let found = index.as_retriever().retrieve(&asked).await.unwrap();
                assert_eq!(found.len(), 1);
                assert!(found[0].score.zip(expected).is_none_or(|(a, b)| (a - b).abs() < 1e-9));
                assert_eq!(found[0].score.is_some(), expected.is_some());
            }
        }
    });
}

#[test]
fn objects_are_not_stored_and_can_be_given_again() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let mut carrying = pointer("x");
        if let NodeContent::Index(_, index) = &mut carrying.content {
            index.obj = Some(text("carried").to_value());
        }
        let builder = SummaryIndex::builder(&ctx).id("s").object(carrying, text("live"));
        let index = builder.from_documents(vec![Node::document("first")]).await.unwrap();
        assert_eq!(index.as_retriever().retrieve("").await.unwrap()[1].node.id, "live");
        assert!(index.nodes().await.unwrap()[1].obj_node().is_none());
        assert!(!ctx.docstore().document_exists("live").await.unwrap());
        let place = MemoryFs::new();
        ctx.persist(place.clone()).await.unwrap();

        let ctx = StorageContext::open(place).await.unwrap();
        let index = load_index_from_storage(&ctx, None).await.unwrap();
        assert_eq!(index.as_retriever().retrieve("").await.unwrap()[1].node.id, "to x");
        let index = index.with_objects([("y", text("other")), ("x", text("again"))]);
        assert_eq!(index.as_retriever().retrieve("").await.unwrap()[1].node.id, "again");
        let index = index.with_objects([("z", text("third"))]);
        index.insert_nodes(vec![pointer("y")]).await.unwrap();
        let found = index.as_retriever().retrieve("").await.unwrap();
        assert_eq!(told(&found[1..]), [("again".to_owned(), Some(1.0)), ("other".to_owned(), Some(1.0))]);
    });
}

#[test]
fn what_a_node_carries_itself_comes_first() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let mut carrying = pointer("x");
        if let NodeContent::Index(_, index) = &mut carrying.content {
            index.obj = Some(text("inner").to_value());
        }
        let plain = pointer("elsewhere");
        let index = list(&ctx, &[carrying, plain, text("inner")]).await.with_objects([("x", text("live"))]);
        let found = index.as_retriever().retrieve("").await.unwrap();
        assert_eq!(told(&found), [("inner".to_owned(), Some(1.0)), ("to elsewhere".to_owned(), None)]);
        assert_eq!(Value::from(&found[0].node), Value::from(&text("inner")));
    });
}

#[test]
fn every_retriever_looks_behind_index_nodes() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let nodes = vec![pointer("x").with_source("d").with_embedding([1.0, 0.5]), text("y").with_source("d")];
        let embedder = || TestEmbedder::new("m", 2);
        let live = || [("x", text("live"))];
        let v = VectorStoreIndex::builder(&ctx).embedder(embedder()).from_nodes(nodes.clone()).await.unwrap();
        let s = SummaryIndex::builder(&ctx).embedder(embedder()).from_nodes(nodes.clone()).await.unwrap();
        let k = KeywordTableIndex::builder(&ctx).from_nodes(nodes.clone()).await.unwrap();
        let d = DocumentSummaryIndex::builder(&ctx).llm(TestLlm::counting()).embedder(embedder());
        let d = d.from_nodes(nodes.clone()).await.unwrap();
        let t = TreeIndex::builder(&ctx).embedder(embedder()).from_nodes(nodes).await.unwrap();
        let (s, t) = (s.with_objects(live()), t.with_objects(live()));
        let retrievers: Vec<Box<dyn Retriever>> = vec![
            Box::new(v.with_objects(live()).as_retriever()),
            Box::new(s.as_retriever()),
            Box::new(s.embedding_retriever().top_k(2)),
            Box::new(k.with_objects(live()).as_retriever()),
            Box::new(d.with_objects(live()).as_retriever()),
            Box::new(t.all_leaf_retriever()),
            Box::new(t.root_retriever()),
            Box::new(t.select_leaf_embedding_retriever().child_branch_factor(2)),
            Box::new(Index::from(s.clone()).as_retriever()),
        ];
        for retriever in retrievers {
            let found = retriever.retrieve("about x y text").await.unwrap();
            let ids: Vec<String> = told(&found).into_iter().map(|(id, _)| id).collect();
            assert!(ids.contains(&"live".to_owned()) && !ids.contains(&"to x".to_owned()), "{ids:?} by {retriever:?}");
        }
    });
}

#[test]
fn only_index_nodes_have_something_behind_them() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let built = SummaryIndex::builder(&ctx).object(text("n"), text("live")).from_nodes(vec![text("m")]).await;
        let refused = built.unwrap_err().to_string();
        assert!(refused.starts_with("node 'n' is a TextNode, and objects stand behind index nodes only"), "{refused}");
        assert!(ctx.docstore().node_ids().await.unwrap().is_empty());
    });
}

/// Finds what another one finds, which is given later.
#[derive(Debug, Clone, Default)]
struct Later(Arc<OnceLock<Box<dyn Retriever>>>);

#[async_trait]
impl Retriever for Later {
    async fn retrieve_bundle(&self, query: &QueryBundle) -> Result<Vec<NodeWithScore>> {
        self.0.get().unwrap().retrieve_bundle(query).await
    }
}

/// Runs on a thread with as little stack as threads have anywhere.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(1 << 20).spawn(test).unwrap().join().unwrap();
}

#[test]
fn objects_in_a_circle_end_in_an_error_that_names_it() {
    on_a_small_stack(|| {
        block_on(async {
            let ctx = StorageContext::in_memory();
            let later = Later::default();
            let b = SummaryIndex::builder(&ctx).object(pointer("a"), later.clone());
            let b = b.from_nodes(vec![text("n")]).await.unwrap();
            // Through an engine, so that the question goes on through those too.
            let a = SummaryIndex::builder(&ctx).object(pointer("b"), b.as_query_engine());
            let a = a.from_nodes(vec![text("m")]).await.unwrap();
            let start = SummaryIndex::builder(&ctx).object(pointer("start"), a.as_retriever());
            let start = start.from_nodes(Vec::new()).await.unwrap();
            later.0.set(Box::new(a.as_retriever())).unwrap();
            let lost = start.as_retriever().retrieve("x").await.unwrap_err().to_string();
            assert_eq!(lost, "the question goes in a circle or too deep, 'a' -> 'b' -> 'a'; take one of them out");
        });
    });
}

#[test]
fn twenty_objects_one_in_another_are_found_and_no_more() {
    on_a_small_stack(|| {
        block_on(async {
            let ctx = StorageContext::in_memory();
            let mut index = list(&ctx, &[text("innermost")]).await;
            for depth in (0..=20).rev() {
                let id = format!("level {depth}");
                let outer = SummaryIndex::builder(&ctx).object(pointer(&id), index.as_retriever());
                index = outer.from_nodes(Vec::new()).await.unwrap();
                if depth == 1 {
                    let found = index.as_retriever().retrieve("x").await.unwrap();
                    assert_eq!(found[0].node.id, "innermost");
                }
            }
            let lost = index.as_retriever().retrieve("x").await.unwrap_err();
            assert!(matches!(&lost, Error::Circle { path } if path.len() == 21), "{lost}");
        });
    });
}

/// Fails.
#[derive(Debug)]
struct Broken;

#[async_trait]
impl QueryEngine for Broken {
    async fn query_bundle(&self, _query: &QueryBundle) -> Result<Response> {
        Err(Error::NoIndex)
    }
}

#[test]
fn what_fails_behind_a_node_fails_the_question() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let broken: Arc<dyn QueryEngine> = Arc::new(Broken);
        let index = SummaryIndex::builder(&ctx).object(pointer("x"), broken).from_nodes(vec![text("n")]).await.unwrap();
        assert!(matches!(index.as_retriever().retrieve("x").await, Err(Error::NoIndex)));
        assert!(matches!(index.as_query_engine().query("x").await, Err(Error::NoIndex)));
    });
}

#[test]
fn an_engine_behind_a_node_answers_with_its_own_model() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let inner = list(&ctx, &[text("inner")]).await.with_llm(TestLlm::counting());
        let llm = TestLlm::new(|_, _| "outer answer".to_owned());
        let engine = inner.as_query_engine().response_mode(ResponseMode::Compact);
        let index = SummaryIndex::builder(&ctx).llm(llm.clone()).object(pointer("x"), engine);
        let index = index.from_nodes(vec![text("n")]).await.unwrap();
        let answer = index.as_query_engine().response_mode(ResponseMode::TreeSummarize).query("x").await.unwrap();
        assert_eq!(answer.response, "outer answer");
        assert!(llm.prompts()[0].contains("answer 0"));
        let content = answer.source_nodes[1].node.get_content(MetadataMode::Llm).unwrap();
        assert_eq!(content, "inner: {}\n\nanswer 0");
    });
}
