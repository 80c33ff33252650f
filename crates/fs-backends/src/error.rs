/// The result of making a place.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something is not a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A URI with a scheme that this build has no place for.
    #[error(
        "'{uri}': there is no place for '{scheme}://' here; use a path, 'file:///path', or hand over a place of your own"
    )]
    UnknownScheme {
        /// The URI.
        uri: String,
        /// Its scheme.
        scheme: String,
    },
    /// A `file:` URI that names another host.
    #[error("'{uri}' names the host '{host}'; a file URI of this machine has three slashes: 'file:///path'")]
    ForeignHost {
        /// The URI.
        uri: String,
        /// The host in it.
        host: String,
    },
    /// Nothing was given.
    #[error("the place is an empty string; use '.' for the current folder")]
    Empty,
}
