//! Operations and questions put to our stores, as `driver.py` puts them to LlamaIndex's.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use colca::chatstore::ContentBlock;
use colca::graphstore::{LabelledNode, LabelledTriplet, NodeFilter, NodeKind, RelMapOptions, Relation};
use colca::prelude::*;
use colca::raw_json::Text;
use colca::vectorstore::Learner;
use corpus::{by_hash, describe, ref_doc_info};

use super::apply_indexes;
use super::location::Location;
use super::request::Request;
use super::values::object;

/// The file of the chat store beside a context.
pub(super) const CHAT_STORE: &str = "chat_store.json";

/// A storage context of ours with a chat store beside it.
pub(super) struct Ours {
    ctx: StorageContext,
    chats: SimpleChatStore,
}

/// What an operation gives; an error is told in words.
pub(super) type Answer = Result<Value, String>;

impl Ours {
    pub(super) fn begin(property_graph: bool) -> Self {
        let builder = StorageContext::builder();
        let builder = match property_graph {
            true => builder.property_graph_store(Arc::new(SimplePropertyGraphStore::new())),
            false => builder,
        };
        Self { ctx: builder.build(), chats: SimpleChatStore::new() }
    }

    pub(super) fn open(dir: &Path) -> Result<Self> {
        let ctx = pollster::block_on(StorageContext::open(dir)).context("ours cannot open it")?;
        let chats = dir.join(CHAT_STORE);
        if !chats.exists() {
            return Ok(Self { ctx, chats: SimpleChatStore::new() });
        }
        let text = Text::decode(std::fs::read(chats)?)?;
        Ok(Self { ctx, chats: SimpleChatStore::from_text(&text).context("ours cannot open the chat store")? })
    }

    /// The stores of a context, with the chat store that LlamaIndex has put beside it at a location.
    pub(super) fn at(location: &Location, ctx: StorageContext) -> Result<Self> {
        let chats = match location.names()?.iter().any(|name| *name == CHAT_STORE) {
            true => SimpleChatStore::from_text(&Text::decode(location.read(CHAT_STORE)?)?)?,
            false => SimpleChatStore::new(),
        };
        Ok(Self { ctx, chats })
    }

    pub(super) fn ctx(&self) -> &StorageContext {
        &self.ctx
    }

    pub(super) fn persist(&self, dir: &Path) -> Result<()> {
        pollster::block_on(self.ctx.persist(dir)).context("ours cannot persist it")?;
        let mut file = Vec::new();
        self.chats.store_file().content.write_to(&mut file)?;
        Ok(std::fs::write(dir.join(CHAT_STORE), file)?)
    }

    /// Applies operations or answers questions, one after the other.
    pub(super) fn run(&self, requests: &[Value]) -> Vec<Answer> {
        requests.iter().map(|request| pollster::block_on(self.answer(&Request(request)))).collect()
    }

    async fn answer(&self, request: &Request<'_>) -> Answer {
        let name = request.text("op")?.to_string();
        match name.split_once('.').map_or("", |(area, _)| area) {
            "context" => self.context(&name, request),
            "docstore" => self.documents(&name, request).await,
            "vs" => self.vectors(&name, request).await,
            "filters" => passes(request).await,
            "graph" => self.graph(&name, request).await,
            "pg" => self.property_graph(&name, request).await,
            "index" => self.indices(&name, request).await,
            "indexes" => apply_indexes::answer(&self.ctx, &name, request).await,
            "chat" => self.conversations(&name, request),
            _ => Err(unknown(&name)),
        }
    }

    fn context(&self, name: &str, request: &Request<'_>) -> Answer {
        match name {
            "context.add_vector_store" => {
                let store = Arc::new(SimpleVectorStore::new());
                self.ctx.add_vector_store(request.text("namespace")?.to_string(), store).map_err(told)?;
                Ok(Value::Null)
            }
            "context.namespaces" => {
                let mut names = self.ctx.namespaces();
                names.sort();
                Ok(names.into())
            }
            _ => Err(unknown(name)),
        }
    }

