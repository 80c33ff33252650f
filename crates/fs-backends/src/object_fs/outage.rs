//! What is remembered of a service that is out of order, so that not every operation waits for it in full.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The deadline of the first operation after one that has failed, and the least one of those that follow it.
const SUSPICIOUS: Duration = Duration::from_secs(2);
const HOPELESS: Duration = Duration::from_millis(100);

/// Whether a service is out of order.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<Option<Failures>>);

#[derive(Debug, Clone, Copy)]
struct Failures {
    /// When an operation failed that had all its time.
    since: Instant,
    /// When one failed last.
    last: Instant,
    /// How many had no answer since then, one after the other.
    unanswered: u32,
}

impl Outage {
    fn failures(&self) -> MutexGuard<'_, Option<Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long an operation may go without progress; all its time, if none. It has less if another one has failed less
    /// than `pause` ago, or follows right after one that has failed, as steps that clean up do.
    pub(super) fn patience(&self, pause: Duration) -> Option<Duration> {
        let Failures { since, last, unanswered } = (*self.failures())?;
        let is_over = since.elapsed() >= pause && last.elapsed() >= SUSPICIOUS;
        let least = SUSPICIOUS / 2_u32.saturating_pow(unanswered);
        (!is_over).then(|| last.elapsed().clamp(least.max(HOPELESS), SUSPICIOUS))
    }

    /// Notes that an operation has failed: whether it had less than all its time, and whether for want of an answer.
    pub(super) fn note_failure(&self, hurried: bool, is_silent: bool) {
        let mut failures = self.failures();
        let now = Instant::now();
        *failures = Some(match *failures {
            Some(Failures { since, unanswered, .. }) if hurried => {
                Failures { since, last: now, unanswered: if is_silent { unanswered + 1 } else { 0 } }
            }
            _ => Failures { since: now, last: now, unanswered: 0 },
        });
    }

    /// Notes that the service works.
    pub(super) fn end(&self) {
        *self.failures() = None;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(60);

    fn check(outage: &Outage, seconds: Option<f64>) {
        assert_eq!(outage.patience(PAUSE).map(|time| time.as_secs_f64()), seconds);
    }

    async fn wait(seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn operations_that_follow_each_other_in_vain_have_less_and_less_time() {
        let outage = Outage::default();
        check(&outage, None);
        outage.note_failure(false, true);
        for seconds in [2.0, 1.0, 0.5, 0.25, 0.125, 0.1, 0.1] {
            check(&outage, Some(seconds));
            outage.note_failure(true, true);
        }
        wait(1).await;
        check(&outage, Some(1.0));
        wait(10).await;
        check(&outage, Some(2.0));
        outage.note_failure(true, false);
        check(&outage, Some(2.0));
        outage.end();
        check(&outage, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_while_later_an_operation_has_all_its_time_again() {
        let outage = Outage::default();
        outage.note_failure(false, true);
        wait(59).await;
        outage.note_failure(true, true);
        wait(1).await;
        check(&outage, Some(1.0));
        outage.note_failure(true, true);
        wait(2).await;
        check(&outage, None);
        outage.note_failure(false, true);
        check(&outage, Some(2.0));
    }
}
