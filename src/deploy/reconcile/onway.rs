//! Versions on their way into a slot: begun, ended, published or rejected; and what stands in where nothing serves.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::tracked::{Install, NEVER, Task, Tracked};
use super::{Reconciler, chain};
use crate::artifact::Progress;
use crate::deploy::decide::{Decision, Failed};
use crate::deploy::deployment::Deployment;
use crate::deploy::install::InstallError;
use crate::deploy::status::{Loading, Rejected, Serving, Step, Swap};
use crate::registry::Wanted;
use crate::telemetry::events::{Event, Kind, events};
use crate::telemetry::names;

/// A slot that serves nothing this long after the start gets what served last, if the cache has it: the registry or the
/// store may take minutes to fail, and requests need not wait for that.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// What comes back from a task that installs.
pub(super) struct Done {
    slot: Arc<str>,
    ticket: u64,
    what: What,
}

enum What {
    /// The old version went to make room for the new one.
    Evicted,
    /// The end.
    Installed(Box<Result<Deployment, InstallError>>),
}

impl Reconciler {
    /// Does what is decided for a slot.
    pub(super) fn act(&mut self, name: &Arc<str>) {
        if self.waits_for_the_old_one(name) {
            return;
        }
        let Some(tracked) = self.slots.get_mut(name) else {
            return;
        };
        match tracked.decide(Instant::now()) {
            Decision::Keep => {}
            Decision::Cancel => {
                tracked.cancel();
                tracked.leave_gate(&self.retirement);
            }
            Decision::Load => {
                if let Some(wanted) = tracked.wanted.clone() {
                    self.start(name, wanted);
                }
            }
        }
    }

    /// Starts to install what is wanted, in place of a version on its way.
    fn start(&mut self, name: &Arc<str>, wanted: Wanted) {
        let Some(tracked) = self.slots.get_mut(name) else {
            return;
        };
        tracked.cancel();
        tracked.leave_gate(&self.retirement);
        let stands_in = |task: &&mut Task| task.wanted == wanted;
        match tracked.stand_in.as_mut().filter(stands_in) {
            // It is on its way already, and now for good.
            Some(_) => tracked.loading = tracked.stand_in.take(),
            None => {
                tracked.slot.status().loading = None;
                let task = self.install(name, wanted);
                if let Some(tracked) = self.slots.get_mut(name) {
                    tracked.loading = task;
                }
            }
        }
    }

    /// Starts to install what served last, where nothing serves: it is better than nothing.
    pub(super) fn stand_in(&mut self, name: &Arc<str>) {
        let Some(tracked) = self.slots.get_mut(name) else {
            return;
        };
        let idle = tracked.serving.is_none() && tracked.stand_in.is_none();
        let last = tracked.evicted.take().or_else(|| tracked.last_served());
        let Some(last) = last.filter(|last| idle && tracked.wanted.as_ref() != Some(last)) else {
            return;
        };
        tracing::warn!(slot = %name, version = %last.id, "serving what served last until what is wanted is there");
        tracked.believe_journal();
        let task = self.install(name, last);
        if let Some(tracked) = self.slots.get_mut(name) {
            tracked.stand_in = task;
        }
    }

    /// Begins an installation; the end of it comes back as a message.
    fn install(&mut self, name: &Arc<str>, wanted: Wanted) -> Option<Task> {
        let tracked = self.slots.get(name)?;
        self.tickets += 1;
        let ticket = self.tickets;
        tracing::info!(slot = %name, version = %wanted.id, "loading");
        let progress = Progress::on_terminal(&wanted.id.to_string());
        // What is wanted is shown, and not what stands in beside it.
        tracked.slot.status().loading.get_or_insert_with(|| Loading {
            wanted: wanted.clone(),
            since: SystemTime::now(),
            step: Step::Locate,
            progress: progress.clone(),
        });
        let install = Install {
            installer: Arc::clone(&self.installer),
            fleet: Arc::clone(&self.fleet),
            retirement: self.retirement.clone(),
            slot: Arc::clone(&tracked.slot),
            uri: tracked.target(),
            wanted: wanted.clone(),
            progress,
            memory_budget: self.config.memory_budget,
            beside: tracked.is_gated(&wanted),
        };
        let (report, slot) = (self.report.clone(), Arc::clone(name));
        let task = tokio::spawn(async move {
            let evicted = || Done {
                slot: Arc::clone(&slot),
                ticket,
                what: What::Evicted,
            };
            let result = install.run(|| report.try_send(evicted()).is_ok()).await;
            let what = What::Installed(Box::new(result));
            let _ = report.send(Done { slot, ticket, what }).await;
        });
        Some(Task {
            wanted,
            ticket,
            began: Instant::now(),
            task,
        })
    }

    /// Takes the end of an installation.
    pub(super) fn finish(&mut self, done: Done) {
        let Done {
            slot: name,
            ticket,
            what,
        } = done;
        let known = self.slots.get_mut(&name).filter(|tracked| tracked.knows(ticket));
        let Some(tracked) = known else {
            // It was given up after it had ended: what it made is of no use to anybody.
            if let What::Installed(result) = what
                && let Ok(deployment) = *result
            {
                self.retirement.take(Arc::new(deployment));
            }
            return;
        };
        let result = match what {
            What::Evicted => {
                tracked.evicted = tracked.serving.take();
                tracked.slot.status().serving = None;
                return;
            }
            What::Installed(result) => *result,
        };
        let (task, is_wanted) = match tracked.loading.take_if(|task| task.ticket == ticket) {
            Some(task) => (task, true),
            None => match tracked.stand_in.take() {
                Some(task) => (task, false),
                None => return,
            },
        };
        tracked.no_longer_shown(&task.wanted);
        match result {
            Ok(deployment) => {
                let deployment = Arc::new(deployment);
                if is_wanted && tracked.is_gated(&task.wanted) {
                    self.try_out(&name, task.began, deployment);
                } else if let Some(old) = self.publish(&name, task.began, deployment, is_wanted) {
                    self.retirement.take(old);
                }
            }
            Err(error) => self.reject(&name, &task, &error, is_wanted),
        }
        self.act(&name);
    }

