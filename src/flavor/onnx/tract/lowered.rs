//! Operators of `ai.onnx.ml` in tract.
//!
//! Graphs that mix them with others, a network after a scaler, trees after a search of neighbours, run in tract; each such
//! operator is lowered to a plan of its own, as a graph of nothing else would be, once the types of its inputs are known.
//! tract has some of them itself: those are slower by orders of magnitude, or read some attributes as others.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use prost::Message;
use tract_onnx::model::{Onnx, ParsingContext};
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

use super::super::element::Element;
use super::super::feed::Feed;
use super::super::native::{self, Graph};
use super::super::shape_output::Outputs;
use super::values;
use crate::model::tensor::Tensor as OurTensor;

/// Those that are lowered.
const OPERATORS: [&str; 12] = [
    "Binarizer",
    "FeatureVectorizer",
    "Imputer",
    "LabelEncoder",
    "LinearClassifier",
    "LinearRegressor",
    "Normalizer",
    "OneHotEncoder",
    "SVMRegressor",
    "Scaler",
    "TreeEnsembleClassifier",
    "TreeEnsembleRegressor",
];

/// Tells tract of the operators.
pub(super) fn register(onnx: &mut Onnx) {
    for operator in OPERATORS {
        onnx.op_register.insert(operator, build);
    }
    onnx.op_register.insert("ArrayFeatureExtractor", extract);
}

fn build(context: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let graphs = context
        .model
        .graph
        .iter()
        .chain(context.parent_graphs.iter().copied());
    let constants: Vec<TensorProto> = graphs
        .flat_map(|graph| &graph.initializer)
        .filter(|initializer| node.input.contains(&initializer.name))
        .cloned()
        .collect();
    let is_fed = |name: &String| !name.is_empty() && !constants.iter().any(|constant| constant.name == *name);
    // Of inputs that are left out tract has none.
    let given = node.input.iter().filter(|name| !name.is_empty());
    let fed = given
        .enumerate()
        .filter(|(_, name)| is_fed(name))
        .map(|(at, _)| at)
        .collect();
    let operator = Operator {
        fed,
        node: Arc::new(node.clone()),
        constants: Arc::new(constants),
        versions: Arc::new(context.model.opset_import.clone()),
    };
    Ok((expand(operator), vec![]))
}

/// Elements of the last axis by their numbers, which may be computed: of a search of neighbours they are.
#[derive(Debug, Clone)]
struct Extract;

fn extract(_: &ParsingContext, _: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    Ok((expand(Extract), vec![]))
}

