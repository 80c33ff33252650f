//! Models behind HTTP, against a server that fails in every way.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use indices::{
    Embedder, Llm, ModelError, OpenAi, OpenAiError, QueryEngineExt, ResponseMode, ServedModel, SummaryIndex,
    VectorStoreIndex, load_index_from_storage,
};
use raw_json::{RawJson, Value};
use rustls_platform_verifier::Verifier;
use schema::Node;
use storage_context::StorageContext;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use tracing::field::{Field, Visit};

use crate::server::{End, Reply, Request, Server};
use crate::with_causes;

const KEY: &str = "sk-llama-4711";

fn service(url: &str) -> OpenAi {
    OpenAi::new(url).api_key(KEY).first_wait(Duration::from_millis(1))
}

fn texts(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("text {n}")).collect()
}

fn parsed(request: &Request) -> Value {
    request.body.parse::<RawJson>().unwrap().value()
}

/// Embeds each text as its length and 1, in the wrong order.
fn embeddings(request: &Request) -> Reply {
    let request = parsed(request);
    let input = request.get("input").and_then(Value::as_array).unwrap();
    let items = input.iter().enumerate().rev().map(|(at, text)| {
        format!(r#"{{"object": "embedding", "index": {at}, "embedding": [{}, 1]}}"#, text.as_str().unwrap().len())
    });
    Reply::json(format!(r#"{{"object": "list", "data": [{}]}}"#, items.collect::<Vec<_>>().join(", ")))
}

/// The error of the service, at `URL` instead of where this server was. No form of it shows the key.
fn openai_error(error: &ModelError, server: &Server) -> OpenAiError {
    let (shown, debug) = (with_causes(&**error), format!("{error:?}"));
    assert!(!shown.contains(KEY) && !debug.contains(KEY), "{shown} {debug}");
    let mut error = error.downcast_ref::<OpenAiError>().unwrap_or_else(|| panic!("{debug}")).clone();
    match &mut error {
        OpenAiError::Connection { service, .. }
        | OpenAiError::Timeout { service, .. }
        | OpenAiError::Status { service, .. }
        | OpenAiError::Answer { service, .. } => service.url = service.url.replace(&server.url, "URL"),
        other => panic!("{other:?}"),
    }
    error
}

/// How often the server is asked before this is returned.
fn attempts(error: &OpenAiError) -> usize {
    match error {
        OpenAiError::Connection { attempts, .. }
        | OpenAiError::Timeout { attempts, .. }
        | OpenAiError::Status { attempts, .. } => *attempts as usize,
        _ => 1,
    }
}

fn tiny() -> ServedModel {
    ServedModel { model: "tiny".into(), url: "URL/embeddings".into() }
}

fn status(status: u16, message: &str, attempts: u32) -> OpenAiError {
    OpenAiError::Status { service: tiny(), status, message: message.into(), attempts }
}

/// Checks that the connection failed for this reason. What the HTTP library was doing comes before it.
#[track_caller]
fn check_connection(error: &OpenAiError, expected: &ServedModel, cause: &str, expected_attempts: u32) {
    let OpenAiError::Connection { service, problem, attempts } = error else { panic!("{error:?}") };
    assert_eq!((service, *attempts), (expected, expected_attempts), "{error:?}");
    assert!(problem.ends_with(cause), "{error:?}");
}

/// What the system says of a connection that was reset.
fn reset() -> String {
    let code = if cfg!(windows) {
        10_054
    } else if cfg!(target_os = "linux") {
        104
    } else {
        54
    };
    std::io::Error::from_raw_os_error(code).to_string()
}

fn unusable(problem: &str) -> OpenAiError {
    OpenAiError::Answer { service: tiny(), status: 200, problem: problem.into(), excerpt: String::new() }
}

/// Embeds two texts with a server that does this. Returns the error, which says how often the server was asked.
async fn fails(replies: Vec<Reply>) -> OpenAiError {
    let server = Server::with(replies).await;
    let error = service(&server.url).embedder("tiny").unwrap().embed_texts(&texts(2)).await.unwrap_err();
    let error = openai_error(&error, &server);
    assert_eq!(server.requests().len(), attempts(&error), "{error:?}");
    error
}

async fn check(replies: Vec<Reply>, expected: OpenAiError, message: &str) {
    let found = fails(replies.clone()).await;
    assert_eq!(found, expected, "{replies:?}");
    assert_eq!(found.to_string(), message, "{replies:?}");
}

#[tokio::test]
async fn texts_are_embedded_in_batches_and_in_order() {
    let server = Server::gathering(3, |_, request| embeddings(request)).await;
    let embedder = service(&server.url).concurrency(3).embedder("tiny").unwrap().with_batches(10, 1 << 20);
    let texts: Vec<String> = (0..95).map(|n| "x".repeat(n)).collect();
    let embedded = embedder.embed_texts(&texts).await.unwrap();
    assert!(embedded.iter().enumerate().all(|(n, embedding)| *embedding == [n as f64, 1.0]), "{embedded:?}");
    assert_eq!(server.requests().len(), 10);
    assert_eq!(server.most_at_a_time(), 3);
    assert!(embedder.embed_texts(&[]).await.unwrap().is_empty());
    assert_eq!(embedder.embed_query("four").await.unwrap(), [4.0, 1.0]);
}

#[tokio::test]
async fn clones_share_the_bound_of_requests() {
    let server = Server::gathering(2, |_, request| embeddings(request)).await;
    let embedder = service(&server.url).concurrency(2).embedder("tiny").unwrap().with_batches(1, 1);
    let both = [embedder.clone(), embedder]
        .map(|embedder| tokio::spawn(async move { embedder.embed_texts(&texts(8)).await.unwrap() }));
    for one in both {
        assert_eq!(one.await.unwrap().len(), 8);
    }
    assert_eq!(server.most_at_a_time(), 2);
}

#[tokio::test]
async fn requests_say_what_is_wanted() {
    let answer = r#"{"data": [{"index": 0, "embedding": "AACAPwAAAEA="}]}"#;
    let server = Server::with(vec![Reply::json(answer)]).await;
    let service = service(&format!("{}/?api-version=2024-10-21", server.url)).header("x-team", "storekeepers");
    let embedder = service.embedder("tiny").unwrap().with_dimensions(2).with_base64();
    assert_eq!((embedder.model_name(), embedder.dimensions()), ("tiny", Some(2)));
    assert_eq!(embedder.embed_text("é \"\n").await.unwrap(), [1.0, 2.0]);
    let request = &server.requests()[0];
    assert!(request.head.starts_with("POST /v1/embeddings?api-version=2024-10-21 HTTP/1.1\r\n"), "{}", request.head);
    assert!(request.head.contains(&format!("authorization: Bearer {KEY}")), "{}", request.head);
    assert!(request.head.contains("x-team: storekeepers"), "{}", request.head);
    let body = r#"{"model": "tiny", "input": ["é \"\n"], "dimensions": 2, "encoding_format": "base64"}"#;
    assert_eq!(parsed(request), body.parse::<RawJson>().unwrap().value());
}

#[tokio::test]
async fn what_passes_is_tried_again_and_again_in_bounds() {
    let at = "the model 'tiny' at URL/embeddings";
    let busy = Reply::Answer(503, "", String::new());
    check(vec![busy], status(503, "nothing", 4), &format!("{at} answered 503 after 4 attempts: nothing")).await;
    let limited = Reply::Answer(429, "retry-after: 0\r\n", r#"{"error": {"message": "slow down"}}"#.to_owned());
    let advice = "; take fewer requests at a time, or check the quota";
    let message = format!("{at} answered 429 after 4 attempts: slow down{advice}");
    check(vec![limited], status(429, "slow down", 4), &message).await;
    let truncated = Reply::Truncated(r#"{"data": ["#.to_owned());
    let cut_off = "end of file before message length reached".to_owned();
    for (broken, cause) in [(Reply::Reset, reset()), (truncated, cut_off)] {
        let error = fails(vec![broken]).await;
        check_connection(&error, &tiny(), &cause, 4);
        assert!(error.to_string().starts_with(&format!("{at} cannot be reached after 4 attempts: ")), "{error}");
    }
}

#[tokio::test]
async fn what_passes_does_no_harm() {
    let bad = [Reply::Reset, Reply::Truncated("{".to_owned()), Reply::Answer(500, "", "<h1>Oops</h1>".to_owned())];
    let server = Server::new(move |n, request| bad.get(n).cloned().unwrap_or_else(|| embeddings(request))).await;
    let embedded = service(&server.url).embedder("tiny").unwrap().embed_texts(&texts(2)).await.unwrap();
    assert_eq!(embedded, [[6.0, 1.0], [6.0, 1.0]]);
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn what_lasts_is_asked_once() {
    let at = "the model 'tiny' at URL/embeddings";
    let echo = format!(r#"{{"error": {{"message": "Incorrect API key provided: {KEY}."}}}}"#);
    let hidden = "Incorrect API key provided: [hidden].";
    let message = format!("{at} answered 401: {hidden}; check the key");
    check(vec![Reply::Answer(401, "", echo)], status(401, hidden, 1), &message).await;
    let spent = r#"{"error": {"message": "quota", "type": "insufficient_quota", "code": "insufficient_quota"}}"#;
    let message = format!("{at} answered 429: quota; take fewer requests at a time, or check the quota");
    check(vec![Reply::Answer(429, "", spent.to_owned())], status(429, "quota", 1), &message).await;
    let page = format!("<html>\n <body>Not found: Bearer {KEY}</body>\n</html>{}", "x".repeat(100_000));
    let error = fails(vec![Reply::Answer(404, "", page.clone())]).await;
    let OpenAiError::Status { status: 404, message, attempts: 1, .. } = &error else { panic!("{error:?}") };
    assert!(message.starts_with("<html> <body>Not found: Bearer [hidden]</body> </html>xxx"), "{message}");
    assert!(error.to_string().starts_with(&format!("{at} answered 404: {}", &message[..60])), "{error}");
    assert!(error.to_string().len() < 600, "{error}");
    let error = fails(vec![Reply::json(page)]).await;
    let OpenAiError::Answer { status: 200, problem, excerpt, .. } = &error else { panic!("{error:?}") };
    assert_eq!(problem, "it is no JSON: expected a value at line 1 column 1 (byte 0)");
    assert!(excerpt.starts_with("<html> <body>Not found: Bearer [hidden]</body>"), "{excerpt}");
    let unfit = format!("{at} answered 200 with something unusable: ");
    assert_eq!(error.to_string(), format!("{unfit}{problem}; it begins: {excerpt}"));
    assert!(error.to_string().len() < 600, "{error}");
    let moved = Reply::Answer(307, "location: /v2/embeddings\r\n", String::new());
    let message = format!("{at} answered 307: nothing; give the URL that it redirects to");
    check(vec![moved], status(307, "nothing", 1), &message).await;
    let check_unusable = async |body: &str, problem: &str| {
        check(vec![Reply::json(body)], unusable(problem), &format!("{unfit}{problem}")).await;
    };
    check_unusable(r#"{"error": "no such model"}"#, "no such model").await;
    let data = |embeddings: &str| format!(r#"{{"data": [{embeddings}]}}"#);
    let one = r#"{"index": 0, "embedding": [1, 2]}"#;
    check_unusable(&data(one), "it has 1 embeddings for 2 texts").await;
    check_unusable(&data(&format!("{one}, {one}")), "it has two embeddings with the index 0").await;
    let second = |embedding: &str| data(&format!(r#"{one}, {{"index": 1, "embedding": {embedding}}}"#));
    check_unusable(&second("[1]"), "embedding 1 has 1 numbers instead of 2").await;
    check_unusable(&second("[1, null]"), "embedding 1 has null as number 1").await;
    check_unusable(&second("[NaN, 1]"), "embedding 1 has NaN as number 0").await;
}

#[tokio::test]
async fn batches_of_other_lengths_are_refused() {
    let reply = |n: usize| Reply::json(format!(r#"{{"data": [{{"embedding": {}}}]}}"#, ["[1]", "[1, 2]"][n.min(1)]));
    let server = Server::new(move |n, _| reply(n)).await;
    let embedder = service(&server.url).concurrency(1).embedder("tiny").unwrap().with_batches(1, 1);
    let error = embedder.embed_texts(&texts(2)).await.unwrap_err();
    assert_eq!(openai_error(&error, &server), unusable("embedding 1 has 2 numbers instead of 1"));
    let error = embedder.with_dimensions(3).embed_texts(&texts(2)).await.unwrap_err();
    assert_eq!(openai_error(&error, &server), unusable("embedding 0 has 2 numbers instead of 3"));
}

#[tokio::test]
async fn servers_are_waited_for_as_long_as_they_ask_within_bounds() {
    let server = Server::new(|n, request| match n {
        0 => Reply::Answer(429, "retry-after-ms: 200\r\n", String::new()),
        _ => embeddings(request),
    })
    .await;
    let start = Instant::now();
    service(&server.url).embedder("tiny").unwrap().embed_texts(&texts(1)).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    assert_eq!(server.requests().len(), 2);

    let asks_for_an_hour = Reply::Answer(503, "retry-after: 3600\r\n", String::new());
    // Only so that waiting for an hour fails earlier than that.
    let error = timeout(Duration::from_secs(60), fails(vec![asks_for_an_hour])).await.unwrap();
    assert_eq!(error, status(503, "nothing", 1));
}

#[tokio::test]
async fn silence_ends_in_time() {
    let server = Server::with(vec![Reply::Silence]).await;
    let service = service(&server.url).timeout(Duration::from_millis(500)).max_retries(1);
    let error = service.embedder("tiny").unwrap().embed_texts(&texts(1)).await.unwrap_err();
    let error = openai_error(&error, &server);
    assert_eq!(error, OpenAiError::Timeout { service: tiny(), what: "no answer", seconds: 0.5, attempts: 2 });
    let end = "gave no answer within 0.5 s after 2 attempts; is it overloaded, or the time too short?";
    assert!(error.to_string().ends_with(end), "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn servers_that_are_not_there_are_named() {
    // The port is taken, so that no other test gets it, and nobody listens there.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let refusal = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refusal.kind(), std::io::ErrorKind::ConnectionRefused);
    let embedder = service(&format!("http://me:hunter22@{address}/v1")).max_retries(0).embedder("tiny").unwrap();
    let error = embedder.embed_texts(&texts(1)).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter22"), "{error:?}");
    let service = ServedModel { model: "tiny".into(), url: format!("http://{address}/v1/embeddings") };
    check_connection(error.downcast_ref().unwrap(), &service, &refusal.to_string(), 1);
}

/// A server that does not speak TLS is no reason to fail in any other way.
#[tokio::test]
async fn servers_without_tls_are_named() {
    let silent = Server::with(vec![Reply::json("{}")]).await;
    let answering = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/v1", answering.local_addr().unwrap());
    let answer = tokio::spawn(async move {
        let (mut stream, _) = answering.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let embedder = |url: &str| service(url).max_retries(0).timeout(Duration::from_secs(1)).embedder("tiny");
    // Without certificates that the system trusts no TLS can be set up at all.
    if let Err(no_certificates) = Verifier::new(Arc::new(rustls::crypto::ring::default_provider())) {
        assert_eq!(embedder(&url).unwrap_err(), OpenAiError::Tls { problem: no_certificates.to_string() });
        return;
    }
    let error = embedder(&url).unwrap().embed_texts(&texts(1)).await.unwrap_err();
    answer.await.unwrap();
    let service = ServedModel { model: "tiny".into(), url: format!("{url}/embeddings") };
    check_connection(error.downcast_ref().unwrap(), &service, "corrupt message of type InvalidContentType", 1);

    // It waits for the end of a request that never comes.
    let url = silent.url.replace("http:", "https:");
    let error = embedder(&url).unwrap().embed_texts(&texts(1)).await.unwrap_err();
    let service = ServedModel { model: "tiny".into(), url: format!("{url}/embeddings") };
    let expected = OpenAiError::Timeout { service, what: "no answer", seconds: 1.0, attempts: 1 };
    assert_eq!(error.downcast_ref(), Some(&expected));
    assert_eq!(silent.requests().len(), 0);
}

#[test]
fn settings_that_cannot_work_are_refused_at_once() {
    let check = |openai: OpenAi, expected: &str| {
        let error = openai.embedder("tiny").unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(!format!("{error:?}").contains("hunter22"));
    };
    let advice = "; give one as https://api.openai.com/v1";
    check(
        OpenAi::new("ftp://me:hunter22@e.org"),
        &format!("the URL ftp://e.org/ cannot be used: it is neither http nor https{advice}"),
    );
    check(
        OpenAi::new("me:hunter22@e.org:99999"),
        &format!("the URL me:… cannot be used: it is neither http nor https{advice}"),
    );
    check(
        OpenAi::new("e.org/v1"),
        &format!("the URL that was given cannot be used: relative URL without a base{advice}"),
    );
    let unsendable = "the key cannot be sent: it has characters in it that no HTTP header may have";
    check(OpenAi::new("http://e.org").api_key("hunter22\nx"), unsendable);
    let unsendable = "the header \"a b\" cannot be sent: it has characters in it that no HTTP header may have";
    check(OpenAi::new("http://e.org").header("a b", "hunter22"), unsendable);
}

#[test]
fn a_runtime_is_asked_for() {
    let embedder = OpenAi::new("http://127.0.0.1:9").embedder("tiny").unwrap();
    let error = pollster::block_on(embedder.embed_texts(&texts(1))).unwrap_err().to_string();
    assert_eq!(error, "the model 'tiny' is asked over the network, which needs a Tokio runtime; ask it within one");
}

#[tokio::test]
async fn an_index_whose_embedding_fails_midway_is_not_there() {
    let server = Server::new(|n, request| match n {
        2 => Reply::Answer(400, "", r#"{"error": {"message": "too long"}}"#.to_owned()),
        _ => embeddings(request),
    })
    .await;
    let embedder = service(&server.url).concurrency(1).embedder("tiny").unwrap().with_batches(2, 1 << 20);
    let ctx = StorageContext::in_memory();
    let before = ctx.to_dict().unwrap();
    let documents = texts(8).into_iter().map(Node::document).collect();
    let error = VectorStoreIndex::builder(&ctx).embedder(embedder.clone()).from_documents(documents).await.unwrap_err();
    assert_eq!(error.to_string(), "the model 'tiny' failed to embed 8 texts");
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), status(400, "too long", 1).to_string().replace("URL", &server.url));
    assert_eq!(ctx.to_dict().unwrap(), before);
    assert!(load_index_from_storage(&ctx, None).await.unwrap_err().is_not_found());

    let index =
        VectorStoreIndex::builder(&ctx).embedder(embedder).from_documents(vec![Node::document("a")]).await.unwrap();
    assert!(index.verify_embedder().await.unwrap());
}

fn chunk(content: &str) -> String {
    format!("data: {{\"choices\": [{{\"delta\": {{\"content\": \"{content}\"}}, \"finish_reason\": null}}]}}\n\n")
}

const STOP: &str = "data: {\"choices\": [{\"delta\": {}, \"finish_reason\": \"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn chatty() -> ServedModel {
    ServedModel { model: "chatty".into(), url: "URL/chat/completions".into() }
}

/// The pieces of an answer, and the error at its end.
async fn streamed(reply: Reply) -> (Vec<String>, Option<OpenAiError>) {
    let idle = if matches!(reply, Reply::Events(_, End::Never)) { 1 } else { 60 };
    let server = Server::with(vec![reply]).await;
    let llm = service(&server.url).idle_timeout(Duration::from_secs(idle)).max_retries(0).llm("chatty").unwrap();
    let mut stream = match llm.stream_complete("Tell").await {
        Ok(stream) => stream,
        Err(error) => return (Vec::new(), Some(openai_error(&error, &server))),
    };
    let (mut pieces, mut error) = (Vec::new(), None);
    while let Some(piece) = stream.next().await {
        assert!(error.is_none(), "something follows an error");
        match piece {
            Ok(piece) => pieces.push(piece),
            Err(e) => error = Some(openai_error(&e, &server)),
        }
    }
    (pieces, error)
}

#[tokio::test]
async fn answers_are_streamed_however_they_are_cut() {
    let stream = format!(": hello\n\n{}{}{}{STOP}{DONE}", chunk("Llamas "), chunk("é\u{1f999} "), chunk("carry."));
    let expected = ["Llamas ", "é\u{1f999} ", "carry."].map(str::to_owned).to_vec();
    assert_eq!(streamed(Reply::events(&stream)).await, (expected.clone(), None));
    let bytes = stream.as_bytes().chunks(1).map(|byte| (0, byte.to_vec())).collect();
    assert_eq!(streamed(Reply::Events(bytes, End::Orderly)).await, (expected.clone(), None));
    let slow = stream.as_bytes().chunks(70).map(|piece| (30, piece.to_vec())).collect();
    assert_eq!(streamed(Reply::Events(slow, End::Orderly)).await, (expected.clone(), None));
    let crlf = stream.replace('\n', "\r\n");
    assert_eq!(streamed(Reply::events(&crlf)).await, (expected.clone(), None));
    // Nothing after the end counts, and the end may be told in either way.
    assert_eq!(
        streamed(Reply::Events(vec![(0, stream.clone().into_bytes())], End::Never)).await,
        (expected.clone(), None)
    );
    assert_eq!(streamed(Reply::events(stream.trim_end_matches(DONE))).await, (expected.clone(), None));
    let whole = r#"{"choices": [{"message": {"content": "All at once."}, "finish_reason": "stop"}]}"#;
    assert_eq!(streamed(Reply::json(whole)).await, (vec!["All at once.".to_owned()], None));
}

#[tokio::test]
async fn streams_that_fail_say_so_at_their_end() {
    let fails = async |reply: Reply| {
        let (pieces, error) = streamed(reply).await;
        assert_eq!(pieces, ["Llamas "], "{error:?}");
        error.unwrap()
    };
    let check = async |reply: Reply, expected: OpenAiError| assert_eq!(fails(reply).await, expected);
    let unusable = |problem: &str, excerpt: &str| {
        let (problem, excerpt) = (problem.to_owned(), excerpt.to_owned());
        OpenAiError::Answer { service: chatty(), status: 200, problem, excerpt }
    };
    let start = chunk("Llamas ");
    check(Reply::events(&start), unusable("it was cut off before the model had finished", "")).await;
    let broken = Reply::Events(vec![(0, start.clone().into_bytes())], End::Reset);
    check_connection(&fails(broken).await, &chatty(), &reset(), 1);
    let silence = Reply::Events(vec![(0, start.clone().into_bytes())], End::Never);
    let what = "no next piece of its answer";
    check(silence, OpenAiError::Timeout { service: chatty(), what, seconds: 1.0, attempts: 1 }).await;
    check(
        Reply::events(&format!("{start}data: {{\"choi\n\n{DONE}")),
        unusable("it is no JSON: string without a closing quote at line 1 column 2 (byte 1)", "{\"choi"),
    )
    .await;
    let failed = format!("{start}data: {{\"error\": {{\"message\": \"out of memory for {KEY}\"}}}}\n\n{DONE}");
    let problem = "the model failed within its answer";
    check(Reply::events(&failed), unusable(problem, "out of memory for [hidden]")).await;
    let refused = streamed(Reply::Answer(400, "", "no".to_owned())).await;
    let expected = OpenAiError::Status { service: chatty(), status: 400, message: "no".to_owned(), attempts: 1 };
    assert_eq!(refused, (Vec::new(), Some(expected)));
}

#[tokio::test]
async fn prompts_are_completed() {
    let answer = r#"{"choices": [{"message": {"role": "assistant", "content": "Maize."}, "finish_reason": "stop"}]}"#;
    let server = Server::with(vec![Reply::json(answer)]).await;
    let llm = service(&server.url).llm("chatty").unwrap().with_context_window(9_000).with_system_prompt("Be brief.");
    let llm = llm.with_field("temperature", Value::Float(0.1));
    assert_eq!(llm.complete("What do llamas carry?").await.unwrap(), "Maize.");
    assert_eq!((llm.model_name(), llm.context_window()), ("chatty", 9_000));
    let body = r#"{"temperature": 0.1, "model": "chatty", "messages": [{"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What do llamas carry?"}], "stream": false}"#;
    assert_eq!(parsed(&server.requests()[0]), body.parse::<RawJson>().unwrap().value());
    assert!(server.requests()[0].head.starts_with("POST /v1/chat/completions HTTP/1.1"));

    for (answer, problem) in [
        ("{}", "it has no list 'choices' with something in it"),
        (r#"{"choices": []}"#, "it has no list 'choices' with something in it"),
        (r#"{"choices": [{"message": {"content": null, "refusal": "no"}}]}"#, "the model refuses: no"),
        (
            r#"{"choices": [{"message": {}, "finish_reason": "length"}]}"#,
            "it has no text; the model stopped for the reason \"length\"",
        ),
    ] {
        let server = Server::with(vec![Reply::json(answer)]).await;
        let error = service(&server.url).llm("chatty").unwrap().complete("?").await.unwrap_err();
        let (problem, excerpt) = (problem.to_owned(), String::new());
        let expected = OpenAiError::Answer { service: chatty(), status: 200, problem, excerpt };
        assert_eq!(openai_error(&error, &server), expected);
    }
}

#[tokio::test]
async fn query_engines_stream_from_a_service() {
    let server =
        Server::with(vec![Reply::events(&format!("{}{}{STOP}{DONE}", chunk("Maize, "), chunk("mostly.")))]).await;
    let ctx = StorageContext::in_memory();
    let index = SummaryIndex::builder(&ctx).from_documents(vec![Node::document("Llamas carry maize.")]).await.unwrap();
    let engine =
        index.as_query_engine().response_mode(ResponseMode::Compact).llm(service(&server.url).llm("chatty").unwrap());
    let mut answer = engine.query_stream("What do llamas carry?").await.unwrap();
    assert_eq!(answer.next().await.unwrap().unwrap(), "Maize, ");
    assert_eq!(answer.into_response().await.unwrap().response, "mostly.");
    assert!(server.requests()[0].body.contains("Llamas carry maize."));
}

/// Keeps all that is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        span.record(&mut Fields(&mut self.0.lock().unwrap()));
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut Fields(&mut self.0.lock().unwrap()));
    }
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Fields(&mut self.0.lock().unwrap()));
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn keys_are_in_no_log_and_no_debug() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let echo = format!("no: {KEY} hunter22 abc-secret bWU6aHVudGVyMjI=");
    let server = Server::with(vec![Reply::Answer(500, "", echo)]).await;
    let url = format!("{}?code=abc-secret", server.url.replace("http://", "http://me:hunter22@"));
    let openai = OpenAi::new(url).api_key(KEY).first_wait(Duration::from_millis(1)).max_retries(1);
    let openai = openai.header("x-other", "other-secret");
    let (embedder, llm) = (openai.embedder("tiny").unwrap(), openai.llm("chatty").unwrap());
    let errors = [embedder.embed_texts(&texts(1)).await.unwrap_err(), llm.complete("?").await.unwrap_err()];
    let log = log.0.lock().unwrap().clone();
    assert!(log.contains("trying again") && log.contains("answered 500"), "{log}");
    let all = format!("{log} {openai:?} {embedder:?} {llm:?} {errors:?} {} {}", errors[0], errors[1]);
    for secret in [KEY, "hunter22", "abc-secret", "other-secret", "bWU6aHVudGVyMjI="] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
    assert!(server.requests()[0].head.contains("?code=abc-secret"));
}
