//! Traces of requests for a collector of OpenTelemetry: what a prediction was, and where its time went, without what the
//! model was handed and gave back.

use std::io;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message;

use super::record::{Entry, Record, Traced};
use super::remote::{Destination, Label, Limits, Queued, Remote, Undelivered};
use super::spans::{self, Place, attribute, number};
use super::{Sink, SinkError, Standing};
use crate::client::collector::{self, Collector};

/// About how much memory may wait for the collector, besides what counts spans.
const QUEUE_BYTES: usize = 64 << 20;
/// Characters of a collector's message that the log repeats.
const SHOWN: usize = 200;

/// Where traces go, and how many wait for that.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The collector.
    pub collector: collector::Config,
    /// Who we are: the attributes of the resource.
    pub resource: Vec<(String, String)>,
    /// Spans that may wait; those of further requests are dropped and counted.
    pub queue: usize,
    /// Spans of one export, at least those of one request.
    pub batch: usize,
    /// How long the first span of an export waits for others.
    pub delay: Duration,
}

impl Config {
    /// Most spans of one request.
    pub const SPANS: usize = spans::MOST;

    /// Starts the thread that talks to the collector; nothing is sent yet.
    ///
    /// # Errors
    /// When a file that the settings name cannot be read, or the system gives no thread.
    pub fn open(&self) -> io::Result<Box<dyn Sink>> {
        let collector = Collector::new(&self.collector).map_err(io::Error::other)?;
        let label = Label {
            sink: "otlp",
            thread: "modelsd-otlp",
            place: collector.name().to_owned(),
            fails: "traces do not get to the collector",
            works: "traces get to the collector again",
        };
        let limits = Limits {
            count: self.queue,
            bytes: QUEUE_BYTES,
            together: self.batch / Config::SPANS,
            linger: self.delay,
        };
        let resource = self.resource.iter();
        let traces = Traces {
            resource: resource.map(|(key, value)| attribute(key, value)).collect(),
            collector,
            packed: Bytes::new(),
        };
        Ok(Box::new(Otlp(Remote::start(label, limits, traces)?)))
    }
}

/// The sink of a collector.
struct Otlp(Remote<Box<Record>>);

impl Sink for Otlp {
    fn name(&self) -> &str {
        self.0.sink()
    }

    fn counts(&self) -> bool {
        true
    }

    fn is_of_spans(&self) -> bool {
        true
    }

    /// Also those that are there for their spans alone.
    fn takes(&self, entry: &Entry) -> bool {
        matches!(entry, Entry::Prediction(record) if record.traced.is_some())
    }

    fn standing(&self) -> Standing {
        self.0.standing()
    }

    fn write(&mut self, entries: &[Entry]) -> Result<(), SinkError> {
        for entry in entries {
            if let Entry::Prediction(record) = entry
                && record.traced.is_some()
            {
                let bare = || Box::new(record.without_values());
                self.0.offer(spans::count(record), record.bare_weight(), bare);
            }
        }
        Ok(())
    }

    fn tick(&mut self, _: SystemTime) -> Result<(), SinkError> {
        Ok(())
    }

    fn end(&mut self) {
        self.0.end();
    }

    fn close(&mut self) -> Result<(), SinkError> {
        self.0.close()
    }
}

/// A collector, and what it is sent.
struct Traces {
    collector: Collector,
    resource: Vec<KeyValue>,
    /// What was sent last.
    packed: Bytes,
}

impl Destination for Traces {
    type Item = Box<Record>;

    async fn send(&mut self, batch: &[Queued<Box<Record>>], again: bool) -> Result<u64, Undelivered> {
        if !again {
            let spans = batch.iter().flat_map(|queued| of(&queued.item)).collect();
            let request = spans::request(self.resource.clone(), spans);
            self.packed = self.collector.packed(&request);
        }
        let answer = match self.collector.post(self.packed.clone()).await {
            Ok(answer) => answer,
            Err(problem) => {
                return Err(Undelivered {
                    may_pass: problem.may_pass,
                    // An export that it answers 500 to is not sent again.
                    broke: false,
                    wait: problem.wait,
                    error: problem.into(),
                });
            }
        };
        // What is no answer of this kind says nothing of spans that were refused.
        let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
        let partial = answer.partial_success.unwrap_or_default();
        let refused = u64::try_from(partial.rejected_spans).unwrap_or(0);
        if refused > 0 || !partial.error_message.is_empty() {
            let message: String = partial.error_message.chars().take(SHOWN).collect();
            tracing::warn!(refused, message, "the collector does not take every span");
        }
        Ok(refused)
    }
}

/// The spans of a request that is traced.
fn of(record: &Record) -> Vec<Span> {
    let Some(traced) = &record.traced else {
        return Vec::new();
    };
    let place = Place {
        trace: traced.trace,
        span: traced.span,
        parent: traced.parent,
        state: traced.state.as_ref().map_or("", |state| state.as_str()),
    };
    let name = format!("{METHOD} {}", traced.path);
    spans::spans(record, place, &name, attributes(record, traced), status(record))
}

/// The method of all predictions.
const METHOD: &str = "POST";

/// Failures are errors, also those that HTTP gives the client the blame for: there is no prediction. What went wrong is told
/// by its kind alone, since messages quote values.
fn status(record: &Record) -> Status {
    match &record.error {
        None => Status::default(),
        Some(error) => Status {
            code: StatusCode::Error as i32,
            message: error.kind.to_owned(),
        },
    }
}

/// What the span of a request says: by the conventions of OpenTelemetry for HTTP, and for what they have no word for in words
/// of our own.
fn attributes(record: &Record, traced: &Traced) -> Vec<KeyValue> {
    let origin = &record.origin;
    let texts = [
        ("http.request.method", METHOD),
        ("http.route", traced.path),
        ("modelsd.route", &origin.route),
        ("modelsd.model", &origin.model),
        ("modelsd.version", &origin.version),
    ];
    let mut all: Vec<KeyValue> = texts.map(|(key, value)| attribute(key, value)).into();
    all.push(number("modelsd.rows", record.rows));
    if !traced.alone {
        // Of others nobody was told the id.
        all.push(attribute("modelsd.prediction_id", &record.id.to_string()));
    }
    let success = record.error.is_none().then_some(200);
    let numbers = [
        (
            "http.response.status_code",
            traced.status.or(success).map(usize::from),
        ),
        ("http.request.body.size", traced.received),
        ("http.response.body.size", traced.sent),
    ];
    let numbers = numbers.into_iter();
    all.extend(numbers.filter_map(|(key, value)| Some(number(key, value?))));
    if !origin.variant.is_empty() {
        all.push(attribute("modelsd.variant", &origin.variant));
    }
    if let Some(assignment) = record.assignment.label() {
        all.push(attribute("modelsd.assignment", assignment));
    }
    if let Some(id) = &record.request_id {
        all.push(attribute("modelsd.request_id", &String::from_utf8_lossy(id)));
    }
    if let Some(error) = &record.error {
        all.push(attribute("error.type", error.kind));
    }
    all
}
