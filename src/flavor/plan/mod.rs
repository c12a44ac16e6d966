//! Plans: what every native model is lowered to.
//!
//! A plan is a list of small steps over registers. Register 0 is the request's table or array; each step reads the
//! registers it names and fills the next one. What a step takes and gives is known when the plan is built
//! ([`Form`]), so a model whose parts do not fit is refused when it is loaded, not when it is asked.
//!
//! Nothing of a plan runs code from a file: the loaders of the flavors choose among the steps in [`steps`] and the
//! tree ensembles of `flavor::forest`.

pub mod builder;
pub mod input;
pub mod native;
pub mod steps;
pub mod value;

use smallvec::SmallVec;

use crate::flavor::PredictError;
use crate::model::batch::{Batch, Body};
use crate::model::tensor::{Elements, Shape, Tensor};

use self::input::Input;
use self::value::{Cell, Form, Matrix, Value};

/// One operation of a plan.
pub trait Step: Send + Sync {
    /// What it does, in a few words with its sizes, for `modelsd inspect`: `scale 8 columns`.
    fn describe(&self) -> String;

    /// What it gives for inputs of these forms.
    ///
    /// # Errors
    /// Says what does not fit, so that the model is refused: `12 coefficients for 10 columns`.
    fn form(&self, inputs: &[Form]) -> Result<Form, String>;

    /// Computes it. Inputs have the forms that [`Step::form`] accepted, and all as many rows.
    ///
    /// # Errors
    /// When the values are not for this model, as the Python library would say.
    fn run<'a>(&'a self, inputs: &mut Inputs<'_, 'a>) -> Result<Value<'a>, PredictError>;
}

/// The place of a value in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Register(usize);

impl Register {
    /// The request itself.
    pub const INPUT: Register = Register(0);
}

/// An input of one step.
#[derive(Debug, Clone, Copy)]
struct Argument {
    register: Register,
    /// No later step reads it, so that it may be taken.
    last: bool,
}

struct Node {
    step: Box<dyn Step>,
    arguments: SmallVec<[Argument; 2]>,
}

/// How the answer is shaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axes {
    /// `[rows]`; the value is one column wide.
    Vector,
    /// `[rows, width]`.
    Matrix,
}

/// A compiled model; shared by all its predictors.
pub struct Plan {
    nodes: Vec<Node>,
    inputs: usize,
    answers: SmallVec<[Register; 2]>,
    axes: Axes,
    empty: Empty,
}

/// What a request without rows is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// No predictions.
    Answered,
    /// An error, as scikit-learn and LightGBM do.
    Refused,
}

/// The values of one computation, those of the inputs first. Where they lie is the caller's: to hand so much around by
/// value takes more than most steps do.
#[derive(Default)]
pub struct Registers<'a>(SmallVec<[Option<Value<'a>>; 12]>);

impl<'a> Registers<'a> {
    /// Sets the next input.
    pub fn push(&mut self, value: Value<'a>) {
        self.0.push(Some(value));
    }
}

/// The values that a step reads, in the order in which it was given them.
pub struct Inputs<'r, 'a> {
    registers: &'r mut [Option<Value<'a>>],
    arguments: &'r [Argument],
}

impl Plan {
    /// Computes the answer for these rows.
    ///
    /// # Errors
    /// When the input is not for this model.
    pub fn run(&self, batch: &Batch) -> Result<Batch, PredictError> {
        let input = Input::of(&batch.body)?;
        if input.rows() == 0 && self.empty == Empty::Refused {
            return Err(PredictError::Input(
                "Found array with 0 sample(s) while a minimum of 1 is required.".into(),
            ));
        }
        let mut registers = Registers::default();
        registers.push(Value::Input(input));
        self.compute(&mut registers)?;
        let value = self.answer(&mut registers, 0)?;
        Ok(Batch::new(Body::Array(self.shaped(value)?)))
    }

