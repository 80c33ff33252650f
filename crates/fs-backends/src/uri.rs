use crate::{Error, Result};

/// A location as a URI: `scheme://name/path?key=value&…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Uri {
    pub(crate) scheme: String,
    /// What stands between `//` and the next `/`: the bucket, the container or the account.
    pub(crate) name: String,
    /// The rest of the path, without slashes at its ends. It is taken as it is: only settings are percent-decoded.
    pub(crate) path: String,
    /// The settings, in the order in which they were given.
    pub(crate) settings: Vec<(String, String)>,
}

impl Uri {
    /// Parses a string that has `://` in it.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (address, query) = text.split_once('?').map_or((text, None), |(address, query)| (address, Some(query)));
        let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
        let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
        let mut settings: Vec<(String, String)> = Vec::new();
        for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if settings.iter().any(|(earlier, _)| *earlier == key) {
                let problem = format!("the setting '{key}' is given twice");
                return Err(Error::InvalidUri { uri: address.to_owned(), problem });
            }
            settings.push((key.into_owned(), value.into_owned()));
        }
        let (name, path) = (name.to_owned(), path.trim_matches('/').to_owned());
        Ok(Self { scheme: scheme.to_owned(), name, path, settings })
    }

    /// The URI without its settings, among which a secret could be.
    pub(crate) fn address(&self) -> String {
        let Self { scheme, name, path, .. } = self;
        // A user and a password come before '@', and a password may have slashes in it.
        let address = format!("{name}/{path}");
        let address = match self.has_user() {
            true => address.rsplit_once('@').map_or("…", |(_, rest)| rest),
            false => &address,
        };
        format!("{scheme}://{address}").trim_end_matches('/').to_owned()
    }

    /// Whether there is a user or a password in it. No bucket, container or account has a colon in its name.
    pub(crate) fn has_user(&self) -> bool {
        self.name.contains([':', '@'])
    }

    /// An error about this URI.
    pub(crate) fn invalid(&self, problem: impl Into<String>) -> Error {
        Error::InvalidUri { uri: self.address(), problem: problem.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, name: &str, path: &str, settings: &[(&str, &str)]) {
        let uri = Uri::parse(text).unwrap();
        assert_eq!((uri.name.as_str(), uri.path.as_str()), (name, path), "{text}");
        let found: Vec<_> = uri.settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(found, settings, "{text}");
    }

    #[test]
    fn uris_have_a_name_a_path_and_settings() {
        check("s3://bucket", "bucket", "", &[]);
        check("s3://bucket/", "bucket", "", &[]);
        check("s3://bucket/a/b c%20/", "bucket", "a/b c%20", &[]);
        check("s3://b/p?region=r&endpoint=http%3A%2F%2Fh:1", "b", "p", &[("region", "r"), ("endpoint", "http://h:1")]);
        check("s3://b?endpoint=http://h:1/x", "b", "", &[("endpoint", "http://h:1/x")]);
        check("s3://", "", "", &[]);
        assert!(Uri::parse("s3://b?region=a&region=b").is_err());
    }

    #[test]
    fn an_address_shows_no_secrets() {
        let uri = Uri::parse("s3://key:sesame@bucket/p?secret_access_key=sesame").unwrap();
        assert_eq!(uri.address(), "s3://bucket/p");
        let slashes = Uri::parse("s3://key:se/same@bucket/p").unwrap();
        assert!(slashes.has_user());
        assert_eq!(slashes.address(), "s3://bucket/p");
        assert_eq!(Uri::parse("s3://key:sesame").unwrap().address(), "s3://…");
    }
}
