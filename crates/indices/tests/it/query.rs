//! Answers made of what was found.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, repeat_with};
use indices::{
    DocumentSummaryIndex, EmptyIndex, Error, KeywordTableIndex, Llm, ModelError, NodeWithScore, QueryBundle,
    QueryEngine, QueryEngineExt, Response, ResponseMode, ResponseSynthesizer, RetrieverQueryEngine, StreamingResponse,
    SummaryIndex, TreeIndex, VectorStoreIndex, load_index_from_storage,
};
use pollster::block_on;
use schema::Node;
use storage_context::StorageContext;

use crate::models::{TestEmbedder, TestLlm};

const MODES: [ResponseMode; 5] = [
    ResponseMode::Extractive,
    ResponseMode::NoText,
    ResponseMode::Compact,
    ResponseMode::Refine,
    ResponseMode::TreeSummarize,
];

/// Those that ask a model.
const ASKING: [ResponseMode; 3] = [ResponseMode::Compact, ResponseMode::Refine, ResponseMode::TreeSummarize];

fn found(texts: &[&str]) -> Vec<NodeWithScore> {
    texts.iter().map(|text| NodeWithScore { node: Node::text(*text).with_metadata("from", "d"), score: None }).collect()
}

/// Three texts that do not fit one prompt of 400 bytes.
fn long() -> Vec<NodeWithScore> {
    found(&[&"maize ".repeat(30), &"cords ".repeat(30), &"wool ".repeat(40)])
}

fn synthesize(mode: ResponseMode, llm: &TestLlm, nodes: Vec<NodeWithScore>) -> Result<Response, Error> {
    block_on(ResponseSynthesizer::new(mode).llm(Arc::new(llm.clone())).synthesize("What is stored?", nodes))
}

fn stream(mode: ResponseMode, llm: &TestLlm, nodes: Vec<NodeWithScore>) -> Result<StreamingResponse, Error> {
    block_on(ResponseSynthesizer::new(mode).llm(llm.clone()).synthesize_stream("What is stored?", nodes))
}

fn count(prompts: &[String], what: &str) -> usize {
    prompts.iter().map(|prompt| prompt.matches(what).count()).sum()
}

#[test]
fn an_index_answers_by_quoting_and_needs_no_model() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let documents = || {
            vec![
                Node::document("The colca is a storehouse. The wind keeps it cold.").with_id("a"),
                Node::document("Llamas carry maize.").with_id("b").with_metadata("title", "colca"),
            ]
        };
        let embedder = TestEmbedder::new("m", 64);
        let v = VectorStoreIndex::builder(&ctx).id("v").embedder(embedder).from_documents(documents()).await.unwrap();
        let s = SummaryIndex::builder(&ctx).id("s").from_documents(documents()).await.unwrap();
        let k = KeywordTableIndex::builder(&ctx).id("k").from_documents(documents()).await.unwrap();
        let t = TreeIndex::builder(&ctx).id("t").from_documents(documents()).await.unwrap();
        let t = t.with_embedder(TestEmbedder::new("m", 64));
        for engine in [v.as_query_engine(), s.as_query_engine(), k.as_query_engine(), t.as_query_engine()] {
            let answer = engine.query("What is a colca?").await.unwrap();
            assert_eq!(answer.to_string(), "The colca is a storehouse.", "{engine:?}");
            assert_eq!(engine.query_stream("What is a colca?").await.unwrap().into_response().await.unwrap(), answer);
            assert!(!answer.source_nodes.is_empty());
        }
        let answer = load_index_from_storage(&ctx, Some("s")).await.unwrap().as_query_engine();
        let answer = answer.response_mode(ResponseMode::NoText).query("What is a colca?").await.unwrap();
        assert_eq!((answer.response.as_str(), answer.source_nodes.len()), ("", 2));
    });
}

#[test]
fn what_finds_nothing_asks_nobody() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = EmptyIndex::builder(&ctx).from_nodes(Vec::new()).await.unwrap();
        for mode in MODES {
            let engine = index.as_query_engine().response_mode(mode);
            let nothing = Response { response: "Empty Response".to_owned(), source_nodes: Vec::new() };
            assert_eq!(engine.query("x").await.unwrap(), nothing, "{mode:?}");
            assert_eq!(engine.query_stream("x").await.unwrap().into_response().await.unwrap(), nothing, "{mode:?}");
        }
        for mode in ASKING.into_iter().chain([ResponseMode::Extractive]) {
            let llm = TestLlm::counting();
            let blank = vec![NodeWithScore { node: Node::text(" \n"), score: None }];
            assert_eq!(synthesize(mode, &llm, blank).unwrap().response, "Empty Response", "{mode:?}");
            assert!(llm.prompts().is_empty());
        }
    });
}

