//! The Python environment with LlamaIndex in it, in `target/interchange`. It is made once and kept as long as the list
//! of packages stays the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{self, probe, program};

/// What is installed. The versions are those that the recorded answers come from.
const PACKAGES: [&str; 5] =
    ["llama-index-core==0.14.25", "nltk==3.10.4", "pydantic==2.11.10", "numpy==2.3.5", "scikit-learn==1.7.2"];

/// The oldest Python that all of them take.
const PYTHON: &str = "import sys; sys.exit('error: it is too old' if sys.version_info < (3, 11) else 0)";

/// The Python that has LlamaIndex; the environment is made if need be.
pub(super) fn python(target: &Path) -> Result<PathBuf> {
    let folder = target.join("venv");
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let stamp = folder.join("packages.txt");
    let wanted = PACKAGES.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    println!("making a Python environment with {}; this is done once", PACKAGES.join(", "));
    probe(program("python3", "").args(["-c", PYTHON])).context("Python 3.11 or later is needed, as `python3`")?;
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(target)?;
    if let Err(error) = process::run(&mut venv(&folder)) {
        install_venv().with_context(|| format!("{error:#}"))?;
        process::run(&mut venv(&folder))?;
    }
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]).args(PACKAGES);
    process::run(&mut pip).context("cannot install LlamaIndex; once it is there, no network is needed any more")?;
    fs::write(&stamp, wanted)?;
    Ok(python)
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
    let root = process::output(&mut program("id", "-u")).is_ok_and(|id| id.trim_ascii() == b"0");
    if !root || probe(&mut program("apt-get", "--version")).is_err() {
        bail!(ADVICE);
    }
    process::run(&mut program("apt-get", "update")).context(ADVICE)?;
    process::run(&mut program("apt-get", "install --yes --no-install-recommends python3-venv")).context(ADVICE)
}
