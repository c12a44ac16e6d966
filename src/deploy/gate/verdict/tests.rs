//! Every rule of the gate, and what holds whatever is counted.

use proptest::prelude::*;

use super::*;

fn spec() -> GateSpec {
    GateSpec {
        requests: 100,
        min_requests: 20,
        max_time: Duration::from_secs(60),
        watch: Duration::from_secs(60),
        ..GateSpec::default()
    }
}

/// So many copies of two rows, of which some failed, some rows disagreed, and which took so many milliseconds.
fn counts(requests: u64, failed: u64, disagreements: u64, latency: f64) -> Counts {
    let mut counts = Counts {
        requests,
        rows: requests * 2,
        compared_rows: (requests - failed) * 2,
        disagreements,
        ..Counts::default()
    };
    if failed > 0 {
        counts.errors.insert("model_failed", failed);
    }
    for _ in failed..requests {
        counts.latency.add(latency);
        counts.old_latency.add(1.0);
    }
    counts
}

fn answers(requests: u64, failed: u64, latency: f64) -> Answers {
    let mut answers = Answers::default();
    for at in 0..requests {
        answers.note(match at < failed {
            true => Err("internal"),
            false => Ok(Duration::from_secs_f64(latency / 1e3)),
        });
    }
    answers
}

fn refused(verdict: Verdict, with: &str) {
    match verdict {
        Verdict::Refuse(reason) => assert!(reason.contains(with), "{reason}"),
        other => panic!("{other:?}"),
    }
}

const SOON: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_secs(60);

#[test]
fn a_good_version_is_accepted_once_it_has_shown_itself() {
    assert_eq!(decide(&spec(), &counts(99, 0, 0, 1.0), SOON), Verdict::Wait);
    let accepted = decide(&spec(), &counts(100, 1, 10, 1.5), SOON);
    assert_eq!(
        accepted,
        Verdict::Accept(
            "100 requests: 1 % failed, 5.05 % of 198 rows disagree, 1.5 times the latency".into()
        )
    );
    assert!(matches!(
        decide(&spec(), &counts(20, 0, 0, 1.0), LATE),
        Verdict::Accept(_)
    ));
}

#[test]
fn each_bound_holds_a_version() {
    refused(
        decide(&spec(), &counts(100, 0, 50, 1.0), SOON),
        "25 % of 200 rows disagree with the old version, more than 10 %",
    );
    refused(
        decide(&spec(), &counts(100, 0, 0, 3.0), SOON),
        "3.0 times as long as the old version, more than 2",
    );
    refused(
        decide(&spec(), &counts(30, 1, 0, 1.0), LATE),
        "1 of 30 copies failed (model_failed 1), more than 1 %",
    );
    refused(decide(&spec(), &counts(100, 0, 50, 3.0), SOON), "; it takes");
}

#[test]
fn a_version_that_cannot_come_back_under_the_bound_is_held_at_once() {
    assert_eq!(decide(&spec(), &counts(5, 1, 0, 1.0), SOON), Verdict::Wait);
    refused(
        decide(&spec(), &counts(5, 2, 0, 1.0), SOON),
        "2 of 5 copies failed",
    );
}

#[test]
fn too_few_requests_are_what_was_asked_for() {
    let few = counts(19, 0, 0, 1.0);
    refused(decide(&spec(), &few, LATE), "too few requests: 19 within 60s");
    let with = |on_timeout| GateSpec { on_timeout, ..spec() };
    assert_eq!(decide(&with(OnTimeout::Wait), &few, LATE), Verdict::Wait);
    assert!(matches!(
        decide(&with(OnTimeout::Accept), &few, LATE),
        Verdict::Accept(_)
    ));
    assert!(matches!(
        decide(&with(OnTimeout::Accept), &Counts::default(), LATE),
        Verdict::Accept(_)
    ));
    // Those that came are within the bounds all the same, or they are not.
    refused(
        decide(&with(OnTimeout::Accept), &counts(19, 0, 38, 1.0), LATE),
        "disagree",
    );
    refused(
        decide_now(&spec(), &few),
        "too few requests until now: 19 of the 20",
    );
    assert!(matches!(
        decide_now(&spec(), &counts(20, 0, 0, 1.0)),
        Verdict::Accept(_)
    ));
}