#[test]
fn a_mode_that_asks_a_model_says_so() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let index = SummaryIndex::builder(&ctx).id("s").from_nodes(vec![Node::text("x")]).await.unwrap();
        let message = async |engine: RetrieverQueryEngine| {
            let refused = engine.response_mode(ResponseMode::Compact).query("x").await;
            assert!(matches!(refused, Err(Error::NoModel { .. })));
            refused.unwrap_err().to_string()
        };
        assert_eq!(
            message(index.as_query_engine()).await,
            "index 's' has no language model to answer with in the mode Compact; give it one"
        );
        assert_eq!(
            message(RetrieverQueryEngine::new(index.as_retriever())).await,
            "the query engine has no language model to answer with in the mode Compact; give it one"
        );
        let llm = TestLlm::counting();
        let engine = index.clone().with_llm(llm.clone()).as_query_engine().response_mode(ResponseMode::Refine);
        assert_eq!(engine.query("x").await.unwrap().response, "answer 0");
        let other = TestLlm::counting();
        engine.llm(other.clone()).query("x").await.unwrap();
        assert_eq!((llm.prompts().len(), other.prompts().len()), (1, 1));
    });
}

#[test]
fn refining_asks_once_for_each_text() {
    let llm = TestLlm::counting();
    let answer = synthesize(ResponseMode::Refine, &llm, found(&["maize", "cords", "wool"])).unwrap();
    assert_eq!((answer.response.as_str(), answer.source_nodes.len()), ("answer 2", 3));
    let prompts = llm.prompts();
    assert_eq!(prompts.len(), 3);
    assert!(prompts[0].contains("from: d\n\nmaize") && !prompts[0].contains("cords"));
    assert!(prompts[1].contains("cords") && prompts[1].contains("\n\nanswer 0\n\n") && !prompts[1].contains("maize"));
    assert!(prompts[2].contains("wool") && prompts[2].contains("\n\nanswer 1\n\n"));
    assert_eq!(count(&prompts, "What is stored?"), 3);
}

#[test]
fn texts_are_packed_into_few_prompts_and_none_is_lost() {
    for (mode, short, calls) in [(ResponseMode::Compact, 1, 3), (ResponseMode::TreeSummarize, 1, 4)] {
        let llm = TestLlm::counting();
        synthesize(mode, &llm, found(&["maize", "cords", "wool"])).unwrap();
        assert_eq!(llm.prompts().len(), short, "{mode:?}");
        let llm = TestLlm::counting().window(480);
        let answer = synthesize(mode, &llm, long()).unwrap();
        let prompts = llm.prompts();
        assert_eq!(prompts.len(), calls, "{mode:?}: {prompts:#?}");
        assert_eq!(answer.response, format!("answer {}", calls - 1));
        assert_eq!((count(&prompts, "maize"), count(&prompts, "cords"), count(&prompts, "wool")), (30, 30, 40));
    }
    let llm = TestLlm::counting().window(480);
    synthesize(ResponseMode::TreeSummarize, &llm, long()).unwrap();
    assert!(llm.prompts()[3].contains("answer 0\n\nanswer 1\n\nanswer 2"));
}

#[test]
fn a_text_that_is_longer_than_a_prompt_is_split() {
    for mode in ASKING {
        let llm = TestLlm::counting().window(700);
        synthesize(mode, &llm, found(&[&"maize ".repeat(5000), "wool"])).unwrap();
        let prompts = llm.prompts();
        assert_eq!((count(&prompts, "maize"), count(&prompts, "wool")), (5000, 1), "{mode:?}");
        assert!(prompts.len() > 50, "{}", prompts.len());
    }
}

