//! What writers write, and whether what a reader finds is one whole state of it.

use std::fmt;

use bytes::Bytes;
use persist::behavior::{Contents, read_all};
use persist::{Changes, CommitOptions, Content, Error, Folder, PersistFile, PersistFs, PreparedWriter, Result, Writer};

/// The files that every state has.
const FILES: [&str; 4] = ["default__vector_store.json", "docstore.json", "graph_store.json", "index_store.json"];

/// One that only even rounds have, so that files come and go.
const SOMETIMES: &str = "extra__vector_store.json";

/// The size of the first file where it is to travel in parts.
const LARGE: usize = (8 << 20) + 1;

/// A state of a place: all files carry the number of the round and the name of the writer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct State {
    round: u64,
    writer: String,
    large: bool,
}

impl State {
    /// That of a round.
    pub fn new(round: u64, writer: impl fmt::Display) -> Self {
        Self { round, writer: writer.to_string(), large: false }
    }

    /// The same with a file of several parts.
    #[must_use]
    pub fn large(self) -> Self {
        Self { large: true, ..self }
    }

    /// The same writer's in another round.
    #[must_use]
    pub fn at(&self, round: u64) -> Self {
        Self { round, ..self.clone() }
    }

    /// As arguments of a program.
    pub fn arguments(&self) -> [String; 3] {
        [self.round.to_string(), self.writer.clone(), self.large.to_string()]
    }

    /// From arguments of a program.
    pub fn from_arguments(arguments: &[String]) -> Self {
        let [round, writer, large] = arguments else { panic!("a state has three arguments") };
        Self { round: round.parse().unwrap(), writer: writer.clone(), large: large == "true" }
    }

    /// The round.
    pub fn round(&self) -> u64 {
        self.round
    }

    fn content(&self, name: &str) -> String {
        let text = format!("{{\"round\": {}, \"writer\": \"{}\"}}", self.round, self.writer);
        match self.large && name == FILES[0] {
            true => text + &" ".repeat(LARGE),
            false => text,
        }
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        FILES.into_iter().chain(self.round.is_multiple_of(2).then_some(SOMETIMES))
    }

    /// What is written.
    pub fn changes(&self) -> Changes {
        let write = self.names().map(|name| PersistFile::new(name, Content::Bytes(self.content(name).into())));
        let remove = if self.round.is_multiple_of(2) { vec![] } else { vec![SOMETIMES.to_owned()] };
        Changes { write: write.collect(), remove, ..Changes::default() }
    }

    /// Writes the state as LlamaIndex does: one file after the other, without a commit.
    pub async fn write_plainly(&self, operator: &opendal::Operator) {
        for name in self.names() {
            operator.write(name, self.content(name)).await.unwrap();
        }
    }

    /// The state that these files are, the empty place's being none.
    fn of(found: &Contents) -> Result<Option<Self>, String> {
        let Some(first) = found.get(FILES[1]) else {
            return if found.is_empty() { Ok(None) } else { Err(told(found)) };
        };
        let (round, writer) = first
            .strip_prefix("{\"round\": ")
            .and_then(|rest| rest.strip_suffix("\"}")?.split_once(", \"writer\": \""))
            .ok_or_else(|| told(found))?;
        let large = found.get(FILES[0]).is_some_and(|text| text.len() > LARGE);
        let state = Self { round: round.parse().map_err(|_| told(found))?, writer: writer.to_owned(), large };
        let whole: Contents = state.names().map(|name| (name.to_owned(), state.content(name))).collect();
        if *found == whole { Ok(Some(state)) } else { Err(told(found)) }
    }
}

/// The files of something that is no state, in short.
fn told(found: &Contents) -> String {
    let files: Vec<_> = found.iter().map(|(name, text)| format!("{name}: {}", text.trim_end())).collect();
    format!("a mixture: {}", files.join("; "))
}

/// What a reader of ours finds.
///
/// # Errors
/// If that is no whole state, or cannot be read.
pub async fn read(place: &dyn PersistFs) -> Result<Option<State>, String> {
    let (found, _) = read_all(place).await.map_err(|e| described(&e))?;
    State::of(&found)
}

/// What a program finds that knows nothing of commits, such as LlamaIndex.
///
/// # Errors
/// As [`read`].
pub async fn read_plainly(place: &dyn PersistFs) -> Result<Option<State>, String> {
    let mut found = Contents::new();
    for info in place.list(Folder::Published).await.map_err(|e| described(&e))? {
        let bytes = place.read(&info.name, u64::MAX).await.map_err(|e| described(&e))?;
        let bytes: Bytes = bytes.ok_or_else(|| format!("{} has vanished", info.name))?;
        found.insert(info.name, String::from_utf8_lossy(&bytes).into_owned());
    }
    State::of(&found)
}

/// A writer that is ready to commit.
///
/// # Errors
/// Those of [`Writer`].
pub async fn prepare(place: &dyn PersistFs) -> Result<PreparedWriter<'_>> {
    Writer::begin(place, CommitOptions::default()).await?.prepare().await
}

/// Commits a state, whatever is there.
///
/// # Errors
/// Those of [`Writer`], and what kept it from publishing.
pub async fn commit(place: &dyn PersistFs, state: &State) -> Result<()> {
    finish(prepare(place).await?, state).await
}

/// Makes a commit that changes nothing.
///
/// # Errors
/// As [`commit`].
pub async fn commit_nothing(place: &dyn PersistFs) -> Result<()> {
    let committed = prepare(place).await?.commit(Changes::default()).await?;
    committed.unpublished.map_or(Ok(()), Err)
}

/// Commits a state with a writer that is ready.
///
/// # Errors
/// As [`commit`].
pub async fn finish(writer: PreparedWriter<'_>, state: &State) -> Result<()> {
    let committed = writer.commit(state.changes()).await?;
    match committed.unpublished {
        None if committed.foreign.is_empty() => Ok(()),
        None => Err(Error::failed("the place", "publish", committed.foreign.join(", "), "taken for another program's")),
        Some(e) => Err(e),
    }
}

/// An error with its causes.
pub fn described(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
