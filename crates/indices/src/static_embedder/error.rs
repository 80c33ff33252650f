/// Why a static embedding model could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StaticModelError {
    /// A folder lacks a file of a model.
    #[error("there is no {wanted} in {folder}; take the folder that the model's files were unpacked to")]
    NoFile {
        /// The folder.
        folder: String,
        /// What was looked for.
        wanted: &'static str,
    },
    /// A folder has several files that could be meant.
    #[error("there are several files that could be the {wanted} in {folder}: {}; name one with `open_files`", .found.join(", "))]
    SeveralFiles {
        /// The folder.
        folder: String,
        /// What was looked for.
        wanted: &'static str,
        /// The files.
        found: Vec<String>,
    },
    /// A path that names no file.
    #[error("'{path}' names no file; give the path of the file itself")]
    NoPath {
        /// The path.
        path: String,
    },
    /// A file is not what it should be, or is cut off.
    #[error("{file} is no {wanted}: {problem}; fetch the model's files again")]
    Damaged {
        /// The file.
        file: String,
        /// What it should be.
        wanted: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A tensor is missing, or is not what it should be.
    #[error("the tensor '{tensor}' in {file} {problem}; take a static embedding model (model2vec, wordllama)")]
    Tensor {
        /// The file.
        file: String,
        /// The tensor.
        tensor: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The tokenizer knows tokens that the weights do not.
    #[error(
        "{tokenizer} has a token {token} and {weights} has {tokens} tokens; take the files of one and the same model"
    )]
    OtherTokenizer {
        /// The file of the tokenizer.
        tokenizer: String,
        /// The last of its tokens.
        token: u32,
        /// The file of the weights.
        weights: String,
        /// How many tokens it has.
        tokens: usize,
    },
    /// A file cannot be read.
    #[error(transparent)]
    Place(#[from] persist::Error),
}
