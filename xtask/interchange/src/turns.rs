//! Random contexts in a bucket that LlamaIndex and ours change in turn, any number of times.
//!
//! Each turn opens what the turn before has left, changes and persists it. A context of LlamaIndex's that has never been
//! persisted goes through the same changes and says what is right: after each turn a context of ours that is opened, one
//! of ours that follows the location, and one of LlamaIndex's must all be like it.
//!
//! Through fsspec LlamaIndex opens the vector store `default` only, and never touches the files of the others. So it is
//! neither asked about those nor made to change them, and ours must find them as they were.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use colca::persist::Finding;
use colca::prelude::*;
use colca::raw_json::Object;
use colca::storage_context::Action;
use support::Random;

use super::apply::{CHAT_STORE, Ours};
use super::cast::Cast;
use super::compare::{ours, read_files, read_models, same_answers, same_files, theirs};
use super::location::{Location, block_on};
use super::models;
use super::operations::{beginnings, operation};
use super::python::Python;
use super::questions::questions;
use super::tamper::Tamper;

/// The only vector store that LlamaIndex opens through fsspec.
const DEFAULT: &str = "default";

/// How long a context that follows the location waits before it looks again.
const PAUSE: Duration = Duration::from_millis(5);

/// What is done to a context, and what is asked after each turn.
pub(super) struct Turns {
    property_graph: bool,
    turns: Vec<Turn>,
    questions: Vec<Value>,
}

/// What one side does before it persists.
struct Turn {
    by: Side,
    operations: Vec<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    LlamaIndex,
    /// With a new context.
    Opening,
    /// With the context that follows the location.
    Following,
}

impl Turns {
    /// Those of this seed.
    pub(super) fn random(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut cast = Cast::new(&mut random);
        if let Some(shelf) = &mut cast.shelf {
            // An index of images is no use to LlamaIndex without the vector store of its images.
            shelf.leave_out_images();
        }
        let n = random.between(3, 6);
        let mut turns = random.list(n, |random| {
            let by = *random.pick(&[Side::LlamaIndex, Side::LlamaIndex, Side::Opening, Side::Following]);
            let n = random.below(9);
            Turn { by, operations: random.list(n, |random| operation(random, &mut cast)) }
        });
        turns[0].operations.splice(0..0, beginnings(&cast));
        for (at, turn) in turns.iter_mut().enumerate() {
            match turn.by {
                Side::LlamaIndex if at > 0 => turn.operations.retain(is_of_default),
                Side::LlamaIndex => {}
                // A chat store is a file of its own, which a context leaves alone.
                Side::Opening | Side::Following => turn.operations.retain(|operation| !is_of_chats(operation)),
            }
        }
        Self { property_graph: cast.property_graph, questions: questions(&mut random, &cast), turns }
    }
}

/// Whether an operation or question is about nothing that LlamaIndex does not open through fsspec.
fn is_of_default(request: &Value) -> bool {
    let text = |name| request.get(name).and_then(Value::as_str);
    let is_of_all = text("op").is_some_and(|op| *op == "context.namespaces" || *op == "context.add_vector_store");
    !is_of_all && text("namespace").is_none_or(|namespace| *namespace == DEFAULT)
}

fn is_of_chats(request: &Value) -> bool {
    request.get("op").and_then(Value::as_str).is_some_and(|op| op.to_string().starts_with("chat."))
}

/// Takes the turns at a location that is empty, with a folder for copies. Counts the comparisons; the first difference is
/// the error.
pub(super) fn run(
    python: &mut Python,
    turns: &Turns,
    location: &Location,
    folder: &Path,
    tamper: &mut Tamper,
) -> Result<usize> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    python.ask("forget", [])?;
    python.ask("begin", [("ctx", "own".into()), ("property_graph", turns.property_graph.into())])?;
    let mut table = Table { python, turns, location, folder, tamper, following: None, compared: 0 };
    for (at, turn) in turns.turns.iter().enumerate() {
        table.take(turn).with_context(|| format!("turn {} of {}, {:?}", at + 1, turns.turns.len(), turn.by))?;
    }
    Ok(table.compared)
}

struct Table<'a> {
    python: &'a mut Python,
    turns: &'a Turns,
    location: &'a Location,
    folder: &'a Path,
    tamper: &'a mut Tamper,
    /// A context of ours that follows the location, once there is something.
    following: Option<StorageContext>,
    compared: usize,
}

