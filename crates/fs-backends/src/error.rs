/// The result of making a location.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something is not a location.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A URI with a scheme that no service has.
    #[error(
        "'{uri}': there is no service '{scheme}://'; there are {}; any other service is reached through ObjectFs::new \
         with an OpenDAL operator",
        SCHEMES
    )]
    UnknownScheme {
        /// The URI, without its settings.
        uri: String,
        /// Its scheme.
        scheme: String,
    },
    /// A URI of a service that this build does not include.
    #[error(
        "'{uri}': this build does not include '{scheme}://'; enable the feature '{feature}' of colca or fs-backends"
    )]
    NotIncluded {
        /// The URI, without its settings.
        uri: String,
        /// Its scheme.
        scheme: String,
        /// The cargo feature that includes the service.
        feature: &'static str,
    },
    /// A `file:` URI that names another host.
    #[error("'{uri}' names the host '{host}'; a file URI of this machine has three slashes: 'file:///path'")]
    ForeignHost {
        /// The URI.
        uri: String,
        /// The host in it.
        host: String,
    },
    /// A URI that cannot be understood.
    #[error("'{uri}': {problem}")]
    InvalidUri {
        /// The URI, without its settings.
        uri: String,
        /// What is wrong with it, and what helps.
        problem: String,
    },
    /// A URI with a setting that its service does not have.
    #[error("'{uri}' has no setting '{setting}'; the settings of {scheme}:// are: {}", known.join(", "))]
    UnknownSetting {
        /// The URI, without its settings.
        uri: String,
        /// Its scheme.
        scheme: String,
        /// The setting.
        setting: String,
        /// The settings that there are.
        known: Vec<&'static str>,
    },
    /// A URI with a secret in it. URIs end up in logs and lists of processes.
    #[error(
        "'{uri}' has the secret '{setting}' in it, which others could read there; set the environment variable {variable}, or give it to the config in code"
    )]
    SecretInUri {
        /// The URI, without its settings.
        uri: String,
        /// The setting.
        setting: String,
        /// The environment variable to use instead.
        variable: &'static str,
    },
    /// A setting with a value that cannot be used.
    #[error("{service}: the setting '{setting}' cannot be used: {problem}")]
    InvalidSetting {
        /// The service.
        service: &'static str,
        /// The setting.
        setting: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A setting that is needed and found nowhere.
    #[error("{service}: {setting} is missing; {advice}")]
    MissingSetting {
        /// The service.
        service: &'static str,
        /// What is missing.
        setting: &'static str,
        /// Where it may be set.
        advice: &'static str,
    },
    /// Nothing was given.
    #[error("the location is an empty string; use '.' for the current folder")]
    Empty,
}

/// The schemes that locations may have.
const SCHEMES: &str = "file://, memory://, s3://, r2://, gs:// and az:// (or abfs://)";
