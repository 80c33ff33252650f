use std::path::PathBuf;

use crate::ModelError;

/// Why documents could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no such folder.
    #[error("Directory {} does not exist.", .directory.display())]
    NoDirectory {
        /// The folder as it was given.
        directory: PathBuf,
    },
    /// There is no such file.
    #[error("File {} does not exist.", .file.display())]
    NoFile {
        /// The file as it was given.
        file: PathBuf,
    },
    /// No file of the folder is to be read.
    #[error("No files found in {}.", .directory.display())]
    NoFiles {
        /// The folder as it was given.
        directory: PathBuf,
    },
    /// The list of files is empty.
    #[error("no files were given; name some, or a folder")]
    NothingGiven,
    /// A pattern of files to leave out that is none.
    #[error("'{pattern}' is no pattern of files: {problem}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An encoding that is not known.
    #[error("unknown encoding: {encoding}")]
    UnknownEncoding {
        /// Its name as it was given.
        encoding: String,
    },
    /// A text that is not in its encoding.
    #[error(
        "{} is not in the encoding {encoding}: byte {position} is wrong; name another encoding, or ignore or replace \
         what is wrong", .path.display()
    )]
    Decode {
        /// The file.
        path: PathBuf,
        /// The encoding.
        encoding: String,
        /// Where the first wrong byte is, from 0.
        position: usize,
    },
    /// A file of a format that is no text, and nothing here reads it.
    #[error("{} is of a format that is no text, and nothing here reads it: {advice}", .path.display())]
    NoReader {
        /// The file.
        path: PathBuf,
        /// What can be done.
        advice: String,
    },
    /// The reader of a format failed.
    #[error("{} cannot be read", .path.display())]
    Reader {
        /// The file.
        path: PathBuf,
        /// What the reader reports.
        source: ModelError,
    },
    /// A file was asked for that is not below the folder, or not among the files.
    #[error("{} is not among the files of this reader", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The place of the files failed.
    #[error(transparent)]
    Place(#[from] persist::Error),
}

impl ReadError {
    /// Whether a file or a folder was not there.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::NoDirectory { .. } | Self::NoFile { .. } => true,
            Self::Place(e) => e.is_not_found(),
            _ => false,
        }
    }
}
