//! The line before a shadow.

use super::super::error::Error;
use super::*;
use crate::batching::pool::RunError;
use crate::model::batch::Body;
use crate::model::tensor::{Elements, Tensor};

fn job(rows: usize) -> Job {
    let batch = Batch::new(Body::Array(Tensor::vector(Elements::F32(vec![0.0; rows]))));
    Job {
        inputs: batch.clone(),
        answer: batch,
        answered_in: Duration::ZERO,
        about: About::default(),
    }
}

/// A lane that nobody runs.
fn lane() -> (Lane, Waiting<About>) {
    let (line, waiting) = copies::line();
    let lane = Lane {
        line,
        tally: Mutex::default(),
        meters: Meters::new("r", "s"),
    };
    (lane, waiting)
}

#[test]
fn copies_beyond_what_may_wait_are_dropped_and_counted() {
    let (lane, _waiting) = lane();
    let taken = |count: usize| (0..count).for_each(|_| lane.offer(job(1)));
    taken(1_000);
    let waiting = lane.line.waiting();
    assert_eq!(lane.tally().dropped, 1_000 - waiting);
    assert!((1..1_000).contains(&waiting), "{waiting}");
}

#[test]
fn failures_are_called_as_those_of_requests_are() {
    for error in [
        RunError::Deadline,
        RunError::Overloaded {
            reason: "x",
            after: Duration::ZERO,
        },
        RunError::Stopped,
    ] {
        assert_eq!(
            copies::kind(&error),
            Error::of_run(&error).kind().label(),
            "{error}"
        );
    }
}

#[test]
fn failures_and_answers_of_another_form_are_told_apart() {
    let (lane, _line) = self::lane();
    let millisecond = Duration::from_millis(1);
    lane.note(&job(2), &Err("model_failed"), millisecond);
    lane.note(&job(2), &Ok(job(3).answer), millisecond);
    lane.note(&job(2), &Ok(job(2).answer), millisecond);
    let tally = lane.tally();
    assert_eq!((tally.requests, tally.rows), (3, 6));
    assert_eq!(tally.errors.get("model_failed"), Some(&1));
    assert_eq!(
        (tally.incomparable, tally.compared_rows, tally.disagreements),
        (1, 2, 0)
    );
    assert_eq!(tally.latency.count(), 2);
}
