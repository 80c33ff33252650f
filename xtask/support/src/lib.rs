//! What the programs of the automation share.

pub mod debian;
pub mod marked;
pub mod npm;
pub mod process;
pub mod python;
mod random;
pub mod venv;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub use random::Random;

/// How the line starts in which a program gives its result; `cargo xtask test` shows that line in its summary.
pub const RESULT: &str = "result: ";

/// The root of the workspace.
pub fn root() -> PathBuf {
    let support = Path::new(env!("CARGO_MANIFEST_DIR"));
    support.ancestors().nth(2).expect("support lies in xtask, and xtask in the workspace").to_path_buf()
}

/// Prints the error that a program ends with, if there is one, and returns its exit code.
pub fn exit(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A number with commas between its thousands.
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_has_the_lock_file() {
        assert!(root().join("Cargo.lock").is_file());
    }

    #[test]
    fn thousands_have_commas() {
        let check = |number, expected| assert_eq!(thousands(number), expected);
        check(0, "0");
        check(999, "999");
        check(1000, "1,000");
        check(22_959, "22,959");
        check(1_234_567, "1,234,567");
    }
}
