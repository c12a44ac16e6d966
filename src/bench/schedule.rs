//! When requests are due.
//!
//! In the closed loop each connection sends as soon as it has its answer: a server that stands still is asked nothing
//! meanwhile, and the requests that real clients would have sent are missing from the latencies (coordinated omission).
//! In the open loop requests are due at fixed times whatever the server does. They wait for a free connection, in one
//! queue for all of a thread's connections, and their latency counts from the time they were due.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// Waits told of one by one; a server that hangs for an hour under load leaves millions of requests unsent.
const MAX_GROUPS: u64 = 100_000;

/// The times at which one thread's requests of a slice are due.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    /// Requests a second, of all threads.
    pub(super) rate: f64,
    /// Threads among which requests are dealt in turn.
    pub(super) threads: u64,
    /// Which of them this is, from 0.
    pub(super) thread: u64,
}

impl Pace {
    /// How long after the start the thread's request of that number is due, from 0.
    pub(super) fn due(&self, number: u64) -> Duration {
        let among_all = number.saturating_mul(self.threads).saturating_add(self.thread);
        Duration::try_from_secs_f64(among_all as f64 / self.rate).unwrap_or(Duration::MAX)
    }

    /// The waits, until the end of the slice, of the requests due before it that were not sent, each with how many have
    /// about that wait: very many are told of in groups.
    pub(super) fn unsent(&self, from: u64, length: Duration) -> impl Iterator<Item = (Duration, u64)> {
        let due = (length.as_secs_f64() * self.rate - self.thread as f64) / self.threads as f64;
        let until = due.max(0.0).ceil() as u64;
        let group = until.saturating_sub(from) / MAX_GROUPS + 1;
        let numbers = (from..until).step_by(usize::try_from(group).unwrap_or(usize::MAX));
        numbers.filter_map(move |number| {
            let wait = length
                .checked_sub(self.due(number))
                .filter(|wait| !wait.is_zero())?;
            Some((wait, group.min(until - number)))
        })
    }
}

/// Deals the requests of one slice to a thread's connections.
pub(super) struct Schedule {
    start: Instant,
    end: Instant,
    pace: Option<Pace>,
    sent: Cell<u64>,
    /// Whoever holds it waits for the next request to be due; the other idle connections wait for it.
    timer: Mutex<Timer>,
}

impl Schedule {
    pub(super) fn new(start: Instant, end: Instant, pace: Option<Pace>, timer: Timer) -> Schedule {
        Schedule {
            start,
            end,
            pace,
            sent: Cell::new(0),
            timer: Mutex::new(timer),
        }
    }

    /// Waits until a request is due, and says since when its latency counts; `None` when the slice is over.
    pub(super) async fn next(&self) -> Option<Instant> {
        let Some(pace) = &self.pace else {
            let now = Instant::now();
            return (now < self.end).then_some(now);
        };
        let mut timer = self.timer.lock().await;
        let due = self
            .start
            .checked_add(pace.due(self.sent.get()))
            .filter(|due| *due < self.end)?;
        timer.wait(due).await;
        if Instant::now() >= self.end {
            return None;
        }
        self.sent.set(self.sent.get() + 1);
        Some(due)
    }

    /// Tells of the requests that were due before `now` or the end of the slice and not sent: their waits until then,
    /// and how many have each. Gives the timer back.
    pub(super) fn finish(self, now: Instant, mut unsent: impl FnMut(Duration, u64)) -> Timer {
        if let Some(pace) = &self.pace {
            let length = self.end.min(now).saturating_duration_since(self.start);
            for (wait, count) in pace.unsent(self.sent.get(), length) {
                unsent(wait, count);
            }
        }
        self.timer.into_inner()
    }
}

/// Waits to the microsecond; the runtime's own timers are good for milliseconds. A timer of the kernel is a file that can
/// be read once it has expired, as a pipe can once something was written.
#[cfg(target_os = "linux")]
pub(super) struct Timer(tokio::net::unix::pipe::Receiver);

