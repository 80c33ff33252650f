use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;

/// How often and how long a request is tried again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retries {
    /// How often at most, after the first time.
    pub(super) max: u32,
    /// How long after the first attempt the last one begins at the latest.
    pub(super) within: Duration,
    /// How long to wait before the second attempt; twice as long each time after that.
    pub(super) first_wait: Duration,
}

/// Nobody waits longer than this unless the server asks for it.
const LONGEST: Duration = Duration::from_secs(30);

impl Retries {
    /// How long to wait after so many attempts, if another one is to be made: as long as the server asks for, or else
    /// longer and longer, by chance up to half of it less, so that clients do not all come back at once.
    pub(super) fn wait(&self, attempts: u32, elapsed: Duration, asked: Option<Duration>) -> Option<Duration> {
        if attempts > self.max {
            return None;
        }
        let wait = asked.unwrap_or_else(|| {
            let doubled = self.first_wait.saturating_mul(1 << (attempts - 1).min(16)).min(LONGEST);
            let chance = f64::from(RandomState::new().hash_one(attempts) as u32) / f64::from(u32::MAX);
            doubled.mul_f64(1.0 - chance / 2.0)
        });
        (elapsed.saturating_add(wait) <= self.within).then_some(wait)
    }
}

/// How long a server asks to wait: `Retry-After` in seconds or as a date, or OpenAI's `retry-after-ms`.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name: &str| text(name)?.parse::<f64>().ok();
    if let Some(millis) = number("retry-after-ms") {
        return Duration::try_from_secs_f64(millis / 1e3).ok();
    }
    if let Some(seconds) = number("retry-after") {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(text("retry-after")?).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &'static str)], expected: Option<f64>) {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let now = httpdate::parse_http_date("Wed, 21 Oct 2015 07:28:00 GMT").unwrap();
        assert_eq!(retry_after(&headers, now).map(|wait| wait.as_secs_f64()), expected, "{headers:?}");
    }

    #[test]
    fn servers_say_how_long_to_wait() {
        check(&[], None);
        check(&[("retry-after", "20")], Some(20.0));
        check(&[("retry-after", " 0.5 ")], Some(0.5));
        check(&[("retry-after", "2"), ("retry-after-ms", "150")], Some(0.15));
        check(&[("retry-after", "Wed, 21 Oct 2015 07:28:07 GMT")], Some(7.0));
        check(&[("retry-after", "Wed, 21 Oct 2015 07:27:07 GMT")], Some(0.0));
        for nonsense in ["", "soon", "-1", "NaN", "inf", "1e400"] {
            check(&[("retry-after", nonsense)], None);
        }
    }

    #[test]
    fn waits_are_bounded_in_count_and_time() {
        let seconds = Duration::from_secs;
        let retries = Retries { max: 3, within: seconds(60), first_wait: seconds(1) };
        for (attempts, most) in [(1, 1), (2, 2), (3, 4)] {
            let wait = retries.wait(attempts, Duration::ZERO, None).unwrap();
            assert!(wait <= seconds(most) && wait >= seconds(most) / 2, "{attempts}: {wait:?}");
        }
        assert_eq!(retries.wait(4, Duration::ZERO, None), None);
        assert_eq!(retries.wait(1, seconds(60), None), None);
        assert_eq!(retries.wait(1, seconds(10), Some(seconds(50))), Some(seconds(50)));
        assert_eq!(retries.wait(1, seconds(10), Some(seconds(51))), None);
        let patient = Retries { max: u32::MAX, within: Duration::MAX, first_wait: Duration::MAX };
        assert!(patient.wait(u32::MAX, Duration::MAX, None).unwrap() <= LONGEST);
        assert_eq!(Retries { max: 0, ..retries }.wait(1, Duration::ZERO, None), None);
    }
}