#[test]
fn what_leaves_no_room_is_an_error() {
    for mode in ASKING {
        for (repeated, least) in [(60, 400), (40, 300)] {
            let long_question = "What? ".repeat(repeated);
            let answer = ResponseSynthesizer::new(mode).llm(TestLlm::counting().window(400));
            let refused = block_on(answer.synthesize(long_question, found(&["maize"]))).unwrap_err();
            assert!(matches!(&refused, Error::NoRoom { window: 400, taken, .. } if *taken > least), "{refused}");
            assert!(refused.to_string().contains("the model 'scripted' reads at once"), "{refused}");
        }
    }
    let wordy = TestLlm::new(|_, _| "maize ".repeat(80)).window(480);
    assert!(matches!(synthesize(ResponseMode::Compact, &wordy, long()), Err(Error::NoRoom { .. })));
    assert_eq!(wordy.prompts().len(), 1);
}

#[test]
fn answers_that_get_no_shorter_end_in_an_error() {
    let wordy = TestLlm::new(|_, _| "maize ".repeat(50)).window(480);
    let refused = synthesize(ResponseMode::TreeSummarize, &wordy, long()).unwrap_err();
    assert!(matches!(&refused, Error::Model { source, .. } if source.to_string().contains("no shorter")), "{refused}");
    assert_eq!(wordy.prompts().len(), 3);
}

#[test]
fn a_model_without_an_answer_changes_nothing() {
    let silent = |answers: fn(usize, &str) -> String| {
        for mode in [ResponseMode::Refine, ResponseMode::TreeSummarize] {
            let nodes = found(&["maize", "cords", "wool"]);
            let whole = synthesize(mode, &TestLlm::new(answers), nodes.clone()).unwrap();
            let pieces = stream(mode, &TestLlm::new(answers), nodes).unwrap();
            assert_eq!(block_on(pieces.into_response()).unwrap(), whole, "{mode:?}");
            if mode == ResponseMode::Refine {
                return whole.response;
            }
        }
        unreachable!()
    };
    assert_eq!(silent(|n, _| if n == 0 { "first".to_owned() } else { " \n".to_owned() }), "first");
    assert_eq!(silent(|n, _| if n == 1 { "second".to_owned() } else { String::new() }), "second");
    assert_eq!(silent(|_, _| String::new()), "Empty Response");
    let llm = TestLlm::new(|_, _| " ".to_owned()).window(480);
    assert_eq!(synthesize(ResponseMode::TreeSummarize, &llm, long()).unwrap().response, "Empty Response");
    assert_eq!(llm.prompts().len(), 3);
}

#[test]
fn only_the_last_answer_is_streamed_and_it_is_the_same() {
    for mode in ASKING {
        let (whole, pieces) = (TestLlm::counting().window(480), TestLlm::counting().window(480));
        let expected = synthesize(mode, &whole, long()).unwrap();
        let mut response = stream(mode, &pieces, long()).unwrap();
        assert_eq!(response.source_nodes.len(), 3);
        let mut told = Vec::new();
        while let Some(piece) = block_on(response.next()) {
            told.push(piece.unwrap());
        }
        assert_eq!(told.concat().trim(), expected.response);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(block_on(response.next()).is_none(), "it may be asked again");
        assert_eq!(pieces.prompts(), whole.prompts());
        assert_eq!((whole.streamed(), pieces.streamed()), (0, 1), "{mode:?}");
        let as_stream = stream(mode, &TestLlm::counting().window(480), long()).unwrap();
        assert_eq!(block_on(as_stream.count()), 3);
    }
}

#[test]
fn a_model_that_fails_at_any_call_is_an_error() {
    for mode in ASKING {
        for n in 0.. {
            let llm = || TestLlm::counting().window(480).failing_at(n);
            let (whole, pieces) = (llm(), llm());
            let failed = synthesize(mode, &whole, long());
            let mut told = String::new();
            let streamed = match stream(mode, &pieces, long()) {
                Err(e) => Err(e),
                Ok(mut response) => loop {
                    match block_on(response.next()) {
                        Some(Ok(piece)) => told.push_str(&piece),
                        Some(Err(e)) => {
                            for _ in 0..2 {
                                assert!(block_on(response.next()).is_none(), "an error is the last piece");
                            }
                            break Err(e);
                        }
                        None => break Ok(()),
                    }
                },
            };
            let calls = if mode == ResponseMode::TreeSummarize { 4 } else { 3 };
            if n == calls {
                assert!(failed.is_ok() && streamed.is_ok());
                break;
            }
            for error in [failed.unwrap_err(), streamed.unwrap_err()] {
                assert_eq!(error.to_string(), "the model 'scripted' failed to answer", "{mode:?} call {n}");
                let cause = std::error::Error::source(&error).unwrap().to_string();
                assert_eq!(cause, "the line is cut");
            }
            assert_eq!((whole.prompts().len(), pieces.prompts().len()), (n + 1, n + 1), "{mode:?}");
            assert!(!told.contains("cut"));
        }
    }
}

