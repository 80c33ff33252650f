//! Packages of Debian that the automation needs.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::process::{self, probe, program};

/// Installs packages, whose names are separated by spaces.
///
/// # Errors
/// The advice, if this is not Debian, the user is not root, or a package cannot be installed.
pub fn install(packages: &str, advice: &'static str) -> Result<()> {
    // A second apt-get fails while one is at work.
    static LOCK: Mutex<()> = Mutex::new(());
    let _lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let root = process::output(&mut program("id", "-u")).is_ok_and(|id| id.trim_ascii() == b"0");
    if !root || probe(&mut program("apt-get", "--version")).is_err() {
        bail!(advice);
    }
    process::run(&mut program("apt-get", "update")).context(advice)?;
    process::run(&mut program("apt-get", &format!("install --yes --no-install-recommends {packages}"))).context(advice)
}
