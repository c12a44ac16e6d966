//! What an operator says of gates: that a version is to serve, or that a slot has another gate.

use std::sync::Arc;
use std::time::SystemTime;

use super::Reconciler;
use super::control::{NotPromoted, Promoted};
use super::gate::AtGate;
use crate::deploy::gate::trial::Trial;
use crate::deploy::gate::verdict::{Verdict, decide_now};
use crate::deploy::status::{Gate, GateState};
use crate::registry::Wanted;
use crate::routing::gate::GateSpec;

/// Why a version was accepted whatever its figures are.
const BY_FORCE: &str = "an operator promoted it";

impl Reconciler {
    /// Lets the version that waits at a gate pass: by its figures until now, or by `force`.
    pub(super) fn promote(&mut self, name: &Arc<str>, force: bool) -> Result<Promoted, NotPromoted> {
        let tracked = self.slots.get_mut(name).ok_or(NotPromoted::Nothing)?;
        if let Some(AtGate::Trial(trial)) = &tracked.at_gate {
            let id = trial.candidate.id().clone();
            let counts = trial.phase.trial().map(Trial::counts).unwrap_or_default();
            let reason = match decide_now(&trial.spec, &counts) {
                _ if force => BY_FORCE.to_owned(),
                Verdict::Accept(figures) => figures,
                Verdict::Refuse(reason) => return Err(NotPromoted::Refused { id, reason }),
                Verdict::Wait => return Err(NotPromoted::Nothing),
            };
            self.accept(name, &reason, force);
            return Ok(Promoted { id, serves: true });
        }
        let waits = |wanted: &Wanted| tracked.gate.is_some() && tracked.serving.as_ref() != Some(wanted);
        let Some(wanted) = tracked.wanted.clone().filter(waits) else {
            return Err(NotPromoted::Nothing);
        };
        let id = wanted.id.clone();
        if !force {
            let held = tracked.entry.held.as_ref().map(|held| held.reason.clone());
            let rejected = || Some(tracked.slot.status().rejected.as_ref()?.reason.clone());
            let reason = held.or_else(rejected);
            let reason = reason.unwrap_or_else(|| "it is being loaded, and has shown nothing yet".into());
            return Err(NotPromoted::Refused { id, reason });
        }
        tracked.let_go_if(|held| *held == wanted);
        tracked.failed = None;
        tracked.forced = Some(wanted);
        self.act(name);
        Ok(Promoted { id, serves: false })
    }

    /// Tells of a version that serves because an operator said so, where one does.
    pub(super) fn note_forced(&mut self, name: &Arc<str>) {
        let Some(tracked) = self.slots.get_mut(name) else {
            return;
        };
        let Some(wanted) = tracked
            .forced
            .take_if(|forced| Some(&*forced) == tracked.serving.as_ref())
        else {
            return;
        };
        let Some(spec) = tracked.gate.clone() else { return };
        let (slot, id) = (Arc::clone(&tracked.slot), wanted.id.clone());
        let gate = Gate {
            state: GateState::Accepted,
            wanted,
            old: None,
            since: SystemTime::now(),
            reason: BY_FORCE.into(),
            spec,
            resident_bytes: 0,
            phase: None,
        };
        self.passed(&slot, gate, &id, true);
    }

    /// Gives a slot the gate of its route, as it is configured now. What is on trial goes on with the one it began with,
    /// unless there is none any more.
    pub(super) fn set_gate(&mut self, name: &Arc<str>, gate: Option<GateSpec>) {
        let gate = gate.or_else(|| self.config.gate.clone());
        let Some(tracked) = self.slots.get_mut(name) else {
            return;
        };
        tracked.gate = gate.filter(|_| !tracked.slot.place().shadow);
        if tracked.gate.is_none() {
            tracked.leave_gate(&self.retirement);
            tracked.let_go_if(|_| true);
        }
    }
}
