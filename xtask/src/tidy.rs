//! `cargo xtask tidy`: the rules of the workspace, as small checks that everybody runs. It is also a test of this package.
//!
//! The tables below are meant to be edited, with a reviewer looking. `docs/architecture.md` gives the reasons.

mod absences;
mod graph;
mod text;

use anyhow::{Result, ensure};
use support::root;

use crate::metadata::Metadata;

/// The lowest floor of what stands beside the crates: benches and the automation, which may use every crate. The driver,
/// which everybody compiles first, uses none: see [`DRIVER`].
pub(crate) const BESIDE: u8 = 7;

/// The crate that knows disks, networks and a runtime, so that the others need not.
pub(crate) const DISKS: &str = "fs-backends";

/// What one package may depend on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) name: &'static str,
    /// Crates of the workspace are used from higher floors only.
    pub(crate) floor: u8,
    /// The packages from elsewhere that it uses directly.
    uses: &'static str,
    /// Those that only its tests, examples and benches use.
    tests_use: &'static str,
}

const fn rules(floor: u8, name: &'static str, uses: &'static str, tests_use: &'static str) -> Rules {
    Rules { name, floor, uses, tests_use }
}

/// Every package of the workspace, and all that it depends on directly.
#[rustfmt::skip]
pub(crate) const CRATES: &[Rules] = &[
    rules(0, "raw-json", "bytes fast-float2 indexmap memchr serde_json thiserror zmij", "proptest"),
    rules(1, "schema", "base64 indexmap sha2 thiserror uuid", "proptest"),
    rules(1, "persist", "async-trait bytes serde serde_json thiserror uuid xxhash-rust", "pollster"),
    rules(2, "kv-core", "async-trait bytes futures-core futures-util indexmap thiserror", "pollster proptest"),
    rules(2, "vectorstore", "async-trait bytes thiserror", "pollster"),
    rules(2, "fs-backends", "async-trait bytes form_urlencoded futures-util http http-body opendal reqsign-aws-v4 reqsign-core reqwest rust-ini rustix rustls rustls-platform-verifier tempfile thiserror tokio", "pollster tempfile tokio"),
    rules(3, "docstore", "futures-core futures-util indexmap thiserror", "async-trait pollster proptest"),
    rules(3, "indexstore", "indexmap thiserror", "pollster proptest"),
    rules(3, "graphstore", "async-trait bytes indexmap thiserror", "pollster proptest"),
    rules(3, "chatstore", "async-trait bytes indexmap thiserror", "pollster proptest"),
    rules(3, "vectorstore-simple", "async-trait bytes indexmap", "pollster proptest"),
    rules(4, "storage-context", "bytes futures-util indexmap thiserror", "async-trait opendal pollster proptest tempfile tokio"),
    rules(5, "indices", "async-trait base64 encoding_rs futures-util half httpdate indexmap lopdf memchr quick-xml regex reqwest rustls rustls-platform-verifier safetensors sha2 thiserror tiktoken time tokenizers tokio tracing unicode-segmentation uuid xxhash-rust zip", "pollster proptest tempfile text-splitter tokio"),
    rules(6, "colca", "indexmap thiserror tokio", "anyhow async-trait axum clap pollster tempfile tokio"),
    rules(BESIDE, "support", "anyhow", ""),
    rules(BESIDE, "benches", "pollster", "criterion"),
    rules(BESIDE + 1, "xtask", "anyhow clap serde serde_json", ""),
    rules(BESIDE + 1, "compare", "anyhow bytes clap opendal opendal-http-transport-reqwest pollster rustls serde_json tokio", ""),
    rules(BESIDE + 1, "corpus", "anyhow async-trait clap flate2 pollster sha2 tar tracing", ""),
    rules(BESIDE + 1, "faults-remote", "bytes clap futures-util opendal opendal-http-transport-reqwest rustls tokio", "log rcgen tempfile tokio tokio-rustls"),
    rules(BESIDE + 2, "interchange", "anyhow async-trait clap pollster tokio", ""),
    rules(BESIDE + 2, "faults", "anyhow clap libc pollster", ""),
];

/// The packages that `cargo xtask` compiles first, and what of the workspace each may use.
const DRIVER: &[(&str, &[&str])] = &[("xtask", &["support"]), ("support", &[])];

