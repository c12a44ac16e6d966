//! The loop that keeps every slot at the version its URI means: ask, decide, install, publish, retire.
//!
//! One task owns all of it. Asking and installing go on beside it, so that a slow registry holds up no swap and a slow
//! load no question; what they find comes back as a message. A failure anywhere before the swap changes nothing for
//! clients.

mod control;
mod deployed;
mod gate;
mod onway;
mod poll;
mod promote;
mod tracked;
mod variants;
mod watch;

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::fleet::Fleet;
use super::gate::tags::Tagger;
use super::install::Installer;
use super::journal::{Journal, Served, Writer};
use super::retire::Retirement;
use super::slot::Slot;
use crate::model::uri::ModelUri;
use crate::registry::Selector;
use crate::routing::gate::GateSpec;
use crate::telemetry::events::{Event, Kind, events};

use control::Command;
pub use control::{Control, ControlError, Promoted};
pub use deployed::{DeployError, MAX_DEPLOYED};
use onway::Done;
use tracked::Tracked;

/// Polls begin at least this far apart, however many nudges come: a folder that is being copied makes hundreds.
const NUDGE_GAP: Duration = Duration::from_millis(50);
/// Commands that may wait.
const COMMANDS: usize = 64;

/// How the registry is followed.
#[derive(Debug, Clone)]
pub struct Config {
    /// Time between two questions to the registry.
    pub poll_interval: Duration,
    /// Bytes that all models may take together.
    pub memory_budget: Option<u64>,
    /// Serve every registered model that has a version here, besides the slots named.
    pub all_models: Option<Selector>,
    /// What new versions have to show of slots whose route does not say.
    pub gate: Option<GateSpec>,
}

/// How the first pass over the slots ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirstPass {
    /// Slots asked for by name that serve nothing, each with the reason: bad versions and models that are not there.
    pub failed: Vec<(Arc<str>, String)>,
    /// Slots that serve nothing because the registry or the store cannot be reached, each with the reason.
    pub waiting: Vec<(Arc<str>, String)>,
}

/// Owns what is known of every slot.
pub struct Reconciler {
    installer: Arc<Installer>,
    fleet: Arc<Fleet>,
    journal: Journal,
    writer: Writer,
    retirement: Retirement,
    config: Config,
    slots: BTreeMap<Arc<str>, Tracked>,
    commands: mpsc::Receiver<Command>,
    nudge: Arc<Notify>,
    done: mpsc::Receiver<Done>,
    report: mpsc::Sender<Done>,
    tickets: u64,
    first: Option<oneshot::Sender<FirstPass>>,
    watch: Option<watch::Watch>,
    tagger: Tagger,
    /// What the tagger does, until the reconciler runs.
    tagging: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Reconciler {
    /// A reconciler of the slots of this fleet, a handle to it, and the end of its first pass.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(
        installer: Arc<Installer>,
        fleet: Arc<Fleet>,
        journal: Journal,
        config: Config,
    ) -> io::Result<(Reconciler, Control, oneshot::Receiver<FirstPass>)> {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let (report, done) = mpsc::channel(COMMANDS);
        let (first, first_pass) = oneshot::channel();
        let nudge = Arc::new(Notify::new());
        let control = Control::new(
            sender,
            Arc::clone(&nudge),
            Arc::clone(installer.registry()),
            Arc::clone(&fleet),
        );
        let slots = fleet
            .table()
            .slots()
            .map(|slot| {
                (
                    Arc::clone(slot.name()),
                    Tracked::new(slot, false, config.gate.as_ref()),
                )
            })
            .collect();
        let (tagger, tagging) = Tagger::new(Arc::clone(installer.registry()));
        let reconciler = Reconciler {
            installer,
            fleet,
            writer: journal.writer()?,
            journal,
            retirement: Retirement::start()?,
            config,
            slots,
            commands,
            nudge,
            done,
            report,
            tickets: 0,
            first: Some(first),
            watch: None,
            tagger,
            tagging: Some(Box::pin(tagging)),
        };
        Ok((reconciler, control, first_pass))
    }

    /// Runs until every [`Control`] is gone.
    pub async fn run(mut self) {
        self.recollect();
        // It ends with us, once it has told what it was handed.
        self.tagging.take().map(tokio::spawn);
        let nudge = Arc::clone(&self.nudge);
        let mut poll = Some(self.ask(poll::FIRST_LIMIT));
        let mut next = Instant::now() + self.config.poll_interval;
        let mut look = Instant::now();
        let mut patience = Some(Instant::now() + onway::PATIENCE);
        loop {
            tokio::select! {
                answers = poll::end(&mut poll) => {
                    poll = None;
                    next = Instant::now() + poll::jittered(self.config.poll_interval);
                    self.apply(answers);
                }
                Some(done) = self.done.recv() => self.finish(done),
                // Once: a slot that comes later has no past.
                () = sleep_until(patience.unwrap_or(next)), if patience.is_some() => {
                    patience = None;
                    self.lose_patience();
                }
                () = sleep_until(look), if self.is_any_at_the_gate() => {
                    look = Instant::now() + gate::PAUSE;
                    self.look_at_gates();
                }
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                // Not taken while a poll is under way: one that came in meanwhile is still there when it has ended.
                () = nudge.notified(), if poll.is_none() => next = next.min(Instant::now() + NUDGE_GAP),
                () = sleep_until(next), if poll.is_none() => poll = Some(self.ask(poll::limit(self.config.poll_interval))),
            }
            self.settle();
        }
    }

