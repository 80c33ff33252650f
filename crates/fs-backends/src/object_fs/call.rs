//! An operation on a location: requests that are repeated and watched, with one deadline over all of them.

use std::sync::Arc;
use std::time::Duration;

use opendal::layers::RetryLayer;
use opendal::{ErrorKind, HttpTransporter, Operator};
use persist::{Error, RequestFailure, Result};
use tokio::runtime::Handle;

use super::cause::describe;
use super::watch::{Watch, Watched, in_words};
use super::{ObjectFs, RequestOptions};

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
    /// Whether it has less than all its time, as the service seems to be out of order.
    hurried: bool,
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
        let patience = self.known.outage.patience(deadline);
        let (retries, deadline) = match patience {
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
        let hurried = patience.is_some();
        Ok(Call { fs: self, operation, path, operator, once, watch, retries, deadline, hurried })
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
        let (outage, last) = (&self.fs.known.outage, self.watch.last());
        let is_silent = last.as_ref().is_none_or(|last| last.refusal.is_none());
        match &done {
            Err(e) if self.is_retryable(e) => outage.note_failure(self.hurried, is_silent),
            // What needed no request says nothing about a service that has requests.
            _ if last.is_none() || self.watch.has_answers() => outage.end(),
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
