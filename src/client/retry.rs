//! When a request is sent again, and after how long.
//!
//! The statuses and the waits are those of MLflow's client in Python (urllib3 below it): no wait before the first
//! retry, then `factor * 2^n` seconds and up to `jitter` seconds by chance, two minutes at most.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// No wait is longer, whatever the server asks for.
const LONGEST: Duration = Duration::from_secs(120);

/// Statuses of failures that may pass. MLflow answers 500 to some requests for ever; as the server's database being
/// away is a 500 too, it counts, save for `FEATURE_DISABLED`, which the caller takes out before.
pub(super) fn may_pass(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// How often and after which waits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Policy {
    pub(super) retries: u32,
    pub(super) factor: f64,
    pub(super) jitter: f64,
}

impl Policy {
    /// The wait before the `retry`th retry, counted from 1; `None` when it is not sent again. `chance` is from 0 to 1.
    pub(super) fn wait(&self, retry: u32, asked: Option<Duration>, chance: f64) -> Option<Duration> {
        if retry > self.retries {
            return None;
        }
        if let Some(asked) = asked {
            return Some(asked.min(LONGEST));
        }
        if retry <= 1 {
            return Some(Duration::ZERO);
        }
        let exponent = i32::try_from(retry - 1).unwrap_or(i32::MAX);
        let seconds = self.factor * 2f64.powi(exponent) + chance * self.jitter;
        // A factor or a jitter below zero or not finite waits not at all.
        Some(Duration::try_from_secs_f64(seconds.min(LONGEST.as_secs_f64())).unwrap_or_default())
    }
}

/// Reads `Retry-After`: seconds, or a date.
pub(super) fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTimeParser::new().parse_timestamp(text).ok()?;
    // A date that is over asks for no wait.
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

/// A number from 0 to 1 by chance; not for secrets.
pub(super) fn chance() -> f64 {
    const BITS: u32 = 53;
    let bits = uuid::Uuid::new_v4().as_u64_pair().1 & ((1 << BITS) - 1);
    bits as f64 / (1u64 << BITS) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: Policy = Policy {
        retries: 7,
        factor: 2.0,
        jitter: 1.0,
    };

    #[test]
    fn waits_are_those_of_the_python_client() {
        let waits: Vec<_> = (1..=8)
            .map(|retry| DEFAULT.wait(retry, None, 0.5).map(|wait| wait.as_secs_f64()))
            .collect();
        let wanted = [
            Some(0.0),
            Some(4.5),
            Some(8.5),
            Some(16.5),
            Some(32.5),
            Some(64.5),
            Some(120.0),
            None,
        ];
        assert_eq!(waits, wanted);
    }

    #[test]
    fn odd_numbers_do_no_harm() {
        for (factor, jitter) in [(f64::NAN, 0.0), (f64::INFINITY, 1.0), (-5.0, 0.0), (1e308, 1e308)] {
            let policy = Policy {
                factor,
                jitter,
                retries: u32::MAX,
            };
            assert!(policy.wait(u32::MAX, None, 1.0).unwrap() <= LONGEST);
        }
    }

    #[test]
    fn the_server_may_ask_for_a_wait() {
        let now: Timestamp = "2026-11-21T07:00:00Z".parse().unwrap();
        for (text, wanted) in [
            ("3", Some(3)),
            (" 17 ", Some(17)),
            ("Sat, 21 Nov 2026 07:01:00 GMT", Some(60)),
            ("Sat, 21 Nov 2026 06:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(retry_after(text, now), wanted.map(Duration::from_secs), "{text}");
        }
        let asked = |seconds| DEFAULT.wait(2, Some(Duration::from_secs(seconds)), 0.5);
        assert_eq!(asked(3), Some(Duration::from_secs(3)));
        assert_eq!(asked(1_000_000), Some(LONGEST));
        assert_eq!(DEFAULT.wait(8, Some(Duration::ZERO), 0.5), None);
    }

    #[test]
    fn chance_is_a_fraction() {
        let drawn: Vec<f64> = (0..100).map(|_| chance()).collect();
        assert!(drawn.iter().all(|number| (0.0..1.0).contains(number)));
        assert!(drawn.iter().any(|number| *number < 0.5) && drawn.iter().any(|number| *number >= 0.5));
    }
}
