//! Which operators of a graph tract has not.

use std::collections::BTreeSet;

use tract_onnx::model::OnnxOpRegister;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto};

/// Domains whose operators tract reads. It looks operators up by name alone, so one of another domain that happens to
/// have a known name would be computed as something else.
const DOMAINS: [&str; 3] = ["", "ai.onnx", "ai.onnx.ml"];

/// Names of the operators that are missing, each once, with the domain where it is not the usual one.
pub(super) fn missing(model: &ModelProto, known: &OnnxOpRegister) -> Vec<String> {
    let mut missing = BTreeSet::new();
    // Walked without recursion: how deep a file nests is its own choice.
    let mut graphs: Vec<&GraphProto> = model.graph.iter().collect();
    while let Some(graph) = graphs.pop() {
        for node in &graph.node {
            if !(DOMAINS.contains(&node.domain.as_str()) && known.0.contains_key(&node.op_type)) {
                missing.insert(full_name(node));
            }
            graphs.extend(node.attribute.iter().flat_map(inner));
        }
    }
    missing.into_iter().collect()
}

fn full_name(node: &NodeProto) -> String {
    match node.domain.as_str() {
        "" | "ai.onnx" => node.op_type.clone(),
        domain => format!("{domain}.{}", node.op_type),
    }
}

fn inner(attribute: &AttributeProto) -> impl Iterator<Item = &GraphProto> {
    attribute.g.iter().chain(&attribute.graphs)
}
