//! What a generation of a place is: `.colca/<generation>.json`.

use serde::{Deserialize, Serialize};

use crate::name::{check_name, own_path};
use crate::{Abilities, Digest, Error, Limits, PersistFs, Result};

/// The version of the format that this build writes, and the newest one that it reads.
const FORMAT: u32 = 1;

/// What helps if a manifest is damaged.
const REPAIR: &str = "put it back from a copy, or delete the folder .colca to open the published files as they are";

/// How much of a problem is told, in characters: it may quote what the manifest says.
const PROBLEM_MAX: usize = 300;

/// The suffix of staged files.
const STAGED: &str = ".staged";

/// A generation of a place: all files that a commit left there, with the digests they are known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the format.
    colca: u32,
    /// Its number. The first is 1.
    pub generation: u64,
    /// What tells the commit that made it from all others.
    pub commit: String,
    /// The commit before it.
    pub parent: Option<String>,
    /// Whether a step of a writer that was overtaken long ago can still be carried out here: the place publishes by copying
    /// whatever is there, or it does so on a condition that has become true once more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) late_steps: bool,
    /// The files.
    pub files: Vec<FileEntry>,
    /// The files that it took away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<RemovedEntry>,
}

/// A file of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// The name it is published under.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of its content.
    pub digest: Digest,
    /// The name in `.colca` of the staged file, if there is or was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<String>,
    /// What had that name before, if this commit replaces something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Digest>,
}

/// A file that a generation took away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedEntry {
    /// The name it was published under.
    pub name: String,
    /// The digest of its content.
    pub digest: Digest,
}

impl Manifest {
    pub(crate) fn new(generation: u64, commit: &str, parent: Option<&Self>, abilities: Abilities) -> Self {
        Self {
            colca: FORMAT,
            generation,
            commit: commit.to_owned(),
            parent: parent.map(|parent| parent.commit.clone()),
            late_steps: !abilities.moves
                && (!abilities.conditional_publish || parent.is_some_and(|parent| parent.late_steps)),
            files: Vec::new(),
            removed: Vec::new(),
        }
    }

    /// The entry of a file.
    pub fn file(&self, name: &str) -> Option<&FileEntry> {
        self.files.iter().find(|file| file.name == name)
    }

    /// The files that this very commit wrote, with the names they were staged under.
    pub(crate) fn written(&self) -> impl Iterator<Item = (&FileEntry, &str)> {
        self.files.iter().filter_map(|file| {
            let staged = file.staged.as_deref()?;
            staged.strip_prefix(&self.commit)?.starts_with('-').then_some((file, staged))
        })
    }

    /// Whether this generation knows a file of that name and content, as its own or as one that it replaced.
    pub(crate) fn knows(&self, name: &str, digest: Digest) -> bool {
        let file = |file: &FileEntry| file.name == name && (file.digest == digest || file.replaces == Some(digest));
        self.files.iter().any(file) || self.removed.iter().any(|file| file.name == name && file.digest == digest)
    }

    /// Whether this generation makes something what it was before `parent` wrote it: then a conditional copy of a writer
    /// that was overtaken would be carried out.
    pub(crate) fn returns(&self, parent: &Self) -> bool {
        let was_absent = |name: &str| parent.file(name).is_some_and(|file| file.replaces.is_none());
        let was = |file: &FileEntry| parent.file(&file.name).is_some_and(|old| old.replaces == Some(file.digest));
        self.written().any(|(file, _)| was(file)) || self.removed.iter().any(|file| was_absent(&file.name))
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers can be written")
    }

    /// Reads a manifest, trusting nothing in it.
    fn parse(generation: u64, bytes: &[u8], limits: &Limits) -> Result<Self, String> {
        #[cfg(test)]
        PARSED.set(PARSED.get() + 1);
        #[derive(Deserialize)]
        struct Format {
            colca: u32,
        }
        let damaged = |mut problem: String| {
            if let Some((end, _)) = problem.char_indices().nth(PROBLEM_MAX) {
                problem.truncate(end);
                problem.push('…');
            }
            format!("{problem}; {REPAIR}")
        };
        let Format { colca } = serde_json::from_slice(bytes).map_err(|e| damaged(e.to_string()))?;
        if colca > FORMAT {
            return Err(format!("it has format {colca}, and this build reads {FORMAT}; use a newer Colca"));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|e| damaged(e.to_string()))?;
        manifest.check(generation, limits).map_err(damaged)?;
        Ok(manifest)
    }

    /// Checks what every reader with these limits checks.
    pub(crate) fn check(&self, generation: u64, limits: &Limits) -> Result<(), String> {
        if self.generation != generation {
            return Err(format!("it says that it is generation {}", self.generation));
        }
        if !(1..u64::MAX).contains(&generation) {
            return Err(format!("there is no generation {generation}"));
        }
        if !is_commit_id(&self.commit) {
            return Err(format!("{:?} is no commit id: letters, digits and '-', 64 at most", self.commit));
        }
        if self.files.len() + self.removed.len() > limits.files {
            return Err(format!("it names more than {} files, the limit", limits.files));
        }
        let mut names: Vec<&str> =
            self.files.iter().map(|file| &*file.name).chain(self.removed.iter().map(|file| &*file.name)).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("it names {:?} twice", twice[0]));
        }
        names.into_iter().try_for_each(|name| check_name(name).map_err(|e| e.to_string()))?;
        let mut staged = self.files.iter().filter_map(|file| file.staged.as_deref());
        match staged.find(|name| !is_staged(name)) {
            Some(name) => Err(format!("{name:?} is no name of a staged file")),
            None => Ok(()),
        }
    }
}

