use std::path::PathBuf;

use opendal::services::Gcs;

use crate::environment::Environment;
use crate::service::{Address, METADATA_SERVICE, Service, Shared, boolean, check_endpoint, shared_settings};
use crate::uri::Uri;
use crate::{ObjectFs, Result};

const SERVICE: Service = Service {
    name: "Google Cloud Storage",
    settings: &["anonymous", "credentials", "endpoint", METADATA_SERVICE],
    secrets: &[("token", "GOOGLE_APPLICATION_CREDENTIALS"), ("credential", "GOOGLE_APPLICATION_CREDENTIALS")],
};

/// Google Cloud Storage.
///
/// A setting is taken from the URI, else from this config, else from the environment: the file with the credentials from
/// `GOOGLE_APPLICATION_CREDENTIALS`, else where `gcloud` keeps those of the user; without any, and last, the instance's
/// metadata service is asked. `STORAGE_EMULATOR_HOST` names another endpoint, whose requests are not signed.
///
/// ```
/// use fs_backends::{GcsConfig, IntoPlace};
///
/// let config = GcsConfig::new("bucket").prefix("storage");
/// assert_eq!(config.anonymous(true).into_place()?.location(), "gs://bucket/storage");
/// # Ok::<(), fs_backends::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcsConfig {
    bucket: String,
    endpoint: Option<String>,
    credentials: Option<PathBuf>,
    anonymous: bool,
    shared: Shared,
}

shared_settings!(GcsConfig);

impl GcsConfig {
    /// The config for a bucket.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), ..Self::default() }
    }

    /// The settings that the environment has now. An emulator, and what is not there, are looked for when the location is
    /// made.
    pub fn from_env() -> Self {
        let environment = Environment::Process;
        Self { credentials: credentials(&environment), ..Self::default() }
    }

    /// Sets what `gs://bucket/prefix?setting=value` says. The settings are `anonymous`, `credentials` (the file that
    /// holds them), `endpoint`, `metadata_service`, and those of all services: `cache`, `cache_bytes`,
    /// `connect_timeout_s`, `deadline_s`, `retries`, `timeout_s`.
    ///
    /// # Errors
    /// [`Error`](crate::Error) about a setting that there is not, that is a secret, or that cannot be used.
    pub fn uri(mut self, uri: &str) -> Result<Self> {
        let uri = Uri::parse(uri)?;
        if !matches!(uri.scheme.as_str(), "gs" | "gcs") {
            return Err(uri.invalid("a location in Google Cloud Storage is 'gs://bucket/prefix'"));
        }
        let Self { endpoint, credentials, anonymous, shared, .. } = &mut self;
        SERVICE.apply(&uri, shared, |setting, value| {
            match setting {
                "anonymous" => *anonymous = boolean(value)?,
                "credentials" => *credentials = Some(PathBuf::from(value)),
                _ => *endpoint = Some(value.to_owned()),
            }
            Ok(())
        })?;
        if !uri.name.is_empty() {
            self.bucket = uri.name;
        }
        Ok(self)
    }

    /// The bucket. It must exist: none is ever made.
    #[must_use]
    pub fn bucket(mut self, bucket: impl Into<String>) -> Self {
        self.bucket = bucket.into();
        self
    }

    /// The address of a service other than Google's, such as an emulator's.
    #[must_use]
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// The file with the credentials: of a service account, of a user, or of workload identity federation.
    #[must_use]
    pub fn credentials(mut self, file: impl Into<PathBuf>) -> Self {
        self.credentials = Some(file.into());
        self
    }

    /// Whether requests are not signed, as for a bucket that everybody may read, or an emulator. Default: they are.
    #[must_use]
    pub fn anonymous(mut self, anonymous: bool) -> Self {
        self.anonymous = anonymous;
        self
    }

    /// Whether the instance's metadata service may be asked for a token where there are no other credentials. It has one
    /// second to answer. Default: yes.
    #[must_use]
    pub fn metadata_service(mut self, allowed: bool) -> Self {
        self.shared.metadata_service = allowed;
        self
    }

    /// The location. Nothing is asked of the service yet; the file with the credentials is opened.
    ///
    /// # Errors
    /// [`Error`](crate::Error) about a setting that is missing or cannot be used.
    pub fn connect(&self) -> Result<ObjectFs> {
        self.connect_in(&self.shared.environment())
    }

    fn connect_in(&self, environment: &Environment) -> Result<ObjectFs> {
        if self.bucket.is_empty() {
            let advice = "a location in Google Cloud Storage is 'gs://bucket/prefix'";
            return Err(SERVICE.missing("the bucket", advice));
        }
        let prefix = self.shared.checked_prefix(&SERVICE)?;
        let emulator = emulator(environment).filter(|_| self.endpoint.is_none());
        let anonymous = self.anonymous || emulator.is_some();
        let given = self.endpoint.clone().or(emulator);
        let given = given.map(|endpoint| check_endpoint(&SERVICE, &endpoint)).transpose()?;
        let endpoint = given.as_deref().unwrap_or(GOOGLE);
        let mut builder = Gcs::default().bucket(&self.bucket).root(&prefix).endpoint(endpoint);
        let credentials = self.credentials.clone().or_else(|| credentials(environment));
        match credentials {
            _ if anonymous => builder = builder.skip_signature(),
            Some(file) => {
                // Otherwise it would be passed over, and other credentials be used.
                if let Err(e) = std::fs::File::open(&file) {
                    return Err(SERVICE.invalid("credentials", format!("{}: {e}", file.display())));
                }
                builder = builder.credential_path(&file.to_string_lossy());
            }
            None if !self.shared.reads_environment => {
                let advice = "the environment is not read, so name their file with GcsConfig::credentials, or say \
                              anonymous(true)";
                return Err(SERVICE.missing("the credentials", advice));
            }
            None => {}
        }
        if !self.shared.reads_environment {
            builder = builder.disable_config_load();
        }
        if !self.shared.metadata_service || !self.shared.reads_environment {
            builder = builder.disable_vm_metadata();
        }
        let address = Address {
            scheme: "gs",
            name: &self.bucket,
            bucket: &self.bucket,
            prefix: &prefix,
            endpoint,
            authority: endpoint,
            setting: given.as_deref().map(|endpoint| ("endpoint", endpoint)),
        };
        SERVICE.connect(builder, &address, &self.shared, environment)
    }
}