impl Table<'_> {
    fn take(&mut self, turn: &Turn) -> Result<()> {
        let own = self.python.ask("apply", [("ctx", "own".into()), ("ops", turn.operations.clone().into())])?;
        let committed = match turn.by {
            Side::LlamaIndex => self.theirs(turn, theirs(own)).map(|()| false)?,
            Side::Opening | Side::Following => self.ours(turn, theirs(own))?,
        };
        self.tamper.with_location(self.python, self.location)?;
        self.look(committed)
    }

    /// LlamaIndex changes and persists it.
    fn theirs(&mut self, turn: &Turn, expected: Vec<Value>) -> Result<()> {
        let ctx = "there";
        match self.following {
            None => {
                let property_graph = self.turns.property_graph;
                self.python.ask("begin", [("ctx", ctx.into()), ("property_graph", property_graph.into())])?;
            }
            Some(_) => self.location.open_in_python(self.python, ctx)?,
        }
        let told = self.python.ask("apply", [("ctx", ctx.into()), ("ops", turn.operations.clone().into())])?;
        self.agree("what LlamaIndex answers to operations", &turn.operations, expected, theirs(told))?;
        match self.following.take() {
            None => {
                self.location.persist_in_python(self.python, ctx)?;
                self.following = Some(block_on(StorageContext::open(self.location.place.clone()))?);
            }
            Some(following) => {
                let following = self.follow(following).context("following LlamaIndex")?;
                self.following = Some(self.follow(following).context("following LlamaIndex, which changes nothing")?);
            }
        }
        Ok(())
    }

    /// Follows the location while LlamaIndex persists there. A change must be seen if there is one, and none otherwise.
    fn follow(&mut self, ctx: StorageContext) -> Result<StorageContext> {
        let before = self.versions()?;
        let done = AtomicBool::new(false);
        let location = self.location;
        let (followed, persisted) = thread::scope(|scope| {
            let follower = scope.spawn(|| follow_until(&done, location, ctx));
            let persisted = location.persist_in_python(self.python, "there");
            done.store(true, Ordering::SeqCst);
            (follower.join(), persisted)
        });
        persisted?;
        let (ctx, seen) = followed.map_err(|_| anyhow!("the follower has panicked"))??;
        let changed = if self.versions()? == before { "have not" } else { "have" };
        ensure!((changed == "have") == (seen > 0), "the files {changed} changed, and {seen} changes were seen");
        self.compared += 1;
        Ok(ctx)
    }

    /// The files of the context, each with its version.
    fn versions(&self) -> Result<Vec<(String, Option<String>)>> {
        let files = self.location.versions()?;
        Ok(files.into_iter().filter(|(name, _)| name != CHAT_STORE).collect())
    }

    /// Ours changes and persists it. Returns true if there was anything to write.
    fn ours(&mut self, turn: &Turn, expected: Vec<Value>) -> Result<bool> {
        let place = || self.location.place.clone();
        let own = match self.following.take() {
            None => Ours::begin(self.turns.property_graph),
            Some(_) if turn.by == Side::Opening => Ours::at(self.location, block_on(StorageContext::open(place()))?)?,
            Some(following) => Ours::at(self.location, following)?,
        };
        let told = ours(own.run(&turn.operations));
        let report = block_on(own.ctx().persist(place())).context("ours cannot persist it")?;
        self.agree("what ours answers to operations", &turn.operations, expected, told)?;
        self.following = Some(own.ctx().clone());
        Ok(report.files.iter().any(|file| file.action != Action::Unchanged))
    }

    /// Demands that everybody finds there what LlamaIndex's own context holds. `committed` is whether ours has written
    /// last.
    fn look(&mut self, committed: bool) -> Result<()> {
        let own = self.folder.join("own");
        let local = Location::folder(&own)?;
        local.persist_in_python(self.python, "own")?;
        // What is asked leaves traces in LlamaIndex.
        local.open_in_python(self.python, "asked")?;
        let expected = Expected { files: read_files(&own)?, answers: self.ask("asked", &self.turns.questions)? };

        let opened = block_on(StorageContext::open(self.location.place.clone()))?;
        self.check_report(&opened, committed, &own)?;
        self.is_like("what ours opens", &expected, &Ours::at(self.location, opened)?)?;

        let mut following = self.following.take().context("there is something to follow")?;
        if let Some(newer) = reopen_if_changed(self.location, &following)? {
            following = newer;
        }
        ensure!(reopen_if_changed(self.location, &following)?.is_none(), "a change is seen where there is none");
        self.is_like("what ours follows", &expected, &Ours::at(self.location, following.clone())?)?;
        self.following = Some(following);

        self.location.open_in_python(self.python, "found")?;
        self.is_like_in_python(&expected)
    }

    /// Demands that the report names files that LlamaIndex has written since, and nothing else.
    fn check_report(&mut self, opened: &StorageContext, committed: bool, own: &Path) -> Result<()> {
        let report = opened.open_report().context("it was opened")?;
        let is_by_python = |finding: &Finding| {
            matches!(finding, Finding::Foreign { .. } | Finding::Added { .. } | Finding::PutBack { .. })
        };
        match committed {
            true => ensure!(report.generation.is_some() && report.findings.is_empty(), "{report}"),
            false => ensure!(report.findings.iter().all(is_by_python), "{report}"),
        }
        // They are looked for where another program has written; some of LlamaIndex's operations leave them behind.
        if report.generation.is_none() || !report.findings.is_empty() {
            let local = block_on(StorageContext::open(own))?;
            let absent = |ctx: &StorageContext| {
                let absent = ctx.open_report().map(|report| report.absent_nodes.clone()).unwrap_or_default();
                absent.into_iter().map(|absent| (absent.index_id, absent.count)).collect::<Vec<_>>()
            };
            ensure!(absent(opened) == absent(&local), "{report}");
        }
        self.compared += 1;
        Ok(())
    }

    fn is_like(&mut self, what: &str, expected: &Expected, actual: &Ours) -> Result<()> {
        let questions = &self.turns.questions;
        self.agree(what, questions, expected.answers.clone(), ours(actual.run(questions)))?;
        // A context remembers where it was persisted to, so each copy has a folder of its own.
        let copy = self.folder.join(self.compared.to_string());
        actual.persist(&copy)?;
        self.same(what, &expected.files, &copy)
    }

    /// The same of what LlamaIndex has opened, as far as it opens anything through fsspec.
    fn is_like_in_python(&mut self, expected: &Expected) -> Result<()> {
        let what = "what LlamaIndex opens";
        let namespaces = self.ask("found", &[[("op", "context.namespaces")].into_iter().collect()])?;
        let only: Value = [("ok", vec![DEFAULT])].into_iter().collect();
        ensure!(namespaces == [only], "{what}: the vector stores are {namespaces:?}");
        let asked = self.turns.questions.iter().zip(&expected.answers).filter(|(question, _)| is_of_default(question));
        let (questions, answers): (Vec<Value>, Vec<Value>) = asked.map(|(q, a)| (q.clone(), a.clone())).unzip();
        let told = self.ask("found", &questions)?;
        self.agree(what, &questions, answers, told)?;
        let is_opened =
            |name: &str| name.strip_suffix("__vector_store.json").is_none_or(|namespace| namespace == DEFAULT);
        let files = expected.files.iter().filter(|(name, _)| is_opened(&name.to_string()));
        let files: Object = files.map(|(name, file)| (name.clone(), file.clone())).collect();
        let copy = self.folder.join(self.compared.to_string());
        Location::folder(&copy)?.persist_in_python(self.python, "found")?;
        self.same(what, &files, &copy)
    }

    fn same(&mut self, what: &str, expected: &Object, folder: &Path) -> Result<()> {
        self.compared += same_files(expected, &read_files(folder)?).with_context(|| format!("{what}: the files"))?;
        let models = read_models(folder)?;
        let known: Object = models.keys().map(|id| (id.clone(), models::remembered())).collect();
        self.compared += same_files(&known, &models).with_context(|| format!("{what}: the models"))?;
        Ok(())
    }

    fn ask(&mut self, ctx: &str, questions: &[Value]) -> Result<Vec<Value>> {
        let told = self.python.ask("ask", [("ctx", ctx.into()), ("questions", questions.to_vec().into())])?;
        Ok(theirs(told))
    }

    fn agree(&mut self, what: &str, requests: &[Value], expected: Vec<Value>, mut actual: Vec<Value>) -> Result<()> {
        self.tamper.with_answers(&mut actual);
        self.compared += same_answers(requests, expected, actual).with_context(|| what.to_owned())?;
        Ok(())
    }
}

