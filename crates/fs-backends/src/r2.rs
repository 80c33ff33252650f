use opendal::services::S3;

use crate::environment::Environment;
use crate::s3_keys::Keys;
use crate::service::{Address, Service, Shared, check_endpoint, shared_settings};
use crate::uri::Uri;
use crate::{ObjectFs, Result};

const SERVICE: Service = Service {
    name: "R2",
    settings: &["endpoint", "jurisdiction"],
    secrets: &[
        ("secret_access_key", "R2_SECRET_ACCESS_KEY"),
        ("access_key_id", "R2_ACCESS_KEY_ID"),
        ("session_token", "R2_SESSION_TOKEN"),
        ("key", "R2_ACCESS_KEY_ID"),
        ("secret", "R2_SECRET_ACCESS_KEY"),
    ],
};

/// Cloudflare R2.
///
/// It speaks S3's protocol with rules of its own, which are kept here: the region is `auto`, no access control list and
/// no optional checksum is sent, all parts of an upload have one size, and objects are deleted one by one. The endpoint
/// follows from the account.
///
/// A setting is taken from the URI, else from this config, else from the environment: the account from `R2_ACCOUNT_ID`;
/// the keys from `R2_ACCESS_KEY_ID`, `R2_SECRET_ACCESS_KEY` and, for temporary ones, `R2_SESSION_TOKEN`, else from
/// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`. `AWS_ENDPOINT_URL` is never used.
///
/// ```
/// use fs_backends::{IntoPlace, R2Config};
///
/// let config = R2Config::new("0123456789abcdef", "bucket").keys("an id", "a secret").jurisdiction("eu");
/// assert_eq!(config.into_place()?.location(), "r2://0123456789abcdef/bucket?jurisdiction=eu");
/// # Ok::<(), fs_backends::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct R2Config {
    account: Option<String>,
    bucket: String,
    jurisdiction: Option<String>,
    endpoint: Option<String>,
    keys: Option<Keys>,
    shared: Shared,
}

shared_settings!(R2Config);

impl R2Config {
    /// The config for a bucket of an account.
    pub fn new(account_id: impl Into<String>, bucket: impl Into<String>) -> Self {
        Self { account: Some(account_id.into()), bucket: bucket.into(), ..Self::default() }
    }

    /// The settings that the environment has now. What is not there is looked for again when the location is made.
    pub fn from_env() -> Self {
        let environment = Environment::Process;
        Self { account: environment.get(ACCOUNT), keys: keys(&environment), ..Self::default() }
    }

    /// Sets what `r2://account/bucket/prefix?setting=value` says; without an account (`r2:///bucket/prefix`) it is taken
    /// from elsewhere. The settings are `endpoint`, `jurisdiction`, and those of all services: `cache`, `cache_bytes`,
    /// `connect_timeout_s`, `deadline_s`, `retries`, `timeout_s`.
    ///
    /// # Errors
    /// [`Error`](crate::Error) about a setting that there is not, that is a secret, or that cannot be used.
    pub fn uri(mut self, uri: &str) -> Result<Self> {
        let mut uri = Uri::parse(uri)?;
        let path = std::mem::take(&mut uri.path);
        let (bucket, prefix) = path.split_once('/').unwrap_or((&path, ""));
        if uri.scheme != "r2" || bucket.is_empty() {
            uri.path.clone_from(&path);
            return Err(uri.invalid("an R2 location is 'r2://account/bucket/prefix'"));
        }
        let Self { jurisdiction, endpoint, shared, .. } = &mut self;
        uri.path = prefix.to_owned();
        SERVICE.apply(&uri, shared, |setting, value| {
            match setting {
                "endpoint" => *endpoint = Some(value.to_owned()),
                _ => *jurisdiction = Some(value.to_owned()),
            }
            Ok(())
        })?;
        if !uri.name.is_empty() {
            self.account = Some(uri.name);
        }
        self.bucket = bucket.to_owned();
        Ok(self)
    }

    /// The account's id, 32 hexadecimal digits.
    #[must_use]
    pub fn account_id(mut self, id: impl Into<String>) -> Self {
        self.account = Some(id.into());
        self
    }

    /// The bucket. It must exist: none is ever made.
    #[must_use]
    pub fn bucket(mut self, bucket: impl Into<String>) -> Self {
        self.bucket = bucket.into();
        self
    }

    /// The jurisdiction that the bucket was made in: `eu` or `fedramp`. Default: none.
    #[must_use]
    pub fn jurisdiction(mut self, jurisdiction: impl Into<String>) -> Self {
        self.jurisdiction = Some(jurisdiction.into());
        self
    }

    /// An address other than Cloudflare's, such as a proxy's.
    #[must_use]
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// The keys to sign with, from an API token of R2.
    #[must_use]
    pub fn keys(mut self, access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        self.keys = Some(Keys::new(access_key_id, secret_access_key));
        self
    }

    /// Temporary credentials, with the token of their session.
    #[must_use]
    pub fn session_keys(
        mut self,
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<String>,
        session_token: impl Into<String>,
    ) -> Self {
        self.keys = Some(Keys::new(access_key_id, secret_access_key).of_session(session_token));
        self
    }

    /// The location. Nothing is asked of the service yet.
    ///
    /// # Errors
    /// [`Error`](crate::Error) about a setting that is missing or cannot be used.
    pub fn connect(&self) -> Result<ObjectFs> {
        self.connect_in(&self.shared.environment())
    }

