use std::error::Error;

use opendal::ErrorKind;

/// How much of a service's answer is shown, in characters.
const MESSAGE_MAX: usize = 300;

/// What OpenDAL says of a failed request and what to do about it, without what it knows of the request and the answer:
/// addresses and headers may hold credentials.
pub(super) fn describe(error: &opendal::Error) -> String {
    let mut text: String = error.message().chars().take(MESSAGE_MAX).collect();
    // The last one is the operating system's or the protocol's; those between may quote addresses.
    let mut source = error.source();
    while let Some(deeper) = source.and_then(Error::source) {
        source = Some(deeper);
    }
    if let Some(source) = source.map(ToString::to_string).filter(|source| *source != text) {
        text = if text.is_empty() { source } else { format!("{text}: {source}") };
    }
    let advice = advice(error.kind(), &text);
    if text.is_empty() || advice.is_empty() { text + advice } else { format!("{text}; {advice}") }
}

/// What helps, by what a service calls the error, else by OpenDAL's kind.
fn advice(kind: ErrorKind, text: &str) -> &'static str {
    let by_text = [
        (
            "signing credential",
            "no credentials were found: set the variables of the service, or give them to its config",
        ),
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
        assert_eq!(describe(&error), expected);
    }

    #[test]
    fn each_kind_is_described_without_addresses() {
        let error = |kind| opendal::Error::new(kind, "no");
        check(error(ErrorKind::Unexpected), "no");
        check(error(ErrorKind::PermissionDenied), "no; see that the credentials are right and allow this");
        check(error(ErrorKind::ConfigInvalid), "no; see that the bucket exists and the location is spelled right");
        check(error(ErrorKind::RateLimited), "no; ask less often, or raise the limit there");
        check(opendal::Error::new(ErrorKind::Unexpected, ""), "");
        let skewed = "S3Error { code: \"RequestTimeTooSkewed\" }";
        let advice = format!("{skewed}; set the clock of this machine right");
        check(opendal::Error::new(ErrorKind::PermissionDenied, skewed), &advice);
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