    async fn documents(&self, name: &str, request: &Request<'_>) -> Answer {
        let store = self.ctx.docstore();
        let id = || request.text("id");
        match name {
            "docstore.add" => {
                let options = AddOptions {
                    allow_update: request.flag("allow_update"),
                    store_text: request.flag("store_text"),
                    ..AddOptions::default()
                };
                nothing(store.add_documents_with(&request.nodes()?, options).await)
            }
            "docstore.delete_document" => {
                let known = store.delete_document(id()?).await.map_err(told)?;
                must_be(known || !request.flag("raise_error"))
            }
            "docstore.delete_ref_doc" => {
                let deleted = store.delete_ref_doc(id()?).await.map_err(told)?;
                must_be(deleted.ref_docs > 0 || !request.flag("raise_error"))
            }
            "docstore.set_hash" => {
                nothing(store.set_document_hash(id()?, &request.text("hash")?.to_string_lossy()).await)
            }
            "docstore.set_hashes" => {
                let hashes = request.object("hashes");
                let texts = |(id, hash): (&PyString, &Value)| Some((id.clone(), hash.as_str()?.to_str()?.to_owned()));
                let hashes: Option<Vec<(PyString, String)>> = hashes.iter().map(texts).collect();
                let hashes = hashes.ok_or("a hash is no text")?;
                nothing(store.set_document_hashes(hashes.iter().map(|(id, hash)| (id.clone(), hash.as_str()))).await)
            }
            "docstore.get_doc" => {
                let found = store.get_document(id()?).await.map_err(told)?;
                Ok(found.map(|node| Value::Object(describe(&node))).into())
            }
            "docstore.ids" => Ok(store.node_ids().await.map_err(told)?.into()),
            "docstore.exists" => Ok(store.document_exists(id()?).await.map_err(told)?.into()),
            "docstore.get_hash" => Ok(store.get_document_hash(id()?).await.map_err(told)?.into()),
            "docstore.get_all_hashes" => Ok(by_hash(&store.get_all_document_hashes().await.map_err(told)?)),
            "docstore.get_ref_doc_info" => {
                let found = store.get_ref_doc_info(id()?).await.map_err(told)?;
                Ok(found.map(|info| ref_doc_info(&info)).into())
            }
            "docstore.get_all_ref_doc_info" => {
                let all = store.get_all_ref_doc_info().await.map_err(told)?;
                Ok(all.iter().map(|(id, info)| (id, ref_doc_info(info))).collect())
            }
            _ => Err(unknown(name)),
        }
    }

    async fn vectors(&self, name: &str, request: &Request<'_>) -> Answer {
        if name == "vs.search" {
            let rows = request.part("rows").as_array().unwrap_or_default().iter().enumerate();
            let node = |(i, row): (usize, &Value)| Some(node(&i.to_string(), &numbers(row)?));
            let nodes: Option<Vec<Node>> = rows.map(node).collect();
            return hits(&store_of(&nodes.ok_or("a row is no embedding")?).await?, request).await;
        }
        let namespace = request.text("namespace")?.to_string();
        let store = self.ctx.vector_store_of(&namespace).ok_or("there is no such vector store")?;
        match name {
            "vs.add" => Ok(store.add(&request.nodes()?).await.map_err(told)?.into()),
            "vs.delete" => nothing(store.delete(request.text("ref_doc_id")?).await),
            "vs.delete_nodes" => nothing(store.delete_nodes(&request.selection()?).await),
            "vs.clear" => nothing(store.clear().await),
            "vs.get" => {
                let found = store.get(request.text("id")?).await.map_err(told)?;
                found.map(Value::from).ok_or_else(|| "not found".to_owned())
            }
            "vs.query" => hits(&*store, request).await,
            _ => Err(unknown(name)),
        }
    }

    async fn graph(&self, name: &str, request: &Request<'_>) -> Answer {
        let store = self.ctx.graph_store();
        let triplet = || -> Result<[PyString; 3], String> {
            request.texts("triplet")?.try_into().map_err(|_| "a triplet has three parts".to_owned())
        };
        match name {
            "graph.upsert_triplet" => {
                let [subject, relation, object] = triplet()?;
                nothing(store.upsert_triplet(&subject, &relation, &object).await)
            }
            "graph.delete" => {
                let [subject, relation, object] = triplet()?;
                nothing(store.delete(&subject, &relation, &object).await)
            }
            "graph.get" => {
                let pairs = store.get(request.text("subj")?).await.map_err(told)?;
                Ok(Value::Array(pairs.into_iter().map(|(relation, object)| vec![relation, object].into()).collect()))
            }
            "graph.rel_map" => {
                let subjects = (!request.part("subjs").is_null()).then(|| request.texts("subjs")).transpose()?;
                let (depth, limit) = (request.size("depth")?, request.size("limit")?);
                let map = store.get_rel_map(subjects.as_deref(), depth, limit).await.map_err(told)?;
                let lists = map.into_iter().map(|(subject, triplets)| {
                    let triplets = triplets.into_iter().map(|t| Value::from(vec![t.subject, t.relation, t.object]));
                    (subject, Value::Array(triplets.collect()))
                });
                Ok(lists.collect())
            }
            _ => Err(unknown(name)),
        }
    }

