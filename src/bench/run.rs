//! A whole measurement: steps of concurrency, and in each the targets in turn.
//!
//! With several targets a step is cut into slices, A B A B …, so that whatever else the machine does meets all alike.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::address::{Address, Request};
use super::load::{Order, Outcome, Target, Thread};
use super::report::{Measured, Report, Step};
use super::schedule::Pace;
use super::stream::Door;
use super::tally::Tally;
use super::tls::Tls;

/// A slice of one target where there are several.
const SLICE: Duration = Duration::from_secs(1);
/// From the order to start to the start, so that all threads begin together.
const HEAD_START: Duration = Duration::from_millis(2);

/// How long a greeting before the measurement may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is measured, and how.
#[derive(Clone)]
pub struct Plan {
    /// The servers; the first is what the others are compared with.
    pub targets: Vec<Address>,
    /// How TLS is spoken to those of https.
    pub tls: Option<Tls>,
    /// What is sent to each.
    pub request: Request,
    /// Connections of each step.
    pub concurrency: Vec<usize>,
    /// Load before each step's measurement, for each target.
    pub warm_up: Duration,
    /// Measurement of each target in each step.
    pub duration: Duration,
    /// Requests a second of the open loop; the closed loop without.
    pub rate: Option<f64>,
    /// Threads that send.
    pub threads: usize,
    /// Whether they stay awake while they wait for answers.
    pub spin: bool,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// A server that no request could be sent to.
#[derive(Debug, thiserror::Error)]
#[error("cannot measure {url}: {reason}")]
pub struct NoTls {
    url: String,
    reason: String,
}

/// Greets every server of https once, so that what keeps TLS from being spoken is known before anything is measured.
/// Servers that are not there pass: they may come.
///
/// # Errors
/// When one of them cannot be spoken to, for a reason of TLS.
pub async fn greet(plan: &Plan) -> Result<(), NoTls> {
    for target in &plan.targets {
        let refused = |reason| NoTls {
            url: target.url(),
            reason,
        };
        let door = Door::new(target, plan.tls.as_ref()).map_err(|error| refused(error.to_string()))?;
        let greeted = tokio::time::timeout(plan.timeout.min(PATIENCE), door.greet()).await;
        greeted.unwrap_or(Ok(())).map_err(refused)?;
    }
    Ok(())
}

/// Runs the plan; `tell` is told of each step as it begins. Stops early, with what there is, once `stop` is true.
///
/// # Errors
/// When the system gives no thread, timer or runtime.
pub fn run(plan: &Plan, stop: &watch::Receiver<bool>, tell: &mut dyn FnMut(usize)) -> io::Result<Report> {
    let most = plan.concurrency.iter().copied().max().unwrap_or(1);
    let mut crew = Crew::start(plan, plan.threads.min(most).max(1), stop)?;
    let mut steps = Vec::new();
    for connections in plan.concurrency.iter().copied() {
        if *stop.borrow() {
            break;
        }
        tell(connections);
        steps.push(crew.step(plan, connections)?);
    }
    crew.end()?;
    steps.retain(|step: &Step| step.measured.iter().any(|measured| !measured.seconds.is_zero()));
    Ok(Report {
        steps,
        interrupted: *stop.borrow(),
    })
}

/// The threads.
struct Crew {
    members: Vec<Member>,
    stop: watch::Receiver<bool>,
}

struct Member {
    orders: SyncSender<Order>,
    outcomes: Receiver<io::Result<Outcome>>,
    thread: JoinHandle<()>,
}

impl Crew {
    fn start(plan: &Plan, threads: usize, stop: &watch::Receiver<bool>) -> io::Result<Crew> {
        let target = |address: &Address| {
            Ok(Target {
                bytes: plan.request.bytes(address),
                door: Door::new(address, plan.tls.as_ref())?,
            })
        };
        let targets: Vec<Target> = plan.targets.iter().map(target).collect::<io::Result<_>>()?;
        let member = |number: usize| {
            let (orders, received) = sync_channel(1);
            let (sent, outcomes) = sync_channel(1);
            let thread = Thread {
                targets: targets.clone(),
                timeout: plan.timeout,
                spin: plan.spin,
                orders: received,
                outcomes: sent,
                stop: stop.clone(),
            };
            let name = format!("modelsd-bench-{number}");
            let thread = std::thread::Builder::new().name(name).spawn(|| thread.run())?;
            Ok(Member {
                orders,
                outcomes,
                thread,
            })
        };
        Ok(Crew {
            members: (0..threads).map(member).collect::<io::Result<_>>()?,
            stop: stop.clone(),
        })
    }