#[test]
fn microseconds_are_no_difference() {
    let mut quick = counts(0, 0, 0, 0.0);
    quick.requests = 100;
    for _ in 0..100 {
        quick.latency.add(0.09);
        quick.old_latency.add(0.01);
    }
    assert!(matches!(decide(&spec(), &quick, SOON), Verdict::Accept(_)));
}

#[test]
fn a_watched_version_is_measured_by_the_old_one() {
    let old = answers(100, 5, 1.0);
    assert_eq!(watch(&spec(), &old, &answers(50, 5, 1.0), SOON), Verdict::Wait);
    assert!(matches!(
        watch(&spec(), &old, &answers(100, 6, 1.0), LATE),
        Verdict::Accept(_)
    ));
    refused(
        watch(&spec(), &old, &answers(100, 7, 1.0), SOON),
        "7 of 100 requests failed (internal 7), 5 % of the old version's, and 1 % more are allowed",
    );
    refused(
        watch(&spec(), &old, &answers(30, 3, 1.0), LATE),
        "3 of 30 requests failed",
    );
    refused(
        watch(&spec(), &old, &answers(20, 0, 3.0), SOON),
        "3.0 times as long",
    );
    // Nine requests say little of the latency, and nothing at all is no reason to go back.
    assert_eq!(watch(&spec(), &old, &answers(9, 0, 3.0), SOON), Verdict::Wait);
    assert!(matches!(
        watch(&spec(), &old, &Answers::default(), LATE),
        Verdict::Accept(_)
    ));
}

proptest! {
    /// Nothing beyond a bound is ever accepted, nothing is refused for failures or rows that is within, and at the end of
    /// the time there is an answer, unless it was to be waited for.
    #[test]
    fn what_is_accepted_is_within_the_bounds(
        requests in 0u64..200, failed in 0u64..50, disagreements in 0u64..100, latency in 0.1f64..5.0,
        seconds in 0u64..120, way in 0usize..3
    ) {
        let on_timeout = [OnTimeout::Hold, OnTimeout::Accept, OnTimeout::Wait][way];
        let spec = GateSpec { on_timeout, ..spec() };
        let failed = failed.min(requests);
        let counts = counts(requests, failed, disagreements.min((requests - failed) * 2), latency);
        let elapsed = Duration::from_secs(seconds);
        let within = counts.error_rate() <= spec.max_error_rate
            && counts.disagreement() <= spec.max_disagreement
            && counts.latency_ratio().is_none_or(|ratio| ratio <= spec.max_latency_ratio);
        match decide(&spec, &counts, elapsed) {
            Verdict::Accept(_) => {
                prop_assert!(within);
                prop_assert!(requests >= spec.requests || elapsed >= spec.max_time);
                prop_assert!(requests >= spec.min_requests || on_timeout == OnTimeout::Accept);
            }
            Verdict::Refuse(reason) => prop_assert!(!within || reason.starts_with("too few requests")),
            Verdict::Wait => {
                let waits = on_timeout == OnTimeout::Wait && requests < spec.min_requests;
                prop_assert!(waits || (requests < spec.requests && elapsed < spec.max_time));
            }
        }
    }

    /// More failures never turn a refusal into anything else.
    #[test]
    fn failures_never_help(requests in 1u64..200, failed in 0u64..100, more in 0u64..100, seconds in 0u64..120) {
        let elapsed = Duration::from_secs(seconds);
        let (few, many) = (failed.min(requests), (failed + more).min(requests));
        let old = answers(100, 2, 1.0);
        let refused = |failed| {
            matches!(watch(&spec(), &old, &answers(requests, failed, 1.0), elapsed), Verdict::Refuse(_))
        };
        prop_assert!(!refused(few) || refused(many));
        let refused = |failed| matches!(decide(&spec(), &counts(requests, failed, 0, 1.0), elapsed), Verdict::Refuse(_));
        prop_assert!(!refused(few) || refused(many));
    }
}
