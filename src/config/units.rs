//! Reads the units that flags are given in. A failed reading gives a valid stand-in, so that the rest can be checked.

use std::num::NonZeroUsize;
use std::time::Duration;

/// A reading, or a stand-in and the problem.
type Reading<T> = Result<T, (T, String)>;

/// Threads and predictors beyond this are a typing error.
const MAX_THREADS: usize = 1024;
/// hyper's smallest buffer.
const MIN_HEADER_BYTES: usize = 8 << 10;
/// Buffers of this size a connection are a typing error.
const MAX_HEADER_BYTES: usize = 16 << 20;
/// The parser's stack is built for this depth.
const MAX_DEPTH: usize = 512;

/// A TCP port.
pub(super) fn port(text: &str) -> Reading<u16> {
    text.parse()
        .map_err(|_| (0, "use a number from 0 to 65535".into()))
}

/// A positive number of seconds, fractions allowed.
pub(super) fn seconds(text: &str) -> Reading<Duration> {
    match duration(text) {
        Some(duration) if !duration.is_zero() => Ok(duration),
        _ => Err((Duration::from_secs(1), "use a positive number of seconds".into())),
    }
}

/// A part of a whole: from 0 to 1.
pub(super) fn part(text: &str) -> Reading<f64> {
    let part = text.trim().parse().ok().filter(|part| (0.0..=1.0).contains(part));
    part.ok_or_else(|| (1.0, "use a number from 0 to 1, such as 0.1".into()))
}

/// A share: a number from 0 on, `inf` allowed.
pub(super) fn share(text: &str) -> Reading<f64> {
    match text.trim().parse::<f64>() {
        Ok(share) if share >= 0.0 => Ok(share),
        _ => Err((0.0, "use a number from 0 on, such as 1e-6, or inf".into())),
    }
}

/// Seconds between two questions; a hundredth at least, so that a slip does not become an attack.
pub(super) fn interval(text: &str) -> Reading<Duration> {
    match duration(text) {
        Some(duration) if duration >= Duration::from_millis(10) => Ok(duration),
        _ => Err((
            Duration::from_secs(5),
            "use a number of seconds from 0.01 on".into(),
        )),
    }
}

/// A number of seconds, zero allowed.
pub(super) fn grace(text: &str) -> Reading<Duration> {
    duration(text).ok_or((Duration::ZERO, "use a number of seconds".into()))
}

/// A number of milliseconds up to a minute, zero allowed.
pub(super) fn millis(text: &str) -> Reading<Duration> {
    match text.parse::<f64>() {
        Ok(millis) if (0.0..=60_000.0).contains(&millis) => Ok(Duration::from_secs_f64(millis / 1e3)),
        _ => Err((
            Duration::ZERO,
            "use a number of milliseconds, at most 60000".into(),
        )),
    }
}

fn duration(text: &str) -> Option<Duration> {
    // A day: longer limits are no limits.
    let seconds = text
        .parse::<f64>()
        .ok()
        .filter(|seconds| (0.0..=86_400.0).contains(seconds))?;
    Some(Duration::from_secs_f64(seconds))
}

/// A positive number.
pub(super) fn count(text: &str) -> Reading<NonZeroUsize> {
    text.parse()
        .map_err(|_| (NonZeroUsize::MIN, "use a positive number".into()))
}

/// Entries beyond this are a typing error.
const MAX_QUEUE: usize = 1 << 24;

/// A number of entries in memory.
pub(super) fn queue(text: &str) -> Reading<NonZeroUsize> {
    match text.parse::<NonZeroUsize>() {
        Ok(entries) if entries.get() <= MAX_QUEUE => Ok(entries),
        _ => Err((NonZeroUsize::MIN, format!("use a number from 1 to {MAX_QUEUE}"))),
    }
}

/// A number of threads.
pub(super) fn threads(text: &str) -> Reading<NonZeroUsize> {
    match text.parse::<NonZeroUsize>() {
        Ok(threads) if threads.get() <= MAX_THREADS => Ok(threads),
        _ => Err((NonZeroUsize::MIN, format!("use a number from 1 to {MAX_THREADS}"))),
    }
}

/// Bytes, with a unit: `65536`, `64KiB`, `64MiB`, `1GiB`; `KB` and such are powers of ten.
pub(super) fn bytes(text: &str) -> Reading<usize> {
    let problem = || {
        (
            1,
            "use a positive number of bytes, such as 65536, 512KiB or 64MiB".to_string(),
        )
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: usize = match unit.trim() {
        "" | "B" => 1,
        "KiB" | "K" | "k" => 1 << 10,
        "MiB" | "M" => 1 << 20,
        "GiB" | "G" => 1 << 30,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(problem()),
    };
    let bytes = number
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_mul(factor));
    bytes.filter(|&bytes| bytes > 0).ok_or_else(problem)
}

/// Bytes of a request's head.
pub(super) fn header_bytes(text: &str) -> Reading<usize> {
    match bytes(text) {
        Ok(bytes) if (MIN_HEADER_BYTES..=MAX_HEADER_BYTES).contains(&bytes) => Ok(bytes),
        _ => Err((MIN_HEADER_BYTES, "use a size from 8KiB to 16MiB".into())),
    }
}

