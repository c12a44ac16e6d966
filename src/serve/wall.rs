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
    let (read, moment) = told(at, READ.get(), || (Instant::now(), SystemTime::now().into()));
    READ.set(Some(read));
    moment
}

/// The same by what the two clocks showed when they were last read, or are if that is too long ago; and that.
fn told(
    at: Instant,
    read: Option<(Instant, Moment)>,
    look: impl FnOnce() -> (Instant, Moment),
) -> ((Instant, Moment), Moment) {
    if let Some((then, moment)) = read
        && let Some(since) = at.checked_duration_since(then)
        && since < KEPT
    {
        return ((then, moment), moment.after(since));
    }
    let (then, moment) = look();
    let told = match then.checked_duration_since(at) {
        Some(ago) => moment.before(ago),
        None => moment.after(at.duration_since(then)),
    };
    ((then, moment), told)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_wall_clock_is_read_anew_when_that_is_too_long_ago() {
        let start = Instant::now() + Duration::from_secs(1);
        let noon = Moment::EPOCH.after(Duration::from_secs(43_200));
        // Set forward by an hour since it was read.
        let later = noon.after(Duration::from_secs(3_600));
        let read = Some((start, noon));
        let set = |at: Instant| told(at, read, || (at + MS, later));
        assert_eq!(set(start), ((start, noon), noon));
        let soon = start + 9 * MS;
        assert_eq!(set(soon), ((start, noon), noon.after(9 * MS)));
        let late = start + 10 * MS;
        assert_eq!(set(late), ((late + MS, later), later.before(MS)));
        let earlier = start - MS;
        assert_eq!(set(earlier), ((start, later), later.before(MS)));
        assert_eq!(told(start, None, || (start, later)).1, later);
        assert_eq!(told(late, None, || (start, later)).1, later.after(10 * MS));
    }

    #[test]
    fn it_is_what_the_wall_clock_shows() {
        // The thread may be held up between two looks at the clocks; then it is looked again.
        let near = || {
            let wall: Moment = SystemTime::now().into();
            (moment(Instant::now()).micros() - wall.micros()).abs() < 1_000
        };
        assert!((0..1_000).any(|_| near()));
    }
}