    fn stopped(&self) -> bool {
        *self.stop.borrow()
    }

    fn step(&mut self, plan: &Plan, connections: usize) -> io::Result<Step> {
        let mut measured = Vec::new();
        for target in 0..plan.targets.len() {
            self.connect(target, connections, true)?;
            if !plan.warm_up.is_zero() && !self.stopped() {
                self.slice(plan, target, connections, plan.warm_up)?;
            }
            measured.push(Measured::nothing().map_err(io::Error::other)?);
        }
        let (rounds, length) = rounds(plan.duration, plan.targets.len());
        for _ in 0..rounds {
            for (target, measured) in measured.iter_mut().enumerate() {
                if self.stopped() {
                    break;
                }
                self.connect(target, connections, false)?;
                let (tally, took) = self.slice(plan, target, connections, length)?;
                measured.add(&tally, took, self.active(connections));
            }
        }
        Ok(Step {
            connections,
            measured,
        })
    }

    /// Threads that have a connection.
    fn active(&self, connections: usize) -> usize {
        connections.min(self.members.len())
    }

    fn connect(&mut self, target: usize, connections: usize, fresh: bool) -> io::Result<()> {
        let active = self.active(connections);
        self.order(active, |thread| Order::Connect {
            target,
            connections: share(connections, active, thread),
            fresh,
        })?;
        Ok(())
    }

    /// One slice, and how long it took, to the last answer.
    fn slice(
        &mut self,
        plan: &Plan,
        target: usize,
        connections: usize,
        length: Duration,
    ) -> io::Result<(Tally, Duration)> {
        let active = self.active(connections);
        let start = Instant::now() + HEAD_START;
        let pace = |thread: usize| {
            let (threads, thread) = (active as u64, thread as u64);
            plan.rate.map(|rate| Pace {
                rate,
                threads,
                thread,
            })
        };
        let (tally, ended) = self.order(active, |thread| Order::Run {
            target,
            start,
            end: start + length,
            pace: pace(thread),
        })?;
        let took = ended.saturating_duration_since(start);
        // An open loop may be ready before its time: the slice is as long as it was meant to be.
        let took = if self.stopped() { took } else { took.max(length) };
        Ok((tally, took))
    }

    fn order(&mut self, active: usize, order: impl Fn(usize) -> Order) -> io::Result<(Tally, Instant)> {
        let gone = || io::Error::other("a thread of the load has ended");
        for (number, member) in self.members.iter().take(active).enumerate() {
            // A thread that ended with an error says so below.
            let _ = member.orders.send(order(number));
        }
        let mut tally = Tally::new().map_err(io::Error::other)?;
        let mut ended = Instant::now();
        for member in self.members.iter().take(active) {
            let outcome = member.outcomes.recv().map_err(|_| gone())??;
            tally.add(&outcome.tally);
            ended = ended.max(outcome.ended);
        }
        Ok((tally, ended))
    }

    fn end(self) -> io::Result<()> {
        for member in self.members {
            drop(member.orders);
            member
                .thread
                .join()
                .map_err(|_| io::Error::other("a thread of the load panicked"))?;
        }
        Ok(())
    }
}

/// A thread's part of the connections, which differ by one at most.
fn share(connections: usize, threads: usize, thread: usize) -> usize {
    connections / threads + usize::from(thread < connections % threads)
}

/// How many slices each target has, and how long each is.
fn rounds(duration: Duration, targets: usize) -> (u32, Duration) {
    let rounds = if targets > 1 {
        (duration.as_secs_f64() / SLICE.as_secs_f64()).round().max(1.0) as u32
    } else {
        1
    };
    (rounds, duration / rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_all_connections() {
        for (connections, threads) in [(1, 1), (64, 3), (7, 7), (10_000, 16)] {
            let shares = (0..threads).map(|thread| share(connections, threads, thread));
            assert!(shares.clone().all(|share| share > 0));
            assert_eq!(shares.sum::<usize>(), connections);
        }
    }

    #[test]
    fn only_comparisons_are_cut_into_slices() {
        let second = Duration::from_secs(1);
        assert_eq!(rounds(10 * second, 1), (1, 10 * second));
        assert_eq!(rounds(10 * second, 2), (10, second));
        assert_eq!(rounds(second / 4, 3), (1, second / 4));
        assert_eq!(rounds(5 * second / 2, 2), (3, second * 5 / 6));
    }
}
