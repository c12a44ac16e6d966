//! While a worker computes, another looks for requests.
//!
//! One worker at a time waits for the sockets of all connections. Woken by a request whose call should be cheap, it runs that
//! itself, and no other is told to wait for sockets in its place: that pays, since the call takes some microseconds. A call
//! that takes seconds against all experience would leave the whole server silent until it ends, `/ping` too, with workers
//! that sleep. So while requests are worked on, one that sleeps is woken now and then; it finds the sockets without anybody.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval};

/// How long a server is silent at most that has a worker to spare.
const EVERY: Duration = Duration::from_millis(100);

/// Wakes a worker that sleeps now and then, while `busy`; for a runtime other than that of the workers.
pub async fn look_out(workers: Handle, busy: impl Fn() -> bool) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Any task makes a worker that has nothing to do look for more, and then wait for sockets where nobody does.
    let mut woken = workers.spawn(async {});
    loop {
        ticks.tick().await;
        // Where no worker is to spare it waits to be woken, and one such task is enough.
        if busy() && woken.is_finished() {
            woken = workers.spawn(async {});
        }
    }
}
