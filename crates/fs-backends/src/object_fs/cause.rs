use std::error::Error;
use std::fmt;

use opendal::ErrorKind;

/// How much of a service's answer is told, in characters.
const MESSAGE_MAX: usize = 300;

/// What OpenDAL says of a failed request, without what it knows of the request and the answer: addresses and headers
/// may hold credentials.
#[derive(Debug)]
pub(super) struct Cause(String);

impl From<opendal::Error> for Cause {
    fn from(error: opendal::Error) -> Self {
        let mut text = error.kind().to_string();
        let message: String = error.message().chars().take(MESSAGE_MAX).collect();
        if !message.is_empty() {
            text = format!("{text}: {message}");
        }
        // The last one is the operating system's or the protocol's; those between may quote addresses.
        let mut source = error.source();
        while let Some(deeper) = source.and_then(Error::source) {
            source = Some(deeper);
        }
        if let Some(source) = source {
            text = format!("{text}: {source}");
        }
        Self(text + advice(error.kind()))
    }
}

fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::PermissionDenied => "; see that the credentials are right and allow this",
        ErrorKind::ConfigInvalid => "; see that the bucket exists and the operator is configured for it",
        ErrorKind::RateLimited => "; ask less often, or raise the limit there",
        _ => "",
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Cause {}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn check(error: opendal::Error, expected: &str) {
        let error = error.with_context("uri", "http://host/?signature=secret").with_operation("write");
        assert_eq!(Cause::from(error).to_string(), expected);
    }

    #[test]
    fn each_kind_is_told_without_addresses() {
        let error = |kind| opendal::Error::new(kind, "no");
        check(error(ErrorKind::Unexpected), "Unexpected: no");
        check(error(ErrorKind::Unsupported).set_persistent(), "Unsupported: no");
        check(error(ErrorKind::NotFound), "NotFound: no");
        let advice = "PermissionDenied: no; see that the credentials are right and allow this";
        check(error(ErrorKind::PermissionDenied), advice);
        let advice = "ConfigInvalid: no; see that the bucket exists and the operator is configured for it";
        check(error(ErrorKind::ConfigInvalid), advice);
        check(error(ErrorKind::RateLimited), "RateLimited: no; ask less often, or raise the limit there");
        check(opendal::Error::new(ErrorKind::Unexpected, ""), "Unexpected");
    }

    #[test]
    fn the_first_cause_is_told_and_long_answers_are_cut() {
        let refused = io::Error::other("Connection refused");
        let sent = io::Error::other(Quoting(refused));
        check(
            opendal::Error::new(ErrorKind::Unexpected, "send http request").set_source(sent),
            "Unexpected: send http request: Connection refused",
        );
        let long = opendal::Error::new(ErrorKind::Unexpected, "é".repeat(1000));
        check(long, &format!("Unexpected: {}", "é".repeat(300)));
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
