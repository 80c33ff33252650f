//! Random changes to several indexes that share one context, against a plain model: what each index has, and nothing
//! dangling anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use graphstore::{
    LabelledNode, NodeFilter, Relation, SimplePropertyGraphStore, TRIPLET_SOURCE_KEY, Triplet, TripletFilter,
};
use indexstore::IndexStructData;
use indices::{
    Extraction, Index, IndexHandle, KgExtractor, KnowledgeGraphIndex, ModelError, PropertyGraphIndex, RetrieverExt,
    TripletFn,
};
use pollster::block_on;
use proptest::prelude::*;
use raw_json::{PyString, Value};
use schema::Node;
use storage_context::StorageContext;

use crate::models::{self, KINDS, TestEmbedder};
use crate::tree::Words;

/// One of each kind whose nodes are all there is to it, a second one of vectors, and the two kinds of graphs.
const INDEXES: usize = KINDS.len() + 3;
const KNOWLEDGE_GRAPH: usize = INDEXES - 2;
const PROPERTY_GRAPH: usize = INDEXES - 1;
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
    let (id, models) = (format!("i{index}"), (TestEmbedder::new("m", 8), Words::new(false)));
    let built = match index {
        KNOWLEDGE_GRAPH => {
            let extractor = TripletFn(|text: &str| vec![Triplet::new(text, "is", "Text")]);
            let builder = KnowledgeGraphIndex::builder(ctx).id(id).triplet_extractor(extractor);
            builder.from_nodes(Vec::new()).await.map(Index::from)
        }
        PROPERTY_GRAPH => {
            let builder = PropertyGraphIndex::builder(ctx).id(id).kg_extractor(TextAndAll).embedder(models.0);
            builder.from_nodes(Vec::new()).await.map(Index::from)
        }
        _ => models::build(ctx, KINDS[index % KINDS.len()], &id, models, Vec::new()).await,
    };
    built.unwrap()
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

/// Finds an entity named like the node's text, which is related to one that is everywhere.
#[derive(Debug)]
struct TextAndAll;

#[async_trait]
impl KgExtractor for TextAndAll {
    async fn extract(&self, node: &Node) -> Result<Extraction, ModelError> {
        let (text, all) = (LabelledNode::entity(node.text_content()), LabelledNode::entity("all"));
        let relation = Relation::new(format!("of {}", node.id), text.id(), all.id());
        Ok(Extraction { entities: vec![text, all], relations: vec![relation] })
    }
}

fn name(document: usize) -> String {
    format!("doc{document}")
}

async fn run(steps: Vec<Step>) {
    let graph = SimplePropertyGraphStore::new();
    let ctx = StorageContext::builder().property_graph_store(Arc::new(graph.clone())).build();
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
        check(&ctx, &graph, &indexes, &model).await;
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

async fn check(ctx: &StorageContext, graph: &SimplePropertyGraphStore, indexes: &[Index], model: &Model) {
    let mut needed = BTreeSet::new();
    let mut rows = BTreeSet::new();
    for (at, (index, model)) in indexes.iter().zip(model).enumerate() {
        let ids: BTreeSet<PyString> = index.node_ids().await.unwrap().into_iter().collect();
        let summaries = summaries(index);
        let expected: BTreeSet<PyString> = model.keys().chain(&summaries).cloned().collect();
        assert_eq!(ids, expected, "nodes of index {at}");
        assert_eq!(index.nodes().await.unwrap().len(), ids.len(), "every node is there");
        let retriever = index.retriever(TestEmbedder::new("m", 8)).top_k(1000);
        let mut found = retriever.retrieve("inserted text1").await.unwrap();
        // A knowledge graph also tells its triplets, or that there are none.
        found.retain(|found| {
            at != KNOWLEDGE_GRAPH || (found.score == Some(1000.0) && found.node.ref_doc_id().unwrap().is_some())
        });
        assert!(found.iter().all(|found| ids.contains(&found.node.id)), "only the index's own nodes are found");
        match index {
            Index::VectorStore(_) | Index::MultiModal(_) => rows.extend(ids.clone()),
            Index::DocumentSummary(_) => rows.extend(summaries.clone()),
            _ => {}
        }
        if !matches!(index, Index::KeywordTable(_) | Index::KnowledgeGraph(_) | Index::PropertyGraph(_)) {
            let found: BTreeSet<PyString> = found.into_iter().map(|found| found.node.id).collect();
            assert_eq!(found, model.keys().cloned().collect(), "all of index {at} are found");
        }
        needed.extend(ids);
    }
    let stored: BTreeSet<PyString> = ctx.docstore().node_ids().await.unwrap().into_iter().collect();
    assert_eq!(stored, needed, "the document store has what is needed and nothing else");
    let entities = check_graph(graph, &model[PROPERTY_GRAPH]);
    assert_eq!(ctx.vector_store().unwrap().count().await.unwrap(), Some(rows.len() + entities));
    for (id, info) in ctx.docstore().get_all_ref_doc_info().await.unwrap() {
        assert!(info.node_ids.iter().all(|node| stored.contains(node)), "{id} lists what is gone");
    }
}

/// All that is in the graph came from nodes of the index over it. Returns how many entities there are.
fn check_graph(graph: &SimplePropertyGraphStore, own: &BTreeMap<PyString, usize>) -> usize {
    let is_own = |source: Option<&Value>| source.and_then(Value::as_str).is_some_and(|id| own.contains_key(id));
    let nodes = graph.get(&NodeFilter::default());
    let entities: Vec<_> = nodes.iter().filter(|node| node.text().is_none()).collect();
    assert!(entities.iter().all(|entity| is_own(entity.property(TRIPLET_SOURCE_KEY))), "{entities:?}");
    let triplets = graph.get_triplets(&TripletFilter::default().with_ids(nodes.iter().map(|node| node.id())));
    assert!(triplets.iter().all(|triplet| is_own(triplet.relation.property(TRIPLET_SOURCE_KEY))), "{triplets:?}");
    assert_eq!(triplets.len(), graph.triplet_count(), "no triplet dangles");
    entities.len()
}

proptest! {
    #[test]
    fn several_indexes_share_a_context(steps in proptest::collection::vec(step(), 1..25)) {
        block_on(run(steps));
    }
}
