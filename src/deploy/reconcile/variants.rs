//! The slots of variants, which a new configuration adds, changes and takes away.

use std::sync::Arc;

use super::Reconciler;
use super::tracked::Tracked;
use crate::deploy::slot::Slot;
use crate::routing::spec::VariantSlot;

impl Reconciler {
    /// Makes the slots of variants these.
    pub(super) fn set_variants(&mut self, wanted: Vec<VariantSlot>) {
        let of_variants = self.slots.values().filter(|tracked| tracked.slot.is_variant());
        let names: Vec<Arc<str>> = of_variants
            .map(|tracked| Arc::clone(tracked.slot.name()))
            .collect();
        for name in names {
            if wanted.iter().all(|slot| slot.slot != name) {
                tracing::info!(slot = %name, "no longer configured, so no longer served");
                self.take_away(&name);
            }
        }
        for spec in wanted {
            let name = Arc::clone(&spec.slot);
            match self.slots.get(&name) {
                Some(tracked) if *tracked.slot.uri() == spec.uri => self.set_gate(&name, spec.gate),
                Some(_) => self.replace(Slot::variant(spec)),
                None => {
                    let slot = Arc::new(Slot::variant(spec));
                    let mut tracked = Tracked::new(&slot, false, self.config.gate.as_ref());
                    tracked.remember(self.journal.read(&name));
                    self.fleet.add(slot);
                    self.slots.insert(name, tracked);
                }
            }
        }
    }

    /// Has a slot serve something else. What it serves goes on until that is there.
    pub(super) fn replace(&mut self, slot: Slot) {
        let name = Arc::clone(slot.name());
        let mut old = self.slots.remove(&name);
        if let Some(old) = &mut old {
            old.go_from_gate(&self.retirement);
        }
        let slot = match &old {
            Some(old) => slot.behind(Arc::clone(&old.slot.place().door)),
            None => slot,
        };
        let slot = Arc::new(slot);
        let mut tracked = Tracked::new(&slot, false, self.config.gate.as_ref());
        tracked.remember(self.journal.read(&name));
        if let Some(old) = old {
            slot.publish(old.slot.current());
            tracked.serving.clone_from(&old.serving);
            slot.status().serving.clone_from(&old.slot.status().serving);
            slot.status().swaps.clone_from(&old.slot.status().swaps);
        }
        // The old slot goes with its last request; what it serves stays, for the new one has it.
        self.fleet.add(slot);
        self.slots.insert(name, tracked);
    }
}
