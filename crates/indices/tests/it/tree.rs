//! Trees that grow and shrink.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use indexstore::{IndexGraph, IndexStructData};
use indices::{Deleted, Error, IndexHandle, Llm, ModelError, RetrieverExt, TreeIndex};
use pollster::block_on;
use proptest::prelude::*;
use raw_json::PyString;
use schema::Node;
use storage_context::StorageContext;

/// Sums up a text by its words with digits in them, chooses the first summary or the last, and fails at one call.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    last: bool,
    calls: Arc<AtomicUsize>,
    pub(crate) fails_at: usize,
}

impl Words {
    pub(crate) fn new(last: bool) -> Self {
        Self { last, calls: Arc::default(), fails_at: usize::MAX }
    }
}

#[async_trait]
impl Llm for Words {
    fn model_name(&self) -> &str {
        "words"
    }

    async fn complete(&self, prompt: &str) -> Result<String, ModelError> {
        if self.calls.fetch_add(1, Ordering::SeqCst) == self.fails_at {
            return Err("the model is out of order".into());
        }
        if prompt.contains("numbered summaries") {
            let choices = prompt.lines().filter(|line| line.starts_with('(')).count();
            return Ok(format!("Number {}.", if self.last { choices } else { 1 }));
        }
        let words = prompt.split_whitespace().filter(|word| word.starts_with('w') && word.ends_with(char::is_numeric));
        Ok(words.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" "))
    }
}

fn leaf(i: usize) -> Node {
    Node::text(format!("w{i}")).with_id(format!("n{i}")).with_source(format!("d{}", i % 5))
}

async fn tree(ctx: &StorageContext, leaves: usize, llm: Words) -> TreeIndex {
    TreeIndex::builder(ctx).llm(llm).num_children(2).from_nodes((0..leaves).map(leaf).collect()).await.unwrap()
}

fn graph(index: &IndexHandle) -> IndexGraph {
    match &index.index_struct().data {
        IndexStructData::Tree(graph) => graph.clone(),
        other => panic!("no tree: {other:?}"),
    }
}

/// Every summary sums up just the leaves below it, every node is in one place, and the document store has just these.
async fn check(ctx: &StorageContext, index: &IndexHandle, leaves: &BTreeSet<usize>) {
    let graph = graph(index);
    let texts: HashMap<PyString, String> = index
        .nodes()
        .await
        .unwrap()
        .into_iter()
        .map(|node| (node.id.clone(), node.text_content().to_string()))
        .collect();
    fn words(
        graph: &IndexGraph,
        texts: &HashMap<PyString, String>,
        id: &PyString,
        seen: &mut Vec<PyString>,
    ) -> BTreeSet<String> {
        seen.push(id.clone());
        let below = &graph.node_id_to_children_ids[id];
        if below.is_empty() {
            assert!(texts[id].split(' ').count() == 1, "a summary of nothing");
            return [texts[id].clone()].into();
        }
        let words: BTreeSet<String> = below.iter().flat_map(|id| words(graph, texts, id, seen)).collect();
        assert_eq!(texts[id].split(' ').map(str::to_owned).collect::<BTreeSet<_>>(), words);
        words
    }
    let mut seen = Vec::new();
    let roots = graph.root_nodes.iter();
    let found: BTreeSet<String> = roots
        .flat_map(|(at, id)| {
            assert_eq!(graph.all_nodes.get(at), Some(id));
            words(&graph, &texts, id, &mut seen)
        })
        .collect();
    assert_eq!(found, leaves.iter().map(|i| format!("w{i}")).collect());
    let all: BTreeSet<&PyString> = graph.all_nodes.values().collect();
    assert_eq!((all.len(), seen.len()), (graph.all_nodes.len(), graph.all_nodes.len()));
    assert_eq!(seen.iter().collect::<BTreeSet<_>>(), all);
    assert_eq!(graph.node_id_to_children_ids.keys().collect::<BTreeSet<_>>(), all);
    let stored: BTreeSet<PyString> = ctx.docstore().node_ids().await.unwrap().into_iter().collect();
    assert_eq!(stored.iter().collect::<BTreeSet<_>>(), all);
}

#[test]
fn a_tree_grows_as_llama_index_s() {
    block_on(async {
        let index = tree(&StorageContext::in_memory(), 3, Words::new(false)).await;
        for i in 3..8 {
            index.insert_nodes(vec![leaf(i)]).await.unwrap();
        }
        let graph = graph(&index);
        let mut names: HashMap<PyString, String> = HashMap::new();
        let mut name = |id: &PyString| {
            let n = names.len();
            if id.to_string().starts_with('n') {
                id.to_string()
            } else {
                names.entry(id.clone()).or_insert(format!("s{n}")).clone()
            }
        };
        let all: Vec<String> = graph.all_nodes.values().map(&mut name).collect();
        let roots: Vec<String> = graph.root_nodes.values().map(&mut name).collect();
        let below = graph.node_id_to_children_ids.iter().filter(|(_, below)| !below.is_empty());
        let below: Vec<String> = below
            .map(|(id, below)| format!("{}: {}", name(id), below.iter().map(&mut name).collect::<Vec<_>>().join(" ")))
            .collect();
        // What LlamaIndex 0.14.25 made with the same answers.
        let expected = "n0 n1 n2 s0 s1 n3 s2 s3 n4 n5 s4 s5 n6 n7 s6 s7";
        assert_eq!((all.join(" ").as_str(), roots.join(" ").as_str()), (expected, "s0 s1"));
        let expected =
            ["s0: s2 s3", "s1: n2", "s2: s4 s5", "s3: n1 n3", "s4: s6 s7", "s5: n4 n5", "s6: n0", "s7: n6 n7"];
        assert_eq!(below, expected);
        assert!(graph.all_nodes.keys().copied().eq(0..16));
    });
}

