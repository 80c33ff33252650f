"""Puts a real LlamaIndex at the end of a pipe.

Every line of standard input is a request, a JSON object; every line of standard output is its answer, `{"ok": value}`
or `{"error": {"type", "message"}}`. JSON is Python's: with `NaN`, integers of any size and escaped lone surrogates.

A request's "do" says what is wanted:

    hello                           -> the versions of Python and LlamaIndex
    open     ctx, dir, fs           opens a persisted context and calls it `ctx`
    begin    ctx, property_graph    begins an empty context, with a property graph store or without
    apply    ctx, ops               -> for each operation its own {"ok"} or {"error"}
    ask      ctx, questions         -> likewise
    persist  ctx, dir, fs
    replace  path, content, fs      writes a file
    split    requests               -> for each {"parser", "options", "document"} the nodes it is split into
    forget                          drops all contexts

Where "fs" is not null the directory is a prefix in a bucket, "bucket/prefix", and LlamaIndex works there through s3fs,
made from an object with an endpoint, a key and its secret.

Operations and questions are objects with an "op"; the table at the end of this file lists them, and each function
there reads what else the object holds. Nodes are given as LlamaIndex stores them, `{"__data__", "__type__"}`, and
documents by their fields. Indexes are loaded anew for each operation, so that nothing is kept but what is stored.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import sys
import warnings
from hashlib import sha256
from importlib import metadata
from typing import Any, Callable

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

# What a library prints must not get between the answers, nor fail because of what is in it.
ANSWERS = sys.stdout
sys.stdout = open(os.devnull, "w", encoding="utf-8", errors="replace")

import numpy  # noqa: E402
import s3fs  # noqa: E402
from fsspec import AbstractFileSystem  # noqa: E402
from llama_index.core import Settings, StorageContext, load_index_from_storage, load_indices_from_storage  # noqa: E402
from llama_index.core.data_structs.data_structs import IndexStruct  # noqa: E402
from llama_index.core.data_structs.registry import INDEX_STRUCT_TYPE_TO_INDEX_STRUCT_CLASS  # noqa: E402
from llama_index.core.data_structs.struct_type import IndexStructType  # noqa: E402
from llama_index.core.embeddings import MultiModalEmbedding  # noqa: E402
from llama_index.core.graph_stores.simple_labelled import SimplePropertyGraphStore  # noqa: E402
from llama_index.core.graph_stores.types import ChunkNode, EntityNode, Relation  # noqa: E402
from llama_index.core.indices import (  # noqa: E402
    DocumentSummaryIndex,
    EmptyIndex,
    KeywordTableIndex,
    KnowledgeGraphIndex,
    MultiModalVectorStoreIndex,
    SimpleKeywordTableIndex,
    SummaryIndex,
    TreeIndex,
    VectorStoreIndex,
)
from llama_index.core.indices.base import BaseIndex  # noqa: E402
from llama_index.core.indices.keyword_table.utils import simple_extract_keywords  # noqa: E402
from llama_index.core.llms import ChatMessage, CompletionResponse, CustomLLM, LLMMetadata  # noqa: E402
from llama_index.core.node_parser import MarkdownNodeParser, SentenceSplitter, TokenTextSplitter  # noqa: E402
from llama_index.core.schema import (  # noqa: E402
    BaseNode,
    Document,
    MetadataMode,
    NodeRelationship,
    QueryBundle,
    TextNode,
    TransformComponent,
)
from llama_index.core.storage.chat_store import SimpleChatStore  # noqa: E402
from llama_index.core.storage.docstore.utils import json_to_doc  # noqa: E402
from llama_index.core.utils import get_tokenizer  # noqa: E402
from llama_index.core.vector_stores import SimpleVectorStore  # noqa: E402
from llama_index.core.vector_stores.types import (  # noqa: E402
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

Json = Any

CHAT_STORE = "chat_store.json"
LEARNERS = ("svm", "linear_regression", "logistic_regression")
MODES = (MetadataMode.ALL, MetadataMode.EMBED, MetadataMode.LLM, MetadataMode.NONE)


class Context:
    """A storage context with a chat store beside it."""

    def __init__(self, stores: StorageContext, chats: SimpleChatStore) -> None:
        self.stores = stores
        self.chats = chats

    @classmethod
    def begin(cls, property_graph: bool) -> Context:
        graph = SimplePropertyGraphStore() if property_graph else None
        return cls(StorageContext.from_defaults(property_graph_store=graph), SimpleChatStore())

    @classmethod
    def open(cls, directory: str, fs: AbstractFileSystem | None) -> Context:
        chats = SimpleChatStore.from_persist_path(os.path.join(directory, CHAT_STORE), fs=fs)
        return cls(StorageContext.from_defaults(persist_dir=directory, fs=fs), chats)

    def persist(self, directory: str, fs: AbstractFileSystem | None) -> None:
        self.stores.persist(persist_dir=directory, fs=fs)
        self.chats.persist(os.path.join(directory, CHAT_STORE), fs=fs)

    def vectors(self, request: Json) -> SimpleVectorStore:
        return self.stores.vector_stores[request.get("namespace", "default")]

    @property
    def graph(self) -> SimplePropertyGraphStore:
        return self.stores.property_graph_store


def file_system(request: Json) -> AbstractFileSystem | None:
    """The file system of a request. It remembers nothing of the bucket, as in a process that has just begun: what it
    lists it would take for what is there.
    """
    given = request.get("fs")
    if given is None:
        return None
    fs = s3fs.S3FileSystem(
        key=given["key"],
        secret=given["secret"],
        client_kwargs={"endpoint_url": given["endpoint"], "region_name": "us-east-1"},
        # The smallest parts there can be, so that files are sent in several.
        default_block_size=5 << 20,
    )
    fs.invalidate_cache()
    return fs


def replace(request: Json) -> None:
    file_system(request).pipe_file(request["path"], request["content"].encode())


def attempt(work: Callable[[], Json]) -> Json:
    """What came of the work: its value or its error."""
    try:
        return {"ok": work()}
    except Exception as error:  # whatever LlamaIndex raises is its answer
        return {"error": {"type": type(error).__name__, "message": str(error)[:500]}}


# Documents


def nodes(request: Json) -> list[BaseNode]:
    return [json_to_doc(node) for node in request["nodes"]]


def add_documents(ctx: Context, request: Json) -> None:
    options = {key: request[key] for key in ("allow_update", "store_text") if key in request}
    ctx.stores.docstore.add_documents(nodes(request), **options)


def describe(node: BaseNode) -> Json:
    """All that a node tells of itself."""
    told = {
        "class": node.class_name(),
        "type": str(node.get_type().value),
        "id": node.node_id,
        "hash": attempt(lambda: node.hash),
        "ref_doc_id": attempt(lambda: node.ref_doc_id),
        "content": {mode.value: attempt(lambda: node.get_content(metadata_mode=mode)) for mode in MODES},
        "metadata_str": {mode.value: attempt(lambda: node.get_metadata_str(mode=mode)) for mode in MODES},
        "dict": {"ok": node.to_dict()},
    }
    if getattr(node, "obj", None) is not None:
        told["obj"] = describe(node.obj)
    return told


def get_document(ctx: Context, request: Json) -> Json:
    node = ctx.stores.docstore.get_document(request["id"], raise_error=False)
    return None if node is None else describe(node)


def ref_doc_info(info: Any) -> Json:
    return None if info is None else {"node_ids": info.node_ids, "metadata": info.metadata}


def all_ref_doc_info(ctx: Context, _request: Json) -> Json:
    infos = ctx.stores.docstore.get_all_ref_doc_info() or {}
    return {key: ref_doc_info(info) for key, info in infos.items()}


# Vectors


def filters(given: Json) -> MetadataFilters | None:
    """Filters from LlamaIndex's own JSON form, nested ones too."""
    if given is None:
        return None
    inner = [filters(one) if "filters" in one else MetadataFilter(**one) for one in given["filters"]]
    return MetadataFilters(filters=inner, condition=given["condition"])


