//! ONNX graphs in tract, the engine that is always at hand.
//!
//! A graph is compiled once with its variable extents as symbols, and the plan is shared by all predictors. Where a
//! graph cannot be compiled so, it is compiled anew for each shape that is asked for, and the last few plans are kept.

mod lowered;
mod operators;
mod plan;
mod values;

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::pb::{GraphProto, ModelProto};
use tract_onnx::prelude::*;

use crate::flavor::{LoadError, Loaded, Port, PredictError, Predictor, Report};
use crate::model::batch::Batch;

use self::plan::{Plans, Runner};
use super::WAY_OUT;
use super::element::{Element, Input, tensor_kind};
use super::feed::{Scratch, feed};
use super::files::ModelFile;
use super::shape_output::{OutputNames, Outputs, shape_output};

/// As reports and messages name the engine; the version is that of the manifest.
const ENGINE: &str = "tract 0.23";

/// Loads a checked model file.
///
/// # Errors
/// When the graph needs operators that tract has not, they are all named.
pub(super) fn load(file: &ModelFile, predictors: NonZeroUsize) -> Result<Loaded, LoadError> {
    // A file that is no valid graph can make tract panic where it indexes by name.
    match catch_unwind(AssertUnwindSafe(|| load_or_panic(file, predictors))) {
        Ok(loaded) => loaded,
        Err(_) => Err(failed(file, TractError::msg("the graph is not valid"))),
    }
}

fn load_or_panic(file: &ModelFile, predictors: NonZeroUsize) -> Result<Loaded, LoadError> {
    let mut onnx = tract_onnx::onnx();
    lowered::register(&mut onnx);
    let proto = onnx
        .proto_model_for_read(&mut file.bytes.as_slice())
        .map_err(|error| failed(file, error))?;
    let missing = operators::missing(&proto, &onnx.op_register);
    if !missing.is_empty() {
        return Err(LoadError::Refused(format!(
            "tract has no operator {}, which `{}` needs; {WAY_OUT}",
            missing.join(", "),
            file.name()
        )));
    }
    let folder = file.path.parent().and_then(|folder| folder.to_str());
    let model = onnx.parse(&proto, folder).and_then(|parsed| {
        let unresolved = parsed.unresolved_inputs;
        if unresolved.is_empty() {
            Ok(parsed.model)
        } else {
            Err(TractError::msg(unresolved.join(", ")))
        }
    });
    let model = model.map_err(|error| incapable(file, &error))?;
    let graph = Arc::new(Graph::of(&proto, &model)?);
    let plans = Plans::new(model, &graph).map_err(|error| incapable(file, &error))?;
    let report = Report {
        flavor: "onnx".into(),
        engine: ENGINE.into(),
        inputs: graph.inputs.iter().map(Input::port).collect(),
        outputs: graph.ports.clone(),
        steps: Vec::new(),
        notes: Vec::new(),
    };
    let predictors = (0..predictors.get())
        .map(|_| {
            let scratch = Scratch::new(&graph.inputs);
            let runner = Runner::new(Arc::clone(&plans));
            Box::new(TractPredictor {
                runner,
                scratch,
                graph: Arc::clone(&graph),
            }) as Box<dyn Predictor>
        })
        .collect();
    Ok(Loaded {
        predictors,
        report,
        rival: None,
    })
}

fn failed(file: &ModelFile, error: TractError) -> LoadError {
    LoadError::Engine {
        engine: ENGINE.into(),
        file: file.name(),
        source: error.into(),
    }
}

/// The file is a model, but tract does not get along with it; more often than not that is for want of a feature.
fn incapable(file: &ModelFile, error: &TractError) -> LoadError {
    LoadError::Refused(format!(
        "{ENGINE} cannot run `{}`: {error:#}; {WAY_OUT}",
        file.name()
    ))
}

/// What all predictors of a model have in common.
#[derive(Debug)]
struct Graph {
    inputs: Vec<Input>,
    ports: Vec<Port>,
    /// Element types of the outputs, as the graph declares them.
    outputs: Vec<Element>,
    names: OutputNames,
}

impl Graph {
    fn of(proto: &ModelProto, model: &InferenceModel) -> Result<Graph, LoadError> {
        let Some(graph) = &proto.graph else {
            return Err(LoadError::Refused("the file holds no graph".into()));
        };
        let mut inputs = Vec::new();
        // Inputs with an initializer have a default and are no inputs to be fed.
        let fed = graph
            .input
            .iter()
            .filter(|input| !has_initializer(graph, &input.name));
        for port in fed {
            let (element, shape) = declared(port).ok_or_else(|| unsupported("input", &port.name))?;
            inputs.push(Input {
                name: port.name.as_str().into(),
                element,
                shape,
            });
        }
        if inputs.is_empty() || inputs.len() != model.inputs.len() {
            return Err(LoadError::Refused(
                "the graph has no inputs that can be fed".into(),
            ));
        }
        let (mut ports, mut outputs) = (Vec::new(), Vec::new());
        for port in &graph.output {
            let (element, shape) = declared(port).ok_or_else(|| unsupported("output", &port.name))?;
            ports.push(Port {
                name: port.name.clone(),
                kind: tensor_kind(element, &shape),
            });
            outputs.push(element);
        }
        let names = OutputNames::new(graph.output.iter().map(|port| port.name.as_str().into()));
        Ok(Graph {
            inputs,
            ports,
            outputs,
            names,
        })
    }
}

fn has_initializer(graph: &GraphProto, name: &str) -> bool {
    graph
        .initializer
        .iter()
        .any(|initializer| initializer.name == name)
}

/// Element type and extents that a port declares.
fn declared(port: &tract_onnx::pb::ValueInfoProto) -> Option<(Element, Vec<i64>)> {
    use tract_onnx::pb::tensor_shape_proto::dimension::Value::DimValue;

    let tract_onnx::pb::type_proto::Value::TensorType(tensor) = port.r#type.as_ref()?.value.as_ref()?;
    let extent = |dim: &tract_onnx::pb::tensor_shape_proto::Dimension| match dim.value {
        Some(DimValue(extent)) if extent >= 0 => extent,
        _ => -1,
    };
    let shape = tensor
        .shape
        .as_ref()
        .map(|shape| shape.dim.iter().map(extent).collect());
    Some((values::element(tensor.elem_type)?, shape.unwrap_or_default()))
}

fn unsupported(role: &str, name: &str) -> LoadError {
    LoadError::Refused(format!(
        "{role} `{name}` of the graph has a type that tract does not read; {WAY_OUT}"
    ))
}

/// A running state of the shared plan, and buffers.
struct TractPredictor {
    runner: Runner,
    scratch: Scratch,
    graph: Arc<Graph>,
}

impl Predictor for TractPredictor {
    fn predict(&mut self, input: &Batch) -> Result<Batch, PredictError> {
        let feeds = feed(input, &self.graph.inputs, &mut self.scratch)?;
        let values = feeds
            .iter()
            .map(values::write)
            .collect::<Result<TVec<TValue>, _>>()?;
        let outputs = self
            .runner
            .run(values)
            .map_err(|error| PredictError::Engine(format!("{error:#}")))?;
        let mut tensors = Outputs::new();
        for (value, element) in outputs.iter().zip(&self.graph.outputs) {
            tensors.push(values::read(value, *element)?);
        }
        shape_output(&input.body, &self.graph.names, tensors)
    }
}
