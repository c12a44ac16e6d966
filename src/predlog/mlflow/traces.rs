//! A prediction as a trace: its inputs and outputs are those of the span of the request, and tags say what answered.

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use prost::Message;

use super::super::json;
use super::super::record::Record;
use super::super::spans::{self, Place, attribute};
use super::fields::text;

/// Bytes of the inputs, and of the outputs, that a trace has.
const MAX_TEXT: usize = 32 << 10;

/// The request that sends these predictions.
pub(super) fn request<'a>(records: impl Iterator<Item = &'a Record>) -> Bytes {
    let spans = records.flat_map(|record| {
        let name = format!("predict {}", record.origin.model);
        let (attributes, status) = (spans::attributes(record), spans::status(record));
        let mut spans = spans::spans(record, Place::own(record), &name, attributes, status);
        if let Some(root) = spans.first_mut() {
            let tags: Vec<_> = root
                .attributes
                .iter()
                .map(|pair| KeyValue {
                    key: format!("mlflow.traceTag.{}", pair.key),
                    ..pair.clone()
                })
                .collect();
            root.attributes.extend(tags);
            if let Some(inputs) = &record.inputs {
                let inputs = text(|out| json::write_input(out, inputs));
                root.attributes.push(attribute("mlflow.spanInputs", &cut(inputs)));
            }
            if let Some(outputs) = &record.outputs {
                let outputs = text(|out| json::write_output(out, outputs));
                root.attributes
                    .push(attribute("mlflow.spanOutputs", &cut(outputs)));
            }
        }
        spans
    });
    let spans = spans.collect();
    spans::request(vec![attribute("service.name", "modelsd")], spans)
        .encode_to_vec()
        .into()
}

/// The beginning of a long text: it is no JSON any more, and MLflow shows it as text.
fn cut(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}
