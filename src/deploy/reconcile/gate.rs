//! Versions at the gate of a slot: tried, accepted, held, watched, taken back.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::Reconciler;
use super::tracked::Tracked;
use crate::deploy::deployment::Deployment;
use crate::deploy::gate::Phase;
use crate::deploy::gate::trial::{self, Trial};
use crate::deploy::gate::verdict::{Answers, Verdict, decide, watch};
use crate::deploy::journal::{Held, Served};
use crate::deploy::retire::Retirement;
use crate::deploy::slot::Slot;
use crate::deploy::status::{Gate, GateState};
use crate::model::version::VersionId;
use crate::registry::Wanted;
use crate::routing::gate::GateSpec;
use crate::telemetry::names;

/// How often the figures of versions at a gate are looked at.
pub(super) const PAUSE: Duration = Duration::from_millis(200);

/// A version at the gate.
pub(super) enum AtGate {
    Trial(OnTrial),
    Watch(OnWatch),
}

/// A version that gets copies of requests.
pub(super) struct OnTrial {
    pub(super) candidate: Arc<Deployment>,
    pub(super) phase: Arc<Phase>,
    pub(super) spec: GateSpec,
    /// When it began to be loaded.
    began: Instant,
    since: Instant,
}

/// A version that was accepted and serves.
pub(super) struct OnWatch {
    /// The version before, which serves again if need be.
    old: Arc<Deployment>,
    /// What that one came to during the trial.
    before: Answers,
    phase: Arc<Phase>,
    spec: GateSpec,
    since: Instant,
}

/// What a slot's new versions have to show; `default` is for those that do not say.
pub(super) fn gate_of(slot: &Slot, default: Option<&GateSpec>) -> Option<GateSpec> {
    let gate = slot.gate().or(default);
    gate.filter(|_| !slot.place().shadow).cloned()
}

impl Tracked {
    /// Whether this version has to be tried before it serves. The first one has nobody to be compared with, one that was
    /// pinned or promoted is an operator's decision, and to go back to one that has served must be quick.
    pub(super) fn is_gated(&self, wanted: &Wanted) -> bool {
        self.gate.is_some()
            && self.pinned.is_none()
            && self.serving.as_ref().is_some_and(|serving| serving != wanted)
            && self.forced.as_ref() != Some(wanted)
            && !self.entry.has_passed(wanted)
    }

    /// Whether the gate holds the wanted version back.
    pub(super) fn is_held(&self) -> bool {
        let held = self.entry.held.as_ref().map(|held| held.version.wanted());
        self.gate.is_some() && self.pinned.is_none() && !self.alone && held.is_some() && held == self.wanted
    }

    /// The version on trial.
    pub(super) fn on_trial(&self) -> Option<&Wanted> {
        match &self.at_gate {
            Some(AtGate::Trial(trial)) => Some(trial.candidate.wanted()),
            _ => None,
        }
    }

    /// Gives up the trial of a version that is no longer wanted, or ends the watch of one in whose place another is.
    pub(super) fn leave_gate(&mut self, retirement: &Retirement) {
        match self.at_gate.take() {
            None => {}
            Some(AtGate::Trial(trial)) => {
                tracing::info!(slot = %self.slot.name(), version = %trial.candidate.id(), "no longer wanted, trial given up");
                self.slot.place().door.set(None);
                self.slot.status().gate = None;
                show(&self.slot, None);
                count(&self.slot, "cancelled");
                retirement.take(trial.candidate);
            }
            Some(AtGate::Watch(watched)) => self.end_watch(watched, "another version is wanted", retirement),
        }
    }

    fn end_watch(&mut self, watched: OnWatch, reason: &str, retirement: &Retirement) {
        self.slot.place().door.set(None);
        tracing::info!(slot = %self.slot.name(), reason, "the watch of the accepted version ends");
        let mut status = self.slot.status();
        if let Some(gate) = &mut status.gate {
            gate.state = GateState::Accepted;
            gate.resident_bytes = 0;
            gate.phase = None;
            gate.reason = format!("{}; then {reason}", gate.reason);
        }
        drop(status);
        show(&self.slot, Some(GateState::Accepted));
        retirement.take(watched.old);
    }

