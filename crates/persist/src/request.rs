use std::fmt;
use std::time::Duration;

/// Why a service did not do what was asked, after the request was repeated as often as it may be.
///
/// It is the source of [`Error::Failed`](crate::Error::Failed) where the location is behind a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestFailure {
    /// What the service calls the request that failed, such as `PutObject`; empty if none was made.
    pub request: &'static str,
    /// How often it was tried.
    pub tries: u32,
    /// How long the whole operation took.
    pub elapsed: Duration,
    /// The kind of the error, by OpenDAL's name.
    pub kind: &'static str,
    /// What the service or the network reported, and what to do about it. It has no credentials in it.
    pub cause: String,
    /// Whether the same may succeed at another time, as nothing is wrong with the request itself.
    pub is_retryable: bool,
}

impl fmt::Display for RequestFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { request, tries, elapsed, kind, cause, is_retryable } = self;
        if !request.is_empty() {
            f.write_str(request)?;
            if *tries > 1 {
                write!(f, ", tried {tries} times in {:.1} s", elapsed.as_secs_f64())?;
            }
            f.write_str(": ")?;
        }
        f.write_str(kind)?;
        if !cause.is_empty() {
            write!(f, ": {cause}")?;
        }
        f.write_str(if *is_retryable { "; it may succeed if it is tried again later" } else { "" })
    }
}

impl std::error::Error for RequestFailure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_was_tried_and_whether_to_try_again() {
        let failure = RequestFailure {
            request: "PutObject",
            tries: 5,
            elapsed: Duration::from_millis(7600),
            kind: "Unexpected",
            cause: "send the request: Connection refused".to_owned(),
            is_retryable: true,
        };
        assert_eq!(
            failure.to_string(),
            "PutObject, tried 5 times in 7.6 s: Unexpected: send the request: Connection refused; it may succeed if it \
             is tried again later"
        );
        let failure = RequestFailure { tries: 1, cause: String::new(), is_retryable: false, ..failure };
        assert_eq!(failure.to_string(), "PutObject: Unexpected");
        assert_eq!(RequestFailure { request: "", ..failure }.to_string(), "Unexpected");
    }
}
