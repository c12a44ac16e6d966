//! What was measured: latencies, statuses, and why requests had no answer.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Digits of a latency that are kept.
const DIGITS: u8 = 3;
/// Longest latency told apart; longer ones count as this.
const MAX_LATENCY: Duration = Duration::from_secs(86_400);
/// Statuses by which a server says that it has too much to do: too many requests, and service unavailable.
const REFUSALS: [u16; 2] = [429, 503];
/// Bytes kept of the answer to the first request that failed.
pub(super) const MAX_SAMPLE: usize = 300;

/// Why a request had no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// No connection could be made.
    Connect,
    /// The answer took longer than the time limit.
    Timeout,
    /// The server and the load do not agree on TLS.
    Tls,
    /// The server closed the connection, or it broke.
    Closed,
    /// The answer was no HTTP/1.1.
    Malformed,
    /// The answer was longer than any answer is.
    TooLong,
}

impl Cause {
    /// The word for scripts.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Connect => "connect",
            Cause::Tls => "tls",
            Cause::Timeout => "timeout",
            Cause::Closed => "closed",
            Cause::Malformed => "malformed",
            Cause::TooLong => "too_long",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Cause::Connect => "cannot connect",
            Cause::Tls => "no agreement on TLS",
            Cause::Timeout => "no answer in time",
            Cause::Closed => "connection broke",
            Cause::Malformed => "not an answer of HTTP/1.1",
            Cause::TooLong => "answer too long",
        })
    }
}

/// How long requests took, in nanoseconds.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    fn new() -> Result<Latencies, hdrhistogram::CreationError> {
        let highest = u64::try_from(MAX_LATENCY.as_nanos()).unwrap_or(u64::MAX);
        Histogram::new_with_bounds(1, highest, DIGITS).map(Latencies)
    }

    fn record(&mut self, latency: Duration, count: u64) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record_n(nanoseconds, count);
    }

    fn add(&mut self, other: &Latencies) {
        // Both have the same bounds, without which this would fail.
        let added = self.0.add(&other.0);
        debug_assert!(added.is_ok(), "{added:?}");
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that this part of the requests does not exceed, such as 0.99; `None` when there is none.
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        (!self.0.is_empty()).then(|| Duration::from_nanos(self.0.value_at_quantile(part)))
    }

    /// The mean latency; `None` when there is none.
    pub fn mean(&self) -> Option<Duration> {
        (!self.0.is_empty()).then(|| Duration::from_nanos(self.0.mean() as u64))
    }
}

/// What requests came to.
#[derive(Debug, Clone)]
pub struct Tally {
    /// Of the requests that were answered 200, and what those without an answer waited: leaving out the slowest would
    /// flatter the server.
    pub latency: Latencies,
    /// Of the requests that the server refused because it has too much to do (429, 503).
    pub refusals: Latencies,
    /// Requests answered 200.
    pub answered: u64,
    /// Answers with another status, by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without an answer, by cause.
    pub causes: BTreeMap<Cause, u64>,
    /// Requests of the open loop that were due, but found no free connection until the end.
    pub unsent: u64,
    /// Bytes written.
    pub bytes_sent: u64,
    /// Bytes read.
    pub bytes_received: u64,
    /// Connections made while requests were sent: those made before are not counted.
    pub connections: u64,
    /// Time on the processor of the threads that sent.
    pub busy: Duration,
    /// What the first answer that was no success said, or why there was no TLS, shortened.
    pub sample: Option<String>,
}

impl Tally {
    /// Nothing yet.
    ///
    /// # Errors
    /// Never: the bounds of the histogram are constants that it takes.
    pub(super) fn new() -> Result<Tally, hdrhistogram::CreationError> {
        Ok(Tally {
            latency: Latencies::new()?,
            refusals: Latencies::new()?,
            answered: 0,
            statuses: BTreeMap::new(),
            causes: BTreeMap::new(),
            unsent: 0,
            bytes_sent: 0,
            bytes_received: 0,
            connections: 0,
            busy: Duration::ZERO,
            sample: None,
        })
    }

    /// An answer with its status, and the bytes of its body that were kept.
    pub(super) fn answer(&mut self, status: u16, latency: Duration, kept: &[u8]) {
        if status == 200 {
            self.answered += 1;
            self.latency.record(latency, 1);
            return;
        }
        if REFUSALS.contains(&status) {
            self.refusals.record(latency, 1);
        }
        *self.statuses.entry(status).or_default() += 1;
        if self.sample.is_none() {
            let kept = String::from_utf8_lossy(kept);
            self.sample = Some(format!("{status} {}", kept.trim()));
        }
    }