    async fn property_graph(&self, name: &str, request: &Request<'_>) -> Answer {
        let store = self.ctx.property_graph_store().ok_or("there is no property graph store")?;
        match name {
            "pg.upsert_entity" | "pg.upsert_chunk" => {
                let given = Request(request.part("node"));
                let node = match name {
                    "pg.upsert_entity" => LabelledNode::entity(given.text("name")?),
                    _ => LabelledNode::chunk(given.text("id_")?, given.text("text")?),
                };
                let mut node = node.with_label(given.text("label")?);
                node.properties = given.object("properties");
                if let Some(numbers) = given.part("embedding").as_array() {
                    node.embedding = numbers.iter().map(Value::as_f64).collect();
                }
                nothing(store.upsert_nodes(vec![node]).await)
            }
            "pg.upsert_relation" => {
                let given = Request(request.part("relation"));
                let ends = (given.text("source_id")?, given.text("target_id")?);
                let mut relation = Relation::new(given.text("label")?, ends.0, ends.1);
                relation.properties = given.object("properties");
                nothing(store.upsert_relations(vec![relation]).await)
            }
            "pg.upsert_llama_nodes" => nothing(store.upsert_llama_nodes(&request.nodes()?).await),
            "pg.get_llama_nodes" => {
                let found = store.get_llama_nodes(&request.texts("ids")?).await.map_err(told)?;
                Ok(Value::Array(found.nodes.iter().map(|node| Value::Object(describe(node))).collect()))
            }
            "pg.delete" => nothing(store.delete(&request.triplet_filter()?).await),
            "pg.get" => {
                let filter =
                    NodeFilter { properties: request.object("properties"), ids: request.texts_or_none("ids")? };
                Ok(Value::Array(store.get(&filter).await.map_err(told)?.iter().map(labelled_node).collect()))
            }
            "pg.get_triplets" => {
                let found = store.get_triplets(&request.triplet_filter()?).await.map_err(told)?;
                Ok(Value::Array(found.iter().map(labelled_triplet).collect()))
            }
            "pg.get_rel_map" => {
                let options = RelMapOptions {
                    depth: request.size("depth")?,
                    limit: request.size("limit")?,
                    ignore_rels: request.texts("ignore_rels")?,
                };
                // As LlamaIndex is asked: the nodes that are there are where it starts.
                let ids = NodeFilter::default().with_ids(request.texts("ids")?);
                let from = store.get(&ids).await.map_err(told)?;
                let from: Vec<PyString> = from.iter().map(|node| node.id().clone()).collect();
                let found = store.get_rel_map(&from, &options).await.map_err(told)?;
                Ok(Value::Array(found.iter().map(labelled_triplet).collect()))
            }
            _ => Err(unknown(name)),
        }
    }

    async fn indices(&self, name: &str, request: &Request<'_>) -> Answer {
        let store = self.ctx.index_store();
        match name {
            "index.add" => {
                let fields = request.object("fields");
                let id = Request(request.part("fields")).text("index_id")?.clone();
                let stored = object([("__type__", request.part("type").clone()), ("__data__", Value::Object(fields))]);
                nothing(store.add_index_struct(&IndexStruct::from_raw(&stored.into(), &id)).await)
            }
            "index.delete" => nothing(store.delete_index_struct(request.text("id")?).await),
            "index.ids" => {
                let structs = store.index_structs().await.map_err(told)?;
                let lines = structs.iter().map(|found| vec![found.index_id.clone(), found.type_name()].into());
                Ok(Value::Array(lines.collect()))
            }
            "index.get" => {
                let found = store.get_index_struct(request.text("id")?).await.map_err(told)?;
                let told = |found: IndexStruct| {
                    object([("type", found.type_name().into()), ("fields", Value::Object(found.to_dict()))])
                };
                Ok(found.map(told).into())
            }
            _ => Err(unknown(name)),
        }
    }

    fn conversations(&self, name: &str, request: &Request<'_>) -> Answer {
        let store = &self.chats;
        let key = || request.text("key");
        match name {
            "chat.add" => {
                let index = request.number("index").map(|index| index as isize);
                nothing(store.add_message(key()?, message(request.part("message"))?, index))
            }
            "chat.set" => {
                let given = request.part("messages").as_array().unwrap_or_default();
                nothing(store.set_messages(key()?, given.iter().map(message).collect::<Result<Vec<_>, _>>()?))
            }
            "chat.delete" => Ok(store.delete_messages(key()?).map(|messages| messages_told(&messages)).into()),
            "chat.delete_message" => {
                let index = request.size("index")? as isize;
                Ok(store.delete_message(key()?, index).map(|message| message_told(&message)).into())
            }
            "chat.delete_last" => Ok(store.delete_last_message(key()?).map(|message| message_told(&message)).into()),
            "chat.keys" => Ok(store.get_keys().into()),
            "chat.get" => Ok(messages_told(&store.get_messages(key()?))),
            _ => Err(unknown(name)),
        }
    }
}

