//! A deployment: one version of a model, loaded, immutable, shared by the requests it answers.

use bytes::Bytes;

use super::meters::Meters;
use crate::batching::pool::Pool;
use crate::flavor::Report;
use crate::model::signature::Signature;
use crate::model::version::VersionId;

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

/// Everything a request needs of a version, under one pointer.
pub struct Deployment {
    id: VersionId,
    signature: Signature,
    pool: Pool,
    report: Report,
    meters: Meters,
    labels: (Bytes, Bytes),
}

impl Deployment {
    pub(super) fn new(id: VersionId, signature: Signature, pool: Pool, report: Report) -> Deployment {
        let meters = Meters::new(&id);
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let labels = (bytes(&id.name), bytes(id.version_label()));
        Deployment {
            id,
            signature,
            pool,
            report,
            meters,
            labels,
        }
    }

    /// Which version this is.
    pub fn id(&self) -> &VersionId {
        &self.id
    }

    /// Name and version as bytes that many answers share.
    pub fn labels(&self) -> (&Bytes, &Bytes) {
        (&self.labels.0, &self.labels.1)
    }

    /// What it takes and gives.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Runs it.
    pub fn pool(&self) -> &Pool {
        &self.pool
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
