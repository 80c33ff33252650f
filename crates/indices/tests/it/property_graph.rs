//! Property graphs, compared with what LlamaIndex 0.14.25 made of the same nodes, entities and relations.

use std::sync::Arc;

use async_trait::async_trait;
use graphstore::{
    LabelledNode, NodeFilter, PropertyGraphStore, Relation, SimplePropertyGraphStore, TripletFilter, VECTOR_SOURCE_KEY,
};
use indices::{
    DeleteOptions, Deleted, DocstoreDelete, Error, Extraction, ImplicitPathExtractor, Index, KgExtractor, ModelError,
    PropertyGraphIndex, RetrieverExt, SimpleLlmPathExtractor, SummaryIndex, VectorStoreIndex, load_index_from_storage,
};
use pollster::block_on;
use raw_json::{PyString, RawJson, Value};
use schema::{Node, NodeRelationship, RelatedNodeInfo, RelatedNodes};
use storage_context::StorageContext;

use crate::models::{Answer, SumEmbedder, TestEmbedder};
use crate::texts::WithTexts;

/// The first word of each line is related to the last one as the one in between says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByWords;

#[async_trait]
impl KgExtractor for ByWords {
    async fn extract(&self, node: &Node) -> Result<Extraction, ModelError> {
        let mut found = Extraction::default();
        for line in node.text_content().to_string_lossy().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            if let [subject, relation, .., object] = words[..] {
                let who = LabelledNode::entity(subject).with_label("WHO");
                found.entities.push(who.with_property("k", 1).with_property("s", "it's"));
                found.entities.push(LabelledNode::entity(object));
                found.relations.push(Relation::new(relation, subject, object).with_property("p", true));
            }
        }
        Ok(found)
    }
}

struct Graph {
    ctx: StorageContext,
    graph: SimplePropertyGraphStore,
}

impl Graph {
    fn new() -> Self {
        let graph = SimplePropertyGraphStore::new();
        let ctx = StorageContext::builder().property_graph_store(Arc::new(graph.clone())).build();
        Self { ctx, graph }
    }

    async fn index(&self, documents: &[(&str, &str)]) -> PropertyGraphIndex {
        let documents = documents.iter().map(|(id, text)| document(id, text)).collect();
        let builder = PropertyGraphIndex::builder(&self.ctx).id("g").kg_extractor(ByWords);
        let builder = builder.kg_extractor(ImplicitPathExtractor).embedder(SumEmbedder);
        builder.from_documents(documents).await.unwrap()
    }

    /// All entities, sorted; a bar stands before those that have no vector.
    async fn entities(&self) -> String {
        let mut names = Vec::new();
        for node in self.graph.get(&NodeFilter::default()).iter().filter(|node| node.text().is_none()) {
            let has_vector = self.ctx.vector_store().unwrap().get(node.id()).await.unwrap().is_some();
            names.push(format!("{}{}", if has_vector { "" } else { "|" }, node.id()));
        }
        names.sort();
        names.join(" ")
    }

    /// All triplets but those to documents, sorted.
    fn triplets(&self) -> String {
        let triplets = self.graph.triplets();
        let told = triplets.iter().filter(|triplet| triplet.relation != *"SOURCE");
        let mut told: Vec<String> =
            told.map(|triplet| format!("{}-{}-{}", triplet.subject, triplet.relation, triplet.object)).collect();
        told.sort();
        told.join(" ")
    }

    /// How many chunks, vectors, and nodes in the document store there are.
    async fn counts(&self) -> (usize, usize, usize) {
        let chunks = self.graph.get(&NodeFilter::default()).iter().filter(|node| node.text().is_some()).count();
        let vectors = self.ctx.vector_store().unwrap().count().await.unwrap().unwrap();
        (chunks, vectors, self.ctx.docstore().node_ids().await.unwrap().len())
    }
}

fn document(id: &str, text: &str) -> Node {
    Node::document(text).with_id(id)
}

fn theirs() -> Value {
    include_str!("data/property_graph.json").parse::<RawJson>().unwrap().value()
}

fn related(id: &str) -> RelatedNodes {
    RelatedNodes::One(RelatedNodeInfo::new(id))
}

