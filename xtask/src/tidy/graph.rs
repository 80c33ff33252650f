//! The rules about who depends on whom.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{DISKS, RUNTIME_FREE_FLOOR, RUNTIMES, Reserved, Rules, find, is_of};
use crate::metadata::{Dependency, Metadata, Package};

/// Each package stands on a floor and uses crates of lower floors only. Tests may use any.
pub(super) fn floors(metadata: &Metadata, rules: &[Rules]) -> Vec<String> {
    let mut problems = Vec::new();
    for package in metadata.workspace() {
        let Some(own) = find(rules, &package.name) else {
            let row = row("FLOOR", package);
            problems.push(format!(
                "'{}' has no floor: give it a row in CRATES of xtask/src/tidy.rs, such as {row}",
                package.name
            ));
            continue;
        };
        let used = package.dependencies.iter().filter(|dependency| dependency.path.is_some() && !is_dev(dependency));
        for other in used.filter_map(|dependency| find(rules, &dependency.name)) {
            if other.floor >= own.floor {
                problems.push(format!(
                    "'{}' on floor {} depends on '{}' on floor {}: only lower floors may be used",
                    own.name, own.floor, other.name, other.floor
                ));
            }
        }
    }
    problems
}

/// The direct dependencies are those that were reviewed, neither more nor less.
pub(super) fn listed(metadata: &Metadata, rules: &[Rules]) -> Vec<String> {
    let workspace = metadata.workspace();
    let mut problems = Vec::new();
    for own in rules {
        let Some(package) = workspace.iter().find(|package| package.name == own.name) else {
            problems.push(format!("CRATES of xtask/src/tidy.rs has a row for '{}', which does not exist", own.name));
            continue;
        };
        let (listed, found) = (reviewed(own), direct(package));
        if listed != found {
            problems.push(format!(
                "'{}' has other direct dependencies than CRATES of xtask/src/tidy.rs lists (new: [{}], gone: [{}]): if \
                 that is wanted, its row becomes {}",
                own.name,
                Vec::from_iter(found.difference(&listed).map(String::as_str)).join(", "),
                Vec::from_iter(listed.difference(&found).map(String::as_str)).join(", "),
                row(&own.floor.to_string(), package)
            ));
        }
    }
    problems
}

/// The driver, which everybody compiles first, uses nothing of the workspace but what is as light.
pub(super) fn driver(metadata: &Metadata, driver: &[(&str, &[&str])]) -> Vec<String> {
    let mut problems = Vec::new();
    for package in metadata.workspace() {
        let Some((_, may_use)) = driver.iter().find(|(name, _)| *name == package.name) else { continue };
        let used = package.dependencies.iter().filter(|dependency| dependency.path.is_some());
        for used in used.filter(|used| !may_use.contains(&used.name.as_str())) {
            problems.push(format!(
                "'{}' depends on '{}': everybody compiles it before anything else, so it uses nothing of the product",
                package.name, used.name
            ));
        }
    }
    problems
}

/// What only one crate may know, the others do not use directly.
pub(super) fn reserved(metadata: &Metadata, reserved: &[Reserved]) -> Vec<String> {
    let mut problems = Vec::new();
    for package in metadata.crates() {
        for dependency in package.dependencies.iter().filter(|dependency| !is_dev(dependency)) {
            let holders: Vec<_> = reserved.iter().filter(|rule| is_of(rule.package, &dependency.name)).collect();
            let may = holders.iter().any(|rule| rule.by == package.name && (dependency.optional || !rule.optional));
            if !may && !holders.is_empty() {
                let names: Vec<String> = holders
                    .iter()
                    .map(|rule| format!("'{}'{}", rule.by, if rule.optional { " behind a feature" } else { "" }))
                    .collect();
                problems.push(format!(
                    "'{}' depends on '{}', which only {} may",
                    package.name,
                    dependency.name,
                    names.join(" and ")
                ));
            }
        }
    }
    problems
}

/// The lower floors bring no runtime and no network into a program, not even through others.
pub(super) fn runtimes(metadata: &Metadata, rules: &[Rules]) -> Vec<String> {
    let quiet = |name: &str| name != DISKS && find(rules, name).is_some_and(|rules| rules.floor <= RUNTIME_FREE_FLOOR);
    let crates = metadata.crates().into_iter().filter(|package| quiet(&package.name));
    let mut problems = Vec::new();
    for package in crates {
        for way in ways(metadata, package) {
            let last = way.last().copied().unwrap_or_default();
            if RUNTIMES.iter().any(|family| is_of(family, last)) {
                problems.push(format!(
                    "'{}' brings the runtime or network '{last}' into a program ({}): of the floors up to \
                     {RUNTIME_FREE_FLOOR} only '{DISKS}' may",
                    package.name,
                    way.join(" > ")
                ));
            }
        }
    }
    problems
}

