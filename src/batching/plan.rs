//! Which of the calls that wait make the next batch: a pure function of the line and the clock.

use std::collections::VecDeque;
use std::time::Instant;

/// Calls looked at for one batch, so that a long line of calls that do not fit costs little.
const LOOK: usize = 1024;

/// What has to be known of a call that waits.
pub(super) trait Waiting {
    /// Its rows.
    fn rows(&self) -> usize;
    /// When its answer is of no use any more.
    fn deadline(&self) -> Instant;
    /// Whether its caller left.
    fn abandoned(&self) -> bool;
    /// Whether it can run together with that one.
    fn fits(&self, other: &Self) -> bool;
}

/// Calls taken out of the line.
pub(super) struct Taken<J> {
    /// To be run as one, in the order in which they came. At most as many rows as allowed, unless it is one call.
    pub(super) batch: Vec<J>,
    /// Not to be run: abandoned, or too late.
    pub(super) dropped: Vec<J>,
}

/// Takes the next batch out of the line: the first call that still wants an answer, and those after it that fit and have
/// room. Calls that do not fit keep their place, so that the first in line is always among the next. `max_rows` gives the
/// rows of a batch by its first call.
pub(super) fn take<J: Waiting>(
    line: &mut VecDeque<J>,
    max_rows: impl Fn(&J) -> usize,
    now: Instant,
) -> Taken<J> {
    let mut taken = Taken {
        batch: Vec::new(),
        dropped: Vec::new(),
    };
    let (mut kept, mut rows, mut most) = (Vec::new(), 0usize, 0);
    for _ in 0..LOOK {
        let Some(job) = line.pop_front() else { break };
        if job.abandoned() || job.deadline() <= now {
            taken.dropped.push(job);
            continue;
        }
        match taken.batch.first() {
            None => most = max_rows(&job),
            Some(_) if rows.saturating_add(job.rows()) > most => {
                // Smaller ones behind it must not overtake it for ever.
                kept.push(job);
                break;
            }
            Some(first) if !job.fits(first) => {
                kept.push(job);
                continue;
            }
            Some(_) => {}
        }
        rows = rows.saturating_add(job.rows());
        taken.batch.push(job);
        if rows >= most {
            break;
        }
    }
    for job in kept.into_iter().rev() {
        line.push_front(job);
    }
    taken
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Job {
        number: usize,
        rows: usize,
        kind: u8,
        late: bool,
        left: bool,
    }

    thread_local!(static NOW: Instant = Instant::now());

    fn now() -> Instant {
        NOW.with(|now| *now)
    }

    impl Waiting for Job {
        fn rows(&self) -> usize {
            self.rows
        }
        fn deadline(&self) -> Instant {
            if self.late {
                now()
            } else {
                now() + Duration::from_secs(1)
            }
        }
        fn abandoned(&self) -> bool {
            self.left
        }
        fn fits(&self, other: &Job) -> bool {
            self.kind == other.kind
        }
    }

    fn line(jobs: &[(usize, u8, bool, bool)]) -> VecDeque<Job> {
        let job = |(number, &(rows, kind, late, left))| Job {
            number,
            rows,
            kind,
            late,
            left,
        };
        jobs.iter().enumerate().map(job).collect()
    }

    fn numbers<'a>(jobs: impl IntoIterator<Item = &'a Job>) -> Vec<usize> {
        jobs.into_iter().map(|job| job.number).collect()
    }

    fn check(jobs: &[(usize, u8, bool, bool)], max_rows: usize, batch: &[usize], left: &[usize]) {
        let mut line = line(jobs);
        let taken = take(&mut line, |_| max_rows, now());
        assert_eq!(
            (numbers(&taken.batch), numbers(&line)),
            (batch.to_vec(), left.to_vec())
        );
    }

    #[test]
    fn rows_are_counted_and_not_calls() {
        let small = (1, 0, false, false);
        check(&[small, small, small], 2, &[0, 1], &[2]);
        check(&[(3, 0, false, false), small], 2, &[0], &[1]);
        // The large one waits for the next batch, and nobody overtakes it.
        check(&[small, (2, 0, false, false), small], 2, &[0], &[1, 2]);
        check(&[], 2, &[], &[]);
    }

    #[test]
    fn calls_of_another_schema_keep_their_place() {
        let (a, b) = ((1, 0, false, false), (1, 1, false, false));
        check(&[a, b, a, b, a], 10, &[0, 2, 4], &[1, 3]);
    }

    #[test]
    fn late_and_abandoned_calls_are_not_run() {
        let (late, left, good) = ((1, 0, true, false), (1, 0, false, true), (1, 0, false, false));
        check(&[late, left, good], 10, &[2], &[]);
        check(&[late, left], 10, &[], &[]);
    }

    #[test]
    fn the_first_call_that_is_run_says_how_many_rows() {
        let (late, good) = ((1, 0, true, false), (1, 0, false, false));
        let mut line = line(&[late, good, good]);
        let asked = std::cell::Cell::new(None);
        let rows = |job: &Job| {
            asked.set(Some(job.number));
            1
        };
        let taken = take(&mut line, rows, now());
        assert_eq!((numbers(&taken.batch), asked.get()), (vec![1], Some(1)));
    }

    proptest! {
        #[test]
        fn every_call_is_run_or_dropped_once_and_those_of_a_kind_in_order(
            jobs in proptest::collection::vec((0usize..20, 0u8..3, any::<bool>(), any::<bool>()), 0..60),
            max_rows in 1usize..40,
        ) {
            let mut line = line(&jobs);
            let all = line.clone();
            let (mut run, mut dropped) = (Vec::new(), Vec::new());
            while !line.is_empty() {
                let head = line.iter().find(|job| !job.late && !job.left).cloned();
                let taken = take(&mut line, |_| max_rows, now());
                prop_assert_eq!(taken.batch.first(), head.as_ref());
                let rows: usize = taken.batch.iter().map(|job| job.rows).sum();
                prop_assert!(rows <= max_rows || taken.batch.len() == 1);
                prop_assert!(taken.batch.iter().all(|job| Some(job.kind) == taken.batch.first().map(|job| job.kind)));
                run.extend(taken.batch);
                dropped.extend(taken.dropped);
            }
            for kind in 0..3 {
                let of = |jobs: &[Job]| numbers(jobs.iter().filter(|job| job.kind == kind));
                let wanted: Vec<Job> = all.iter().filter(|job| !job.late && !job.left).cloned().collect();
                prop_assert_eq!(of(&run), of(&wanted));
            }
            prop_assert_eq!(run.len() + dropped.len(), all.len());
        }
    }
}
