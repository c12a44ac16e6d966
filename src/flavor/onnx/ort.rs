//! ONNX graphs in ONNX Runtime: one session a predictor.
//!
//! A session must not run twice at once, so each predictor owns one, weights included. Threads of the engine's own are
//! off unless the model asks for them: the pool of predictors is what uses the cores.

mod casts;
mod one_row;
mod read;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use ort::ErrorCode;
use ort::ep::CPU;
use ort::session::builder::{BuilderResult, GraphOptimizationLevel, PrepackedWeights, SessionBuilder};
use ort::session::{Session, SessionInputValue};
use ort::value::{Tensor as OrtTensor, TensorElementType, TensorRef, ValueType};
use smallvec::SmallVec;

use crate::flavor::{LoadError, Loaded, Port, PredictError, Predictor, Report};
use crate::model::batch::Batch;
use crate::model::tensor::Elements;

use self::casts::Casts;
use self::one_row::{OneRow, is_one_row};
use self::read::{Kind, read};
use super::element::{Element, Input};
use super::feed::{Feed, Scratch, feed};
use super::files::ModelFile;
use super::options::{Optimization, SessionOptions};
use super::runtime::Runtime;
use super::shape_output::{OutputNames, Outputs, shape_output};

/// Where the external data of a model lies that comes from memory.
const EXTERNAL_DATA_FOLDER: &str = "session.model_external_initializers_file_folder_path";

/// Loads a checked model file into `predictors` sessions.
///
/// # Errors
/// When ONNX Runtime rejects the file, or the graph takes or gives something that has no place in a request.
pub(super) fn load(
    runtime: &Runtime,
    file: &ModelFile,
    options: &SessionOptions,
    predictors: NonZeroUsize,
) -> Result<Loaded, LoadError> {
    let failed = |error: ort::Error| LoadError::Engine {
        engine: runtime.engine.clone(),
        file: file.name(),
        source: Box::new(error),
    };
    let mut builder = session_builder(runtime, options, predictors, file).map_err(failed)?;
    let first = builder.commit_from_memory(&file.bytes).map_err(failed)?;
    let graph = Arc::new(Graph::of(&first)?);
    let mut sessions = vec![first];
    while sessions.len() < predictors.get() {
        sessions.push(builder.commit_from_memory(&file.bytes).map_err(failed)?);
    }
    let report = Report {
        flavor: "onnx".into(),
        engine: runtime.engine.clone(),
        inputs: graph.inputs.iter().map(Input::port).collect(),
        outputs: graph.ports.clone(),
        steps: Vec::new(),
        notes: Vec::new(),
    };
    let predictors = sessions
        .into_iter()
        .map(|session| {
            let casts = if graph.half {
                Some(Casts::new(runtime).map_err(failed)?)
            } else {
                None
            };
            let scratch = Scratch::new(&graph.inputs);
            Ok(Box::new(OrtPredictor {
                session,
                scratch,
                casts,
                one_row: OneRow::of(&graph),
                graph: Arc::clone(&graph),
            }) as Box<dyn Predictor>)
        })
        .collect::<Result<Vec<_>, LoadError>>()?;
    Ok(Loaded {
        predictors,
        report,
        rival: None,
    })
}

