//! What is worked on: a persisted context of seeded numbers, made once.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use benches::{context, embedded_nodes};
use colca::persist::Digest;
use pollster::block_on;
use support::{root, thousands};

/// How much.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) nodes: usize,
    pub(crate) dimensions: usize,
}

impl Size {
    pub(crate) const FULL: Self = Self { nodes: 20_000, dimensions: 768 };
    pub(crate) const QUICK: Self = Self { nodes: 2_000, dimensions: 384 };
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} nodes of {} dimensions", thousands(self.nodes), self.dimensions)
    }
}

/// A folder with a persisted context, and room beside it.
pub(crate) struct Data {
    pub(crate) size: Size,
    /// The context: rows only read it.
    pub(crate) context: PathBuf,
    folder: PathBuf,
}

impl Data {
    /// Makes the context if it is not there.
    pub(crate) fn find(size: Size) -> Result<Self> {
        // Other workloads are other data.
        let workloads = Digest::of(include_bytes!("../../../benches/src/lib.rs"));
        let name = format!("{}x{}-{:.8}", size.nodes, size.dimensions, workloads.to_string());
        let folder = root().join("target/bench").join(name);
        let context_folder = folder.join("context");
        if !context_folder.exists() {
            println!("making a context with {size}; this is done once");
            let unfinished = folder.join("unfinished");
            remove(&unfinished)?;
            block_on(context(&embedded_nodes(size.nodes, size.dimensions)).persist(unfinished.as_path()))?;
            // Only LlamaIndex's files: what is measured is not helped by what a commit knows of them.
            remove(&unfinished.join(".colca"))?;
            fs::rename(&unfinished, &context_folder)
                .with_context(|| format!("cannot make {}", context_folder.display()))?;
        }
        Ok(Self { size, context: context_folder, folder })
    }

    /// An empty folder for a row to write to, on the same disk.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        remove(&folder)?;
        Ok(folder)
    }
}

fn remove(folder: &PathBuf) -> Result<()> {
    match folder.exists() {
        true => fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display())),
        false => Ok(()),
    }
}
