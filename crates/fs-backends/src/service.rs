//! What the configs of all services have in common.

use std::path::PathBuf;
use std::time::Duration;

use opendal::{Builder, HttpTransporter, OperationContext, Operator};

use crate::environment::Environment;
use crate::http::HttpClient;
use crate::uri::Uri;
use crate::{DiskCache, Error, ObjectFs, RequestOptions, Result};

/// A service as its URIs know it.
pub(crate) struct Service {
    /// What messages call it.
    pub(crate) name: &'static str,
    /// The settings that only this service has.
    pub(crate) settings: &'static [&'static str],
    /// The settings that are secrets, each with the variable that it is taken from.
    pub(crate) secrets: &'static [(&'static str, &'static str)],
}

/// The settings that all services have.
const SHARED: [&str; 6] = ["cache", "cache_bytes", "connect_timeout_s", "deadline_s", "retries", "timeout_s"];

/// The setting of all services whose instances have a metadata service.
pub(crate) const METADATA_SERVICE: &str = "metadata_service";

/// The settings that all services have, with their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shared {
    pub(crate) prefix: String,
    pub(crate) requests: RequestOptions,
    pub(crate) cache: Option<DiskCache>,
    pub(crate) metadata_service: bool,
    pub(crate) reads_environment: bool,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            requests: RequestOptions::default(),
            cache: None,
            metadata_service: true,
            reads_environment: true,
        }
    }
}

impl Service {
    /// Applies the settings of a URI: the shared ones here, each of the others through `set`.
    ///
    /// # Errors
    /// [`Error::SecretInUri`], [`Error::UnknownSetting`], and what `set` returns about a value.
    pub(crate) fn apply(
        &self,
        uri: &Uri,
        shared: &mut Shared,
        mut set: impl FnMut(&str, &str) -> Result<(), String>,
    ) -> Result<()> {
        if uri.has_user() {
            return Err(Error::SecretInUri {
                uri: uri.address(),
                setting: "user or password".to_owned(),
                variable: self.secrets.first().map_or("", |(_, variable)| variable),
            });
        }
        let (bound, settings): (Vec<_>, Vec<_>) = uri.settings.iter().partition(|(key, _)| key == "cache_bytes");
        // The bound is of the cache, wherever in the URI that stands.
        for (setting, value) in settings.into_iter().chain(bound) {
            if let Some((_, variable)) = self.secrets.iter().find(|(secret, _)| secret == setting) {
                return Err(Error::SecretInUri { uri: uri.address(), setting: setting.clone(), variable });
            }
            let is_own = self.settings.contains(&setting.as_str());
            let done = match shared.set(setting, value) {
                Some(done) => done,
                None if is_own && setting == METADATA_SERVICE => {
                    boolean(value).map(|allowed| shared.metadata_service = allowed)
                }
                None if is_own => set(setting, value),
                None => return Err(self.unknown(uri, setting)),
            };
            done.map_err(|problem| uri.invalid(format!("the setting '{setting}' cannot be used: {problem}")))?;
        }
        if !uri.path.is_empty() {
            shared.prefix.clone_from(&uri.path);
        }
        Ok(())
    }

    fn unknown(&self, uri: &Uri, setting: &str) -> Error {
        let mut known: Vec<&'static str> = self.settings.iter().chain(&SHARED).copied().collect();
        known.sort_unstable();
        Error::UnknownSetting { uri: uri.address(), scheme: uri.scheme.clone(), setting: setting.to_owned(), known }
    }

    /// An error about a setting.
    pub(crate) fn invalid(&self, setting: &'static str, problem: impl Into<String>) -> Error {
        Error::InvalidSetting { service: self.name, setting, problem: problem.into() }
    }

    /// An error about a setting that is found nowhere.
    pub(crate) fn missing(&self, setting: &'static str, advice: &'static str) -> Error {
        Error::MissingSetting { service: self.name, setting, advice }
    }

