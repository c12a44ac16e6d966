//! Compiled plans of a graph, for any shape or for each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use tract_onnx::prelude::tract_ndarray::ArrayD;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::ToDim;
use tract_onnx::tract_core::plan::SimpleState;
use tract_onnx::tract_hir::infer::{Factoid, ShapeFactoid};

use super::super::element::{Element, Input};
use super::Graph;
use super::values::datum_type;
use crate::model::tensor::element_count;

/// Plans that are kept for single shapes. A client that sends ever new batch sizes makes the graph be compiled each
/// time, but does not make memory grow.
const KEPT: usize = 8;

type Plan = Arc<TypedRunnableModel>;
type State = SimpleState<TypedFact, Box<dyn TypedOp>>;
/// Extents of all inputs.
type Shapes = Vec<TVec<usize>>;

/// The plans of one graph, shared by its predictors.
#[derive(Debug)]
pub(super) enum Plans {
    /// One for all shapes.
    Any(Plan),
    /// One a shape, newest last.
    Each {
        model: Box<InferenceModel>,
        kept: Mutex<Vec<(Shapes, Plan)>>,
    },
}

impl Plans {
    /// Compiles the graph for any shape, or keeps it to be compiled for each.
    ///
    /// # Errors
    /// When it cannot be compiled for a batch of one row either.
    pub(super) fn new(mut model: InferenceModel, graph: &Graph) -> TractResult<Arc<Plans>> {
        let samples: Vec<Shapes> = [2, 1].map(|rows| sample_shapes(graph, rows)).into();
        declare_symbols(&mut model, graph)?;
        let any = quiet(|| {
            let plan = model.clone().into_optimized()?.into_runnable()?;
            // Some graphs compile with symbols and only fail when they run.
            if can_sample(graph) {
                for shapes in &samples {
                    plan.run(zeros(graph, shapes)?)?;
                }
            }
            Ok(plan)
        });
        if let Ok(plan) = any {
            return Ok(Arc::new(Plans::Any(plan)));
        }
        let plans = Plans::Each {
            model: Box::new(model),
            kept: Mutex::new(Vec::new()),
        };
        if can_sample(graph) {
            for shapes in &samples {
                quiet(|| plans.plan(shapes)?.run(zeros(graph, shapes)?))?;
            }
        }
        Ok(Arc::new(plans))
    }

    fn plan(&self, shapes: &Shapes) -> TractResult<Plan> {
        let (model, kept) = match self {
            Plans::Any(plan) => return Ok(Arc::clone(plan)),
            Plans::Each { model, kept } => (model, kept),
        };
        let find = |kept: &Vec<(Shapes, Plan)>| {
            kept.iter()
                .find(|(known, _)| known == shapes)
                .map(|(_, plan)| Arc::clone(plan))
        };
        if let Some(plan) = find(&kept.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(plan);
        }
        // Compiled outside the lock: others go on meanwhile, and two that compile the same do no harm.
        let plan = quiet(|| compile(model, shapes))?;
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((shapes.clone(), Arc::clone(&plan)));
        Ok(plan)
    }
}

fn compile(model: &InferenceModel, shapes: &Shapes) -> TractResult<Plan> {
    let mut model = model.clone();
    for (at, shape) in shapes.iter().enumerate() {
        let dims: TVec<TDim> = shape.iter().map(|extent| extent.to_dim()).collect();
        let fact = model.input_fact(at)?.clone().with_shape(dims);
        model.set_input_fact(at, fact)?;
    }
    model.into_optimized()?.into_runnable()
}

