use opendal::services::S3;

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
    /// The keys in these variables, if both are set.
    pub(crate) fn from_env(environment: &Environment, id: &str, secret: &str, token: &str) -> Option<Self> {
        let [id, secret] = [environment.get(id)?, environment.get(secret)?].map(Secret::new);
        Some(Self { id, secret, session_token: environment.get(token).map(Secret::new) })
    }

    /// Makes a builder sign with them.
    pub(crate) fn sign(&self, builder: S3) -> S3 {
        let builder = builder.access_key_id(self.id.expose()).secret_access_key(self.secret.expose());
        match &self.session_token {
            Some(token) => builder.session_token(token.expose()),
            None => builder,
        }
    }
}