def vector_query(ctx: Context, request: Json) -> Json:
    return hits(ctx.vectors(request), request)


def hits(store: SimpleVectorStore, request: Json) -> Json:
    mode = request.get("mode", "default")
    query = VectorStoreQuery(
        query_embedding=request["embedding"],
        similarity_top_k=request.get("top_k", 1),
        node_ids=request.get("node_ids"),
        filters=filters(request.get("filters")),
        mode=VectorStoreQueryMode(mode),
    )
    options = {key: request[key] for key in ("mmr_threshold",) if request.get(key) is not None}
    if mode in LEARNERS:
        numpy.random.seed(0)
    found = store.query(query, **options)
    return {"ids": list(found.ids), "similarities": [float(score) for score in found.similarities]}


def passes(_ctx: Context, request: Json) -> bool:
    """Whether a node with this metadata passes the filters."""
    store = SimpleVectorStore()
    store.add([TextNode(id_="n", embedding=[1.0], metadata=request["metadata"])])
    query = VectorStoreQuery(query_embedding=[1.0], similarity_top_k=1, filters=filters(request["filters"]))
    return store.query(query).ids == ["n"]


def search(_ctx: Context, request: Json) -> Json:
    """A query of a store with these rows, under the ids "0", "1" and so on."""
    store = SimpleVectorStore()
    store.add([TextNode(id_=str(number), embedding=row) for number, row in enumerate(request["rows"])])
    return hits(store, request)


