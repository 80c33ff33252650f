use std::io;

use tokio::runtime::Handle;

/// Makes blocking calls off the async threads: on Tokio's blocking pool, or in place where there is no Tokio.
///
/// A pool that is shutting down does not make the call; that is an error like any other.
pub(crate) async fn unblock<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    match Handle::try_current() {
        Err(_) => Ok(call()),
        Ok(handle) => match handle.spawn_blocking(call).await {
            Ok(done) => Ok(done),
            Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
            Err(_) => Err(io::Error::other("the async runtime is shutting down")),
        },
    }
}