#[test]
fn a_deleted_leaf_is_in_no_summary() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = tree(&ctx, 5, Words::new(false)).await;
        assert_eq!(index.nodes().await.unwrap().len(), 10);
        let before = ctx.to_dict().unwrap();
        let bare = indices::load_index_from_storage(&ctx, None).await.unwrap();
        assert!(matches!(bare.delete_ref_doc("d3").await, Err(Error::NoModel { .. })));
        assert_eq!(ctx.to_dict().unwrap(), before);
        // The fifth leaf has two summaries of its own.
        let deleted = index.delete_ref_doc("d4").await.unwrap();
        assert_eq!(deleted, Deleted { entries: 3, vectors: 0, nodes: 3, ref_docs: 1 });
        check(&ctx, &index, &(0..4).collect()).await;
        assert_eq!(index.delete_ref_doc("d4").await.unwrap(), Deleted::default());
        // What is below a summary moves up in its place.
        let top = graph(&index).root_nodes.values().next().unwrap().clone();
        index.delete_nodes(&[top]).await.unwrap();
        check(&ctx, &index, &(0..4).collect()).await;
        assert_eq!(index.root_retriever().retrieve("").await.unwrap().len(), 2);
        index.drop_index().await.unwrap();
        assert!(ctx.docstore().node_ids().await.unwrap().is_empty());
    });
}

#[test]
fn a_model_that_fails_leaves_a_tree_as_it_was() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = tree(&ctx, 9, Words::new(true)).await;
        let before = ctx.to_dict().unwrap();
        for fails_at in 0.. {
            let index = index.clone().with_llm(Words { fails_at, ..Words::new(true) });
            let documents = vec![Node::document("w40").with_id("d1"), Node::document("w41").with_id("d9")];
            match index.refresh_ref_docs(documents).await {
                Err(e) => assert!(matches!(e, Error::Model { .. }), "{e}"),
                Ok(told) => {
                    assert_eq!((told, fails_at > 5), (vec![true, true], true));
                    break;
                }
            }
            assert_eq!(ctx.to_dict().unwrap(), before, "call {fails_at}");
        }
    });
}

#[test]
fn a_tree_that_is_not_built_has_leaves_alone() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let leaves = (0..30).map(leaf).collect();
        let index = TreeIndex::builder(&ctx).build_tree(false).from_nodes(leaves).await.unwrap();
        assert_eq!(index.all_leaf_retriever().retrieve("").await.unwrap().len(), 30);
        assert!(index.root_retriever().retrieve("").await.unwrap().is_empty());
    });
}

#[derive(Debug, Clone)]
enum Step {
    Insert(Vec<usize>, bool),
    Delete(Vec<usize>),
    DeleteDocument(usize),
    Update(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (proptest::collection::vec(0..30_usize, 1..4), any::<bool>()).prop_map(|(of, last)| Step::Insert(of, last)),
        2 => proptest::collection::vec(0..30_usize, 1..6).prop_map(Step::Delete),
        1 => (0..5_usize).prop_map(Step::DeleteDocument),
        1 => (0..5_usize).prop_map(Step::Update),
    ]
}

proptest! {
    #[test]
    fn summaries_sum_up_what_is_below(built in 0..12_usize, steps in proptest::collection::vec(step(), 1..12)) {
        block_on(async {
            let ctx = StorageContext::in_memory();
            let index = tree(&ctx, built, Words::new(false)).await;
            let mut leaves: BTreeSet<usize> = (0..built).collect();
            for step in steps {
                match step {
                    Step::Insert(of, last) => {
                        let index = index.clone().with_llm(Words::new(last));
                        index.insert_nodes(of.iter().copied().map(leaf).collect()).await.unwrap();
                        leaves.extend(of);
                    }
                    Step::Delete(of) => {
                        let ids: Vec<PyString> = of.iter().map(|i| leaf(*i).id).collect();
                        index.delete_nodes(&ids).await.unwrap();
                        leaves.retain(|i| !of.contains(i));
                    }
                    Step::DeleteDocument(d) => {
                        index.delete_ref_doc(format!("d{d}")).await.unwrap();
                        leaves.retain(|i| i % 5 != d);
                    }
                    // The new version has another leaf.
                    Step::Update(d) => {
                        let n = 100 + d + 5 * leaves.len();
                        let document = Node::document(format!("w{n}")).with_id(format!("d{d}"));
                        index.update_ref_doc(document).await.unwrap();
                        leaves.retain(|i| i % 5 != d);
                        leaves.insert(n);
                    }
                }
                check(&ctx, &index, &leaves).await;
            }
        });
    }
}
