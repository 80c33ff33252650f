//! `cargo xtask test`: everything that must pass before a change lands, in one command, the quick checks first.

mod report;
mod steps;

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, anyhow, ensure};
use support::process::{cargo, display, probe};

use crate::counts::run_and_see;
use crate::programs::Program;
use crate::services::{Service, Services};
use report::Report;
use steps::{BUILD, STEPS, Step, warm};

/// How the command is used.
pub(crate) const EXAMPLES: &str = "\
Steps: fmt, tidy, clippy, build, tests, doctests, doc, corpus, interchange, faults, faults-s3, recall, features

Examples:
  cargo xtask test                                   all steps, as CI does
  cargo xtask test --only tests                      the tests of all packages
  cargo xtask test --only corpus,interchange         what compares with LlamaIndex";

/// What is run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only these steps, with what they need
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    only: Vec<String>,
}

/// Runs the steps in order and stops at the first that fails. The last line counts the tests.
pub(crate) fn run(options: &Options) -> ExitCode {
    let steps = match chosen(&options.only) {
        Ok(steps) => steps,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let mut report = Report::default();
    let result = Run::new(&steps, &mut report).all(&steps);
    if result.is_ok() && steps.len() == STEPS.len() {
        // Without it the next run would be taken for one in a fresh clone, whose budgets are larger.
        let _ = std::fs::write(warm(), "");
    }
    println!("\n== summary\n\n{report}");
    if let Err(error) = &result {
        eprintln!("error: {error:#}\n");
    }
    let tests = report.tests();
    println!("{tests}");
    if result.is_ok() && tests.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The steps of these names with those that they need, all if none is named.
fn chosen(only: &[String]) -> Result<Vec<&'static Step>> {
    for name in only {
        let names = || STEPS.iter().map(|step| step.name).collect::<Vec<_>>().join(", ");
        ensure!(STEPS.iter().any(|step| step.name == name), "there is no step '{name}'; there are {}", names());
    }
    let is_named = |step: &&Step| only.is_empty() || only.iter().any(|name| name == step.name);
    let needs_programs = STEPS.iter().filter(is_named).any(|step| step.needs_programs);
    Ok(STEPS.iter().filter(|step| is_named(step) || (step.name == BUILD && needs_programs)).collect())
}

/// A run of some steps.
struct Run<'a> {
    report: &'a mut Report,
    /// The servers that the steps need. They are started when the first step asks for them.
    needed: Vec<Service>,
    services: Option<Services>,
}

impl<'a> Run<'a> {
    fn new(steps: &[&Step], report: &'a mut Report) -> Self {
        let mut needed: Vec<Service> = steps.iter().flat_map(|step| step.needs).copied().collect();
        needed.sort_unstable();
        needed.dedup();
        Self { report, needed, services: None }
    }

    fn all(&mut self, steps: &[&Step]) -> Result<()> {
        for step in steps {
            println!("\n== {}", step.name);
            self.report.begin(step);
            let result = (step.run)(self);
            self.report.end(result.is_ok());
            let repeat = format!("`cargo xtask test --only {}` repeats it", step.name);
            result.with_context(|| format!("step '{}' failed; {repeat}", step.name))?;
        }
        Ok(())
    }

    /// A command that must succeed. The tests and results in its output go into the report.
    fn command(&mut self, mut command: Command) -> Result<()> {
        run_and_see(&mut command, self.report.seen()).with_context(|| display(&command))
    }

    /// A command that needs a component of the toolchain. Without it the step is left out, and the summary says so.
    fn component(&mut self, component: &str, package: &str, command: Command) -> Result<()> {
        let arguments: Vec<_> = command.get_args().take(1).map(ToOwned::to_owned).collect();
        match probe(cargo("").args(arguments).arg("--version")) {
            Ok(()) => self.command(command),
            Err(reason) => {
                let advice =
                    format!("`rustup component add {component}` adds it (with Debian's Rust: `apt install {package}`)");
                println!("NOT RUN: {component} is not installed. {advice}\n({reason:#})");
                self.report.not_run(&format!("{component} is not installed; {advice}"));
                Ok(())
            }
        }
    }

    /// One of our programs with these words as its arguments.
    fn program(&mut self, program: Program, arguments: &str) -> Result<()> {
        let mut command = program.command()?;
        command.args(arguments.split_whitespace());
        self.command(command)
    }

    /// The same for one that needs servers.
    fn program_with_services(&mut self, program: Program, arguments: &str) -> Result<()> {
        let mut command = program.command()?;
        command.args(arguments.split_whitespace());
        self.services()?.add_to(&mut command);
        self.command(command)
    }

    /// The servers. They run until the last step has ended.
    fn services(&mut self) -> Result<&Services> {
        if self.services.is_none() {
            self.services = Some(Services::start(&self.needed)?);
        }
        self.services.as_ref().ok_or_else(|| anyhow!("no servers were started"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_chosen_by_name_and_keep_their_order() {
        let names = |only: &[&str]| {
            let only: Vec<_> = only.iter().map(|&name| name.to_owned()).collect();
            chosen(&only).map(|steps| steps.iter().map(|step| step.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["tests", "fmt"]).unwrap(), ["fmt", "tests"]);
        assert_eq!(names(&["corpus"]).unwrap(), ["build", "corpus"]);
        assert_eq!(names(&[]).unwrap().len(), STEPS.len());
        let error = names(&["fmt", "tets"]).unwrap_err().to_string();
        assert!(error.starts_with("there is no step 'tets'; there are fmt, tidy, "), "{error}");
    }

    #[test]
    fn the_budgets_are_12_minutes_warm_and_25_in_a_fresh_clone() {
        let sum = |of: fn(&Step) -> u64| STEPS.iter().map(of).sum::<u64>();
        assert_eq!((sum(|step| step.warm_s), sum(|step| step.clean_s)), (12 * 60, 25 * 60));
    }

    #[test]
    fn the_help_lists_the_steps() {
        let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        assert!(EXAMPLES.starts_with(&format!("Steps: {}\n", names.join(", "))));
    }

    #[test]
    fn a_step_that_fails_says_what_repeats_it() {
        let step = |name, run| Step { name, warm_s: 1, clean_s: 1, needs: &[], needs_programs: false, run };
        let steps = [step("one", |_| Ok(())), step("two", |_| Err(anyhow!("broken"))), step("three", |_| Ok(()))];
        let mut report = Report::default();
        let steps: Vec<_> = steps.iter().collect();
        let error = Run::new(&steps, &mut report).all(&steps).unwrap_err();
        assert_eq!(format!("{error:#}"), "step 'two' failed; `cargo xtask test --only two` repeats it: broken");
        let report = report.to_string();
        assert!(report.contains("two") && report.contains("FAILED") && !report.contains("three"), "{report}");
    }

    #[test]
    fn a_missing_component_is_reported_with_what_adds_it() {
        let step = Step { name: "lint", warm_s: 1, clean_s: 1, needs: &[], needs_programs: false, run: |_| Ok(()) };
        let mut report = Report::default();
        report.begin(&step);
        Run::new(&[], &mut report).component("rustnothing", "nothing", cargo("no-such-command")).unwrap();
        report.end(true);
        let report = report.to_string();
        assert!(
            report.contains("NOT RUN: rustnothing is not installed; `rustup component add rustnothing`"),
            "{report}"
        );
    }
}
