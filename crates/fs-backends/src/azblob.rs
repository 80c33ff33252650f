use opendal::services::Azblob;

use crate::environment::Environment;
use crate::secret::Secret;
use crate::service::{Address, METADATA_SERVICE, Service, Shared, boolean, check_endpoint, shared_settings};
use crate::uri::Uri;
use crate::{ObjectFs, Result};

const SERVICE: Service = Service {
    name: "Azure Blob Storage",
    settings: &["account", "anonymous", "endpoint", METADATA_SERVICE],
    secrets: &[
        ("account_key", "AZURE_STORAGE_ACCOUNT_KEY"),
        ("sas_token", "AZURE_STORAGE_SAS_TOKEN"),
        ("connection_string", "AZURE_STORAGE_CONNECTION_STRING"),
        ("client_secret", "AZURE_CLIENT_SECRET"),
        ("sig", "AZURE_STORAGE_SAS_TOKEN"),
    ],
};

/// Azure Blob Storage.
///
/// A setting is taken from the URI, else from this config, else from the environment:
///
/// | setting | environment |
/// |---|---|
/// | account | `AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_ACCOUNT` |
/// | account's key | `AZURE_STORAGE_ACCOUNT_KEY`, `AZURE_STORAGE_KEY` |
/// | shared access signature | `AZURE_STORAGE_SAS_TOKEN` |
/// | all of them, and the endpoint | `AZURE_STORAGE_CONNECTION_STRING` |
/// | identity | `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` with `AZURE_CLIENT_SECRET` or `AZURE_FEDERATED_TOKEN_FILE`; last, the instance's metadata service |
///
/// ```
/// use fs_backends::{AzblobConfig, IntoPlace};
///
/// let config = AzblobConfig::new("account", "container").prefix("storage").account_key("a2V5");
/// assert_eq!(config.into_place()?.location(), "az://container/storage?account=account");
/// # Ok::<(), fs_backends::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AzblobConfig {
    account: Option<String>,
    container: String,
    endpoint: Option<String>,
    account_key: Option<Secret>,
    sas_token: Option<Secret>,
    anonymous: bool,
    shared: Shared,
}

shared_settings!(AzblobConfig);

impl AzblobConfig {
    /// The config for a container of an account.
    pub fn new(account: impl Into<String>, container: impl Into<String>) -> Self {
        Self { account: Some(account.into()), container: container.into(), ..Self::default() }
    }

    /// The settings that the environment has now. What is not there is looked for again when the location is made.
    ///
    /// # Errors
    /// If `AZURE_STORAGE_CONNECTION_STRING` cannot be understood.
    pub fn from_env() -> Result<Self> {
        Self::default().completed(&Environment::Process)
    }

    /// Sets what `az://container/prefix?setting=value` says, or `abfs://container@account.dfs.core.windows.net/prefix`.
    /// The settings are `account`, `anonymous`, `endpoint`, `metadata_service`, and those of all services: `cache`,
    /// `cache_bytes`, `connect_timeout_s`, `deadline_s`, `retries`, `timeout_s`.
    ///
    /// # Errors
    /// [`Error`](crate::Error) about a setting that there is not, that is a secret, or that cannot be used.
    pub fn uri(mut self, uri: &str) -> Result<Self> {
        let mut uri = Uri::parse(uri)?;
        if !matches!(uri.scheme.as_str(), "az" | "abfs" | "abfss" | "azblob") {
            return Err(uri.invalid("a location in Azure Blob Storage is 'az://container/prefix?account=name'"));
        }
        if let Some((container, host)) = uri.name.clone().split_once('@') {
            let suffixes = [".dfs.core.windows.net", ".blob.core.windows.net"];
            let Some(account) = suffixes.iter().find_map(|suffix| host.strip_suffix(suffix)) else {
                return Err(uri.invalid("after '@' comes 'account.dfs.core.windows.net'"));
            };
            self.account = Some(account.to_owned());
            uri.name = container.to_owned();
        }
        let Self { account, endpoint, anonymous, shared, .. } = &mut self;
        SERVICE.apply(&uri, shared, |setting, value| {
            match setting {
                "account" => *account = Some(value.to_owned()),
                "anonymous" => *anonymous = boolean(value)?,
                _ => *endpoint = Some(value.to_owned()),
            }
            Ok(())
        })?;
        if !uri.name.is_empty() {
            self.container = uri.name;
        }
        Ok(self)
    }

