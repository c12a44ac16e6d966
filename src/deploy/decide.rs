//! Which version a slot should load now: a pure function of what is known.

use std::time::{Duration, Instant};

use crate::registry::Wanted;

/// Wait after a first failure; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// A version that keeps failing is tried again this often: its files may have been mended.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// One whose files cannot be reached is tried more often: nothing is wrong with it.
const LONGEST_OUTAGE_WAIT: Duration = Duration::from_secs(30);

/// What is known of a slot.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// What should be served; `None` while nobody could say.
    pub wanted: Option<&'a Wanted>,
    /// What is served.
    pub serving: Option<&'a Wanted>,
    /// What is on its way, or on trial.
    pub loading: Option<&'a Wanted>,
    /// The last version that was rejected.
    pub failed: Option<&'a Failed>,
    /// The version that the gate holds: not to be loaded, until something changes.
    pub held: Option<&'a Wanted>,
}

/// A version that was rejected, and when it may be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The version.
    pub wanted: Wanted,
    /// How often in a row.
    pub attempts: u32,
    /// Not before.
    pub retry_at: Instant,
}

/// What to do with a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Keep,
    /// Give up the version on its way: it is no longer wanted.
    Cancel,
    /// Load the wanted version, in place of one on its way.
    Load,
}

/// Decides. Versions are compared for equality, not order, so that a rollback is a change like any other. Where nobody
/// knows what is wanted, nothing changes: an outage never unloads.
pub fn decide(facts: &Facts<'_>, now: Instant) -> Decision {
    let Some(wanted) = facts.wanted else {
        return Decision::Keep;
    };
    if facts.loading == Some(wanted) {
        return Decision::Keep;
    }
    let waits = facts
        .failed
        .is_some_and(|failed| failed.wanted == *wanted && now < failed.retry_at);
    let waits = waits || facts.held == Some(wanted);
    if facts.serving != Some(wanted) && !waits {
        return Decision::Load;
    }
    match facts.loading {
        Some(_) => Decision::Cancel,
        None => Decision::Keep,
    }
}

impl Failed {
    /// Notes a failure; failures of the same version in a row add up. In an `outage` it was not the version's fault.
    pub fn note(before: Option<&Failed>, wanted: &Wanted, outage: bool, now: Instant) -> Failed {
        let attempts = before
            .filter(|failed| failed.wanted == *wanted)
            .map_or(1, |failed| failed.attempts.saturating_add(1));
        let wait = FIRST_WAIT
            .saturating_mul(1 << (attempts - 1).min(16))
            .min(if outage { LONGEST_OUTAGE_WAIT } else { LONGEST_WAIT });
        Failed {
            wanted: wanted.clone(),
            attempts,
            retry_at: now + wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::version::VersionId;

    fn version(number: u8) -> Wanted {
        Wanted {
            id: VersionId::registered("m", &number.to_string()),
            revision: "".into(),
        }
    }

    fn check(wanted: u8, serving: u8, loading: u8, failed: u8) -> Decision {
        let now = Instant::now();
        let some = |number: u8| (number > 0).then(|| version(number));
        let (wanted, serving, loading) = (some(wanted), some(serving), some(loading));
        let failed = some(failed).map(|failed| Failed::note(None, &failed, false, now));
        let facts = Facts {
            wanted: wanted.as_ref(),
            serving: serving.as_ref(),
            loading: loading.as_ref(),
            failed: failed.as_ref(),
            held: None,
        };
        decide(&facts, now)
    }

    #[test]
    fn a_held_version_is_left_alone_and_another_is_not() {
        let (old, held, newer) = (version(1), version(2), version(3));
        let facts = |wanted| Facts {
            wanted: Some(wanted),
            serving: Some(&old),
            held: Some(&held),
            ..Facts::default()
        };
        let now = Instant::now();
        assert_eq!(decide(&facts(&held), now), Decision::Keep);
        assert_eq!(decide(&facts(&newer), now), Decision::Load);
        assert_eq!(decide(&facts(&old), now), Decision::Keep);
        let on_its_way = Facts {
            loading: Some(&newer),
            ..facts(&held)
        };
        assert_eq!(decide(&on_its_way, now), Decision::Cancel);
    }

    #[test]
    fn each_case_has_its_decision() {
        use Decision::{Cancel, Keep, Load};
        for (wanted, serving, loading, failed, decision, why) in [
            (0, 0, 0, 0, Keep, "nothing is known"),
            (0, 1, 2, 0, Keep, "an outage changes nothing"),
            (1, 0, 0, 0, Load, "the first version is a change too"),
            (1, 1, 0, 0, Keep, "it serves already"),
            (2, 1, 0, 0, Load, "a new version"),
            (1, 2, 0, 0, Load, "a rollback is a change"),
            (2, 1, 2, 0, Keep, "it is on its way"),
            (3, 1, 2, 0, Load, "a newer decision replaces an older load"),
            (1, 1, 2, 0, Cancel, "back to what serves before the load ended"),
            (2, 1, 0, 2, Keep, "it was rejected a moment ago"),
            (3, 1, 0, 2, Load, "another one was rejected"),
            (2, 1, 3, 2, Cancel, "back to a rejected one"),
        ] {
            assert_eq!(check(wanted, serving, loading, failed), decision, "{why}");
        }
    }

    #[test]
    fn a_rejected_version_waits_longer_each_time_and_is_tried_again() {
        let now = Instant::now();
        let (bad, other) = (version(2), version(3));
        let first = Failed::note(None, &bad, false, now);
        let second = Failed::note(Some(&first), &bad, false, now);
        assert_eq!((first.attempts, second.attempts), (1, 2));
        assert_eq!(first.retry_at, now + FIRST_WAIT);
        assert_eq!(second.retry_at, now + FIRST_WAIT * 2);
        assert_eq!(Failed::note(Some(&second), &other, false, now).attempts, 1);
        let many = (0..100).fold(first.clone(), |failed, _| {
            Failed::note(Some(&failed), &bad, false, now)
        });
        assert_eq!(many.retry_at, now + LONGEST_WAIT);
        assert_eq!(
            Failed::note(Some(&many), &bad, true, now).retry_at,
            now + LONGEST_OUTAGE_WAIT
        );
        let facts = Facts {
            wanted: Some(&bad),
            failed: Some(&first),
            ..Facts::default()
        };
        assert_eq!(decide(&facts, first.retry_at), Decision::Load);
    }

    proptest! {
        /// Followed for long enough, the decisions lead to the wanted version and then to rest, whatever came before.
        #[test]
        fn following_the_decisions_ends_at_the_wanted_version(
            wanted in 1u8..4, serving in 0u8..4, loading in 0u8..4, failed in 0u8..4
        ) {
            let start = Instant::now();
            let some = |number: u8| (number > 0).then(|| version(number));
            let (goal, mut serving, mut loading) = (version(wanted), some(serving), some(loading));
            let failed = some(failed).map(|failed| Failed::note(None, &failed, false, start));
            for second in 0..20 {
                let facts = Facts {
                    wanted: Some(&goal),
                    serving: serving.as_ref(),
                    loading: loading.as_ref(),
                    failed: failed.as_ref(),
                    held: None,
                };
                match decide(&facts, start + Duration::from_secs(second)) {
                    Decision::Keep => serving = loading.take().or(serving),
                    Decision::Cancel => loading = None,
                    Decision::Load => loading = Some(goal.clone()),
                }
            }
            prop_assert_eq!(serving, Some(goal));
            prop_assert_eq!(loading, None);
        }
    }
}
