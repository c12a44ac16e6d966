//! The end of a deployment: after its last request, and never on a request's thread.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::background;
use super::deployment::Deployment;
use super::drain::Drain;

/// How often the deployments that still have requests are looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// Deployments handed over and not yet looked at; the thread takes them at once, so that nobody waits for room.
const WAITING: usize = 1024;

/// Takes deployments that serve no longer. Its thread holds them until it is the only one who does, so that the
/// memory of a model is given back there and not by whichever request was the last.
#[derive(Debug, Clone)]
pub struct Retirement(SyncSender<Arc<Deployment>>);

impl Retirement {
    /// Starts the thread; it ends with the last handle, once everything handed over has been dropped.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> std::io::Result<Retirement> {
        let (sender, receiver) = sync_channel(WAITING);
        background::thread("modelsd-retire", move || retire(&receiver))?;
        Ok(Retirement(sender))
    }

    /// Hands over a deployment that no slot points to any more.
    pub fn take(&self, deployment: Arc<Deployment>) {
        // Without the thread it is dropped here: late is better than never.
        let _ = self.0.send(deployment);
    }
}

fn retire(incoming: &Receiver<Arc<Deployment>>) {
    let mut waiting = Drain::new();
    let mut open = true;
    while open || !waiting.is_empty() {
        let next = match (open, waiting.is_empty()) {
            (true, true) => incoming.recv().map_err(|_| RecvTimeoutError::Disconnected),
            (true, false) => incoming.recv_timeout(PAUSE),
            (false, _) => {
                std::thread::sleep(PAUSE);
                Err(RecvTimeoutError::Timeout)
            }
        };
        match next {
            Ok(deployment) => waiting.push(deployment),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => open = false,
        }
        waiting.sweep(|deployment| tracing::debug!(version = %deployment.id(), "retired"));
    }
}
