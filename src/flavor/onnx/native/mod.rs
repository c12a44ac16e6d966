//! Graphs of classical models without an engine: their operators are lowered to steps of a plan.
//!
//! `proto` decodes the file, `lowering` knows the tensors of the graph as it is gone through once, the other files have
//! an operator each function. A graph with one operator that is not covered is refused as a whole, by name, and is for
//! another engine. What is computed is what ONNX Runtime computes, in float32; trees to the last bit.

mod ensemble;
mod features;
mod linear;
mod lowering;
mod math;
mod proto;
mod reduce;
mod scores;
mod shape;
mod trees;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::element::{Element, Input, tensor_kind};
use super::feed::{Feed, Scratch, feed};
use super::shape_output::{OutputNames, Outputs, shape_output, tensor};
use crate::flavor::plan::builder::Builder;
use crate::flavor::plan::native::ENGINE;
use crate::flavor::plan::steps::labels::Labels;
use crate::flavor::plan::value::{Cell, Matrix, Value};
use crate::flavor::plan::{Plan, Registers};
use crate::flavor::refusal::{Refusal, refuse};
use crate::flavor::{Loaded, Port, PredictError, Predictor, Report};
use crate::model::batch::{Batch, Body};
use crate::model::tensor::{Elements, Shape, Tensor};
use crate::model::value::Value as Object;

use self::lowering::{Constant, Held, Lowering, Rows};
use self::math::Binary;
use self::proto::{Model, Node};
use self::reduce::Reduction;

/// Versions of ONNX's operators whose meaning is that of here.
const VERSIONS: std::ops::RangeInclusive<i64> = 7..=26;
/// The same for `ai.onnx.ml`.
const ML_VERSIONS: std::ops::RangeInclusive<i64> = 1..=5;

/// Lowers the graph of a model file.
///
/// # Errors
/// When an operator of the graph is not covered, or is used in a way that is not.
pub(super) fn open(bytes: &[u8]) -> Result<Arc<Graph>, Refusal> {
    let model = proto::decode(bytes)?;
    lower(&model).map(Arc::new)
}

/// Predictors of a graph that is lowered.
pub(super) fn loaded(graph: &Arc<Graph>, predictors: NonZeroUsize) -> Loaded {
    let report = Report {
        flavor: "onnx".into(),
        engine: ENGINE.into(),
        inputs: graph.inputs.iter().map(Input::port).collect(),
        outputs: graph.ports.clone(),
        steps: graph.plan.describe(),
        notes: Vec::new(),
    };
    let predictors = (0..predictors.get())
        .map(|_| {
            let scratch = Scratch::new(&graph.inputs);
            Box::new(NativePredictor {
                graph: Arc::clone(graph),
                scratch,
            }) as Box<dyn Predictor>
        })
        .collect();
    Loaded {
        predictors,
        report,
        rival: None,
    }
}

/// A graph that is lowered.
pub(super) struct Graph {
    inputs: Vec<Input>,
    plan: Plan,
    outputs: Vec<Output>,
    ports: Vec<Port>,
    names: OutputNames,
}

/// How a value of the plan becomes an output.
enum Output {
    Tensor(Element, lowering::Tail),
    Maps(Arc<Labels>),
}

