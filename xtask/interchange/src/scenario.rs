//! One plan, carried out by LlamaIndex and by us on each other's files.
//!
//! ```text
//!   LlamaIndex: first --- persist "theirs" --- then --- persist "theirs, theirs"
//!                                \
//!   ours:                         open --- then --- persist "theirs, ours"
//!
//!   ours:       first --- persist "ours" ----- then --- persist "ours, ours"
//!                                \
//!   LlamaIndex:                   open --- then --- persist "ours, theirs"
//! ```
//!
//! Both folders after `first` must be the same, and all four after `then`. Each of these four is opened by the other
//! side and answers the questions like LlamaIndex's own context. What was opened and not touched is persisted as it was:
//! LlamaIndex's files by us byte for byte, ours by LlamaIndex with the same values. Only ours remembers with which
//! model an index was embedded, and LlamaIndex keeps that as it is.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use colca::raw_json::{Object, PyString, Value};

use super::apply::Ours;
use super::compare::{ours, read_files, read_models, same_answers, same_bytes, same_files, theirs};
use super::existing::Existing;
use super::models;
use super::plan::Plan;
use super::python::Python;
use super::tamper::Tamper;

/// Carries out a plan in a folder. Counts the comparisons; the first difference is the error.
pub(super) fn run(python: &mut Python, plan: &Plan, folder: &Path, tamper: &mut Tamper) -> Result<usize> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    python.ask("forget", [])?;
    let folder = folder.to_owned();
    let mut scenario = Scenario { python, plan, folder, tamper, compared: 0, answers: None };
    scenario.first().context("after the first operations")?;
    scenario.then().context("after all operations")?;
    scenario.untouched().context("opened and persisted")?;
    Ok(scenario.compared)
}

struct Scenario<'a> {
    python: &'a mut Python,
    plan: &'a Plan,
    folder: PathBuf,
    tamper: &'a mut Tamper,
    compared: usize,
    /// LlamaIndex's own answers to the questions.
    answers: Option<Vec<Value>>,
}

