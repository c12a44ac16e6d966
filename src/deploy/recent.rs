//! A few recent requests of a slot, kept to warm the next version up with.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::model::batch::{Batch, Body, Columns};
use crate::model::signature::Schema;
use crate::model::tensor::{Elements, Tensor};

/// Requests kept.
const KEPT: usize = 16;
/// Larger requests are not kept; 16 of these are 1 MiB.
const MAX_BYTES: usize = 64 << 10;
/// At most one request in this time is copied, so that keeping them costs a busy server nothing.
const PAUSE: Duration = Duration::from_millis(100);

/// A bounded ring of requests that were answered well.
#[derive(Debug)]
pub struct Recent {
    began: Instant,
    /// Microseconds after `began` from which on the next request is kept.
    next: AtomicU64,
    kept: Mutex<VecDeque<Kept>>,
}

#[derive(Debug)]
struct Kept {
    inputs: Option<Schema>,
    batch: Batch,
}

impl Recent {
    /// An empty ring.
    pub fn new() -> Recent {
        Recent {
            began: Instant::now(),
            next: AtomicU64::new(0),
            kept: Mutex::new(VecDeque::new()),
        }
    }

    /// Whether the next request that is answered well should be offered: asked first, since a request is gone once it
    /// was predicted. Of those that ask at once, one is told yes.
    pub fn wants(&self, now: Instant) -> bool {
        let now = now.saturating_duration_since(self.began).as_micros() as u64;
        let next = self.next.load(Ordering::Relaxed);
        let after = now + PAUSE.as_micros() as u64;
        now >= next
            && self
                .next
                .compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Keeps a request in place of the oldest, unless it is large or the ring is in use.
    pub fn keep(&self, inputs: Option<&Schema>, batch: Batch) {
        if let Ok(mut kept) = self.kept.try_lock() {
            if kept.len() == KEPT {
                kept.pop_front();
            }
            kept.push_back(Kept {
                inputs: inputs.cloned(),
                batch,
            });
        }
    }

    /// The requests that a model with these inputs would have been handed as they are.
    pub fn of(&self, inputs: Option<&Schema>) -> Vec<Batch> {
        let Ok(kept) = self.kept.lock() else {
            return Vec::new();
        };
        let same = kept.iter().filter(|kept| kept.inputs.as_ref() == inputs);
        same.map(|kept| kept.batch.clone()).collect()
    }
}

impl Default for Recent {
    fn default() -> Recent {
        Recent::new()
    }
}

/// A copy, of a request that is small enough.
pub fn small_copy(batch: &Batch) -> Option<Batch> {
    (bytes(&batch.body)? <= MAX_BYTES).then(|| batch.clone())
}

/// Bytes of the values, as far as they are cheap to know; `None` for values that nest.
fn bytes(body: &Body) -> Option<usize> {
    match body {
        Body::Array(tensor) => tensor_bytes(tensor),
        Body::Named(members) => members.iter().map(|(_, tensor)| tensor_bytes(tensor)).sum(),
        Body::Frame(frame) => match frame.columns() {
            Columns::Matrix(tensor) => tensor_bytes(tensor),
            Columns::Separate(columns) => columns.iter().map(tensor_bytes).sum(),
        },
        Body::Value(_) => None,
    }
}

fn tensor_bytes(tensor: &Tensor) -> Option<usize> {
    match tensor.elements() {
        Elements::Object(_) => None,
        Elements::Str(texts) => Some(texts.iter().map(|text| text.len() + size_of::<String>()).sum()),
        others => Some(others.len() * size_of::<u64>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(rows: usize) -> Batch {
        let elements = Elements::F32(vec![0.5; rows]);
        Batch::new(Body::Array(Tensor::new(&[rows][..], elements).unwrap()))
    }

    #[test]
    fn the_ring_keeps_the_newest_and_no_more() {
        let recent = Recent::new();
        (1..=KEPT + 3).for_each(|rows| recent.keep(None, batch(rows)));
        let rows: Vec<usize> = recent.of(None).iter().map(Batch::rows).collect();
        assert_eq!(rows, (4..=KEPT + 3).collect::<Vec<_>>());
    }

    #[test]
    fn one_request_in_a_while_is_wanted() {
        let recent = Recent::new();
        let now = Instant::now();
        assert!(recent.wants(now) && !recent.wants(now));
        assert!(!recent.wants(now + PAUSE / 2) && recent.wants(now + PAUSE * 2));
    }

    #[test]
    fn large_requests_and_requests_of_another_signature_are_left_out() {
        assert!(small_copy(&batch(10)).is_some() && small_copy(&batch(MAX_BYTES)).is_none());
        let recent = Recent::new();
        recent.keep(None, batch(1));
        assert!(recent.of(Some(&Schema::Tensors(Vec::new()))).is_empty());
    }
}