impl Expansion for Extract {
    fn name(&self) -> StaticName {
        "ArrayFeatureExtractor".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        let ([from, numbers], [output]) = (inputs, outputs) else {
            bail!("two inputs and an output are expected");
        };
        solver.equals(&output.datum_type, &from.datum_type)?;
        solver.given_2(&from.shape, &numbers.shape, move |solver, from, numbers| {
            solver.equals(&output.shape, extracted(&from, &numbers)?)
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let &[mut from, mut numbers] = inputs else {
            bail!("two inputs are expected");
        };
        // A vector is a matrix of one row.
        if model.outlet_fact(from)?.rank() == 1 {
            from = single(model.wire_node(format!("{prefix}.row"), AxisOp::Add(0), &[from])?)?;
        }
        let shape = model.outlet_fact(numbers)?.shape.to_tvec();
        if shape.len() != 1 {
            let flat = AxisOp::Reshape(0, shape.clone(), tvec![shape.iter().product()]);
            numbers = single(model.wire_node(format!("{prefix}.flat"), flat, &[numbers])?)?;
        }
        let whole = tract_onnx::tract_core::ops::cast::cast(i64::datum_type());
        numbers = single(model.wire_node(format!("{prefix}.numbers"), whole, &[numbers])?)?;
        let last = model.outlet_fact(from)?.rank() - 1;
        let gather = tract_onnx::tract_core::ops::array::Gather::new(last);
        model.wire_node(prefix, gather, &[from, numbers])
    }
}

fn single(outlets: TVec<OutletId>) -> TractResult<OutletId> {
    outlets.first().copied().context("an operator without output")
}

/// The extents of what is extracted.
fn extracted(from: &[TDim], numbers: &[TDim]) -> TractResult<TVec<TDim>> {
    let (_, before) = from.split_last().context("a scalar has no elements to extract")?;
    let count: TDim = numbers.iter().product();
    Ok(match before {
        [] => tvec![1.to_dim(), count],
        before => before.iter().cloned().chain([count]).collect(),
    })
}

/// An operator whose inputs are not known yet.
#[derive(Debug, Clone)]
struct Operator {
    /// Which inputs are no constants.
    fed: Vec<usize>,
    node: Arc<NodeProto>,
    constants: Arc<Vec<TensorProto>>,
    versions: Arc<Vec<OperatorSetIdProto>>,
}

impl Operator {
    /// The plan for inputs of these types and extents, of which the first is the rows.
    fn lower(&self, types: &[DatumType], shapes: &[TVec<TDim>]) -> TractResult<Plan> {
        let names = self.node.input.iter().filter(|name| !name.is_empty());
        let names: Vec<&String> = names.collect();
        let mut input = Vec::new();
        for ((&at, &kind), shape) in self.fed.iter().zip(types).zip(shapes) {
            let name = names.get(at).context("an input that the operator has not")?;
            input.push(port(name, kind, shape)?);
        }
        let named = |name: &String| ValueInfoProto {
            name: name.clone(),
            ..ValueInfoProto::default()
        };
        let model = ModelProto {
            opset_import: self.versions.to_vec(),
            graph: Some(GraphProto {
                node: vec![(*self.node).clone()],
                initializer: self.constants.to_vec(),
                input,
                output: self.node.output.iter().map(named).collect(),
                ..GraphProto::default()
            }),
            ..ModelProto::default()
        };
        let operator = &self.node.op_type;
        let graph =
            native::open(&model.encode_to_vec()).map_err(|refusal| format_err!("{operator}: {refusal}"))?;
        let outputs = graph.tensors().context("an output that is no tensor")?;
        Ok(Plan { graph, outputs })
    }
}

/// An input as the graph of the operator alone declares it.
fn port(name: &str, kind: DatumType, shape: &[TDim]) -> TractResult<ValueInfoProto> {
    let number = match kind {
        DatumType::F32 => 1,
        DatumType::F64 => 11,
        DatumType::I32 => 6,
        DatumType::I64 => 7,
        DatumType::Bool => 9,
        DatumType::String => 8,
        other => bail!("an input of {other:?} is not computed natively"),
    };
    let mut extents = vec![-1];
    for extent in shape.iter().skip(1) {
        extents.push(extent.to_i64()?);
    }
    let dim = extents.into_iter().map(|extent| Dimension {
        value: Some(dimension::Value::DimValue(extent)),
        ..Dimension::default()
    });
    let tensor = type_proto::Tensor {
        elem_type: number,
        shape: Some(TensorShapeProto { dim: dim.collect() }),
    };
    Ok(ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    })
}

impl Expansion for Operator {
    fn name(&self) -> StaticName {
        "Lowered".into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.node.output.len())
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        let fed: Vec<&'p TensorProxy> = self.fed.iter().filter_map(|&at| inputs.get(at)).collect();
        let kinds: Vec<_> = fed.iter().map(|input| &input.datum_type).collect();
        solver.given_all(kinds, move |solver, types: Vec<DatumType>| {
            let shapes: Vec<_> = fed.iter().map(|input| &input.shape).collect();
            solver.given_all(shapes, move |solver, shapes: Vec<TVec<TDim>>| {
                let rows = shapes.first().and_then(|shape| shape.first()).cloned();
                let rows = rows.context("an input without rows")?;
                let plan = self.lower(&types, &shapes)?;
                for (output, (element, tail)) in outputs.iter().zip(&plan.outputs) {
                    solver.equals(&output.datum_type, values::datum_type(*element))?;
                    solver.equals(&output.shape, shaped(&rows, tail))?;
                }
                Ok(())
            })
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let (mut types, mut shapes, mut outlets) = (Vec::new(), Vec::new(), Vec::new());
        for &at in &self.fed {
            let outlet = *inputs.get(at).context("an input that the operator has not")?;
            let fact = model.outlet_fact(outlet)?;
            types.push(fact.datum_type);
            shapes.push(fact.shape.to_tvec());
            outlets.push(outlet);
        }
        let plan = self.lower(&types, &shapes)?;
        model.wire_node(prefix, plan, &outlets)
    }
}

fn shaped(rows: &TDim, tail: &[usize]) -> TVec<TDim> {
    let tail = tail.iter().map(|&extent| TDim::from(extent));
    std::iter::once(rows.clone()).chain(tail).collect()
}

/// An operator that is lowered.
#[derive(Clone)]
struct Plan {
    graph: Arc<Graph>,
    /// Element types and extents but the first.
    outputs: Vec<(Element, Vec<usize>)>,
}

impl fmt::Debug for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Plan")
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

/// Two are the same operator if they are the same plan.
impl PartialEq for Plan {
    fn eq(&self, other: &Plan) -> bool {
        Arc::ptr_eq(&self.graph, &other.graph)
    }
}

impl Eq for Plan {}

impl Hash for Plan {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.graph).hash(state);
    }
}

impl Op for Plan {
    fn name(&self) -> StaticName {
        "Lowered".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Plan {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let tensors: Vec<OurTensor> = inputs
            .iter()
            .zip(self.graph.fed())
            .map(|(input, element)| values::read(input, element))
            .collect::<Result<_, _>>()?;
        let feeds: Vec<Feed<'_>> = tensors.iter().map(Feed::of).collect();
        let mut outputs = Outputs::new();
        self.graph.compute(&feeds, |output| outputs.push(output))?;
        let outputs = outputs.iter().map(|output| values::write(&Feed::of(output)));
        Ok(outputs.collect::<Result<TVec<TValue>, _>>()?)
    }
}

impl TypedOp for Plan {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let rows = inputs.first().and_then(|input| input.shape.first()).cloned();
        let rows = rows.context("an input without rows")?;
        let fact = |(element, tail): &(Element, Vec<usize>)| {
            let shape = shaped(&rows, tail);
            TypedFact::dt_shape(values::datum_type(*element), &*shape)
        };
        Ok(self.outputs.iter().map(fact).collect())
    }

    as_op!();
}
