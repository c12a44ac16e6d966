//! A deployment: one version of a model, loaded, immutable, shared by the requests it answers.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::meters::Meters;
use super::parity::Parity;
use super::place::Place;
use super::prove::{Joins, Proof};
use super::recent::Recent;
use super::row_size::RowSize;
use crate::artifact::Artifact;
use crate::batching::{
    self,
    pool::{Pool, Setup},
};
use crate::flavor::{Loaded, Report};
use crate::model::origin::Origin;
use crate::model::prediction_id::tag_of;
use crate::model::signature::Signature;
use crate::model::version::VersionId;
use crate::registry::Wanted;

/// The timed stages of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestStage {
    /// Bytes to batch.
    Decode,
    /// Waiting for a predictor.
    Queue,
    /// In the model.
    Predict,
    /// Batch to bytes.
    Encode,
}

impl RequestStage {
    /// Every stage, in order; the position is `stage as usize`.
    pub const ALL: [RequestStage; 4] = [
        RequestStage::Decode,
        RequestStage::Queue,
        RequestStage::Predict,
        RequestStage::Encode,
    ];

    /// Label in metrics.
    pub fn label(self) -> &'static str {
        match self {
            RequestStage::Decode => "decode",
            RequestStage::Queue => "queue",
            RequestStage::Predict => "predict",
            RequestStage::Encode => "encode",
        }
    }
}

/// What answers say of a deployment, as bytes that they share.
#[derive(Debug, Clone)]
pub struct Labels {
    /// Registered name.
    pub name: Bytes,
    /// Version, `none` outside a registry.
    pub version: Bytes,
    /// The variant of its route, if it is one.
    pub variant: Option<Bytes>,
}

/// Everything a request needs of a version, under one pointer.
pub struct Deployment {
    wanted: Wanted,
    artifact: Artifact,
    pool: Pool,
    place: Place,
    resident_bytes: u64,
    report: Report,
    meters: Meters,
    labels: Labels,
    origin: Arc<Origin>,
    /// See [`Deployment::once`].
    once: OnceLock<Box<dyn Any + Send + Sync>>,
    joins: Joins,
    parity: Option<Parity>,
    row_size: RowSize,
}

impl Deployment {
    /// The proof shows what calls cost, and whether they may be put together.
    pub(super) fn new(
        wanted: Wanted,
        artifact: Artifact,
        loaded: Loaded,
        proof: &Proof,
        batching: batching::Config,
        resident_bytes: u64,
        place: Place,
    ) -> Deployment {
        let id = &wanted.id;
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let meters = Meters::new(id, &place);
        if let Some(parity) = &proof.parity {
            meters.parity(parity.largest_difference);
        }
        let setup = Setup {
            name: &id.name,
            config: batching,
            join_from: proof.joins.from_rows,
            times: &proof.times,
            meters: meters.of_pool(),
        };
        Deployment {
            joins: proof.joins.clone(),
            parity: proof.parity.clone(),
            row_size: RowSize::default(),
            labels: Labels {
                name: bytes(&id.name),
                version: bytes(id.version_label()),
                variant: (!place.variant.is_empty()).then(|| bytes(&place.variant)),
            },
            once: OnceLock::new(),
            origin: Arc::new(Origin {
                route: Arc::clone(&place.route),
                variant: Arc::clone(&place.variant),
                shadow: place.shadow,
                model: Arc::clone(&id.name),
                version: id.version_label().into(),
                digest: artifact
                    .digest
                    .map(|digest| digest.to_string())
                    .unwrap_or_default()
                    .into(),
                signature: Some(Arc::new(artifact.dir.mlmodel().signature.clone())),
                tag: tag_of(&place.route, &place.variant, &id.name, id.version_label()),
            }),
            pool: Pool::new(loaded.predictors, setup),
            meters,
            report: loaded.report,
            place,
            resident_bytes,
            artifact,
            wanted,
        }
    }

    /// Which version this is.
    pub fn id(&self) -> &VersionId {
        &self.wanted.id
    }

    /// Which version this is, in the registry's terms.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Its files, held in the cache as long as it lives.
    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    /// Bytes by which the process grew while it was loaded; an estimate, since others used memory at that time.
    pub fn resident_bytes(&self) -> u64 {
        self.resident_bytes
    }

    /// What answers say of it.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// What the record of a prediction says of it.
    pub fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// What who answers with it makes of it once, for all its answers: kept when it is first asked for. `None` for who
    /// comes with another type.
    pub fn once<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.once.get_or_init(|| Box::new(make())).downcast_ref()
    }

    /// What it takes and gives.
    pub fn signature(&self) -> &Signature {
        &self.artifact.dir.mlmodel().signature
    }

    /// Runs it.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// How its calls may be put together.
    pub fn joins(&self) -> &Joins {
        &self.joins
    }

    /// How its answers compare with recorded ones, if any lie beside it.
    pub fn parity(&self) -> Option<&Parity> {
        self.parity.as_ref()
    }

    /// Where requests that were answered well are kept for the next version.
    pub fn recent(&self) -> &Recent {
        &self.place.recent
    }

    /// How many rows a request should have.
    pub fn row_size(&self) -> &RowSize {
        &self.row_size
    }

    /// Where it serves.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What was loaded, for people.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Its metrics.
    pub fn meters(&self) -> &Meters {
        &self.meters
    }
}
