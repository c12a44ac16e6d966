//! The handle by which others speak to the reconciler.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;

use super::deployed::DeployError;
use crate::deploy::fleet::Fleet;
use crate::model::uri::ModelUri;
use crate::model::version::VersionId;
use crate::registry::{Registry, RegistryError};
use crate::routing::spec::VariantSlot;

/// Time the registry has to say whether a version exists before a slot is pinned to it.
const CHECK_LIMIT: Duration = Duration::from_secs(5);

/// What the reconciler is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Pin a slot to a version, or unpin it; the answer says whether that is on disk, and does not come for a slot that
    /// has gone.
    Pin {
        slot: Arc<str>,
        version: Option<u64>,
        reply: oneshot::Sender<bool>,
    },
    /// Let the version at the gate of a slot pass; by its figures, or by `force` whatever they are.
    Promote {
        slot: Arc<str>,
        force: bool,
        reply: oneshot::Sender<Result<Promoted, NotPromoted>>,
    },
    /// Make the slots of variants these; the answer comes once they are there, or gone.
    Variants {
        slots: Vec<VariantSlot>,
        reply: oneshot::Sender<()>,
    },
    /// Add a slot, or have one that was added serve something else; the answer says whether that is on disk.
    Deploy {
        slot: Arc<str>,
        uri: ModelUri,
        reply: oneshot::Sender<Result<bool, DeployError>>,
    },
    /// Take a slot away that was added; the answer comes once it is forgotten.
    Undeploy {
        slot: Arc<str>,
        reply: oneshot::Sender<Result<(), DeployError>>,
    },
    /// Write down what every slot serves; the answer comes once that is on disk, or failed to be.
    Remember { reply: oneshot::Sender<()> },
    /// Ask the registry now, and try versions that were rejected again; the answer names the slots.
    Retry {
        slot: Option<Arc<str>>,
        reply: oneshot::Sender<Vec<Arc<str>>>,
    },
}

/// Speaks to the reconciler. The reconciler ends with the last of them.
#[derive(Clone)]
pub struct Control {
    commands: mpsc::Sender<Command>,
    nudge: Arc<Notify>,
    registry: Arc<dyn Registry>,
    fleet: Arc<Fleet>,
}

/// A version that was let through the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promoted {
    /// Which.
    pub id: VersionId,
    /// Whether it answers now; else it is being loaded first.
    pub serves: bool,
}

/// Why no version was let through the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotPromoted {
    /// There is none that waits.
    Nothing,
    /// It has not shown what it has to.
    Refused { id: VersionId, reason: String },
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No slot has that name.
    #[error("there is no slot `{slot}`; there are {known}")]
    NoSlot {
        /// The name.
        slot: String,
        /// The names there are.
        known: String,
    },
    /// The slot serves no registered model, so that it has no versions.
    #[error("slot `{slot}` serves `{uri}`, which is no registered model and has no versions to pin")]
    NoVersions {
        /// The slot.
        slot: String,
        /// What it serves.
        uri: String,
    },
    /// The registry says that there is no such version.
    #[error("cannot pin slot `{slot}`")]
    NoVersion {
        /// The slot.
        slot: String,
        /// The registry's answer.
        #[source]
        source: RegistryError,
    },
    /// No version waits at the gate of that slot.
    #[error("no version waits to be served by `{slot}`: what the registry wants is what it serves")]
    NothingToPromote {
        /// The slot.
        slot: String,
    },
    /// The version at the gate has not shown what it has to.
    #[error("`{id}` is not promoted: {reason}; `modelsd promote --force` serves it all the same")]
    NotPromoted {
        /// The version.
        id: VersionId,
        /// Why not.
        reason: String,
    },
    /// The registry says that there is nothing to deploy.
    #[error("cannot deploy it")]
    NoModel {
        /// The registry's answer.
        #[source]
        source: RegistryError,
    },
    /// The slot cannot be added or taken away.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// It holds, but could not be written down.
    #[error("it holds until the server stops, but could not be written to --cache-dir; the log says why")]
    NotKept,
    /// The reconciler is gone, or too busy.
    #[error("the server is stopping, or too busy to take commands")]
    Unavailable,
}

impl Control {
    pub(super) fn new(
        commands: mpsc::Sender<Command>,
        nudge: Arc<Notify>,
        registry: Arc<dyn Registry>,
        fleet: Arc<Fleet>,
    ) -> Control {
        Control {
            commands,
            nudge,
            registry,
            fleet,
        }
    }

    /// Has the registry asked now. Many calls at once make one question.
    pub fn poll_now(&self) {
        self.nudge.notify_one();
    }

    /// Has the registry asked now, and versions that were rejected tried again at once; of one slot, or of all. Gives
    /// the names of the slots.
    ///
    /// # Errors
    /// [`ControlError::NoSlot`], [`ControlError::Unavailable`].
    pub async fn retry(&self, slot: Option<&str>) -> Result<Vec<Arc<str>>, ControlError> {
        if let Some(slot) = slot {
            self.uri_of(slot)?;
        }
        let (reply, answer) = oneshot::channel();
        let slot = slot.map(Arc::from);
        self.send(Command::Retry { slot, reply })?;
        answer.await.map_err(|_| ControlError::Unavailable)
    }

