//! Operations and questions put to our indexes. Each is loaded anew for each of them.

use std::sync::Arc;

use colca::indices::{
    DocumentSummaryRetriever, IndexBuilder, IndexKind, KeywordExtractor, KeywordTableRetriever, KgRetrieverMode,
    KgTableRetriever, KnowledgeGraphIndex, SimpleKeywords, SummaryIndexEmbeddingRetriever, TreeIndex,
    TreeSelectLeafRetriever, TripletFn, VectorIndexRetriever,
};
use colca::prelude::*;
use corpus::ref_doc_info;

use super::apply::{Answer, nothing, numbers, query_mode, told, unknown};
use super::models::{Chunks, MarkKeywords, MarksLlm, embedder, image_embedder, triplets};
use super::request::Request;
use super::values::object;

pub(super) async fn answer(ctx: &StorageContext, name: &str, request: &Request<'_>) -> Answer {
    if name == "indexes.all" {
        let all = load_indices_from_storage(ctx, None).await.map_err(told)?;
        let line = |index: &Index| Value::from(vec![index.index_id(), index.class_name().into()]);
        return Ok(Value::Array(all.iter().map(line).collect()));
    }
    if name == "indexes.build" {
        return match request.text("kind")?.to_str() {
            Some("vector_store") => build(VectorStoreIndex::builder(ctx), request).await,
            Some("list") => build(SummaryIndex::builder(ctx), request).await,
            Some("keyword_table") => build(KeywordTableIndex::builder(ctx), request).await,
            Some("document_summary") => build(DocumentSummaryIndex::builder(ctx), request).await,
            Some("tree") => build(TreeIndex::builder(ctx), request).await,
            Some("multimodal") => build(MultiModalVectorStoreIndex::builder(ctx), request).await,
            Some("kg") => {
                let builder = KnowledgeGraphIndex::builder(ctx).triplet_extractor(TripletFn(triplets));
                build(builder.include_embeddings(true), request).await
            }
            Some("empty") => build(EmptyIndex::builder(ctx), request).await,
            _ => Err("there is no such kind of index".to_owned()),
        };
    }
    let id = request.text("id")?.to_string();
    let index = load_index_from_storage(ctx, Some(&id)).await.map_err(told)?;
    let index = index.with_embedder(embedder()).with_llm(MarksLlm).with_transformations(vec![Arc::new(Chunks)]);
    let index = match index {
        Index::KnowledgeGraph(index) => {
            let index = index.with_triplet_extractor(TripletFn(triplets)).with_include_embeddings(true);
            index.with_keyword_extractor(MarkKeywords).into()
        }
        index => index,
    };
    let docstore = if request.flag("always") { DocstoreDelete::Always } else { DocstoreDelete::Keep };
    let options = DeleteOptions::docstore(docstore);
    let always = DeleteOptions::docstore(DocstoreDelete::Always);
    match name {
        "indexes.insert" => nothing(index.insert(document(request.part("document"))?).await),
        "indexes.insert_nodes" => nothing(index.insert_nodes(request.nodes()?).await),
        "indexes.update" => nothing(index.update_ref_doc_with(document(request.part("document"))?, always).await),
        "indexes.refresh" => Ok(index.refresh_ref_docs_with(documents(request)?, always).await.map_err(told)?.into()),
        "indexes.delete_nodes" => nothing(index.delete_nodes_with(&request.texts("node_ids")?, options).await),
        "indexes.delete_document" => nothing(index.delete_ref_doc_with(request.text("ref_doc_id")?, options).await),
        "indexes.rename" => nothing(index.set_index_id(request.text("to")?).await),
        "indexes.summarize" => nothing(index.set_summary(request.text("summary")?).await),
        "indexes.summary" => Ok(index.summary().unwrap_or_else(|| "None".into()).into()),
        "indexes.documents" => {
            let infos = index.ref_doc_info().await.map_err(told)?;
            Ok(infos.iter().map(|(id, info)| (id, ref_doc_info(info))).collect())
        }
        "indexes.retrieve" => retrieve(&index, request).await,
        _ => Err(unknown(name)),
    }
}

async fn build<T: IndexKind>(builder: IndexBuilder<T>, request: &Request<'_>) -> Answer {
    let builder =
        builder.id(request.text("id")?).embedder(embedder()).llm(MarksLlm).transformations(vec![Arc::new(Chunks)]);
    match request.part("documents") {
        Value::Null => nothing(builder.from_nodes(request.nodes()?).await),
        _ => nothing(builder.from_documents(documents(request)?).await),
    }
}

fn documents(request: &Request<'_>) -> Result<Vec<Node>, String> {
    request.part("documents").as_array().unwrap_or_default().iter().map(document).collect()
}

/// A document from its fields.
pub(super) fn document(given: &Value) -> Result<Node, String> {
    let given = Request(given);
    let mut document = Node::document(given.text("text")?).with_id(given.text("id_")?);
    document.metadata = given.object("metadata");
    document.excluded_embed_metadata_keys = given.texts_or_none("excluded_embed_metadata_keys")?;
    document.excluded_llm_metadata_keys = given.texts_or_none("excluded_llm_metadata_keys")?;
    Ok(document)
}