fn lower(model: &Model<'_>) -> Result<Graph, Refusal> {
    let (mut version, mut ml_version) = (1, 1);
    for &(domain, number) in &model.versions {
        match domain {
            "" | "ai.onnx" if VERSIONS.contains(&number) => version = number,
            "ai.onnx.ml" if ML_VERSIONS.contains(&number) => ml_version = number,
            // Nothing of it may be used; if something is, that is refused by name.
            domain if !matches!(domain, "" | "ai.onnx" | "ai.onnx.ml") => {}
            _ => refuse!("version {number} of the operators of `{domain}` is not computed natively"),
        }
    }
    let mut held: HashMap<&str, Held> = HashMap::new();
    for initializer in &model.initializers {
        held.insert(
            initializer.name,
            Held::Constant(Arc::new(Constant::of(initializer)?)),
        );
    }
    let (inputs, builder) = inputs(model, &mut held)?;
    let mut lowering = Lowering {
        builder,
        held,
        version,
        ml_version,
    };
    for node in &model.nodes {
        let outputs = operator(&mut lowering, node).map_err(|refusal| refusal.within(node.operator))?;
        if node.outputs.len() > outputs.len() {
            refuse!(
                "{}: output `{}` is not computed natively",
                node.operator,
                node.outputs.len()
            );
        }
        for (&name, held) in node.outputs.iter().zip(outputs) {
            if !name.is_empty() && lowering.held.insert(name, held).is_some() {
                refuse!("the tensor `{name}` is made twice");
            }
        }
    }
    outputs(model, inputs, lowering)
}

fn inputs<'m>(
    model: &Model<'m>,
    held: &mut HashMap<&'m str, Held>,
) -> Result<(Vec<Input>, Builder), Refusal> {
    let (mut inputs, mut forms, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for port in &model.inputs {
        // An input with an initializer has a default, and is not fed.
        if held.contains_key(port.name) {
            continue;
        }
        let (Some(element), Some(shape)) = (port.element, &port.shape) else {
            refuse!("input `{}` has no known type", port.name);
        };
        let element = lowering::element(element).map_err(|refusal| refusal.within(port.name))?;
        let Some((_, rest)) = shape.split_first() else {
            refuse!("input `{}` is a scalar", port.name);
        };
        let tail: Option<lowering::Tail> = rest.iter().map(|&extent| usize::try_from(extent).ok()).collect();
        let Some(tail) = tail else {
            refuse!(
                "input `{}` has shape {shape:?}, of which more than the rows is open",
                port.name
            );
        };
        forms.push(lowering::form(
            element,
            crate::model::tensor::element_count(&tail),
        )?);
        all.push((port.name, element, tail));
        inputs.push(Input {
            name: port.name.into(),
            element,
            shape: shape.clone(),
        });
    }
    if inputs.is_empty() {
        refuse!("the graph has no inputs that can be fed");
    }
    let builder = Builder::with_inputs(forms);
    for (position, (name, element, tail)) in all.into_iter().enumerate() {
        let Some(register) = builder.input(position) else {
            continue;
        };
        held.insert(
            name,
            Held::Rows(Rows {
                register,
                element,
                tail,
            }),
        );
    }
    Ok((inputs, builder))
}

fn outputs(model: &Model<'_>, inputs: Vec<Input>, lowering: Lowering<'_>) -> Result<Graph, Refusal> {
    let (mut registers, mut outputs, mut ports) = (Vec::new(), Vec::new(), Vec::new());
    for port in &model.outputs {
        let (register, output, kind) = match lowering.held.get(port.name) {
            Some(Held::Rows(rows)) => {
                let mut shape = vec![-1];
                shape.extend(rows.tail.iter().map(|&extent| extent as i64));
                let declared = port.element.map(lowering::element).transpose()?;
                if declared.is_some_and(|declared| declared != rows.element) {
                    refuse!("output `{}` is of another type than it says", port.name);
                }
                let kind = tensor_kind(rows.element, &shape);
                (
                    rows.register,
                    Output::Tensor(rows.element, rows.tail.clone()),
                    kind,
                )
            }
            Some(Held::Maps(rows, labels)) => {
                let key = if matches!(**labels, Labels::Text(_)) {
                    "str"
                } else {
                    "int64"
                };
                let kind = format!("list of map({key} to float32)");
                (rows.register, Output::Maps(Arc::clone(labels)), kind)
            }
            _ => refuse!("output `{}` is not computed out of the request", port.name),
        };
        registers.push(register);
        outputs.push(output);
        ports.push(Port {
            name: port.name.to_owned(),
            kind,
        });
    }
    Ok(Graph {
        inputs,
        plan: lowering.builder.finish_several(&registers),
        outputs,
        ports,
        names: OutputNames::new(model.outputs.iter().map(|port| port.name.into())),
    })
}

/// Lowers one operator.
fn operator<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>) -> Result<Vec<Held>, Refusal> {
    match (node.domain, node.operator) {
        ("ai.onnx.ml", "TreeEnsembleClassifier") => trees::classifier(lowering, node),
        ("ai.onnx.ml", "TreeEnsembleRegressor") => trees::regressor(lowering, node),
        ("ai.onnx.ml", "LinearClassifier") => linear::classifier(lowering, node),
        ("ai.onnx.ml", "LinearRegressor") => linear::regressor(lowering, node),
        ("ai.onnx.ml", "SVMRegressor") => linear::svm_regressor(lowering, node),
        ("ai.onnx.ml", "Scaler") => features::scaler(lowering, node),
        ("ai.onnx.ml", "Normalizer") => features::normalizer(lowering, node),
        ("ai.onnx.ml", "Binarizer") => features::binarizer(lowering, node),
        ("ai.onnx.ml", "Imputer") => features::imputer(lowering, node),
        ("ai.onnx.ml", "FeatureVectorizer") => features::feature_vectorizer(lowering, node),
        ("ai.onnx.ml", "ArrayFeatureExtractor") => features::array_feature_extractor(lowering, node),
        ("ai.onnx.ml", "OneHotEncoder") => features::one_hot_encoder(lowering, node),
        ("ai.onnx.ml", "LabelEncoder") => features::label_encoder(lowering, node),
        ("ai.onnx.ml", "ZipMap") => features::zip_map(lowering, node),
        ("" | "ai.onnx", operator) => standard(lowering, node, operator),
        (domain, _) => refuse!("the operator (of `{domain}`) is not computed natively"),
    }
}

