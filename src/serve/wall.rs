//! The wall clock, for each request.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};

use crate::model::moment::Moment;

/// The wall clock is read anew after this: until then, the clock of durations says how far it has gone. A clock that is being
/// set right runs apart by a two-thousandth at most, which is 5 µs in this time.
const KEPT: Duration = Duration::from_millis(10);

thread_local! {
    /// The two clocks, as they were last read.
    static READ: Cell<Option<(Instant, Moment)>> = const { Cell::new(None) };
}

/// The moment of UTC at which the clock of durations showed this.
pub(super) fn moment(at: Instant) -> Moment {
    if let Some((then, moment)) = READ.get()
        && let Some(since) = at.checked_duration_since(then)
        && since < KEPT
    {
        return moment.after(since);
    }
    let (then, moment) = (Instant::now(), Moment::from(SystemTime::now()));
    READ.set(Some((then, moment)));
    match then.checked_duration_since(at) {
        Some(ago) => moment.before(ago),
        None => moment.after(at.duration_since(then)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_wall_clock_shows() {
        let off = |at: Instant| {
            let (moment, ago) = (moment(at), at.elapsed());
            let wall = Moment::from(SystemTime::now()).before(ago);
            (moment.micros() - wall.micros()).abs()
        };
        for pause in [0, 1, 5, 12] {
            std::thread::sleep(Duration::from_millis(pause));
            let at = Instant::now();
            // The thread may be held up between two looks at the clocks; then it is looked again.
            assert!((0..100).any(|_| off(at) < 1_000), "{pause} ms");
            let before = at - Duration::from_millis(50);
            assert!((0..100).any(|_| off(before) < 1_000), "before {pause} ms");
        }
    }
}
