//! The contexts that are persisted for the recording.

use std::sync::Arc;

use graphstore::{LabelledNode, PropertyGraphStore, Relation, SimpleGraphStore, SimplePropertyGraphStore, Triplet};
use indexmap::IndexMap;
use indexstore::{
    DocumentSummary, EmbeddingIdentity, IndexDict, IndexGraph, IndexStruct, IndexStructData, KeywordTable,
    KnowledgeGraph,
};
use raw_json::{Object, PyString, Text, Value};
use schema::{ImageContent, Node, NodeRelationship, RelatedNodeInfo, RelatedNodes};
use storage_context::StorageContext;
use vectorstore_simple::{SimilarityMode, SimpleVectorStore};

/// A context with every kind of store, node and index, and with fields that Colca does not know.
pub(super) async fn everything() -> StorageContext {
    let property_graph = SimplePropertyGraphStore::new();
    fill_property_graph(&property_graph).await;
    let triplets = SimpleGraphStore::new();
    triplets.upsert_triplets([Triplet::new("Ada", "knows", "Bob"), Triplet::new("Ada", "lives in", "Zürich")]);
    let ctx = StorageContext::builder()
        .graph_store(Arc::new(triplets))
        .property_graph_store(Arc::new(property_graph))
        .vector_store(Arc::new(SimpleVectorStore::from_text(&Text::from(UNKNOWN_SECTION)).unwrap()))
        .named_vector_store("reviews", vectors(SimilarityMode::Euclidean).await)
        .named_vector_store("team__a", vectors(SimilarityMode::DotProduct).await)
        .named_vector_store("béta", vectors(SimilarityMode::Cosine).await)
        .build();
    let nodes = nodes();
    ctx.docstore().add_documents(&nodes).await.unwrap();
    let embedded = nodes[1..3].iter().cloned().zip([[1.0, 0.0, 0.5], [0.25, -1.0, 1e-7]]);
    let embedded: Vec<Node> = embedded.map(|(node, embedding)| node.with_embedding(embedding)).collect();
    ctx.vector_store().unwrap().add(&embedded).await.unwrap();
    for index in indexes() {
        ctx.index_store().add_index_struct(&index).await.unwrap();
    }
    let identity = EmbeddingIdentity {
        model_name: "hash".into(),
        dimensions: 3,
        normalized: true,
        probe: vec![0.6, 0.8, 0.0],
        extra: unknown(),
    };
    ctx.index_store().set_embedding_identity("vectors", &identity).await.unwrap();
    ctx
}

/// Changes some of the stores of [`everything`] and leaves the others as they are.
pub(super) async fn change(ctx: &StorageContext) {
    ctx.docstore().delete_document("index-node").await.unwrap();
    ctx.docstore().add_documents(&[Node::text("a new text").with_id("text-3").with_source("doc")]).await.unwrap();
    let list = IndexStructData::List { nodes: vec!["text-1".into(), "text-3".into()] };
    ctx.index_store().add_index_struct(&IndexStruct::new("list", list)).await.unwrap();
    let node = Node::text("a new text").with_id("text-3").with_embedding([0.5, 0.5, 0.5]);
    ctx.vector_store().unwrap().add(&[node]).await.unwrap();
}

/// A section of a later version's vector store, which is kept.
const UNKNOWN_SECTION: &str = r#"{"embedding_dict": {"first": [1, 2.50, -3E-2]}, "text_id_to_ref_doc_id": {"first": "doc"}, "metadata_dict": {"first": null}, "later": [1.0, {"kept": "\ud800"}]}"#;

fn unknown() -> Object {
    Object::from_iter([("later".into(), Value::from_iter([("kept", Value::from(1.5))]))])
}

async fn vectors(mode: SimilarityMode) -> Arc<SimpleVectorStore> {
    let store = SimpleVectorStore::new();
    store.set_similarity_mode(mode);
    let node = |id: &str, embedding: [f64; 3]| Node::text("t").with_id(id).with_embedding(embedding);
    let nodes = [node("text-1", [1.0, 0.0, 3.0]), node("text-2", [0.1, 0.2, 0.3])];
    vectorstore::VectorStore::add(&store, &nodes).await.unwrap();
    Arc::new(store)
}

