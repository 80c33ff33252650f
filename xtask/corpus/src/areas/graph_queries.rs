//! Graphs that LlamaIndex built are answered from their leaves.

use colca::indices::{QueryEngineExt, ResponseMode};
use colca::prelude::*;

use super::Case;
use super::det_embedding::DetEmbedding;
use crate::find_cases;

#[test]
fn recorded_graphs_are_answered_from_their_leaves() {
    let mut graphs = 0;
    for case in find_cases(&[]).unwrap().iter().filter(|case| case.name().ends_with("/composable_graph")) {
        graphs += 1;
        pollster::block_on(check(case));
    }
    assert!(graphs >= 10, "{graphs} graphs are recorded");
}

async fn check(case: &Case) {
    let name = case.name();
    let ctx = StorageContext::open(case.place.clone()).await.unwrap();
    let graph = load_graph_from_storage(&ctx, "root").await.unwrap().with_embedder(DetEmbedding::of(case));
    let engine = graph.as_query_engine();
    let reached = engine.clone().response_mode(ResponseMode::NoText).query("lantern").await.unwrap().source_nodes;
    let pointers = graph.root_index().nodes().await.unwrap();
    let is_pointer = |node: &Node| matches!(node.content, NodeContent::Index(..));
    assert!(!reached.iter().any(|found| is_pointer(&found.node)), "{name}: {reached:?}");
    let mut children = 0;
    for pointer in &pointers {
        let NodeContent::Index(_, to) = &pointer.content else { panic!("{name}: {pointer:?}") };
        let child = graph.get_index(&to.index_id).unwrap();
        let of_child = child.node_ids().await.unwrap();
        let found = reached.iter().filter(|found| of_child.contains(&found.node.id)).count();
        assert!(found > 0, "{name}: nothing of {}", to.index_id);
        if child.class_name() == "SummaryIndex" {
            assert_eq!(found, of_child.len(), "{name}");
        }
        children += 1;
    }
    assert!(children > 0, "{name}");
    let leaves = &reached[children..];
    let texts: Vec<String> = leaves.iter().map(|leaf| leaf.node.text_content().to_string()).collect();
    let answer = engine.query("lantern").await.unwrap().response;
    assert!(answer.lines().all(|line| texts.iter().any(|text| text.contains(line))), "{name}: {answer}");
}
