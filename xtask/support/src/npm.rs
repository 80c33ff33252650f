//! Packages of the npm registry in `target`, each installed once and kept as long as its version stays the same.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::process::{self, probe, program};
use crate::{debian, root};

/// The name of npm's program.
const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

/// What to do without npm.
const ADVICE: &str = "Node.js and npm are needed; `apt-get install nodejs npm` adds them on Debian";

/// A package of the npm registry, which lies below `target/npm`.
#[derive(Debug, Clone, Copy)]
pub struct NodePackage {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

impl NodePackage {
    /// One of its scripts, by its path in the package, for `node` to run. The package is installed if it is not there, or
    /// has another version.
    ///
    /// # Errors
    /// If Node.js or npm is missing and cannot be installed, or the package cannot be installed.
    pub fn script(&self, path: &str) -> Result<PathBuf> {
        let folder = root().join("target/npm").join(self.name);
        let found = folder.join("node_modules").join(self.name).join(path);
        let stamp = folder.join("package.txt");
        let wanted = format!("{}@{}", self.name, self.version);
        if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(found);
        }
        println!("installing {wanted} with npm; this is done once");
        if !has_node() {
            debian::install("nodejs npm", ADVICE)?;
        }
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        fs::create_dir_all(&folder)?;
        let mut npm = program(NPM, "install --no-audit --no-fund --prefix");
        npm.arg(&folder).arg(&wanted);
        process::run(&mut npm)
            .with_context(|| format!("cannot install {wanted}; once it is there, no network is needed any more"))?;
        fs::write(&stamp, wanted)?;
        Ok(found)
    }
}

/// Whether there are Node.js and npm.
fn has_node() -> bool {
    ["node", NPM].iter().all(|name| probe(&mut program(name, "--version")).is_ok())
}