fn from_document(mut node: Node, metadata: Option<(&str, i64)>) -> Node {
    let mut source =
        RelatedNodeInfo { node_type: Some("4".into()), hash: Some("h".into()), ..RelatedNodeInfo::new("doc") };
    source.metadata.extend(metadata.map(|(key, value)| (key.into(), value.into())));
    node.metadata.extend(source.metadata.clone());
    node.relationships.insert(NodeRelationship::Source, RelatedNodes::One(source));
    node
}

/// The same nodes as LlamaIndex had, in the same two insertions.
async fn same(ctx: &StorageContext) -> PropertyGraphIndex {
    let mut n1 = from_document(Node::text("Ada knows Bob").with_id("n1"), Some(("m", 1)));
    n1.relationships.insert(NodeRelationship::Next, related("n2"));
    let mut n2 = from_document(Node::text("Ada likes Eve").with_id("n2"), None);
    n2.relationships.insert(NodeRelationship::Previous, related("n1"));
    n2.relationships.insert(NodeRelationship::Parent, related("up"));
    let children = ["x", "y"].map(RelatedNodeInfo::new).to_vec();
    n2.relationships.insert(NodeRelationship::Child, RelatedNodes::Many(children));
    let given = |json: &str| json.parse::<RawJson>().unwrap().value();
    let entity =
        r#"[{"label": "entity", "embedding": null, "properties": {"q": [1, 2.5, null]}, "name": "Given \"one\""}]"#;
    let relation = r#"[{"label": "R", "source_id": "Given  one ", "target_id": "Ada", "properties": {}}]"#;
    let n3 = Node::text("given").with_id("n3").with_metadata("a", "b");
    let n3 = n3.with_metadata("nodes", given(entity)).with_metadata("relations", given(relation));
    let builder = PropertyGraphIndex::builder(ctx).id("g").embedder(SumEmbedder);
    let builder = builder.kg_extractors(vec![Arc::new(ByWords), Arc::new(ImplicitPathExtractor)]);
    let index = builder.from_nodes(vec![n1, n2]).await.unwrap();
    index.insert_nodes(vec![n3, Node::text("Eve knows Ada").with_id("n4")]).await.unwrap();
    index
}

fn sorted_triplets(graph: &Value) -> Vec<String> {
    let triplets = graph.get("triplets").and_then(Value::as_array).unwrap();
    let mut triplets: Vec<String> = triplets.iter().map(ToString::to_string).collect();
    triplets.sort();
    triplets
}

#[test]
fn it_is_stored_as_llama_index_stores_it() {
    block_on(async {
        let Graph { ctx, graph } = Graph::new();
        same(&ctx).await;
        let (ours, theirs) = (graph.to_dict(), theirs());
        let graph = theirs.get("graph").unwrap();
        for part in ["nodes", "relations"] {
            let entries = |graph: &Value| graph.get(part).and_then(Value::as_object).cloned().unwrap();
            let (ours, theirs) = (entries(&ours), entries(graph));
            assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
            for (id, expected) in &theirs {
                assert_eq!(RawJson::from(&ours[id]), RawJson::from(expected), "{id}");
            }
        }
        assert_eq!(sorted_triplets(&ours), sorted_triplets(graph));
        let vectors = ctx.vector_store().unwrap().to_dict().unwrap();
        assert_eq!(RawJson::from(&vectors), RawJson::from(theirs.get("vectors").unwrap()));
        // There the hash of what carries entities is made of live objects.
        let collection = |docs: &Value, name: &str| {
            let mut entries = docs.get(name).and_then(Value::as_object).cloned().unwrap();
            if name == "docstore/metadata" {
                entries.shift_remove(&b"n3"[..]);
            }
            RawJson::from(Value::from(entries))
        };
        let docs = ctx.to_dict().unwrap().get("doc_store").unwrap().clone();
        for name in ["docstore/data", "docstore/metadata", "docstore/ref_doc_info"] {
            assert_eq!(collection(&docs, name), collection(theirs.get("docs").unwrap(), name));
        }
    });
}