# Graphs


def node_told(node: EntityNode | ChunkNode) -> Json:
    return {"id": node.id, "kind": type(node).__name__, **node.model_dump()}


def triplets_told(triplets: list[Any]) -> Json:
    return [[node_told(subject), relation.model_dump(), node_told(target)] for subject, relation, target in triplets]


def graph_rel_map(ctx: Context, request: Json) -> Json:
    found = ctx.graph.get(ids=request["ids"])
    options = {key: request[key] for key in ("depth", "limit", "ignore_rels")}
    return triplets_told(ctx.graph.get_rel_map(found, **options))


def selection(request: Json) -> dict[str, Json]:
    return {key: request[key] for key in ("entity_names", "relation_names", "properties", "ids") if key in request}


# Indices


def index_struct(request: Json) -> IndexStruct:
    """An index struct of any kind, from its fields as they are stored."""
    kind = INDEX_STRUCT_TYPE_TO_INDEX_STRUCT_CLASS[IndexStructType(request["type"])]
    fields = dict(request["fields"])
    for name in ("all_nodes", "root_nodes"):
        if name in fields:
            fields[name] = {int(position): node_id for position, node_id in fields[name].items()}
    if "table" in fields:
        fields["table"] = {keyword: set(ids) for keyword, ids in fields["table"].items()}
    return kind(**fields)


def index_structs(ctx: Context, _request: Json) -> Json:
    return [[struct.index_id, str(struct.get_type().value)] for struct in ctx.stores.index_store.index_structs()]


def get_index_struct(ctx: Context, request: Json) -> Json:
    struct = ctx.stores.index_store.get_index_struct(request["id"])
    if struct is None:
        return None
    # Ways through JSON make the keys strings and the sets lists.
    return {"type": str(struct.get_type().value), "fields": json.loads(struct.to_json())}


# Models, the same as in models.rs


class HashedEmbedding(MultiModalEmbedding):
    """Numbers drawn from a hash of the text."""

    dimensions: int
    salt: str

    def _get_text_embedding(self, text: str) -> list[float]:
        def number(at: int) -> float:
            drawn = sha256(f"{self.salt}|{at}|{text}".encode()).digest()[:8]
            return float(f"{int.from_bytes(drawn, 'big') / 2**64 * 2 - 1:.6f}")

        return [number(at) for at in range(self.dimensions)]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    def _get_image_embedding(self, img_file_path: Any) -> list[float]:
        raise ValueError("images come with their embeddings")

    async def _aget_image_embedding(self, img_file_path: Any) -> list[float]:
        raise ValueError("images come with their embeddings")


def marks(text: str) -> list[str]:
    return [word for word in re.findall("[a-z0-9]+", text) if word[0].isalpha() and word[-1].isdigit()]


def triplets(text: str) -> list[tuple[str, str, str]]:
    """That each mark stands before the next one, of the first marks."""
    first = marks(text)[:4]
    return [(one, "stands before", other) for one, other in zip(first, first[1:])]