fn standard<'m>(lowering: &mut Lowering<'m>, node: &Node<'m>, operator: &str) -> Result<Vec<Held>, Refusal> {
    match operator {
        "Identity" => shape::identity(lowering, node),
        "Constant" => shape::constant(node),
        "Cast" => shape::cast_node(lowering, node),
        "Concat" => shape::concat(lowering, node),
        "Gather" => shape::gather(lowering, node),
        "Slice" => shape::slice(lowering, node),
        "Reshape" => shape::reshape(lowering, node),
        "Flatten" => shape::flatten(lowering, node),
        "Squeeze" => shape::squeeze(lowering, node),
        "Unsqueeze" => shape::unsqueeze(lowering, node),
        "MatMul" => linear::mat_mul(lowering, node),
        "Gemm" => linear::gemm(lowering, node),
        "Add" => math::binary(lowering, node, Binary::Add),
        "Sub" => math::binary(lowering, node, Binary::Sub),
        "Mul" => math::binary(lowering, node, Binary::Mul),
        "Div" => math::binary(lowering, node, Binary::Div),
        "Pow" => math::binary(lowering, node, Binary::Pow),
        "Sum" => math::sum(lowering, node),
        "Clip" => math::clip(lowering, node),
        "Where" => math::choose(lowering, node),
        "Equal" => math::binary(lowering, node, Binary::Equal),
        "Less" => math::binary(lowering, node, Binary::Less),
        "Greater" => math::binary(lowering, node, Binary::Greater),
        "LessOrEqual" => math::binary(lowering, node, Binary::LessOrEqual),
        "GreaterOrEqual" => math::binary(lowering, node, Binary::GreaterOrEqual),
        "Not" => math::not(lowering, node),
        "Softmax" => reduce::softmax(lowering, node),
        "ArgMax" => reduce::arg(lowering, node, true),
        "ArgMin" => reduce::arg(lowering, node, false),
        "ReduceSum" => reduce::reduce(lowering, node, Reduction::Sum),
        "ReduceMean" => reduce::reduce(lowering, node, Reduction::Mean),
        "ReduceSumSquare" => reduce::reduce(lowering, node, Reduction::SumSquare),
        "ReduceProd" => reduce::reduce(lowering, node, Reduction::Prod),
        "ReduceLogSumExp" => reduce::reduce(lowering, node, Reduction::LogSumExp),
        "ReduceMax" => reduce::reduce(lowering, node, Reduction::Max),
        "ReduceMin" => reduce::reduce(lowering, node, Reduction::Min),
        "ReduceL1" => reduce::reduce(lowering, node, Reduction::L1),
        "ReduceL2" => reduce::reduce(lowering, node, Reduction::L2),
        "Abs" => math::unary(lowering, node, f32::abs, f64::abs),
        "Neg" => math::unary(lowering, node, |x| -x, |x| -x),
        "Exp" => math::unary(lowering, node, f32::exp, f64::exp),
        "Log" => math::unary(lowering, node, f32::ln, f64::ln),
        "Sqrt" => math::unary(lowering, node, f32::sqrt, f64::sqrt),
        "Tanh" => math::unary(lowering, node, f32::tanh, f64::tanh),
        "Reciprocal" => math::unary(lowering, node, |x| 1.0 / x, |x| 1.0 / x),
        "Floor" => math::unary(lowering, node, f32::floor, f64::floor),
        "Ceil" => math::unary(lowering, node, f32::ceil, f64::ceil),
        "Relu" => math::unary(
            lowering,
            node,
            |x| if x < 0.0 { 0.0 } else { x },
            |x| if x < 0.0 { 0.0 } else { x },
        ),
        "Sigmoid" => math::unary(lowering, node, scores::logistic, |x| 1.0 / (1.0 + (-x).exp())),
        _ => refuse!("the operator is not computed natively"),
    }
}

