use std::path::PathBuf;

use ini::Ini;
use opendal::services::S3;
use reqsign_aws_v4::{Credential, DefaultCredentialProvider};
use reqsign_core::ProvideCredentialChain;

use crate::environment::Environment;
use crate::s3_keys::Keys;
use crate::service::{Address, METADATA_SERVICE, Service, Shared, boolean, check_endpoint, shared_settings};
use crate::uri::Uri;
use crate::{ObjectFs, Result};

const SERVICE: Service = Service {
    name: "S3",
    settings: &[
        "anonymous",
        "checksums",
        "endpoint",
        "kms_key_id",
        METADATA_SERVICE,
        "profile",
        "region",
        "server_side_encryption",
        "virtual_host_style",
    ],
    secrets: &[
        ("secret_access_key", "AWS_SECRET_ACCESS_KEY"),
        ("access_key_id", "AWS_ACCESS_KEY_ID"),
        ("session_token", "AWS_SESSION_TOKEN"),
        ("key", "AWS_ACCESS_KEY_ID"),
        ("secret", "AWS_SECRET_ACCESS_KEY"),
        ("token", "AWS_SESSION_TOKEN"),
    ],
};

/// Amazon S3, or a service that speaks its protocol: MinIO, SeaweedFS, Ceph, Backblaze, Wasabi and others. For Cloudflare
/// R2 there is [`R2Config`](crate::R2Config).
///
/// A setting is taken from the URI, else from this config, else from the environment, as Amazon's own programs read it:
///
/// | setting | environment |
/// |---|---|
/// | keys | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`; else the profile's in the shared config and credentials files; else SSO, web identity, the container's and, last, the instance's metadata service |
/// | region | `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's; else `us-east-1` |
/// | endpoint | `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, the profile's `endpoint_url`; else Amazon's |
/// | profile | `AWS_PROFILE`; the files are `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE` |
///
/// ```
/// use fs_backends::{IntoPlace, S3Config};
///
/// let config = S3Config::new("bucket").prefix("storage").region("eu-central-1").keys("AKIA…", "a secret");
/// let location = config.uri("s3://bucket/other?endpoint=http://127.0.0.1:8333")?.into_place()?;
/// assert_eq!(location.location(), "s3://bucket/other?endpoint=http://127.0.0.1:8333");
/// # Ok::<(), fs_backends::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct S3Config {
    bucket: String,
    region: Option<String>,
    endpoint: Option<String>,
    keys: Option<Keys>,
    profile: Option<String>,
    anonymous: bool,
    checksums: Option<bool>,
    virtual_host_style: Option<bool>,
    server_side_encryption: Option<String>,
    kms_key_id: Option<String>,
    shared: Shared,
}

shared_settings!(S3Config);