    /// Shows what the journal says of a version that was held.
    pub(super) fn remember_held(&self) {
        let Some((held, spec)) = self.entry.held.as_ref().zip(self.gate.clone()) else {
            return;
        };
        let state = match held.rolled_back {
            true => GateState::RolledBack,
            false => GateState::Held,
        };
        self.slot.status().gate = Some(Gate {
            state,
            wanted: held.version.wanted(),
            old: None,
            since: SystemTime::UNIX_EPOCH + Duration::from_secs(held.version.confirmed),
            reason: held.reason.clone(),
            spec,
            resident_bytes: 0,
            phase: None,
        });
        show(&self.slot, Some(state));
    }

    /// Notes that a version serves, if there is a gate that it could have to pass again.
    pub(super) fn serves_behind_gate(&mut self, wanted: &Wanted) {
        self.alone = false;
        if self.gate.is_some() {
            self.entry.pass(wanted);
            self.let_go_if(|held| held == wanted);
        }
    }

    /// Notes that what served last cannot be had.
    pub(super) fn stands_alone(&mut self) {
        if self.gate.is_some() && self.serving.is_none() {
            tracing::warn!(slot = %self.slot.name(), "what served last cannot be had, so that a new version passes the gate");
            self.alone = true;
        }
    }

    /// Holds a version no longer of which this is true; whether that changed anything.
    pub(super) fn let_go_if(&mut self, free: impl Fn(&Wanted) -> bool) -> bool {
        let taken = self.entry.held.take_if(|held| free(&held.version.wanted()));
        if taken.is_some() {
            let mut status = self.slot.status();
            let held = |gate: &mut Gate| matches!(gate.state, GateState::Held | GateState::RolledBack);
            if status.gate.take_if(held).is_some() {
                show(&self.slot, None);
            }
        }
        taken.is_some()
    }

    /// Tries versions again that failed or are held; whether one was held.
    pub(super) fn retry(&mut self) -> bool {
        self.failed = None;
        self.let_go_if(|_| true)
    }

    /// Gives up what goes on at the gate of a slot that goes, and what is shown of it.
    pub(super) fn go_from_gate(&mut self, retirement: &Retirement) {
        self.leave_gate(retirement);
        if self.slot.status().gate.take().is_some() {
            show(&self.slot, None);
        }
    }

    fn hold(&mut self, wanted: &Wanted, reason: &str, rolled_back: bool) {
        let now = SystemTime::now();
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.entry.fail(wanted);
        self.entry.held = Some(Held {
            version: Served::new(wanted, seconds.as_secs()),
            reason: reason.to_owned(),
            rolled_back,
        });
        self.remember_held();
        if let Some(gate) = &mut self.slot.status().gate {
            gate.old = self.serving.as_ref().map(|serving| serving.id.clone());
        }
    }
}

impl Reconciler {
    /// Whether any version is on trial or watched.
    pub(super) fn is_any_at_the_gate(&self) -> bool {
        self.slots.values().any(|tracked| tracked.at_gate.is_some())
    }

    /// Whether what served last has to be there first, so that the wanted version can be compared with it; if so, it is
    /// on its way. Also lets go of what is held and no longer wanted.
    pub(super) fn waits_for_the_old_one(&mut self, name: &Arc<str>) -> bool {
        let Some(tracked) = self.slots.get_mut(name) else {
            return false;
        };
        if let Some(wanted) = tracked.wanted.clone()
            && tracked.let_go_if(|held| *held != wanted)
        {
            self.write_journal(name, |_| {});
        }
        let Some(tracked) = self.slots.get_mut(name) else {
            return false;
        };
        if tracked.pinned.is_some()
            && tracked
                .on_trial()
                .is_some_and(|trial| Some(trial) == tracked.wanted.as_ref())
        {
            self.accept(name, "it was pinned", true);
            return false;
        }
        let waits = tracked.gate.is_some()
            && tracked.pinned.is_none()
            && tracked.serving.is_none()
            && tracked.evicted.is_none()
            && !tracked.alone
            && tracked.wanted.as_ref().is_some_and(|wanted| {
                !tracked.entry.has_passed(wanted) && tracked.last_served().is_some_and(|last| last != *wanted)
            });
        if waits && tracked.stand_in.is_none() {
            self.stand_in(name);
        }
        waits
    }

