//! Whether the comparison would notice: one value in the files or answers of a run is altered at random.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use colca::raw_json::{Dialect, RawJson, Text, Value, to_json};
use corpus::alter;
use support::Random;

use super::location::Location;
use super::python::Python;

/// Alters one value, or none.
pub(super) struct Tamper {
    random: Random,
    /// How many times files and answers pass untouched until it is done; `None` once it is, or if it never shall be.
    wait: Option<usize>,
    /// What was altered.
    pub(super) done: Option<String>,
}

impl Tamper {
    /// Leaves everything as it is.
    pub(super) fn nothing() -> Self {
        Self { random: Random::new(0), wait: None, done: None }
    }

    /// Alters what comes after so many chances.
    pub(super) fn after(wait: usize, seed: u64) -> Self {
        Self { random: Random::new(seed), wait: Some(wait), done: None }
    }

    /// One value in one of the files of a folder.
    pub(super) fn with_files(&mut self, folder: &Path) -> Result<()> {
        if !self.is_time() {
            return Ok(());
        }
        let mut paths: Vec<_> = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.is_file());
        paths.sort();
        let name = |path: &PathBuf| path.display().to_string();
        self.with_one(paths, name, |path| Ok(fs::read(path)?), |path, altered| Ok(fs::write(path, altered)?))
    }

    /// One value in one of the files of a location, which Python replaces.
    pub(super) fn with_location(&mut self, python: &mut Python, location: &Location) -> Result<()> {
        if !self.is_time() {
            return Ok(());
        }
        let replace = |name: &String, altered| location.replace(python, name, altered);
        self.with_one(location.names()?, String::clone, |name| location.read(name), replace)
    }

    /// One value in one of some files, in the order of their names.
    fn with_one<F>(
        &mut self,
        mut files: Vec<F>,
        name: impl Fn(&F) -> String,
        read: impl Fn(&F) -> Result<Vec<u8>>,
        write: impl FnOnce(&F, Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        while !files.is_empty() {
            let file = files.swap_remove(self.random.below(files.len()));
            let mut value = RawJson::parse(&Text::decode(read(&file)?)?)?.value();
            if let Some(change) = self.alter(&mut value) {
                write(&file, to_json(&value, Dialect::Ascii))?;
                self.done = Some(format!("{}: {change}", name(&file)));
                return Ok(());
            }
        }
        // Nothing here has a value, but what comes later may have.
        self.wait = Some(0);
        Ok(())
    }

    /// One value in one of the answers.
    pub(super) fn with_answers(&mut self, answers: &mut [Value]) {
        if !self.is_time() {
            return;
        }
        let mut untried: Vec<usize> = (0..answers.len()).collect();
        while !untried.is_empty() {
            let at = untried.swap_remove(self.random.below(untried.len()));
            let change = match answers[at].get("error").map(ToString::to_string) {
                // Two errors are compared by what they say went wrong.
                Some(error) => {
                    answers[at] = [("error", Value::from("the disk is full"))].into_iter().collect();
                    Some(format!("{error} made another error"))
                }
                None => self.alter(&mut answers[at]),
            };
            if let Some(change) = change {
                self.done = Some(format!("answer {at}: {change}"));
                return;
            }
        }
        self.wait = Some(0);
    }

    fn is_time(&mut self) -> bool {
        match self.wait {
            Some(0) => {
                self.wait = None;
                true
            }
            Some(n) => {
                self.wait = Some(n - 1);
                false
            }
            None => false,
        }
    }

    /// Alters a scalar somewhere in the value and returns how, if there is one that can be altered.
    fn alter(&mut self, value: &mut Value) -> Option<String> {
        let n = leaves(value).len();
        for _ in 0..n.min(10) {
            let at = self.random.below(n);
            let leaf = leaves(value).swap_remove(at);
            let before = leaf.clone();
            let change = alter(leaf, &mut self.random);
            if *leaf != before {
                return Some(change);
            }
        }
        None
    }
}

fn leaves(value: &mut Value) -> Vec<&mut Value> {
    match value {
        Value::Array(items) => items.iter_mut().flat_map(leaves).collect(),
        Value::Object(entries) => entries.values_mut().flat_map(leaves).collect(),
        leaf => vec![leaf],
    }
}