#[test]
fn what_is_found_is_what_llama_index_finds() {
    block_on(async {
        let Graph { ctx, .. } = Graph::new();
        let index = same(&ctx).await;
        for asked in theirs().get("found").and_then(Value::as_array).unwrap() {
            let [Value::String(query), Value::Int(top_k), _, expected] = asked.as_array().unwrap() else {
                panic!("{asked}")
            };
            let retriever = index.vector_context_retriever().top_k(*top_k).include_text(false);
            let found = retriever.retrieve(query.to_string()).await.unwrap();
            assert!(found.is_sorted_by(|a, b| a.score >= b.score));
            let told = |text: &PyString, score: f64| format!("{text} {score:.9}");
            let mut ours: Vec<_> =
                found.iter().map(|found| told(&found.node.text_content(), found.score.unwrap())).collect();
            let expected = expected.as_array().unwrap().iter().map(|result| match result.as_array() {
                Some([Value::String(text), score]) => told(text, score.as_f64().unwrap()),
                _ => panic!("{result}"),
            });
            let mut expected: Vec<_> = expected.collect();
            ours.sort();
            expected.sort();
            assert_eq!(ours, expected, "{query} {top_k}");
        }
    });
}

#[test]
fn what_is_there_stays_and_is_not_embedded_again() {
    block_on(async {
        let g = Graph::new();
        let embedder = TestEmbedder::new("m", 8);
        let builder = PropertyGraphIndex::builder(&g.ctx).id("g").kg_extractor(ByWords).embedder(embedder.clone());
        let nodes = vec![Node::text("Ada knows Bob").with_id("a"), Node::text("Bob knows Eve").with_id("b")];
        let index = builder.from_nodes(nodes.clone()).await.unwrap();
        assert_eq!(embedder.texts(), 6, "two chunks, three entities, and the sentence that is remembered");
        let before = g.ctx.to_dict().unwrap();
        index.insert_nodes(nodes).await.unwrap();
        assert_eq!((embedder.texts(), g.ctx.to_dict().unwrap() == before), (6, true));
        index.insert_nodes(vec![Node::text("Ada knows Bob").with_id("c")]).await.unwrap();
        assert_eq!((embedder.texts(), g.counts().await), (7, (3, 3, 3)));
        let changed = Node::text("Ada knows Zoe").with_id("a");
        index.insert_nodes(vec![changed]).await.unwrap();
        assert_eq!((embedder.texts(), g.counts().await), (9, (3, 4, 3)));
    });
}

#[test]
fn embeddings_that_are_given_or_not_wanted_need_no_model() {
    block_on(async {
        let g = Graph::new();
        let build = |id: &str| PropertyGraphIndex::builder(&g.ctx).id(id).kg_extractor(ImplicitPathExtractor);
        let node = Node::text("text").with_id("n").with_source("d");
        let refused = build("g").from_nodes(vec![node.clone()]).await.unwrap_err().to_string();
        assert_eq!(refused, "index 'g' has no embedder to embed 1 chunks and entities with; give it one");
        build("g").from_nodes(vec![node.clone().with_embedding([1.0, 0.5])]).await.unwrap();
        build("h").embed_kg_nodes(false).from_nodes(vec![node.with_id("m")]).await.unwrap();
        let embeddings: Vec<Option<Vec<f64>>> =
            g.graph.get(&NodeFilter::default().with_ids(["n", "m"])).into_iter().map(|chunk| chunk.embedding).collect();
        assert_eq!(embeddings, [Some(vec![1.0, 0.5]), None]);
        assert_eq!(g.ctx.docstore().require_document("n").await.unwrap().embedding, Some(vec![1.0, 0.5]));
    });
}

#[test]
fn what_is_missing_is_named_before_anything_changes() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let build = |ctx: &StorageContext| PropertyGraphIndex::builder(ctx).id("g").embedder(SumEmbedder);
        let node = || vec![Node::text("text").with_id("n")];
        let refused = build(&ctx).kg_extractors(Vec::new()).from_nodes(node()).await.unwrap_err().to_string();
        assert_eq!(
            refused,
            "index 'g' needs a property graph store, and the context has none; build the context with one"
        );
        let g = Graph::new();
        let refused = build(&g.ctx).from_nodes(node()).await.unwrap_err();
        assert!(matches!(refused, Error::NoModel { model: "language model", .. }), "{refused}");
        let odd = vec![Node::text("text").with_id("n").with_metadata("nodes", 5)];
        let refused = build(&g.ctx).kg_extractors(Vec::new()).from_nodes(odd).await.unwrap_err().to_string();
        assert!(refused.starts_with("node 'n' has something under 'nodes' in its metadata"), "{refused}");
        for value in [Value::Float(f64::NAN), Value::from(vec![Value::Float(f64::INFINITY)])] {
            let bad = LabelledNode::entity("bad").with_property("x", value);
            let refused = build(&g.ctx).kg_extractor(Fixed(bad)).from_nodes(node()).await.unwrap_err().to_string();
            assert!(refused.contains("NaN or an infinity"), "{refused}");
        }
        assert_eq!((g.counts().await, g.graph.node_count()), ((0, 0, 0), 0));
        assert!(g.ctx.index_store().index_structs().await.unwrap().is_empty());
    });
}