/// A package that only one crate may use directly, and the rest of its family with it.
struct Reserved {
    package: &'static str,
    by: &'static str,
    /// Whether only behind a feature.
    optional: bool,
}

const RESERVED: &[Reserved] = &[
    Reserved { package: "opendal", by: DISKS, optional: true },
    Reserved { package: "tokio", by: DISKS, optional: false },
    Reserved { package: "tokio", by: "colca", optional: true },
    Reserved { package: "tokio", by: "indices", optional: true },
    Reserved { package: "reqwest", by: DISKS, optional: true },
    Reserved { package: "reqwest", by: "indices", optional: true },
];

/// Families of packages that are a runtime or know a network. Up to [`RUNTIME_FREE_FLOOR`] no crate but [`DISKS`] may
/// bring one into a program, not even through others.
#[rustfmt::skip]
const RUNTIMES: &[&str] = &[
    "async-io", "async-std", "curl", "h2", "hyper", "isahc", "mio", "native-tls", "object_store", "opendal", "openssl",
    "polling", "quinn", "reqwest", "rustls", "smol", "socket2", "tokio", "ureq",
];

/// The highest floor that is free of [`RUNTIMES`].
const RUNTIME_FREE_FLOOR: u8 = 3;

/// Something that code must not mention, except at some places.
struct Absence {
    /// A word or path of Rust.
    what: &'static str,
    /// The rule holds up to this floor.
    up_to_floor: u8,
    /// Files or folders where it may stand.
    except: &'static [&'static str],
    /// Whether it may stand in tests, examples and benches.
    tests_may: bool,
}

/// The absences of `docs/architecture.md` that can be seen in the text of the code. The section there names each.
const ABSENT: &[Absence] = &[
    Absence { what: "std::fs", up_to_floor: 6, except: &["crates/fs-backends/"], tests_may: true },
    Absence { what: "std::net", up_to_floor: 6, except: &["crates/fs-backends/"], tests_may: true },
    Absence { what: "thread::spawn", up_to_floor: 3, except: &[], tests_may: true },
    Absence {
        what: "unsafe",
        up_to_floor: BESIDE,
        except: &[
            "crates/raw-json/src/decode.rs",
            "crates/raw-json/src/raw.rs",
            "xtask/faults/src/preload/",
            "xtask/faults/src/child/",
        ],
        tests_may: false,
    },
];

/// What no file may mention: folders of somebody's machine, and where packages are fetched from.
const UNMENTIONABLE: &[&str] = &["/home/", "/root/", "/Users/", "C:\\Users", "//index.", "//registry.", "//static."];

/// Checks everything and prints what is wrong.
pub(crate) fn run() -> Result<()> {
    let (metadata, files) = (Metadata::load()?, text::read(&root())?);
    let problems = problems(&metadata, &files, &text::tracked()?);
    for problem in &problems {
        println!("{problem}");
    }
    ensure!(problems.is_empty(), "{} things are not tidy", problems.len());
    println!("tidy: {} packages, {} files", metadata.workspace().len(), files.len());
    Ok(())
}

fn problems(metadata: &Metadata, files: &[text::SourceFile], tracked: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    problems.extend(graph::floors(metadata, CRATES));
    problems.extend(graph::listed(metadata, CRATES));
    problems.extend(graph::driver(metadata, DRIVER));
    problems.extend(graph::reserved(metadata, RESERVED));
    problems.extend(graph::runtimes(metadata, CRATES));
    problems.extend(graph::rust_versions(metadata));
    problems.extend(text::top_level(tracked));
    problems.extend(text::packages(metadata, files));
    problems.extend(text::unmentionable(files, UNMENTIONABLE));
    problems.extend(absences::hold(files, CRATES, ABSENT));
    problems.extend(absences::are_documented(files, ABSENT));
    problems
}

fn find<'a>(rules: &'a [Rules], name: &str) -> Option<&'a Rules> {
    rules.iter().find(|rules| rules.name == name)
}

/// Whether a package is this one, or named after it: `tokio` and `tokio-util` are of the family `tokio`.
fn is_of(family: &str, package: &str) -> bool {
    package.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_is_tidy() {
        let files = text::read(&root()).unwrap();
        let problems = problems(&Metadata::load().unwrap(), &files, &text::tracked().unwrap());
        assert!(problems.is_empty(), "`cargo xtask tidy` says:\n{}", problems.join("\n"));
    }
}