    /// A request that had no answer, how long it waited, and what was said where [`Cause::Tls`] is why.
    pub(super) fn failure(&mut self, cause: Cause, waited: Duration, said: &[u8]) {
        *self.causes.entry(cause).or_default() += 1;
        if cause == Cause::Tls && self.sample.is_none() {
            self.sample = Some(String::from_utf8_lossy(said).into_owned());
        }
        if cause == Cause::Timeout {
            self.latency.record(waited, 1);
        }
    }

    /// Requests that were due and not sent, and how long each waited.
    pub(super) fn unsent(&mut self, waited: Duration, count: u64) {
        self.unsent += count;
        self.latency.record(waited, count);
    }

    /// Adds what another thread or slice measured.
    pub(super) fn add(&mut self, other: &Tally) {
        self.latency.add(&other.latency);
        self.refusals.add(&other.refusals);
        self.answered += other.answered;
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (cause, count) in &other.causes {
            *self.causes.entry(*cause).or_default() += count;
        }
        self.unsent += other.unsent;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.connections += other.connections;
        self.busy += other.busy;
        if self.sample.is_none() {
            self.sample.clone_from(&other.sample);
        }
    }

    /// Requests that were no success.
    pub fn errors(&self) -> u64 {
        self.statuses.values().sum::<u64>() + self.causes.values().sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn only_200_is_a_success() {
        let mut tally = Tally::new().unwrap();
        tally.answer(200, MS, b"");
        tally.answer(503, 1000 * MS, b" overloaded\n");
        tally.answer(400, 1000 * MS, b"bad");
        tally.answer(204, 1000 * MS, b"");
        tally.failure(Cause::Closed, 1000 * MS, b"");
        assert_eq!((tally.answered, tally.errors()), (1, 4));
        assert_eq!(tally.sample.as_deref(), Some("503 overloaded"));
        let slowest = tally.latency.quantile(1.0).unwrap();
        assert!(slowest < 2 * MS, "a quick 503 is no latency: {slowest:?}");
    }

    #[test]
    fn refusals_have_latencies_of_their_own() {
        let mut tally = Tally::new().unwrap();
        tally.answer(200, 1000 * MS, b"");
        tally.answer(503, MS, b"");
        tally.answer(429, 2 * MS, b"");
        tally.answer(400, 1000 * MS, b"");
        tally.answer(504, 1000 * MS, b"");
        let mut sum = Tally::new().unwrap();
        sum.add(&tally);
        assert_eq!(
            (sum.refusals.count(), sum.errors(), sum.latency.count()),
            (2, 4, 1)
        );
        let slowest = sum.refusals.quantile(1.0).unwrap();
        assert!(slowest >= 2 * MS && slowest < 3 * MS, "{slowest:?}");
        assert!(sum.latency.quantile(0.0).unwrap() >= 999 * MS);
    }

    #[test]
    fn those_without_an_answer_count_with_what_they_waited() {
        let mut tally = Tally::new().unwrap();
        for _ in 0..98 {
            tally.answer(200, MS, b"");
        }
        assert!(tally.latency.quantile(0.99).unwrap() < 2 * MS);
        tally.unsent(300 * MS, 1);
        tally.failure(Cause::Timeout, 500 * MS, b"");
        assert!(tally.latency.quantile(0.99).unwrap() >= 299 * MS);
        assert!(tally.latency.quantile(1.0).unwrap() >= 499 * MS);
        assert_eq!((tally.answered, tally.errors(), tally.unsent), (98, 1, 1));
    }

    #[test]
    fn latencies_keep_three_digits_and_have_no_end() {
        for nanoseconds in [1_234, 56_789_012, 9_876_543_210_123] {
            let mut tally = Tally::new().unwrap();
            tally.answer(200, Duration::from_nanos(nanoseconds), b"");
            let kept = tally.latency.quantile(0.5).unwrap().as_nanos() as f64;
            assert!((kept / nanoseconds as f64 - 1.0).abs() < 0.001, "{kept}");
        }
        let mut tally = Tally::new().unwrap();
        tally.answer(200, 10 * MAX_LATENCY, b"");
        assert!(tally.latency.quantile(0.5).unwrap() >= MAX_LATENCY);
    }

    #[test]
    fn what_threads_measured_adds_up() {
        let mut one = Tally::new().unwrap();
        one.answer(200, MS, b"");
        one.failure(Cause::Connect, MS, b"");
        one.bytes_sent = 3;
        let mut two = one.clone();
        two.answer(503, MS, b"x");
        two.add(&one);
        assert_eq!((two.answered, two.errors(), two.bytes_sent), (2, 3, 6));
        assert_eq!(two.causes[&Cause::Connect], 2);
        assert_eq!(
            (one.latency.mean().is_some(), Tally::new().unwrap().latency.mean()),
            (true, None)
        );
    }
}
