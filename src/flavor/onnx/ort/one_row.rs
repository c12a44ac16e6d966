//! The values of one row, kept between calls.
//!
//! Making values for ONNX Runtime and taking its own apart costs half as much again as running a small model. For calls
//! of one row, which is what a server of such models mostly gets, a predictor keeps them: inputs are overwritten, and
//! outputs are written where they lie. Nothing of a call is left for the next, since both are overwritten whole.
//!
//! Text, lists and maps are made anew for each call. All else must have one shape whenever the inputs have one row: the
//! first such call is computed both ways to find out; where they differ, and where ONNX Runtime refuses the kept outputs
//! later on because their shape depends on values, calls are computed as all others are.

use ort::memory::Allocator;
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session, SessionInputValue};
use ort::value::{DynTensor, TensorElementType};

use crate::flavor::{Port, PredictError};
use crate::model::identical::same_tensor;
use crate::model::tensor::{Elements, Shape};

use super::super::element::Element;
use super::super::feed::Feed;
use super::super::shape_output::Outputs;
use super::read::{Kind, read};
use super::{Graph, failed, text};

/// Elements of one value that are worth a copy; a larger one is lent to ONNX Runtime where it lies.
const MAX_ELEMENTS: usize = 4096;

/// What a predictor knows of calls of one row.
pub(super) enum OneRow {
    /// None was computed yet.
    Unknown,
    /// The values of the last one.
    Kept(Box<Kept>),
    /// This graph is not made for it.
    Never,
}

/// Inputs and outputs of one shape each.
pub(super) struct Kept {
    inputs: Vec<SessionInputValue<'static>>,
    shapes: Vec<Shape>,
    /// Holds the outputs.
    options: RunOptions<HasSelectedOutputs>,
}

impl OneRow {
    /// For the first call.
    pub(super) fn of(graph: &Graph) -> OneRow {
        // An input that is given back as an output is never written to a kept one.
        let passed_on = |port: &Port| graph.inputs.iter().any(|input| *input.name == *port.name);
        if graph.half || graph.ports.iter().any(passed_on) {
            OneRow::Never
        } else {
            OneRow::Unknown
        }
    }