/// Finds the same everywhere.
#[derive(Debug)]
struct Fixed(LabelledNode);

#[async_trait]
impl KgExtractor for Fixed {
    async fn extract(&self, _node: &Node) -> Result<Extraction, ModelError> {
        Ok(Extraction { entities: vec![self.0.clone()], relations: Vec::new() })
    }
}

#[test]
fn a_language_model_is_asked_if_nothing_else_is_given() {
    block_on(async {
        let g = Graph::new();
        let llm = Answer("(ada, KNOWS, bob)");
        let builder = PropertyGraphIndex::builder(&g.ctx).llm(llm).embedder(SumEmbedder);
        let node = Node::text("text").with_id("n").with_source("d").with_metadata("year", 1843);
        builder.from_nodes(vec![node]).await.unwrap();
        assert_eq!((g.triplets().as_str(), g.entities().await.as_str()), ("Ada-Knows-Bob", "Ada Bob |d"));
        let found = g.graph.get_triplets(&TripletFilter::default().with_ids(["Ada"]));
        assert_eq!(found[0].relation.property("year"), Some(&1843.into()));
        assert_eq!(found[0].subject.property("triplet_source_id"), Some(&"n".into()));

        let other = Graph::new();
        let builder =
            PropertyGraphIndex::builder(&other.ctx).kg_extractor(SimpleLlmPathExtractor::new(llm).max_paths(1));
        builder.embedder(SumEmbedder).from_nodes(vec![Node::text("text").with_id("n")]).await.unwrap();
        assert_eq!(other.triplets(), "Ada-Knows-Bob");
    });
}

#[test]
fn a_document_goes_with_all_that_came_from_it() {
    block_on(async {
        let g = Graph::new();
        let index = g.index(&[("x", "Ada knows Bob"), ("y", "Bob likes Eve"), ("z", "Ada likes Bob")]).await;
        assert_eq!(g.entities().await, "Ada Bob Eve |x |y |z");
        let documents = index.ref_doc_info().await.unwrap();
        assert_eq!(documents.keys().map(ToString::to_string).collect::<Vec<_>>(), ["x", "y", "z"]);
        // Eve was found in it, and what it says of Bob, who was found elsewhere last.
        let deleted = index.delete_ref_doc("y").await.unwrap();
        assert_eq!(deleted, Deleted { entries: 1, vectors: 1, nodes: 1, ref_docs: 1 });
        assert_eq!(
            (g.entities().await.as_str(), g.triplets().as_str()),
            ("Ada Bob |x |z", "Ada-knows-Bob Ada-likes-Bob")
        );
        // Nobody was first found in this one, but what it says goes.
        assert_eq!(index.delete_ref_doc("x").await.unwrap(), Deleted { entries: 1, vectors: 0, nodes: 1, ref_docs: 1 });
        assert_eq!((g.entities().await.as_str(), g.triplets().as_str()), ("Ada Bob |z", "Ada-likes-Bob"));
        assert_eq!(index.delete_ref_doc("x").await.unwrap(), Deleted::default());
        assert_eq!(index.delete_ref_doc("z").await.unwrap(), Deleted { entries: 1, vectors: 2, nodes: 1, ref_docs: 1 });
        assert_eq!((g.counts().await, g.graph.node_count(), g.graph.relation_count()), ((0, 0, 0), 0, 0));
    });
}

