//! What a reader finds in a context, as a value that can be recorded and compared.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use graphstore::RelMapOptions;
use persist::StoreFile;
use raw_json::{PyString, Text, Value};
use storage_context::{FileNames, StorageContext};
use vectorstore::{VectorStore, VectorStoreQuery};
use vectorstore_simple::SimpleVectorStore;

use super::format::object;

/// All that a context holds: the text of each store's file, and what the stores answer.
pub(super) async fn contents(ctx: &StorageContext) -> Value {
    let stores = ctx.vector_stores();
    let vectors = stores.iter().map(async |(namespace, store)| (namespace.as_str(), vectors(store).await));
    object([
        ("files", files(ctx)),
        ("nodes", nodes(ctx).await),
        ("hashes", ctx.docstore().get_all_document_hashes().await.unwrap().into_iter().collect()),
        ("ref_docs", ref_docs(ctx).await),
        ("indexes", indexes(ctx).await),
        ("namespaces", BTreeSet::from_iter(ctx.namespaces()).into_iter().collect::<Vec<_>>().into()),
        ("vectors", join_all(vectors).await.into_iter().collect()),
        ("triplets", triplets(ctx).await),
        ("property_graph", property_graph(ctx).await),
    ])
}

fn text_of(file: StoreFile) -> String {
    let mut out = Vec::new();
    file.content.write_to(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The text of each store's file.
pub(super) fn files(ctx: &StorageContext) -> Value {
    let names = FileNames::default();
    let mut files = vec![
        (names.docstore.clone(), ctx.docstore().kv().to_file()),
        (names.index_store.clone(), ctx.index_store().kv().to_file()),
        (names.graph_store.clone(), ctx.graph_store().to_file()),
    ];
    if let Some(graph) = ctx.property_graph_store() {
        files.push((names.property_graph_store.clone(), graph.to_file()));
    }
    files.extend(ctx.vector_stores().iter().map(|(namespace, store)| (names.vector_store(namespace), store.to_file())));
    files.into_iter().map(|(name, file)| (name, text_of(file.unwrap()))).collect()
}

async fn nodes(ctx: &StorageContext) -> Value {
    let nodes = ctx.docstore().docs().await.unwrap();
    let nodes = nodes.into_iter().map(|(id, node)| {
        let fields = [
            ("class", node.class_name().into()),
            ("text", node.text_content().into()),
            ("metadata", node.metadata.clone().into()),
            ("ref_doc", node.ref_doc_id().unwrap().map(Value::from).into()),
            ("extra", node.extra.clone().into()),
        ];
        (id, object(fields))
    });
    nodes.collect()
}

async fn ref_docs(ctx: &StorageContext) -> Value {
    let all = ctx.docstore().get_all_ref_doc_info().await.unwrap().into_iter();
    all.map(|(id, info)| (id, object([("nodes", info.node_ids.into()), ("metadata", info.metadata.into())]))).collect()
}

async fn indexes(ctx: &StorageContext) -> Value {
    let structs = ctx.index_store().index_structs().await.unwrap();
    let indexes = structs.into_iter().map(async |index| {
        let embedding = ctx.index_store().embedding_identity(&index.index_id).await.unwrap();
        let embedding = embedding.map(|identity| {
            object([
                ("model_name", identity.model_name.into()),
                ("dimensions", identity.dimensions.into()),
                ("normalized", identity.normalized.into()),
                ("probe", identity.probe.into()),
            ])
        });
        let fields = [
            ("kind", index.type_name().into()),
            ("summary", index.summary.clone().into()),
            ("nodes", index.node_ids().map(Vec::from_iter).into()),
            ("extra", index.extra.clone().into()),
            ("embedded_with", embedding.into()),
        ];
        (index.index_id.clone(), object(fields))
    });
    join_all(indexes).await.into_iter().collect()
}

/// The vectors, in the order of a query, with how similar each is: that shows how the store compares.
async fn vectors(store: &Arc<dyn VectorStore>) -> Value {
    let count = store.count().await.unwrap().unwrap();
    let mut embedding = vec![0.5, -0.25, 1.0];
    embedding.resize(dimension(store), 0.125);
    let found = store.query(&VectorStoreQuery::new(embedding).with_top_k(None)).await.unwrap();
    assert_eq!(found.ids.len(), count);
    let found = found.ids.into_iter().zip(found.similarities).map(async |(id, similarity)| {
        let embedding = store.get(&id).await.unwrap().unwrap();
        // The last digits depend on the processor.
        let similarity = format!("{similarity:.6}");
        (id, object([("embedding", embedding.into()), ("similarity", similarity.into())]))
    });
    join_all(found).await.into_iter().collect()
}

/// The dimension of the embeddings in a store's file; 3 if there are none.
fn dimension(store: &Arc<dyn VectorStore>) -> usize {
    let store = store.to_file().map(text_of).unwrap();
    SimpleVectorStore::from_text(&Text::from(store)).unwrap().dimension().unwrap_or(3)
}

async fn triplets(ctx: &StorageContext) -> Value {
    let map = ctx.graph_store().get_rel_map(None, 1, 1000).await.unwrap();
    let triplets = map.into_values().flatten().map(|triplet| Value::from(triplet.to_string()));
    triplets.collect::<Vec<_>>().into()
}

async fn property_graph(ctx: &StorageContext) -> Value {
    let Some(graph) = ctx.property_graph_store() else { return Value::Null };
    let nodes = graph.get(&graphstore::NodeFilter::default()).await.unwrap();
    let ids: Vec<PyString> = nodes.iter().map(|node| node.id().clone()).collect();
    let nodes = nodes.iter().map(|node| {
        let text = node.text().or(node.name()).map(Value::from);
        let fields = [
            ("label", (&node.label).into()),
            ("text", text.into()),
            ("properties", node.properties.clone().into()),
            ("embedding", node.embedding.clone().into()),
        ];
        (node.id(), object(fields))
    });
    let nodes = nodes.collect();
    // The triplets are a set, without an order to rely on.
    let found = graph.get_rel_map(&ids, &RelMapOptions::default().with_depth(1).with_limit(1000)).await.unwrap();
    let mut triplets: Vec<String> = found.iter().map(|found| found.relation.triplet().to_string()).collect();
    triplets.sort();
    triplets.dedup();
    object([("nodes", nodes), ("triplets", triplets.into())])
}
