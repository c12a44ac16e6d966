//! What is kept, and what is not.

use super::*;

#[test]
fn failures_do_not_wash_changes_away_and_both_are_bounded() {
    let events = Events::new();
    events.note(Event::new(Kind::Published, "iris", "first").of("iris", Some("1")));
    for _ in 0..1000 {
        events.note(Event::new(Kind::Request, "iris", "bad"));
    }
    let news = events.after(0);
    assert_eq!(news.last, 1001);
    assert_eq!(news.events.len(), 1 + FAILURES_KEPT);
    assert_eq!((news.events[0].id, news.events[0].kind), (1, Kind::Published));
    for _ in 0..1000 {
        events.note(Event::new(Kind::Rejected, "iris", "bad"));
    }
    assert_eq!(events.after(0).events.len(), CHANGES_KEPT + FAILURES_KEPT);
}

#[test]
fn who_knows_an_event_is_told_the_later_ones_in_order() {
    let events = Events::new();
    for kind in [Kind::Request, Kind::Published, Kind::Request, Kind::Rejected] {
        events.note(Event::new(kind, "iris", ""));
    }
    let ids: Vec<u64> = events.after(1).events.iter().map(|event| event.id).collect();
    assert_eq!(ids, [2, 3, 4]);
    assert_eq!(events.after(4).events, []);
    assert_eq!(events.after(u64::MAX).last, 4);
}

#[test]
fn long_texts_are_cut_between_characters() {
    let events = Events::new();
    let mut event = Event::new(Kind::Request, &"ä".repeat(500), "é".repeat(2000));
    event.request_id = Some("x".repeat(1000));
    events.note(event);
    let event = &events.after(0).events[0];
    assert!(event.message.len() <= MAX_MESSAGE + 3 && event.message.ends_with("é…"));
    assert!(event.slot.len() <= MAX_NAME + 3);
    assert!(event.request_id.as_ref().unwrap().len() <= MAX_NAME + 3);
}

#[test]
fn of_many_refusals_in_a_moment_one_is_wanted() {
    let events = Events::new();
    let wanted = (0..100).filter(|_| events.wants_refusal()).count();
    // A machine that stalls in between may let a second one through.
    assert!((1..100).contains(&wanted));
}