class MarksLLM(CustomLLM):
    """Tells which marks are in the prompt: words that end in a digit. So the prompt's own words do not matter. Asked
    for the number of a choice, it tells one that is none.
    """

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(context_window=1_000_000)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=" ".join(["99", *sorted(set(marks(prompt)))]))

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        yield self.complete(prompt)


class Chunks(TransformComponent):
    """Makes a node of each part of a document, with an id that tells the document, its version and the place."""

    def __call__(self, nodes: list[BaseNode], **kwargs: Any) -> list[BaseNode]:
        return [chunk(document, *part) for document in nodes for part in enumerate(document.text.split("\n\n"))]


def chunk(document: BaseNode, at: int, text: str) -> TextNode:
    return TextNode(
        id_=f"{document.id_}:{document.hash[:8]}:{at}",
        text=text,
        metadata=document.metadata,
        excluded_embed_metadata_keys=document.excluded_embed_metadata_keys,
        excluded_llm_metadata_keys=document.excluded_llm_metadata_keys,
        relationships={NodeRelationship.SOURCE: document.as_related_node_info()},
    )


# LlamaIndex's own, before it is replaced.
TOKENIZER = get_tokenizer()
Settings.embed_model = HashedEmbedding(dimensions=8, salt="text")
IMAGES = HashedEmbedding(dimensions=4, salt="image")
Settings.llm = MarksLLM()
Settings.transformations = [Chunks()]
Settings.tokenizer = str.split


# Indexes

KINDS = {
    "vector_store": VectorStoreIndex,
    "list": SummaryIndex,
    "keyword_table": SimpleKeywordTableIndex,
    "document_summary": DocumentSummaryIndex,
    "tree": TreeIndex,
    "multimodal": MultiModalVectorStoreIndex,
    "kg": KnowledgeGraphIndex,
    "empty": EmptyIndex,
}

# Each kind takes what it knows of these.
OPTIONS = {"image_embed_model": IMAGES, "kg_triplet_extract_fn": triplets, "include_embeddings": True}


def document(given: Json) -> Document:
    return Document(**given)


def documents(request: Json) -> list[Document]:
    return [document(given) for given in request["documents"]]


def build(ctx: Context, request: Json) -> None:
    kind = KINDS[request["kind"]]
    options = {"storage_context": ctx.stores}
    if kind in (MultiModalVectorStoreIndex, KnowledgeGraphIndex):
        options |= OPTIONS
    if kind is EmptyIndex:
        index = EmptyIndex(**options)
    elif "documents" in request:
        index = kind.from_documents(documents(request), **options)
    else:
        index = kind(nodes=nodes(request), **options)
    index.set_index_id(request["id"])


def load(ctx: Context, request: Json) -> BaseIndex:
    index = load_index_from_storage(ctx.stores, request["id"], **OPTIONS)
    if isinstance(index, KeywordTableIndex):
        # All tables are loaded as ones whose keywords a language model finds.
        index = SimpleKeywordTableIndex(index_struct=index.index_struct, storage_context=ctx.stores)
    return index


def load_all(ctx: Context, _request: Json) -> Json:
    loaded = load_indices_from_storage(ctx.stores, **OPTIONS)
    return [[index.index_id, type(index).__name__] for index in loaded]


def summarize(ctx: Context, request: Json) -> None:
    load(ctx, request).summary = request["summary"]


def delete_nodes(ctx: Context, request: Json) -> None:
    load(ctx, request).delete_nodes(request["node_ids"], delete_from_docstore=request["always"])


def delete_document(ctx: Context, request: Json) -> None:
    load(ctx, request).delete_ref_doc(request["ref_doc_id"], delete_from_docstore=request["always"])


def documents_of(ctx: Context, request: Json) -> Json:
    return {key: ref_doc_info(info) for key, info in load(ctx, request).ref_doc_info.items()}