/// Google's own address.
const GOOGLE: &str = "https://storage.googleapis.com";

/// The emulator that the environment names, as an address.
fn emulator(environment: &Environment) -> Option<String> {
    let host = environment.get("STORAGE_EMULATOR_HOST")?;
    Some(if host.contains("://") { host } else { format!("http://{host}") })
}

fn credentials(environment: &Environment) -> Option<PathBuf> {
    environment.get("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use crate::Error;
    use persist::PersistFs;

    use super::*;

    #[test]
    fn an_emulator_is_used_without_credentials() {
        let nothing = Environment::none();
        let made = GcsConfig::from_uri("gs://b/p").unwrap().connect_in(&nothing).unwrap();
        assert_eq!(
            (made.location().as_str(), made.identity().as_str()),
            ("gs://b/p", "https://storage.googleapis.com/b/p")
        );
        let environment = Environment::from([("STORAGE_EMULATOR_HOST", "127.0.0.1:1")]);
        let made = GcsConfig::from_uri("gs://b/p").unwrap().connect_in(&environment).unwrap();
        assert_eq!(made.location(), "gs://b/p?endpoint=http://127.0.0.1:1");
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let nothing = Environment::none();
        let error =
            |config: crate::Result<GcsConfig>| config.and_then(|config| config.connect_in(&nothing)).unwrap_err();
        assert!(matches!(error(GcsConfig::from_uri("gs://b?token=sesame")), Error::SecretInUri { .. }));
        assert!(matches!(error(GcsConfig::from_uri("gs://b?region=x")), Error::UnknownSetting { .. }));
        assert!(matches!(error(GcsConfig::from_uri("gs://")), Error::MissingSetting { .. }));
        assert!(matches!(error(Ok(GcsConfig::new("b").environment(false))), Error::MissingSetting { .. }));
        let unread = error(Ok(GcsConfig::new("b").credentials("/nowhere/account.json")));
        assert!(matches!(unread, Error::InvalidSetting { setting: "credentials", .. }), "{unread}");
    }
}