fn nodes() -> Vec<Node> {
    let related = |id: &str| RelatedNodes::One(RelatedNodeInfo::new(id));
    let image = ImageContent { image_url: Some("https://example.org/a.png".into()), ..ImageContent::default() };
    let mut first = Node::text("Grüße, \u{1f600} and \"quotes\"\n").with_id("text-1").with_source("doc");
    first = first.with_metadata("page", 1).with_metadata("score", 0.5).with_metadata("tags", vec!["a", "b"]);
    first.relationships.insert(NodeRelationship::Next, related("text-2"));
    first.extra = unknown();
    let mut second = Node::text("second").with_id("text-2").with_source("doc");
    second.relationships.insert(NodeRelationship::Previous, related("text-1"));
    vec![
        Node::document("a whole document").with_id("doc").with_metadata("file", "a.txt"),
        first,
        second,
        Node::image("an image", image).with_id("image"),
        Node::index("stands for an index", "vectors").with_id("index-node"),
        Node::text("summary").with_id("summary").with_source("doc"),
    ]
}

fn indexes() -> Vec<IndexStruct> {
    let ids = |ids: &[&str]| ids.iter().map(|id| PyString::from(*id)).collect::<Vec<_>>();
    let table = || IndexMap::from([("grüße".into(), ids(&["text-1"]).into_iter().collect())]);
    let dict =
        |id: &str| IndexDict { nodes_dict: [(id.into(), id.into())].into_iter().collect(), ..IndexDict::default() };
    let tree = IndexGraph {
        all_nodes: [(0, "text-1".into()), (1, "summary".into())].into_iter().collect(),
        root_nodes: [(1, "summary".into())].into_iter().collect(),
        node_id_to_children_ids: [("summary".into(), ids(&["text-1"]))].into_iter().collect(),
    };
    let summaries = DocumentSummary {
        summary_id_to_node_ids: [("summary".into(), ids(&["text-1", "text-2"]))].into_iter().collect(),
        node_id_to_summary_id: [("text-1".into(), "summary".into())].into_iter().collect(),
        doc_id_to_summary_id: [("doc".into(), "summary".into())].into_iter().collect(),
    };
    let kinds = [
        ("vectors", IndexStructData::VectorStore(dict("text-1"))),
        ("list", IndexStructData::List { nodes: ids(&["text-1", "text-2", "text-1"]) }),
        ("keywords", IndexStructData::KeywordTable(KeywordTable { table: table() })),
        ("tree", IndexStructData::Tree(tree)),
        ("summaries", IndexStructData::DocumentSummary(summaries)),
        ("knowledge", IndexStructData::KnowledgeGraph(KnowledgeGraph { table: table(), ..KnowledgeGraph::default() })),
        ("graph", IndexStructData::PropertyGraph),
        ("images", IndexStructData::Multimodal(dict("image"))),
        ("empty", IndexStructData::Empty),
    ];
    let mut indexes: Vec<IndexStruct> = kinds.into_iter().map(|(id, data)| IndexStruct::new(id, data)).collect();
    indexes[0].summary = Some("what it is about".into());
    indexes[1].extra = unknown();
    indexes
}

async fn fill_property_graph(graph: &dyn PropertyGraphStore) {
    let ada = LabelledNode::entity("Ada").with_label("PERSON").with_property("born", 1815);
    let chunk = LabelledNode::chunk("text-1", "Grüße").with_embedding([0.5, 1.0]);
    graph.upsert_nodes(vec![ada, LabelledNode::entity("Bob"), chunk]).await.unwrap();
    let knows = Relation::new("KNOWS", "Ada", "Bob").with_property("since", 1833);
    graph.upsert_relations(vec![knows, Relation::new("MENTIONS", "text-1", "Ada")]).await.unwrap();
}