    /// Keeps values like those of a call that gave `expected`, if they give the same.
    pub(super) fn learn(
        session: &mut Session,
        graph: &Graph,
        feeds: &[Feed<'_>],
        expected: &Outputs,
    ) -> OneRow {
        // Of the process, not of the session: the values may outlive it.
        let Ok(mut kept) = Kept::new(&Allocator::default(), graph, feeds, expected) else {
            return OneRow::Never;
        };
        match kept.run(session, graph, feeds) {
            Ok(outputs) if same(&outputs, expected) => OneRow::Kept(Box::new(kept)),
            _ => OneRow::Never,
        }
    }
}

/// Whether these are feeds of one row, and small.
pub(super) fn is_one_row(feeds: &[Feed<'_>]) -> bool {
    feeds
        .iter()
        .all(|feed| feed.shape.first() == Some(&1) && feed.elements.len() <= MAX_ELEMENTS)
}

impl Kept {
    fn new(
        allocator: &Allocator,
        graph: &Graph,
        feeds: &[Feed<'_>],
        expected: &Outputs,
    ) -> Result<Kept, PredictError> {
        let mut inputs = Vec::with_capacity(feeds.len());
        for (input, feed) in graph.inputs.iter().zip(feeds) {
            inputs.push(match number(input.element) {
                Some(kind) => DynTensor::new(allocator, kind, extents(&feed.shape))
                    .map_err(failed)?
                    .into(),
                None => text(feed)?,
            });
        }
        let mut outputs = OutputSelector::default();
        for ((port, kind), tensor) in graph.ports.iter().zip(&graph.kinds).zip(expected) {
            let Kind::Tensor(element) = kind else { continue };
            let Some(kind) = number(*element).filter(|_| tensor.elements().len() <= MAX_ELEMENTS) else {
                continue;
            };
            let value = DynTensor::new(allocator, kind, extents(tensor.shape())).map_err(failed)?;
            outputs = outputs.preallocate(port.name.as_str(), value);
        }
        Ok(Kept {
            inputs,
            shapes: feeds.iter().map(|feed| feed.shape.clone()).collect(),
            options: RunOptions::new().map_err(failed)?.with_outputs(outputs),
        })
    }

    /// Whether the kept values have the shapes of these feeds.
    pub(super) fn fits(&self, feeds: &[Feed<'_>]) -> bool {
        feeds.iter().map(|feed| &feed.shape).eq(&self.shapes)
    }

    /// Computes feeds that fit.
    pub(super) fn run(
        &mut self,
        session: &mut Session,
        graph: &Graph,
        feeds: &[Feed<'_>],
    ) -> Result<Outputs, PredictError> {
        for (value, feed) in self.inputs.iter_mut().zip(feeds) {
            fill(value, feed)?;
        }
        let outputs = session
            .run_with_options(self.inputs.as_slice(), &self.options)
            .map_err(failed)?;
        let mut tensors = Outputs::new();
        for (value, kind) in outputs.values().zip(&graph.kinds) {
            tensors.push(read(&value, *kind, None)?);
        }
        Ok(tensors)
    }
}

/// Overwrites a value with elements of its type, as many as it has.
fn fill(value: &mut SessionInputValue<'static>, feed: &Feed<'_>) -> Result<(), PredictError> {
    if let Elements::Str(_) = feed.elements {
        *value = text(feed)?;
        return Ok(());
    }
    let SessionInputValue::Owned(value) = value else {
        return Err(PredictError::Engine("a kept value is not our own".into()));
    };
    macro_rules! filled {
        ($type:ty, $elements:expr) => {{
            let (_, slots) = value.try_extract_tensor_mut::<$type>().map_err(failed)?;
            if slots.len() != $elements.len() {
                return Err(PredictError::Engine("a kept value has another length".into()));
            }
            slots.copy_from_slice($elements);
        }};
    }
    match feed.elements {
        Elements::Bool(v) => filled!(bool, v),
        Elements::I8(v) => filled!(i8, v),
        Elements::I16(v) => filled!(i16, v),
        Elements::I32(v) => filled!(i32, v),
        Elements::I64(v) => filled!(i64, v),
        Elements::U8(v) => filled!(u8, v),
        Elements::U16(v) => filled!(u16, v),
        Elements::U32(v) => filled!(u32, v),
        Elements::U64(v) => filled!(u64, v),
        Elements::F32(v) => filled!(f32, v),
        Elements::F64(v) => filled!(f64, v),
        other => {
            return Err(PredictError::Engine(format!(
                "{} cannot be kept for ONNX Runtime",
                other.dtype()
            )));
        }
    }
    Ok(())
}

/// The types whose values can be overwritten.
fn number(element: Element) -> Option<TensorElementType> {
    Some(match element {
        Element::Bool => TensorElementType::Bool,
        Element::I8 => TensorElementType::Int8,
        Element::I16 => TensorElementType::Int16,
        Element::I32 => TensorElementType::Int32,
        Element::I64 => TensorElementType::Int64,
        Element::U8 => TensorElementType::Uint8,
        Element::U16 => TensorElementType::Uint16,
        Element::U32 => TensorElementType::Uint32,
        Element::U64 => TensorElementType::Uint64,
        Element::F32 => TensorElementType::Float32,
        Element::F64 => TensorElementType::Float64,
        Element::Str | Element::F16 | Element::BF16 => return None,
    })
}

fn extents(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&extent| extent as i64).collect()
}

/// Whether outputs are the same to the bit.
fn same(left: &Outputs, right: &Outputs) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .all(|(left, right)| same_tensor(left, right))
}