fn session_builder(
    runtime: &Runtime,
    options: &SessionOptions,
    predictors: NonZeroUsize,
    file: &ModelFile,
) -> Result<SessionBuilder, ort::Error> {
    fn plain(result: BuilderResult) -> Result<SessionBuilder, ort::Error> {
        result.map_err(|error| ort::Error::new(error.message().to_owned()))
    }
    let mut builder = Session::builder(&runtime.environment)?;
    builder = plain(builder.with_intra_threads(options.intra_op_threads.unwrap_or(1)))?;
    builder = plain(builder.with_inter_threads(options.inter_op_threads.unwrap_or(1)))?;
    builder = plain(builder.with_intra_op_spinning(false))?;
    builder = plain(builder.with_inter_op_spinning(false))?;
    // A pattern is kept for each shape ever seen, so clients could make memory grow; a call is no faster with one.
    builder = plain(builder.with_memory_pattern(false))?;
    // Nor an arena: it keeps what the largest request ever needed, and makes a call of a small model dearer by 7 in 100;
    // for 64 rows of three layers of 512 there is no difference.
    let cpu = CPU::default().with_arena_allocator(false).build();
    builder = plain(builder.with_execution_providers([cpu]))?;
    if let Some(parallel) = options.parallel {
        builder = plain(builder.with_parallel_execution(parallel))?;
    }
    if let Some(level) = options.optimization {
        builder = plain(builder.with_optimization_level(match level {
            Optimization::Disabled => GraphOptimizationLevel::Disable,
            Optimization::Basic => GraphOptimizationLevel::Level1,
            Optimization::Extended => GraphOptimizationLevel::Level2,
            Optimization::Layout => GraphOptimizationLevel::Level3,
            Optimization::All => GraphOptimizationLevel::All,
        }))?;
    }
    for (key, value) in &options.entries {
        builder = plain(builder.with_config_entry(key, value))?;
    }
    if let Some(folder) = file.path.parent().and_then(Path::to_str) {
        builder = plain(builder.with_config_entry(EXTERNAL_DATA_FOLDER, folder))?;
    }
    // Covers what ONNX Runtime prepares from weights it shares itself; the weights are each session's own, which a model
    // of 100 MB with 4 predictors shows as 4 times its size. Handing them over as shared initializers does not help.
    if predictors.get() > 1 {
        builder = plain(builder.with_prepacked_weights(&PrepackedWeights::new()))?;
    }
    Ok(builder)
}

/// What all sessions of a model have in common.
#[derive(Debug)]
struct Graph {
    inputs: Vec<Input>,
    ports: Vec<Port>,
    kinds: Vec<Kind>,
    names: OutputNames,
    /// Whether a 16-bit float goes in or comes out.
    half: bool,
}

impl Graph {
    fn of(session: &Session) -> Result<Graph, LoadError> {
        let mut inputs = Vec::new();
        for outlet in session.inputs() {
            let tensor = match outlet.dtype() {
                ValueType::Tensor { ty, shape, .. } => element(*ty).map(|element| (element, shape)),
                _ => None,
            };
            let Some((element, shape)) = tensor else {
                return Err(unsupported("input", outlet.name(), outlet.dtype()));
            };
            inputs.push(Input {
                name: outlet.name().into(),
                element,
                shape: shape.to_vec(),
            });
        }
        if inputs.is_empty() {
            return Err(LoadError::Refused("the graph has no inputs".into()));
        }
        let (mut ports, mut kinds) = (Vec::new(), Vec::new());
        for outlet in session.outputs() {
            let kind = Kind::of(outlet.dtype());
            let kind = kind.ok_or_else(|| unsupported("output", outlet.name(), outlet.dtype()))?;
            ports.push(Port {
                name: outlet.name().into(),
                kind: kind.describe(outlet.dtype()),
            });
            kinds.push(kind);
        }
        let names = OutputNames::new(session.outputs().iter().map(|outlet| outlet.name().into()));
        let half = inputs
            .iter()
            .map(|input| input.element)
            .chain(kinds.iter().filter_map(Kind::element));
        let half = half
            .into_iter()
            .any(|element| matches!(element, Element::F16 | Element::BF16));
        Ok(Graph {
            inputs,
            ports,
            kinds,
            names,
            half,
        })
    }
}

fn unsupported(role: &str, name: &str, kind: &ValueType) -> LoadError {
    LoadError::Refused(format!(
        "{role} `{name}` of the graph is {kind}, which is not supported"
    ))
}

/// The element types that a request or an answer can carry.
fn element(kind: TensorElementType) -> Option<Element> {
    Some(match kind {
        TensorElementType::Bool => Element::Bool,
        TensorElementType::Int8 => Element::I8,
        TensorElementType::Int16 => Element::I16,
        TensorElementType::Int32 => Element::I32,
        TensorElementType::Int64 => Element::I64,
        TensorElementType::Uint8 => Element::U8,
        TensorElementType::Uint16 => Element::U16,
        TensorElementType::Uint32 => Element::U32,
        TensorElementType::Uint64 => Element::U64,
        TensorElementType::Float16 => Element::F16,
        TensorElementType::Bfloat16 => Element::BF16,
        TensorElementType::Float32 => Element::F32,
        TensorElementType::Float64 => Element::F64,
        TensorElementType::String => Element::Str,
        _ => return None,
    })
}