impl S3Config {
    /// The config for a bucket.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), ..Self::default() }
    }

    /// The settings that the environment has now. Keys, and what is not there, are looked for when the location is made.
    pub fn from_env() -> Self {
        let mut config = Self::default();
        let environment = Environment::Process;
        config.region = environment.first(&REGION);
        config.endpoint = environment.first(&ENDPOINT);
        config
    }

    /// Sets what `s3://bucket/prefix?setting=value` says. The settings are `anonymous`, `checksums`, `endpoint`,
    /// `kms_key_id`, `metadata_service`, `profile`, `region`, `server_side_encryption`, `virtual_host_style`, and those
    /// of all services: `cache`, `cache_bytes`, `connect_timeout_s`, `deadline_s`, `retries`, `timeout_s`.
    ///
    /// # Errors
    /// [`Error`](crate::Error) about a setting that there is not, that is a secret, or that cannot be used.
    pub fn uri(mut self, uri: &str) -> Result<Self> {
        let uri = Uri::parse(uri)?;
        if !matches!(uri.scheme.as_str(), "s3" | "s3a") {
            return Err(uri.invalid("an S3 location is 's3://bucket/prefix'"));
        }
        let Self {
            region,
            endpoint,
            profile,
            anonymous,
            checksums,
            virtual_host_style,
            server_side_encryption,
            kms_key_id,
            shared,
            ..
        } = &mut self;
        SERVICE.apply(&uri, shared, |setting, value| {
            match setting {
                "anonymous" => *anonymous = boolean(value)?,
                "checksums" => *checksums = Some(boolean(value)?),
                "endpoint" => *endpoint = Some(value.to_owned()),
                "kms_key_id" => *kms_key_id = Some(value.to_owned()),
                "profile" => *profile = Some(value.to_owned()),
                "region" => *region = Some(value.to_owned()),
                "server_side_encryption" => *server_side_encryption = Some(value.to_owned()),
                _ => *virtual_host_style = Some(boolean(value)?),
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

    /// The region that the bucket is in.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// The address of a service other than Amazon's, such as `http://127.0.0.1:8333`.
    #[must_use]
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// The keys to sign with.
    #[must_use]
    pub fn keys(mut self, access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        self.keys = Some(Keys::new(access_key_id, secret_access_key));
        self
    }

    /// Keys that end with a session, with its token.
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

    /// The profile of the shared config files. Its keys come before those in the environment's variables.
    #[must_use]
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = Some(profile.into());
        self
    }

    /// Whether requests are not signed, as for a bucket that everybody may read. Default: they are.
    #[must_use]
    pub fn anonymous(mut self, anonymous: bool) -> Self {
        self.anonymous = anonymous;
        self
    }

    /// Whether files are sent with a checksum (CRC32C) that the service compares. Default: to Amazon they are.
    #[must_use]
    pub fn checksums(mut self, checksums: bool) -> Self {
        self.checksums = Some(checksums);
        self
    }

    /// Whether the instance's metadata service may be asked for keys where there are no others. It has one second to
    /// answer. Default: yes.
    #[must_use]
    pub fn metadata_service(mut self, allowed: bool) -> Self {
        self.shared.metadata_service = allowed;
        self
    }

    /// Whether the bucket is a part of the host's name (`bucket.host`) or of the path (`host/bucket`). Default: of the
    /// host's name at Amazon, if it has no dot in it; elsewhere of the path.
    #[must_use]
    pub fn virtual_host_style(mut self, is_used: bool) -> Self {
        self.virtual_host_style = Some(is_used);
        self
    }

    /// How the service encrypts what it stores, where the bucket demands that it be said: `AES256`, `aws:kms`.
    #[must_use]
    pub fn server_side_encryption(mut self, how: impl Into<String>) -> Self {
        self.server_side_encryption = Some(how.into());
        self
    }

    /// The key that `aws:kms` encrypts with.
    #[must_use]
    pub fn kms_key_id(mut self, id: impl Into<String>) -> Self {
        self.kms_key_id = Some(id.into());
        self
    }

    /// The location. Nothing is asked of the service yet; the shared config files may be read.
    ///
    /// # Errors
    /// [`Error`](crate::Error) about a setting that is missing or cannot be used.
    pub fn connect(&self) -> Result<ObjectFs> {
        self.connect_in(&self.shared.environment())
    }

    fn connect_in(&self, environment: &Environment) -> Result<ObjectFs> {
        if self.bucket.is_empty() {
            return Err(SERVICE.missing("the bucket", "an S3 location is 's3://bucket/prefix'"));
        }
        let prefix = self.shared.checked_prefix(&SERVICE)?;
        let profile = Profile::load(self.profile.as_deref(), environment);
        let region = self.region.clone().or_else(|| environment.first(&REGION)).or(profile.region);
        let region = region.unwrap_or_else(|| "us-east-1".to_owned());
        let given = self.endpoint.clone().or_else(|| environment.first(&ENDPOINT)).or(profile.endpoint);
        let given = given.map(|endpoint| check_endpoint(&SERVICE, &endpoint)).transpose()?;
        let is_amazon = given.as_deref().is_none_or(is_amazon);
        let endpoint = given.clone().unwrap_or_else(|| amazon(&region));
        let mut builder = S3::default().bucket(&self.bucket).root(&prefix).region(&region).endpoint(&endpoint);
        let in_host = self.virtual_host_style.unwrap_or(is_amazon && !self.bucket.contains('.'));
        if in_host {
            builder = builder.enable_virtual_host_style();
        }
        if self.checksums.unwrap_or(is_amazon) {
            builder = builder.checksum_algorithm("crc32c");
        }
        if let Some(how) = &self.server_side_encryption {
            builder = builder.server_side_encryption(how);
        }
        if let Some(id) = &self.kms_key_id {
            builder = builder.server_side_encryption_aws_kms_key_id(id);
        }
        if !self.shared.metadata_service {
            builder = builder.disable_ec2_metadata();
        }
        let keys = self.keys.clone().or_else(|| keys(environment).filter(|_| self.profile.is_none()));
        builder = match (&keys, &self.profile) {
            _ if self.anonymous => builder.skip_signature(),
            (Some(keys), _) => keys.sign(builder),
            (None, _) if !self.shared.reads_environment => {
                let advice = "the environment is not read, so give them with S3Config::keys, or say anonymous(true)";
                return Err(SERVICE.missing("the keys", advice));
            }
            (None, Some(profile)) => builder.credential_provider_chain(self.of_profile(profile)),
            (None, None) => builder,
        };
        let setting = given.as_deref().map(|endpoint| ("endpoint", endpoint));
        let address = Address {
            scheme: "s3",
            name: &self.bucket,
            bucket: &self.bucket,
            prefix: &prefix,
            endpoint: &endpoint,
            authority: if is_amazon { AMAZON } else { &endpoint },
            setting,
        };
        SERVICE.connect(builder, &address, &self.shared, environment)
    }

    /// Where a profile's credentials come from. OpenDAL's own chain begins with the environment's variables.
    fn of_profile(&self, profile: &str) -> ProvideCredentialChain<Credential> {
        let provider = DefaultCredentialProvider::builder().no_env().with_profile(profile);
        let provider = if self.shared.metadata_service { provider } else { provider.no_imds() };
        ProvideCredentialChain::new().push(provider.build())
    }
}

/// The variables of some settings, in the order in which they count.
const REGION: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
const ENDPOINT: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];

fn keys(environment: &Environment) -> Option<Keys> {
    Keys::from_env(environment, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
}

/// What all of Amazon's endpoints have in common: a bucket's name is the same at each.
const AMAZON: &str = "https://s3.amazonaws.com";

fn amazon(region: &str) -> String {
    match region.starts_with("cn-") {
        true => format!("https://s3.{region}.amazonaws.com.cn"),
        false => format!("https://s3.{region}.amazonaws.com"),
    }
}

/// Whether an endpoint is one of Amazon's regions, at all of which a bucket's name is the same.
fn is_amazon(endpoint: &str) -> bool {
    let host = endpoint.strip_prefix("https://").unwrap_or_default();
    host.starts_with("s3") && (host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn"))
}

/// What the shared config file says of a profile, besides its keys.
#[derive(Default)]
struct Profile {
    region: Option<String>,
    endpoint: Option<String>,
}

impl Profile {
    /// Reads it. A file that is not there or cannot be read says nothing.
    fn load(name: Option<&str>, environment: &Environment) -> Self {
        let name = name.map(str::to_owned).or_else(|| environment.get("AWS_PROFILE"));
        let name = name.unwrap_or_else(|| "default".to_owned());
        let file = environment.get("AWS_CONFIG_FILE").map(PathBuf::from);
        let file = file.or_else(|| Some(environment.home()?.join(".aws/config")));
        let Some(config) = file.and_then(|file| Ini::load_from_file(file).ok()) else { return Self::default() };
        let section = if name == "default" { name } else { format!("profile {name}") };
        let get = |key: &str| config.get_from(Some(section.as_str()), key).map(str::to_owned);
        Self { region: get("region"), endpoint: get("endpoint_url") }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Error, IntoPlace};
    use persist::PersistFs;

    use super::*;

    fn check(config: S3Config, environment: &Environment, location: &str, identity: &str) {
        let made = config.connect_in(environment).unwrap();
        assert_eq!((made.location().as_str(), made.identity().as_str()), (location, identity));
    }

    #[test]
    fn a_setting_is_taken_from_the_uri_else_the_config_else_the_environment() {
        let environment = Environment::from([
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "sesame"),
            ("AWS_ENDPOINT_URL", "http://general:1/"),
            ("AWS_ENDPOINT_URL_S3", "http://environment:1/"),
        ]);
        let config = S3Config::new("b").prefix("p");
        let at = |host: &str| (format!("s3://b/p?endpoint=http://{host}:1"), format!("http://{host}:1/b/p"));
        let (location, identity) = at("environment");
        check(config.clone(), &environment, &location, &identity);
        let config = config.endpoint("http://config:1");
        let (location, identity) = at("config");
        check(config.clone(), &environment, &location, &identity);
        let (location, identity) = at("uri");
        check(config.uri("s3://b/p?endpoint=http%3A%2F%2Furi:1").unwrap(), &environment, &location, &identity);
        let nothing = Environment::none();
        check(S3Config::new("b"), &nothing, "s3://b", "https://s3.amazonaws.com/b/");
        let other = S3Config::new("b").region("eu-west-1");
        check(other, &nothing, "s3://b", "https://s3.amazonaws.com/b/");
        let named = "s3://b?endpoint=https://s3.eu-west-1.amazonaws.com";
        check(S3Config::from_uri(named).unwrap(), &nothing, named, "https://s3.amazonaws.com/b/");
    }

    #[test]
    fn a_profile_names_a_region_and_an_endpoint() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        let text = "[default]\nregion = eu-west-1\n[profile other]\nregion = eu-west-2\nendpoint_url = http://h:1\n";
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let environment = Environment::from([("AWS_CONFIG_FILE", file), ("AWS_PROFILE", "other")]);
        check(S3Config::new("b"), &environment, "s3://b?endpoint=http://h:1", "http://h:1/b/");
        assert_eq!(Profile::load(Some("default"), &environment).region.as_deref(), Some("eu-west-1"));
        let environment = Environment::from([("AWS_CONFIG_FILE", file)]);
        let config = S3Config::new("b").uri("s3://b?profile=other").unwrap();
        check(config, &environment, "s3://b?endpoint=http://h:1", "http://h:1/b/");
    }

    #[test]
    fn the_location_leads_to_where_it_came_from() {
        let uri = "s3://b/p?endpoint=http://h:1/path";
        assert_eq!(uri.into_place().unwrap().location(), uri);
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let error = |uri: &str| S3Config::from_uri(uri).unwrap_err();
        let Error::UnknownSetting { setting, known, .. } = error("s3://b?regoin=x") else { panic!() };
        assert_eq!(setting, "regoin");
        assert!(known.contains(&"region") && known.contains(&"timeout_s") && known.is_sorted());
        for uri in ["s3://b?timeout_s=0", "s3://b?timeout_s=x", "s3://b?retries=-1", "s3://b?anonymous=1"] {
            assert!(matches!(error(uri), Error::InvalidUri { .. }), "{uri}");
        }
        let nothing = Environment::none();
        let error = |config: S3Config| config.connect_in(&nothing).unwrap_err();
        assert!(matches!(error(S3Config::new("")), Error::MissingSetting { .. }));
        assert!(matches!(error(S3Config::new("b").prefix("../x")), Error::InvalidSetting { setting: "prefix", .. }));
        for endpoint in ["host:1", "ftp://host", "http://user:sesame@host", "http://", "http://h?x"] {
            let error = error(S3Config::new("b").endpoint(endpoint));
            assert!(matches!(error, Error::InvalidSetting { setting: "endpoint", .. }), "{endpoint}");
            assert!(!error.to_string().contains("sesame"));
        }
        assert!(matches!(error(S3Config::new("b").environment(false)), Error::MissingSetting { .. }));
        assert!(S3Config::new("b").environment(false).anonymous(true).connect_in(&nothing).is_ok());
    }

    #[test]
    fn secrets_are_refused_in_uris_and_shown_nowhere() {
        for (uri, expected) in [
            ("s3://b?secret_access_key=sesame", "AWS_SECRET_ACCESS_KEY"),
            ("s3://b?session_token=sesame", "AWS_SESSION_TOKEN"),
            ("s3://key:sesame@b/p", "AWS_SECRET_ACCESS_KEY"),
        ] {
            let error = S3Config::from_uri(uri).unwrap_err();
            assert!(matches!(&error, Error::SecretInUri { variable, .. } if *variable == expected), "{error}");
            assert!(!format!("{error} {error:?}").contains("sesame"), "{error}");
        }
        let config = S3Config::new("b").session_keys("sesame", "sesame", "sesame");
        let made = config.connect().unwrap();
        assert!(!format!("{config:?} {made:?} {} {}", made.location(), made.identity()).contains("sesame"));
    }
}