#[test]
fn deleting_leaves_what_others_need() {
    block_on(async {
        let g = Graph::new();
        let index = g.index(&[("x", "Ada knows Bob"), ("y", "Bob likes Eve")]).await;
        let nodes = index.nodes().await.unwrap();
        let list = SummaryIndex::builder(&g.ctx).id("l").from_nodes(nodes[..1].to_vec()).await.unwrap();
        let vector = Node::text("a node called Eve").with_id("Eve");
        let vectors = VectorStoreIndex::builder(&g.ctx).id("v").embedder(SumEmbedder);
        vectors.from_nodes(vec![vector]).await.unwrap();
        let ids: Vec<PyString> = nodes.iter().map(|node| node.id.clone()).collect();
        let deleted = index.delete_nodes(&ids[..1]).await.unwrap();
        assert_eq!(deleted, Deleted { entries: 1, vectors: 1, nodes: 0, ref_docs: 0 });
        assert_eq!(list.nodes().await.unwrap().len(), 1);
        // A vector has one id only, whoever wrote it last.
        let keep = DeleteOptions::docstore(DocstoreDelete::Keep);
        let deleted = index.delete_nodes_with(&ids, keep).await.unwrap();
        assert_eq!(deleted, Deleted { entries: 1, vectors: 1, nodes: 0, ref_docs: 0 });
        assert!(g.ctx.vector_store().unwrap().get(&"Eve".into()).await.unwrap().is_some());
        assert!(g.ctx.docstore().document_exists(&ids[1]).await.unwrap());
        assert_eq!(g.counts().await.0, 0);
    });
}

#[test]
fn an_update_changes_what_came_from_the_document_and_nothing_else() {
    block_on(async {
        let g = Graph::new();
        let index = g.index(&[("x", "Ada knows Bob\nAda knows Zoe"), ("y", "Bob likes Eve")]).await;
        g.graph.upsert_relations([Relation::new("by hand", "Eve", "Ada")]).unwrap();
        let deleted = index.update_ref_doc(document("x", "Ada hates Bob")).await.unwrap();
        assert_eq!(deleted, Deleted { entries: 1, vectors: 1, nodes: 1, ref_docs: 0 });
        assert_eq!(g.entities().await, "Ada Bob Eve |x |y");
        assert_eq!(g.triplets(), "Ada-hates-Bob Bob-likes-Eve Eve-by hand-Ada");
        assert_eq!(g.counts().await, (2, 3, 2));
        let ada = g.graph.get(&NodeFilter::default().with_ids(["Ada"]));
        let chunks = index.node_ids().await.unwrap();
        let source = ada[0].property("triplet_source_id").and_then(Value::as_str).unwrap();
        assert!(chunks.contains(source), "she is said to be of the new version");
        index.delete_ref_doc("x").await.unwrap();
        assert_eq!((g.entities().await.as_str(), g.triplets().as_str()), ("Bob Eve |y", "Bob-likes-Eve"));
    });
}

#[test]
fn an_update_under_the_same_ids_leaves_nothing_old() {
    block_on(async {
        let g = Graph::new();
        let index = PropertyGraphIndex::builder(&g.ctx).id("g").kg_extractor(ByWords).embedder(SumEmbedder);
        let index = index
            .from_nodes(vec![Node::text("Ada knows Ada\nBob knows Ada").with_id("n").with_source("d")])
            .await
            .unwrap();
        let index = index.with_transformations(vec![Arc::new(SameId)]);
        index.update_ref_doc(document("d", "Eve knows Ada")).await.unwrap();
        assert_eq!((g.entities().await.as_str(), g.triplets().as_str()), ("Ada Eve", "Eve-knows-Ada"));
        assert_eq!(
            (g.counts().await, index.nodes().await.unwrap()[0].text_content()),
            ((1, 2, 1), "Eve knows Ada".into())
        );
    });
}

/// Only relations, between names.
#[derive(Debug)]
struct RelationsAlone;

#[async_trait]
impl KgExtractor for RelationsAlone {
    async fn extract(&self, node: &Node) -> Result<Extraction, ModelError> {
        let found = ByWords.extract(node).await?;
        Ok(Extraction { entities: Vec::new(), ..found })
    }
}

#[test]
fn ends_that_only_the_old_version_told_of_stay_without_what_it_told() {
    block_on(async {
        let g = Graph::new();
        let index = g.index(&[("x", "Ada knows Bob")]).await.with_kg_extractors(vec![Arc::new(RelationsAlone)]);
        index.update_ref_doc(document("x", "Ada hates Bob")).await.unwrap();
        assert_eq!(g.triplets(), "Ada-hates-Bob");
        let ada = g.graph.get(&NodeFilter::default().with_ids(["Ada"]));
        assert_eq!(ada, [LabelledNode::entity("Ada")]);
    });
}

