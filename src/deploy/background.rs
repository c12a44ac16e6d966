//! The runtime of everything that is not serving: asking the registry, fetching, hashing, loading.
//!
//! Its threads weigh less than those that serve when both want a core, and so do the threads that they start (those of
//! predictors are started elsewhere, see `starter`). What it
//! decrypts, hashes and writes therefore costs requests little, and a disk that stands still holds up none of them.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// The niceness of the threads here; an ordinary thread has 0, and weighs nine times as much as one of 10.
const NICENESS: i32 = 10;
/// Threads that may wait for a disk, or compute, at once.
const BLOCKING_THREADS: usize = 16;

/// Starts the runtime.
///
/// # Errors
/// When the system gives no thread.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("modelsd-follow")
        .on_thread_start(stand_back)
        .enable_all()
        .build()
}

/// Starts a thread of the same low priority beside the runtime.
///
/// # Errors
/// When the system gives none.
pub fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let work = move || {
        stand_back();
        work();
    };
    std::thread::Builder::new().name(name.into()).spawn(work)?;
    Ok(())
}

/// Lowers the priority of the calling thread, and of those that it starts.
fn stand_back() {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "a thread of the background keeps its priority");
    }
}
