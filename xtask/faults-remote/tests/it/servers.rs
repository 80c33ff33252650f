//! The servers that the environment names, each reached through the config of its service.

use faults_remote::s3::variable;
use fs_backends::{AzblobConfig, GcsConfig, ObjectFs, R2Config, RequestOptions, S3Config};

/// A service that has a config of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    S3,
    R2,
    Gcs,
    Azblob,
}

/// A bucket on a server, and the account that requests are made on.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) service: Service,
    pub(crate) endpoint: String,
    pub(crate) bucket: String,
    /// The id of a key, or the name of an account, and the secret. Without it requests are not signed.
    pub(crate) account: Option<(String, String)>,
}

impl Server {
    /// The servers, each with its name.
    pub(crate) fn all() -> [(&'static str, Self); 5] {
        [
            ("SeaweedFS", Self::seaweedfs()),
            ("SeaweedFS as R2", Self::seaweedfs_as_r2()),
            ("moto", Self::moto("COLCA_MOTO_ACCOUNT")),
            ("Azurite", Self::azurite()),
            ("fake-gcs-server", Self::fake_gcs()),
        ]
    }

    pub(crate) fn seaweedfs() -> Self {
        Self::named(Service::S3, "COLCA_S3_ENDPOINT", "COLCA_S3_BUCKET", "COLCA_S3_ACCOUNT")
    }

    pub(crate) fn seaweedfs_as_r2() -> Self {
        Self { service: Service::R2, ..Self::seaweedfs() }
    }

    /// moto on one of its accounts.
    pub(crate) fn moto(account: &str) -> Self {
        Self::named(Service::S3, "COLCA_MOTO_ENDPOINT", "COLCA_MOTO_BUCKET", account)
    }

    pub(crate) fn azurite() -> Self {
        Self::named(Service::Azblob, "COLCA_AZURITE_ENDPOINT", "COLCA_AZURITE_CONTAINER", "COLCA_AZURITE_ACCOUNT")
    }

    pub(crate) fn fake_gcs() -> Self {
        let [endpoint, bucket] = ["COLCA_GCS_ENDPOINT", "COLCA_GCS_BUCKET"].map(variable);
        Self { service: Service::Gcs, endpoint, bucket, account: None }
    }

    /// A bucket of a service at any address, and an account that nobody knows.
    pub(crate) fn of(service: Service, address: &str) -> Self {
        let endpoint = match service {
            Service::Azblob => format!("{address}/account"),
            _ => address.to_owned(),
        };
        let account = (service != Service::Gcs).then(|| ("account".to_owned(), "c2VjcmV0".to_owned()));
        Self { service, endpoint, bucket: "bucket".to_owned(), account }
    }

    fn named(service: Service, endpoint: &str, bucket: &str, account: &str) -> Self {
        let [endpoint, bucket, account] = [endpoint, bucket, account].map(variable);
        let (id, secret) = account.split_once(':').unwrap();
        Self { service, endpoint, bucket, account: Some((id.to_owned(), secret.to_owned())) }
    }

    /// The same with another bucket.
    pub(crate) fn bucket(self, bucket: &str) -> Self {
        Self { bucket: bucket.to_owned(), ..self }
    }

    /// A prefix in the bucket, with the usual time limits.
    pub(crate) fn connect(&self, prefix: &str) -> ObjectFs {
        self.connect_with(prefix, RequestOptions::default())
    }

    /// A prefix in the bucket. Nothing is taken from the environment.
    pub(crate) fn connect_with(&self, prefix: &str, requests: RequestOptions) -> ObjectFs {
        let Self { service, endpoint, bucket, account } = self;
        let (id, secret) = account.clone().unwrap_or_default();
        let is_anonymous = account.is_none();
        match service {
            Service::S3 => {
                let config = S3Config::new(bucket).prefix(prefix).endpoint(endpoint).requests(requests);
                let config = if is_anonymous { config.anonymous(true) } else { config.keys(id, secret) };
                config.environment(false).connect()
            }
            Service::R2 => {
                let config = R2Config::new("account", bucket).prefix(prefix).endpoint(endpoint).requests(requests);
                config.keys(id, secret).environment(false).connect()
            }
            Service::Gcs => {
                let config = GcsConfig::new(bucket).prefix(prefix).endpoint(endpoint).requests(requests);
                config.anonymous(is_anonymous).environment(false).connect()
            }
            Service::Azblob => {
                let config = AzblobConfig::new(&id, bucket).prefix(prefix).endpoint(endpoint).requests(requests);
                let config = if is_anonymous { config.anonymous(true) } else { config.account_key(secret) };
                config.environment(false).connect()
            }
        }
        .unwrap()
    }
}