    fn connect_in(&self, environment: &Environment) -> Result<ObjectFs> {
        let advice = "an R2 location is 'r2://account/bucket/prefix'; R2_ACCOUNT_ID can name the account";
        let account = self.account.clone().or_else(|| environment.get(ACCOUNT));
        let account = account.ok_or_else(|| SERVICE.missing("the account's id", advice))?;
        if self.bucket.is_empty() {
            return Err(SERVICE.missing("the bucket", advice));
        }
        // They become a part of a host's name.
        for (setting, value) in [("account", Some(&account)), ("jurisdiction", self.jurisdiction.as_ref())] {
            if value
                .is_some_and(|value| value.is_empty() || !value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
            {
                return Err(SERVICE.invalid(setting, "it is not of letters, digits and '-' alone"));
            }
        }
        let keys = self.keys.clone().or_else(|| keys(environment)).ok_or_else(|| {
            SERVICE.missing("the key", "set R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY, or give it with R2Config::keys")
        })?;
        let prefix = self.shared.checked_prefix(&SERVICE)?;
        let given = self.endpoint.as_ref().map(|endpoint| check_endpoint(&SERVICE, endpoint)).transpose()?;
        let endpoint = given.clone().unwrap_or_else(|| match &self.jurisdiction {
            Some(jurisdiction) => format!("https://{account}.{jurisdiction}.r2.cloudflarestorage.com"),
            None => format!("https://{account}.r2.cloudflarestorage.com"),
        });
        let builder = S3::default().bucket(&self.bucket).root(&prefix).region("auto").endpoint(&endpoint);
        let builder = keys.sign(builder.disable_config_load().disable_ec2_metadata());
        let setting = match (&given, &self.jurisdiction) {
            (Some(endpoint), _) => Some(("endpoint", endpoint.as_str())),
            (None, Some(jurisdiction)) => Some(("jurisdiction", jurisdiction.as_str())),
            (None, None) => None,
        };
        let name = format!("{account}/{}", self.bucket);
        let address = Address {
            scheme: "r2",
            name: &name,
            bucket: &self.bucket,
            prefix: &prefix,
            endpoint: &endpoint,
            authority: &endpoint,
            setting,
        };
        SERVICE.connect(builder, &address, &self.shared, environment)
    }
}

/// The variable that names the account.
const ACCOUNT: &str = "R2_ACCOUNT_ID";

fn keys(environment: &Environment) -> Option<Keys> {
    let keys = |vendor: &str| {
        let [id, secret, token] =
            ["ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"].map(|name| format!("{vendor}_{name}"));
        Keys::from_env(environment, &id, &secret, &token)
    };
    keys("R2").or_else(|| keys("AWS"))
}

#[cfg(test)]
mod tests {
    use crate::Error;
    use crate::secret::Secret;
    use persist::PersistFs;

    use super::*;

    fn check(uri: &str, environment: &Environment, location: &str, identity: &str) {
        let made = R2Config::from_uri(uri).unwrap().connect_in(environment).unwrap();
        assert_eq!((made.location().as_str(), made.identity().as_str()), (location, identity), "{uri}");
    }

    #[test]
    fn the_endpoint_follows_from_the_account() {
        let environment = Environment::from([
            ("R2_ACCOUNT_ID", "named"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "sesame"),
            ("AWS_ENDPOINT_URL", "http://elsewhere"),
        ]);
        let host = "r2.cloudflarestorage.com";
        check("r2://a1/b/p", &environment, "r2://a1/b/p", &format!("https://a1.{host}/b/p"));
        check("r2:///b", &environment, "r2://named/b", &format!("https://named.{host}/b/"));
        let eu = "r2://a1/b/p?jurisdiction=eu";
        check(eu, &environment, eu, &format!("https://a1.eu.{host}/b/p"));
        let other = "r2://a1/b?endpoint=http://127.0.0.1:1";
        check(other, &environment, other, "http://127.0.0.1:1/b/");
    }

    #[test]
    fn keys_of_r2_come_before_those_of_amazon() {
        let both = [
            ("AWS_ACCESS_KEY_ID", "amazon"),
            ("AWS_SECRET_ACCESS_KEY", "sesame"),
            ("R2_ACCESS_KEY_ID", "r2"),
            ("R2_SECRET_ACCESS_KEY", "sesame"),
        ];
        assert_eq!(keys(&Environment::from(both)).unwrap().id, Secret::new("r2"));
        let [id, secret, ..] = both;
        assert_eq!(keys(&Environment::from([id, secret])).unwrap().id, Secret::new("amazon"));
        assert!(keys(&Environment::from([id])).is_none());
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let nothing = Environment::none();
        let error = |uri: &str| R2Config::from_uri(uri).and_then(|config| config.connect_in(&nothing)).unwrap_err();
        assert!(matches!(error("r2://a1"), Error::InvalidUri { .. }));
        assert!(matches!(error("r2:///b"), Error::MissingSetting { setting: "the account's id", .. }));
        let missing = error("r2://a1/b");
        assert!(missing.to_string().contains("R2_SECRET_ACCESS_KEY"), "{missing}");
        assert!(matches!(error("r2://a.evil.com%2F/b"), Error::InvalidSetting { setting: "account", .. }));
        assert!(matches!(error("r2://a1/b?region=auto"), Error::UnknownSetting { .. }));
        let secret = error("r2://a1/b?secret_access_key=sesame");
        assert!(matches!(secret, Error::SecretInUri { variable: "R2_SECRET_ACCESS_KEY", .. }));
        assert!(!format!("{secret:?}").contains("sesame"));
    }
}
