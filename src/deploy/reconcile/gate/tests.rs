//! What is known of a version at the gate goes with the reason for it.

use super::*;

fn version(number: u8) -> Wanted {
    Wanted {
        id: VersionId::registered("m", &number.to_string()),
        revision: "".into(),
    }
}

/// A slot with a gate, which serves version 1 and wants this one.
fn wanting(number: u8) -> Tracked {
    let slot = Slot::new("m", "models:/m/Production".parse().unwrap());
    let mut tracked = Tracked::new(&Arc::new(slot), false, Some(&GateSpec::default()));
    tracked.serving = Some(version(1));
    tracked.want(version(number));
    tracked
}

fn shown(tracked: &Tracked) -> Option<GateState> {
    tracked.slot.status().gate.as_ref().map(|gate| gate.state)
}

#[test]
fn a_version_that_is_tried_again_is_held_no_longer() {
    let mut tracked = wanting(2);
    tracked.hold(&version(2), "it is wrong", false);
    assert_eq!(
        (tracked.is_held(), shown(&tracked)),
        (true, Some(GateState::Held))
    );
    assert!(tracked.retry());
    assert_eq!((tracked.is_held(), shown(&tracked)), (false, None));
    assert!(!tracked.retry());
}

#[test]
fn what_goes_on_at_the_gate_of_a_slot_that_goes_is_shown_no_longer() {
    let mut tracked = wanting(2);
    tracked.hold(&version(2), "it is wrong", true);
    assert_eq!(shown(&tracked), Some(GateState::RolledBack));
    tracked.go_from_gate(&Retirement::start().unwrap());
    assert_eq!(shown(&tracked), None);
}

#[test]
fn the_word_of_an_operator_goes_with_the_version_it_was_said_of() {
    let mut tracked = wanting(2);
    tracked.forced = Some(version(2));
    tracked.want(version(2));
    assert!(!tracked.is_gated(&version(2)));
    tracked.want(version(3));
    tracked.want(version(2));
    assert!(tracked.is_gated(&version(2)));
}