    /// Computes the answers out of the inputs, which are in the registers in the order in which the builder was given
    /// them, have the forms that it was told, and all as many rows.
    ///
    /// # Errors
    /// When the input is not for this model.
    pub fn compute<'a>(&'a self, registers: &mut Registers<'a>) -> Result<(), PredictError> {
        let registers = &mut registers.0;
        if registers.len() != self.inputs {
            return Err(lost());
        }
        registers.reserve(self.nodes.len());
        for node in &self.nodes {
            let value = node.step.run(&mut Inputs {
                registers,
                arguments: &node.arguments,
            })?;
            registers.push(Some(value));
        }
        Ok(())
    }

    /// Takes an answer that was computed, each once, from the first to the last.
    ///
    /// # Errors
    /// When there is none: a mistake of the caller.
    pub fn answer<'a>(
        &self,
        registers: &mut Registers<'a>,
        position: usize,
    ) -> Result<Value<'a>, PredictError> {
        let register = self.answers.get(position).ok_or_else(lost)?;
        let again = self
            .answers
            .iter()
            .skip(position + 1)
            .any(|later| later == register);
        let slot = registers.0.get_mut(register.0).ok_or_else(lost)?;
        if again { slot.clone() } else { slot.take() }.ok_or_else(lost)
    }

    /// What each step does, in order.
    pub fn describe(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.step.describe()).collect()
    }

    fn shaped(&self, value: Value<'_>) -> Result<Tensor, PredictError> {
        let (rows, width, elements) = match value {
            Value::F32(Matrix { rows, width, data }) => (rows, width, Elements::F32(data)),
            Value::F64(Matrix { rows, width, data }) => (rows, width, Elements::F64(data)),
            Value::I64(Matrix { rows, width, data }) => (rows, width, Elements::I64(data)),
            Value::Cells(Matrix { rows, width, data }) => (rows, width, cells(&data)),
            Value::Input(_) => return Err(lost()),
        };
        let shape = match self.axes {
            Axes::Vector => Shape::from_slice(&[rows]),
            Axes::Matrix => Shape::from_slice(&[rows, width]),
        };
        Tensor::new(shape, elements).map_err(|error| PredictError::Engine(error.to_string()))
    }
}

/// Cells as the one type they have, as NumPy would store labels.
fn cells(cells: &[Cell<'_>]) -> Elements {
    fn all<'a, T>(cells: &[Cell<'a>], pick: impl Fn(&Cell<'a>) -> Option<T>) -> Option<Vec<T>> {
        cells.iter().map(pick).collect()
    }
    let text = |cell: &Cell<'_>| match cell {
        Cell::Text(text) => Some((*text).to_owned()),
        _ => None,
    };
    let whole = |cell: &Cell<'_>| match cell {
        Cell::Int(whole) => Some(*whole),
        _ => None,
    };
    let truth = |cell: &Cell<'_>| match cell {
        Cell::Bool(truth) => Some(*truth),
        _ => None,
    };
    let float = |cell: &Cell<'_>| match cell {
        Cell::Float(float) => Some(*float),
        _ => None,
    };
    all(cells, text)
        .map(Elements::Str)
        .or_else(|| all(cells, whole).map(Elements::I64))
        .or_else(|| all(cells, truth).map(Elements::Bool))
        .or_else(|| all(cells, float).map(Elements::F64))
        .unwrap_or_else(|| Elements::Object(cells.iter().map(Cell::to_value).collect()))
}

impl<'a> Inputs<'_, 'a> {
    /// The input at `position`.
    ///
    /// # Errors
    /// When the plan has no such input, which its builder rules out.
    pub fn get(&self, position: usize) -> Result<&Value<'a>, PredictError> {
        self.arguments
            .get(position)
            .and_then(|argument| self.registers.get(argument.register.0)?.as_ref())
            .ok_or_else(lost)
    }

    /// The input at `position` to change in place: itself if nobody reads it later, else a copy.
    ///
    /// # Errors
    /// See [`Inputs::get`].
    pub fn take(&mut self, position: usize) -> Result<Value<'a>, PredictError> {
        let argument = self.arguments.get(position).ok_or_else(lost)?;
        let slot = self.registers.get_mut(argument.register.0).ok_or_else(lost)?;
        if argument.last {
            slot.take().ok_or_else(lost)
        } else {
            slot.clone().ok_or_else(lost)
        }
    }

    /// Number of inputs.
    pub fn count(&self) -> usize {
        self.arguments.len()
    }
}

/// A register that should hold a value does not: a mistake of the builder.
fn lost() -> PredictError {
    PredictError::Engine("a step of the plan misses its input".into())
}
