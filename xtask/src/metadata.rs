//! What `cargo metadata` says about the workspace, as far as the checks need it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use support::process::{cargo, output};

/// The packages of the workspace and everything they depend on.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_members: Vec<String>,
    pub(crate) resolve: Resolve,
}

/// One package.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) id: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) rust_version: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
}

/// A line of a manifest's dependencies.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `dev` or `build`; absent for the ordinary ones.
    pub(crate) kind: Option<String>,
    pub(crate) optional: bool,
    /// The folder of a dependency that is not from a registry.
    pub(crate) path: Option<PathBuf>,
}

/// Which package uses which, over the whole graph.
#[derive(Debug, Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

/// One package of the graph.
#[derive(Debug, Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) deps: Vec<NodeDep>,
}

/// One edge of the graph.
#[derive(Debug, Deserialize)]
pub(crate) struct NodeDep {
    pub(crate) pkg: String,
    pub(crate) dep_kinds: Vec<DepKind>,
}

/// For what an edge is needed.
#[derive(Debug, Deserialize)]
pub(crate) struct DepKind {
    pub(crate) kind: Option<String>,
}

impl Metadata {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Self> {
        let json = output(&mut cargo("metadata --format-version 1 --all-features"))?;
        serde_json::from_slice(&json).context("`cargo metadata` answered something unexpected")
    }

    /// The packages of the workspace, by name.
    pub(crate) fn workspace(&self) -> Vec<&Package> {
        let members = self.packages.iter().filter(|package| self.workspace_members.contains(&package.id));
        let mut members: Vec<_> = members.collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        members
    }

    /// The packages under `crates/`, by name.
    pub(crate) fn crates(&self) -> Vec<&Package> {
        self.workspace().into_iter().filter(|package| package.is_crate()).collect()
    }

    /// The oldest Rust that the workspace promises to compile with.
    pub(crate) fn rust_version(&self) -> Result<&str> {
        let mut versions = self.workspace().into_iter().filter_map(|package| package.rust_version.as_deref());
        versions.next().context("no package of the workspace has a rust-version")
    }
}

impl Package {
    /// The folder of its manifest.
    pub(crate) fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }

    /// Whether it lies directly under `crates/`.
    pub(crate) fn is_crate(&self) -> bool {
        self.folder().parent().is_some_and(|parent| parent.ends_with("crates"))
    }
}