/// What LlamaIndex's own context holds.
struct Expected {
    files: Object,
    answers: Vec<Value>,
}

/// Opens the context again if the location has changed. A context of ours may have copies elsewhere.
fn reopen_if_changed(location: &Location, ctx: &StorageContext) -> Result<Option<StorageContext>> {
    let options = ReopenOptions { location: Some(location.place.clone()), ..ReopenOptions::default() };
    Ok(block_on(ctx.reopen_if_changed_with(&options))?.into_changed())
}

/// Opens the context again whenever the location has changed, and once more when it is done. Returns it with the number
/// of changes.
fn follow_until(done: &AtomicBool, location: &Location, mut ctx: StorageContext) -> Result<(StorageContext, usize)> {
    let mut seen = 0;
    loop {
        let is_last = done.load(Ordering::SeqCst);
        if let Some(newer) = reopen_if_changed(location, &ctx)? {
            ctx = newer;
            seen += 1;
        }
        if is_last {
            return Ok((ctx, seen));
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama_index_is_only_made_to_change_what_it_opens() {
        let mut turns = 0;
        for turn in (0..100).flat_map(|seed| Turns::random(seed).turns.into_iter().skip(1)) {
            match turn.by {
                Side::LlamaIndex => assert!(turn.operations.iter().all(is_of_default)),
                Side::Opening | Side::Following => assert!(!turn.operations.iter().any(is_of_chats)),
            }
            turns += 1;
        }
        assert!(turns > 200, "{turns}");
    }

    #[test]
    fn what_is_about_other_vector_stores_is_told_by_its_namespace() {
        let check = |json: &str, expected| {
            assert_eq!(is_of_default(&json.parse::<RawJson>().unwrap().value()), expected, "{json}");
        };
        check(r#"{"op": "vs.clear", "namespace": "default"}"#, true);
        check(r#"{"op": "vs.clear", "namespace": "image"}"#, false);
        check(r#"{"op": "context.namespaces"}"#, false);
        check(r#"{"op": "docstore.ids"}"#, true);
    }
}
