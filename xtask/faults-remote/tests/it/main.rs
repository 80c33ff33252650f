//! Object stores on a real S3 server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod cache;
mod contexts;
mod objects;

/// What every place does.
mod behavior {
    use faults_remote::s3::Remote;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(future)
    }

    persist::persist_fs_behavior!(block_on, async { Remote::new().place() });
}
