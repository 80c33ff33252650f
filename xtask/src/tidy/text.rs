//! The rules about what the files of the repository say.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use support::process::{output, program};
use support::root;

use crate::metadata::{Metadata, Package};

/// A text file of the repository.
pub(super) struct SourceFile {
    /// Relative to the root, with slashes.
    pub(super) path: String,
    pub(super) text: String,
}

/// Folders of the root that hold no sources.
const NO_SOURCES: [&str; 3] = [".git", "target", "storage"];

/// The folders at the top level.
const TOP_LEVEL: [&str; 6] = [".cargo", ".ci", "benches", "crates", "docs", "xtask"];

/// What each manifest takes from the workspace's.
const INHERITED: [&str; 4] = ["version", "edition", "rust-version", "license"];

/// All text files below the root, sorted.
pub(super) fn read(root: &Path) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    visit(root, root, &mut files).with_context(|| format!("cannot read the files of {}", root.display()))?;
    files.sort_by(|a: &SourceFile, b| a.path.cmp(&b.path));
    Ok(files)
}

fn visit(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let (kind, path) = entry.map(|entry| (entry.file_type(), entry.path()))?;
        let kind = kind?;
        if kind.is_dir() && !NO_SOURCES.iter().any(|name| path == root.join(name)) {
            visit(root, &path, files)?;
        } else if kind.is_file() {
            let relative = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            // What is not UTF-8 is data.
            if let Ok(text) = String::from_utf8(fs::read(&path)?) {
                files.push(SourceFile { path: relative, text });
            }
        }
    }
    Ok(())
}

/// The paths of all files that git tracks, relative to the root.
pub(super) fn tracked() -> Result<Vec<String>> {
    let list = output(&mut program("git", "ls-files -z")).context("git lists the files of the repository")?;
    Ok(String::from_utf8_lossy(&list).split_terminator('\0').map(str::to_owned).collect())
}

/// The top level shows what the repository is made of; a new folder goes below one of its folders.
pub(super) fn top_level(tracked: &[String]) -> Vec<String> {
    let folders: BTreeSet<&str> = tracked.iter().filter_map(|path| Some(path.split_once('/')?.0)).collect();
    let expected = BTreeSet::from(TOP_LEVEL);
    let unknown = folders.difference(&expected).map(|name| format!("{name}/: no folder of the top level"));
    let missing = expected.difference(&folders).map(|name| format!("{name}/: this folder of the top level is missing"));
    unknown.chain(missing).collect()
}

/// Each crate explains itself, and takes from the workspace what is the same for all.
pub(super) fn packages(metadata: &Metadata, files: &[SourceFile]) -> Vec<String> {
    let mut problems = Vec::new();
    for package in metadata.workspace() {
        let folder = package.folder().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let prefix =
            package.folder().strip_prefix(root()).unwrap_or(package.folder()).to_string_lossy().replace('\\', "/");
        let text = |name: &str| text(files, &format!("{prefix}/{name}"));
        if folder != package.name {
            problems.push(format!("{prefix}: the folder and its package '{}' must share one name", package.name));
        }
        problems.extend(inherited(&text("Cargo.toml")).map(|problem| format!("{prefix}/Cargo.toml: {problem}")));
        if package.is_crate() {
            problems.extend(readme(package, &text("README.md"), &text("src/lib.rs")));
        }
    }
    problems
}

fn inherited(manifest: &str) -> impl Iterator<Item = String> {
    let mut missing: Vec<String> = INHERITED.iter().map(|name| format!("{name}.workspace = true")).collect();
    missing.retain(|line| !manifest.lines().any(|found| found == line));
    let mut lines = manifest.lines();
    if !(lines.any(|line| line == "[lints]") && lines.next() == Some("workspace = true")) {
        missing.push("[lints] workspace = true".to_owned());
    }
    missing.into_iter().map(|line| format!("`{line}` is missing"))
}

fn readme(package: &Package, readme: &str, lib: &str) -> Vec<String> {
    let name = &package.name;
    let mut problems = Vec::new();
    if readme.is_empty() {
        problems.push(format!("crates/{name}: README.md is missing"));
    } else if !readme.lines().any(|line| line.starts_with("```rust")) {
        problems.push(format!("crates/{name}/README.md: an example is missing (a block that starts with ```rust)"));
    }
    let include = r#"#![doc = include_str!("../README.md")]"#;
    if !lib.lines().any(|line| line == include) {
        problems
            .push(format!("crates/{name}/src/lib.rs: `{include}` is missing: the README is the crate's documentation"));
    }
    problems
}

/// No file names folders of a machine or where packages are fetched from. The rules themselves, which must, are left out.
pub(super) fn unmentionable(files: &[SourceFile], words: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| !file.path.starts_with("xtask/src/tidy")) {
        for (number, line) in file.text.lines().enumerate() {
            for word in words.iter().filter(|word| starts_a_path(line, word)) {
                problems.push(format!(
                    "{}:{}: '{word}' is a folder of one machine or the start of a registry's address",
                    file.path,
                    number + 1
                ));
            }
        }
    }
    problems
}

