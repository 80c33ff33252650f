use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use colca::persist::Durability;
use colca::prelude::*;
use colca::raw_json::Text;
use pollster::block_on;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::Service;

/// How often the service looks.
const EVERY: Duration = Duration::from_millis(10);

/// How many requests are made at the same time.
const READERS: usize = 8;

/// How long to wait for something.
const PATIENCE: Duration = Duration::from_secs(60);

/// A context of ours with an index of documents, one more with each generation.
struct Job {
    ctx: StorageContext,
    index: VectorStoreIndex,
    documents: usize,
}

impl Job {
    fn new() -> Self {
        let ctx = StorageContext::in_memory();
        let builder = VectorStoreIndex::builder(&ctx).id("texts").embedder(HashEmbedder::default());
        let index = block_on(builder.from_documents(Vec::new())).unwrap();
        Self { ctx, index, documents: 0 }
    }

    fn add(&mut self) {
        let n = self.documents;
        let document = Node::document(format!("Caravan {n} carries maize.")).with_id(format!("d{n}"));
        block_on(self.index.insert(document)).unwrap();
        self.documents += 1;
    }

    fn persist(&self, folder: &Path) {
        let options = PersistOptions { durability: Durability::Relaxed, ..PersistOptions::default() };
        block_on(self.ctx.persist_with(folder, &options)).unwrap();
    }
}

/// Serves a folder in the background, for as long as the process lives.
fn serve(folder: &Path) -> SocketAddr {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (service, listener) = runtime.block_on(async {
        let service = Service::open(folder.to_str().unwrap(), None).await.unwrap();
        (service, TcpListener::bind("127.0.0.1:0").await.unwrap())
    });
    let address = listener.local_addr().unwrap();
    thread::spawn(move || runtime.block_on(service.serve(listener, EVERY)));
    address
}

/// Makes a request, and returns the status and the JSON of the answer.
fn get(address: SocketAddr, path: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, RawJson::parse(&Text::from(body.to_owned())).unwrap().value())
}

fn number(value: &Value, field: &str) -> Option<usize> {
    value.get(field).unwrap().to_string().parse().ok()
}

/// Searches all documents, and returns how many there are, and the generation.
fn search_all(address: SocketAddr) -> (usize, Option<usize>) {
    let (status, found) = get(address, "/search?q=Which+caravan%3F&k=1000");
    assert_eq!(status, 200, "{found}");
    let hits = found.get("hits").unwrap().as_array().unwrap();
    for hit in hits {
        assert!(hit.get("text").unwrap().to_string().contains("carries maize"), "{hit}");
    }
    (hits.len(), number(&found, "generation"))
}

/// Searches again and again at the same time, until all documents are found. Documents never become fewer.
fn read_until(
    address: SocketAddr,
    documents: usize,
    check: impl Fn(usize, Option<usize>) + Sync,
    write: impl FnOnce(),
) {
    let read = || {
        let (start, mut seen) = (Instant::now(), 0);
        while seen < documents {
            assert!(start.elapsed() < PATIENCE, "{seen} of {documents} documents are found");
            let (found, generation) = search_all(address);
            assert!(seen <= found, "{found} documents after {seen}");
            check(found, generation);
            seen = found;
        }
    };
    thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(read);
        }
        write();
    });
}

#[test]
fn requests_beside_a_job_are_answered_from_whole_generations() {
    const GENERATIONS: usize = 30;
    let folder = TempDir::new().unwrap();
    let mut job = Job::new();
    job.add();
    job.persist(folder.path());
    let address = serve(folder.path());
    let check = |found, generation| assert_eq!(Some(found), generation);
    read_until(address, GENERATIONS, check, || {
        for _ in 1..GENERATIONS {
            job.add();
            job.persist(folder.path());
        }
    });
    let (status, health) = get(address, "/health");
    assert_eq!((status, number(&health, "generation")), (200, Some(GENERATIONS)), "{health}");
    assert_eq!(number(&health, "documents"), Some(GENERATIONS));
    assert!(health.get("problem").unwrap().is_null());
}

/// Python opens each file for writing, which empties it, and fills it, in this order.
const AS_PYTHON_WRITES: [&str; 5] =
    ["docstore.json", "index_store.json", "graph_store.json", "default__vector_store.json", "image__vector_store.json"];

#[test]
fn files_that_python_replaces_are_taken_over_once_they_are_complete() {
    let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let mut job = Job::new();
    job.add();
    job.persist(folder.path());
    fs::remove_dir_all(folder.path().join(".colca")).unwrap();
    let address = serve(folder.path());
    let check = |_, generation| assert_eq!(generation, None);
    read_until(address, 5, check, || {
        for _ in 1..5 {
            job.add();
            job.persist(elsewhere.path());
            for name in AS_PYTHON_WRITES {
                let content = fs::read(elsewhere.path().join(name)).unwrap();
                let (first, rest) = content.split_at(content.len() / 2);
                let mut file = fs::File::create(folder.path().join(name)).unwrap();
                for half in [first, rest] {
                    thread::sleep(2 * EVERY);
                    file.write_all(half).unwrap();
                }
            }
        }
    });
    // A file that stays damaged keeps the last good state.
    fs::write(folder.path().join("docstore.json"), "{").unwrap();
    let start = Instant::now();
    loop {
        let (_, health) = get(address, "/health");
        if health.get("problem").unwrap().to_string().contains("docstore.json") {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{health}");
    }
    assert_eq!(search_all(address).0, 5);
}

#[test]
fn a_wrong_request_gets_an_error() {
    let folder = TempDir::new().unwrap();
    Job::new().persist(folder.path());
    let address = serve(folder.path());
    for path in ["/search", "/search?q=caravans&k=many"] {
        let (status, answer) = get(address, path);
        assert!(status == 400 && answer.get("error").is_some(), "{answer}");
    }
    assert_eq!(search_all(address), (0, Some(1)));
}
