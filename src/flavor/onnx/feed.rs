//! A batch to the inputs of a graph, as MLflow's wrapper maps them.
//!
//! | batch | graph with one input | graph with several |
//! | --- | --- | --- |
//! | frame | the whole table as one matrix, whatever the input is called | each column by name, one axis |
//! | array | the array | refused |
//! | named arrays | by name | by name |
//!
//! Elements of the right type are fed where they lie; others are converted into a buffer that the predictor keeps.
//! One difference from MLflow, which fails on it: an array of one axis fits an input of shape `[rows, 1]`.

use smallvec::SmallVec;

use crate::flavor::PredictError;
use crate::model::batch::{Batch, Body, Columns, Frame};
use crate::model::tensor::{DType, Elements, Shape, Tensor, element_count};

use super::convert::{Every, convert, fits};
use super::element::{Input, onnx_name};

/// What one input of the graph is given: elements of the type its [`Element`](super::element::Element) asks for.
#[derive(Debug)]
pub(super) struct Feed<'a> {
    pub(super) shape: Shape,
    pub(super) elements: &'a Elements,
}

impl<'a> Feed<'a> {
    /// A whole tensor.
    #[cfg(feature = "tract")]
    pub(super) fn of(tensor: &'a Tensor) -> Feed<'a> {
        Feed {
            shape: Shape::from_slice(tensor.shape()),
            elements: tensor.elements(),
        }
    }

    /// Extent of axis 0; one for a scalar.
    pub(super) fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Elements a row.
    pub(super) fn width(&self) -> usize {
        self.shape.get(1..).map_or(1, element_count)
    }
}

/// Feeds in the order of the graph's inputs.
pub(super) type Feeds<'a> = SmallVec<[Feed<'a>; 2]>;

/// Conversion buffers, one an input, kept between calls for their memory only.
#[derive(Debug)]
pub(super) struct Scratch(Vec<Elements>);

impl Scratch {
    pub(super) fn new(inputs: &[Input]) -> Scratch {
        Scratch(
            inputs
                .iter()
                .map(|input| Elements::empty(input.element.dtype(), 0))
                .collect(),
        )
    }
}

/// Maps a batch to a graph's inputs.
///
/// # Errors
/// [`PredictError::Input`] when names, types or shapes do not fit, in the words of ONNX Runtime.
pub(super) fn feed<'a>(
    batch: &'a Batch,
    inputs: &[Input],
    scratch: &'a mut Scratch,
) -> Result<Feeds<'a>, PredictError> {
    let mut feeds = Feeds::new();
    let slots = inputs.iter().zip(scratch.0.iter_mut());
    match &batch.body {
        Body::Frame(frame) if inputs.len() == 1 => {
            for (input, buffer) in slots {
                feeds.push(table(frame, input, buffer)?);
            }
        }
        Body::Frame(frame) => {
            for (input, buffer) in slots {
                feeds.push(column(frame, input, buffer)?);
            }
        }
        Body::Array(tensor) => {
            if inputs.len() != 1 {
                return Err(PredictError::Input(one_array_for_many(inputs)));
            }
            for (input, buffer) in slots {
                feeds.push(whole(tensor, input, buffer)?);
            }
        }
        Body::Named(members) => {
            let known = |name: &str| inputs.iter().any(|input| &*input.name == name);
            for (input, buffer) in slots {
                let member = members.iter().find(|(name, _)| *name == input.name);
                let (_, tensor) =
                    member.ok_or_else(|| missing(inputs, members.iter().map(|(name, _)| &**name)))?;
                feeds.push(whole(tensor, input, buffer)?);
            }
            if let Some((name, _)) = members.iter().find(|(name, _)| !known(name)) {
                return Err(PredictError::Input(format!("Invalid input name: {name}")));
            }
        }
        Body::Value(value) => {
            return Err(PredictError::Input(format!(
                "Input should be a dictionary or a numpy array or a pandas.DataFrame, got '<class '{}'>'",
                value.python_type()
            )));
        }
    }
    for (feed, input) in feeds.iter_mut().zip(inputs) {
        check_shape(feed, input)?;
    }
    Ok(feeds)
}