/// No dependency asks for a newer Rust than the workspace.
pub(super) fn rust_versions(metadata: &Metadata) -> Vec<String> {
    let ours = match metadata.rust_version() {
        Ok(ours) => ours,
        Err(error) => return vec![error.to_string()],
    };
    let newer = metadata.packages.iter().filter_map(|package| {
        let theirs = package.rust_version.as_deref().filter(|theirs| parts(theirs) > parts(ours))?;
        Some(format!(
            "'{} {}' needs Rust {theirs}, but the workspace promises {ours}: take an older version of it",
            package.name, package.version
        ))
    });
    newer.collect()
}

/// The shortest way from a package to each one that it brings into a program, as names.
fn ways<'a>(metadata: &'a Metadata, from: &'a Package) -> Vec<Vec<&'a str>> {
    let names: BTreeMap<&str, &str> = metadata.packages.iter().map(|p| (p.id.as_str(), p.name.as_str())).collect();
    let nodes: BTreeMap<&str, _> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let mut seen = BTreeSet::from([from.id.as_str()]);
    let mut queue = VecDeque::from([(from.id.as_str(), vec![from.name.as_str()])]);
    let mut ways = Vec::new();
    while let Some((id, way)) = queue.pop_front() {
        for dep in nodes.get(id).map_or(&[][..], |node| &node.deps) {
            if dep.dep_kinds.iter().any(|kind| kind.kind.is_none()) && seen.insert(&dep.pkg) {
                let mut way = way.clone();
                way.push(names.get(dep.pkg.as_str()).copied().unwrap_or(&dep.pkg));
                ways.push(way.clone());
                queue.push_back((&dep.pkg, way));
            }
        }
    }
    ways
}

fn is_dev(dependency: &Dependency) -> bool {
    dependency.kind.as_deref() == Some("dev")
}

/// What the row of a package lists, with `dev ` before what only tests use.
fn reviewed(rules: &Rules) -> BTreeSet<String> {
    let uses = rules.uses.split_whitespace().map(str::to_owned);
    uses.chain(rules.tests_use.split_whitespace().map(|name| format!("dev {name}"))).collect()
}

/// The direct dependencies from outside the workspace, written in the same way.
fn direct(package: &Package) -> BTreeSet<String> {
    let outside = package.dependencies.iter().filter(|dependency| dependency.path.is_none());
    outside.map(|used| if is_dev(used) { format!("dev {}", used.name) } else { used.name.clone() }).collect()
}

/// The row of CRATES that describes this package.
fn row(floor: &str, package: &Package) -> String {
    let direct = direct(package);
    let uses = Vec::from_iter(direct.iter().map(String::as_str).filter(|name| !name.contains(' '))).join(" ");
    let tests_use = Vec::from_iter(direct.iter().filter_map(|name| name.strip_prefix("dev "))).join(" ");
    format!("rules({floor}, \"{}\", \"{uses}\", \"{tests_use}\"),", package.name)
}