/// What is not given is left to the retriever.
async fn retrieve(index: &Index, request: &Request<'_>) -> Answer {
    let options = Request(request.part("options"));
    let question = request.text("query")?.to_string();
    let mut query = QueryBundle::from(question.as_str());
    query.embedding = numbers(request.part("embedding"));
    let mode = options.part("retriever_mode").as_str().and_then(PyString::to_str);
    let top_k = |name: &str| options.0.get(name).map(|_| options.number(name));
    let retriever: Box<dyn Retriever> = match (index, mode) {
        (Index::VectorStore(index), _) => Box::new(vector_retriever(index, &options)?),
        (Index::Summary(index), Some("embedding")) => {
            let retriever = index.embedding_retriever();
            Box::new(with(retriever, top_k("similarity_top_k"), SummaryIndexEmbeddingRetriever::top_k))
        }
        (Index::DocumentSummary(index), _) => {
            Box::new(with(index.as_retriever(), top_k("similarity_top_k"), DocumentSummaryRetriever::top_k))
        }
        (Index::Tree(index), Some("all_leaf")) => Box::new(index.all_leaf_retriever()),
        (Index::Tree(index), Some("root")) => Box::new(index.root_retriever()),
        (Index::Tree(index), _) => {
            let factor = options.size("child_branch_factor").ok();
            let retriever = index.select_leaf_embedding_retriever();
            Box::new(with(retriever, factor, TreeSelectLeafRetriever::child_branch_factor))
        }
        (Index::MultiModal(index), _) if *request.text("find")? == *"text_to_image_retrieve" => {
            query = query.with_embedding(image_embedder().embed(&question));
            let retriever = index.image_retriever();
            Box::new(with(retriever, top_k("image_similarity_top_k"), VectorIndexRetriever::top_k))
        }
        (Index::MultiModal(index), _) => {
            Box::new(with(index.as_retriever(), top_k("similarity_top_k"), VectorIndexRetriever::top_k))
        }
        (Index::KeywordTable(index), _) => {
            let max = options.size("max_keywords_per_query").ok();
            let retriever = with(index.as_retriever(), max, KeywordTableRetriever::max_keywords);
            Box::new(with(retriever, options.size("num_chunks_per_query").ok(), KeywordTableRetriever::top_k))
        }
        (Index::KnowledgeGraph(index), mode) => {
            let mode = if mode == Some("keyword") { KgRetrieverMode::Keyword } else { KgRetrieverMode::Embedding };
            let retriever = index.as_retriever().mode(mode);
            Box::new(with(retriever, options.number("similarity_top_k"), KgTableRetriever::top_k))
        }
        _ => Box::new(index.as_retriever()),
    };
    let mut found = retriever.retrieve_bundle(&query).await.map_err(told)?;
    if let Index::KeywordTable(index) = index {
        count_keywords(index, &question, options.size("max_keywords_per_query").unwrap_or(10), &mut found).await?;
    }
    let ids: Vec<PyString> = found.iter().map(|found| found.node.id.clone()).collect();
    let scores: Vec<Value> = found.iter().map(|found| found.score.into()).collect();
    Ok(object([("ids", ids.into()), ("similarities", scores.into())]))
}

fn vector_retriever(index: &VectorStoreIndex, options: &Request<'_>) -> Result<VectorIndexRetriever, String> {
    let top_k = options.0.get("similarity_top_k").map(|_| options.number("similarity_top_k"));
    let mut retriever = with(index.as_retriever(), top_k, VectorIndexRetriever::top_k);
    if let Some(mode) = options.0.get("vector_store_query_mode") {
        retriever = retriever.mode(query_mode(mode)?);
    }
    let threshold = options.part("vector_store_kwargs").get("mmr_threshold").map(Value::as_f64);
    retriever = with(retriever, threshold, VectorIndexRetriever::mmr_threshold);
    Ok(with(retriever, options.selection()?.filters, VectorIndexRetriever::filters))
}

/// A retriever with this setting, if it is given.
fn with<R, T>(retriever: R, setting: Option<T>, set: impl FnOnce(R, T) -> R) -> R {
    match setting {
        Some(setting) => set(retriever, setting),
        None => retriever,
    }
}

/// Tells of each node how many of the question's keywords it has: they are counted, but not told.
async fn count_keywords(
    index: &KeywordTableIndex,
    question: &str,
    max: usize,
    found: &mut [NodeWithScore],
) -> Result<(), String> {
    let keywords = SimpleKeywords.extract(question, max).await.map_err(told)?;
    let index_struct = index.index_struct();
    let IndexStructData::KeywordTable(known) = &index_struct.data else { return Ok(()) };
    for found in found {
        let has =
            |keyword: &&String| known.table.get(keyword.as_bytes()).is_some_and(|nodes| nodes.contains(&found.node.id));
        found.score = Some(keywords.iter().filter(has).count() as f64);
    }
    Ok(())
}