#[cfg(target_os = "linux")]
impl Timer {
    /// A timer of the current runtime.
    ///
    /// # Errors
    /// When the system gives none.
    pub(super) fn new() -> std::io::Result<Timer> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let file = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        tokio::net::unix::pipe::Receiver::from_owned_fd_unchecked(file).map(Timer)
    }

    /// Waits until a moment; not at all when it is over.
    async fn wait(&mut self, until: Instant) {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        use tokio::io::AsyncReadExt;
        // An expiry that nobody waited for may be there to read: the clock decides.
        while let Some(left) = until
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
        {
            let times = Itimerspec {
                it_interval: Timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                },
                it_value: Timespec {
                    tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                    tv_nsec: i64::from(left.subsec_nanos()),
                },
            };
            let set = timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &times);
            if set.is_err() || self.0.read(&mut [0; 8]).await.is_err() {
                tokio::time::sleep(left).await;
            }
        }
    }
}

/// Waits as exactly as the runtime does.
#[cfg(not(target_os = "linux"))]
pub(super) struct Timer;

#[cfg(not(target_os = "linux"))]
impl Timer {
    /// A timer of the current runtime.
    ///
    /// # Errors
    /// Never; other systems' timers may fail.
    pub(super) fn new() -> std::io::Result<Timer> {
        Ok(Timer)
    }

    /// Waits until a moment; not at all when it is over.
    async fn wait(&mut self, until: Instant) {
        tokio::time::sleep_until(until.into()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace(rate: f64, threads: u64, thread: u64) -> Pace {
        Pace {
            rate,
            threads,
            thread,
        }
    }

    #[test]
    fn threads_share_the_rate_in_turn() {
        let mut all: Vec<Duration> = (0..3)
            .flat_map(|thread| (0..4).map(move |number| pace(1000.0, 3, thread).due(number)))
            .collect();
        all.sort();
        let wanted: Vec<Duration> = (0..12).map(Duration::from_millis).collect();
        assert_eq!(all, wanted);
    }

    #[test]
    fn what_was_never_sent_waited_until_the_end() {
        let waits: Vec<_> = pace(10.0, 1, 0).unsent(7, SECOND).collect();
        assert_eq!(
            waits,
            [300, 200, 100].map(|wait| (Duration::from_millis(wait), 1))
        );
        // Due at the end is due after the slice.
        assert_eq!(pace(10.0, 1, 0).unsent(10, SECOND).count(), 0);
        assert_eq!(pace(0.001, 1, 0).unsent(1, SECOND).count(), 0);
        assert_eq!(pace(0.001, 2, 1).unsent(0, SECOND).count(), 0);
    }

    #[test]
    fn very_many_are_told_of_in_groups_and_none_is_lost() {
        let many = pace(1e6, 1, 0);
        let (mut groups, mut requests) = (0, 0);
        for (_, count) in many.unsent(3, 60 * SECOND) {
            groups += 1;
            requests += count;
        }
        assert_eq!(requests, 60_000_000 - 3);
        assert!(groups <= MAX_GROUPS, "{groups}");
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn a_slice_that_lags_deals_at_once_and_counts_from_when_it_was_due() {
        run(async {
            let now = Instant::now();
            let start = now.checked_sub(SECOND).unwrap();
            let end = now + 60 * SECOND;
            let schedule = Schedule::new(start, end, Some(pace(10.0, 1, 0)), Timer::new().unwrap());
            for number in 0..10 {
                let due = schedule.next().await.unwrap();
                assert_eq!(due - start, Duration::from_millis(100) * number);
            }
            // And one that is not due yet is waited for.
            let due = schedule.next().await.unwrap();
            assert!(Instant::now() >= due && due >= now, "{:?}", due - start);
        });
    }

    #[test]
    fn a_slice_that_is_over_deals_nothing_and_knows_what_was_left() {
        run(async {
            let now = Instant::now();
            let start = now.checked_sub(2 * SECOND).unwrap();
            for (pace, left) in [(Some(pace(10.0, 2, 1)), 5), (None, 0)] {
                let schedule = Schedule::new(start, start + SECOND, pace, Timer::new().unwrap());
                assert_eq!(schedule.next().await, None);
                let mut counted = 0;
                schedule.finish(now, |_, count| counted += count);
                assert_eq!(counted, left);
            }
        });
    }
}