    /// Makes the slots of variants these. A slot that serves something else from now on goes on with what it has until
    /// that is there.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`].
    pub async fn set_variants(&self, slots: Vec<VariantSlot>) -> Result<(), ControlError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Variants { slots, reply })?;
        answer.await.map_err(|_| ControlError::Unavailable)
    }

    /// Pins a slot to a version, whatever its URI comes to mean, until it is unpinned; a restart keeps it.
    ///
    /// # Errors
    /// When there is no such slot or version. A registry that cannot be asked is no hindrance: the slot then waits for
    /// the version.
    pub async fn pin(&self, slot: &str, version: u64) -> Result<(), ControlError> {
        let uri = self.uri_of(slot)?;
        let Some(name) = uri.name() else {
            return Err(ControlError::NoVersions {
                slot: slot.to_owned(),
                uri: uri.to_string(),
            });
        };
        let target = [ModelUri::Version {
            name: name.into(),
            version,
        }];
        let known = timeout(CHECK_LIMIT, self.registry.wanted(&target)).await;
        if let Ok(Some(Err(source))) = known.map(|mut answers| answers.pop())
            && !source.is_outage()
        {
            return Err(ControlError::NoVersion {
                slot: slot.to_owned(),
                source,
            });
        }
        self.set_pin(slot, Some(version)).await
    }

    /// Lets a slot follow its URI again.
    ///
    /// # Errors
    /// [`ControlError::NoSlot`], [`ControlError::Unavailable`].
    pub async fn unpin(&self, slot: &str) -> Result<(), ControlError> {
        self.uri_of(slot)?;
        self.set_pin(slot, None).await
    }

    /// Lets the version that waits at the gate of a slot pass: by its figures until now, or with `force` whatever they are.
    ///
    /// # Errors
    /// When there is no such slot, nothing waits, or it may not pass.
    pub async fn promote(&self, slot: &str, force: bool) -> Result<Promoted, ControlError> {
        self.uri_of(slot)?;
        let (reply, answer) = oneshot::channel();
        self.send(Command::Promote {
            slot: slot.into(),
            force,
            reply,
        })?;
        match answer.await {
            Ok(Ok(promoted)) => Ok(promoted),
            Ok(Err(NotPromoted::Nothing)) => Err(ControlError::NothingToPromote {
                slot: slot.to_owned(),
            }),
            Ok(Err(NotPromoted::Refused { id, reason })) => Err(ControlError::NotPromoted { id, reason }),
            Err(_) => Err(ControlError::Unavailable),
        }
    }

    /// Has it written down what every slot serves and when that was confirmed, and waits until that is done: for the end
    /// of the process, since in between it is written now and then.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`].
    pub async fn remember(&self) -> Result<(), ControlError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Remember { reply })?;
        answer.await.map_err(|_| ControlError::Unavailable)
    }

    /// Adds a slot while the server runs, or has one that was added so serve something else; a restart keeps it. What it
    /// serves goes on until the new version is there.
    ///
    /// # Errors
    /// When the registry says that there is no such version, the name is taken, or there are too many. A registry that
    /// cannot be asked is no hindrance: the slot then waits for the version.
    pub async fn deploy(&self, slot: &str, uri: ModelUri) -> Result<(), ControlError> {
        let known = timeout(CHECK_LIMIT, self.registry.wanted(std::slice::from_ref(&uri))).await;
        if let Ok(Some(Err(source))) = known.map(|mut answers| answers.pop())
            && !source.is_outage()
        {
            return Err(ControlError::NoModel { source });
        }
        let (reply, answer) = oneshot::channel();
        self.send(Command::Deploy {
            slot: slot.into(),
            uri,
            reply,
        })?;
        match answer.await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(ControlError::NotKept),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(ControlError::Unavailable),
        }
    }

    /// Takes a slot away that was added while the server ran. Requests under way end as they began.
    ///
    /// # Errors
    /// [`ControlError::NoSlot`], [`ControlError::Deploy`], [`ControlError::Unavailable`].
    pub async fn undeploy(&self, slot: &str) -> Result<(), ControlError> {
        self.uri_of(slot)?;
        let (reply, answer) = oneshot::channel();
        self.send(Command::Undeploy {
            slot: slot.into(),
            reply,
        })?;
        answer.await.map_err(|_| ControlError::Unavailable)??;
        Ok(())
    }

    async fn set_pin(&self, slot: &str, version: Option<u64>) -> Result<(), ControlError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Pin {
            slot: slot.into(),
            version,
            reply,
        })?;
        match answer.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ControlError::NotKept),
            Err(_) => Err(ControlError::Unavailable),
        }
    }

    fn send(&self, command: Command) -> Result<(), ControlError> {
        self.commands
            .try_send(command)
            .map_err(|_| ControlError::Unavailable)
    }

    fn uri_of(&self, slot: &str) -> Result<ModelUri, ControlError> {
        let table = self.fleet.table();
        table
            .get(slot)
            .map(|slot| slot.uri().clone())
            .ok_or_else(|| self.no_slot(slot))
    }

    fn no_slot(&self, slot: &str) -> ControlError {
        let table = self.fleet.table();
        let known: Vec<String> = table.slots().map(|slot| format!("`{}`", slot.name())).collect();
        ControlError::NoSlot {
            slot: slot.to_owned(),
            known: if known.is_empty() {
                "none".into()
            } else {
                known.join(", ")
            },
        }
    }
}