    /// Puts a version on trial that is ready to serve and whose way began then.
    pub(super) fn try_out(&mut self, name: &Arc<str>, began: Instant, candidate: Arc<Deployment>) {
        let both = self
            .slots
            .get_mut(name)
            .and_then(|tracked| Some((tracked.gate.clone()?, tracked.serving.clone()?, tracked)));
        let Some((spec, serving, tracked)) = both else {
            self.retirement.take(candidate);
            return;
        };
        let (trial, line) = Trial::new(name, Arc::clone(&candidate), spec.clone());
        let phase = Arc::new(Phase::of_trial(serving.clone(), trial));
        // It ends with the trial.
        tokio::spawn(trial::run(Arc::downgrade(&phase), line));
        tracing::info!(
            slot = %name,
            version = %candidate.id(),
            beside = %serving.id,
            requests = spec.requests,
            max_time = ?spec.max_time,
            "on trial"
        );
        tracked.slot.status().gate = Some(Gate {
            state: GateState::Trial,
            wanted: candidate.wanted().clone(),
            old: Some(serving.id),
            since: SystemTime::now(),
            reason: String::new(),
            spec: spec.clone(),
            resident_bytes: candidate.resident_bytes(),
            phase: Some(Arc::clone(&phase)),
        });
        show(&tracked.slot, Some(GateState::Trial));
        tracked.slot.place().door.set(Some(Arc::clone(&phase)));
        tracked.at_gate = Some(AtGate::Trial(OnTrial {
            candidate,
            phase,
            spec,
            began,
            since: Instant::now(),
        }));
    }

    /// Does what follows from the figures of all versions at a gate.
    pub(super) fn look_at_gates(&mut self) {
        let at_gate =
            |(name, tracked): (&Arc<str>, &Tracked)| tracked.at_gate.is_some().then(|| Arc::clone(name));
        let names: Vec<Arc<str>> = self.slots.iter().filter_map(at_gate).collect();
        for name in names {
            let Some(tracked) = self.slots.get_mut(&name) else {
                continue;
            };
            match &tracked.at_gate {
                Some(AtGate::Trial(trial)) => {
                    let counts = trial.phase.trial().map(Trial::counts).unwrap_or_default();
                    match decide(&trial.spec, &counts, trial.since.elapsed()) {
                        Verdict::Wait => {}
                        Verdict::Accept(figures) => self.accept(&name, &figures, false),
                        Verdict::Refuse(reason) => self.refuse(&name, &reason),
                    }
                }
                Some(AtGate::Watch(watched)) => {
                    let answers = watched.phase.answers();
                    let verdict = match tracked.pinned {
                        Some(_) => Verdict::Accept("it was pinned".into()),
                        None => watch(&watched.spec, &watched.before, &answers, watched.since.elapsed()),
                    };
                    match verdict {
                        Verdict::Wait => {}
                        Verdict::Accept(figures) => {
                            if let Some(AtGate::Watch(watched)) = tracked.at_gate.take() {
                                tracked.end_watch(watched, &figures, &self.retirement);
                            }
                        }
                        Verdict::Refuse(reason) => self.roll_back(&name, &reason),
                    }
                }
                None => {}
            }
        }
    }

    /// Has the version on trial serve; it is watched then, unless it is `forced`.
    pub(super) fn accept(&mut self, name: &Arc<str>, reason: &str, forced: bool) {
        let Some(tracked) = self.slots.get_mut(name) else {
            return;
        };
        let Some(AtGate::Trial(trial)) = tracked
            .at_gate
            .take_if(|at_gate| matches!(at_gate, AtGate::Trial(_)))
        else {
            return;
        };
        let OnTrial {
            candidate,
            phase,
            spec,
            began,
            ..
        } = trial;
        let before = phase.answers();
        let (wanted, slot) = (candidate.wanted().clone(), Arc::clone(&tracked.slot));
        let serving = tracked.serving.as_ref().map(|serving| serving.id.clone());
        let watching = (!forced && !spec.watch.is_zero()).then(|| Arc::new(Phase::of_watch(wanted.clone())));
        // Before the swap, so that its first request is counted.
        slot.place().door.set(watching.clone());
        let old = self.publish(name, began, candidate, true);
        let mut gate = Gate {
            state: GateState::Accepted,
            wanted: wanted.clone(),
            old: serving,
            since: SystemTime::now(),
            reason: reason.to_owned(),
            spec: spec.clone(),
            resident_bytes: 0,
            phase: None,
        };
        match (old, watching, self.slots.get_mut(name)) {
            (Some(old), Some(phase), Some(tracked)) => {
                gate.state = GateState::Watch;
                gate.resident_bytes = old.resident_bytes();
                gate.phase = Some(Arc::clone(&phase));
                tracked.at_gate = Some(AtGate::Watch(OnWatch {
                    old,
                    before,
                    phase,
                    spec: spec.clone(),
                    since: Instant::now(),
                }));
            }
            (old, ..) => {
                slot.place().door.set(None);
                old.into_iter().for_each(|old| self.retirement.take(old));
            }
        }
        self.passed(&slot, gate, &wanted.id, forced);
    }