def retrieve(ctx: Context, request: Json) -> Json:
    """The nodes found, and how well they fit. The options are those of the kind's `as_retriever`."""
    index = load(ctx, request)
    options = dict(request.get("options", {}))
    if "filters" in options:
        options["filters"] = filters(options["filters"])
    retriever = index.as_retriever(**options)
    find = getattr(retriever, request.get("find", "retrieve"))
    found = find(QueryBundle(request["query"], embedding=request.get("embedding")))
    ids = [one.node.node_id for one in found]
    if isinstance(index, SimpleKeywordTableIndex):
        keywords = simple_extract_keywords(request["query"], options.get("max_keywords_per_query", 10))
        table = index.index_struct.table
        # It counts, but does not tell.
        return {"ids": ids, "similarities": [sum(one in table.get(word, ()) for word in keywords) for one in ids]}
    return {"ids": ids, "similarities": [None if one.score is None else float(one.score) for one in found]}


# Conversations


def messages_told(messages: list[ChatMessage] | None) -> Json:
    if messages is None:
        return None
    return [{**message.model_dump(mode="json"), "content": message.content} for message in messages]


def set_messages(ctx: Context, request: Json) -> None:
    ctx.chats.set_messages(request["key"], [ChatMessage(**message) for message in request["messages"]])


def one_message(message: ChatMessage | None) -> Json:
    return None if message is None else messages_told([message])[0]


# Splitters


def split(request: Json) -> Json:
    parser = PARSERS[request["parser"]](request["options"])
    # It prints a warning for every short chunk.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return [node.to_dict() for node in parser([json_to_doc(request["document"])])]


def node_id(position: int, _document: BaseNode) -> str:
    return f"n{position}"


PARSERS: dict[str, Callable[[Json], Any]] = {
    "SentenceSplitter": lambda options: SentenceSplitter(id_func=node_id, tokenizer=TOKENIZER, **options),
    "TokenTextSplitter": lambda options: TokenTextSplitter(id_func=node_id, tokenizer=TOKENIZER, **options),
    "MarkdownNodeParser": lambda options: MarkdownNodeParser(id_func=node_id, **options),
}


