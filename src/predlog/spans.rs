//! A prediction as spans of OpenTelemetry: one of the request, and one of each stage that took time. Whose they are, and what
//! they say of the prediction, is decided by each sink.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, SpanFlags, Status};

use super::record::Record;

/// Most spans of a prediction.
pub(super) const MOST: usize = 5;
/// The stages of a request that are spans, in their order.
const STAGES: usize = MOST - 1;
/// The flags of `traceparent` that say that a span is recorded.
const SAMPLED: u32 = 1;

/// Which trace the spans of a prediction are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// The trace.
    pub(super) trace: u128,
    /// The span of the request; those of its stages are counted on from it.
    pub(super) span: u64,
    /// The span that the request comes from.
    pub(super) parent: Option<u64>,
    /// What others note of the trace.
    pub(super) state: &'a str,
}

impl Place<'_> {
    /// A trace of the prediction's own, under its id: who sends it twice sends the same.
    pub(super) fn own(record: &Record) -> Place<'static> {
        let id = record.id.as_u128();
        Place {
            trace: id,
            span: id as u64,
            parent: None,
            state: "",
        }
    }

    /// What is known of the span whose parent is a process of others, or of none.
    fn flags(&self, of_request: bool) -> u32 {
        let remote = match of_request && self.parent.is_some() {
            true => SpanFlags::ContextIsRemoteMask as u32,
            false => 0,
        };
        SAMPLED | SpanFlags::ContextHasIsRemoteMask as u32 | remote
    }
}

/// The stages that took time, and how long.
fn stages(record: &Record) -> impl Iterator<Item = (u64, &'static str, Duration)> {
    let timing = &record.timing;
    let stages: [_; STAGES] = [
        (1, "decode", timing.decode),
        (2, "queue", timing.queue),
        (3, "predict", timing.predict),
        (4, "encode", timing.encode),
    ];
    stages.into_iter().filter(|(.., took)| !took.is_zero())
}

/// How many spans a prediction has.
pub(super) fn count(record: &Record) -> usize {
    1 + stages(record).count()
}

/// The status as MLflow shows it: what did not fail was well.
pub(super) fn status(record: &Record) -> Status {
    match &record.error {
        None => Status {
            code: StatusCode::Ok as i32,
            ..Status::default()
        },
        Some(error) => Status {
            code: StatusCode::Error as i32,
            message: match error.message.as_str() {
                "" => error.kind.to_owned(),
                message => format!("{}: {message}", error.kind),
            },
        },
    }
}

/// The spans of a prediction, that of the request first, which alone has attributes and a status. Stages follow one another from its start: when each began is not
/// recorded, only how long it took.
pub(super) fn spans(
    record: &Record,
    place: Place<'_>,
    name: &str,
    attributes: Vec<KeyValue>,
    status: Status,
) -> Vec<Span> {
    let start = (record.time.micros() as u64).saturating_mul(1_000);
    let parent = place.parent.map(|parent| parent.to_be_bytes().to_vec());
    let mut all = vec![Span {
        trace_id: place.trace.to_be_bytes().to_vec(),
        span_id: place.span.to_be_bytes().to_vec(),
        parent_span_id: parent.unwrap_or_default(),
        trace_state: place.state.to_owned(),
        flags: place.flags(true),
        name: name.to_owned(),
        kind: SpanKind::Server as i32,
        start_time_unix_nano: start,
        end_time_unix_nano: start.saturating_add(nanoseconds(record.timing.total)),
        attributes,
        status: Some(status),
        ..Span::default()
    }];
    let mut began = start;
    for (number, name, took) in stages(record) {
        let ended = began.saturating_add(nanoseconds(took));
        all.push(Span {
            trace_id: place.trace.to_be_bytes().to_vec(),
            span_id: place.span.wrapping_add(number).to_be_bytes().to_vec(),
            parent_span_id: place.span.to_be_bytes().to_vec(),
            trace_state: place.state.to_owned(),
            flags: place.flags(false),
            name: name.to_owned(),
            kind: SpanKind::Internal as i32,
            start_time_unix_nano: began,
            end_time_unix_nano: ended,
            ..Span::default()
        });
        began = ended;
    }
    all
}

/// What tells the prediction from others, in the words of the record.
pub(super) fn attributes(record: &Record) -> Vec<KeyValue> {
    let id = record.id.to_string();
    let mut all = vec![
        attribute("model", &record.origin.model),
        attribute("version", &record.origin.version),
        attribute("route", &record.origin.route),
        attribute("prediction_id", &id),
        number("rows", record.rows),
    ];
    if !record.origin.variant.is_empty() {
        all.push(attribute("variant", &record.origin.variant));
    }
    if record.origin.shadow {
        all.push(attribute("shadow", "true"));
    }
    if let Some(assignment) = record.assignment.label() {
        all.push(attribute("assignment", assignment));
    }
    if let Some(id) = &record.request_id {
        all.push(attribute("request_id", &String::from_utf8_lossy(id)));
    }
    if let Some(trace) = &record.trace {
        all.push(attribute("trace_id", &trace.to_string()));
    }
    if let Some(key) = &record.routing_key {
        all.push(attribute("routing_key", key));
    }
    if let Some(error) = &record.error {
        all.push(attribute("error", error.kind));
    }
    all
}

/// An attribute of text.
pub(super) fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

/// An attribute that is a number.
pub(super) fn number(key: &str, value: usize) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX))),
        }),
        ..KeyValue::default()
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The request that exports these spans of one resource.
pub(super) fn request(resource: Vec<KeyValue>, spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: resource,
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "modelsd".into(),
                    version: env!("CARGO_PKG_VERSION").into(),
                    ..InstrumentationScope::default()
                }),
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}
