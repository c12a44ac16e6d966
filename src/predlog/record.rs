//! What is recorded: one prediction, or what came of one.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use uuid::Uuid;

use crate::model::batch::Batch;
use crate::model::moment::Moment;
use crate::model::origin::Origin;
use crate::model::trace_context::TraceContext;
use crate::model::trace_state::TraceState;
use crate::model::value::Value;

/// One line of the record.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A prediction, or a request that failed.
    Prediction(Box<Record>),
    /// What came of a prediction.
    Feedback(Box<Feedback>),
}

/// One prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The prediction, as its client knows it.
    pub id: Uuid,
    /// When the request came.
    pub time: Moment,
    /// Who answered it.
    pub origin: Arc<Origin>,
    /// Rows of the request.
    pub rows: usize,
    /// What the model was handed.
    pub inputs: Option<Batch>,
    /// What it gave back.
    pub outputs: Option<Batch>,
    /// Why there is no answer.
    pub error: Option<Failure>,
    /// Where the time went.
    pub timing: Timing,
    /// The request's own id. `None` where it brought none: it goes by the prediction's then.
    pub request_id: Option<RequestId>,
    /// The trace that the request is a part of, where it says so.
    pub trace: Option<TraceContext>,
    /// How the request came to its variant.
    pub assignment: Assignment,
    /// The key that the request has for that.
    pub routing_key: Option<Box<str>>,
    /// Whether files get it; others are only counted.
    pub sampled: bool,
    /// What its spans say besides, where the request is traced.
    pub traced: Option<Box<Traced>>,
}

/// What the spans of a prediction say besides its record. None of it is shown by other sinks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// Whether nothing but the spans is wanted: sinks of records do not get it.
    pub alone: bool,
    /// The trace.
    pub trace: u128,
    /// The span of the request; those of its stages are counted on from it.
    pub span: u64,
    /// The span that the request comes from.
    pub parent: Option<u64>,
    /// What others note of the trace.
    pub state: Option<TraceState>,
    /// The path of the request, with `{name}` in place of the model's.
    pub path: &'static str,
    /// The status of the answer, where it is no success.
    pub status: Option<u16>,
    /// Bytes of the body, as it was sent.
    pub received: Option<usize>,
    /// Bytes of the predictions, as they are sent.
    pub sent: Option<usize>,
}

/// A request's own id, which is at most 128 letters, digits and signs. One of ours needs no memory of its own.
pub type RequestId = SmallVec<[u8; 36]>;

/// How a request came to its variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Assignment {
    /// There was no choice.
    #[default]
    None,
    /// It asked for it.
    Asked,
    /// By the hash of its key.
    Key(u64),
    /// By weight, each request anew.
    Weight,
}

impl Assignment {
    /// A word for files.
    pub fn label(self) -> Option<&'static str> {
        match self {
            Assignment::None => None,
            Assignment::Asked => Some("asked"),
            Assignment::Key(_) => Some("key"),
            Assignment::Weight => Some("weight"),
        }
    }
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Kind of the error.
    pub kind: &'static str,
    /// What the client was told.
    pub message: String,
}

/// Where the time of a request went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// Reading the body.
    pub decode: Duration,
    /// Waiting for a predictor.
    pub queue: Duration,
    /// In the model.
    pub predict: Duration,
    /// Writing the answer.
    pub encode: Duration,
    /// From the request's head to its answer.
    pub total: Duration,
}

impl Traced {
    /// About how much memory it takes.
    fn weight(&self) -> usize {
        size_of::<Traced>() + self.state.as_ref().map_or(0, |state| state.as_str().len())
    }
}

impl Record {
    /// About how much memory [`Record::without_values`] takes.
    pub(super) fn bare_weight(&self) -> usize {
        ENTRY_BYTES + self.traced.as_ref().map_or(0, |traced| traced.weight())
    }

    /// The same without what the model was handed and gave back.
    pub(super) fn without_values(&self) -> Record {
        Record {
            id: self.id,
            time: self.time,
            origin: Arc::clone(&self.origin),
            rows: self.rows,
            inputs: None,
            outputs: None,
            error: self.error.as_ref().map(|error| Failure {
                kind: error.kind,
                message: String::new(),
            }),
            timing: self.timing,
            request_id: self.request_id.clone(),
            trace: self.trace,
            assignment: self.assignment,
            routing_key: None,
            sampled: self.sampled,
            traced: self.traced.clone(),
        }
    }
}

/// What came of a prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Feedback {
    /// The prediction.
    pub prediction_id: Uuid,
    /// When the feedback came.
    pub time: Moment,
    /// What it says: `label`, `reward`, or any word of the client.
    pub kind: String,
    /// Its value.
    pub value: Value,
    /// The route of the prediction.
    pub route: Arc<str>,
    /// Its variant.
    pub variant: Arc<str>,
    /// The model that answered.
    pub model: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
}

/// What an entry takes besides its values.
const ENTRY_BYTES: usize = 512;

impl Entry {
    /// Whether files get the entry; others are only counted.
    pub fn is_for_files(&self) -> bool {
        match self {
            Entry::Prediction(record) => record.sampled,
            Entry::Feedback(_) => true,
        }
    }

    /// Whether only the spans of the prediction are wanted.
    pub(super) fn is_for_spans_alone(&self) -> bool {
        matches!(self, Entry::Prediction(record) if record.traced.as_ref().is_some_and(|traced| traced.alone))
    }

    /// About how much memory the entry takes.
    pub fn weight(&self) -> usize {
        match self {
            Entry::Prediction(record) => {
                let batch = |batch: &Option<Batch>| batch.as_ref().map_or(0, Batch::weight);
                let message = record.error.as_ref().map_or(0, |error| error.message.len());
                ENTRY_BYTES
                    + batch(&record.inputs)
                    + batch(&record.outputs)
                    + message
                    + record.traced.as_ref().map_or(0, |traced| traced.weight())
            }
            Entry::Feedback(feedback) => ENTRY_BYTES + feedback.kind.len() + feedback.value.weight(),
        }
    }
}
