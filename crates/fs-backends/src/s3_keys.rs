use opendal::services::S3;
use reqsign_aws_v4::Credential;
use reqsign_core::{Context, ProvideCredential, ProvideCredentialChain, Result};

use crate::environment::Environment;
use crate::secret::Secret;

/// The keys that requests are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) id: Secret,
    pub(crate) secret: Secret,
    pub(crate) session_token: Option<Secret>,
}

impl Keys {
    pub(crate) fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { id: Secret::new(id), secret: Secret::new(secret), session_token: None }
    }

    /// The same keys as those of a session with this token.
    pub(crate) fn of_session(self, token: impl Into<String>) -> Self {
        Self { session_token: Some(Secret::new(token)), ..self }
    }

    /// The keys in these variables, if both are set.
    pub(crate) fn from_env(environment: &Environment, id: &str, secret: &str, token: &str) -> Option<Self> {
        let [id, secret] = [environment.get(id)?, environment.get(secret)?].map(Secret::new);
        Some(Self { id, secret, session_token: environment.get(token).map(Secret::new) })
    }

    /// Makes a builder sign with them. Keys that it is given itself are logged as they are.
    pub(crate) fn sign(&self, builder: S3) -> S3 {
        builder.credential_provider_chain(ProvideCredentialChain::new().push(self.clone()))
    }
}

impl ProvideCredential for Keys {
    type Credential = Credential;

    async fn provide_credential(&self, _: &Context) -> Result<Option<Credential>> {
        let exposed = |secret: &Secret| secret.expose().to_owned();
        Ok(Some(Credential {
            access_key_id: exposed(&self.id),
            secret_access_key: exposed(&self.secret),
            session_token: self.session_token.as_ref().map(exposed),
            expires_in: None,
        }))
    }
}
