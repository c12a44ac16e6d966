//! What happened lately, for people who look: swaps, versions that were rejected, registries that were away, and the last
//! requests that failed. In memory, bounded, and never touched by a request that is answered.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Changes of what is served that are kept.
pub const CHANGES_KEPT: usize = 100;
/// Failed requests that are kept, apart from the changes: a flood of them must not wash a swap away.
pub const FAILURES_KEPT: usize = 50;
/// Bytes of a message that are kept.
const MAX_MESSAGE: usize = 500;
/// Bytes of a name that are kept.
const MAX_NAME: usize = 200;
/// A server that refuses because it has too much to do notes one refusal in this time.
const REFUSAL_PAUSE: Duration = Duration::from_millis(100);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A version began to answer.
    Published,
    /// A version cannot be served.
    Rejected,
    /// A version could not be fetched because a registry or a store was away.
    Outage,
    /// Nobody can say what a slot should serve.
    Unknown,
    /// The registry says again what it should serve.
    Known,
    /// A slot was pinned to a version.
    Pinned,
    /// A slot follows its URI again.
    Unpinned,
    /// A slot is no longer served.
    Removed,
    /// A request was refused or failed.
    Request,
}

impl Kind {
    /// Its word in the API.
    pub fn label(self) -> &'static str {
        match self {
            Kind::Published => "published",
            Kind::Rejected => "rejected",
            Kind::Outage => "outage",
            Kind::Unknown => "unknown",
            Kind::Known => "known",
            Kind::Pinned => "pinned",
            Kind::Unpinned => "unpinned",
            Kind::Removed => "removed",
            Kind::Request => "request",
        }
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number, from 1 on; given when it is noted.
    pub id: u64,
    /// When.
    pub at: SystemTime,
    /// What.
    pub kind: Kind,
    /// The slot; empty for a request that reached none.
    pub slot: String,
    /// The model, where it is known.
    pub model: Option<String>,
    /// The version.
    pub version: Option<String>,
    /// The version before.
    pub previous: Option<String>,
    /// Why, for people.
    pub message: String,
    /// Of a request: the kind of its failure, as in the metrics.
    pub failure: Option<&'static str>,
    /// Of a request: its id.
    pub request_id: Option<String>,
}

impl Event {
    /// An event of a slot, now.
    pub fn new(kind: Kind, slot: &str, message: impl Into<String>) -> Event {
        Event {
            id: 0,
            at: SystemTime::now(),
            kind,
            slot: slot.to_owned(),
            model: None,
            version: None,
            previous: None,
            message: message.into(),
            failure: None,
            request_id: None,
        }
    }

    /// The same, of this version of a model.
    pub fn of(self, model: &str, version: Option<&str>) -> Event {
        Event {
            model: Some(model.to_owned()),
            version: version.map(str::to_owned),
            ..self
        }
    }

    /// The same, with its texts no longer than may be kept.
    fn cut(mut self) -> Event {
        shorten(&mut self.message, MAX_MESSAGE);
        shorten(&mut self.slot, MAX_NAME);
        let names = [
            &mut self.model,
            &mut self.version,
            &mut self.previous,
            &mut self.request_id,
        ];
        names
            .into_iter()
            .flatten()
            .for_each(|name| shorten(name, MAX_NAME));
        self
    }
}

/// Cuts a text between two characters.
fn shorten(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes));
        text.push('…');
    }
}

/// The events of a process.
pub struct Events {
    began: SystemTime,
    start: Instant,
    /// Microseconds after `start` from which on the next refusal is noted.
    next_refusal: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    last: u64,
    changes: VecDeque<Event>,
    failures: VecDeque<Event>,
}

/// The events after one that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// When the numbers began: at the start of the process.
    pub began: SystemTime,
    /// The number of the newest event there is.
    pub last: u64,
    /// The events, oldest first.
    pub events: Vec<Event>,
}

static EVENTS: LazyLock<Events> = LazyLock::new(Events::new);

/// Those of this process.
pub fn events() -> &'static Events {
    &EVENTS
}

impl Events {
    fn new() -> Events {
        Events {
            began: SystemTime::now(),
            start: Instant::now(),
            next_refusal: AtomicU64::new(0),
            kept: Mutex::default(),
        }
    }

    /// Notes an event in place of the oldest of its sort.
    pub fn note(&self, event: Event) {
        let mut event = event.cut();
        let mut kept = self.kept();
        kept.last += 1;
        event.id = kept.last;
        let (list, most) = match event.kind {
            Kind::Request => (&mut kept.failures, FAILURES_KEPT),
            _ => (&mut kept.changes, CHANGES_KEPT),
        };
        if list.len() >= most {
            list.pop_front();
        }
        list.push_back(event);
    }

    /// Whether another refusal of a busy server is worth a note: one in a while is, so that refusing stays cheap.
    pub fn wants_refusal(&self) -> bool {
        let now = self.start.elapsed().as_micros() as u64;
        let next = self.next_refusal.load(Ordering::Relaxed);
        now >= next
            && self
                .next_refusal
                .compare_exchange(
                    next,
                    now + REFUSAL_PAUSE.as_micros() as u64,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok()
    }

    /// What came after the event of that number.
    pub fn after(&self, id: u64) -> News {
        let kept = self.kept();
        let lists = kept.changes.iter().chain(&kept.failures);
        let mut events: Vec<Event> = lists.filter(|event| event.id > id).cloned().collect();
        events.sort_by_key(|event| event.id);
        News {
            began: self.began,
            last: kept.last,
            events,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