OPERATIONS: dict[str, Callable[[Context, Json], Json]] = {
    "context.add_vector_store": lambda c, r: c.stores.add_vector_store(SimpleVectorStore(), r["namespace"]),
    "context.namespaces": lambda c, r: sorted(c.stores.vector_stores),
    "docstore.add": add_documents,
    "docstore.delete_document": lambda c, r: c.stores.docstore.delete_document(r["id"], raise_error=r["raise_error"]),
    "docstore.delete_ref_doc": lambda c, r: c.stores.docstore.delete_ref_doc(r["id"], raise_error=r["raise_error"]),
    "docstore.set_hash": lambda c, r: c.stores.docstore.set_document_hash(r["id"], r["hash"]),
    "docstore.set_hashes": lambda c, r: c.stores.docstore.set_document_hashes(r["hashes"]),
    "docstore.get_doc": get_document,
    "docstore.ids": lambda c, r: list(c.stores.docstore.docs),
    "docstore.exists": lambda c, r: c.stores.docstore.document_exists(r["id"]),
    "docstore.get_hash": lambda c, r: c.stores.docstore.get_document_hash(r["id"]),
    "docstore.get_all_hashes": lambda c, r: c.stores.docstore.get_all_document_hashes(),
    "docstore.get_ref_doc_info": lambda c, r: ref_doc_info(c.stores.docstore.get_ref_doc_info(r["id"])),
    "docstore.get_all_ref_doc_info": all_ref_doc_info,
    "vs.add": lambda c, r: c.vectors(r).add(nodes(r)),
    "vs.delete": lambda c, r: c.vectors(r).delete(r["ref_doc_id"]),
    "vs.delete_nodes": lambda c, r: c.vectors(r).delete_nodes(r["node_ids"], filters(r.get("filters"))),
    "vs.clear": lambda c, r: c.vectors(r).clear(),
    "vs.get": lambda c, r: c.vectors(r).get(r["id"]),
    "vs.query": vector_query,
    "vs.search": search,
    "filters.pass": passes,
    "graph.upsert_triplet": lambda c, r: c.stores.graph_store.upsert_triplet(*r["triplet"]),
    "graph.delete": lambda c, r: c.stores.graph_store.delete(*r["triplet"]),
    "graph.get": lambda c, r: c.stores.graph_store.get(r["subj"]),
    "graph.rel_map": lambda c, r: c.stores.graph_store.get_rel_map(r["subjs"], r["depth"], r["limit"]),
    "pg.upsert_entity": lambda c, r: c.graph.upsert_nodes([EntityNode(**r["node"])]),
    "pg.upsert_chunk": lambda c, r: c.graph.upsert_nodes([ChunkNode(**r["node"])]),
    "pg.upsert_relation": lambda c, r: c.graph.upsert_relations([Relation(**r["relation"])]),
    "pg.upsert_llama_nodes": lambda c, r: c.graph.upsert_llama_nodes(nodes(r)),
    "pg.delete": lambda c, r: c.graph.delete(**selection(r)),
    "pg.get": lambda c, r: [node_told(node) for node in c.graph.get(**selection(r))],
    "pg.get_triplets": lambda c, r: triplets_told(c.graph.get_triplets(**selection(r))),
    "pg.get_rel_map": graph_rel_map,
    "pg.get_llama_nodes": lambda c, r: [describe(node) for node in c.graph.get_llama_nodes(r["ids"])],
    "index.add": lambda c, r: c.stores.index_store.add_index_struct(index_struct(r)),
    "index.delete": lambda c, r: c.stores.index_store.delete_index_struct(r["id"]),
    "index.ids": index_structs,
    "index.get": get_index_struct,
    "indexes.build": build,
    "indexes.insert": lambda c, r: load(c, r).insert(document(r["document"])),
    "indexes.insert_nodes": lambda c, r: load(c, r).insert_nodes(nodes(r)),
    "indexes.update": lambda c, r: load(c, r).update_ref_doc(document(r["document"])),
    "indexes.refresh": lambda c, r: load(c, r).refresh_ref_docs(documents(r)),
    "indexes.delete_nodes": delete_nodes,
    "indexes.delete_document": delete_document,
    "indexes.rename": lambda c, r: load(c, r).set_index_id(r["to"]),
    "indexes.summarize": summarize,
    "indexes.all": load_all,
    "indexes.summary": lambda c, r: load(c, r).summary,
    "indexes.documents": documents_of,
    "indexes.retrieve": retrieve,
    "chat.add": lambda c, r: c.chats.add_message(r["key"], ChatMessage(**r["message"]), r["index"]),
    "chat.set": set_messages,
    "chat.delete": lambda c, r: messages_told(c.chats.delete_messages(r["key"])),
    "chat.delete_message": lambda c, r: one_message(c.chats.delete_message(r["key"], r["index"])),
    "chat.delete_last": lambda c, r: one_message(c.chats.delete_last_message(r["key"])),
    "chat.keys": lambda c, r: c.chats.get_keys(),
    "chat.get": lambda c, r: messages_told(c.chats.get_messages(r["key"])),
}


class Driver:
    """The contexts that are open, by name."""

    def __init__(self) -> None:
        self.contexts: dict[str, Context] = {}

    def run(self, ctx: str, requests: list[Json]) -> list[Json]:
        context = self.contexts[ctx]
        return [attempt(lambda: OPERATIONS[request["op"]](context, request)) for request in requests]

    def answer(self, request: Json) -> Json:
        match request["do"]:
            case "hello":
                return {"python": sys.version.split()[0], "llama-index-core": metadata.version("llama-index-core")}
            case "open":
                self.contexts[request["ctx"]] = Context.open(request["dir"], file_system(request))
            case "begin":
                self.contexts[request["ctx"]] = Context.begin(request["property_graph"])
            case "apply":
                return self.run(request["ctx"], request["ops"])
            case "ask":
                return self.run(request["ctx"], request["questions"])
            case "persist":
                self.contexts[request["ctx"]].persist(request["dir"], file_system(request))
            case "replace":
                replace(request)
            case "split":
                return [attempt(lambda: split(one)) for one in request["requests"]]
            case "forget":
                self.contexts.clear()
            case unknown:
                raise ValueError(f"unknown request {unknown!r}")


def main() -> None:
    driver = Driver()
    for line in sys.stdin.buffer:
        answer = attempt(lambda: driver.answer(json.loads(line)))
        # What cannot be told as JSON is an answer too.
        told = attempt(lambda: json.dumps(answer, default=list))
        ANSWERS.write(told.get("ok") or json.dumps(told))
        ANSWERS.write("\n")
        ANSWERS.flush()


if __name__ == "__main__":
    main()