/// Levels of nesting.
pub(super) fn depth(text: &str) -> Reading<usize> {
    match text.parse::<usize>() {
        Ok(depth) if (1..=MAX_DEPTH).contains(&depth) => Ok(depth),
        _ => Err((1, format!("use a number from 1 to {MAX_DEPTH}"))),
    }
}

/// How often a request is sent again; MLflow's client allows as many.
pub(super) fn retries(text: &str) -> Reading<u32> {
    match text.parse() {
        Ok(retries) if retries <= 10 => Ok(retries),
        _ => Err((0, "use a number from 0 to 10".into())),
    }
}

/// Seconds of a wait between retries; MLflow's client allows as many.
pub(super) fn backoff(text: &str) -> Reading<f64> {
    match text.parse() {
        Ok(seconds) if (0.0..=120.0).contains(&seconds) => Ok(seconds),
        _ => Err((0.0, "use a number of seconds from 0 to 120".into())),
    }
}

/// Connections beyond this want more files than systems give.
const MAX_CONNECTIONS: usize = 10_000;

/// A time with a unit, `10s`, `500ms` or `2m`; without one, seconds.
pub(super) fn span(text: &str) -> Reading<Duration> {
    match unit_of_time(text) {
        Some(duration) if !duration.is_zero() => Ok(duration),
        _ => Err((
            Duration::from_secs(1),
            "use a time such as 10s, 500ms or 2m".into(),
        )),
    }
}

/// The same, zero allowed.
pub(super) fn span_or_none(text: &str) -> Reading<Duration> {
    unit_of_time(text).ok_or((Duration::ZERO, "use a time such as 2s, 500ms, or 0".into()))
}

fn unit_of_time(text: &str) -> Option<Duration> {
    let (number, factor) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => match (text.strip_suffix('s'), text.strip_suffix('m')) {
            (Some(number), _) => (number, 1.0),
            (None, Some(number)) => (number, 60.0),
            (None, None) => (text, 1.0),
        },
    };
    let seconds = number.trim().parse::<f64>().ok()? * factor;
    // A day: longer is no measurement.
    (0.0..=86_400.0)
        .contains(&seconds)
        .then(|| Duration::from_secs_f64(seconds))
}

/// Numbers of connections, with commas between them.
pub(super) fn concurrency(text: &str) -> Reading<Vec<usize>> {
    let numbers: Result<Vec<usize>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    match numbers {
        Ok(numbers)
            if numbers
                .iter()
                .all(|number| (1..=MAX_CONNECTIONS).contains(number)) =>
        {
            Ok(numbers)
        }
        _ => Err((
            vec![1],
            format!("use numbers from 1 to {MAX_CONNECTIONS}, such as 1,8,64"),
        )),
    }
}

/// Requests a second.
pub(super) fn rate(text: &str) -> Reading<f64> {
    match text.parse::<f64>() {
        Ok(rate) if (0.001..=1e6).contains(&rate) => Ok(rate),
        _ => Err((1.0, "use a number from 0.001 to 1000000".into())),
    }
}

/// Rows of a request.
pub(super) fn rows(text: &str) -> Reading<NonZeroUsize> {
    match text.parse::<NonZeroUsize>() {
        Ok(rows) if rows.get() <= 10_000_000 => Ok(rows),
        _ => Err((NonZeroUsize::MIN, "use a number from 1 to 10000000".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, wanted) in [
            ("7", 7),
            ("64KiB", 65_536),
            ("2 MiB", 2 << 20),
            ("1GB", 1_000_000_000),
        ] {
            assert_eq!(bytes(text).unwrap(), wanted, "{text}");
        }
        for text in [
            "",
            "0",
            "-1",
            "MiB",
            "1.5MiB",
            "3 bananas",
            "99999999999999999999",
            "99999999999GiB",
        ] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_positive_and_less_than_a_day() {
        assert_eq!(seconds("0.25").unwrap(), Duration::from_millis(250));
        for text in ["0", "-1", "NaN", "inf", "1e9", "soon", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
        assert_eq!(grace("0").unwrap(), Duration::ZERO);
    }

    #[test]
    fn times_have_units() {
        for (text, milliseconds) in [("10", 10_000), ("1.5s", 1500), ("20ms", 20), ("2m", 120_000)] {
            assert_eq!(span(text).unwrap(), Duration::from_millis(milliseconds), "{text}");
        }
        for text in ["", "s", "0", "-1s", "2h", "NaN", "1e9"] {
            assert!(span(text).is_err(), "{text}");
        }
        assert_eq!(span_or_none("0").unwrap(), Duration::ZERO);
    }

    #[test]
    fn steps_are_numbers_of_connections() {
        assert_eq!(concurrency("1, 8,64").unwrap(), [1, 8, 64]);
        for text in ["", "0", "1,", "1;2", "10001"] {
            assert!(concurrency(text).is_err(), "{text}");
        }
        for text in ["0", "-1", "inf", "NaN", "1e7"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
