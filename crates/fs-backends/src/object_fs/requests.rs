use std::time::Duration;

/// How long requests to a service may take, and how often they are repeated.
///
/// All requests that are made can be repeated without harm; what of a commit may be made only once is recognised by its
/// content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestOptions {
    /// How long a connection may take to be made. Default 10 seconds.
    pub connect_timeout: Duration,
    /// How long a request may go without a byte moving in either direction. Then it has failed. Default 20 seconds.
    pub timeout: Duration,
    /// How often a failed request is repeated. Default 4.
    pub retries: usize,
    /// How long to wait before the first repetition. Each further one waits twice as long, with some jitter. A service
    /// that asks for more time (`Retry-After`) is given it, up to half of `timeout`. Default half a second.
    pub retry_delay: Duration,
    /// How long an operation, such as reading or writing one file, may go without progress, over all repetitions. Then it
    /// is an error. Default 60 seconds.
    ///
    /// Progress is an answer, or 1 KiB that did not travel before: a large file over a slow connection takes as long as
    /// it takes. For the same time after such an error further operations are given 2 seconds and no repetitions, until
    /// one of them succeeds, and half as long each time if they follow each other without an answer: so the steps that
    /// clean up do not wait again.
    pub deadline: Duration,
}

impl Default for RequestOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(20),
            retries: 4,
            retry_delay: Duration::from_millis(500),
            deadline: Duration::from_secs(60),
        }
    }
}

/// What is as good as for ever. Longer times cannot be added to a moment.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl RequestOptions {
    /// The same, with no time that cannot be added to a moment.
    pub(super) fn bounded(self) -> Self {
        let Self { connect_timeout, timeout, retries, retry_delay, deadline } = self;
        let [connect_timeout, timeout, retry_delay, deadline] =
            [connect_timeout, timeout, retry_delay, deadline].map(|time| time.min(LONGEST));
        Self { connect_timeout, timeout, retries, retry_delay, deadline }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_without_end_can_be_used() {
        let endless = RequestOptions { timeout: Duration::MAX, deadline: Duration::MAX, ..RequestOptions::default() };
        let RequestOptions { timeout, deadline, .. } = endless.bounded();
        assert!(std::time::Instant::now().checked_add(timeout + deadline).is_some());
    }
}
