//! The programs of the packages beneath this folder.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use support::process::{self, cargo};

/// What compiles all programs and examples with the features of the whole workspace. Its tests are compiled with the
/// same features, so that nothing is compiled twice. The driver is left out: it is what runs.
pub(crate) const BUILD: &str = "build --workspace --exclude xtask --all-features --lib --bins --examples";

/// One program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    /// Where it lies in the folder of the build.
    path: &'static str,
    /// The package that is compiled for it in release; otherwise it is compiled with all others.
    release: Option<&'static str>,
}

impl Program {
    pub(crate) const BENCH: Self = Self { path: "compare", release: Some("compare") };
    pub(crate) const CORPUS: Self = Self { path: "corpus", release: None };
    pub(crate) const FAULTS: Self = Self { path: "faults", release: None };
    pub(crate) const FAULTS_REMOTE: Self = Self { path: "faults-remote", release: None };
    pub(crate) const INTERCHANGE: Self = Self { path: "interchange", release: None };
    pub(crate) const RECALL: Self = Self { path: "examples/recall", release: None };

    /// Compiles it.
    pub(crate) fn build(self) -> Result<()> {
        match self.release {
            Some(package) => process::run(&mut cargo(&format!("build --quiet --release --package {package}"))),
            None => process::run(&mut cargo(&format!("{BUILD} --quiet"))),
        }
    }

    /// The command that runs it, in the folder of the caller. It must have been compiled.
    pub(crate) fn command(self) -> Result<Command> {
        let own = std::env::current_exe().context("this program has no path")?;
        let target = own.ancestors().nth(2).context("this program lies in no target folder")?;
        let folder: PathBuf = target.join(if self.release.is_some() { "release" } else { "debug" });
        Ok(Command::new(folder.join(self.path).with_extension(std::env::consts::EXE_EXTENSION)))
    }

    /// Compiles it and runs it with these arguments.
    pub(crate) fn run(self, arguments: &[impl AsRef<OsStr>]) -> Result<()> {
        self.build()?;
        process::run(self.command()?.args(arguments))
    }
}
