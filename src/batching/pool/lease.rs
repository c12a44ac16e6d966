//! A predictor in use, and its thread.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use super::{Job, Shared, Slot};

/// A predictor in use. Goes back to the pool when dropped.
pub(super) struct Lease {
    pub(super) slot: Option<Slot>,
    pub(super) shared: Arc<Shared>,
}

/// What a thread is handed: calls to run as one, and then whatever is in line.
pub(super) struct Work {
    pub(super) lease: Lease,
    pub(super) jobs: Vec<Job>,
}

impl Lease {
    /// The number of its thread.
    pub(super) fn lane(&self) -> Option<usize> {
        self.slot.as_ref().map(|slot| slot.lane)
    }

    /// Runs these calls as one.
    pub(super) fn run(&mut self, jobs: Vec<Job>) {
        if let Some(slot) = &mut self.slot
            && !jobs.is_empty()
        {
            self.shared.runner.together(slot.predictor.as_mut(), jobs);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.shared.lock().idle.push(slot);
        }
    }
}

impl Work {
    /// Runs the calls, and then what is in line until nobody is.
    pub(super) fn carry_out(self) {
        let Work { mut lease, mut jobs } = self;
        let shared = Arc::clone(&lease.shared);
        let mut begun = Instant::now();
        loop {
            let ran = jobs.iter().map(|job| job.rows).sum();
            lease.run(jobs);
            let mut state = shared.lock();
            let now = Instant::now();
            if ran > 0 {
                shared.runner.drained(ran, now - begun);
            }
            begun = now;
            // Somebody else is about to take the line, and needs a predictor.
            jobs = if state.led {
                Vec::new()
            } else {
                state.next(|first| shared.rows_of(first), now, &shared.runner.meters)
            };
            if jobs.is_empty() {
                state.idle.extend(lease.slot.take());
                return;
            }
        }
    }
}

/// The thread of a predictor.
pub(super) fn spawn(name: &str, lane: usize) -> Option<SyncSender<Work>> {
    let (sender, work) = sync_channel(1);
    match std::thread::Builder::new()
        .name(format!("{name}-{lane}"))
        .spawn(move || serve(&work))
    {
        Ok(_) => Some(sender),
        Err(error) => {
            tracing::warn!(%error, "no thread for a predictor; its calls run on the runtime's threads");
            None
        }
    }
}

/// The life of a thread: until the pool is gone.
fn serve(work: &Receiver<Work>) {
    work.iter().for_each(Work::carry_out);
}
