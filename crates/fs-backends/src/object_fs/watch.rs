//! Watches the requests of one operation: how far they have come, how often each was tried, and for how long nothing
//! has moved.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request, Response, StatusCode};
use opendal::raw::ServiceOperation;
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, HttpTransporter, Result};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// How many bytes count as progress. Fewer may be the drops of a server that will never finish.
const PROGRESS: u64 = 1 << 10;

/// The requests of an operation.
#[derive(Debug)]
pub(crate) struct Watch {
    began: Instant,
    timeout: Duration,
    retries: usize,
    /// When there was progress last, in milliseconds after `began`.
    progress: AtomicU64,
    /// Whether the service has answered.
    answered: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// How often each request was tried since it last succeeded, and how many bytes of it have been sent at most.
    requests: HashMap<String, (u32, u64)>,
    /// The request that failed last; if none has, the one that ended last, or the first one.
    last: Option<Shown>,
}

/// A request as an error shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    key: String,
    failed: bool,
    /// What its service calls it, such as `PutObject`.
    pub(crate) request: &'static str,
    /// How often it was tried in a row.
    pub(crate) tries: u32,
    /// Whether it may succeed at another time.
    pub(crate) is_temporary: bool,
    /// The status of an answer that refuses it.
    pub(crate) refusal: Option<StatusCode>,
}