impl Scenario<'_> {
    fn first(&mut self) -> Result<()> {
        let plan = self.plan;
        self.python.ask("begin", [("ctx", "own".into()), ("property_graph", plan.property_graph.into())])?;
        let expected = self.apply("own", &plan.first)?;
        self.persist("own", "theirs")?;
        let own = Ours::begin(plan.property_graph);
        self.agree("what ours answers to operations", &plan.first, expected, ours(own.run(&plan.first)))?;
        own.persist(&self.folder.join("ours"))?;
        self.tamper.with_files(&self.folder.join("ours"))?;
        let expected = self.files("theirs")?;
        self.same("ours", &expected)?;
        self.remembers_models("ours", &plan.first)
    }

    fn then(&mut self) -> Result<()> {
        let plan = self.plan;
        let expected = self.apply("own", &plan.then)?;
        self.persist("own", "theirs, theirs")?;
        let files = self.files("theirs, theirs")?;

        let mixed = Ours::open(&self.folder.join("theirs"))?;
        let told = ours(mixed.run(&plan.then));
        self.agree("what ours answers to operations on LlamaIndex's files", &plan.then, expected.clone(), told)?;
        mixed.persist(&self.folder.join("theirs, ours"))?;
        self.tamper.with_files(&self.folder.join("theirs, ours"))?;
        self.same("theirs, ours", &files)?;

        self.python.ask("open", [("ctx", "mixed".into()), ("dir", self.path("ours"))])?;
        let told = self.apply("mixed", &plan.then)?;
        self.agree("what LlamaIndex answers to operations on our files", &plan.then, expected.clone(), told)?;
        self.persist("mixed", "ours, theirs")?;
        self.same("ours, theirs", &files)?;
        self.keeps_models("ours", "ours, theirs")?;

        let own = Ours::begin(plan.property_graph);
        own.run(&plan.first);
        let told = ours(own.run(&plan.then));
        self.agree("what ours answers to operations", &plan.then, expected, told)?;
        own.persist(&self.folder.join("ours, ours"))?;
        self.tamper.with_files(&self.folder.join("ours, ours"))?;
        self.same("ours, ours", &files)?;
        self.remembers_models("ours, ours", plan.first.iter().chain(&plan.then))?;

        // Asked last, since reading leaves traces in LlamaIndex.
        self.answers = Some(self.ask("own")?);
        self.answered("what LlamaIndex answers after working on our files", "mixed")?;
        self.ours_answered("what ours answers after working on LlamaIndex's files", &mixed)?;
        self.ours_answered("what ours answers", &own)
    }

    /// Everything once more from the files.
    fn untouched(&mut self) -> Result<()> {
        for from in ["theirs, theirs", "ours, theirs", "theirs, ours", "ours, ours"] {
            let opened = Ours::open(&self.folder.join(from)).with_context(|| from.to_owned())?;
            let again = format!("{from}, again");
            opened.persist(&self.folder.join(&again))?;
            self.compared += same_bytes(&self.folder.join(from), &self.folder.join(again))
                .with_context(|| format!("'{from}' persisted by ours"))?;
            self.ours_answered(&format!("what ours answers from '{from}'"), &opened)?;
        }
        for from in ["theirs, ours", "ours, ours"] {
            self.python.ask("open", [("ctx", from.into()), ("dir", self.path(from))])?;
            let again = format!("{from}, by LlamaIndex");
            self.persist(from, &again)?;
            let expected = self.files(from)?;
            self.same(&again, &expected)?;
            self.keeps_models(from, &again)?;
            self.answered(&format!("what LlamaIndex answers from '{from}'"), from)?;
        }
        Ok(())
    }

    fn apply(&mut self, ctx: &str, operations: &[Value]) -> Result<Vec<Value>> {
        let told = self.python.ask("apply", [("ctx", ctx.into()), ("ops", operations.to_vec().into())])?;
        Ok(theirs(told))
    }

    fn ask(&mut self, ctx: &str) -> Result<Vec<Value>> {
        let questions = self.plan.questions.clone();
        let told = self.python.ask("ask", [("ctx", ctx.into()), ("questions", questions.into())])?;
        Ok(theirs(told))
    }

    /// LlamaIndex persists a context.
    fn persist(&mut self, ctx: &str, to: &str) -> Result<()> {
        self.python.ask("persist", [("ctx", ctx.into()), ("dir", self.path(to))])?;
        self.tamper.with_files(&self.folder.join(to))
    }

    fn path(&self, name: &str) -> Value {
        self.folder.join(name).to_string_lossy().into_owned().into()
    }

    fn files(&self, name: &str) -> Result<Object> {
        read_files(&self.folder.join(name)).with_context(|| format!("the files of '{name}'"))
    }

    fn same(&mut self, name: &str, expected: &Object) -> Result<()> {
        let actual = self.files(name)?;
        self.compared += same_files(expected, &actual).with_context(|| format!("the files of '{name}'"))?;
        let models = read_models(&self.folder.join(name))?;
        let known: Object = models.keys().map(|id| (id.clone(), models::remembered())).collect();
        self.compared += same_files(&known, &models).with_context(|| format!("the models of '{name}'"))?;
        Ok(())
    }

    /// Demands that our files tell the models of the indexes that were embedded, and of no others.
    fn remembers_models<'a>(&mut self, name: &str, done: impl IntoIterator<Item = &'a Value>) -> Result<()> {
        let existing = Existing::after(done).context("the operations are not well defined")?;
        let expected = existing.embedded().into_iter().map(|id| (PyString::from(id), models::remembered()));
        let mut found = read_models(&self.folder.join(name))?;
        found.sort_keys();
        self.compared += same_files(&expected.collect(), &found).with_context(|| format!("the models of '{name}'"))?;
        Ok(())
    }

    /// Demands that LlamaIndex has kept what our files tell of models.
    fn keeps_models(&mut self, from: &str, to: &str) -> Result<()> {
        let (expected, found) = (read_models(&self.folder.join(from))?, read_models(&self.folder.join(to))?);
        self.compared += same_files(&expected, &found).with_context(|| format!("the models of '{to}'"))?;
        Ok(())
    }

    fn answered(&mut self, what: &str, ctx: &str) -> Result<()> {
        let actual = self.ask(ctx)?;
        self.agree(what, &self.plan.questions, self.answers.clone().unwrap_or_default(), actual)
    }

    fn ours_answered(&mut self, what: &str, ctx: &Ours) -> Result<()> {
        let actual = ours(ctx.run(&self.plan.questions));
        self.agree(what, &self.plan.questions, self.answers.clone().unwrap_or_default(), actual)
    }

    fn agree(&mut self, what: &str, requests: &[Value], expected: Vec<Value>, mut actual: Vec<Value>) -> Result<()> {
        self.tamper.with_answers(&mut actual);
        self.compared += same_answers(requests, expected, actual).with_context(|| what.to_owned())?;
        Ok(())
    }
}