pub(super) fn numbers(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(Value::as_f64).collect()
}

fn node(id: &str, embedding: &[f64]) -> Node {
    Node::text("").with_id(id).with_embedding(embedding)
}

async fn store_of(nodes: &[Node]) -> Result<SimpleVectorStore, String> {
    let store = SimpleVectorStore::new();
    store.add(nodes).await.map_err(told)?;
    Ok(store)
}

/// A query of a store, with everything as LlamaIndex has it.
async fn hits(store: &dyn VectorStore, request: &Request<'_>) -> Answer {
    let embedding = numbers(request.part("embedding")).ok_or("the embedding is none")?;
    let mut query = VectorStoreQuery::new(embedding)
        .with_mode(query_mode(request.part("mode"))?)
        .with_top_k(request.number("top_k"))
        .with_mmr_threshold(request.part("mmr_threshold").as_f64())
        .with_learner(Learner::AlwaysSvm);
    query.selection = request.selection()?;
    let found = store.query(&query).await.map_err(told)?;
    Ok(object([("ids", found.ids.into()), ("similarities", found.similarities.into())]))
}

pub(super) fn query_mode(name: &Value) -> Result<VectorStoreQueryMode, String> {
    let known =
        VectorStoreQueryMode::ALL.into_iter().find(|known| name.as_str().is_some_and(|name| *name == *known.name()));
    known.ok_or_else(|| "the mode is none".to_owned())
}

/// Whether a node with this metadata passes the filters.
async fn passes(request: &Request<'_>) -> Answer {
    let mut node = node("n", &[1.0]);
    node.metadata = request.object("metadata");
    let mut query = VectorStoreQuery::new([1.0]);
    query.selection = request.selection()?;
    let found = store_of(&[node]).await?.query(&query).await.map_err(told)?;
    Ok((!found.ids.is_empty()).into())
}

pub(super) fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

pub(super) fn unknown(name: &str) -> String {
    format!("there is no operation '{name}'")
}

pub(super) fn nothing<T, E: std::fmt::Display>(result: Result<T, E>) -> Answer {
    result.map(|_| Value::Null).map_err(told)
}

fn must_be(known: bool) -> Answer {
    if known { Ok(Value::Null) } else { Err("not found".to_owned()) }
}

fn labelled_node(node: &LabelledNode) -> Value {
    let kind = if node.name().is_some() { "EntityNode" } else { "ChunkNode" };
    let mut fields = vec![
        ("id", Value::from(node.id())),
        ("kind", kind.into()),
        ("label", (&node.label).into()),
        ("embedding", node.embedding.clone().into()),
        ("properties", Value::Object(node.properties.clone())),
    ];
    match node.kind() {
        NodeKind::Entity { name } => fields.push(("name", name.into())),
        NodeKind::Chunk { text } => fields.extend([("text", text.into()), ("id_", node.id().into())]),
        _ => {}
    }
    fields.into_iter().collect()
}

fn labelled_triplet(triplet: &LabelledTriplet) -> Value {
    let relation = &triplet.relation;
    let relation = object([
        ("label", (&relation.label).into()),
        ("source_id", (&relation.source_id).into()),
        ("target_id", (&relation.target_id).into()),
        ("properties", Value::Object(relation.properties.clone())),
    ]);
    Value::Array(vec![labelled_node(&triplet.subject), relation, labelled_node(&triplet.object)])
}

fn message(given: &Value) -> Result<ChatMessage, String> {
    let given = Request(given);
    let mut message = ChatMessage::new(given.text("role")?);
    message.additional_kwargs = given.object("additional_kwargs");
    let blocks = given.part("blocks").as_array().unwrap_or_default().iter();
    message.blocks = blocks.filter_map(Value::as_object).cloned().map(ContentBlock::from).collect();
    Ok(message)
}

fn message_told(message: &ChatMessage) -> Value {
    let blocks = message.blocks.iter().map(|block| Value::Object(block.fields().clone()));
    object([
        ("role", (&message.role).into()),
        ("additional_kwargs", Value::Object(message.additional_kwargs.clone())),
        ("blocks", Value::Array(blocks.collect())),
        ("content", message.content().into()),
    ])
}

fn messages_told(messages: &[ChatMessage]) -> Value {
    Value::Array(messages.iter().map(message_told).collect())
}