impl Watch {
    /// A watch over requests of which each fails when nothing moves for `timeout`, and is repeated so often at most.
    pub(crate) fn new(timeout: Duration, retries: usize) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            timeout,
            retries,
            progress: AtomicU64::new(0),
            answered: AtomicBool::new(false),
            seen: Mutex::default(),
        })
    }

    /// Notes that the operation has come further.
    pub(crate) fn progress(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.progress.fetch_max(now, Ordering::Relaxed);
    }

    /// Returns when there was no progress for this long.
    pub(crate) async fn stalled(&self, deadline: Duration) {
        loop {
            let last = self.began + Duration::from_millis(self.progress.load(Ordering::Relaxed));
            if last.elapsed() >= deadline {
                return;
            }
            sleep_until(last + deadline).await;
        }
    }

    /// Forgets that the service has answered.
    pub(crate) fn forget_answers(&self) {
        self.answered.store(false, Ordering::Relaxed);
    }

    /// Whether the service has answered since.
    pub(crate) fn has_answers(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// How long the operation has been going on.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The request that an error of the operation is about, if there was any.
    pub(crate) fn last(&self) -> Option<Shown> {
        let seen = self.seen();
        let mut last = seen.last.clone()?;
        // The last try may not have ended.
        last.tries = seen.requests.get(&last.key).map_or(last.tries, |(tries, _)| *tries);
        Some(last)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is under way. The transport finds it among the request's extensions, and notes what it sends.
#[derive(Debug, Clone)]
pub(crate) struct Activity(Arc<Underway>);

#[derive(Debug)]
struct Underway {
    watch: Arc<Watch>,
    request: Option<&'static str>,
    key: String,
    #[cfg(feature = "http")]
    sent: AtomicU64,
    /// How many bytes have moved since there was progress.
    since: AtomicU64,
    /// When a byte moved last.
    moved: Mutex<Instant>,
}

impl Activity {
    fn begin(watch: &Arc<Watch>, request: &Request<Buffer>) -> Self {
        let name = request.extensions().get::<ServiceOperation>().map(|operation| operation.0);
        let key = format!("{} {}", request.method(), request.uri());
        watch.seen().requests.entry(key.clone()).or_default().0 += 1;
        let activity = Self(Arc::new(Underway {
            watch: Arc::clone(watch),
            request: name,
            key,
            #[cfg(feature = "http")]
            sent: AtomicU64::new(0),
            since: AtomicU64::new(0),
            moved: Mutex::new(Instant::now()),
        }));
        let mut seen = watch.seen();
        seen.last = seen.last.take().or_else(|| activity.shown());
        drop(seen);
        activity
    }

    /// Notes that so many bytes of the request's content were sent.
    #[cfg(feature = "http")]
    pub(crate) fn sent(&self, bytes: u64) {
        self.touch();
        let sent = self.0.sent.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let news = {
            let mut seen = self.0.watch.seen();
            let Some((_, furthest)) = seen.requests.get_mut(&self.0.key) else { return };
            let news = sent.saturating_sub(*furthest);
            *furthest = sent.max(*furthest);
            news
        };
        self.advance(news);
    }

    fn received(&self, bytes: u64) {
        self.touch();
        self.advance(bytes);
    }

    fn advance(&self, bytes: u64) {
        let since = self.0.since.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if since >= PROGRESS {
            self.0.since.store(0, Ordering::Relaxed);
            self.0.watch.progress();
        }
    }

    fn touch(&self) {
        *self.0.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn moved(&self) -> Instant {
        *self.0.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn succeeded(&self) {
        let tries = self.tries();
        let mut seen = self.0.watch.seen();
        seen.requests.remove(&self.0.key);
        if let Some(shown) = self.shown()
            && seen.last.as_ref().is_none_or(|last| !last.failed || last.key == shown.key)
        {
            seen.last = Some(Shown { tries, ..shown });
        }
        drop(seen);
        self.0.watch.progress();
    }

    /// Notes that the request has failed, whether it may succeed at another time, and with which answer, if there was one.
    fn failed(&self, is_temporary: bool, refusal: Option<StatusCode>) {
        let tries = self.tries();
        let mut seen = self.0.watch.seen();
        if let Some(shown) = self.shown() {
            seen.last = Some(Shown { failed: true, tries, is_temporary, refusal, ..shown });
        }
    }

    /// A request without a name asks for credentials: what it means for the operation shows in that one's error.
    fn shown(&self) -> Option<Shown> {
        let (key, request) = (self.0.key.clone(), self.0.request?);
        Some(Shown { key, request, tries: 1, failed: false, is_temporary: false, refusal: None })
    }

    /// How often the request was tried in a row.
    fn tries(&self) -> u32 {
        self.0.watch.seen().requests.get(&self.0.key).map_or(1, |(tries, _)| *tries)
    }

    /// Returns when nothing has moved for the timeout.
    async fn stalled(&self) {
        loop {
            let moved = self.moved();
            if moved.elapsed() >= self.0.watch.timeout {
                return;
            }
            sleep_until(moved + self.0.watch.timeout).await;
        }
    }

    fn timed_out(&self) -> Error {
        self.failed(true, None);
        let message = format!("nothing moved for {}", in_words(self.0.watch.timeout));
        Error::new(ErrorKind::Unexpected, message).set_temporary()
    }
}

/// A duration as people write it.
pub(crate) fn in_words(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        seconds => format!("{seconds} s"),
    }
}

/// A transport whose requests are watched.
pub(crate) struct Watched {
    pub(crate) inner: HttpTransporter,
    pub(crate) watch: Arc<Watch>,
    /// Whether the transport notes what it sends. If not, the time to send a request's content is not limited here.
    pub(crate) notes_sent: bool,
}

impl HttpTransport for Watched {
    async fn fetch(&self, mut request: Request<Buffer>) -> Result<Response<HttpBody>> {
        let activity = Activity::begin(&self.watch, &request);
        let is_limited = self.notes_sent || request.body().is_empty();
        request.extensions_mut().insert(activity.clone());
        let fetched = tokio::select! {
            fetched = self.inner.fetch(request) => fetched,
            () = activity.stalled(), if is_limited => return Err(activity.timed_out()),
        };
        let response = fetched.inspect_err(|e| activity.failed(e.is_temporary(), None))?;
        activity.touch();
        self.watch.answered.store(true, Ordering::Relaxed);
        match response.status() {
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                activity.failed(true, Some(status));
                let is_repeated = activity.tries() as usize <= self.watch.retries;
                if let Some(wait) = retry_after(response.headers()).filter(|_| is_repeated) {
                    sleep(wait.min(self.watch.timeout / 2)).await;
                }
            }
            status if status.is_client_error() => {
                activity.failed(false, Some(status));
                self.watch.progress();
            }
            _ => self.watch.progress(),
        }
        let succeeds = response.status().is_success();
        Ok(response.map(|body| body.map_inner(|inner| Box::new(Body { inner, activity, succeeds, alarm: None }))))
    }
}

/// How long a service wants to be left alone, in seconds. A date is not understood: clocks differ.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

type Pieces = Box<dyn Stream<Item = Result<Buffer>> + Send + Sync + Unpin>;

/// The content of an answer.
struct Body {
    inner: Pieces,
    activity: Activity,
    succeeds: bool,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Stream for Body {
    type Item = Result<Buffer>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_next(context) {
            Poll::Ready(Some(Ok(piece))) => {
                this.activity.received(piece.len() as u64);
                this.alarm = None;
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(Some(Err(e))) => {
                this.activity.failed(e.is_temporary(), None);
                Poll::Ready(Some(Err(e)))
            }
            Poll::Ready(None) => {
                if this.succeeds {
                    this.activity.succeeded();
                }
                Poll::Ready(None)
            }
            Poll::Pending => {
                // A piece that nobody asked for yet is not the service's delay, so the time counts from here.
                let timeout = this.activity.0.watch.timeout;
                let alarm = this.alarm.get_or_insert_with(|| Box::pin(sleep(timeout)));
                match alarm.as_mut().poll(context) {
                    Poll::Ready(()) => Poll::Ready(Some(Err(this.activity.timed_out()))),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }
}
