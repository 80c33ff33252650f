//! An HTTP service that searches an index, and takes over what a job persists there while it runs.
//!
//! ```text
//! cargo run --release --example persist_and_load               # makes the index ./storage, the first time
//! cargo run --release --example search_service -- ./storage
//! curl 'http://127.0.0.1:8080/search?q=Who+has+the+keys&k=3'
//! curl 'http://127.0.0.1:8080/health'
//! ```
//!
//! Every second it looks whether the location has changed (`reopen_if_changed`), whoever has written it: Colca or Python.
//! If so it reads the files that have changed beside the ones in use, and then exchanges the two in one step. A request is
//! answered from one generation from its beginning to its end. The index must be embedded with `HashEmbedder`, which needs
//! no network.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use clap::Parser;
use colca::prelude::*;
use tokio::net::TcpListener;

/// Searches an index over HTTP, and follows the location that it is in.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  search_service ./storage\n  search_service ./storage --index texts --every 10\n  search_service file:///data/storage --listen 0.0.0.0:80\n\nRequests:\n  GET /search?q=TEXT&k=COUNT  the nodes nearest to a text, 5 if COUNT is not given\n  GET /health                 the generation that is served, and what kept the service from a newer one\n"
)]
struct Args {
    /// The location of the context: a folder or a URI
    location: String,
    /// The index to search; it may be left out if there is only one
    #[arg(long)]
    index: Option<String>,
    /// The address to listen at
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: String,
    /// How many seconds to wait between two looks at the location
    #[arg(long, default_value_t = 1.0)]
    every: f64,
    /// How many threads answer requests
    #[arg(long, default_value_t = 8)]
    workers: usize,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let every = Duration::try_from_secs_f64(args.every).context("--every takes a number of seconds")?;
    let workers = args.workers.max(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    runtime.block_on(async {
        let service = Service::open(&args.location, args.index.clone()).await?;
        let listener = TcpListener::bind(&args.listen).await;
        let listener = listener.with_context(|| format!("cannot listen at {}", args.listen))?;
        println!("Serving {} at http://{}", args.location, listener.local_addr()?);
        service.serve(listener, every).await
    })
}

/// What is served, and what was last in the way of something newer.
struct Service {
    location: String,
    index_id: Option<String>,
    current: RwLock<Arc<Served>>,
    problem: Mutex<Option<String>>,
}

/// One state of the location: what a request is answered from.
struct Served {
    ctx: StorageContext,
    index: Index,
    generation: Option<u64>,
    documents: usize,
}

impl Service {
    async fn open(location: &str, index_id: Option<String>) -> Result<Arc<Self>> {
        let options = OpenOptions { read_only: true, ..OpenOptions::default() };
        let ctx = StorageContext::open_with(location, &options).await?;
        let served = Served::new(ctx, index_id.as_deref()).await?;
        let (current, problem) = (RwLock::new(Arc::new(served)), Mutex::default());
        Ok(Arc::new(Self { location: location.to_owned(), index_id, current, problem }))
    }

    /// Answers requests, and follows the location beside that.
    async fn serve(self: Arc<Self>, listener: TcpListener, every: Duration) -> Result<()> {
        let following = tokio::spawn(Arc::clone(&self).follow(every));
        let router = Router::new().route("/search", get(search)).route("/health", get(health)).with_state(self);
        let served = axum::serve(listener, router).await;
        following.abort();
        Ok(served?)
    }

    /// Takes over what is new, again and again. What cannot be opened is not taken over: another program may be writing
    /// it at this moment, so that the next look finds it complete.
    async fn follow(self: Arc<Self>, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            let problem = self.follow_once().await.err().map(|error| format!("{error:#}"));
            let mut last = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
            if *last != problem {
                eprintln!("{}", problem.as_deref().unwrap_or("up to date again"));
                *last = problem;
            }
        }
    }

    async fn follow_once(&self) -> Result<()> {
        let Some(ctx) = self.current().ctx.reopen_if_changed().await? else { return Ok(()) };
        if let Some(report) = ctx.open_report().filter(|report| !report.absent_nodes.is_empty()) {
            ensure!(self.current().lacks_nodes(), "not taken over: {report}");
        }
        let served = Served::new(ctx, self.index_id.as_deref()).await?;
        if let Some(report) = served.ctx.open_report() {
            print!("{report}");
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(served);
        Ok(())
    }

    /// What is served now. Whoever has it may go on with it when something newer is there.
    fn current(&self) -> Arc<Served> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Served {
    async fn new(ctx: StorageContext, index_id: Option<&str>) -> Result<Self> {
        let index = load_index_from_storage(&ctx, index_id).await?.with_embedder(HashEmbedder::default());
        index.verify_embedder().await?;
        let generation = ctx.open_report().and_then(|report| report.generation);
        let documents = ctx.docstore().get_all_ref_doc_info().await?.len();
        Ok(Self { ctx, index, generation, documents })
    }

    /// Whether indexes name nodes that are not there, so that it makes no difference if they do in a newer state.
    fn lacks_nodes(&self) -> bool {
        self.ctx.open_report().is_some_and(|report| !report.absent_nodes.is_empty())
    }

    async fn search(&self, text: &str, count: u32) -> Result<Value> {
        let retriever = self.index.retriever(HashEmbedder::default()).top_k(count.into());
        let hits = retriever.retrieve(text).await?.into_iter().map(|NodeWithScore { node, score }| {
            let source = node.ref_doc_id().ok().flatten().cloned();
            object([
                ("id", (&node.id).into()),
                ("document", source.into()),
                ("score", score.into()),
                ("text", node.text_content().into()),
            ])
        });
        Ok(object([("generation", self.generation.into()), ("hits", Value::Array(hits.collect()))]))
    }
}

async fn search(State(service): State<Arc<Service>>, Query(query): Query<HashMap<String, String>>) -> Response {
    let Some(text) = query.get("q") else {
        return failed(StatusCode::BAD_REQUEST, "what to search is missing: /search?q=TEXT");
    };
    let Ok(count) = query.get("k").map_or(Ok(5), |count| count.parse()) else {
        return failed(StatusCode::BAD_REQUEST, "k is the number of nodes to find");
    };
    match service.current().search(text, count).await {
        Ok(found) => json(StatusCode::OK, &found),
        Err(error) => failed(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}")),
    }
}

async fn health(State(service): State<Arc<Service>>) -> Response {
    let served = service.current();
    let problem = service.problem.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let health = object([
        ("location", service.location.as_str().into()),
        ("generation", served.generation.into()),
        ("documents", (served.documents as u64).into()),
        ("problem", problem.into()),
    ]);
    json(StatusCode::OK, &health)
}

fn failed(status: StatusCode, error: &str) -> Response {
    json(status, &object([("error", error.into())]))
}

fn json(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    fields.into_iter().collect()
}