    /// Puts a version in place whose way began then; gives the one that was there.
    pub(super) fn publish(
        &mut self,
        name: &Arc<str>,
        began: Instant,
        deployment: Arc<Deployment>,
        is_wanted: bool,
    ) -> Option<Arc<Deployment>> {
        let Some(tracked) = self.slots.get_mut(name) else {
            return Some(deployment);
        };
        let now = SystemTime::now();
        let took = began.elapsed();
        let wanted = deployment.wanted().clone();
        let (artifact, id) = (deployment.artifact(), deployment.id().clone());
        let serving = Serving {
            wanted: wanted.clone(),
            since: now,
            digest: artifact.digest.map(|digest| digest.to_string()),
            fetched: artifact.fetched,
            file_bytes: artifact.dir.size_bytes(),
            resident_bytes: deployment.resident_bytes(),
            engine: deployment.report().engine.clone(),
            joins: deployment.joins().clone(),
            parity: deployment.parity().cloned(),
        };
        let (engine, joins) = (serving.engine.clone(), serving.joins.clone());
        let old = tracked.slot.publish(Some(deployment));
        tracked.serves_behind_gate(&wanted);
        tracked.serving = Some(wanted);
        tracked.evicted = None;
        if is_wanted {
            tracked.failed = None;
            tracked.give_up_stand_in();
        }
        let mut status = tracked.slot.status();
        status.serving = Some(serving);
        if is_wanted {
            status.rejected = None;
        }
        status.swapped(Swap {
            at: now,
            from: old.as_ref().map(|old| old.id().clone()),
            to: id.clone(),
            took,
        });
        drop(status);
        tracing::info!(
            slot = %name,
            version = %id,
            engine,
            not_batched = joins.because,
            took_ms = took.as_millis() as u64,
            instead_of = old.as_ref().map(|old| tracing::field::display(old.id().clone())),
            "published"
        );
        let text = format!("Published after {:.1} s.", took.as_secs_f64());
        events().note(Event {
            previous: old.as_ref().map(|old| old.id().version_label().to_owned()),
            ..Event::new(Kind::Published, name, text).of(&id.name, id.version.as_deref())
        });
        count(name, "ok", "publish");
        self.write_journal(name, |_| {});
        self.note_forced(name);
        old
    }

    fn reject(&mut self, name: &Arc<str>, task: &Task, error: &InstallError, is_wanted: bool) {
        let Some(tracked) = self.slots.get_mut(name) else {
            return;
        };
        let reason = chain(error);
        tracing::error!(
            slot = %name,
            version = %task.wanted.id,
            step = error.step.label(),
            serving = tracked.serving.as_ref().map(|serving| tracing::field::display(serving.id.clone())),
            reason,
            "version rejected"
        );
        let (outcome, kind) = match error.outage {
            true => ("outage", Kind::Outage),
            false => ("rejected", Kind::Rejected),
        };
        count(name, outcome, error.step.label());
        let id = &task.wanted.id;
        let serving = tracked.serving.as_ref();
        events().note(Event {
            previous: serving.map(|serving| serving.id.version_label().to_owned()),
            ..Event::new(kind, name, format!("{}: {reason}", error.step.label()))
                .of(&id.name, id.version.as_deref())
        });
        if !is_wanted {
            tracked.stands_alone();
            // What is wanted goes on, or waits for its next try; the reason why it is not served stays.
            return;
        }
        let now = Instant::now();
        let mut failed = Failed::note(tracked.failed.as_ref(), &task.wanted, error.outage, now);
        if tracked.evicted.is_some() {
            // Each try takes the version that serves away, so there is one try only, until something changes.
            failed.retry_at = now + NEVER;
        }
        tracked.slot.status().rejected = Some(Rejected {
            wanted: task.wanted.clone(),
            step: error.step,
            reason,
            at: SystemTime::now(),
            attempts: failed.attempts,
            retry_at: SystemTime::now() + failed.retry_at.duration_since(now),
        });
        tracked.outage = error.outage;
        tracked.failed = Some(failed);
        self.stand_in(name);
    }

    /// Lets what served last stand in wherever nothing serves yet.
    pub(super) fn lose_patience(&mut self) {
        // One that had to go for a version on its way would not fit beside it.
        let stays = |(_, tracked): &(&Arc<str>, &Tracked)| tracked.evicted.is_none();
        let names: Vec<_> = self
            .slots
            .iter()
            .filter(stays)
            .map(|(name, _)| Arc::clone(name))
            .collect();
        for name in names {
            self.stand_in(&name);
        }
    }
}

impl Tracked {
    /// Whether an installation with this number is under way.
    fn knows(&self, ticket: u64) -> bool {
        let is = |task: &Task| task.ticket == ticket;
        self.loading.as_ref().is_some_and(is) || self.stand_in.as_ref().is_some_and(is)
    }
}

/// Counts the end of an installation.
fn count(slot: &str, outcome: &'static str, step: &'static str) {
    metrics::counter!(
        names::RELOADS_TOTAL,
        names::SLOT => slot.to_owned(),
        names::OUTCOME => outcome,
        names::STAGE => step
    )
    .increment(1);
}
