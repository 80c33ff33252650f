use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_backends::{IntoReadFs, LocalFs, ReadFs};
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt, iter};
use raw_json::PyString;
use schema::{Metadata, Node};

use super::decode::TextEncoding;
use super::file_reader::{self, Format};
use super::selection::Selection;
use super::{DecodeErrors, FileContent, FileReader, ReadError, metadata, paths};
use crate::Result;

/// Which files that cannot be read are errors, and which are skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnError {
    /// Files that a reader of their format fails on are skipped, and folders that cannot be listed. A text that cannot
    /// be read or decoded is an error. This is what LlamaIndex does.
    #[default]
    SkipFailedReaders,
    /// All are skipped.
    Skip,
    /// All are errors: LlamaIndex's `raise_on_error`.
    Raise,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The documents, in the order of their files.
    pub documents: Vec<Node>,
    /// What was skipped.
    pub skipped: Vec<Skipped>,
}

/// A file, or a folder, that was skipped.
#[derive(Debug)]
pub struct Skipped {
    /// Its path.
    pub path: PathBuf,
    /// Why.
    pub reason: ReadError,
}

/// Makes documents of the files of a folder: LlamaIndex's `SimpleDirectoryReader`.
///
/// A file whose format has a reader, here or among those that are given, becomes the documents that the reader makes of
/// it; any other is text, and becomes one document. Files come in the order of the parts of their paths, and what they
/// become has their paths, names, types, sizes and dates in its metadata. Models are shown the path only.
///
/// The folder is listed whenever something is asked. Memory: the documents, and the files that are just being read.
///
/// ```
/// use fs_backends::MemoryFiles;
/// use indices::DirectoryReader;
///
/// # pollster::block_on(async {
/// let files = MemoryFiles::new([("stores/colca.md", "# Colca\nA storehouse."), ("notes.txt", "Llamas carry.")])?;
/// let reader = DirectoryReader::of_place(files).recursive(true).filename_as_id(true);
/// let documents = reader.load_data().await?;
/// assert_eq!(documents[0].id, "/notes.txt");
/// assert_eq!(documents[1].text_content(), "# Colca\nA storehouse.");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct DirectoryReader {
    source: Source,
    selection: Selection,
    encoding: String,
    errors: DecodeErrors,
    filename_as_id: bool,
    file_extractor: HashMap<String, Arc<dyn FileReader>>,
    file_metadata: Option<Arc<FileMetadata>>,
    on_error: OnError,
    num_workers: usize,
}

type FileMetadata = dyn Fn(&Path) -> Metadata + Send + Sync;

#[derive(Debug, Clone)]
enum Source {
    Folder {
        fs: Arc<dyn ReadFs>,
        /// The folder as it was given.
        given: PathBuf,
    },
    Files(Vec<File>),
}

/// A file and where it is.
#[derive(Debug, Clone)]
struct File {
    fs: Arc<dyn ReadFs>,
    /// Its path within the place.
    name: PathBuf,
    /// Its path as it is told.
    path: PathBuf,
}

impl fmt::Debug for DirectoryReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryReader")
            .field("source", &self.source)
            .field("selection", &self.selection)
            .finish_non_exhaustive()
    }
}

impl DirectoryReader {
    /// Reads the files of a local folder. Links to files are files; links to folders are not followed.
    pub fn new(directory: impl AsRef<Path>) -> Self {
        let given = directory.as_ref().to_owned();
        Self::from_source(Source::Folder { fs: Arc::new(LocalFs::new(&given)), given })
    }

    /// Reads the files of a location: a path, a URI such as `s3://bucket/prefix`, the files of a service, or files in
    /// memory. In a bucket the documents' paths are `bucket/prefix/name`, as with fsspec's file systems.
    ///
    /// # Errors
    /// [`fs_backends::Error`], for what is no location.
    ///
    /// ```
    /// use indices::DirectoryReader;
    ///
    /// let local = DirectoryReader::from_location("file:///data/essays")?;
    /// assert!(DirectoryReader::from_location("ftp://host/essays").is_err());
    /// # Ok::<(), fs_backends::Error>(())
    /// ```
    pub fn from_location(location: impl IntoReadFs) -> fs_backends::Result<Self> {
        let fs = location.into_read_fs()?;
        let given = fs.folder();
        Ok(Self::from_source(Source::Folder { fs, given }))
    }

    /// Reads the files of a place.
    pub fn of_place(fs: impl ReadFs) -> Self {
        let given = fs.folder();
        Self::from_source(Source::Folder { fs: Arc::new(fs), given })
    }

