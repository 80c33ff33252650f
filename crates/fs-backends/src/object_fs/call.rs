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

/// The deadline of an operation while the service seems to be silent.
const SUSPICIOUS: Duration = Duration::from_secs(2);

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
        let (retries, deadline) = match self.known.seems_silent(deadline) {
            true => (0, SUSPICIOUS.min(deadline)),
            false => (retries, deadline),
        };
        let watch = Watch::new(timeout);
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
        let done = tokio::select! {
            done = requests => done,
            () = self.watch.stalled(self.deadline) => {
                let message = format!("no progress for {}", in_words(self.deadline));
                Err(opendal::Error::new(ErrorKind::Unexpected, message).set_temporary())
            }
        };
        self.fs.known.note(done.as_ref().is_err_and(|e| self.is_retryable(e)));
        done
    }

    /// How long to wait before each repetition of a request that is made with [`once`](Self::once).
    pub(super) fn pauses(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let first = self.fs.requests.retry_delay;
        (0..self.retries).scan(first, |next, _| Some(std::mem::replace(next, next.saturating_mul(2))))
    }

    /// The error of this operation.
    pub(super) fn failed(&self, cause: opendal::Error) -> Error {
        let failed = self.watch.failed();
        let failure = RequestFailure {
            request: failed.map_or("", |failed| failed.request),
            tries: failed.map_or(1, |failed| failed.tries),
            elapsed: self.watch.elapsed(),
            kind: cause.kind().into_static(),
            cause: describe(&cause, &self.fs.location),
            is_retryable: self.is_retryable(&cause),
        };
        Error::failed(&*self.fs.location, self.operation, self.path, failure)
    }

    /// Whether the same may succeed at another time. The layer that repeats requests calls every error persistent, also
    /// those that it did not repeat.
    fn is_retryable(&self, error: &opendal::Error) -> bool {
        error.is_temporary() || error.is_persistent() && self.watch.failed().is_some_and(|failed| failed.is_temporary)
    }
}

impl Known {
    fn silent(&self) -> MutexGuard<'_, Option<Instant>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the service has failed to answer less than this long ago, and not answered since.
    fn seems_silent(&self, pause: Duration) -> bool {
        self.silent().is_some_and(|since| since.elapsed() < pause)
    }

    /// Notes whether an operation failed for want of an answer.
    fn note(&self, is_silent: bool) {
        let mut silent = self.silent();
        match is_silent {
            true => *silent = silent.or_else(|| Some(Instant::now())),
            false => *silent = None,
        }
    }
}
