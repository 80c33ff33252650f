use std::error::Error;

use opendal::ErrorKind;

/// How much of a service's answer is shown, in characters.
const MESSAGE_MAX: usize = 300;

/// What OpenDAL says of a failed request and what to do about it, without what it knows of the request and the answer:
/// addresses and headers may hold credentials.
pub(super) fn describe(error: &opendal::Error, location: &str) -> String {
    let message = code_and_message(error.message());
    let message = message.as_deref().unwrap_or(error.message());
    let mut text: String = message.chars().take(MESSAGE_MAX).collect();
    // The last one is the operating system's or the protocol's; those between may quote addresses.
    let mut source = error.source();
    while let Some(deeper) = source.and_then(Error::source) {
        source = Some(deeper);
    }
    if let Some(source) = source.map(ToString::to_string).filter(|source| *source != text) {
        text = if text.is_empty() { source } else { format!("{text}: {source}") };
    }
    let advice = advice(error.kind(), &text, location);
    if text.is_empty() || advice.is_empty() { text + advice } else { format!("{text}; {advice}") }
}

/// What an answer of a service says in its fields `code` and `message`, which OpenDAL prints among others.
fn code_and_message(message: &str) -> Option<String> {
    let field = |name: &str| {
        let (_, rest) = message.split_once(&format!("{name}: \""))?;
        rest.split_once('"').map(|(value, _)| value).filter(|value| !value.is_empty())
    };
    match (field("code"), field("message")) {
        (Some(code), Some(message)) => Some(format!("{code}: {}", message.trim_end_matches('.'))),
        (Some(code), None) => Some(code.to_owned()),
        _ => None,
    }
}

/// Where each service's credentials may be set.
const CREDENTIALS: [(&str, &str); 3] = [
    ("s3://", "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"),
    ("gs://", "no credentials were found: set GOOGLE_APPLICATION_CREDENTIALS to the file that holds them"),
    ("az://", "no credentials were found: set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN"),
];

/// What helps, by what a service calls the error, else by OpenDAL's kind.
fn advice(kind: ErrorKind, text: &str, location: &str) -> &'static str {
    if text.contains("signing credential") {
        let service = CREDENTIALS.iter().find(|(scheme, _)| location.starts_with(scheme));
        return service.map_or("no credentials were found", |(_, advice)| advice);
    }
    let by_text = [
        ("NoSuchBucket", "make the bucket first: none is ever made here"),
        ("ContainerNotFound", "make the container first: none is ever made here"),
        ("RequestTimeTooSkewed", "set the clock of this machine right"),
        ("ExpiredToken", "the session has ended: get new credentials"),
        ("TokenRefreshRequired", "the session has ended: get new credentials"),
        ("PermanentRedirect", "the bucket is in another region: say so with the setting 'region'"),
        ("AuthorizationHeaderMalformed", "the bucket is in another region: say so with the setting 'region'"),
        ("IllegalLocationConstraint", "the bucket is in another region: say so with the setting 'region'"),
        ("SignatureDoesNotMatch", "the secret key does not belong to the key id"),
        ("InvalidAccessKeyId", "the service does not know the key id"),
    ];
    if let Some((_, advice)) = by_text.iter().find(|(code, _)| text.contains(code)) {
        return advice;
    }
    match kind {
        ErrorKind::PermissionDenied => "see that the credentials are right and allow this",
        ErrorKind::ConfigInvalid => "see that the bucket exists and the location is spelled right",
        ErrorKind::RateLimited => "ask less often, or raise the limit there",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::io;

    use super::*;

    fn check(error: opendal::Error, expected: &str) {
        let error = error.with_context("uri", "http://host/?signature=secret").with_operation("write");
        assert_eq!(describe(&error, "s3://b"), expected);
    }

    #[test]
    fn each_kind_is_described_without_addresses() {
        let error = |kind| opendal::Error::new(kind, "no");
        check(error(ErrorKind::Unexpected), "no");
        check(error(ErrorKind::PermissionDenied), "no; see that the credentials are right and allow this");
        check(error(ErrorKind::ConfigInvalid), "no; see that the bucket exists and the location is spelled right");
        check(error(ErrorKind::RateLimited), "no; ask less often, or raise the limit there");
        check(opendal::Error::new(ErrorKind::Unexpected, ""), "");
        let skewed = "S3Error { code: \"RequestTimeTooSkewed\", message: \"too far\", resource: \"/b\" }";
        let expected = "RequestTimeTooSkewed: too far; set the clock of this machine right";
        check(opendal::Error::new(ErrorKind::PermissionDenied, skewed), expected);
        let unsigned = "failed to load signing credential";
        let expected = format!("{unsigned}; {}", CREDENTIALS[0].1);
        check(opendal::Error::new(ErrorKind::Unexpected, unsigned), &expected);
    }

    #[test]
    fn the_first_cause_is_described_and_long_answers_are_cut() {
        let refused = io::Error::other("Connection refused");
        let sent = io::Error::other(Quoting(refused));
        check(
            opendal::Error::new(ErrorKind::Unexpected, "send the request").set_source(sent),
            "send the request: Connection refused",
        );
        let long = opendal::Error::new(ErrorKind::Unexpected, "é".repeat(1000));
        check(long, &"é".repeat(300));
    }

    #[derive(Debug)]
    struct Quoting(io::Error);

    impl fmt::Display for Quoting {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("for http://host/?signature=secret")
        }
    }

    impl Error for Quoting {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
}