    /// Reads these local files, in this order. What is said of the files of a folder does not matter for them.
    pub fn from_files(files: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        let file = |given: &Path| {
            let path = paths::normal(given);
            let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let name = path.file_name().unwrap_or_default().into();
            File { fs: Arc::new(LocalFs::new(folder)), name, path }
        };
        Self::from_source(Source::Files(files.into_iter().map(|given| file(given.as_ref())).collect()))
    }

    /// Reads these files of a place, named by their paths within it, in this order.
    pub fn from_files_of_place(fs: impl ReadFs, names: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        let fs: Arc<dyn ReadFs> = Arc::new(fs);
        let file = |name: PathBuf| File { fs: Arc::clone(&fs), path: fs.folder().join(&name), name };
        Self::from_source(Source::Files(names.into_iter().map(|name| file(name.into())).collect()))
    }

    fn from_source(source: Source) -> Self {
        Self {
            source,
            selection: Selection::default(),
            encoding: "utf-8".to_owned(),
            errors: DecodeErrors::default(),
            filename_as_id: false,
            file_extractor: HashMap::new(),
            file_metadata: None,
            on_error: OnError::default(),
            num_workers: 1,
        }
    }

    /// Leaves out what these patterns match, with all that is below it.
    ///
    /// `*`, `?`, `[a-z]` and `[!a-z]` match within a part of a path, hidden ones too, and `**` matches any number of
    /// parts; braces and backslashes are themselves, and case matters. Patterns begin at the folder, or at any folder
    /// below it if that is [`recursive`](Self::recursive); those that begin with a slash match whole paths.
    #[must_use]
    pub fn exclude(mut self, patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.selection.exclude = patterns.into_iter().map(Into::into).collect();
        self
    }

    /// Whether files are left out whose names, or those of their folders below this one, begin with a dot; they are by
    /// default.
    #[must_use]
    pub fn exclude_hidden(mut self, exclude: bool) -> Self {
        self.selection.exclude_hidden = exclude;
        self
    }

    /// Whether empty files are left out; by default they become empty documents.
    #[must_use]
    pub fn exclude_empty(mut self, exclude: bool) -> Self {
        self.selection.exclude_empty = exclude;
        self
    }

