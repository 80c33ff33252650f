//! The programs of the packages beneath this folder.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use support::process::{self, cargo};
use support::root;

/// What compiles all programs and examples with the features of the whole workspace. Its tests are compiled with the
/// same features, so that nothing is compiled twice.
pub(crate) const BUILD: &str = "build --workspace --all-features --lib --bins --examples";

/// One program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    /// Where it lies in the folder of the build.
    path: &'static str,
    /// What else builds it.
    release: bool,
}

impl Program {
    pub(crate) const BENCH: Self = Self { path: "compare", release: true };
    pub(crate) const CORPUS: Self = Self { path: "corpus", release: false };
    pub(crate) const FAULTS: Self = Self { path: "faults", release: false };
    pub(crate) const FAULTS_REMOTE: Self = Self { path: "faults-remote", release: false };
    pub(crate) const INTERCHANGE: Self = Self { path: "interchange", release: false };
    pub(crate) const RECALL: Self = Self { path: "examples/recall", release: false };

    /// Compiles it.
    pub(crate) fn build(self) -> Result<()> {
        match self.release {
            true => process::run(&mut cargo(&format!("build --quiet --release --package {}", self.path))),
            false => process::run(&mut cargo(&format!("{BUILD} --quiet"))),
        }
    }

    /// The command that runs it. It must have been compiled.
    pub(crate) fn command(self) -> Result<Command> {
        let own = std::env::current_exe().context("this program has no path")?;
        let target = own.ancestors().nth(2).context("this program lies in no target folder")?;
        let folder: PathBuf = target.join(if self.release { "release" } else { "debug" });
        let mut command = Command::new(folder.join(self.path).with_extension(std::env::consts::EXE_EXTENSION));
        command.current_dir(root());
        Ok(command)
    }

    /// Compiles it and runs it with these arguments.
    pub(crate) fn run(self, arguments: &[impl AsRef<OsStr>]) -> Result<()> {
        self.build()?;
        process::run(self.command()?.args(arguments))
    }
}