    /// The location in a bucket or container.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`].
    pub(crate) fn connect(
        &self,
        builder: impl Builder,
        address: &Address<'_>,
        shared: &Shared,
        environment: &Environment,
    ) -> Result<ObjectFs> {
        let operator = Operator::new(builder).map_err(|e| self.invalid("config", e.message().to_owned()))?;
        let speaks_tls = !address.endpoint.starts_with("http://");
        let client = HttpClient::new(&shared.requests, speaks_tls, shared.metadata_service, environment);
        let client = client.map_err(|problem| self.invalid("TLS", problem))?;
        let context = OperationContext::new().with_http_transport(HttpTransporter::new(client));
        let operator = operator.with_context(context);
        Ok(ObjectFs::of_service(operator, address.location(), address.identity(), shared))
    }
}

/// Where a location is.
pub(crate) struct Address<'a> {
    pub(crate) scheme: &'static str,
    /// What its URI has before the prefix.
    pub(crate) name: &'a str,
    /// The bucket or container.
    pub(crate) bucket: &'a str,
    pub(crate) prefix: &'a str,
    /// The address that requests go to.
    pub(crate) endpoint: &'a str,
    /// The address that stands for the service: the same for all endpoints at which a bucket's name means the same.
    pub(crate) authority: &'a str,
    /// The setting without which its URI would lead elsewhere.
    pub(crate) setting: Option<(&'static str, &'a str)>,
}

impl Address<'_> {
    /// The URI that leads there.
    fn location(&self) -> String {
        let Self { scheme, name, prefix, setting, .. } = self;
        let address = format!("{scheme}://{name}/{prefix}");
        let address = address.trim_end_matches('/');
        match setting {
            Some((setting, value)) => format!("{address}?{setting}={value}"),
            None => address.to_owned(),
        }
    }

    /// What is different for every location, and the same for all handles on it.
    fn identity(&self) -> String {
        format!("{}/{}/{}", self.authority, self.bucket, self.prefix)
    }
}

impl Shared {
    /// Sets a shared setting; `None` if there is none of that name.
    fn set(&mut self, setting: &str, value: &str) -> Option<Result<(), String>> {
        let Self { requests, cache, .. } = self;
        let done = match setting {
            "cache" => {
                *cache = Some(DiskCache::new(PathBuf::from(value)));
                Ok(())
            }
            "cache_bytes" => number(value).and_then(|bytes| {
                let unbounded = cache.take().ok_or("there is no 'cache', which names the folder")?;
                *cache = Some(unbounded.max_bytes(bytes));
                Ok(())
            }),
            "connect_timeout_s" => seconds(value).map(|time| requests.connect_timeout = time),
            "deadline_s" => seconds(value).map(|time| requests.deadline = time),
            "retries" => number(value).map(|retries| requests.retries = retries),
            "timeout_s" => seconds(value).map(|time| requests.timeout = time),
            _ => return None,
        };
        Some(done)
    }

    /// The variables that settings are taken from.
    pub(crate) fn environment(&self) -> Environment {
        if self.reads_environment { Environment::Process } else { Environment::none() }
    }

    /// The prefix, if it can be used.
    pub(crate) fn checked_prefix(&self, service: &Service) -> Result<String> {
        check_prefix(&self.prefix).map_err(|problem| service.invalid("prefix", problem))
    }
}

fn number<T: std::str::FromStr>(value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{value:?} is not a whole number"))
}

fn seconds(value: &str) -> Result<Duration, String> {
    let seconds = value.parse().ok().filter(|seconds| *seconds > 0.0);
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| format!("{value:?} is not a positive number of seconds"))
}

/// `true` or `false`, as a setting.
pub(crate) fn boolean(value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| format!("{value:?} is neither 'true' nor 'false'"))
}