/// Makes of each document the node `n`.
#[derive(Debug)]
struct SameId;

#[async_trait]
impl indices::Transformation for SameId {
    async fn transform(&self, nodes: Vec<Node>) -> Result<Vec<Node>, ModelError> {
        Ok(nodes.into_iter().map(|node| Node::text(node.text_content()).with_id("n").with_source(node.id)).collect())
    }
}

#[test]
fn refreshed_documents_share_what_one_of_them_gives_up() {
    block_on(async {
        let g = Graph::new();
        let index = g.index(&[("x", "Ada knows Bob"), ("y", "Eve likes Zoe")]).await;
        let new =
            || vec![document("x", "Ada knows Zoe"), document("y", "Eve likes Bob"), document("z", "Eve likes Bob")];
        assert_eq!(index.refresh_ref_docs(new()).await.unwrap(), [true; 3]);
        assert_eq!(g.triplets(), "Ada-knows-Zoe Eve-likes-Bob");
        assert_eq!(g.entities().await, "Ada Bob Eve Zoe |x |y |z");
        let labels = g.graph.get(&NodeFilter::default().with_ids(["Ada", "Eve"]));
        assert!(labels.iter().all(|node| node.label == *"WHO"), "{labels:?}");
        assert_eq!(index.refresh_ref_docs(new()).await.unwrap(), [false; 3]);
        for id in ["x", "y", "z"] {
            index.delete_ref_doc(id).await.unwrap();
        }
        assert_eq!((g.counts().await, g.graph.node_count()), ((0, 0, 0), 0));
    });
}

#[test]
fn an_entity_with_a_chunk_s_name_does_not_take_its_place() {
    block_on(async {
        let g = Graph::new();
        let builder = PropertyGraphIndex::builder(&g.ctx).kg_extractor(ByWords).embedder(SumEmbedder);
        let node = Node::text("n knows Bob").with_id("n").with_source("d");
        let index = builder.from_nodes(vec![node]).await.unwrap();
        assert_eq!((g.counts().await, g.triplets().as_str()), ((1, 1, 1), "n-knows-Bob"));
        assert_eq!(index.nodes().await.unwrap().len(), 1);
        index.delete_ref_doc("d").await.unwrap();
        assert_eq!((g.counts().await, g.graph.node_count()), ((0, 0, 0), 0));
    });
}

#[test]
fn the_last_index_over_a_graph_takes_what_came_from_nodes() {
    block_on(async {
        let g = Graph::new();
        let index = g.index(&[("x", "Ada knows Bob"), ("y", "Bob likes Eve")]).await;
        g.graph
            .upsert_relations([Relation::new("by hand", "Carl", "Ada"), Relation::new("by hand", "Carl", "Dora")])
            .unwrap();
        let other = PropertyGraphIndex::builder(&g.ctx).id("h").from_nodes(Vec::new()).await.unwrap();
        assert_eq!(index.drop_index().await.unwrap(), Deleted::default());
        assert_eq!(g.counts().await, (2, 3, 2));
        let loaded = load_index_from_storage(&g.ctx, None).await.unwrap();
        assert_eq!((loaded.index_id(), loaded.node_ids().await.unwrap().len()), ("h".into(), 2));
        other.set_index_id("i").await.unwrap();
        let deleted = other.drop_index().await.unwrap();
        assert_eq!(deleted, Deleted { entries: 2, vectors: 3, nodes: 2, ref_docs: 2 });
        assert_eq!((g.entities().await.as_str(), g.triplets().as_str()), ("|Carl |Dora", "Carl-by hand-Dora"));
        assert_eq!(g.counts().await, (0, 0, 0));
        assert_eq!(other.drop_index().await.unwrap(), Deleted::default());
    });
}

#[test]
fn what_only_the_graph_knows_of_a_document_goes_too() {
    block_on(async {
        let g = Graph::new();
        let index = PropertyGraphIndex::builder(&g.ctx).id("g").from_nodes(Vec::new()).await.unwrap();
        g.graph
            .upsert_llama_nodes(&[Node::text("text").with_id("n").with_source("d"), Node::text("lone").with_id("m")])
            .unwrap();
        g.graph.upsert_nodes([LabelledNode::entity("e").with_property("triplet_source_id", "n")]).unwrap();
        assert_eq!(index.delete_ref_doc("None").await.unwrap(), Deleted::default());
        assert_eq!(index.delete_ref_doc("d").await.unwrap(), Deleted { entries: 1, ..Deleted::default() });
        assert_eq!((g.graph.node_count(), g.counts().await.0), (1, 1));
    });
}