    /// Takes from the journal what the slots are pinned to, and the slots that came from the registry: should it not
    /// answer, they are served all the same.
    fn recollect(&mut self) {
        if self.config.all_models.is_some() {
            for entry in self.journal.followed() {
                if let Ok(uri) = entry.uri.parse()
                    && !self.slots.contains_key(entry.slot.as_str())
                {
                    self.follow(entry.slot.as_str().into(), uri);
                }
            }
        }
        self.redeploy();
        for (name, tracked) in &mut self.slots {
            tracked.remember(self.journal.read(name));
        }
    }

    /// Adds a slot that came from the registry.
    fn follow(&mut self, name: Arc<str>, uri: ModelUri) {
        let slot = Arc::new(Slot::followed(Arc::clone(&name), uri));
        let mut tracked = Tracked::new(&slot, true, self.config.gate.as_ref());
        tracked.remember(self.journal.read(&name));
        self.fleet.add(slot);
        self.slots.insert(name, tracked);
    }

    /// Takes a slot away whose model left the registry's stage or alias.
    fn unfollow(&mut self, name: &str) {
        tracing::info!(
            slot = name,
            "no longer in the registry's stage or alias, so no longer served"
        );
        self.take_away(name);
    }

    fn take_away(&mut self, name: &str) {
        if let Some(mut tracked) = self.slots.remove(name) {
            tracked.go_from_gate(&self.retirement);
            self.fleet.remove(name);
            events().note(Event::new(Kind::Removed, name, "No longer wanted."));
            if let Some(old) = tracked.slot.publish(None) {
                self.retirement.take(old);
            }
            self.writer.forget(name);
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Pin { slot, version, reply } => {
                let Some(tracked) = self.slots.get_mut(&slot) else {
                    return;
                };
                tracked.pin(version);
                let event = match version {
                    Some(version) => Event {
                        version: Some(version.to_string()),
                        ..Event::new(Kind::Pinned, &slot, "Pinned.")
                    },
                    None => Event::new(Kind::Unpinned, &slot, "Follows its URI again."),
                };
                events().note(event);
                // Answered once it is on disk, so that what was acknowledged survives a restart.
                self.write_journal(&slot, move |written| {
                    let _ = reply.send(written);
                });
                self.nudge.notify_one();
            }
            Command::Promote { slot, force, reply } => {
                let _ = reply.send(self.promote(&slot, force));
            }
            Command::Variants { slots, reply } => {
                self.set_variants(slots);
                self.nudge.notify_one();
                let _ = reply.send(());
            }
            Command::Deploy { slot, uri, reply } => self.deploy(slot, uri, reply),
            Command::Undeploy { slot, reply } => self.undeploy(&slot, reply),
            Command::Remember { reply } => {
                let names: Vec<Arc<str>> = self.slots.keys().cloned().collect();
                names.iter().for_each(|name| self.write_journal(name, |_| {}));
                // The writer takes turns, so that this comes after the others.
                self.writer.after(move || {
                    let _ = reply.send(());
                });
            }
            Command::Retry { slot, reply } => {
                let chosen = |name: &Arc<str>| slot.as_ref().is_none_or(|slot| slot == name);
                let (mut names, mut freed) = (Vec::new(), Vec::new());
                for (name, tracked) in self.slots.iter_mut().filter(|(name, _)| chosen(name)) {
                    if tracked.retry() {
                        freed.push(Arc::clone(name));
                    }
                    names.push(Arc::clone(name));
                }
                freed.iter().for_each(|name| self.write_journal(name, |_| {}));
                self.nudge.notify_one();
                let _ = reply.send(names);
            }
        }
    }

    /// Remembers what a slot serves and is pinned to, for the next start; `done` is told whether that is on disk.
    fn write_journal(&mut self, name: &Arc<str>, done: impl FnOnce(bool) + Send + 'static) {
        let Some(tracked) = self.slots.get_mut(name) else {
            return;
        };
        let confirmed = tracked.confirmed.unwrap_or(SystemTime::UNIX_EPOCH);
        let seconds = confirmed
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        // A version that stands in for the wanted one is not what the registry confirmed.
        // One that serves because the gate holds the wanted one back is to serve at the next start, too.
        let holds = tracked.is_held();
        if let Some(serving) = tracked.serving.as_ref().filter(|_| tracked.is_current() || holds) {
            tracked.entry.served = Some(Served::new(serving, seconds));
        }
        tracked.entry.uri = tracked.slot.uri().to_string();
        tracked.entry.pinned = tracked.pinned.map(|version| version.to_string());
        tracked.entry.followed = tracked.followed;
        tracked.entry.deployed = tracked.slot.is_deployed();
        self.writer.write(tracked.entry.clone(), done);
    }

    /// Reports the end of the first pass, once each slot serves or has a reason not to.
    fn settle(&mut self) {
        if self.first.is_none() || !self.slots.values().all(Tracked::settled) {
            return;
        }
        let mut pass = FirstPass::default();
        for (name, tracked) in self.slots.iter().filter(|(_, tracked)| tracked.serving.is_none()) {
            let (outage, reason) = tracked.reason();
            // A variant on trial that is bad holds up nobody who did not ask for it.
            let list = if outage || (!tracked.slot.is_required() && !tracked.followed) {
                &mut pass.waiting
            } else {
                &mut pass.failed
            };
            list.push((Arc::clone(name), reason));
        }
        self.fleet.settle();
        if let Some(first) = self.first.take() {
            let _ = first.send(pass);
        }
    }
}

/// An error and its causes in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Some libraries repeat their cause in their own words.
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}