    /// The storage account.
    #[must_use]
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// The container. It must exist: none is ever made.
    #[must_use]
    pub fn container(mut self, container: impl Into<String>) -> Self {
        self.container = container.into();
        self
    }

    /// The address of the account, where it is not `https://account.blob.core.windows.net`.
    #[must_use]
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// One of the account's two keys.
    #[must_use]
    pub fn account_key(mut self, key: impl Into<String>) -> Self {
        self.account_key = Some(Secret::new(key));
        self
    }

    /// A shared access signature of the account or the container.
    #[must_use]
    pub fn sas_token(mut self, token: impl Into<String>) -> Self {
        self.sas_token = Some(Secret::new(token.into().trim_start_matches('?')));
        self
    }

    /// Whether requests are not signed, as for a container that everybody may read. Default: they are.
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

    /// The location. Nothing is asked of the service yet.
    ///
    /// # Errors
    /// [`Error`](crate::Error) about a setting that is missing or cannot be used.
    pub fn connect(&self) -> Result<ObjectFs> {
        self.connect_in(&self.shared.environment())
    }

    /// This config with what it lacks taken from the environment.
    fn completed(&self, environment: &Environment) -> Result<Self> {
        let mut config = self.clone();
        let is_signed = config.account_key.is_some() || config.sas_token.is_some();
        if let Some(text) = environment.get("AZURE_STORAGE_CONNECTION_STRING")
            && !is_signed
        {
            let named = Self::default().connected_as(&text)?;
            // Another account's key must not go to this one.
            if config.account.is_none() || config.account == named.account {
                config.account = named.account;
                config.account_key = named.account_key;
                config.sas_token = named.sas_token;
                config.endpoint = config.endpoint.or(named.endpoint);
            }
        }
        let is_signed = is_signed || config.account_key.is_some() || config.sas_token.is_some();
        config.account =
            config.account.or_else(|| environment.first(&["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"]));
        if !is_signed && !config.anonymous {
            let key = environment.first(&["AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_KEY"]);
            config.account_key = key.map(Secret::new);
            let token = environment.get("AZURE_STORAGE_SAS_TOKEN").filter(|_| config.account_key.is_none());
            config.sas_token = token.map(|token| Secret::new(token.trim_start_matches('?')));
        }
        Ok(config)
    }

    /// This config with what a connection string says.
    fn connected_as(mut self, text: &str) -> Result<Self> {
        let parts = text.split(';').filter_map(|part| part.split_once('='));
        let mut suffix = "core.windows.net";
        let mut protocol = "https";
        let mut endpoint = None;
        for (key, value) in parts {
            match key.trim() {
                "AccountName" => self.account = Some(value.to_owned()),
                "AccountKey" => self.account_key = Some(Secret::new(value)),
                "SharedAccessSignature" => self.sas_token = Some(Secret::new(value.trim_start_matches('?'))),
                "BlobEndpoint" => endpoint = Some(value.to_owned()),
                "EndpointSuffix" => suffix = value,
                "DefaultEndpointsProtocol" => protocol = value,
                _ => {}
            }
        }
        let named = self.account.as_ref().map(|account| format!("{protocol}://{account}.blob.{suffix}"));
        let endpoint = endpoint.or(named).ok_or_else(|| {
            SERVICE.invalid("AZURE_STORAGE_CONNECTION_STRING", "it has neither 'AccountName' nor 'BlobEndpoint' in it")
        })?;
        self.endpoint = Some(endpoint);
        Ok(self)
    }