#[test]
fn a_vector_store_may_keep_texts_and_give_ids_of_its_own() {
    block_on(async {
        let (graph, store) = (SimplePropertyGraphStore::new(), Arc::new(WithTexts::default()));
        let builder = StorageContext::builder().property_graph_store(Arc::new(graph.clone()));
        let ctx = builder.vector_store(Arc::clone(&store) as _).build();
        let builder = PropertyGraphIndex::builder(&ctx).id("g").kg_extractor(ByWords).embedder(SumEmbedder);
        let index = builder.from_documents(vec![document("x", "Ada knows Bob")]).await.unwrap();
        let index = Index::from(index);
        let found = index.as_retriever().retrieve("Ada").await.unwrap();
        assert_eq!(found.len(), 1);
        // As LlamaIndex has left one there.
        let foreign = Node::text("Bob").with_id("random").with_metadata(VECTOR_SOURCE_KEY, "Bob");
        vectorstore::VectorStore::add(&*store, &[foreign.with_embedding([1.0, 0.0, 0.0, 0.0])]).await.unwrap();
        assert_eq!(index.delete_ref_doc("x").await.unwrap(), Deleted { entries: 1, vectors: 3, nodes: 1, ref_docs: 1 });
        assert_eq!(vectorstore::VectorStore::count(&*store).await.unwrap(), Some(0));
    });
}

#[test]
fn a_graph_that_finds_vectors_itself_keeps_them() {
    block_on(async {
        let graph = SimplePropertyGraphStore::new();
        let ctx = StorageContext::builder().property_graph_store(Arc::new(Near(graph.clone()))).build();
        let builder = PropertyGraphIndex::builder(&ctx).kg_extractor(ByWords).embedder(SumEmbedder);
        let index = builder.from_nodes(vec![Node::text("Ada knows Bob").with_id("n")]).await.unwrap();
        assert_eq!(ctx.vector_store().unwrap().count().await.unwrap(), Some(0));
        assert!(graph.get(&NodeFilter::default()).iter().all(|node| node.embedding.is_some()));
        let found = index.vector_context_retriever().include_text(false).retrieve("Ada").await.unwrap();
        assert_eq!(found[0].score, Some(0.75));
    });
}

/// A graph that has vectors, and finds the first entity always.
#[derive(Debug)]
struct Near(SimplePropertyGraphStore);

#[async_trait]
impl PropertyGraphStore for Near {
    async fn get(&self, filter: &NodeFilter) -> graphstore::Result<Vec<LabelledNode>> {
        Ok(self.0.get(filter))
    }

    async fn get_triplets(&self, filter: &TripletFilter) -> graphstore::Result<Vec<graphstore::LabelledTriplet>> {
        Ok(self.0.get_triplets(filter))
    }

    async fn get_rel_map(
        &self,
        ids: &[PyString],
        options: &graphstore::RelMapOptions,
    ) -> graphstore::Result<Vec<graphstore::LabelledTriplet>> {
        Ok(self.0.get_rel_map(ids, options))
    }

    async fn upsert_nodes(&self, nodes: Vec<LabelledNode>) -> graphstore::Result<()> {
        self.0.upsert_nodes(nodes)
    }

    async fn upsert_relations(&self, relations: Vec<Relation>) -> graphstore::Result<()> {
        self.0.upsert_relations(relations)
    }

    async fn delete(&self, filter: &TripletFilter) -> graphstore::Result<graphstore::Deleted> {
        Ok(self.0.delete(filter))
    }

    fn supports_vector_queries(&self) -> bool {
        true
    }

    async fn vector_query(
        &self,
        _query: &vectorstore::VectorStoreQuery,
    ) -> graphstore::Result<Vec<(LabelledNode, f64)>> {
        let entities = self.0.get(&NodeFilter::default()).into_iter().filter(|node| node.text().is_none());
        Ok(entities.take(1).map(|node| (node, 0.75)).collect())
    }
}
