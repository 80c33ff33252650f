//! Indexes over indexes.

use indices::{
    ComposableGraph, Error, Index, KeywordTableIndex, QueryBundle, QueryEngine, QueryEngineExt, Response, ResponseMode,
    Result, SummaryIndex, VectorStoreIndex, load_graph_from_storage, load_index_from_storage,
};

use async_trait::async_trait;
use persist::MemoryFs;
use pollster::block_on;
use schema::{Node, NodeContent, NodeRelationship};
use storage_context::StorageContext;

use crate::models::{TestEmbedder, TestLlm};
use crate::with_causes;

async fn child(ctx: &StorageContext, id: &str, texts: &[&str]) -> Index {
    let nodes = texts.iter().enumerate().map(|(at, text)| Node::text(*text).with_id(format!("{id}-{at}")));
    SummaryIndex::builder(ctx).id(id).from_nodes(nodes.collect()).await.unwrap().into()
}

/// A keyword table over a list of stores and a list of herds.
async fn graph(ctx: &StorageContext) -> ComposableGraph {
    let stores = child(ctx, "stores", &["The colca is a storehouse.", "The colca is cold."]).await;
    let herds = child(ctx, "herds", &["Llamas eat ichu."]).await;
    let root = KeywordTableIndex::builder(ctx).id("root");
    ComposableGraph::from_indices(root, &[stores, herds], Some(&["colca stores", "llamas"])).await.unwrap()
}

fn sources(response: &Response) -> Vec<String> {
    response.source_nodes.iter().map(|found| found.node.text_content().to_string()).collect()
}

#[test]
fn the_root_has_a_node_for_each_child() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let graph = graph(&ctx).await;
        let ids: Vec<String> = graph.all_indices().keys().map(ToString::to_string).collect();
        assert_eq!(ids, ["stores", "herds", "root"]);
        assert_eq!((graph.root_id(), graph.root_index().class_name()), (&"root".into(), "KeywordTableIndex"));
        let nodes = graph.root_index().nodes().await.unwrap();
        for (id, summary) in [("stores", "colca stores"), ("herds", "llamas")] {
            let stored = load_index_from_storage(&ctx, Some(id)).await.unwrap();
            assert_eq!(stored.summary(), Some(summary.into()));
            let points = |node: &&Node| matches!(&node.content, NodeContent::Index(_, to) if to.index_id == id);
            let node = nodes.iter().find(points).unwrap();
            assert_eq!(node.text_content(), summary);
            let source = node.related(NodeRelationship::Source).unwrap().unwrap();
            assert_eq!((&source.node_id, source.node_type.clone()), (&id.into(), Some("3".into())));
            assert!(source.hash.is_none() && source.metadata.is_empty());
            let info = ctx.docstore().get_ref_doc_info(id).await.unwrap().unwrap();
            assert_eq!(info.node_ids, std::slice::from_ref(&node.id));
        }
    });
}

#[test]
fn own_summaries_are_taken_if_none_are_given() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let a = child(&ctx, "a", &["x"]).await;
        a.set_summary("about a").await.unwrap();
        let built = ComposableGraph::from_indices(SummaryIndex::builder(&ctx), &[a], None).await.unwrap();
        assert_eq!(built.root_index().nodes().await.unwrap()[0].text_content(), "about a");
    });
}

#[test]
fn what_is_wrong_with_a_graph_is_told_before_anything_changes() {
    block_on(async {
        let (ctx, other) = (StorageContext::in_memory(), StorageContext::in_memory());
        let (a, b) = (child(&ctx, "a", &["x"]).await, child(&ctx, "b", &["y"]).await);
        let foreign = child(&other, "b", &["y"]).await;
        b.set_summary("about b").await.unwrap();
        let before = ctx.to_dict().unwrap();
        let build = async |children: &[Index], summaries: Option<&[&str]>| {
            let root = SummaryIndex::builder(&ctx).id("root");
            let refused = ComposableGraph::from_indices(root, children, summaries).await.unwrap_err().to_string();
            assert_eq!(ctx.to_dict().unwrap(), before, "{refused}");
            refused
        };
        assert_eq!(
            build(&[b.clone(), a.clone()], None).await,
            "index 'a' has no summary to be found by in a graph; give it one"
        );
        let count = build(&[a.clone(), b.clone()], Some(&["1"])).await;
        assert_eq!(count, "there are 1 summaries for 2 indexes; give each one");
        assert_eq!(
            build(&[a.clone(), foreign], Some(&["1", "2"])).await,
            "index 'b' lives in another storage context than the root of the graph; build both in the same one"
        );
        let taken =
            ComposableGraph::from_indices(SummaryIndex::builder(&ctx).id("b"), std::slice::from_ref(&a), Some(&["1"]));
        assert!(taken.await.unwrap_err().to_string().contains("already"));
        for n in 0..2 {
            let embedder = TestEmbedder { fails_at: n, ..TestEmbedder::new("m", 8) };
            let root = VectorStoreIndex::builder(&ctx).embedder(embedder);
            let built = ComposableGraph::from_indices(root, std::slice::from_ref(&a), Some(&["1"])).await;
            assert!(with_causes(&built.unwrap_err()).ends_with(": the model is out of order"), "call {n}");
        }
        assert_eq!(ctx.to_dict().unwrap(), before);
        assert_eq!(a.summary(), None);
    });
}