    /// Whether the files of all folders below this one are read too; not by default.
    #[must_use]
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.selection.recursive = recursive;
        self
    }

    /// Reads only files with these suffixes, each with its dot, such as `.txt`; an empty one stands for files without.
    /// Case matters.
    #[must_use]
    pub fn required_exts(mut self, suffixes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.selection.required_exts = Some(suffixes.into_iter().map(Into::into).collect());
        self
    }

    /// Reads no more than so many files, the first of those that are left; 0 stands for all, the default.
    #[must_use]
    pub fn num_files_limit(mut self, files: usize) -> Self {
        self.selection.num_files_limit = Some(files);
        self
    }

    /// The encoding of texts, by the name that Python or the web gives it; `utf-8` by default.
    #[must_use]
    pub fn encoding(mut self, encoding: impl Into<String>) -> Self {
        self.encoding = encoding.into();
        self
    }

    /// What becomes of bytes that are not in the encoding; they are ignored by default.
    #[must_use]
    pub fn errors(mut self, errors: DecodeErrors) -> Self {
        self.errors = errors;
        self
    }

    /// Whether documents have the paths of their files as ids, so that they are known again; random by default.
    /// Documents of a reader have `_part_0`, `_part_1` and so on behind the path.
    #[must_use]
    pub fn filename_as_id(mut self, as_id: bool) -> Self {
        self.filename_as_id = as_id;
        self
    }

    /// Reads files of this suffix, such as `.pdf`, with a reader of its own.
    #[must_use]
    pub fn file_extractor(mut self, suffix: &str, reader: impl FileReader) -> Self {
        let suffix = suffix.strip_prefix('.').unwrap_or(suffix).to_lowercase();
        self.file_extractor.insert(suffix, Arc::new(reader));
        self
    }

    /// What documents have in their metadata, in place of the default. It is called with a file's path.
    #[must_use]
    pub fn file_metadata(mut self, of: impl Fn(&Path) -> Metadata + Send + Sync + 'static) -> Self {
        self.file_metadata = Some(Arc::new(of));
        self
    }

    /// What becomes of files that cannot be read; [`OnError::SkipFailedReaders`] by default.
    #[doc(alias = "raise_on_error")]
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    /// How many files are read at the same time; 1 by default, and at least that. The order stays the same.
    #[must_use]
    pub fn num_workers(mut self, workers: usize) -> Self {
        self.num_workers = workers.max(1);
        self
    }

    /// Reads all files. What is skipped is logged as a warning; [`load`](Self::load) also tells it.
    ///
    /// # Errors
    /// [`ReadError`], for a folder or a file that is not there, no files at all, settings that mean nothing, and files
    /// that cannot be read as far as [`on_error`](Self::on_error) does not skip them.
    pub async fn load_data(&self) -> Result<Vec<Node>> {
        Ok(self.load().await?.documents)
    }

    /// Reads all files, and tells what was skipped.
    ///
    /// # Errors
    /// As [`load_data`](Self::load_data).
    pub async fn load(&self) -> Result<Loaded> {
        let mut files = self.iter_data().await?;
        let mut all = Loaded::default();
        while let Some(one) = files.try_next().await? {
            all.documents.extend(one.documents);
            all.skipped.extend(one.skipped);
        }
        Ok(all)
    }

    /// Reads one file after the other, as they are asked for. Folders that were skipped, if any, come first.
    ///
    /// # Errors
    /// As [`load_data`](Self::load_data): at once for what concerns all files, and within the stream for one of them.
    pub async fn iter_data(&self) -> Result<BoxStream<'_, Result<Loaded>>> {
        let encoding = TextEncoding::of(&self.encoding)?;
        let (files, skipped) = self.files().await?;
        let folders = (!skipped.is_empty()).then(|| Ok(Loaded { documents: Vec::new(), skipped }));
        let read = iter(files).map(move |file| self.load_or_skip(file, encoding)).buffered(self.num_workers);
        Ok(iter(folders).chain(read).boxed())
    }

    /// The paths of the files that are read.
    ///
    /// # Errors
    /// As [`load_data`](Self::load_data), but for what is wrong with single files.
    pub async fn list_resources(&self) -> Result<Vec<PathBuf>> {
        Ok(self.files().await?.0.into_iter().map(|file| file.path).collect())
    }

    /// What is known of a file: path, size, and the times it came to be and changed last, in UTC, to the second.
    ///
    /// It is named by its path, or by its path within the folder. Files that are not among those that are read may be
    /// asked for too, but none outside the folder.
    ///
    /// # Errors
    /// [`ReadError::NoFile`], [`ReadError::Foreign`], and what else keeps it from being looked at.
    pub async fn resource_info(&self, path: impl AsRef<Path>) -> Result<Metadata> {
        let file = self.find(path.as_ref())?;
        let stat = file.fs.file_stat(&file.name).await.map_err(|e| file.failed(e))?;
        Ok(metadata::of_resource(&file.path, &stat))
    }

    /// The documents of one file, named as for [`resource_info`](Self::resource_info). Models are shown all of their
    /// metadata.
    ///
    /// # Errors
    /// As [`resource_info`](Self::resource_info), and if it cannot be read, whatever [`on_error`](Self::on_error) says.
    pub async fn load_resource(&self, path: impl AsRef<Path>) -> Result<Vec<Node>> {
        let file = self.find(path.as_ref())?;
        Ok(self.load_file(&file, TextEncoding::of(&self.encoding)?).await?)
    }

    /// The content of a file, named as for [`resource_info`](Self::resource_info).
    ///
    /// # Errors
    /// As [`resource_info`](Self::resource_info), and if it cannot be read.
    pub async fn read_file_content(&self, path: impl AsRef<Path>) -> Result<Vec<u8>> {
        let file = self.find(path.as_ref())?;
        Ok(file.fs.read_file(&file.name).await.map_err(|e| file.failed(e))?.into())
    }

    /// The files that are read, and folders that cannot be listed.
    async fn files(&self) -> Result<(Vec<File>, Vec<Skipped>), ReadError> {
        let (fs, given) = match &self.source {
            Source::Folder { fs, given } => (fs, given),
            Source::Files(files) if files.is_empty() => return Err(ReadError::NothingGiven),
            Source::Files(files) => {
                for file in files {
                    file.fs.file_stat(&file.name).await.map_err(|e| file.failed(e))?;
                }
                return Ok((files.clone(), Vec::new()));
            }
        };
        let folder = paths::normal(&fs.folder());
        let listing = fs.list_files(self.selection.recursive).await.map_err(|e| match e.is_not_found() {
            true => ReadError::NoDirectory { directory: given.clone() },
            false => e.into(),
        })?;
        let mut skipped = Vec::new();
        for (name, reason) in listing.unreadable {
            self.skip(&mut skipped, folder.join(name), reason.into())?;
        }
        let files = self.selection.of(&folder, listing.files)?;
        if files.is_empty() {
            return Err(ReadError::NoFiles { directory: given.clone() });
        }
        let file = |name: PathBuf| File { fs: Arc::clone(fs), path: folder.join(&name), name };
        Ok((files.into_iter().map(|stat| file(stat.name)).collect(), skipped))
    }

    /// The file of a path.
    fn find(&self, path: &Path) -> Result<File, ReadError> {
        let path = paths::normal(path);
        let foreign = || ReadError::Foreign { path: path.clone() };
        match &self.source {
            Source::Files(files) => files.iter().find(|file| file.path == path).cloned().ok_or_else(foreign),
            Source::Folder { fs, .. } => {
                let folder = paths::normal(&fs.folder());
                let name = path.strip_prefix(&folder).unwrap_or(&path).to_owned();
                if name.is_absolute() {
                    return Err(foreign());
                }
                Ok(File { fs: Arc::clone(fs), path: folder.join(&name), name })
            }
        }
    }

    async fn load_or_skip(&self, file: File, encoding: TextEncoding) -> Result<Loaded> {
        let mut loaded = Loaded::default();
        match self.load_file(&file, encoding).await {
            Ok(documents) => loaded.documents = documents,
            Err(reason) => self.skip(&mut loaded.skipped, file.path, reason)?,
        }
        for document in &mut loaded.documents {
            document.excluded_embed_metadata_keys.extend(metadata::EXCLUDED.map(PyString::from));
            document.excluded_llm_metadata_keys.extend(metadata::EXCLUDED.map(PyString::from));
        }
        Ok(loaded)
    }

    /// Skips a file or folder, or returns why it must not be skipped.
    fn skip(&self, skipped: &mut Vec<Skipped>, path: PathBuf, reason: ReadError) -> Result<(), ReadError> {
        let may_be_skipped = match (self.on_error, &reason) {
            (OnError::Raise, _) => false,
            (OnError::Skip, _) | (_, ReadError::Reader { .. } | ReadError::NoReader { .. }) => true,
            (_, reason) => matches!(reason, ReadError::Place(persist::Error::Failed { operation: "list", .. })),
        };
        if !may_be_skipped {
            return Err(reason);
        }
        tracing::warn!(path = %path.display(), reason = &reason as &dyn std::error::Error, "it is skipped");
        skipped.push(Skipped { path, reason });
        Ok(())
    }

    async fn load_file(&self, file: &File, encoding: TextEncoding) -> Result<Vec<Node>, ReadError> {
        let metadata = match &self.file_metadata {
            Some(of) => of(&file.path),
            None => {
                let stat = file.fs.file_stat(&file.name).await.map_err(|e| file.failed(e))?;
                metadata::of_file(&file.path, &stat)
            }
        };
        let suffix = paths::suffix(&file.path).to_lowercase();
        let format = match self.file_extractor.get(&suffix) {
            Some(reader) => Format::Read(Arc::clone(reader)),
            None => file_reader::format(&suffix),
        };
        match format {
            Format::Unread(advice) => Err(ReadError::NoReader { path: file.path.clone(), advice }),
            Format::Read(reader) => self.load_with(&*reader, file, &metadata).await,
            Format::Text => {
                let bytes = file.fs.read_file(&file.name).await.map_err(|e| file.failed(e))?;
                let text = encoding.decode(&bytes, self.errors).map_err(|position| ReadError::Decode {
                    path: file.path.clone(),
                    encoding: self.encoding.clone(),
                    position,
                })?;
                let document = Node { metadata, ..Node::document(text) };
                Ok(vec![if self.filename_as_id { document.with_id(paths::string(&file.path)) } else { document }])
            }
        }
    }

    async fn load_with(
        &self,
        reader: &dyn FileReader,
        file: &File,
        metadata: &Metadata,
    ) -> Result<Vec<Node>, ReadError> {
        let failed = |source| ReadError::Reader { path: file.path.clone(), source };
        let bytes = file.fs.read_file(&file.name).await.map_err(|e| failed(e.into()))?;
        let content = FileContent { path: &file.path, bytes: &bytes, metadata };
        let mut documents = reader.load_data(content).await.map_err(failed)?;
        if self.filename_as_id {
            let path = paths::string(&file.path);
            for (at, document) in documents.iter_mut().enumerate() {
                document.id = PyString::concat([&path, &PyString::from(format!("_part_{at}"))]);
            }
        }
        Ok(documents)
    }
}

impl File {
    fn failed(&self, e: persist::Error) -> ReadError {
        match e {
            persist::Error::NotFound { .. } => ReadError::NoFile { file: self.path.clone() },
            persist::Error::InvalidName { .. } => ReadError::Foreign { path: self.path.clone() },
            e => e.into(),
        }
    }
}
