//! Python environments in `target`, each made once and kept as long as its list of packages stays the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::process::{self, probe, program};
use crate::{debian, root};

/// The oldest Python that all packages take.
const PYTHON: &str = "import sys; sys.exit('error: it is too old' if sys.version_info < (3, 11) else 0)";

/// LlamaIndex as the recorded answers were made with, what it computes with, and what it reaches S3 with.
pub const LLAMA_INDEX: Venv = Venv {
    name: "llama-index",
    packages: &[
        "llama-index-core==0.14.25",
        "nltk==3.10.4",
        "pydantic==2.11.10",
        "numpy==2.3.5",
        "scikit-learn==1.7.2",
        "s3fs==2026.9.0",
    ],
};

/// A Python environment: where it lies below `target/venvs`, and what is installed there.
#[derive(Debug, Clone, Copy)]
pub struct Venv {
    /// The name of its folder.
    pub name: &'static str,
    /// Packages of the Python package index, each with its version.
    pub packages: &'static [&'static str],
}

impl Venv {
    /// Its Python. The environment is made if it is not there.
    ///
    /// # Errors
    /// As [`Venv::program`].
    pub fn python(&self) -> Result<PathBuf> {
        self.program("python")
    }

    /// One of its programs. The environment is made if it is not there, or has other packages.
    ///
    /// # Errors
    /// If there is no Python 3.11 or later, or a package cannot be installed.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        find(&root().join("target/venvs").join(self.name), self.packages, name)
    }
}

fn find(folder: &Path, packages: &[&str], name: &str) -> Result<PathBuf> {
    // Servers start at the same time, and each may need an environment: only the first installs what Python lacks.
    static LOCK: Mutex<()> = Mutex::new(());
    let _lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let programs = folder.join(if cfg!(windows) { "Scripts" } else { "bin" });
    let found = programs.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    let stamp = folder.join("packages.txt");
    let wanted = packages.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(found);
    }
    println!("making a Python environment with {}; this is done once", packages.join(", "));
    probe(program("python3", "").args(["-c", PYTHON])).context("Python 3.11 or later is needed, as `python3`")?;
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder)?;
    if let Err(error) = process::run(&mut venv(folder)) {
        install_venv().with_context(|| format!("{error:#}"))?;
        process::run(&mut venv(folder))?;
    }
    let mut pip = Command::new(programs.join("python").with_extension(std::env::consts::EXE_EXTENSION));
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]).args(packages);
    process::run(&mut pip).with_context(|| {
        format!("cannot install {}; once it is there, no network is needed any more", packages.join(", "))
    })?;
    fs::write(&stamp, wanted)?;
    Ok(found)
}

fn venv(folder: &Path) -> Command {
    let mut command = program("python3", "-m venv --clear");
    command.arg(folder);
    command
}

/// Debian's Python comes without what makes environments.
fn install_venv() -> Result<()> {
    const ADVICE: &str = "Python makes no environment; `apt-get install python3-venv` adds on Debian what it lacks";
    if probe(program("python3", "").args(["-c", "import ensurepip"])).is_ok() {
        bail!("Python makes no environment, though it has what it needs");
    }
    debian::install("python3-venv", ADVICE)
}