/// A whole tensor to one input.
fn whole<'a>(tensor: &'a Tensor, input: &Input, buffer: &'a mut Elements) -> Result<Feed<'a>, PredictError> {
    let elements = cast(tensor.elements(), input, buffer)?;
    Ok(Feed {
        shape: Shape::from_slice(tensor.shape()),
        elements,
    })
}

/// The elements where they lie, or converted into the buffer.
fn cast<'a>(
    elements: &'a Elements,
    input: &Input,
    buffer: &'a mut Elements,
) -> Result<&'a Elements, PredictError> {
    // A bfloat16 travels as float32, but not every float32 is one.
    let rounds = input.element == super::element::Element::BF16;
    if elements.dtype() == input.element.dtype() && !rounds {
        return Ok(elements);
    }
    check_type(elements.dtype(), input)?;
    resize(buffer, elements.len());
    convert(elements, Every::ONE, buffer, Every::ONE, input.element).map_err(|why| of_input(input, &why))?;
    Ok(buffer)
}

/// The whole frame as one matrix.
fn table<'a>(frame: &'a Frame, input: &Input, buffer: &'a mut Elements) -> Result<Feed<'a>, PredictError> {
    let columns = match frame.columns() {
        Columns::Matrix(matrix) => return whole(matrix, input, buffer),
        Columns::Separate(columns) => columns,
    };
    if let [only] = columns.as_slice() {
        let mut feed = whole(only, input, buffer)?;
        // A column of numbers is a matrix one wide; one of tensors already has its axes.
        if feed.shape.len() == 1 {
            feed.shape.push(1);
        }
        return Ok(feed);
    }
    check_type(common_dtype(columns.iter().map(Tensor::dtype)), input)?;
    let (rows, width) = (frame.rows(), columns.len());
    resize(buffer, rows.saturating_mul(width));
    for (at, column) in columns.iter().enumerate() {
        if column.shape().len() != 1 {
            let name = frame.names().get(at).map(ToString::to_string).unwrap_or_default();
            let shape = column.shape();
            return Err(of_input(
                input,
                &format!("column `{name}` holds arrays ({shape:?}), the matrix needs numbers"),
            ));
        }
        let write = Every {
            start: at,
            step: width,
        };
        convert(column.elements(), Every::ONE, buffer, write, input.element)
            .map_err(|why| of_input(input, &why))?;
    }
    Ok(Feed {
        shape: Shape::from_slice(&[rows, width]),
        elements: buffer,
    })
}

/// One column of the frame, by the input's name.
fn column<'a>(frame: &'a Frame, input: &Input, buffer: &'a mut Elements) -> Result<Feed<'a>, PredictError> {
    let Some(at) = frame.position(&input.name) else {
        let known: Vec<String> = frame.names().iter().map(ToString::to_string).collect();
        let known = known.join(", ");
        return Err(of_input(
            input,
            &format!("no column of that name; there are {known}"),
        ));
    };
    match frame.columns() {
        Columns::Separate(columns) => match columns.get(at) {
            Some(tensor) => whole(tensor, input, buffer),
            None => Err(of_input(input, "no column of that name")),
        },
        Columns::Matrix(matrix) => {
            check_type(matrix.dtype(), input)?;
            resize(buffer, frame.rows());
            let read = Every {
                start: at,
                step: frame.width(),
            };
            convert(matrix.elements(), read, buffer, Every::ONE, input.element)
                .map_err(|why| of_input(input, &why))?;
            Ok(Feed {
                shape: Shape::from_slice(&[frame.rows()]),
                elements: buffer,
            })
        }
    }
}

/// The type `DataFrame.values` would have. Booleans among numbers count as numbers, where pandas makes objects of the
/// whole table and MLflow fails.
fn common_dtype(dtypes: impl Iterator<Item = DType> + Clone) -> DType {
    let mut all = dtypes.clone();
    let Some(first) = all.next() else {
        return DType::F64;
    };
    if all.all(|dtype| dtype == first) {
        return first;
    }
    let numeric = |dtype: DType| dtype.is_float() || dtype.is_integer() || dtype == DType::Bool;
    if !dtypes.clone().all(numeric) {
        return DType::Object;
    }
    if dtypes.clone().any(DType::is_float) {
        DType::F64
    } else {
        DType::I64
    }
}