#[test]
fn a_graph_is_answered_from_its_leaves() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let graph = graph(&ctx).await;
        let answer = graph.as_query_engine().query("Which colca is cold?").await.unwrap();
        assert_eq!(answer.response, "The colca is cold.");
        let whole = "The colca is a storehouse.";
        // The answer of the child stands for it, and its sources come behind.
        assert_eq!(sources(&answer)[1..], [whole, "The colca is cold."]);
        assert_eq!(answer.source_nodes.len(), 3);
        assert!(matches!(answer.source_nodes[0].node.content, NodeContent::Text(_)));
        let streamed = graph.as_query_engine().query_stream("Which colca is cold?").await.unwrap();
        assert_eq!(sources(&streamed.into_response().await.unwrap()), sources(&answer));
        let nothing = graph.as_query_engine().query("zebras").await.unwrap();
        assert_eq!((nothing.response.as_str(), nothing.source_nodes.len()), ("Empty Response", 0));
    });
}

#[test]
fn a_loaded_graph_asks_the_models_it_is_given() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let nodes = vec![Node::text("Llamas eat ichu.").with_id("n")];
        let embedder = TestEmbedder::new("m", 64);
        let herds = VectorStoreIndex::builder(&ctx).id("herds").embedder(embedder.clone()).from_nodes(nodes);
        let stores = child(&ctx, "stores", &["The colca is cold."]).await;
        let children = [herds.await.unwrap().into(), stores];
        let root = SummaryIndex::builder(&ctx).id("root");
        ComposableGraph::from_indices(root, &children, Some(&["llamas", "stores"])).await.unwrap();
        let place = MemoryFs::new();
        ctx.persist(place.clone()).await.unwrap();

        let ctx = StorageContext::open(place).await.unwrap();
        let graph = load_graph_from_storage(&ctx, "root").await.unwrap();
        assert_eq!(graph.get_index("herds").unwrap().summary(), Some("llamas".into()));
        let asked = graph.as_query_engine().query("ichu").await.unwrap_err();
        assert!(asked.to_string().starts_with("index 'herds' has no embedder"), "{asked}");
        let llm = TestLlm::counting();
        let graph = graph.with_embedder(embedder).with_llm(llm.clone());
        let engine = graph.as_query_engine().response_mode(ResponseMode::Compact);
        let answer = engine.query("ichu").await.unwrap();
        assert_eq!(answer.response, "answer 2");
        assert_eq!(sources(&answer), ["answer 0", "answer 1", "Llamas eat ichu.", "The colca is cold."]);
        assert!(llm.prompts()[2].contains("answer 0\n\nanswer 1"));

        let streaming = TestLlm::counting();
        let response = engine.clone().llm(streaming.clone()).query_stream("ichu").await.unwrap();
        assert_eq!(response.into_response().await.unwrap().response, "answer 2");
        assert_eq!((streaming.streamed(), streaming.prompts()), (1, llm.prompts()));
        for n in 0..3 {
            let failing = || engine.clone().llm(TestLlm::counting().failing_at(n));
            assert!(matches!(failing().query("ichu").await, Err(Error::Model { .. })), "call {n}");
            let streamed = match failing().query_stream("ichu").await {
                Ok(response) => response.into_response().await,
                Err(e) => Err(e),
            };
            assert!(matches!(streamed, Err(Error::Model { .. })), "call {n}");
        }
    });
}

/// Answers with the question.
#[derive(Debug)]
struct Parrot;

#[async_trait]
impl QueryEngine for Parrot {
    async fn query_bundle(&self, query: &QueryBundle) -> Result<Response> {
        Ok(Response { response: format!("{}, you say", query.query_str), source_nodes: Vec::new() })
    }
}