/// Gives each unknown extent a symbol: the same one for all that count rows, one each for the others.
fn declare_symbols(model: &mut InferenceModel, graph: &Graph) -> TractResult<()> {
    let rows = model.symbols.sym("modelsd_rows");
    for (at, input) in graph.inputs.iter().enumerate() {
        let fact = model.input_fact(at)?.clone();
        let mut dims: TVec<TDim> = tvec!();
        for (axis, dim) in fact.shape.dims().enumerate() {
            dims.push(match dim.concretize() {
                Some(dim) => dim,
                None if axis == 0 => rows.to_dim(),
                None => model.symbols.new_with_prefix("modelsd_extent").to_dim(),
            });
        }
        let shape = if fact.shape.is_open() {
            fact.shape.clone()
        } else {
            ShapeFactoid::from(dims)
        };
        let fact = InferenceFact::dt_shape(datum_type(input.element), shape);
        model.set_input_fact(at, fact)?;
    }
    Ok(())
}

/// Whether nothing but the number of rows varies, and a row is not larger than what a model may make us allocate.
fn can_sample(graph: &Graph) -> bool {
    const MOST: usize = 1 << 24;
    let fixed = |input: &Input| input.shape.iter().skip(1).all(|extent| *extent >= 0);
    let small = |shape: &TVec<usize>| element_count(shape) <= MOST;
    graph.inputs.iter().all(fixed) && sample_shapes(graph, 2).iter().all(small)
}

fn sample_shapes(graph: &Graph, rows: usize) -> Shapes {
    let extents = |shape: &Vec<i64>| {
        shape
            .iter()
            .map(|extent| usize::try_from(*extent).unwrap_or(rows))
            .collect()
    };
    graph.inputs.iter().map(|input| extents(&input.shape)).collect()
}

fn zeros(graph: &Graph, shapes: &Shapes) -> TractResult<TVec<TValue>> {
    let zero = |(input, shape): (&Input, &TVec<usize>)| {
        if input.element == Element::Str {
            return Ok(ArrayD::<String>::default(shape.as_slice()).into_tvalue());
        }
        Ok(Tensor::zero_dt(datum_type(input.element), shape)?.into_tvalue())
    };
    graph.inputs.iter().zip(shapes).map(zero).collect()
}

/// Panics of tract as errors: it asserts what it expects of a graph.
fn quiet<T>(work: impl FnOnce() -> TractResult<T>) -> TractResult<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(TractError::msg("the graph cannot be compiled")))
}

/// One predictor's hold on the plans.
pub(super) struct Runner {
    plans: Arc<Plans>,
    /// The state of the plan of any shape, kept between calls.
    state: Option<State>,
}

impl Runner {
    pub(super) fn new(plans: Arc<Plans>) -> Runner {
        Runner { plans, state: None }
    }

    /// Runs one call.
    ///
    /// # Errors
    /// With the complaint of tract.
    pub(super) fn run(&mut self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let Plans::Any(plan) = &*self.plans else {
            let shapes = inputs.iter().map(|input| input.shape().into()).collect();
            return self.plans.plan(&shapes)?.run(inputs);
        };
        // Taken out for the time of the call: a state that failed or panicked half way is not used again.
        let mut state = match self.state.take() {
            Some(state) => state,
            None => plan.spawn()?,
        };
        let outputs = state.run(inputs)?;
        self.state = Some(state);
        Ok(outputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_of_single_shapes_are_kept_within_bounds() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/engines/one_input.onnx");
        let onnx = tract_onnx::onnx();
        let proto = onnx.proto_model_for_path(path).unwrap();
        let model = onnx.parse(&proto, None).unwrap().model;
        let graph = Graph::of(&proto, &model).unwrap();
        let plans = Arc::new(Plans::Each {
            model: Box::new(model),
            kept: Mutex::new(Vec::new()),
        });
        let mut runner = Runner::new(Arc::clone(&plans));
        for rows in (1..=KEPT + 4).chain([1, KEPT]) {
            let outputs = runner
                .run(zeros(&graph, &sample_shapes(&graph, rows)).unwrap())
                .unwrap();
            assert_eq!(outputs[0].shape(), [rows]);
        }
        let Plans::Each { kept, .. } = &*plans else {
            panic!("one plan for all")
        };
        assert_eq!(kept.lock().unwrap().len(), KEPT);
    }
}
