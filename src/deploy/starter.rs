//! Starts the threads of predictors. They serve, so they need the priority of serving, and threads inherit theirs from
//! who starts them: this is a thread of ordinary priority for those who have less.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};

use tokio::sync::oneshot;

/// Jobs that may wait; they come from loads, which take turns.
const WAITING: usize = 16;

type Job = Box<dyn FnOnce() + Send>;

/// A thread that does what it is handed.
#[derive(Clone)]
pub struct Starter(SyncSender<Job>);

impl Starter {
    /// Starts the thread, with the priority of the caller; it ends with the last handle.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> io::Result<Starter> {
        let (sender, jobs) = sync_channel::<Job>(WAITING);
        std::thread::Builder::new()
            .name("modelsd-start".into())
            .spawn(move || jobs.iter().for_each(|job| job()))?;
        Ok(Starter(sender))
    }

    /// Does the work on that thread; `None` when it is gone or has too much to do. It must be short.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move || drop(reply.send(work())));
        self.0.try_send(job).ok()?;
        answer.await.ok()
    }
}
