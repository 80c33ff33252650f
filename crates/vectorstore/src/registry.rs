use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;

use crate::sniff::seems;
use crate::{Error, Result, VectorStore};

/// Makes a vector store of a file.
pub trait VectorStoreLoader: Debug + Send + Sync + 'static {
    /// The store's name, for messages.
    fn name(&self) -> &'static str;

    /// Whether a file that starts with `head` is this store's. `head` is the file's first 4 KiB, or all of a shorter
    /// file.
    fn recognises(&self, head: &[u8]) -> bool;

    /// Loads a file that was recognised.
    ///
    /// # Errors
    /// If the file turns out to be damaged.
    fn load(&self, file: Bytes) -> Result<Arc<dyn VectorStore>>;
}

/// The loaders that a place's files are shown to, in order.
#[derive(Debug, Clone, Default)]
pub struct VectorStoreRegistry {
    loaders: Vec<Arc<dyn VectorStoreLoader>>,
}

/// How much of a file a loader sees before it is asked to load it.
const HEAD: usize = 4096;

impl VectorStoreRegistry {
    /// Knows no loader yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a loader, to be asked after those before it.
    #[must_use]
    pub fn with(mut self, loader: impl VectorStoreLoader) -> Self {
        self.loaders.push(Arc::new(loader));
        self
    }

    /// Loads a file with the first loader that recognises it.
    ///
    /// # Errors
    /// [`Error::Unrecognised`] if none does, with what the file seems to be and what to do; otherwise what the
    /// loader reports.
    pub fn load(&self, file: Bytes) -> Result<Arc<dyn VectorStore>> {
        let head = &file[..file.len().min(HEAD)];
        match self.loaders.iter().find(|loader| loader.recognises(head)) {
            Some(loader) => loader.load(file),
            None => Err(self.unrecognised(head)),
        }
    }

    fn unrecognised(&self, head: &[u8]) -> Error {
        let names: Vec<_> = self.loaders.iter().map(|loader| loader.name()).collect();
        let known = if names.is_empty() { "any store that is known here".to_owned() } else { names.join(" or ") };
        let (seems, advice) = seems(head).unwrap_or((
            "something unknown",
            "if another program wrote it, open that program's store and pass it when opening this place",
        ));
        Error::Unrecognised { known, seems, advice }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Refusing(&'static str, u8);

    impl VectorStoreLoader for Refusing {
        fn name(&self) -> &'static str {
            self.0
        }

        fn recognises(&self, head: &[u8]) -> bool {
            assert!(head.len() <= HEAD);
            head.first() == Some(&self.1)
        }

        fn load(&self, _: Bytes) -> Result<Arc<dyn VectorStore>> {
            Err(Error::MissingEmbedding { id: self.0.into() })
        }
    }

    #[test]
    fn the_first_that_recognises_a_file_loads_it() {
        let registry =
            VectorStoreRegistry::new().with(Refusing("a", b'a')).with(Refusing("b", b'b')).with(Refusing("c", b'b'));
        let by = |file: &'static [u8]| registry.load(Bytes::from_static(file)).unwrap_err().to_string();
        assert!(by(b"b").contains("node 'b'"));
        assert!(by(&[b'a'; 10_000]).contains("node 'a'"));
        assert_eq!(
            by(b"IxF2"),
            "not a file of a or b or c, it seems to be a FAISS index: \
             open it with FAISS and pass that store when opening this place"
        );
        assert!(by(b"?").contains("something unknown"));
    }
}
