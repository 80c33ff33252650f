//! Random changes to several indexes that share one context, against a plain model: what each index has, and nothing
//! dangling anywhere.

use std::collections::{BTreeMap, BTreeSet};

use indexstore::IndexStructData;
use indices::{Index, IndexHandle, RetrieverExt};
use pollster::block_on;
use proptest::prelude::*;
use raw_json::PyString;
use schema::Node;
use storage_context::StorageContext;

use crate::models::{self, KINDS, TestEmbedder};
use crate::tree::Words;

/// One of each kind, and a second one of vectors.
const INDEXES: usize = KINDS.len() + 1;
const DOCUMENTS: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    /// A new node of a document in an index.
    Insert {
        index: usize,
        document: usize,
    },
    /// A document in its present version.
    Update {
        index: usize,
        document: usize,
    },
    /// All documents, of which one has changed.
    Refresh {
        index: usize,
        changed: usize,
    },
    DeleteDocument {
        index: usize,
        document: usize,
    },
    /// The node that one index has, in another one too.
    Share {
        from: usize,
        to: usize,
    },
    DeleteNode {
        index: usize,
        pick: usize,
    },
    /// The index is dropped and built anew, empty.
    Drop {
        index: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (index, document) = (0..INDEXES, 0..DOCUMENTS);
    prop_oneof![
        3 => (index.clone(), document.clone()).prop_map(|(index, document)| Step::Insert { index, document }),
        3 => (index.clone(), document.clone()).prop_map(|(index, document)| Step::Update { index, document }),
        2 => (index.clone(), document.clone()).prop_map(|(index, changed)| Step::Refresh { index, changed }),
        2 => (index.clone(), document).prop_map(|(index, document)| Step::DeleteDocument { index, document }),
        2 => (index.clone(), index.clone()).prop_map(|(from, to)| Step::Share { from, to }),
        2 => (index.clone(), 0..99_usize).prop_map(|(index, pick)| Step::DeleteNode { index, pick }),
        1 => index.prop_map(|index| Step::Drop { index }),
    ]
}

/// The nodes of each index, by id, with their documents.
type Model = Vec<BTreeMap<PyString, usize>>;

async fn build(ctx: &StorageContext, index: usize) -> Index {
    let models = (TestEmbedder::new("m", 8), Words::new(false));
    models::build(ctx, KINDS[index % KINDS.len()], &format!("i{index}"), models, Vec::new()).await.unwrap()
}

/// The nodes that the index has made by itself.
fn summaries(index: &IndexHandle) -> BTreeSet<PyString> {
    match &index.index_struct().data {
        IndexStructData::DocumentSummary(known) => known.summary_id_to_node_ids.keys().cloned().collect(),
        IndexStructData::Tree(tree) => {
            let above = tree.node_id_to_children_ids.iter().filter(|(_, below)| !below.is_empty());
            above.map(|(id, _)| id.clone()).collect()
        }
        _ => BTreeSet::new(),
    }
}

fn name(document: usize) -> String {
    format!("doc{document}")
}

