//! The line before a shadow.

use super::*;
use crate::model::batch::Body;
use crate::model::tensor::{Elements, Tensor};

fn job(rows: usize) -> Job {
    let batch = Batch::new(Body::Array(Tensor::vector(Elements::F32(vec![0.0; rows]))));
    Job {
        inputs: batch.clone(),
        answer: batch,
        answered_in: Duration::ZERO,
        request_id: None,
        routing_key: None,
    }
}

/// A lane that nobody runs.
fn lane() -> (Lane, mpsc::Receiver<Job>) {
    let (jobs, line) = mpsc::channel(WAITING);
    let lane = Lane {
        jobs,
        state: Mutex::default(),
        meters: Meters::new("r", "s"),
    };
    (lane, line)
}

#[test]
fn copies_beyond_what_may_wait_are_dropped_and_counted() {
    let (lane, line) = lane();
    (0..WAITING + 7).for_each(|_| lane.offer(job(1)));
    assert_eq!((line.len(), lane.state().tally.dropped), (WAITING, 7));
    assert_eq!(lane.state().rows_waiting, WAITING);
}

#[test]
fn rows_that_wait_are_bounded_but_one_long_copy_is_run() {
    let (lane, line) = self::lane();
    lane.offer(job(MAX_ROWS + 1));
    lane.offer(job(1));
    assert_eq!((line.len(), lane.state().tally.dropped), (1, 1));
}

#[test]
fn failures_and_answers_of_another_form_are_told_apart() {
    let (lane, _line) = self::lane();
    let millisecond = Duration::from_millis(1);
    lane.note(&job(2), &Err("model_failed"), millisecond);
    lane.note(&job(2), &Ok(job(3).answer), millisecond);
    lane.note(&job(2), &Ok(job(2).answer), millisecond);
    let tally = &lane.state().tally;
    assert_eq!((tally.requests, tally.rows), (3, 6));
    assert_eq!(tally.errors.get("model_failed"), Some(&1));
    assert_eq!(
        (tally.incomparable, tally.compared_rows, tally.disagreements),
        (1, 2, 0)
    );
    assert_eq!(tally.latency.count(), 2);
}
