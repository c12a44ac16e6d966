//! The slots of this process, by name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, Guard};

use super::slot::Slot;

/// The slots; read by every request, changed when a model appears or goes.
pub struct Fleet {
    table: ArcSwap<Table>,
    settled: AtomicBool,
}

/// The slots at one moment.
#[derive(Clone, Default)]
pub struct Table {
    slots: BTreeMap<Arc<str>, Arc<Slot>>,
    default: Option<Arc<str>>,
}

impl Table {
    /// The slot of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Slot>> {
        self.slots.get(name)
    }

    /// The slot that is meant when none is named: the chosen one, or the only one.
    pub fn default(&self) -> Option<&Arc<Slot>> {
        match &self.default {
            Some(name) => self.slots.get(name),
            None => self.slots.values().next().filter(|_| self.slots.len() == 1),
        }
    }

    /// Every slot, by name.
    pub fn slots(&self) -> impl ExactSizeIterator<Item = &Arc<Slot>> {
        self.slots.values()
    }
}

impl Fleet {
    /// A fleet of these slots; `default` names the one that is meant when none is named.
    pub fn new(slots: impl IntoIterator<Item = Arc<Slot>>, default: Option<Arc<str>>) -> Fleet {
        let slots = slots
            .into_iter()
            .map(|slot| (Arc::clone(slot.name()), slot))
            .collect();
        Fleet {
            table: ArcSwap::from_pointee(Table { slots, default }),
            settled: AtomicBool::new(false),
        }
    }

    /// The slots at this moment.
    pub fn table(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }

    /// Whether each slot that was asked for by name has a deployment, those that the registry brought have had their
    /// chance, and anything is served at all.
    pub fn ready(&self) -> bool {
        let table = self.table();
        let serves = |slot: &Arc<Slot>| slot.current().is_some();
        self.settled.load(Ordering::Relaxed)
            && table.slots().any(serves)
            && table.slots().filter(|slot| slot.is_required()).all(serves)
    }

    /// Notes that every slot serves, or has a reason not to.
    pub(super) fn settle(&self) {
        self.settled.store(true, Ordering::Relaxed);
    }

    /// Adds a slot. Only the reconciler changes the fleet, so that no change is lost.
    pub(super) fn add(&self, slot: Arc<Slot>) {
        let mut table = Table::clone(&self.table.load());
        table.slots.insert(Arc::clone(slot.name()), slot);
        self.table.store(Arc::new(table));
    }

    /// Takes a slot away.
    pub(super) fn remove(&self, name: &str) {
        let mut table = Table::clone(&self.table.load());
        table.slots.remove(name);
        self.table.store(Arc::new(table));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(name: &str) -> Arc<Slot> {
        Arc::new(Slot::new(name, "models:/m/1".parse().unwrap()))
    }

    #[test]
    fn the_only_slot_or_the_chosen_one_is_the_default() {
        let fleet = Fleet::new([slot("a")], None);
        assert_eq!(&**fleet.table().default().unwrap().name(), "a");
        fleet.add(slot("b"));
        assert!(fleet.table().default().is_none());
        fleet.remove("a");
        assert_eq!(&**fleet.table().default().unwrap().name(), "b");
        let fleet = Fleet::new([slot("a"), slot("b")], Some("b".into()));
        assert_eq!(&**fleet.table().default().unwrap().name(), "b");
        assert!(!fleet.ready() && fleet.table().get("c").is_none());
    }
}