    /// Tells of a version that serves since it passed the gate.
    pub(super) fn passed(&self, slot: &Slot, gate: Gate, id: &VersionId, forced: bool) {
        let outcome = if forced { "forced" } else { "accepted" };
        tracing::info!(slot = %slot.name(), version = %id, reason = gate.reason, outcome, "passed the gate");
        count(slot, outcome);
        show(slot, Some(gate.state));
        if gate.spec.tags {
            self.tagger.tell(id, outcome, &gate.reason);
        }
        slot.status().gate = Some(gate);
    }

    /// Holds the version on trial: the old one serves on.
    fn refuse(&mut self, name: &Arc<str>, reason: &str) {
        let Some(tracked) = self.slots.get_mut(name) else {
            return;
        };
        let Some(AtGate::Trial(trial)) = tracked
            .at_gate
            .take_if(|at_gate| matches!(at_gate, AtGate::Trial(_)))
        else {
            return;
        };
        tracked.slot.place().door.set(None);
        tracked.hold(trial.candidate.wanted(), reason, false);
        tracing::error!(
            slot = %name,
            version = %trial.candidate.id(),
            serving = tracked.serving.as_ref().map(|serving| tracing::field::display(serving.id.clone())),
            reason,
            "held by the gate; `modelsd promote --force` serves it all the same"
        );
        count(&tracked.slot, "held");
        if trial.spec.tags {
            self.tagger.tell(trial.candidate.id(), "held", reason);
        }
        self.retirement.take(trial.candidate);
        self.write_journal(name, |_| {});
    }

    /// Has the version before serve again.
    fn roll_back(&mut self, name: &Arc<str>, reason: &str) {
        let Some(tracked) = self.slots.get_mut(name) else {
            return;
        };
        let Some(AtGate::Watch(watched)) = tracked
            .at_gate
            .take_if(|at_gate| matches!(at_gate, AtGate::Watch(_)))
        else {
            return;
        };
        tracked.slot.place().door.set(None);
        tracked.slot.status().gate = None;
        let (back, spec) = (watched.old.id().clone(), watched.spec);
        let Some(bad) = self.publish(name, Instant::now(), watched.old, false) else {
            return;
        };
        if let Some(tracked) = self.slots.get_mut(name) {
            tracked.hold(bad.wanted(), reason, true);
            count(&tracked.slot, "rolled_back");
        }
        tracing::error!(
            slot = %name,
            version = %bad.id(),
            serving = %back,
            reason,
            "rolled back in its watch window; `modelsd promote --force` serves it all the same"
        );
        if spec.tags {
            self.tagger.tell(bad.id(), "rolled_back", reason);
        }
        self.retirement.take(bad);
        self.write_journal(name, |_| {});
    }
}

/// Counts what became of a version.
fn count(slot: &Slot, outcome: &'static str) {
    metrics::counter!(
        names::GATE_VERSIONS_TOTAL,
        names::SLOT => slot.name().to_string(),
        names::OUTCOME => outcome
    )
    .increment(1);
}

/// Shows the state of a slot's gate.
fn show(slot: &Slot, state: Option<GateState>) {
    for other in GateState::ALL {
        let gauge = metrics::gauge!(
            names::GATE_STATE,
            names::SLOT => slot.name().to_string(),
            names::STATE => other.label()
        );
        gauge.set(if state == Some(other) { 1.0 } else { 0.0 });
    }
}

#[cfg(test)]
mod tests;