#[test]
fn engines_of_one_s_own_answer_for_an_index() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let graph = graph(&ctx).await;
        let engine = graph.as_query_engine().custom_query_engine("herds", Parrot);
        assert_eq!(sources(&engine.query("Llamas").await.unwrap()), ["Llamas, you say"]);
        let engine = graph.as_query_engine().custom_query_engine("root", Parrot);
        assert_eq!(engine.query("Llamas").await.unwrap().response, "Llamas, you say");
        assert_eq!(engine.query_stream("x").await.unwrap().into_response().await.unwrap().response, "x, you say");
        // One that finds nodes is gone through.
        let root = graph.root_index().as_query_engine().response_mode(ResponseMode::NoText);
        let engine = graph.as_query_engine().custom_query_engine("root", root).custom_query_engine("herds", Parrot);
        let answer = engine.query("Llamas").await.unwrap();
        assert_eq!((answer.response.as_str(), sources(&answer)), ("", vec!["Llamas, you say".to_owned()]));
        let unknown = graph.as_query_engine().custom_query_engine("herd", Parrot).query("x").await.unwrap_err();
        assert_eq!(unknown.to_string(), "index 'herd' not found; there are: 'stores', 'herds', 'root'");
    });
}

#[test]
fn graphs_nest_and_other_nodes_stay() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let below = graph(&ctx).await;
        let above = SummaryIndex::builder(&ctx).id("above");
        let children = [below.root_index().clone()];
        ComposableGraph::from_indices(above, &children, Some(&["all of it"])).await.unwrap();
        let graph = load_graph_from_storage(&ctx, "above").await.unwrap();
        let nodes = vec![Node::text("Nobody knows ichu."), Node::index("gone", "nowhere")];
        graph.root_index().insert_nodes(nodes).await.unwrap();
        let answer = graph.as_query_engine().query("Do llamas eat ichu?").await.unwrap();
        let ichu = "Llamas eat ichu.";
        assert_eq!(sources(&answer), [ichu, "Nobody knows ichu.", "gone", ichu, ichu]);
        assert_eq!(answer.response, ichu);
    });
}

#[test]
fn indexes_in_a_circle_end_in_an_error_that_names_it() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let list = async |id: &str, nodes| SummaryIndex::builder(&ctx).id(id).from_nodes(nodes).await.unwrap();
        list("a", vec![Node::text("x"), Node::index("to b", "b")]).await;
        list("b", vec![Node::index("to a", "a")]).await;
        list("root", vec![Node::index("to a", "a"), Node::index("to a again", "a")]).await;
        list("self", vec![Node::index("to itself", "self")]).await;
        let ask = async |root: &str| {
            let llm = TestLlm::counting();
            let graph = load_graph_from_storage(&ctx, root).await.unwrap().with_llm(llm.clone());
            let lost = graph.as_query_engine().response_mode(ResponseMode::Refine).query("x").await.unwrap_err();
            assert!(llm.prompts().is_empty());
            lost.to_string()
        };
        let told = |path: &str| format!("the question goes in a circle or too deep, {path}; take one of them out");
        assert_eq!(ask("root").await, told("'a' -> 'b' -> 'a'"));
        assert_eq!(ask("self").await, told("'self' -> 'self'"));
        // The same index twice is no circle.
        ctx.index_store().delete_index_struct("b").await.unwrap();
        let graph = load_graph_from_storage(&ctx, "root").await.unwrap();
        assert_eq!(graph.as_query_engine().query("x").await.unwrap().source_nodes.len(), 6);
    });
}

#[test]
fn a_graph_is_not_entered_deeper_than_the_stack_bears() {
    let ask = |levels: usize| {
        block_on(async {
            let ctx = StorageContext::in_memory();
            for level in 0..levels {
                let nodes = vec![Node::index("down", format!("{}", level + 1))];
                SummaryIndex::builder(&ctx).id(level.to_string()).from_nodes(nodes).await.unwrap();
            }
            child(&ctx, &levels.to_string(), &["the ground"]).await;
            let graph = load_graph_from_storage(&ctx, "0").await.unwrap();
            graph.as_query_engine().query("ground").await
        })
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    let test = move || {
        assert_eq!(ask(19).unwrap().response, "the ground");
        assert!(matches!(ask(20), Err(Error::Circle { path }) if path.len() == 21));
    };
    thread.spawn(test).unwrap().join().unwrap();
}

#[test]
fn a_graph_may_stand_behind_a_node() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let graph = graph(&ctx).await;
        // The ids in the graph and around it are different things.
        let index = SummaryIndex::builder(&ctx).object(Node::index("the graph", "root"), graph.as_query_engine());
        let index = index.from_nodes(Vec::new()).await.unwrap();
        let answer = index.as_query_engine().query("Do llamas eat ichu?").await.unwrap();
        assert_eq!(sources(&answer), ["Llamas eat ichu."]);
    });
}
