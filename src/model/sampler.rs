//! Which traces are recorded: the samplers of OpenTelemetry.

use super::trace_context::TraceContext;

/// Decides by the caller, by the id of the trace, or not at all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Whether the caller's decision is taken over, where there is a caller.
    pub by_parent: bool,
    /// What is taken else.
    pub share: Share,
}

/// A part of all traces.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Share {
    /// Every one.
    All,
    /// None.
    None,
    /// This part, by the id of the trace: who takes the same part takes the same ones, and who takes a larger one these too.
    Ratio(f64),
}

impl Default for Sampler {
    fn default() -> Sampler {
        Sampler {
            by_parent: true,
            share: Share::All,
        }
    }
}

impl Sampler {
    /// Whether a trace is recorded that has this id and comes from this caller.
    pub fn takes(self, trace: u128, parent: Option<&TraceContext>) -> bool {
        match (parent, self.share) {
            (Some(parent), _) if self.by_parent => parent.sampled,
            (_, Share::All) => true,
            (_, Share::None) => false,
            // The lower half of the id, as the libraries of OpenTelemetry for Python and Go take it.
            (_, Share::Ratio(ratio)) => ratio >= 1.0 || (trace as u64 as f64) < ratio * (1u128 << 64) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sampler(by_parent: bool, share: Share) -> Sampler {
        Sampler { by_parent, share }
    }

    #[test]
    fn the_callers_decision_counts_where_it_shall() {
        for sampled in [true, false] {
            let parent = TraceContext {
                trace: [7; 16],
                span: [7; 8],
                sampled,
            };
            for share in [Share::All, Share::None, Share::Ratio(0.5)] {
                assert_eq!(sampler(true, share).takes(7, Some(&parent)), sampled, "{share:?}");
            }
            assert!(sampler(false, Share::All).takes(7, Some(&parent)));
            assert!(!sampler(false, Share::None).takes(7, Some(&parent)));
        }
        assert!(Sampler::default().takes(7, None));
        assert!(!sampler(true, Share::None).takes(7, None));
    }

    #[test]
    fn a_ratio_takes_its_part_of_random_traces() {
        const TRACES: u32 = 100_000;
        for ratio in [0.0, 0.01, 0.3, 1.0] {
            let sampler = sampler(true, Share::Ratio(ratio));
            let taken = (0..TRACES)
                .filter(|_| sampler.takes(fastrand::u128(..), None))
                .count();
            let expected = f64::from(TRACES) * ratio;
            let variance = expected * (1.0 - ratio);
            let difference = taken as f64 - expected;
            // Chi squared with one degree of freedom: 37 is exceeded once in a thousand million times.
            assert!(difference * difference <= 37.0 * variance, "{taken} for {ratio}");
        }
    }

    proptest! {
        #[test]
        fn who_takes_more_takes_the_same_ones_too(trace in any::<u128>(), one in 0.0..=1.0, two in 0.0..=1.0) {
            let takes = |ratio| sampler(false, Share::Ratio(ratio)).takes(trace, None);
            let (less, more) = if one <= two { (one, two) } else { (two, one) };
            prop_assert!(!takes(less) || takes(more));
        }
    }
}