/// Buffers for what is fed to the shared graph.
struct NativePredictor {
    graph: Arc<Graph>,
    scratch: Scratch,
}

impl Predictor for NativePredictor {
    fn predict(&mut self, input: &Batch) -> Result<Batch, PredictError> {
        let graph = &*self.graph;
        let feeds = feed(input, &graph.inputs, &mut self.scratch)?;
        if matches!(input.body, Body::Frame(_)) {
            let mut outputs = Outputs::new();
            graph.compute(&feeds, |tensor| outputs.push(tensor))?;
            return shape_output(&input.body, &graph.names, outputs);
        }
        // As `shape_output` would have it, with each tensor put at once where it is to be.
        let mut names = graph.names.arrays().iter();
        let mut members = Vec::with_capacity(graph.outputs.len());
        graph.compute(&feeds, |tensor| {
            if let Some(name) = names.next() {
                members.push((Arc::clone(name), tensor));
            }
        })?;
        Ok(Batch::new(Body::Named(members)))
    }
}

impl Graph {
    /// Computes the outputs of what is fed to its inputs, and gives them in their order.
    ///
    /// # Errors
    /// When the inputs have different numbers of rows, or the values are not for this graph.
    pub(super) fn compute(
        &self,
        feeds: &[Feed<'_>],
        mut give: impl FnMut(Tensor),
    ) -> Result<(), PredictError> {
        let rows = feeds.first().map_or(0, Feed::rows);
        let mut registers = Registers::default();
        for feed in feeds {
            if feed.rows() != rows {
                return Err(PredictError::Input(
                    "the inputs have different numbers of rows".into(),
                ));
            }
            match value(feed, rows) {
                Some(value) => registers.push(value),
                None => return Err(PredictError::Engine("an input has another type".into())),
            }
        }
        self.plan.compute(&mut registers)?;
        for (position, output) in self.outputs.iter().enumerate() {
            give(finished(self.plan.answer(&mut registers, position)?, output)?);
        }
        Ok(())
    }

    /// Element types of its inputs.
    #[cfg(feature = "tract")]
    pub(super) fn fed(&self) -> impl Iterator<Item = Element> {
        self.inputs.iter().map(|input| input.element)
    }

    /// Element types of its outputs, and their extents but the first, which is the rows; `None` when one is no tensor.
    #[cfg(feature = "tract")]
    pub(super) fn tensors(&self) -> Option<Vec<(Element, Vec<usize>)>> {
        let tensor = |output: &Output| match output {
            Output::Tensor(element, tail) => Some((*element, tail.to_vec())),
            Output::Maps(_) => None,
        };
        self.outputs.iter().map(tensor).collect()
    }
}

/// What is fed as a value of the plan.
fn value<'a>(feed: &Feed<'a>, rows: usize) -> Option<Value<'a>> {
    let width = feed.width();
    fn matrix<T>(rows: usize, width: usize, data: Vec<T>) -> Matrix<T> {
        Matrix { rows, width, data }
    }
    Some(match feed.elements {
        Elements::F32(data) => Value::F32(matrix(rows, width, data.clone())),
        Elements::F64(data) => Value::F64(matrix(rows, width, data.clone())),
        Elements::I64(data) => Value::I64(matrix(rows, width, data.clone())),
        Elements::I32(data) => Value::I64(matrix(rows, width, data.iter().map(|&x| x.into()).collect())),
        Elements::Bool(data) => Value::I64(matrix(rows, width, data.iter().map(|&x| x.into()).collect())),
        Elements::Str(data) => {
            Value::Cells(matrix(rows, width, data.iter().map(|x| Cell::Text(x)).collect()))
        }
        _ => return None,
    })
}

