//! An operation on a location: requests that are repeated and watched, with one deadline over all of them.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use opendal::layers::RetryLayer;
use opendal::{ErrorKind, HttpTransporter, Operator};
use persist::{Error, RequestFailure, Result};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::cause::describe;
use super::watch::{Watch, Watched, in_words};
use super::{Known, ObjectFs, RequestOptions};

/// The deadlines of an operation while the service seems to be out of order: of the first one, and of one right after
/// another that had no answer.
const SUSPICIOUS: Duration = Duration::from_secs(2);
const HOPELESS: Duration = Duration::from_millis(100);

/// A service that was out of order, and has done nothing since.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outage {
    since: Instant,
    /// When an operation that was begun meanwhile had no answer last.
    silent: Option<Instant>,
}

/// An operation under way.
pub(super) struct Call<'a> {
    fs: &'a ObjectFs,
    operation: &'static str,
    path: &'a str,
    /// Repeats its requests.
    pub(super) operator: Operator,
    /// Does not repeat its requests; for what must come from one object. None where they are repeated by a layer of the
    /// caller's.
    pub(super) once: Option<Operator>,
    pub(super) watch: Arc<Watch>,
    retries: usize,
    deadline: Duration,
}

impl ObjectFs {
    /// Begins an operation on this path, if that can be done here and now.
    pub(super) fn begin<'a>(&'a self, operation: &'static str, path: &'a str) -> Result<Call<'a>> {
        // OpenDAL trims it, and would use another key.
        if path.trim() != path {
            let reason = "it starts or ends with a space";
            return Err(Error::InvalidName { name: path.to_owned(), reason });
        }
        if Handle::try_current().is_err() {
            let problem = "this needs to run inside a Tokio runtime";
            return Err(Error::failed(&*self.location, operation, path, problem));
        }
        let RequestOptions { timeout, retries, retry_delay, deadline, .. } = self.requests;
        let (retries, deadline) = match self.known.patience(deadline) {
            Some(patience) => (0, patience.min(deadline)),
            None => (retries, deadline),
        };
        let watch = Watch::new(timeout, retries);
        let base = self.operator.base_context();
        let inner = base.http_transport().clone();
        let transport = Watched { inner, watch: Arc::clone(&watch), notes_sent: self.notes_sent };
        let context = base.with_http_transport(HttpTransporter::new(transport));
        let once = self.operator.clone().with_context(context);
        let retry = RetryLayer::new().with_max_times(retries).with_min_delay(retry_delay).with_jitter();
        let (operator, once) = match self.repeats {
            true => (once, None),
            false => (once.clone().layer(retry.with_notify(|_: opendal::layers::RetryEvent<'_>| {})), Some(once)),
        };
        Ok(Call { fs: self, operation, path, operator, once, watch, retries, deadline })
    }
}

impl Call<'_> {
    /// Waits for requests of this operation until they are done, or the deadline.
    pub(super) async fn run<T>(&self, requests: impl Future<Output = opendal::Result<T>>) -> opendal::Result<T> {
        // What was done here before is no silence of the service.
        self.watch.progress();
        self.watch.forget_answers();
        let done = tokio::select! {
            done = requests => done,
            () = self.watch.stalled(self.deadline) => {
                let message = format!("no progress for {}", in_words(self.deadline));
                Err(opendal::Error::new(ErrorKind::Unexpected, message).set_temporary())
            }
        };
        let is_silent = self.watch.last().is_none_or(|last| last.refusal.is_none());
        match &done {
            Err(e) if self.is_retryable(e) => self.fs.known.note_failure(is_silent, self.fs.requests.deadline),
            // What needed no request says nothing about the service.
            _ if self.watch.has_answers() => *self.fs.known.outage() = None,
            _ => {}
        }
        done
    }

    /// How long to wait before each repetition of a request that is made with [`once`](Self::once).
    pub(super) fn pauses(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let first = self.fs.requests.retry_delay;
        (0..self.retries).scan(first, |next, _| Some(std::mem::replace(next, next.saturating_mul(2))))
    }

    /// The error of this operation.
    pub(super) fn failed(&self, cause: opendal::Error) -> Error {
        Error::failed(&*self.fs.location, self.operation, self.path, self.failure(&cause))
    }

    /// Why this operation has failed.
    pub(super) fn failure(&self, cause: &opendal::Error) -> RequestFailure {
        let last = self.watch.last();
        let refusal = last.as_ref().and_then(|last| last.refusal);
        RequestFailure {
            request: last.as_ref().map_or("", |last| last.request),
            tries: last.map_or(1, |last| last.tries),
            elapsed: self.watch.elapsed(),
            kind: cause.kind().into_static(),
            cause: describe(cause, refusal, &self.fs.location),
            is_retryable: self.is_retryable(cause),
        }
    }

    /// Whether the same may succeed at another time. The layer that repeats requests calls every error persistent, also
    /// those that it did not repeat.
    fn is_retryable(&self, error: &opendal::Error) -> bool {
        error.is_temporary() || error.is_persistent() && self.watch.last().is_some_and(|last| last.is_temporary)
    }
}

impl Known {
    fn outage(&self) -> MutexGuard<'_, Option<Outage>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long an operation may go without progress, if the service was out of order less than `pause` ago, and has done
    /// nothing since.
    fn patience(&self, pause: Duration) -> Option<Duration> {
        let outage = self.outage().filter(|outage| outage.since.elapsed() < pause)?;
        Some(outage.silent.map_or(SUSPICIOUS, |silent| silent.elapsed().clamp(HOPELESS, SUSPICIOUS)))
    }

    /// Notes that an operation failed because the service was out of order, and whether for want of an answer.
    fn note_failure(&self, is_silent: bool, pause: Duration) {
        let mut outage = self.outage();
        let now = Instant::now();
        *outage = Some(match *outage {
            Some(Outage { since, .. }) if since.elapsed() < pause => Outage { since, silent: is_silent.then_some(now) },
            _ => Outage { since: now, silent: None },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn operations_at_a_service_that_is_out_of_order_are_given_less_time() {
        const PAUSE: Duration = Duration::from_secs(60);
        let known = Known::default();
        let check = |seconds: Option<f64>| assert_eq!(known.patience(PAUSE).map(|time| time.as_secs_f64()), seconds);
        let later = async |seconds| tokio::time::sleep(Duration::from_secs(seconds)).await;
        check(None);
        known.note_failure(true, PAUSE);
        check(Some(2.0));
        known.note_failure(true, PAUSE);
        check(Some(0.1));
        later(1).await;
        check(Some(1.0));
        later(10).await;
        check(Some(2.0));
        known.note_failure(false, PAUSE);
        check(Some(2.0));
        later(50).await;
        check(None);
        known.note_failure(true, PAUSE);
        check(Some(2.0));
        *known.outage() = None;
        check(None);
    }
}
