"""LlamaIndex at work, for `cargo xtask bench`: takes a line of JSON with what to do, answers with the seconds it took."""

import gc
import json
import sys
import time

from llama_index.core import StorageContext
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery

context = None


def open_context(request):
    global context
    context = None
    gc.collect()
    start = time.perf_counter()
    context = StorageContext.from_defaults(persist_dir=request["dir"])
    return time.perf_counter() - start


def query(request):
    asked = VectorStoreQuery(query_embedding=request["embedding"], similarity_top_k=request["top_k"])
    start = time.perf_counter()
    found = context.vector_store.query(asked)
    seconds = time.perf_counter() - start
    assert len(found.ids) == request["top_k"]
    return seconds


def get_nodes(request):
    start = time.perf_counter()
    nodes = context.docstore.get_nodes(request["ids"])
    seconds = time.perf_counter() - start
    assert len(nodes) == len(request["ids"])
    return seconds


def persist_one_changed(request):
    node = TextNode(id_=request["id"], text=request["text"])
    node.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=request["document"])
    context.docstore.add_documents([node])
    start = time.perf_counter()
    context.persist(persist_dir=request["dir"])
    return time.perf_counter() - start


def bucket(request):
    import s3fs

    return s3fs.S3FileSystem(
        key=request["key"],
        secret=request["secret"],
        client_kwargs={"endpoint_url": request["endpoint"], "region_name": "us-east-1"},
    )


def persist_to_s3(request):
    global context
    context = StorageContext.from_defaults(persist_dir=request["from"])
    fs = bucket(request)
    start = time.perf_counter()
    context.persist(persist_dir=request["dir"], fs=fs)
    return time.perf_counter() - start


def open_from_s3(request):
    global context
    context = None
    gc.collect()
    fs = bucket(request)
    start = time.perf_counter()
    context = StorageContext.from_defaults(persist_dir=request["dir"], fs=fs)
    return time.perf_counter() - start


WORK = {
    "open": open_context,
    "query": query,
    "get_nodes": get_nodes,
    "persist_one_changed": persist_one_changed,
    "persist_to_s3": persist_to_s3,
    "open_from_s3": open_from_s3,
}

for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = {"seconds": WORK[request["do"]](request)}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
