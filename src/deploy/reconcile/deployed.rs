//! Slots that are added and taken away while the server runs; the journal brings them back.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Reconciler;
use super::tracked::Tracked;
use crate::deploy::slot::Slot;
use crate::model::uri::ModelUri;

/// Slots that may be added.
pub const MAX_DEPLOYED: usize = 256;

/// Why a slot is not added or taken away.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The name is that of a slot that the command line, the configuration or the registry brought.
    #[error(
        "slot `{slot}` came with the start of the server or follows its registry; choose another slot, or pin this one \
         to a version"
    )]
    Taken {
        /// The slot.
        slot: Arc<str>,
    },
    /// There are as many as there may be.
    #[error("there are {MAX_DEPLOYED} deployed slots already; take one away first")]
    Full,
}

impl Reconciler {
    /// Brings back what was deployed when the process before ended.
    pub(super) fn redeploy(&mut self) {
        for entry in self.journal.deployed().into_iter().take(MAX_DEPLOYED) {
            let Ok(uri) = entry.uri.parse() else { continue };
            // What the command line names goes its own way.
            if !self.slots.contains_key(entry.slot.as_str()) {
                let slot = Arc::new(Slot::deployed(entry.slot.as_str().into(), uri));
                self.slots.insert(
                    Arc::clone(slot.name()),
                    Tracked::new(&slot, false, self.config.gate.as_ref()),
                );
                self.fleet.add(slot);
            }
        }
    }

    pub(super) fn deploy(
        &mut self,
        name: Arc<str>,
        uri: ModelUri,
        reply: oneshot::Sender<Result<bool, DeployError>>,
    ) {
        let deployed = self
            .slots
            .values()
            .filter(|tracked| tracked.slot.is_deployed())
            .count();
        let refused = match self.slots.get(&name) {
            Some(tracked) if !tracked.slot.is_deployed() => Some(DeployError::Taken {
                slot: Arc::clone(&name),
            }),
            None if deployed >= MAX_DEPLOYED => Some(DeployError::Full),
            _ => None,
        };
        if let Some(refused) = refused {
            let _ = reply.send(Err(refused));
            return;
        }
        match self.slots.get_mut(&name) {
            Some(tracked) if *tracked.slot.uri() == uri => {
                // Asked for once more: a version that was rejected is tried again at once.
                tracked.failed = None;
                tracked.slot.status().rejected = None;
            }
            Some(_) => self.replace(Slot::deployed(Arc::clone(&name), uri)),
            None => {
                let slot = Arc::new(Slot::deployed(Arc::clone(&name), uri));
                let mut tracked = Tracked::new(&slot, false, self.config.gate.as_ref());
                tracked.remember(self.journal.read(&name));
                self.fleet.add(slot);
                self.slots.insert(Arc::clone(&name), tracked);
            }
        }
        // Answered once it is on disk, so that what was acknowledged survives a restart.
        self.write_journal(&name, move |written| {
            let _ = reply.send(Ok(written));
        });
        self.nudge.notify_one();
    }

    pub(super) fn undeploy(&mut self, name: &Arc<str>, reply: oneshot::Sender<Result<(), DeployError>>) {
        match self.slots.get(name) {
            Some(tracked) if !tracked.slot.is_deployed() => {
                let slot = Arc::clone(name);
                let _ = reply.send(Err(DeployError::Taken { slot }));
                return;
            }
            // Somebody else was faster.
            None => {
                let _ = reply.send(Ok(()));
                return;
            }
            Some(_) => {}
        }
        tracing::info!(slot = %name, "taken away, so no longer served");
        self.take_away(name);
        self.writer.after(move || {
            let _ = reply.send(Ok(()));
        });
    }
}
