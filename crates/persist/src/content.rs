use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3Default;

use crate::PersistFs;

/// The files of one commit.
pub type PersistFiles = Vec<PersistFile>;

/// One file of a commit.
#[derive(Debug)]
pub struct PersistFile {
    /// A plain file name.
    pub name: String,
    /// What to write.
    pub content: Content,
    /// Files that may have this content already. The first that is still as it was is copied, byte for byte, instead.
    pub originals: Vec<Original>,
}

impl PersistFile {
    /// A file with this content.
    pub fn new(name: impl Into<String>, content: Content) -> Self {
        Self { name: name.into(), content, originals: Vec::new() }
    }
}

/// A published file, as it was when it was read or written.
#[derive(Debug, Clone)]
pub struct Original {
    /// Where it is.
    pub place: Arc<dyn PersistFs>,
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of its content.
    pub digest: Digest,
}

impl Original {
    /// The file's content, if that is still what it was. One that cannot be read is as good as none.
    pub(crate) async fn read(&self) -> Option<Bytes> {
        let bytes = self.place.read(&self.name, self.size).await.ok()??;
        (Digest::of(&bytes) == self.digest).then_some(bytes)
    }
}

/// A store in memory as a file: a consistent state and how to write it.
#[derive(Debug)]
pub struct StoreFile {
    /// The content. Bytes that are at hand are the very ones that were loaded.
    pub content: Content,
    /// Which state of which store this is.
    pub revision: Revision,
}

/// A state of a store. No two states of one store, or of two, have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision(u64);

impl Revision {
    /// One that no other state has, in this process.
    pub fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }
}

/// That of a store that was just made.
impl Default for Revision {
    fn default() -> Self {
        Self::next()
    }
}

impl StoreFile {
    /// The text that was loaded, if nothing has changed since; otherwise what `write` makes.
    pub fn new(
        original: Option<Bytes>,
        revision: Revision,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let content = original.map_or_else(|| Content::writer(write), Content::Bytes);
        Self { content, revision }
    }
}

/// A file's content: bytes that are at hand, or the function that writes them.
pub enum Content {
    /// The bytes.
    Bytes(Bytes),
    /// Writes the bytes. It may fail, and then nothing is committed.
    Writer(WriteContent),
}

type WriteContent = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send + Sync>;

impl Content {
    /// A content that is produced when it is written.
    pub fn writer(write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::Writer(Box::new(write))
    }

    /// Writes the content, counting and digesting on the way.
    ///
    /// # Errors
    /// Those of `out` and of the function that produces the content.
    pub fn write_to(self, out: &mut dyn Write) -> io::Result<(u64, Digest)> {
        let mut out = Digesting { out, size: 0, hash: Xxh3Default::new() };
        match self {
            Self::Bytes(bytes) => out.write_all(&bytes)?,
            Self::Writer(write) => write(&mut out)?,
        }
        out.flush()?;
        Ok((out.size, Digest(out.hash.digest128())))
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&'static str> for Content {
    fn from(text: &'static str) -> Self {
        Self::Bytes(text.into())
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Writer(_) => f.write_str("a writer"),
        }
    }
}

/// How much is written and digested at once, in bytes.
const PIECE: usize = 256 << 10;

struct Digesting<'a> {
    out: &'a mut dyn Write,
    size: u64,
    hash: Xxh3Default,
}

impl Write for Digesting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Pieces that stay in the cache between writing and digesting.
        let n = self.out.write(&bytes[..bytes.len().min(PIECE)])?;
        self.size += n as u64;
        self.hash.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What a file's bytes are known by: their XXH3 hash of 128 bits. It finds damage, not malice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest(u128);

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(bytes))
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let value = hex.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        value.map(Self).ok_or_else(|| InvalidDigest(text.to_owned()))
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidDigest;

    fn try_from(text: String) -> Result<Self, InvalidDigest> {
        text.parse()
    }
}

/// A text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no digest: that is 32 hexadecimal digits")]
pub struct InvalidDigest(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_content_digest_alike() {
        let text = "abc".repeat(100_000);
        let pieces = text.clone();
        let by_pieces =
            Content::writer(move |out| pieces.as_bytes().chunks(7).try_for_each(|piece| out.write_all(piece)));
        let mut out = Vec::new();
        let (size, digest) = by_pieces.write_to(&mut out).unwrap();
        assert_eq!((size, digest), (300_000, Digest::of(text.as_bytes())));
        assert_eq!(Content::Bytes(out.into()).write_to(&mut io::sink()).unwrap(), (size, digest));
    }
}