/// A value of the plan as an output of the graph.
fn finished(value: Value<'_>, output: &Output) -> Result<Tensor, PredictError> {
    let rows = value.rows();
    let (element, tail) = match output {
        Output::Tensor(element, tail) => (*element, tail),
        Output::Maps(labels) => return maps(value.f32()?, labels),
    };
    let elements = match (value, element) {
        (Value::F32(matrix), _) => Elements::F32(matrix.data),
        (Value::F64(matrix), _) => Elements::F64(matrix.data),
        (Value::I64(matrix), Element::Bool) => {
            Elements::Bool(matrix.data.into_iter().map(|x| x != 0).collect())
        }
        (Value::I64(matrix), Element::I32) => {
            Elements::I32(matrix.data.into_iter().map(|x| x as i32).collect())
        }
        (Value::I64(matrix), _) => Elements::I64(matrix.data),
        (Value::Cells(matrix), _) => {
            let text = |cell: Cell<'_>| match cell {
                Cell::Text(text) => text.to_owned(),
                _ => String::new(),
            };
            Elements::Str(matrix.data.into_iter().map(text).collect())
        }
        (Value::Input(_), _) => return Err(PredictError::Engine("an output is the request".into())),
    };
    let mut shape = Shape::from_slice(&[rows]);
    shape.extend_from_slice(tail);
    tensor(shape, elements)
}

/// A map of each row.
fn maps(scores: &Matrix<f32>, labels: &Labels) -> Result<Tensor, PredictError> {
    let keys: Vec<String> = match labels {
        Labels::Int(labels) => labels.iter().map(i64::to_string).collect(),
        Labels::Text(labels) => labels.iter().map(|label| label.to_string()).collect(),
        Labels::Float(_) | Labels::Bool(_) => Vec::new(),
    };
    let map = |row: &[f32]| {
        let entries = keys.iter().zip(row);
        Object::Map(
            entries
                .map(|(key, &score)| (key.as_str().into(), Object::Float(f64::from(score))))
                .collect(),
        )
    };
    let maps: Vec<Object> = scores.each_row().map(map).collect();
    tensor(Shape::from_slice(&[scores.rows]), Elements::Object(maps))
}

#[cfg(test)]
mod tests;
