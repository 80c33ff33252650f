//! `cargo xtask features`: whether each crate compiles alone, whatever its user switches on.

use std::time::Instant;

use anyhow::Result;
use support::process::{self, cargo};

use crate::metadata::{Metadata, Package};

/// Checks every crate without features, with its default ones and with each by itself; with `pairs`, also two by two.
/// Returns how many selections of features compile.
pub(crate) fn run(pairs: bool) -> Result<usize> {
    let metadata = Metadata::load()?;
    let mut checks = Vec::new();
    for package in metadata.crates() {
        checks.extend(selections(package, pairs).into_iter().map(|selection| (&package.name, selection)));
    }
    let start = Instant::now();
    for (done, (name, selection)) in checks.iter().enumerate() {
        print!("[{:>3}/{}] ", done + 1, checks.len());
        process::run(&mut cargo(&format!("check --quiet --package {name} {selection}")))?;
    }
    println!("{} selections of features compile ({:.0?})", checks.len(), start.elapsed());
    Ok(checks.len())
}

/// The flags of `cargo check` for each selection of features.
fn selections(package: &Package, pairs: bool) -> Vec<String> {
    let features: Vec<&String> = package.features.keys().filter(|name| *name != "default").collect();
    let mut selections = vec!["--no-default-features".to_owned()];
    if package.features.get("default").is_some_and(|default| !default.is_empty()) {
        selections.push(String::new());
    }
    selections.extend(features.iter().map(|one| format!("--no-default-features --features {one}")));
    if pairs {
        for (at, one) in features.iter().enumerate() {
            let others = &features[at + 1..];
            selections.extend(others.iter().map(|other| format!("--no-default-features --features {one},{other}")));
        }
    }
    selections
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(features: &str, pairs: bool, expected: &[&str]) {
        let json = format!(
            r#"{{"name": "a", "version": "1.0.0", "id": "a", "manifest_path": "a", "dependencies": [], "features": {features}}}"#
        );
        let package: Package = serde_json::from_str(&json).unwrap();
        assert_eq!(selections(&package, pairs), expected);
    }

    #[test]
    fn each_feature_is_tried_by_itself() {
        check("{}", true, &["--no-default-features"]);
        check(r#"{"default": [], "x": []}"#, false, &["--no-default-features", "--no-default-features --features x"]);
        let features = r#"{"default": ["x"], "x": [], "y": []}"#;
        let singles =
            ["--no-default-features", "", "--no-default-features --features x", "--no-default-features --features y"];
        check(features, false, &singles);
        check(features, true, &[&singles[..], &["--no-default-features --features x,y"]].concat());
    }
}