/// Talks on for ever, and counts the pieces.
#[derive(Debug, Clone, Default)]
struct Endless(Arc<AtomicUsize>);

#[async_trait]
impl Llm for Endless {
    fn model_name(&self) -> &str {
        "endless"
    }

    async fn complete(&self, _prompt: &str) -> Result<String, ModelError> {
        Err("it would take for ever".into())
    }

    async fn stream_complete(
        &self,
        _prompt: &str,
    ) -> Result<BoxStream<'static, Result<String, ModelError>>, ModelError> {
        let pieces = Arc::clone(&self.0);
        Ok(repeat_with(move || Ok(format!("{} ", pieces.fetch_add(1, Ordering::SeqCst)))).boxed())
    }
}

#[test]
fn a_model_is_not_ahead_of_who_listens() {
    let llm = Endless::default();
    let synthesizer = ResponseSynthesizer::new(ResponseMode::Compact).llm(llm.clone());
    let mut response = block_on(synthesizer.synthesize_stream("What?", found(&["maize"]))).unwrap();
    for n in 0..3 {
        assert_eq!(llm.0.load(Ordering::SeqCst), n);
        assert_eq!(block_on(response.next()).unwrap().unwrap(), format!("{n} "));
    }
}

#[test]
fn dropping_a_stream_ends_it() {
    let llm = TestLlm::counting();
    let mut response = stream(ResponseMode::Compact, &llm, found(&["maize"])).unwrap();
    assert!(block_on(response.next()).is_some());
    // The model's handles: this one, the synthesizer's in the response, and the stream's.
    let before = Arc::strong_count(&llm.streams);
    drop(response);
    assert!(Arc::strong_count(&llm.streams) < before);
    assert_eq!((Arc::strong_count(&llm.streams), llm.prompts().len()), (1, 1));
}

#[test]
fn sources_are_told_to_people() {
    let node = |id: &str, text: &str| Node::text(text).with_id(id).with_metadata("of", id);
    let found = |node| NodeWithScore { node, score: Some(0.5) };
    let source_nodes = vec![found(node("a", "  día tras día ")), found(node("b", "short"))];
    let response = Response { response: "yes".to_owned(), source_nodes };
    assert_eq!(response.get_formatted_sources(6), "> a: día t…\n\n> b: short");
    assert_eq!(response.get_formatted_sources(0), "> a: …\n\n> b: …");
    assert_eq!(Response::default().get_formatted_sources(5), "");
    let keys: Vec<String> = response.metadata().keys().map(ToString::to_string).collect();
    assert_eq!(keys, ["a", "b"]);
}

#[test]
fn long_documents_are_summarized_whole() {
    block_on(async {
        let ctx = StorageContext::in_memory();
        let llm = TestLlm::counting().window(700);
        let builder = DocumentSummaryIndex::builder(&ctx).llm(llm.clone()).embedder(TestEmbedder::new("m", 64));
        let nodes = vec![Node::text("maize ".repeat(500)).with_source("d"), Node::text("wool").with_source("d")];
        builder.from_nodes(nodes).await.unwrap();
        let prompts = llm.prompts();
        assert_eq!((count(&prompts, "maize"), count(&prompts, "wool")), (500, 1));
        assert!(prompts.len() > 6);
    });
}

#[test]
fn answers_may_be_made_on_any_thread() {
    fn check<T: Send>(_: &T) {}
    fn dynamic(engine: RetrieverQueryEngine) -> Box<dyn QueryEngine> {
        Box::new(engine)
    }
    let ctx = StorageContext::in_memory();
    let index = block_on(SummaryIndex::builder(&ctx).from_nodes(Vec::new())).unwrap();
    let engine = dynamic(index.as_query_engine());
    check(&engine.query("x"));
    check(&engine.query_stream(QueryBundle::from("x")));
    check(&block_on(engine.query_stream("x")).unwrap());
    check(&ResponseSynthesizer::default().synthesize("x", Vec::new()));
}