async fn run(steps: Vec<Step>) {
    let ctx = StorageContext::in_memory();
    let mut indexes = Vec::new();
    for index in 0..INDEXES {
        indexes.push(build(&ctx, index).await);
    }
    let mut model: Model = vec![BTreeMap::new(); INDEXES];
    let mut versions = [0; DOCUMENTS];
    let text = |document: usize, version: usize| Node::document(format!("text{version}")).with_id(name(document));
    for (n, step) in steps.into_iter().enumerate() {
        match step {
            Step::Insert { index, document } => {
                let id = PyString::from(format!("n{n}"));
                let node = Node::text("inserted").with_id(&id).with_source(name(document));
                indexes[index].insert_nodes(vec![node]).await.unwrap();
                model[index].insert(id, document);
            }
            Step::Update { index, document } => {
                indexes[index].update_ref_doc(text(document, versions[document])).await.unwrap();
                replaced(&indexes[index], &mut model[index], document).await;
            }
            Step::Refresh { index, changed } => {
                versions[changed] += 1;
                let documents = (0..DOCUMENTS).map(|document| text(document, versions[document])).collect();
                let told = indexes[index].refresh_ref_docs(documents).await.unwrap();
                assert!(told[changed]);
                for (document, changed) in told.into_iter().enumerate() {
                    if changed {
                        replaced(&indexes[index], &mut model[index], document).await;
                    } else {
                        assert!(model[index].values().any(|of| *of == document), "fresh, and there");
                    }
                }
            }
            Step::DeleteDocument { index, document } => {
                indexes[index].delete_ref_doc(name(document)).await.unwrap();
                model[index].retain(|_, of| *of != document);
            }
            Step::Share { from, to } => {
                let shared: Vec<(PyString, usize)> = model[from]
                    .iter()
                    .filter(|(id, _)| !model[to].contains_key(*id))
                    .map(|(id, of)| (id.clone(), *of))
                    .take(1)
                    .collect();
                for (id, of) in shared {
                    let node = ctx.docstore().require_document(&id).await.unwrap();
                    indexes[to].insert_nodes(vec![node]).await.unwrap();
                    model[to].insert(id, of);
                }
            }
            Step::DeleteNode { index, pick } => {
                let ids: Vec<PyString> = model[index].keys().cloned().collect();
                if !ids.is_empty() {
                    let id = &ids[pick % ids.len()];
                    indexes[index].delete_nodes(std::slice::from_ref(id)).await.unwrap();
                    model[index].remove(id);
                }
            }
            Step::Drop { index } => {
                indexes[index].drop_index().await.unwrap();
                indexes[index] = build(&ctx, index).await;
                model[index].clear();
            }
        }
        check(&ctx, &indexes, &model).await;
    }
}

/// After an update the index has one node of the document, with an id that only it knows.
async fn replaced(index: &Index, model: &mut BTreeMap<PyString, usize>, document: usize) {
    model.retain(|_, of| *of != document);
    let nodes = index.nodes().await.unwrap();
    let of_document = |node: &&Node| node.ref_doc_id().unwrap().is_some_and(|of| *of == *name(document));
    let summaries = summaries(index);
    let new = nodes.iter().filter(of_document).map(|node| node.id.clone());
    let new: Vec<PyString> = new.filter(|id| !model.contains_key(id) && !summaries.contains(id)).collect();
    assert_eq!(new.len(), 1);
    model.insert(new[0].clone(), document);
}

async fn check(ctx: &StorageContext, indexes: &[Index], model: &Model) {
    let mut needed = BTreeSet::new();
    let mut rows = BTreeSet::new();
    for (at, (index, model)) in indexes.iter().zip(model).enumerate() {
        let ids: BTreeSet<PyString> = index.node_ids().await.unwrap().into_iter().collect();
        let summaries = summaries(index);
        let expected: BTreeSet<PyString> = model.keys().chain(&summaries).cloned().collect();
        assert_eq!(ids, expected, "nodes of index {at}");
        assert_eq!(index.nodes().await.unwrap().len(), ids.len(), "every node is there");
        let retriever = index.retriever(TestEmbedder::new("m", 8)).top_k(1000);
        let found = retriever.retrieve("inserted text1").await.unwrap();
        assert!(found.iter().all(|found| ids.contains(&found.node.id)), "only the index's own nodes are found");
        match index {
            Index::VectorStore(_) | Index::MultiModal(_) => rows.extend(ids.clone()),
            Index::DocumentSummary(_) => rows.extend(summaries.clone()),
            _ => {}
        }
        if !matches!(index, Index::KeywordTable(_)) {
            let found: BTreeSet<PyString> = found.into_iter().map(|found| found.node.id).collect();
            assert_eq!(found, model.keys().cloned().collect(), "all of index {at} are found");
        }
        needed.extend(ids);
    }
    let stored: BTreeSet<PyString> = ctx.docstore().node_ids().await.unwrap().into_iter().collect();
    assert_eq!(stored, needed, "the document store has what is needed and nothing else");
    assert_eq!(ctx.vector_store().unwrap().count().await.unwrap(), Some(rows.len()));
    for (id, info) in ctx.docstore().get_all_ref_doc_info().await.unwrap() {
        assert!(info.node_ids.iter().all(|node| stored.contains(node)), "{id} lists what is gone");
    }
}

proptest! {
    #[test]
    fn several_indexes_share_a_context(steps in proptest::collection::vec(step(), 1..25)) {
        block_on(run(steps));
    }
}