/// Checks that a prefix is a path of plain names: no empty one, no `.` or `..`, none that starts or ends with a space,
/// which OpenDAL would trim. Returns it without slashes at its ends.
fn check_prefix(prefix: &str) -> Result<String, String> {
    let prefix = prefix.trim_matches('/');
    if prefix.is_empty() {
        return Ok(String::new());
    }
    for part in prefix.split('/') {
        let problem = match part {
            "" => "it has an empty part between two slashes",
            "." | ".." => "it has '.' or '..' as a part, which services do not resolve",
            _ if part.trim() != part => "one of its parts starts or ends with a space",
            _ if part.chars().any(char::is_control) => "it has a control character in it",
            _ => continue,
        };
        return Err(format!("the prefix {prefix:?} cannot be used: {problem}"));
    }
    Ok(prefix.to_owned())
}

/// Checks an endpoint, and returns it without a slash at its end.
pub(crate) fn check_endpoint(service: &Service, endpoint: &str) -> Result<String> {
    let endpoint = endpoint.trim_end_matches('/');
    let rest = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    let authority = rest.map(|rest| rest.split('/').next().unwrap_or_default());
    match authority {
        None | Some("") => Err(service.invalid("endpoint", "it is not 'https://host' or 'http://host'")),
        Some(authority) if authority.contains('@') => Err(service.invalid("endpoint", "it has a user in it")),
        Some(_) if endpoint.contains(['?', '#', ' ']) => {
            Err(service.invalid("endpoint", "it has more than a host and a path in it"))
        }
        Some(_) => Ok(endpoint.to_owned()),
    }
}

/// Implements what the configs of all services have: the shared settings and the ways to make a location.
macro_rules! shared_settings {
    ($config:ident) => {
        impl $config {
            /// The config for a URI; what it does not say is taken from the environment when the location is made.
            ///
            /// # Errors
            /// As [`uri`](Self::uri).
            pub fn from_uri(uri: &str) -> crate::Result<Self> {
                Self::default().uri(uri)
            }

            /// The prefix of all keys, with or without slashes at its ends. Nothing outside it is read or written.
            /// Default: none.
            #[must_use]
            pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
                self.shared.prefix = prefix.into();
                self
            }

            /// How long requests may take, and how often they are repeated.
            #[must_use]
            pub fn requests(mut self, requests: crate::RequestOptions) -> Self {
                self.shared.requests = requests;
                self
            }

            /// Keeps what is read in a folder on a local disk, so that it need not be read again. Default: no.
            #[must_use]
            pub fn cache(mut self, cache: crate::DiskCache) -> Self {
                self.shared.cache = Some(cache);
                self
            }

            /// Whether settings that are missing are taken from environment variables and the files that they lead to.
            /// Default: yes. Say no where locations come from users who must not use this process's credentials.
            #[must_use]
            pub fn environment(mut self, reads: bool) -> Self {
                self.shared.reads_environment = reads;
                self
            }
        }

        impl crate::IntoReadFs for $config {
            fn into_read_fs(self) -> crate::Result<std::sync::Arc<dyn crate::ReadFs>> {
                Ok(std::sync::Arc::new(self.connect()?))
            }
        }

        impl crate::IntoPlace for &$config {
            fn into_place(self) -> crate::Result<crate::Place> {
                Ok(std::sync::Arc::new(self.connect()?))
            }
        }

        impl crate::IntoPlace for $config {
            fn into_place(self) -> crate::Result<crate::Place> {
                (&self).into_place()
            }
        }
    };
}

pub(crate) use shared_settings;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_cannot_lead_elsewhere() {
        assert_eq!(check_prefix("/a/b/"), Ok("a/b".to_owned()));
        assert_eq!(check_prefix(""), Ok(String::new()));
        for bad in ["a//b", "a/../b", "..", "./a", " a", "a/b ", "a\nb"] {
            assert!(check_prefix(bad).is_err(), "{bad:?}");
        }
    }
}