/// Makes room for `length` elements; what is in them does not matter, they are all overwritten.
fn resize(buffer: &mut Elements, length: usize) {
    match buffer {
        Elements::Bool(v) => v.resize(length, false),
        Elements::I8(v) => v.resize(length, 0),
        Elements::I16(v) => v.resize(length, 0),
        Elements::I32(v) => v.resize(length, 0),
        Elements::I64(v) | Elements::Datetime(v) => v.resize(length, 0),
        Elements::U8(v) => v.resize(length, 0),
        Elements::U16(v) => v.resize(length, 0),
        Elements::U32(v) => v.resize(length, 0),
        Elements::U64(v) => v.resize(length, 0),
        Elements::F16(v) => v.resize(length, half::f16::ZERO),
        Elements::F32(v) => v.resize(length, 0.0),
        Elements::F64(v) => v.resize(length, 0.0),
        Elements::Str(v) => v.resize(length, String::new()),
        Elements::Object(v) => v.resize(length, crate::model::value::Value::Null),
    }
}

// === what does not fit ===

fn check_type(actual: DType, input: &Input) -> Result<(), PredictError> {
    if fits(actual, input.element) {
        return Ok(());
    }
    Err(PredictError::Input(format!(
        "Unexpected input data type. Actual: ({}) , expected: ({})",
        onnx_name(actual),
        input.element.onnx_name()
    )))
}

/// Compares with what the graph declares, so that every engine refuses alike and none is trusted to refuse.
fn check_shape(feed: &mut Feed<'_>, input: &Input) -> Result<(), PredictError> {
    debug_assert_eq!(element_count(&feed.shape), feed.elements.len());
    // An input without a declared shape looks like a scalar; the engine knows better.
    if input.shape.is_empty() {
        return Ok(());
    }
    if let ([_], [_, 1]) = (feed.shape.as_slice(), input.shape.as_slice()) {
        feed.shape.push(1);
    }
    let (got, wanted) = (feed.shape.len(), input.shape.len());
    let name = &input.name;
    if got != wanted {
        return Err(PredictError::Input(format!(
            "Invalid rank for input: {name} Got: {got} Expected: {wanted} Please fix either the inputs/outputs or \
             the model."
        )));
    }
    let wrong =
        |(_, (got, wanted)): &(usize, (&usize, &i64))| **wanted >= 0 && i64::try_from(**got) != Ok(**wanted);
    let mut wrong = feed
        .shape
        .iter()
        .zip(&input.shape)
        .enumerate()
        .filter(wrong)
        .peekable();
    if wrong.peek().is_none() {
        return Ok(());
    }
    let indices: String = wrong
        .map(|(at, (got, wanted))| format!(" index: {at} Got: {got} Expected: {wanted}\n"))
        .collect();
    Err(PredictError::Input(format!(
        "Got invalid dimensions for input: {name} for the following indices\n{indices} Please fix either the \
         inputs/outputs or the model."
    )))
}

fn of_input(input: &Input, why: &str) -> PredictError {
    PredictError::Input(format!("input `{}`: {why}", input.name))
}

/// A list of names as Python prints it.
fn python_list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let quoted: Vec<String> = names.map(|name| format!("'{name}'")).collect();
    format!("[{}]", quoted.join(", "))
}

fn missing<'n>(inputs: &[Input], given: impl Iterator<Item = &'n str> + Clone) -> PredictError {
    let absent = inputs
        .iter()
        .map(|input| &*input.name)
        .filter(|name| !given.clone().any(|given| given == *name));
    PredictError::Input(format!(
        "Required inputs ({}) are missing from input feed ({}).",
        python_list(absent),
        python_list(given.clone())
    ))
}

fn one_array_for_many(inputs: &[Input]) -> String {
    format!(
        "Unable to map numpy array input to the expected model input. Numpy arrays can only be used as input for \
         MLflow ONNX models that have a single input. This model requires {} inputs. Please pass in data as either a \
         dictionary or a DataFrame with the following tensors: {}.",
        inputs.len(),
        python_list(inputs.iter().map(|input| &*input.name))
    )
}
