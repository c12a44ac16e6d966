//! One thread of the load: its runtime, its connections, and the slices it is told to run.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use super::connection::{Connection, PAUSE};
use super::schedule::{Pace, Schedule, Timer};
use super::stream::Door;
use super::tally::{Cause, Tally};

/// Where requests go, and their bytes.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) door: Door,
    pub(super) bytes: Vec<u8>,
}

/// What a thread does next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    /// Have so many connections to a target, fresh ones when the step is a new one.
    Connect {
        target: usize,
        connections: usize,
        fresh: bool,
    },
    /// Send over the connections to a target until the slice ends, and wait for the last answers.
    Run {
        target: usize,
        start: Instant,
        end: Instant,
        pace: Option<Pace>,
    },
}

/// What came of an order.
pub(super) struct Outcome {
    pub(super) tally: Tally,
    /// When the last answer had come.
    pub(super) ended: Instant,
}

/// What a thread is made of.
pub(super) struct Thread {
    pub(super) targets: Vec<Target>,
    pub(super) timeout: Duration,
    /// Whether it stays awake while it waits for answers.
    pub(super) spin: bool,
    pub(super) orders: Receiver<Order>,
    pub(super) outcomes: SyncSender<io::Result<Outcome>>,
    pub(super) stop: watch::Receiver<bool>,
}

impl Thread {
    /// Does what it is told until nobody tells it more.
    pub(super) fn run(self) {
        if let Err(error) = self.obey() {
            // Nobody waits for it any more when the run was given up.
            let _ = self.outcomes.send(Err(error));
        }
    }

    fn obey(&self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut connections: Vec<Vec<Connection>> = self.targets.iter().map(|_| Vec::new()).collect();
        let mut timer = Some(runtime.block_on(async { Timer::new() })?);
        while let Ok(order) = self.orders.recv() {
            let tally = RefCell::new(Tally::new().map_err(io::Error::other)?);
            let before = busy();
            let mut idle = Duration::ZERO;
            let (Order::Connect { target, .. } | Order::Run { target, .. }) = order;
            let (Some(to), Some(over)) = (self.targets.get(target), connections.get_mut(target)) else {
                return Err(io::Error::other("there is no such target"));
            };
            match order {
                Order::Connect {
                    connections, fresh, ..
                } => {
                    if fresh {
                        over.clear();
                    }
                    over.resize_with(connections, Connection::new);
                    runtime.block_on(self.connect(to, over));
                }
                Order::Run { start, end, pace, .. } => {
                    let timer_now = match timer.take() {
                        Some(timer) => timer,
                        None => runtime.block_on(async { Timer::new() })?,
                    };
                    let schedule = Schedule::new(start, end, pace, timer_now);
                    idle = runtime.block_on(self.send(to, over, &schedule, &tally));
                    let now = Instant::now();
                    let unsent = |waited, count| tally.borrow_mut().unsent(waited, count);
                    timer = Some(schedule.finish(now, unsent));
                }
            }
            let ended = Instant::now();
            let mut tally = tally.into_inner();
            tally.busy = busy().saturating_sub(before).saturating_sub(idle);
            for connection in over.iter_mut() {
                tally.connections += std::mem::take(&mut connection.made);
                tally.bytes_received += std::mem::take(&mut connection.bytes_received);
            }
            if self.outcomes.send(Ok(Outcome { tally, ended })).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Makes the connections that are not there; those that cannot be made are tried again when they are used.
    async fn connect(&self, to: &Target, over: &mut [Connection]) {
        let each = over.iter_mut().map(|connection| async {
            let _ = tokio::time::timeout(self.timeout, connection.ready(&to.door)).await;
        });
        self.all(each.collect()).await;
    }

    /// Sends, and says for how long it was awake only because it is to be.
    async fn send(
        &self,
        to: &Target,
        over: &mut [Connection],
        schedule: &Schedule,
        tally: &RefCell<Tally>,
    ) -> Duration {
        let each = over
            .iter_mut()
            .map(|connection| keep_sending(to, connection, schedule, tally, self.timeout));
        let idle = Cell::new(Duration::ZERO);
        tokio::select! {
            () = self.all(each.collect()) => {}
            () = stay_awake(&idle, tally), if self.spin => {}
        }
        idle.get()
    }

    /// Runs all of them to their end, unless told to stop.
    async fn all(&self, mut each: FuturesUnordered<impl Future<Output = ()>>) {
        let mut stop = self.stop.clone();
        // The runtime would let a task with many connections stand back now and then; here there is no other task.
        tokio::task::unconstrained(async {
            tokio::select! {
                () = async { while each.next().await.is_some() {} } => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        })
        .await;
    }
}

/// Looks for answers again and again instead of sleeping until one is there. Notes the time in which none came.
async fn stay_awake(idle: &Cell<Duration>, tally: &RefCell<Tally>) {
    let (mut before, mut since) = (0, Instant::now());
    loop {
        tokio::task::yield_now().await;
        let (sent, now) = (tally.borrow().bytes_sent, Instant::now());
        if sent == before {
            idle.set(idle.get() + (now - since));
        }
        (before, since) = (sent, now);
    }
}

async fn keep_sending(
    to: &Target,
    connection: &mut Connection,
    schedule: &Schedule,
    tally: &RefCell<Tally>,
    timeout: Duration,
) {
    while let Some(since) = schedule.next().await {
        let exchange = connection.exchange(&to.door, &to.bytes);
        let came = tokio::time::timeout(timeout, exchange).await;
        let took = since.elapsed();
        let refused = {
            let mut tally = tally.borrow_mut();
            match came {
                Ok(Ok(status)) => tally.answer(status, took, connection.sample()),
                Ok(Err(cause)) => tally.failure(cause, took, connection.sample()),
                Err(_) => tally.failure(Cause::Timeout, took, b""),
            }
            let refused = matches!(came, Ok(Err(Cause::Connect | Cause::Tls)));
            if !refused {
                tally.bytes_sent += to.bytes.len() as u64;
            }
            refused
        };
        if refused {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Time that this thread has had on a processor.
#[cfg(target_os = "linux")]
fn busy() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Not known here.
#[cfg(not(target_os = "linux"))]
fn busy() -> Duration {
    Duration::ZERO
}
