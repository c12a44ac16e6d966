//! What is in line, run in turns with the requests of an overload.
//!
//! When all cores are busy and most requests are refused, the threads of predictors and the workers that refuse keep taking
//! the cores from each other: each request that comes wakes a worker, which costs more than to refuse it, and what a batch
//! takes depends on when the kernel lets its thread go on, so that many answers come too late. Then a task of the runtime runs
//! a batch, lets everybody else have a turn, runs the next batch, and so on: nobody is interrupted, requests are read many
//! at a time, and a batch takes as long as expected. A refusal waits for the batch, which is no longer than [`BATCH_BELOW`].

use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::yield_now;

use super::Shared;
use super::lease::{Work, rows_of};

/// So many refusals while a batch runs are worth it; a few large requests are better read while it does.
const MANY: usize = 16;
/// Batches that should take longer are for threads: nothing else gets a turn meanwhile. A little more than what one takes at
/// most where nobody says otherwise ([`super::Config::max_time`]).
const BATCH_BELOW: Duration = Duration::from_millis(11);
/// A turn of all others that takes less shows that nothing waits: as long as one request takes.
const NOTHING: Duration = Duration::from_micros(20);
/// What waits gets so many times as long as the batch before it.
const TURN: u32 = 2;

impl Shared {
    /// The runtime that asks, if its workers can take over from the threads of predictors.
    pub(super) fn find_host(&self) -> Option<Handle> {
        let runtime = Handle::try_current().ok()?;
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        compete(runtime.metrics().num_workers(), self.lanes.len(), cores).then_some(runtime)
    }

    /// The runtime, if it should run a batch of so many rows while so many calls are refused.
    pub(super) fn host(&self, refused: usize, rows: usize) -> Option<&Handle> {
        let host = self.host.get()?.as_ref()?;
        (refused >= MANY && self.runner.cost.is_below(rows, BATCH_BELOW)).then_some(host)
    }
}

/// Whether workers and predictors' threads are after the same cores, and the workers alone would do as much: fewer of them
/// than predictors would not.
fn compete(workers: usize, predictors: usize, cores: usize) -> bool {
    workers >= predictors && workers + predictors > cores
}

impl Work {
    /// Runs the calls, and then what is in line until nobody is, or a thread should. When the runtime ends before, so do the
    /// calls that wait.
    pub(super) async fn take_turns(self) {
        let Work { mut lease, mut jobs } = self;
        let mut begun = Instant::now();
        loop {
            let rows = rows_of(&jobs);
            let before = Instant::now();
            lease.run(jobs);
            others(before.elapsed() * TURN).await;
            let next = lease.shared.next(rows, &mut begun).1;
            if next.host.is_none() {
                // Also to give the predictor back: should nobody need the model any more, it goes on its thread and not here.
                let jobs = next.jobs;
                lease.hand_on(jobs);
                return;
            }
            jobs = next.jobs;
        }
    }
}

/// Lets all others have turns until they need none, for about so long at most.
async fn others(most: Duration) {
    let begun = Instant::now();
    let mut last = begun;
    loop {
        yield_now().await;
        let now = Instant::now();
        if now - last < NOTHING || now - begun >= most {
            return;
        }
        last = now;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use tokio::runtime::Builder;
    use tokio::task::LocalSet;

    use super::*;

    #[test]
    fn workers_take_over_where_there_are_enough_of_them_and_too_few_cores_for_all() {
        for (workers, predictors, cores, wanted) in [
            (1, 1, 1, true),
            (4, 4, 4, true),
            (4, 1, 4, true),
            // Each has a core to itself.
            (1, 1, 2, false),
            (2, 2, 16, false),
            // Cores would be left alone.
            (1, 4, 4, false),
        ] {
            assert_eq!(
                compete(workers, predictors, cores),
                wanted,
                "{workers} {predictors} {cores}"
            );
        }
    }

    /// Lets a task that keeps busy for a millisecond so many times have turns; gives how many it had.
    fn turns(times: u32, most: Duration) -> u32 {
        let had = Rc::new(Cell::new(0));
        let count = Rc::clone(&had);
        let busy = async move {
            while count.get() < times {
                std::thread::sleep(Duration::from_millis(1));
                count.set(count.get() + 1);
                yield_now().await;
            }
        };
        let runtime = Builder::new_current_thread().build().unwrap();
        let local = LocalSet::new();
        local.spawn_local(busy);
        runtime.block_on(local.run_until(others(most)));
        had.get()
    }

    #[test]
    fn others_have_turns_until_they_need_none_or_have_had_enough() {
        assert_eq!(turns(5, Duration::from_secs(600)), 5);
        assert!((1..=10).contains(&turns(u32::MAX, Duration::from_millis(10))));
    }
}
