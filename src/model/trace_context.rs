//! The trace that a request is a part of, as its `traceparent` says (W3C Trace Context).

use std::fmt;

/// Length of a header of version 00; those of later versions may go on after a hyphen.
const LENGTH: usize = 55;

/// The trace and the span that a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace; never all zero.
    pub trace: [u8; 16],
    /// The span of the caller; never all zero.
    pub span: [u8; 8],
    /// Whether the caller records the trace.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads the header `traceparent`; `None` where it is none, which then counts as absent.
    pub fn parse(header: &[u8]) -> Option<TraceContext> {
        let (known, more) = header.split_at_checked(LENGTH)?;
        let mut parts = known.split(|byte| *byte == b'-');
        let [version] = hex(parts.next()?)?;
        let trace = hex(parts.next()?)?;
        let span = hex(parts.next()?)?;
        let [flags] = hex(parts.next()?)?;
        let ends = match version {
            0 => more.is_empty(),
            0xff => false,
            _ => more.first().is_none_or(|byte| *byte == b'-'),
        };
        let context = TraceContext {
            trace,
            span,
            sampled: flags & 1 == 1,
        };
        (ends && context.trace != [0; 16] && context.span != [0; 8]).then_some(context)
    }
}

/// Shows the id of the trace.
impl fmt::Display for TraceContext {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.trace.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// Bytes from twice as many digits in lower case.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn only_headers_of_the_standard_are_read() {
        let span = "00f067aa0ba902b7";
        for (header, sampled) in [
            (format!("00-{TRACE}-{span}-01"), Some(true)),
            (format!("00-{TRACE}-{span}-00"), Some(false)),
            (format!("00-{TRACE}-{span}-03"), Some(true)),
            (format!("00-{TRACE}-{span}-01-x"), None),
            (format!("cc-{TRACE}-{span}-01-x"), Some(true)),
            (format!("cc-{TRACE}-{span}-01x"), None),
            (format!("ff-{TRACE}-{span}-01"), None),
            (format!("00-{}-{span}-01", TRACE.to_uppercase()), None),
            (format!("00-{}-{span}-01", "0".repeat(32)), None),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), None),
            (format!("00-{TRACE}-{span}"), None),
            (format!("00-{TRACE}{span}--01"), None),
            (String::new(), None),
        ] {
            let read = TraceContext::parse(header.as_bytes());
            assert_eq!(read.map(|context| context.sampled), sampled, "{header}");
            if let Some(context) = read {
                assert_eq!(context.to_string(), TRACE);
                assert_eq!(context.span, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(header in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = TraceContext::parse(&header);
        }

        #[test]
        fn what_is_written_is_read(trace in 1u128.., span in 1u64.., flags in any::<u8>()) {
            let header = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
            let expected = TraceContext {
                trace: trace.to_be_bytes(),
                span: span.to_be_bytes(),
                sampled: flags & 1 == 1,
            };
            prop_assert_eq!(TraceContext::parse(header.as_bytes()), Some(expected));
        }
    }
}