/// The numbers of a version: `1.89` and `1.89.0` are the same.
fn parts(version: &str) -> [u64; 3] {
    let mut parts = version.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::tidy::rules;

    /// A workspace from lines such as `persist: schema, dev tokio, optional opendal`. A name that has a line of its own
    /// is a crate of the workspace, except after `elsewhere`; the rest comes from elsewhere.
    fn workspace(lines: &[&str]) -> Metadata {
        let parse = |line: &&str| {
            let (name, uses) = line.split_once(':').unwrap();
            let uses = uses.split(',').map(str::trim).filter(|used| !used.is_empty()).map(str::to_owned);
            let (elsewhere, name) = name.strip_prefix("elsewhere ").map_or((false, name), |name| (true, name));
            (name.to_owned(), elsewhere, uses.collect::<Vec<_>>())
        };
        let lines: Vec<_> = lines.iter().map(parse).collect();
        let ours: Vec<_> = lines.iter().filter(|(_, elsewhere, _)| !elsewhere).map(|(name, ..)| name.clone()).collect();
        let words = |used: &str| -> (String, Value, bool) {
            let name = used.rsplit(' ').next().unwrap().to_owned();
            let kind = if used.starts_with("dev ") { json!("dev") } else { Value::Null };
            (name, kind, used.starts_with("optional "))
        };
        let package = |(name, _, uses): &(String, bool, Vec<String>)| {
            let dependencies = uses.iter().map(|used| {
                let (name, kind, optional) = words(used);
                let path = ours.contains(&name).then_some("somewhere");
                json!({"name": name, "kind": kind, "optional": optional, "path": path})
            });
            json!({
                "name": name, "version": "1.0.0", "id": name, "manifest_path": format!("crates/{name}/Cargo.toml"),
                "rust_version": "1.89", "features": {}, "dependencies": Vec::from_iter(dependencies),
            })
        };
        let node = |(name, _, uses): &(String, bool, Vec<String>)| {
            let deps = uses.iter().map(|used| {
                let (name, kind, _) = words(used);
                json!({"pkg": name, "dep_kinds": [{"kind": kind}]})
            });
            json!({"id": name, "deps": Vec::from_iter(deps)})
        };
        serde_json::from_value(json!({
            "packages": Vec::from_iter(lines.iter().map(package)),
            "workspace_members": ours,
            "resolve": {"nodes": Vec::from_iter(lines.iter().map(node))},
        }))
        .unwrap()
    }

    #[test]
    fn floors_are_used_downward_only() {
        let table = [rules(0, "low", "", ""), rules(1, "one", "", ""), rules(1, "other", "", "")];
        let check = |lines: &[&str], expected: &[&str]| assert_eq!(floors(&workspace(lines), &table), expected);
        check(&["low:", "one: low", "other: low"], &[]);
        check(
            &["low:", "one: other", "other:"],
            &["'one' on floor 1 depends on 'other' on floor 1: only lower floors may be used"],
        );
        check(
            &["low: optional one", "one:", "other:"],
            &["'low' on floor 0 depends on 'one' on floor 1: only lower floors may be used"],
        );
        check(&["low: dev one, dev low", "one: low", "other:"], &[]);
        check(
            &["new: bytes, dev proptest"],
            &[
                "'new' has no floor: give it a row in CRATES of xtask/src/tidy.rs, such as rules(FLOOR, \"new\", \"bytes\", \"proptest\"),",
            ],
        );
    }

    #[test]
    fn each_direct_dependency_is_listed() {
        let table = [rules(0, "low", "bytes memchr", "proptest")];
        let check = |lines: &[&str], expected: &[&str]| assert_eq!(listed(&workspace(lines), &table), expected);
        check(&["low: bytes, optional memchr, dev proptest, dev low"], &[]);
        check(
            &["low: memchr, surprise, dev proptest"],
            &[
                "'low' has other direct dependencies than CRATES of xtask/src/tidy.rs lists (new: [surprise], gone: [bytes]): if that is wanted, its row becomes rules(0, \"low\", \"memchr surprise\", \"proptest\"),",
            ],
        );
        check(
            &["low: bytes, memchr, dev surprise, dev proptest"],
            &[
                "'low' has other direct dependencies than CRATES of xtask/src/tidy.rs lists (new: [dev surprise], gone: []): if that is wanted, its row becomes rules(0, \"low\", \"bytes memchr\", \"proptest surprise\"),",
            ],
        );
        check(&["high:"], &["CRATES of xtask/src/tidy.rs has a row for 'low', which does not exist"]);
    }

    #[test]
    fn the_driver_uses_nothing_of_the_product() {
        let check = |lines: &[&str], expected: &[&str]| {
            assert_eq!(driver(&workspace(lines), crate::tidy::DRIVER), expected);
        };
        check(&["xtask: support, clap", "support: anyhow", "colca:"], &[]);
        let why = "everybody compiles it before anything else, so it uses nothing of the product";
        check(&["xtask: dev colca", "support:", "colca:"], &[&format!("'xtask' depends on 'colca': {why}")]);
        check(&["support: xtask", "xtask:"], &[&format!("'support' depends on 'xtask': {why}")]);
    }

    #[test]
    fn reserved_packages_have_one_holder() {
        let check = |line: &str, expected: &[&str]| {
            assert_eq!(reserved(&workspace(&[line]), crate::tidy::RESERVED), expected);
        };
        check("fs-backends: optional opendal, tokio", &[]);
        check("colca: optional tokio", &[]);
        check("schema: dev tokio", &[]);
        check(
            "colca: tokio",
            &[
                "'colca' depends on 'tokio', which only 'fs-backends' and 'colca' behind a feature and 'indices' behind a feature may",
            ],
        );
        check(
            "schema: opendal-core",
            &["'schema' depends on 'opendal-core', which only 'fs-backends' behind a feature may"],
        );
    }

    #[test]
    fn lower_floors_are_free_of_runtimes() {
        let table =
            [rules(2, "fs-backends", "", ""), rules(3, "docstore", "", ""), rules(4, "storage-context", "", "")];
        let check = |lines: &[&str], expected: &[&str]| assert_eq!(runtimes(&workspace(lines), &table), expected);
        check(&["docstore: dev tokio", "fs-backends: tokio", "storage-context: fs-backends", "elsewhere tokio:"], &[]);
        check(
            &["docstore: helper", "elsewhere helper: hyper-util, dev tokio", "elsewhere hyper-util:"],
            &[
                "'docstore' brings the runtime or network 'hyper-util' into a program (docstore > helper > hyper-util): of the floors up to 3 only 'fs-backends' may",
            ],
        );
    }

    #[test]
    fn dependencies_compile_with_our_rust() {
        let mut metadata = workspace(&["low: bytes", "elsewhere bytes:"]);
        metadata.packages[1].rust_version = Some("1.89.0".into());
        assert_eq!(rust_versions(&metadata), [""; 0]);
        metadata.packages[1].rust_version = Some("1.100".into());
        assert_eq!(
            rust_versions(&metadata),
            ["'bytes 1.0.0' needs Rust 1.100, but the workspace promises 1.89: take an older version of it",]
        );
    }
}