/// The file of a generation's manifest within `.colca`.
pub(crate) fn manifest_name(generation: u64) -> String {
    format!("{generation}.json")
}

/// The file that says that a generation is published.
pub(crate) fn marker_name(generation: u64) -> String {
    format!("{generation}.published")
}

/// The file in which a commit stages its `k`th file.
pub(crate) fn staged_name(commit: &str, k: usize) -> String {
    format!("{commit}-{k}{STAGED}")
}

/// Whether a name could be that of a staged file.
pub(crate) fn is_staged(name: &str) -> bool {
    let parts = name.strip_suffix(STAGED).and_then(|name| name.rsplit_once('-'));
    parts.is_some_and(|(commit, k)| is_commit_id(commit) && !k.is_empty() && k.bytes().all(|b| b.is_ascii_digit()))
}

/// The generation that a file of this name in `.colca` is of, if its name is a generation's with that suffix.
pub(crate) fn generation_of(name: &str, suffix: &str) -> Option<u64> {
    let number = name.strip_suffix(suffix)?;
    let generation = number.parse().ok()?;
    (manifest_name(generation) == format!("{number}.json")).then_some(generation)
}

fn is_commit_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// The manifest of a generation, if there is one.
pub(crate) async fn read_manifest(fs: &dyn PersistFs, generation: u64, limits: &Limits) -> Result<Option<Manifest>> {
    let text = fs.read(&own_path(&manifest_name(generation)), limits.manifest_size).await?;
    text.map(|text| parse_manifest(fs, generation, &text, limits)).transpose()
}

/// What the manifest of a generation says.
pub(crate) fn parse_manifest(fs: &dyn PersistFs, generation: u64, text: &[u8], limits: &Limits) -> Result<Manifest> {
    let name = own_path(&manifest_name(generation));
    Manifest::parse(generation, text, limits).map_err(|problem| Error::Manifest { place: fs.location(), name, problem })
}

#[cfg(test)]
thread_local! {
    /// How many manifests this thread has parsed.
    pub(crate) static PARSED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"colca": 1, "generation": 3, "commit": "c-1", "parent": "c-0", "files": [
        {"name": "a.json", "size": 1, "digest": "000102030405060708090a0b0c0d0e0f", "staged": "c-1-0.staged"}]}"#;

    fn check(from: &str, to: &str, problem: Option<&str>) {
        assert!(GOOD.contains(from), "{from}");
        let read = Manifest::parse(3, GOOD.replacen(from, to, 1).as_bytes(), &Limits { files: 2, ..Limits::default() });
        match (read, problem) {
            (Ok(manifest), None) => {
                let again = Manifest::parse(3, &manifest.to_bytes(), &Limits::default());
                assert_eq!(again.as_ref(), Ok(&manifest));
            }
            (Err(told), Some(problem)) => assert!(told.contains(problem), "{told}"),
            (read, problem) => panic!("{read:?} {problem:?}"),
        }
    }

    #[test]
    fn manifests_are_not_trusted() {
        check("c-1", "c-1", None);
        check(r#""size""#, r#""new": [], "size""#, None);
        check(r#""colca": 1"#, r#""colca": 2"#, Some("newer Colca"));
        check(r#""generation": 3"#, r#""generation": 4"#, Some("generation 4"));
        check(r#""generation": 3"#, r#""generation": -1"#, Some("invalid value"));
        check(r#""c-1","#, r#""../c","#, Some("no commit id"));
        check(r#""a.json""#, r#""../a.json""#, Some("path separator"));
        check(r#""a.json""#, r#"".colca""#, Some("Colca's own"));
        for bad in ["4.json", "lock", "latest", "../c-0.staged", "c.staged", "c-.staged", "-0.staged", "a/c-0.staged"] {
            check("c-1-0.staged", bad, Some("no name of a staged file"));
        }
        let other = r#"{"name": "b", "size": 1, "digest": "000102030405060708090a0b0c0d0e0f"}"#;
        check(r#""files": ["#, &format!(r#""files": [{other}, {other}, "#), Some("more than 2 files"));
        check(r#""files": ["#, &format!(r#""files": [{}, "#, other.replace("\"b\"", "\"a.json\"")), Some("twice"));
        check("000102", "xx0102", Some("digest"));
        check(r#""size""#, &format!(r#""new": {}, "size""#, "[".repeat(100_000)), Some("expected value"));
    }

    #[test]
    fn names_tell_what_they_are_of() {
        assert_eq!(generation_of("12.json", ".json"), Some(12));
        for other in ["012.json", "+1.json", "1.json.bak", "x.json", ".json", "99999999999999999999999.json"] {
            assert_eq!(generation_of(other, ".json"), None, "{other}");
        }
        assert!(is_staged(&staged_name("3f2a-b", 0)));
    }
}
