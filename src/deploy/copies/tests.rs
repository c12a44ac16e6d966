//! What may wait in a line is bounded.

use super::*;
use crate::model::batch::Body;
use crate::model::tensor::{Elements, Tensor};

/// A copy of so many rows of so many numbers.
fn job(rows: usize, width: usize) -> Job<()> {
    let numbers = Elements::F32(vec![0.0; rows * width]);
    let batch = Batch::new(Body::Array(
        Tensor::new([rows, width].as_slice(), numbers).unwrap(),
    ));
    Job {
        inputs: batch.clone(),
        answer: batch,
        answered_in: Duration::ZERO,
        about: (),
    }
}

/// How many of these are taken while none is run.
fn taken(line: &Line<()>, count: usize, rows: usize, width: usize) -> usize {
    (0..count).filter(|_| line.offer(job(rows, width))).count()
}

#[test]
fn copies_are_bounded_by_number() {
    let (line, _waiting) = line();
    assert_eq!(taken(&line, MAX_COPIES + 7, 1, 1), MAX_COPIES);
    assert_eq!(line.waiting(), MAX_COPIES as u64);
}

#[test]
fn copies_are_bounded_by_rows_but_one_long_copy_is_run() {
    let (line, _waiting) = self::line();
    assert_eq!(taken(&line, 2, MAX_ROWS + 1, 1), 1);
    let (line, _waiting) = self::line();
    assert_eq!(taken(&line, 3, MAX_ROWS / 2, 1), 2);
}

#[test]
fn copies_are_bounded_by_memory_but_one_large_copy_is_run() {
    let (line, _waiting) = self::line();
    // A mebibyte of inputs and one of the answer.
    assert_eq!(taken(&line, 40, 1, 1 << 18), 32);
    let (line, _waiting) = self::line();
    assert_eq!(taken(&line, 2, 1, MAX_BYTES / 4 + 1), 1);
}

#[tokio::test]
async fn a_copy_keeps_its_place_until_it_was_run() {
    let (line, mut waiting) = self::line();
    assert_eq!(taken(&line, 2, MAX_ROWS, 1), 1);
    let running = waiting.next().await.unwrap();
    assert_eq!(taken(&line, 1, MAX_ROWS, 1), 0);
    drop(running);
    assert_eq!(line.waiting(), 0);
    assert_eq!(taken(&line, 1, MAX_ROWS, 1), 1);
}
