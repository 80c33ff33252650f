//! Models behind HTTP, against a server that fails in every way.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use indices::{
    Embedder, Llm, OpenAi, OpenAiError, QueryEngineExt, ResponseMode, SummaryIndex, VectorStoreIndex,
    load_index_from_storage,
};
use raw_json::{RawJson, Value};
use schema::Node;
use storage_context::StorageContext;
use tracing::field::{Field, Visit};

use crate::server::{End, Reply, Request, Server};

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

/// The message with all its causes, and the debug form.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        write!(told, ": {cause}").unwrap();
        source = cause.source();
    }
    told
}

/// Embeds two texts with a server that does this. Returns the error and how often the server was asked.
async fn fails(replies: Vec<Reply>) -> (String, usize) {
    let server = Server::with(replies).await;
    let error = service(&server.url).embedder("tiny").unwrap().embed_texts(&texts(2)).await.unwrap_err();
    let (shown, debug) = (told(&*error), format!("{error:?}"));
    assert!(!shown.contains(KEY) && !debug.contains(KEY), "{shown} {debug}");
    assert!(error.downcast_ref::<OpenAiError>().is_some());
    (shown.replace(&server.url, "URL"), server.requests().len())
}

async fn check(replies: Vec<Reply>, expected: &str, attempts: usize) {
    let found = fails(replies.clone()).await;
    assert_eq!(found, (expected.to_owned(), attempts), "{replies:?}");
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
    let busy = Reply::Answer(503, "", String::new());
    let after = " after 4 attempts";
    let at = "the model 'tiny' at URL/embeddings";
    check(vec![busy.clone()], &format!("{at} answered 503{after}: nothing"), 4).await;
    let limited = Reply::Answer(429, "retry-after: 0\r\n", r#"{"error": {"message": "slow down"}}"#.to_owned());
    let advice = "; take fewer requests at a time, or check the quota";
    check(vec![limited], &format!("{at} answered 429{after}: slow down{advice}"), 4).await;
    for broken in [Reply::Reset, Reply::Truncated(r#"{"data": ["#.to_owned())] {
        let (error, attempts) = fails(vec![broken]).await;
        assert!(error.starts_with(&format!("{at} cannot be reached{after}: ")), "{error}");
        assert_eq!(attempts, 4);
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
    let refused = Reply::Answer(401, "", echo);
    check(vec![refused], &format!("{at} answered 401: Incorrect API key provided: [hidden].; check the key"), 1).await;
    let spent = r#"{"error": {"message": "quota", "type": "insufficient_quota", "code": "insufficient_quota"}}"#;
    let advice = "; take fewer requests at a time, or check the quota";
    check(vec![Reply::Answer(429, "", spent.to_owned())], &format!("{at} answered 429: quota{advice}"), 1).await;
    let page = format!("<html>\n <body>Not found: Bearer {KEY}</body>\n</html>{}", "x".repeat(100_000));
    let (error, attempts) = fails(vec![Reply::Answer(404, "", page.clone())]).await;
    let start = format!("{at} answered 404: <html> <body>Not found: Bearer [hidden]</body> </html>xxx");
    assert!(error.starts_with(&start) && error.len() < 600, "{error}");
    assert_eq!(attempts, 1);
    let unusable = format!("{at} answered 200 with something unusable: ");
    let (error, attempts) = fails(vec![Reply::json(page)]).await;
    let start =
        format!("{unusable}it is no JSON: expected a value at line 1 column 1 (byte 0); it begins: <html> <body>");
    assert!(error.starts_with(&start) && error.len() < 600, "{error}");
    assert_eq!(attempts, 1);
    let moved = Reply::Answer(307, "location: /v2/embeddings\r\n", String::new());
    check(vec![moved], &format!("{at} answered 307: nothing; give the URL that it redirects to"), 1).await;
    check(vec![Reply::json(r#"{"error": "no such model"}"#)], &format!("{unusable}no such model"), 1).await;
    let two = |embeddings: &str| vec![Reply::json(format!(r#"{{"data": [{embeddings}]}}"#))];
    let one = r#"{"index": 0, "embedding": [1, 2]}"#;
    check(two(one), &format!("{unusable}it has 1 embeddings for 2 texts"), 1).await;
    check(two(&format!("{one}, {one}")), &format!("{unusable}it has two embeddings with the index 0"), 1).await;
    let short = format!(r#"{one}, {{"index": 1, "embedding": [1]}}"#);
    check(two(&short), &format!("{unusable}embedding 1 has 1 numbers instead of 2"), 1).await;
    let null = format!(r#"{one}, {{"index": 1, "embedding": [1, null]}}"#);
    check(two(&null), &format!("{unusable}embedding 1 has null as number 1"), 1).await;
    let nan = format!(r#"{one}, {{"index": 1, "embedding": [NaN, 1]}}"#);
    check(two(&nan), &format!("{unusable}embedding 1 has NaN as number 0"), 1).await;
}

#[tokio::test]
async fn batches_of_other_lengths_are_refused() {
    let reply = |n: usize| Reply::json(format!(r#"{{"data": [{{"embedding": {}}}]}}"#, ["[1]", "[1, 2]"][n.min(1)]));
    let server = Server::new(move |n, _| reply(n)).await;
    let embedder = service(&server.url).concurrency(1).embedder("tiny").unwrap().with_batches(1, 1);
    let error = embedder.embed_texts(&texts(2)).await.unwrap_err().to_string();
    assert!(error.ends_with("embedding 1 has 2 numbers instead of 1"), "{error}");
    let error = embedder.with_dimensions(3).embed_texts(&texts(2)).await.unwrap_err().to_string();
    assert!(error.ends_with("embedding 0 has 2 numbers instead of 3"), "{error}");
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

    let server = Server::with(vec![Reply::Answer(503, "retry-after: 3600\r\n", String::new())]).await;
    let start = Instant::now();
    service(&server.url).embedder("tiny").unwrap().embed_texts(&texts(1)).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn silence_ends_in_time() {
    let server = Server::with(vec![Reply::Silence]).await;
    let service = service(&server.url).timeout(Duration::from_millis(100)).max_retries(1);
    let error = service.embedder("tiny").unwrap().embed_texts(&texts(1)).await.unwrap_err().to_string();
    let end = "gave no answer within 0.1 s after 2 attempts; is it overloaded, or the time too short?";
    assert!(error.ends_with(end), "{error}");
    assert!(server.requests().len() <= 2);
}

#[tokio::test]
async fn servers_that_are_not_there_are_named() {
    let url = Server::with(vec![Reply::Silence]).await.url.clone();
    tokio::task::yield_now().await;
    let url = url.replace("http://", "http://me:hunter22@");
    let error = service(&url).max_retries(0).embedder("tiny").unwrap().embed_texts(&texts(1)).await.unwrap_err();
    assert!(error.to_string().contains("cannot be reached: "), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter22"), "{error:?}");
}

/// A server that does not speak TLS is no reason to fail in any other way.
#[tokio::test]
async fn servers_without_tls_are_named() {
    let server = Server::with(vec![Reply::json("{}")]).await;
    let service = service(&server.url.replace("http:", "https:")).max_retries(0).timeout(Duration::from_secs(1));
    match service.embedder("tiny") {
        Ok(embedder) => {
            let error = embedder.embed_texts(&texts(1)).await.unwrap_err().to_string();
            assert!(error.starts_with("the model 'tiny' at https://127.0.0.1:"), "{error}");
        }
        // The system trusts no certificate.
        Err(error) => assert!(matches!(error, OpenAiError::Tls { .. }), "{error}"),
    }
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
    assert!(told(&error).starts_with("the model 'tiny' failed to embed 8 texts: "), "{}", told(&error));
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

/// The pieces of an answer, and the error at its end.
async fn streamed(reply: Reply) -> (Vec<String>, Option<String>) {
    let idle = if matches!(reply, Reply::Events(_, End::Never)) { 1 } else { 60 };
    let server = Server::with(vec![reply]).await;
    let llm = service(&server.url).idle_timeout(Duration::from_secs(idle)).max_retries(0).llm("chatty").unwrap();
    let mut stream = match llm.stream_complete("Tell").await {
        Ok(stream) => stream,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    let (mut pieces, mut error) = (Vec::new(), None);
    while let Some(piece) = stream.next().await {
        assert!(error.is_none(), "something follows an error");
        match piece {
            Ok(piece) => pieces.push(piece),
            Err(e) => error = Some(e.to_string()),
        }
    }
    assert!(!error.as_ref().is_some_and(|error| error.contains(KEY)), "{error:?}");
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
    let check = async |reply: Reply, expected: &str| {
        let (pieces, error) = streamed(reply).await;
        let error = error.unwrap();
        assert_eq!(pieces, ["Llamas "], "{error}");
        assert!(error.contains(expected), "{error}");
    };
    let start = chunk("Llamas ");
    check(Reply::events(&start), "it was cut off before the model had finished").await;
    check(Reply::Events(vec![(0, start.clone().into_bytes())], End::Reset), "cannot be reached").await;
    check(
        Reply::Events(vec![(0, start.clone().into_bytes())], End::Never),
        "gave no next piece of its answer within 1 s",
    )
    .await;
    check(Reply::events(&format!("{start}data: {{\"choi\n\n{DONE}")), "it is no JSON").await;
    let failed = format!("{start}data: {{\"error\": {{\"message\": \"out of memory for {KEY}\"}}}}\n\n{DONE}");
    check(Reply::events(&failed), "the model failed within its answer; it begins: out of memory for [hidden]").await;
    let refused = streamed(Reply::Answer(400, "", "no".to_owned())).await;
    assert!(refused.1.unwrap().contains("answered 400: no"));
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
        let error = service(&server.url).llm("chatty").unwrap().complete("?").await.unwrap_err().to_string();
        assert!(error.ends_with(problem), "{error}");
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