/// Whether the word stands in the line, and is not the end or middle of a longer path: `a/home/b` has no `/home/`.
fn starts_a_path(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || "_-.~}".contains(before))
    })
}

/// The text of one file, empty if there is no such file.
pub(super) fn text(files: &[SourceFile], path: &str) -> String {
    files.iter().find(|file| file.path == path).map(|file| file.text.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tidy::UNMENTIONABLE;

    const MANIFEST: &str = "[package]\nname = \"low\"\nversion.workspace = true\nedition.workspace = true\n\
        rust-version.workspace = true\nlicense.workspace = true\n\n[lints]\nworkspace = true\n";
    const README: &str = "# low\n\n```rust\nassert!(true);\n```\n";
    const LIB: &str = "#![doc = include_str!(\"../README.md\")]\n";

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_owned(), text: text.to_owned() }
    }

    fn check_package(name: &str, manifest: &str, readme: &str, lib: &str, expected: &[&str]) {
        let metadata = json!({
            "packages": [{
                "name": name, "version": "1.0.0", "id": "low", "manifest_path": "crates/low/Cargo.toml",
                "features": {}, "dependencies": [],
            }],
            "workspace_members": ["low"],
            "resolve": {"nodes": []},
        });
        let files = [
            file("crates/low/Cargo.toml", manifest),
            file("crates/low/README.md", readme),
            file("crates/low/src/lib.rs", lib),
        ];
        assert_eq!(packages(&serde_json::from_value(metadata).unwrap(), &files), expected);
    }

    #[test]
    fn each_crate_has_a_readme_with_an_example_that_is_its_documentation() {
        check_package("low", MANIFEST, README, LIB, &[]);
        check_package("low", MANIFEST, "", LIB, &["crates/low: README.md is missing"]);
        check_package(
            "low",
            MANIFEST,
            "# low\n\n```\n```\n",
            LIB,
            &["crates/low/README.md: an example is missing (a block that starts with ```rust)"],
        );
        check_package(
            "low",
            MANIFEST,
            README,
            "//! low\n",
            &[
                "crates/low/src/lib.rs: `#![doc = include_str!(\"../README.md\")]` is missing: the README is the crate's documentation",
            ],
        );
        check_package(
            "high",
            MANIFEST,
            README,
            LIB,
            &["crates/low: the folder and its package 'high' must share one name"],
        );
    }

    #[test]
    fn each_manifest_inherits() {
        let own = MANIFEST.replace("edition.workspace = true", "edition = \"2021\"");
        check_package("low", &own, README, LIB, &["crates/low/Cargo.toml: `edition.workspace = true` is missing"]);
        let own = MANIFEST.replace("[lints]\nworkspace = true\n", "[lints.rust]\n");
        check_package("low", &own, README, LIB, &["crates/low/Cargo.toml: `[lints] workspace = true` is missing"]);
    }

    #[test]
    fn machines_and_registries_are_not_mentioned() {
        let check = |path: &str, text: &str, expected: &[&str]| {
            assert_eq!(unmentionable(&[file(path, text)], UNMENTIONABLE), expected, "{text}");
        };
        let problem = "docs/a.md:2: '/home/' is a folder of one machine or the start of a registry's address";
        check("docs/a.md", "one\nsee `/home/me/a`\n", &[problem]);
        check("docs/a.md", "one\n\"file:///home/me/a\"\n", &[problem]);
        check("docs/a.md", "target/root/b, s3://bucket/home/, ./root/\n", &[]);
        check(
            "Cargo.toml",
            "# https://index.example.org\n",
            &["Cargo.toml:1: '//index.' is a folder of one machine or the start of a registry's address"],
        );
        check("Cargo.lock", "source = \"registry+https://example.org/packages\"\n", &[]);
        check("xtask/src/tidy.rs", "\"/home/\"\n", &[]);
    }

    #[test]
    fn the_top_level_has_its_folders_and_no_others() {
        let mut files: Vec<_> = TOP_LEVEL.iter().map(|folder| format!("{folder}/file")).collect();
        files.push("README.md".to_owned());
        assert!(top_level(&files).is_empty());
        files[1] = "faults/src/lib.rs".to_owned();
        let missing = format!("{}/: this folder of the top level is missing", TOP_LEVEL[1]);
        assert_eq!(top_level(&files), ["faults/: no folder of the top level", &missing]);
    }

    #[test]
    fn the_sources_are_found() {
        let files = read(&root()).unwrap();
        let has = |path: &str| files.iter().any(|file| file.path == path);
        assert!(has("Cargo.toml") && has(".ci/run") && has("xtask/src/tidy/text.rs"));
        assert!(!files.iter().any(|file| file.path.starts_with("target/") || file.path.starts_with(".git/")));
    }
}