/// A session and its buffers.
struct OrtPredictor {
    session: Session,
    scratch: Scratch,
    casts: Option<Casts>,
    one_row: OneRow,
    graph: Arc<Graph>,
}

impl Predictor for OrtPredictor {
    fn predict(&mut self, input: &Batch) -> Result<Batch, PredictError> {
        let OrtPredictor {
            session,
            scratch,
            casts,
            one_row,
            graph,
        } = self;
        let feeds = feed(input, &graph.inputs, scratch)?;
        let mut run_any = |session: &mut Session| run(session, graph, &feeds, casts.as_mut());
        let outputs = match one_row {
            OneRow::Kept(kept) if kept.fits(&feeds) => match kept.run(session, graph, &feeds) {
                Ok(outputs) => outputs,
                Err(_) => {
                    let outputs = run_any(session)?;
                    *one_row = OneRow::Never;
                    outputs
                }
            },
            OneRow::Unknown if is_one_row(&feeds) => {
                let outputs = run_any(session)?;
                *one_row = OneRow::learn(session, graph, &feeds, &outputs);
                outputs
            }
            _ => run_any(session)?,
        };
        shape_output(&input.body, &graph.names, outputs)
    }
}

/// Computes feeds of any shape.
fn run(
    session: &mut Session,
    graph: &Graph,
    feeds: &[Feed<'_>],
    mut casts: Option<&mut Casts>,
) -> Result<Outputs, PredictError> {
    let mut values: SmallVec<[SessionInputValue<'_>; 4]> = SmallVec::new();
    for (feed, input) in feeds.iter().zip(&graph.inputs) {
        values.push(value(feed, input.element, casts.as_deref_mut())?);
    }
    let outputs = session.run(values.as_slice()).map_err(failed)?;
    let mut tensors = Outputs::new();
    for (value, kind) in outputs.values().zip(&graph.kinds) {
        tensors.push(read(&value, *kind, casts.as_deref_mut())?);
    }
    Ok(tensors)
}

/// One feed as a value of ONNX Runtime, borrowed wherever the element type allows.
fn value<'v>(
    feed: &'v Feed<'_>,
    wanted: Element,
    casts: Option<&mut Casts>,
) -> Result<SessionInputValue<'v>, PredictError> {
    let shape = feed.shape.as_slice();
    macro_rules! borrowed {
        ($elements:expr) => {
            TensorRef::from_array_view((shape, $elements.as_slice()))
                .map(Into::into)
                .map_err(failed)
        };
    }
    if let (Element::F16 | Element::BF16, Some(casts)) = (wanted, casts) {
        return casts.narrow(feed, wanted);
    }
    match feed.elements {
        Elements::Bool(v) => borrowed!(v),
        Elements::I8(v) => borrowed!(v),
        Elements::I16(v) => borrowed!(v),
        Elements::I32(v) => borrowed!(v),
        Elements::I64(v) => borrowed!(v),
        Elements::U8(v) => borrowed!(v),
        Elements::U16(v) => borrowed!(v),
        Elements::U32(v) => borrowed!(v),
        Elements::U64(v) => borrowed!(v),
        Elements::F32(v) => borrowed!(v),
        Elements::F64(v) => borrowed!(v),
        Elements::Str(_) => text(feed),
        other => Err(PredictError::Engine(format!(
            "{} cannot be fed to ONNX Runtime",
            other.dtype()
        ))),
    }
}

/// A feed of text as a value of ONNX Runtime, copied.
fn text(feed: &Feed<'_>) -> Result<SessionInputValue<'static>, PredictError> {
    let Elements::Str(texts) = feed.elements else {
        return Err(PredictError::Engine(format!(
            "{} is no text",
            feed.elements.dtype()
        )));
    };
    // Strings cross into C, where a zero byte ends them.
    if texts.iter().any(|text| text.contains('\0')) {
        return Err(PredictError::Input(
            "text with a zero byte is no value of tensor(string)".into(),
        ));
    }
    OrtTensor::from_string_array((feed.shape.as_slice(), texts.as_slice()))
        .map(Into::into)
        .map_err(failed)
}

/// A failed run: the input's fault where ONNX Runtime says so.
fn failed(error: ort::Error) -> PredictError {
    match error.code() {
        ErrorCode::InvalidArgument => PredictError::Input(error.message().to_owned()),
        _ => PredictError::Engine(error.message().to_owned()),
    }
}