    fn connect_in(&self, environment: &Environment) -> Result<ObjectFs> {
        let config = self.completed(environment)?;
        if config.container.is_empty() {
            let advice = "a location in Azure Blob Storage is 'az://container/prefix?account=name'";
            return Err(SERVICE.missing("the container", advice));
        }
        let prefix = config.shared.checked_prefix(&SERVICE)?;
        let named = config.account.as_ref().map(|account| format!("https://{account}.blob.core.windows.net"));
        let endpoint = config.endpoint.as_ref().or(named.as_ref()).ok_or_else(|| {
            let advice = "say 'az://container/prefix?account=name', or set AZURE_STORAGE_ACCOUNT_NAME";
            SERVICE.missing("the account", advice)
        })?;
        let endpoint = check_endpoint(&SERVICE, endpoint)?;
        let mut builder = Azblob::default().container(&config.container).root(&prefix).endpoint(&endpoint);
        if let Some(account) = &config.account {
            builder = builder.account_name(account);
        }
        builder = match (&config.account_key, &config.sas_token) {
            _ if config.anonymous => builder.skip_signature(),
            (Some(key), _) => builder.account_key(key.expose()),
            (None, Some(token)) => builder.sas_token(token.expose()),
            (None, None) if !config.shared.reads_environment => {
                let advice = "the environment is not read, so give it with AzblobConfig::account_key or sas_token, or \
                              say anonymous(true)";
                return Err(SERVICE.missing("the account's key", advice));
            }
            (None, None) => builder,
        };
        let is_named = named.as_deref() == Some(endpoint.as_str());
        let setting = match &config.account {
            Some(account) if is_named => ("account", account.as_str()),
            _ => ("endpoint", endpoint.as_str()),
        };
        let address = Address {
            scheme: "az",
            name: &config.container,
            bucket: &config.container,
            prefix: &prefix,
            endpoint: &endpoint,
            authority: &endpoint,
            setting: Some(setting),
        };
        SERVICE.connect(builder, &address, &config.shared, environment)
    }
}

#[cfg(test)]
mod tests {
    use crate::Error;
    use persist::PersistFs;

    use super::*;

    fn check(uri: &str, environment: &Environment, location: &str, identity: &str) {
        let made = AzblobConfig::from_uri(uri).unwrap().connect_in(environment).unwrap();
        assert_eq!((made.location().as_str(), made.identity().as_str()), (location, identity), "{uri}");
    }

    #[test]
    fn the_account_is_named_by_the_uri_or_the_environment() {
        let environment =
            Environment::from([("AZURE_STORAGE_ACCOUNT_NAME", "env"), ("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")]);
        let host = "blob.core.windows.net";
        check("az://c/p", &environment, "az://c/p?account=env", &format!("https://env.{host}/c/p"));
        check("az://c/p?account=uri", &environment, "az://c/p?account=uri", &format!("https://uri.{host}/c/p"));
        let adlfs = "abfs://c@uri.dfs.core.windows.net/p";
        check(adlfs, &environment, "az://c/p?account=uri", &format!("https://uri.{host}/c/p"));
    }

    #[test]
    fn a_connection_string_says_everything() {
        let text = "DefaultEndpointsProtocol=http;AccountName=dev;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/dev;";
        let environment = Environment::from([("AZURE_STORAGE_CONNECTION_STRING", text)]);
        let (location, identity) = ("az://c?endpoint=http://127.0.0.1:1/dev", "http://127.0.0.1:1/dev/c/");
        check("az://c", &environment, location, identity);
        let config = AzblobConfig::from_uri("az://c").unwrap().completed(&environment).unwrap();
        assert_eq!(config.account_key, Some(Secret::new("a2V5")));
        check("az://c?account=dev", &environment, location, identity);
        let config = AzblobConfig::from_uri("az://c?account=other").unwrap().completed(&environment).unwrap();
        assert_eq!((config.account_key, config.endpoint), (None, None));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let nothing = Environment::none();
        let error = |uri: &str| AzblobConfig::from_uri(uri).and_then(|config| config.connect_in(&nothing)).unwrap_err();
        assert!(matches!(error("az://c"), Error::MissingSetting { setting: "the account", .. }));
        assert!(matches!(error("az://?account=a"), Error::MissingSetting { setting: "the container", .. }));
        assert!(matches!(error("abfs://c@elsewhere/p"), Error::InvalidUri { .. }));
        let secret = error("az://c?sas_token=sesame");
        assert!(matches!(secret, Error::SecretInUri { variable: "AZURE_STORAGE_SAS_TOKEN", .. }));
        assert!(!format!("{secret:?}").contains("sesame"));
        let config = AzblobConfig::new("a", "c").account_key("sesame").sas_token("?sesame");
        assert!(!format!("{config:?}").contains("sesame"));
    }
}
